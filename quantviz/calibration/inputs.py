"""Inputs quantized as act= says, and what that does to a layer's output beside the error of its weights.

With Ŵ what the weights became and Q(x) what an input became, both in the layer's own terms, the output's error is

    Ŵ·Q(x) - W·x  =  (Ŵ - W)·x  +  Ŵ·(Q(x) - x),

a part of the weights and a part of the inputs. Their squared lengths add up to that of the whole but for what the two
parts have in common, which is little as long as the rounding of inputs does not follow the inputs themselves.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from ..schemes import Scheme
from ..schemes.inputs import INPUT_SCHEMES
from ..tensors import StoredTensor

_BAND = 1024  # rows of weights in float64 at once
_LOST = "No sample of the layer's inputs is in this calibration, so what {} does to its output is not known."
_NEEDED = "{} quantizes the layer's inputs and changes nothing of its weights: what it costs shows in the layer's " \
    "output, which takes a calibration."  # fmt: skip


def quantized_inputs(x: np.ndarray, scheme: Scheme, input_scales: np.ndarray | None = None) -> np.ndarray:
    """Q(x), float32 [tokens, cols], of inputs float32 [tokens, cols]; x itself where a scheme leaves inputs alone.

    What is rounded is what meets the codes: inputs divided by `input_scales` (those of awq and smooth, float32 [cols])
    and with rotate=hadamard rotated like a row of the weights. Given back is what that stands for in x's own terms.

    >>> x = np.array([[1.0, 0.3, 127.0]], np.float32)
    >>> quantized_inputs(x, Scheme.parse("int4:act=int8-token"))
    array([[  1.,   0., 127.]], dtype=float32)
    """
    if scheme.act is None or not len(x):
        return x
    scaled = x if input_scales is None else x / input_scales
    made = _rounded(np.ascontiguousarray(scaled, np.float32), scheme)
    return made if input_scales is None else made * input_scales


def met(x: np.ndarray, scheme: Scheme, input_scales: np.ndarray | None = None) -> np.ndarray:
    """What of inputs float32 [tokens, cols] meets the codes of a scheme: divided and rotated as its weights were."""
    x = np.ascontiguousarray(x if input_scales is None else x / input_scales, np.float32)
    if scheme.rotate == "none":
        return x
    import torch

    from ..kernels.rotation import rotate

    return rotate(torch.from_numpy(np.require(x, requirements="W"))).numpy()


def scheme_of_inputs(scheme: Scheme) -> Scheme:
    """How act= quantizes inputs that are not yet rotated: rotate=hadamard does so there and back.

    >>> scheme_of_inputs(Scheme.parse("int4-sym-b32:rotate=hadamard,act=mxfp4")).key
    'mxfp4:rotate=hadamard'
    """
    return replace(Scheme.parse(INPUT_SCHEMES[scheme.act]), rotate=scheme.rotate)


def reaches_over_tokens(scheme: Scheme) -> bool:
    """Whether act= makes a scale of all tokens together."""
    return scheme.act is not None and scheme_of_inputs(scheme).needs_tensor_maximum


def _rounded(x: np.ndarray, scheme: Scheme) -> np.ndarray:
    from ..kernels.cpu import reconstruct

    how, made = scheme_of_inputs(scheme), np.empty_like(x)

    def visit(first: int, _: np.ndarray, y: np.ndarray) -> None:
        made[first : first + len(y)] = y

    reconstruct(StoredTensor(x.reshape(-1), "float32", x.shape, "the layer's inputs"), how, visit=visit)
    return made


@dataclass(frozen=True)
class Lengths:
    """Σ over tokens of squared lengths: of W·x, of the whole error, of the weights' part and of the inputs' part."""

    signal: float
    whole: float
    weights: float
    inputs: float

    @property
    def relative_error(self) -> float:
        return math.sqrt(self.whole / self.signal) if self.signal > 0 else math.nan


def lengths(
    w: np.ndarray, errors: np.ndarray, x: np.ndarray, made: np.ndarray, check: Callable[[], None] | None = None
) -> Lengths:
    """w: W, and errors: Ŵ - W, both float32 [rows, cols].  x, made: inputs and Q(x), float32 [tokens, cols].

    check: called now and then; may raise to stop.
    """
    inputs = x.astype(np.float64).T
    moved = made.astype(np.float64).T - inputs
    sums = np.zeros(4)
    for row in range(0, len(w), _BAND):
        weights, error = (a[row : row + _BAND].astype(np.float64) for a in (w, errors))
        of_weights, of_inputs = error @ inputs, (weights + error) @ moved
        for place, y in enumerate((weights @ inputs, of_weights + of_inputs, of_weights, of_inputs)):
            sums[place] += np.einsum("ij,ij", y, y)
        if check:
            check()
    return Lengths(*sums.tolist())


def joint_metrics(
    w: np.ndarray, errors: np.ndarray, scheme: Scheme, inputs: np.ndarray | None, heldout: np.ndarray | None,
    input_scales: np.ndarray | None = None, check: Callable[[], None] | None = None,
) -> dict[str, float]:  # fmt: skip
    """The output's error with inputs quantized too, over a sample of inputs and over held-out ones, each where there
    are any; and which shares of the first are the weights' and the inputs'.
    """
    found, split = {}, {}
    for x, name in ((inputs, "joint_output_relative_error"), (heldout, "heldout_joint_output_relative_error")):
        if scheme.act is None or x is None or not len(x):
            continue
        of = lengths(w, errors, x, quantized_inputs(x, scheme, input_scales), check)
        found[name] = of.relative_error
        if x is inputs:
            split["output_share_of_weights"] = of.weights / of.whole if of.whole else math.nan
            split["output_share_of_inputs"] = of.inputs / of.whole if of.whole else math.nan
    return found | split


def remarks(scheme: Scheme, calibrated: bool, sampled: bool) -> tuple[str, ...]:
    """What a reader should know where the error with quantized inputs is not measured."""
    if scheme.act is None or (calibrated and sampled):
        return ()
    return ((_LOST if calibrated else _NEEDED).format(f"act={scheme.act}"),)
