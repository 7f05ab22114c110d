"""Which compiled functions each of the plain block types, k-quants, ternary and 4-bit float types has."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from . import fp4, ternary
from . import plain as simple
from .k import read as k_read
from .k import write as k
from .weighted import weighted


def _on_super_blocks(run: Callable, dequantize: Callable) -> tuple[Callable, Callable, Callable]:
    """A k-quant's entry from its one quantizer (x [blocks, 256], importance [blocks a row, 256] or None, out)."""

    def plain(x: np.ndarray, out: np.ndarray) -> None:
        run(x, None, out)

    def weighted(x: np.ndarray, importance: np.ndarray, out: np.ndarray) -> None:
        blocks = x.reshape(-1, 256)
        run(blocks, importance.reshape(-1, 256), out.reshape(len(blocks), -1))

    return plain, weighted, dequantize


# name -> (quantize, weighted or None, dequantize), as BlockKernels takes them
KERNELS: dict[str, tuple] = {
    "q4_0": (simple.centred(4), weighted(4, False), simple.read_nibbles(4, False)),
    "q4_1": (simple.from_minimum(4), weighted(4, True), simple.read_nibbles(4, True)),
    "q5_0": (simple.centred(5), weighted(5, False), simple.read_nibbles(5, False)),
    "q5_1": (simple.from_minimum(5), weighted(5, True), simple.read_nibbles(5, True)),
    "q8_0": (simple.quantize_q8_0, None, simple.dequantize_q8_0),
    "q2_k": _on_super_blocks(k.with_minimum(2), k_read.dequantize_q2_k),
    "q3_k": _on_super_blocks(k.quantize_q3_k, k_read.dequantize_q3_k),
    "q4_k": _on_super_blocks(k.with_minimum(4), k_read.dequantize_with_minimum(4)),
    "q5_k": _on_super_blocks(k.with_minimum(5), k_read.dequantize_with_minimum(5)),
    "q6_k": _on_super_blocks(k.quantize_q6_k, k_read.dequantize_q6_k),
    "tq1_0": (ternary.quantize_tq1_0, None, ternary.dequantize_tq1_0),
    "tq2_0": (ternary.quantize_tq2_0, None, ternary.dequantize_tq2_0),
    "q1_0": (ternary.quantize_q1_0, None, ternary.dequantize_q1_0),
    "q2_0": (ternary.quantize_q2_0, None, ternary.dequantize_q2_0),
    "gguf_mxfp4": (fp4.quantize_mxfp4, None, fp4.dequantize_mxfp4),
    "gguf_nvfp4": (fp4.quantize_nvfp4, None, fp4.dequantize_nvfp4),
}
