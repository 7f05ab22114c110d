"""How cheap figures agree with the KL divergence, and what is refused of a table, is what it was before."""

from __future__ import annotations

import itertools
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from quantviz.sensitivity.additivity import _joined
from quantviz.sensitivity.agreement import GRADES, agreement, interval, spearman
from quantviz.sensitivity.frame import frame_of
from quantviz.sensitivity.reading import _check_row
from quantviz.sensitivity.units import BY, check_by, unit_of
from tests.recorded import interface, tried
from tests.sensitivity.made_up import TENSORS, WEIGHTS, sensitivity_frame, sensitivity_row, sweep_frame


def told(found) -> object:
    if isinstance(found, str):
        return found
    points = found.points
    return [
        found.by,
        found.left_out,
        len(points),
        list(points.columns),
        {c: points[c].tolist() for c in points if points[c].dtype.kind == "f"},
        points["role"].tolist()[:9],
        {c: found.correlations[c].tolist() for c in found.correlations},
    ]


@pytest.mark.parametrize("by", BY)
def test_agreement(by, kept):
    for schemes, weighted in itertools.product((("int4-sym-b32",), ("int4-sym-b32", "nf4-b64")), (True, False)):
        swept = sweep_frame(schemes=schemes, weighted=weighted)
        units = list(dict.fromkeys(unit_of(name, by) if by != "tensor" else name for name in TENSORS))
        each = len(TENSORS) // len(units)
        rows = [
            sensitivity_row(unit, 0.001 * (1 + (7 * at) % 5), scheme, by=by, weights=WEIGHTS * each, tensors=each)
            for at, unit in enumerate(units)
            for scheme in schemes
        ]
        kept(told(tried(agreement, swept, frame_of(rows))))
        kept(told(tried(agreement, swept[:-1], frame_of(rows[:4]))))
    kept([tried(check_by, word) for word in (by, "head", "")])


def test_tables_that_do_not_go_together(kept):
    swept, measured = sweep_frame(), sensitivity_frame({name: 0.01 for name in TENSORS[:6]})
    mixed = pd.concat([measured, frame_of([sensitivity_row("layer 0", 0.1, by="layer")])])
    for pair in (
        (swept[["tensor"]], measured),
        (swept, measured[["unit"]]),
        (swept, mixed),
        (swept, measured[:0]),
        (swept, measured.assign(kl_mean=np.nan)),
        (swept, measured.assign(scheme="nf4-b64")),
        (swept, measured.assign(weights=3)),
        (swept, measured),
    ):
        kept(told(tried(agreement, *pair)))
    kept({name: [m.label, m.direction] for name, m in GRADES.items()})


def test_ranks_and_intervals(kept):
    kept(
        [
            repr(spearman(np.array(x, float), np.array(y, float)))
            for x, y in (
                ([1, 2, 3], [3, 5, 9]),
                ([1, 2, 3], [9, 5, 3]),
                ([1, 1, 2, 3], [1, 2, 2, 9]),
                ([1], [2]),
                ([2, 2], [1, 3]),
            )
        ]
    )
    kept(
        [
            [repr(end) for end in interval(rho, n)]
            for rho, n in itertools.product((-1.0, -0.3, 0.0, 0.8, 0.999, 1.0, float("nan")), (3, 4, 5, 28))
        ]
    )


def test_units_of_names(kept):
    names = (
        "model.layers.3.mlp.down_proj.weight",
        "blk.12.attn_q.weight",
        "lm_head.weight",
        "model.embed_tokens.weight",
        "model.layers.0.mlp.experts.7.up_proj.weight",
        "x",
    )
    kept({by: [unit_of(name, by) for name in names] for by in BY if by != "tensor"})


def test_parts_and_the_whole(kept):
    def trial(kl, places, mean=0.1):
        return SimpleNamespace(kl=np.array(kl), places=places, figures=SimpleNamespace(kl_mean=mean), kl_se=0.01)

    for parts in ([[1.0, 2.0], [0.5, 0.25]], [[0.0, 0.0]], [[1.0, 1.0]]):
        found = _joined(
            "demo", "int4-sym-b32", "tensor", [trial(kl, [10, 20]) for kl in parts], trial([1.5, 2.0], [10, 20]), ("x",)
        )
        kept([repr(value) for value in vars(found).values()])


def test_rows_of_a_file(kept):
    spec = SimpleNamespace(
        by="tensor", ref="demo", revision="0", version="0", tokens=8192, context=512, schemes=("int4-sym-b32",)
    )
    for change in (
        {},
        {"unit": "other"},
        {"scheme": "nf4-b64"},
        {"by": "layer"},
        {"weights": 0},
        {"weights": -1},
        {"tensors": 0},
        {"kl_mean": -0.1},
        {"kl_mean": None},
        {"kl_se": -1.0},
        {"kl_se": None},
        {"top1_agreement": 1.1},
        {"top1_agreement": -0.1},
        {"perplexity_ratio": 0.0},
        {"perplexity_ratio": float("inf")},
        {"seconds": -1.0},
        {"tokens": 1},
        {"tokens": 0},
        {"context": 3},
        {"refused": "Why."},
        {"refused": None},
        {"refused": "x" * 5000},
        {"ref": "else"},
        {"kl_mean": float("inf")},
        {"unit": None},
        {"weights": None},
    ):
        row = sensitivity_row("u", 0.01) | change
        kept(
            [
                change if "refused" not in change else 0,
                str(tried(_check_row, row, "u", "int4-sym-b32", spec, "x"))[:300],
            ]
        )


def test_the_interface(kept):
    kept(interface("sensitivity"))
