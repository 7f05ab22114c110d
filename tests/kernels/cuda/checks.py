"""What is asked of the engine cuda, wherever its kernels run: in Triton's interpreter (device "cpu") or on a GPU."""

from __future__ import annotations

import numpy as np
import torch

from quantviz.kernels import cuda, reference
from quantviz.kernels.arrays import as_numpy
from quantviz.kernels.bins import Bins, value_bins
from quantviz.kernels.reference.blocks import BORROWED
from quantviz.kernels.results import Pass
from quantviz.metrics import PERCENTILES
from quantviz.schemes import Scheme

from ..test_engines import BLOCK_TOLERANCE, METRIC_TOLERANCE

PARTS = ("codes", "scales", "zero_points", "minima", "kept_index", "kept_values", "data")
assert PERCENTILES  # read from the counts that are compared below


def same_codes(x: torch.Tensor, key: str, device: str, importance: np.ndarray | None = None) -> None:
    """x on the CPU, in any dtype the kernels read: equal to `reference` on the CPU, in every field and every bit."""
    scheme = Scheme.parse(key)
    ours, theirs = cuda.quantize(x.to(device), scheme, importance), reference.quantize(x.float(), scheme, importance)
    assert ours.codes.device.type == device, key
    y = cuda.dequantize(ours).cpu()
    ours = as_numpy(ours)
    expected = as_numpy(theirs)
    for name in PARTS:
        a, b = getattr(ours, name), getattr(expected, name)
        assert (a is None) == (b is None), f"{name}, {key}"
        if a is not None:
            assert (a.dtype, a.shape) == (b.dtype, b.shape), f"{name}, {key}"
            np.testing.assert_array_equal(a, b, err_msg=f"{name}, {key}")
    assert (ours.tensor_scale, ours.shape) == (theirs.tensor_scale, theirs.shape), key
    assert own(ours.notices) == own(theirs.notices), key
    same_bits(y.numpy(), reference.dequantize(theirs).numpy(), f"values, {key}")


def same_bits(a: np.ndarray, b: np.ndarray, where: str) -> None:
    """Equal bits; of what is no number, which a block type's infinite scale makes, only that it is none."""
    bits = [np.where(np.isnan(v), np.uint32(0x7FC00000), v.view(np.uint32)) for v in (a, b)]
    np.testing.assert_array_equal(*bits, err_msg=where)


def same_measure(x: torch.Tensor, key: str, device: str, importance: np.ndarray | None = None, statistics=None) -> Pass:
    """The sums within rounding, the counts equal."""
    scheme = Scheme.parse(key)
    wide = x.float()
    bins = value_bins(float(wide.min()), float(wide.max())), _error_bins(wide, scheme)
    theirs = reference.measure(wide, scheme, bins, importance)
    ours = cuda.measure(x.to(device), scheme, bins, importance, statistics)
    same_sums(ours, theirs, key)
    for name in ("dequantized", "error", "abs_error_log", "codes", "zeroed", "clipped", "least_error"):
        np.testing.assert_array_equal(
            getattr(ours.counts, name), getattr(theirs.counts, name), err_msg=f"{name}, {key}"
        )
    np.testing.assert_allclose(
        ours.counts.block_rmse, theirs.counts.block_rmse, rtol=BLOCK_TOLERANCE, atol=1e-30,
        err_msg=key,
    )  # fmt: skip
    assert ours.counts.block_rmse.shape == theirs.counts.block_rmse.shape, key
    return ours


def same_sums(ours: Pass, theirs: Pass, where: str) -> None:
    assert own(ours.notices) == own(theirs.notices), where
    for name, value in vars(theirs.sums).items():
        mine = getattr(ours.sums, name)
        assert (mine is None) == (value is None), f"{name}, {where}"
        if value is not None:
            np.testing.assert_allclose(mine, value, rtol=METRIC_TOLERANCE, atol=1e-45, err_msg=f"{name}, {where}")


def own(notices: tuple[str, ...]) -> list[str]:
    """What is said of the tensor, without who made the bytes of a block type."""
    return [n for n in notices if n != BORROWED]


def _error_bins(x: torch.Tensor, scheme: Scheme) -> Bins:
    span = float((reference.dequantize(reference.quantize(x, scheme)) - x).abs().max()) * 0.8 or 1e-30
    return Bins(np.float32(-span), np.float32(span), 512)
