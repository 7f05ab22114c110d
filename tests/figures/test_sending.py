"""Figures as bytes for a browser: nothing is lost that an eye could see, and nothing breaks the drawing."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go

from quantviz.figures import from_bytes, to_bytes
from quantviz.figures.sending import STEPS


def sent(*traces: object, **layout: object) -> dict:
    return from_bytes(to_bytes(go.Figure(traces, layout), alt="what it shows"))


def test_arrays_arrive_as_they_were_in_as_few_bytes_as_they_need():
    rng = np.random.default_rng(0)
    arrays = {
        "f4": rng.normal(size=33).astype(np.float32), "u1": np.arange(200), "i1": np.arange(-100, 100),
        "i2": np.arange(-300, 300), "u2": np.array([0, 65535]), "i4": np.array([-(2**31), 2**31 - 1]),
        "u4": np.array([0, 2**32 - 1]),
    }  # fmt: skip
    for kind, array in arrays.items():
        y = sent(go.Scatter(y=array))["data"][0]["y"]
        assert y.dtype.str[1:] == kind and (y == array).all()
    large = np.array([0, 2**52 + 1])
    assert (sent(go.Scatter(y=large))["data"][0]["y"] == large).all()


def test_float64_is_narrowed_only_where_that_moves_nothing():
    edges, near = np.linspace(-0.1, 0.1, 257), 1 + np.linspace(0, 1e-6, 257)
    assert sent(go.Scatter(x=edges))["data"][0]["x"].dtype == np.float32
    assert (sent(go.Scatter(x=near))["data"][0]["x"] == near).all()
    assert (sent(go.Scatter(x=np.array([1e300, 2e300])))["data"][0]["x"] == [1e300, 2e300]).all()


def test_an_array_that_is_used_twice_is_sent_once():
    x = np.random.default_rng(0).normal(size=500).astype(np.float32)
    once, twice = (len(to_bytes(go.Figure([go.Scatter(x=x)] * n))) for n in (1, 2))
    assert twice - once < 200


def test_a_map_without_values_to_hover_is_sent_in_steps_that_no_eye_tells_apart():
    z = np.random.default_rng(0).random((20, 30)).astype(np.float32)
    heat = dict(z=z, zmin=0.1, zmax=0.9)
    seen = sent(go.Heatmap(**heat, hoverinfo="skip"))["data"][0]["z"]
    assert seen.shape == z.shape and np.abs(seen - np.clip(z, 0.1, 0.9)).max() <= 0.501 * 0.8 / STEPS
    assert (sent(go.Heatmap(**heat))["data"][0]["z"] == z).all()
    for zmin, zmax, z in ((0.5, 0.5, np.full((2, 2), 0.5, np.float32)), (0, 1, np.float32([[0, np.nan], [1, np.inf]]))):
        as_it_is = sent(go.Heatmap(z=z, zmin=zmin, zmax=zmax, hoverinfo="skip"))["data"][0]["z"]
        assert np.array_equal(as_it_is, z, equal_nan=True)


def test_empty_infinite_and_single_values_are_sent():
    nothing = sent(go.Scatter(x=np.array([]), y=[]), go.Heatmap(z=np.zeros((0, 3))))
    assert [len(nothing["data"][0]["x"]), len(nothing["data"][1]["z"])] == [0, 0]
    infinite = sent(
        go.Scatter(x=[1.0, np.inf, np.nan], y=np.array([np.inf, -np.inf, np.nan])), yaxis={"range": [0, np.inf]}
    )
    assert infinite["data"][0]["x"] == [1, None, None]
    assert np.array_equal(infinite["data"][0]["y"], [np.inf, -np.inf, np.nan], equal_nan=True)
    assert infinite["layout"]["yaxis"]["range"] == [0, None]
    assert sent(go.Scatter(y=np.float64([7])))["data"][0]["y"].tolist() == [7]


def test_words_stay_words_and_the_theme_is_left_to_the_page():
    told = sent(
        go.Scatter(y=[1], text=["ä 中", "</script>"], name="$x$"), template="none", meta={"alt": "no"}, height=90
    )
    assert told == {
        "data": [{"y": [1], "text": ["ä 中", "</script>"], "name": "$x$", "type": "scatter"}], "layout": {"height": 90},
        "alt": "what it shows",
    }  # fmt: skip


def test_no_property_of_plotly_is_taken_for_an_array():
    bars = {"array": [1.0, 2.0, 3.0], "arrayminus": np.float32([1, 2, 3])}
    read = sent(go.Scatter(y=[1, 2, 3], error_y=bars, customdata=[{"from": 1, "step": 2}]))["data"][0]
    assert read["error_y"]["array"] == [1, 2, 3] and read["error_y"]["arrayminus"].tolist() == [1, 2, 3]
    assert read["customdata"] == [{"from": 1, "step": 2}]
