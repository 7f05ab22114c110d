"""Calibrations, importance, what GPTQ and AWQ make of them, and every refusal, are what they were before."""

from __future__ import annotations

import io
import itertools
import json
import struct
from dataclasses import asdict

import numpy as np
import pytest

import quantviz as qv
from quantviz import Calibration
from quantviz.calibration import importance, moments
from quantviz.calibration.files import Calibrations, load_calibration
from quantviz.calibration.gptq import factor, order_of
from quantviz.calibration.gptq_story import gptq_story, turn_sentences
from quantviz.calibration.inputs import quantized_inputs, remarks
from quantviz.calibration.layer import Calibration as Layer
from quantviz.calibration.synthetic import synthetic_inputs
from quantviz.schemes import Scheme
from tests.calibration.test_importance import imatrix
from tests.recorded import interface, tried

RNG = np.random.default_rng(3)
X = (RNG.standard_normal((300, 64)) * np.linspace(0.5, 2, 64) + 0.5).astype(np.float32)  # easily inverted
W = RNG.standard_normal((8, 64), dtype=np.float32)
W[1, 5] = 6


def of(c: Calibration | str) -> dict | str:
    if isinstance(c, str):
        return c
    arrays = (c.importance, c.moment, c.mean_abs, c.max_abs, c.inputs, c.heldout)
    return {
        "arrays": [a if a is None else [list(a.shape), a.astype(float).sum(), a.reshape(-1)[:3]] for a in arrays],
        "told": [c.tokens, c.name, c.cols, c.has_sample, int(c.dead.sum()), *c.remarks],
    }


def near(values: np.ndarray) -> np.ndarray:
    """Compared to a ten-thousandth, not each by its own size: what a matrix is inverted by differs between machines."""
    return np.asarray(values, float) + 10


def test_calibrations_of_inputs(kept):
    dead = X.copy()
    dead[:, 3] = 0
    for x in (X, X[:, :1], X[:9], X[:8], X[:1], dead, X[:63, :], X.astype(np.float16), (X * 10).astype(np.int32)):
        kept(of(tried(Calibration.of, x)))
    for heldout in (0, 1, 299, 300, -1):
        kept(of(tried(Calibration.of, X, "a.b", heldout)))
    bad = X.copy()
    bad[70, 2] = np.nan
    for x in (bad, X[0], X[:0], X[:, :0], X.astype(bool), X * np.float32(1e25), X.astype(complex)):
        kept(of(tried(Calibration.of, x)))
    sums = moments.MomentSums(4)
    kept(str(tried(sums.means)))
    told = []
    moments.MomentSums(4).add(np.ones((9000, 4)), lambda done, total: told.append([done, total]))
    kept({str(i): step for i, step in enumerate(told)})


@pytest.mark.parametrize("free", [0, 3 * 4 * 64**2, 100 * 4 * 64**2 - 1, 10**12, None])
def test_what_memory_holds(free, kept, monkeypatch):
    monkeypatch.setattr(moments, "available", lambda device: free)
    for widths in ({}, {"a": 64}, {"a": 64, "b": 64, "c": 128, "d": 8}, {"d": 8, "a": 640}):
        kept(tried(moments.check_room, widths))


def test_which_weights_a_calibration_is_of(kept):
    for name, tensor, cols in itertools.product(
        ("", "model.layers.0.mlp.up_proj.weight", "blk.0.ffn_up.weight"),
        ("", "w", "model.layers.0.mlp.up_proj.weight", "blk.0.ffn_up.weight", "blk.1.ffn_up.weight"),
        (64, 65),
    ):
        kept(tried(Calibration(np.ones(64, np.float32), None, 3, name=name).check_fits, cols, tensor))
    kept(tried(Layer(np.ones(3, np.float32), None, 1).second_moment, "This"))


def npy(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def table(parts: dict[str, np.ndarray], cut: int = 0) -> bytes:
    header, data = {}, b""
    for name, values in parts.items():
        kind = {"f": "F32", "i": "I32"}[values.dtype.kind]
        header[name] = {
            "dtype": kind,
            "shape": list(values.shape),
            "data_offsets": [len(data), len(data) + values.nbytes],
        }
        data += values.tobytes()
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data[: len(data) - cut]


F = np.float32
GOOD = {
    "w.in_sum2": np.arange(1, 5, dtype=F),
    "w.counts": np.full(1, 2, F),
    "w.moment": np.eye(4, dtype=F),
    "w.mean_abs": np.ones(4, F),
    "w.max_abs": np.ones(4, F),
    "w.inputs": np.ones((3, 4), F),
}
CHANGES = {
    "good": {},
    "no counts": {"w.counts": None},
    "two counts": {"w.counts": np.ones(2, F)},
    "no sums": {"w.in_sum2": None},
    "integers": {"w.moment": np.eye(4, dtype=np.int32)},
    "narrow": {"w.moment": np.eye(3, dtype=F)},
    "mean": {"w.mean_abs": np.ones(3, F)},
    "inputs": {"w.inputs": np.ones((3, 5), F)},
    "flat": {"w.inputs": np.ones(4, F)},
    "NaN": {"w.max_abs": np.full(4, np.nan, F)},
    "negative": {"w.in_sum2": -np.ones(4, F)},
    "none": {"w.counts": np.zeros(1, F)},
    "one": {"w.counts": np.ones(1, F)},
    "half": {"w.counts": np.full(1, 0.5, F)},
    "infinite": {"w.counts": np.full(1, np.inf, F)},
    "uneven": {"w.moment": np.triu(np.ones((4, 4), F))},
    "below 0": {"w.moment": -np.eye(4, dtype=F)},
    "no moment": {"w.moment": None},
    "sums alone": {"w.moment": None, "w.inputs": None},
    "no maxima": {"w.max_abs": None},
    "two layers": {"v.in_sum2": np.ones(4, F), "v.counts": np.ones(1, F)},
    "square sums": {"w.in_sum2": np.ones((2, 2), F)},
}


@pytest.mark.parametrize("change", CHANGES)
def test_files_good_and_damaged(change, kept):
    parts = {name: values for name, values in (GOOD | CHANGES[change]).items() if values is not None}
    data = table(parts)
    for name, cols in (("", None), ("w", 4), ("w", 5), ("x", None)):
        kept([of(tried(load_calibration, data, name, cols)), tried(importance.load_importance, data, name, cols)])
    found = tried(lambda: Calibrations.load(data))
    kept([found] if isinstance(found, str) else [list(found), len(found), "w" in found, "x" in found, 3 in found])


def test_arrays_as_calibrations_and_importance(kept):
    arrays = (
        np.ones(4),
        np.arange(6.0).reshape(2, 3),
        np.ones(4, int),
        np.ones((2, 3), int),
        np.ones((2, 2, 2)),
        np.ones(4, complex),
        -np.ones(4),
        np.zeros(4),
        np.full(4, np.nan),
        np.full(4, 1e300),
        np.array(3.0),
        np.ones((0, 4)),
        np.ones(0),
    )
    for array in arrays:
        kept([of(tried(load_calibration, npy(array))), tried(importance.load_importance, npy(array), cols=4)])
    for data in (
        npy(np.ones(4))[:-1],
        npy(np.ones((2, 3)))[:-8],
        b"",
        b"PK\3\4" + bytes(20),
        bytes(40),
        b"\x93NUMPY",
        struct.pack("<ii", 5, 9) + b"blk.0.a.w" + bytes(9),
        struct.pack("<ii", 0, 9) + b"blk.0",
        b"a" * 8,
    ):
        kept([of(tried(load_calibration, data)), tried(importance.load_importance, data)])


def test_an_imatrix_by_every_name(kept, tmp_path):
    entries = {
        "blk.0.attn_q.weight": (np.arange(1, 9)[None], [2]),
        "blk.1.attn_q.weight": (np.ones((1, 8)), [0]),
        "blk.0.ffn_up_exps.weight": (np.arange(1, 25).reshape(3, 8), [4, 0, 8]),
        "blk.2.attn_q.weight": (np.ones((1, 8)), [2, 3, 5]),
        "blk.3.attn_q.weight": (np.ones((1, 8)), [np.inf]),
    }
    data = imatrix(tmp_path / "imatrix.gguf", entries).read_bytes()
    names = importance.importance_names(data)
    kept(
        [
            names,
            importance.unseen_experts(data),
            importance.unseen_experts(data, "blk.0.ffn_up_exps.weight"),
            importance.unseen_experts(data, "blk.0.ffn_up_exps.weight[1]"),
            importance.unseen_experts(data, "blk.0.attn_q.weight"),
        ]
    )
    for name in (
        *names,
        "blk.0.ffn_up_exps.weight",
        "model.layers.0.self_attn.q_proj.weight",
        "blk.9.attn_q.weight",
        "",
        "model.layers.0.mlp.experts.gate_up_proj",
        "blk.0.ffn_up_exps.weight[3]",
    ):
        kept([name, tried(importance.load_importance, data, name), of(tried(load_calibration, data, name))])
    each = np.arange(12.0).reshape(3, 4)
    for rows, part in (
        (9, (0, 3)),
        (9, (3, 6)),
        (9, (4, 5)),
        (9, (0, 6)),
        (9, (3, 9)),
        (9, (2, 4)),
        (9, (0, 4)),
        (9, None),
        (8, (0, 3)),
    ):
        kept(tried(importance.of_rows, each, rows, part))


KEYS = (
    "int4-asym-b32:solver=gptq",
    "int4-sym-b32:solver=gptq",
    "int4-sym-b32:solver=gptq,order=act",
    "int4-asym-b32:solver=awq",
    "int4-sym-b32:smooth=0.5",
    "int4-sym-b32:act=int8-token",
    "nf4-b32:solver=gptq",
    "int8-sym-channel:act=int8-token,smooth=0.5",
    "int4-sym-b32",
)


@pytest.mark.parametrize("key", KEYS)
def test_what_is_made_of_a_layer(key, kept):
    c = Calibration.of(X)
    found = tried(qv.evaluate, W, key, calibration=c)
    if isinstance(found, str):
        return kept(found)
    kept([found.metrics, list(found.notices), found.scheme])
    scheme = Scheme.parse(key)
    q = qv.quantize(W, key, calibration=c)
    y = np.asarray(q.dequantize(), float)
    kept([near(y.sum()), near(y[0, :5]), near(y[-1, -5:]), q.input_scales])
    kept(
        [
            quantized_inputs(X[:3], scheme, q.input_scales).astype(float),
            remarks(scheme, True, False),
            remarks(scheme, False, False),
        ]
    )


def test_the_story_of_gptq(kept):
    c = Calibration.of(X)
    for key, row, cols in (("int4-sym-b32:solver=gptq", 1, (0, 32)), ("int4-asym-b32:solver=gptq", 7, (32, 64))):
        story = gptq_story(W, key, c, row, cols)
        whole = asdict(story) | {"errors": story.errors, "taken": story.taken_on}
        kept({name: near(of) if getattr(of, "dtype", None) == F else of for name, of in whole.items()})
        kept({str(k): turn_sentences(story, k) for k in (0, 1, 17, 30, 31)})  # three digits of each number
    for key, row, cols in (
        ("int4-sym-b32", 0, (0, 8)),
        (KEYS[1], 8, (0, 8)),
        (KEYS[1], -1, (0, 8)),
        (KEYS[1], 0, (0, 65)),
        (KEYS[1], 0, (8, 8)),
        (KEYS[1], 0, (-1, 8)),
    ):
        kept(str(tried(gptq_story, W, key, c, row, cols)))
    wide = Calibration.of(np.tile(X, 3))
    kept(str(tried(gptq_story, np.tile(W, 3), KEYS[1], wide, 0, (0, 129))))


def test_factors_and_orders(kept):
    h = np.array([[4, 1, 0], [1, 9, 2], [0, 2, 1]], F)
    for damp, order in itertools.product((0.0, 1.0, 10.0), (None, np.array([1, 0, 2]))):
        kept(near(factor(h, damp, order)).reshape(-1))
    kept([order_of(h, "none"), order_of(h, "act")])
    flat = np.ones((64, 64), F)
    for damp in (0.0, 1e-7, 0.01, 1.0):
        found = tried(factor, flat * 1e3, damp, None, "a key")
        kept(found if isinstance(found, str) else "inverted")
    kept(tried(factor, -np.eye(4, dtype=F), 1.0))


def test_inputs_that_are_made_up(kept):
    for more in ({}, {"outlier_share": 1 / 16}, {"seed": 3}):
        x = np.asarray(synthetic_inputs(32, 40, **more), float)
        kept([list(x.shape), x.sum(), (x * x).sum(), np.abs(x).max(axis=0), x[0, :4], x[-1, -4:]])


def test_the_interface(kept):
    kept(interface("calibration"))
