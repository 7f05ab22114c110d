"""What a scheme makes of weights goes into a model as finite numbers, and its error is told, or it is refused."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from quantviz import QuantvizError
from quantviz.quality.model.replacing import place
from quantviz.schemes import Scheme
from quantviz.tensors import as_stored

NORMAL = np.random.default_rng(0).standard_normal((8, 64), dtype=np.float32)


@pytest.mark.parametrize("size", [1e-40, 1e-20, 1.0, 1e20, 1e38])
def test_the_error_is_told_at_any_size(size: float) -> None:
    x = (NORMAL / np.abs(NORMAL).max() * size).astype(np.float32)
    into = torch.zeros(x.shape)
    change = place(as_stored(x), Scheme.parse("int4-sym-b32:scale=fp32"), into)
    error = into.numpy().astype(np.float64) - x
    assert math.isclose(change.squared, np.square(x, dtype=np.float64).sum(), rel_tol=1e-5)
    assert math.isclose(change.squared_error, np.square(error).sum(), rel_tol=1e-5)
    assert math.isfinite(change.relative_error)


def test_what_the_model_cannot_keep_is_refused() -> None:
    x = np.full((4, 64), 65504, np.float32)
    with pytest.raises(QuantvizError, match="beyond the largest number of float16, in which the model keeps it"):
        place(as_stored(x), Scheme.parse("nf4-b64:scale=bf16"), torch.zeros(x.shape, dtype=torch.float16))


def test_what_rotating_makes_infinite_is_refused() -> None:
    x = np.full((4, 64), np.finfo(np.float32).max, np.float32)
    with pytest.raises(QuantvizError, match="too large for mxfp4:rotate=hadamard.*leave rotate=hadamard out"):
        place(as_stored(x), Scheme.parse("mxfp4:rotate=hadamard"), torch.zeros(x.shape))
