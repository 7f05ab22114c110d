"""Formats that are known and not read, each with what stands in the way."""

from __future__ import annotations

from collections.abc import Mapping

from ..layer import Found, Layer, Unreadable

_WHY: Mapping[str, str] = {
    "AWQ gemv_fast or llm-awq": "their order in 16-bit words is read by CUDA kernels alone",
    "Marlin": "their order is that of a GPU's registers, which CUDA kernels alone read",
    "EXL2": "how its groups of several widths and their scales are packed stands in CUDA kernels alone",
    "QuIP#": "it needs the E8 lattice's table and two Hadamard transforms, which its library has for CUDA alone",
    "QTIP": "it needs the trellis's table and two Hadamard transforms undone",
    "SpQR": "it needs tiles with scales of two levels, and the outliers that are kept apart, put together",
    "VPTQ": "it needs tables of vectors and of residuals, outlier columns and a permutation, put together",
    "GPTQ or AWQ": "its shapes are those of neither",
    "HIGGS": "it needs a table of vectors, and the Hadamard transform of each group undone",
    "FP-Quant": "it needs the Hadamard transform of each group undone",
}


def layer(found: Found) -> Layer:
    """Raises Unreadable with what reading this format would need."""
    raise Unreadable(f"quantviz does not decode them: {_WHY[found.format]}")


NAMES = tuple(_WHY)
