"""A glance at a tensor: the rows that a sample draws, as a tensor that evaluates to what those rows evaluate to."""

from __future__ import annotations

import numpy as np
import pytest

import quantviz as qv
from quantviz.sweep.glance import glance
from quantviz.sweep.sampling import Sample, strata

REFERENCES = ("random:normal?rows=600&cols=256&outliers=0.01", "demo")


@pytest.mark.parametrize("ref", REFERENCES)
def test_it_holds_the_rows_that_the_sample_draws(ref):
    model = qv.open_model(ref)
    info = max(model.tensors, key=lambda t: t.rows)
    sample = Sample(weights=20_000)
    few = glance(lambda a, b: model.open(info.name, (a, b)), info.rows, info.cols, sample)
    rows = [r for s in strata(info.rows, info.cols, sample) for band in s.bands for r in range(*band)]
    assert few.rows == len(rows) < info.rows
    assert np.array_equal(few.numpy(), model.load(info.name).reshape(info.rows, info.cols)[rows])
    assert (few.name, few.dtype) == (info.name, info.dtype)
    errors = [qv.evaluate(part, "int4-sym-b32").metrics["mse"] for part in (few, few.numpy())]
    assert errors[0] == errors[1]


def test_a_small_tensor_is_taken_whole():
    model = qv.open_model("random:normal?rows=8&cols=16")
    few = glance(lambda a, b: model.open("weight", (a, b)), 8, 16)
    assert np.array_equal(few.numpy(), model.load("weight"))
