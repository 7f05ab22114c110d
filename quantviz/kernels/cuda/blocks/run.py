"""GGUF's block types on the device: all of them read, the simple ones written, bytes and bits as ggml has them."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from ....block_types import BlockType, block_type, check_cols, check_rows
from ....errors import QuantvizError
from ..device import using
from ..job import is_bf16, raw, tile_weights
from .write import WRITERS

# Written by a kernel: how its scale is found, and bits of a code.
KERNELS = {
    "q4_0": ("centred", 4), "q4_1": ("minimum", 4), "q5_0": ("centred", 5), "q5_1": ("minimum", 5), "q8_0": ("q8_0", 8),
}  # fmt: skip
WRITTEN = (*KERNELS, *WRITERS)
PIECE = 1 << 24  # weights that plain torch takes at a time: it needs a few times their size in memory


def quantize_rows(name: str, x: torch.Tensor) -> torch.Tensor:
    """The bytes ggml writes: float32, float16 or bfloat16 [rows, cols] on the device -> uint8 [rows, row bytes] there.

    Weights have to be finite. Raises QuantvizError for a type that has no kernel here, and a row length that is no
    multiple of its block. Importance is what these types are written without.
    """
    kind = block_type(name)
    if name not in WRITTEN:
        raise QuantvizError(f"The engine cuda writes {', '.join(WRITTEN)}, not {name}; choose the engine cpu for it.")
    check_cols(kind, x.shape[1])
    out = torch.empty((len(x), kind.row_bytes(x.shape[1])), dtype=torch.uint8, device=x.device)
    weights, packed = x.reshape(-1, kind.block), out.view(-1, kind.nbytes)
    with using(x.device, x.nbytes):
        if name in KERNELS:
            _run_kernel(kind, weights, packed)
        else:
            for part in pieces(kind, len(packed)):
                packed[part] = WRITERS[name](weights[part].float())
    return out


def _run_kernel(kind: BlockType, x: torch.Tensor, out: torch.Tensor) -> None:
    from .write_kernel import quantize_blocks_kernel

    rule, bits = KERNELS[kind.name]
    count = tile_weights() // kind.block
    quantize_blocks_kernel[(-(-len(x) // count),)](
        raw(x.contiguous()), out, len(x), NAME=rule, BITS=bits, NBYTES=kind.nbytes, BF16=is_bf16(x), COUNT=count,
        num_warps=8, enable_fp_fusion=False,
    )  # fmt: skip


def pieces(kind: BlockType, blocks: int) -> Iterator[slice]:
    """Ranges of blocks of about PIECE weights each."""
    step = max(1, PIECE // kind.block)
    return (slice(first, first + step) for first in range(0, blocks, step))


def dequantize_rows(name: str, data: torch.Tensor, cols: int) -> torch.Tensor:
    """The weights ggml reads: uint8 [rows, row bytes] on the device -> float32 [rows, cols] there.

    Plain torch, piece by piece. Raises QuantvizError for an unknown type, a row length that is no multiple of its
    block, and rows of other bytes.
    """
    kind = block_type(name)
    check_rows(kind, data, cols)
    with using(data.device, 4 * len(data) * cols):
        stored = data.reshape(-1, kind.nbytes)
        out = torch.empty((len(stored), kind.block), dtype=torch.float32, device=data.device)
        for part in pieces(kind, len(stored)):
            out[part] = kind.unpack(stored[part]).values
    return out.reshape(len(data), cols)
