"""The outlier laboratory: what is put in and taken out, who carries the error and what cures it is as before."""

from __future__ import annotations

import itertools
from dataclasses import asdict, replace

import numpy as np
import pytest

import quantviz as qv
from quantviz.outliers import WHERES, Injection, Removal, apply, places, sentences
from quantviz.outliers.attribution import attribute, largest_table
from quantviz.outliers.cures import Cure, Treated, cures, share_beyond, treat
from quantviz.outliers.curves import Growing, block_size_sweep, magnitude_sweep, row_sample
from quantviz.outliers.export import (
    attribution_dict,
    cures_dict,
    edit_dict,
    magnitudes_dict,
    points_dict,
    schemes_table,
)
from quantviz.tensors import as_stored
from tests.recorded import interface, tried

NORMAL = np.random.default_rng(0).standard_normal((64, 256), dtype=np.float32) * np.float32(0.02)
OUTLIERS = apply(NORMAL, Injection(16, 20)).numpy()
CHANNEL = apply(NORMAL, Injection(40, 30, "input channel", 7)).numpy()
KEYS = (
    "int4-sym-tensor",
    "int4-asym-channel",
    "int4-sym-b64",
    "nf4-b64",
    "fp8_e4m3",
    "mxfp4",
    "q4_0",
    "int4-asym-b64:rotate=hadamard",
    "int4-sym-tensor:keep=0.1%",
    "fp8_e4m3-b32x64",
)


def test_what_is_put_in_and_taken_out(kept):
    for where, channel, count, seed in itertools.product(WHERES, (None, 3), (1, 5, 40), (0, 7)):
        injection = tried(Injection, count, 20, where, channel, seed)
        at = injection if isinstance(injection, str) else tried(places, injection, 64, 256)
        kept(at if isinstance(at, str) else [at[:6], int(at.sum()), len(at)])
    edits = [
        Injection(5, 20),
        Injection(5, 1e9, seed=3),
        Removal(2.0),
        Removal(2.0, how="clip"),
        Removal(share=0.01),
        Removal(share=0.001, how="clip"),
        Removal(50.0),
        Removal(share=1e-9),
        Removal(share=0.999, how="clip"),
    ]
    for edit, dtype in itertools.product(edits, (np.float32, np.float16, np.float64)):
        out = tried(apply, OUTLIERS.astype(dtype), edit)
        if isinstance(out, str):
            kept(out)
        else:
            y = out.numpy().astype(float)
            kept([y.sum(), np.abs(y).max(), int((y == 0).sum()), int((y != OUTLIERS.astype(dtype)).sum()), out.dtype])
        kept(edit_dict(edit))
    kept(edit_dict(None))


def test_edits_that_are_refused(kept):
    for given in (
        (0, 20),
        (-1, 20),
        (1, 0),
        (1, 1e9),
        (1, 1.1e9),
        (1, -3),
        (1, float("nan")),
        (1, 5, "nowhere"),
        (1, 5, "spread", 3),
        (1, 5, "input channel", -1),
        (1, 5, "spread", None, -1),
        (1, 5, "spread", None, 2**64),
    ):
        made = tried(Injection, *given)
        kept(made if isinstance(made, str) else asdict(made))
    for more in (
        {},
        {"sigmas": 1.0, "share": 0.1},
        {"sigmas": 0.0},
        {"sigmas": -1.0},
        {"share": 0.0},
        {"share": 1.0},
        {"share": 1.01},
        {"sigmas": 1.0, "how": "cut"},
        {"sigmas": 1e9},
        {"sigmas": 1.1e9},
    ):
        made = tried(Removal, **more)
        kept(made if isinstance(made, str) else asdict(made))
    for injection in (
        Injection(65, 5, "input channel"),
        Injection(64, 5, "input channel"),
        Injection(257, 5, "output channel"),
        Injection(64 * 256, 5),
        Injection(64 * 256 + 1, 5),
        Injection(1, 5, "input channel", 256),
        Injection(1, 5, "output channel", 64),
        Injection(1, 5, "output channel", 63),
    ):
        at = tried(places, injection, 64, 256)
        kept(at if isinstance(at, str) else [len(at), int(at.sum())])
    kept(str(tried(apply, np.ones((4, 4), np.float32), Injection(1, 5))))


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("name", ["outliers", "channel", "off centre"])
def test_who_carries_the_error(key, name, kept):
    w = {"outliers": OUTLIERS, "channel": CHANNEL, "off centre": 1 + NORMAL}[name]
    a = attribute(w, key)
    if name != "outliers" and key not in KEYS[:3]:
        return kept([sentences.attribution_sentences(a), a.off_centre])
    told = attribution_dict(a)
    told["largest"] = {column: values[:3] for column, values in told["largest"].items()}
    kept(told if name == "outliers" or key in KEYS[:2] else told["blocks"])
    kept([sentences.attribution_sentences(a), sentences.attribution_sentences(a, 3.0), a.off_centre])
    kept([a.weight_share, a.squared_error_share, a.abs_error_share, a.band_labels])
    kept(list(largest_table(a)))


def test_attribution_at_its_ends(kept):
    kept(str(tried(attribute, NORMAL, "int4-sym-b64", band_edges=())))
    for edges in ((0.0, 1.0), (1.0, 1.0), (2.0, 1.0), (1.0,), (1e30, 1e39)):
        a = tried(attribute, NORMAL, "int4-sym-b64", band_edges=edges)
        kept(a if isinstance(a, str) else [a.band_labels, a.bands])
    for w in (np.zeros((4, 64), np.float32), np.ones((4, 64), np.float32), np.eye(64, dtype=np.float32)):
        a = attribute(w, "int4-sym-b64")
        kept(
            [
                sentences.attribution_sentences(a),
                [asdict(side) for side in a.blocks_beyond()],
                a.rows.relative[:3],
                a.cols.rmse[:3],
            ]
        )
    weighted = attribute(OUTLIERS, "int4-sym-b64:clip=mse", importance=np.linspace(0, 1, 256))
    kept(weighted.bands)


def test_curves(kept):
    for w, bits in ((OUTLIERS, 4), (NORMAL, 2)):
        points = block_size_sweep(w, bits, granularities=("tensor", "channel", "b512", "b64", "b16"))
        kept(points_dict(points) if bits == 4 else [p.metrics.get("sqnr_db") for p in points])
        kept(
            [
                sentences.block_size_sentence(points),
                sentences.block_size_sentence(points[:2]),
                [p.reason for p in points],
            ]
        )
    steps = []
    for growing, sample in ((Growing((5.0, 20.0, 50.0)), 1 << 21), (Growing((3.0, 9.0), 0.01, 5), 4096)):
        found = magnitude_sweep(
            OUTLIERS,
            granularities=("tensor", "b512", "b64"),
            outliers=growing,
            sample=sample,
            step=lambda done, total, key: steps.append([done, total, key]),
        )
        kept(magnitudes_dict(found))
        kept([sentences.magnitude_sentence(found), steps[0], steps[-1], len(steps)])
    part = row_sample(as_stored(NORMAL), 1000)
    kept([part.rows, part.dtype, part.numpy()[:, 0].astype(float), row_sample(as_stored(NORMAL), 64 * 256).rows])
    kept(str(tried(magnitude_sweep, np.ones((4, 64), np.float32))))


@pytest.mark.parametrize(
    "key",
    [
        "int4-sym-tensor",
        "int4-asym-b64",
        "q4_0",
        "mxfp4",
        "fp8_e4m3",
        "int4-sym-channel",
        "nf4-b64",
        "int2-sym-b16",
        "q4_k:pad=1",
        "int4-sym-b64:clip=mse",
    ],
)
def test_which_cures_there_are(key, kept):
    for statistics in (None, qv.describe(NORMAL), qv.describe(OUTLIERS), qv.describe(CHANNEL)):
        kept([[c.name, c.key, c.what[-60:], c.reason] for c in cures(key, statistics)])
    kept([share_beyond(qv.describe(w), sigmas) for w in (NORMAL, OUTLIERS) for sigmas in (0.5, 2, 6, 19, 21)])


def test_what_cures_do(kept):
    offered = [c for c in cures("int4-sym-tensor", qv.describe(OUTLIERS)) if c.key and ":" not in c.key]
    offered.append(Cure("a row of 100", "int4-sym-b512", "Longer than a row."))
    offered.append(Cure("none", None, "It does not apply.", "Why."))
    treated = treat(OUTLIERS, "int4-sym-tensor", offered=offered)
    kept(cures_dict(treated))
    kept(sentences.cure_sentence(treated))
    points = block_size_sweep(OUTLIERS, 4, ("sym",), ("tensor", "b512"))
    kept(schemes_table(points, treated))


def test_every_sentence_of_cures_and_edits(kept):
    def of(name: str, gain: float, extra: float) -> Treated:
        return Treated(Cure(name, "int4-sym-b64", ""), {"sqnr_db": gain}, gain, extra)

    base = of("untreated", 0.0, 0.0)
    for gains in itertools.product((0.99, 1.0, 5.0, float("inf")), (0.1, 4.1, 5.9), (0.0, 6.5)):
        for extra in (0.0, 0.004, 0.006, -0.1, 0.15, 0.16, 1.0):
            treated = [base, of("a", gains[0], extra), of("b", gains[1], 0.1), of("c", gains[2], 2.0)]
            kept(sentences.cure_sentence(treated))
    kept(sentences.cure_sentence([base]))
    e = qv.evaluate(NORMAL, "int4-sym-b64")
    for rmse, zeroed in itertools.product((0.0, 0.5, 1 / 1.5, 1.0, 1.49, 1.5, 20.0), (0.05, 0.1, 0.2)):
        changed = replace(e, metrics=e.metrics | {"rmse": e.metrics["rmse"] * rmse, "zeroed_fraction": zeroed})
        kept(sentences.edit_sentence(replace(e, metrics=e.metrics | {"zeroed_fraction": 0.02}), changed))


def test_the_interface(kept):
    kept(interface("outliers"))


def test_how_many_weights_are_offered_to_be_kept_apart(kept, monkeypatch):
    from quantviz.outliers import cures as offered

    far = qv.describe(OUTLIERS)
    for percent in (0.0, 0.005, *offered.KEEPS, *(1.01 * p for p in offered.KEEPS)):
        monkeypatch.setattr(offered, "share_beyond", lambda statistics, sigmas, share=percent / 100: share)
        kept(
            [
                percent,
                offered._keeps(far),
                offered._keeps(qv.describe(NORMAL)),
                offered._held(0.1, far),
                offered._held(1.0, far),
            ]
        )
