"""GGUF's block types on the device: all of them read, the simple ones written, bytes and bits as ggml has them."""

from __future__ import annotations

import torch

from ...block_types import BLOCK_TYPES, block_type, check_cols
from ...errors import QuantvizError
from .block_readers import READERS
from .device import using
from .job import is_bf16, raw, tile_weights

# Written by a kernel: how its scale is found, and bits of a code.
WRITTEN = {
    "q4_0": ("centred", 4), "q4_1": ("minimum", 4), "q5_0": ("centred", 5), "q5_1": ("minimum", 5), "q8_0": ("q8_0", 8),
}  # fmt: skip
PIECE = 1 << 24  # weights read at a time: reading takes a few times their size in memory


def quantize_rows(name: str, x: torch.Tensor) -> torch.Tensor:
    """The bytes ggml writes: float32, float16 or bfloat16 [rows, cols] on the device -> uint8 [rows, row bytes] there.

    Weights have to be finite. Raises QuantvizError for a type that has no kernel here, and a row length that is no
    multiple of its block. Importance is what these types are written without.
    """
    from .block_kernels import quantize_blocks_kernel

    kind = block_type(name)
    if name not in WRITTEN:
        raise QuantvizError(f"The engine cuda writes {', '.join(WRITTEN)}, not {name}; choose the engine cpu for it.")
    rows, cols = x.shape
    check_cols(kind, cols)
    blocks, count = rows * cols // kind.block, tile_weights() // kind.block
    rule, bits = WRITTEN[name]
    with using(x.device, x.nbytes):
        out = torch.empty((rows, kind.row_bytes(cols)), dtype=torch.uint8, device=x.device)
        quantize_blocks_kernel[(-(-blocks // count),)](
            raw(x.contiguous()), out, blocks, NAME=rule, BITS=bits, NBYTES=kind.nbytes, BF16=is_bf16(x), COUNT=count,
            num_warps=8, enable_fp_fusion=False,
        )  # fmt: skip
    return out


def dequantize_rows(name: str, data: torch.Tensor, cols: int) -> torch.Tensor:
    """The weights ggml reads: uint8 [rows, row bytes] on the device -> float32 [rows, cols] there.

    Plain torch, piece by piece. Raises QuantvizError for an unknown type, a row length that is no multiple of its
    block, and rows of other bytes.
    """
    kind = block_type(name)
    check_cols(kind, cols)
    if data.dtype != torch.uint8 or data.ndim != 2 or data.shape[1] != kind.row_bytes(cols):
        raise QuantvizError(
            f"Rows of {cols:,} weights take {kind.row_bytes(cols):,} bytes each in {name}; "
            f"this is {str(data.dtype).removeprefix('torch.')} of shape {list(data.shape)}."
        )
    step = max(1, PIECE // kind.block)
    with using(data.device, 4 * len(data) * cols):
        stored = data.reshape(-1, kind.nbytes)
        out = torch.empty((len(stored), kind.block), dtype=torch.float32, device=data.device)
        for first in range(0, len(stored), step):
            out[first : first + step] = READERS[name](stored[first : first + step].contiguous()).values
    return out.reshape(len(data), cols)


assert READERS.keys() == BLOCK_TYPES.keys()
