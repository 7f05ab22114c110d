"""Double quantization: the scales of nf4 and bnb_fp4 stored in 8 bits each, as bitsandbytes nests them.

The mean of all scales is taken off, and what remains is quantized in groups of 256 under their largest magnitude,
with the "dynamic" map of Dettmers (arXiv 1511.04561): 127 values of either sign, 0 and 1, whose spacing grows
tenfold from decade to decade. Codes of weights are made with the exact scales, and only values with the restored.

Bit for bit this is `quantize_4bit(..., compress_statistics=True)` of bitsandbytes 0.50 on the CPU. Its mean and its
map are torch's, whose last bit depends on the processor and the number of threads; so both are asked of torch here.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np

from ..errors import QuantvizError

GROUP = 256  # scales that share a second-level scale
NESTED_BITS = 8  # of a scale that is quantized itself
DECADES = 7
STEPS = 1 << 16  # bitsandbytes looks codes up in a table with this many entries over [-1, 1]

f4 = np.float32


@dataclass(frozen=True, eq=False)
class Nested:
    """What is stored in place of float32 scales.

    codes: uint8, in the shape of the scales.  offset: float32, the mean of the scales.
    absmax2: float32 [ceil(scales / 256)], the second-level scale of each group, scales taken flat.
    """

    codes: np.ndarray
    offset: np.float32
    absmax2: np.ndarray

    @cached_property
    def restored(self) -> np.ndarray:
        """float32 scales, in the shape of the codes: map[code] · absmax2 + offset. One near 0 may come back below 0."""
        values = dynamic_map()[self.codes.ravel()] * self.absmax2.repeat(GROUP)[: self.codes.size]
        return (values + self.offset).reshape(self.codes.shape)


def nest(absmax: np.ndarray) -> Nested:
    """Quantizes scales, float32 of any shape with at least one element, taken flat in C order.

    Raises QuantvizError where their mean is beyond float32.

    >>> n = nest(np.linspace(1, 2, 512, dtype=np.float32))
    >>> n.codes.dtype, n.offset, n.absmax2.shape, n.restored.shape
    (dtype('uint8'), np.float32(1.5), (2,), (512,))
    """
    import torch

    flat = np.ascontiguousarray(absmax, f4).reshape(-1)
    offset = f4(torch.from_numpy(flat).mean().item())
    if not np.isfinite(offset):
        raise QuantvizError(
            "The scales are too large for double=1: their mean goes beyond float32's largest number, 3.4e38; leave "
            "double=1 out or divide the tensor by its largest weight."
        )
    rest = np.zeros((-(-flat.size // GROUP), GROUP), f4)
    rest.reshape(-1)[: flat.size] = flat - offset
    absmax2 = np.abs(rest).max(axis=1)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        unit = rest * (1 / absmax2)[:, None]
    codes = _table()[_step(unit)].reshape(-1)[: flat.size]
    return Nested(codes.reshape(absmax.shape), offset, absmax2)


def nested_bits(scales: int) -> int:
    """Bits that `scales` nested scales take: 8 each, 32 for every 256, and 32 for the offset.

    >>> nested_bits(1000)
    8160
    """
    return NESTED_BITS * scales + 32 * -(-scales // GROUP) + 32


@cache
def dynamic_map() -> np.ndarray:
    """float32 [256] in rising order, read-only: the value of each code, in units of the second-level scale.

    A decade 10^-(6-i) is cut into 2^i equal parts between 0.1 and 1, whose middles are the values.
    """
    import torch

    decades = []
    for i in range(DECADES):
        edges = torch.linspace(0.1, 1, 2**i + 1)
        middles = (edges[:-1] + edges[1:]) / 2
        decades.append((10.0 ** (i + 1 - DECADES) * middles).numpy())
    magnitudes = np.concatenate(decades)
    values = np.concatenate([-magnitudes[::-1], f4([0]), magnitudes, f4([1])])
    values.setflags(write=False)
    return values


@cache
def _table() -> np.ndarray:
    """uint8 [STEPS]: the nearest code, ties to the lower, of each of the equidistant values that `_step` rounds to."""
    values = dynamic_map()
    middles = f4(0.5) * (values[:-1] + values[1:])
    points = f4(-1) + f4(2) * np.arange(STEPS, dtype=f4) / f4(STEPS - 1)
    return np.searchsorted(middles, points).astype(np.uint8)


def _step(unit: np.ndarray) -> np.ndarray:
    """Entries of the table for values in [-1, 1]; NaN, of a group of zeros or of subnormals, takes the first."""
    v = np.fmin(np.fmax(unit, f4(-1)), f4(1))
    return ((v + f4(1)) * f4(0.5) * f4(STEPS - 1) + f4(0.5)).astype(np.intp)
