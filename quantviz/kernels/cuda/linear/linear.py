"""The linear layer on a GPU: y = x · Wᵀ for packed weights, by the kernel that suits the number of tokens.

Up to 4 tokens multiply weights as they are unpacked, up to 32 go to tensor cores with weights dequantized in registers,
more to cuBLAS with weights dequantized in memory. Nothing waits for the device, so all of it can be captured in a CUDA
graph.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import nullcontext
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
import triton

from ....errors import QuantvizError
from . import kernels
from .decode import UNITS
from .layouts import flush_steps
from .packing import PackedWeights

FEW, SOME = 4, 32  # tokens up to which weights are multiplied as they are unpacked, and by tensor cores in one tile
DTYPES = {torch.float16: "float16", torch.bfloat16: "bfloat16"}
LARGEST_HALF = 65504.0
WARP_WORDS = 128  # columns that a warp takes, 4 a lane
# Registers of a thread at most. 128 let 16 warps run on a multiprocessor; the compiler left alone takes fewer and
# spills. All there are go to threads with three planes of words or a code book, and to tensor cores.
REGISTERS, ALL_REGISTERS = 128, 255
# Rows of a program by the number of tokens: as many as their sums leave registers for.
ROWS = {1: 4, 2: 4, 3: 2, 4: 2}
CODEBOOK_ROWS = 8  # of one token, for looking up takes so many instructions that those for x count

# ‖y - ŷ‖ / ‖ŷ‖ against the product in float64 of the scheme's own weights and the activations as given.
# y itself is rounded to 11 bits or 8, half a unit at most.
OUTPUT_ROUNDING = {torch.float16: 2.0**-11, torch.bfloat16: 2.0**-8}
# Products of up to 4 tokens are exact in float32: a code's value has 9 bits at most, or 11 from a code book, and an
# activation 11. Only their sums round, by 2^-24 each, in chains of 64 or less before they are added up in a tree.
SUM_ROUNDING = 2.0**-24 * 2.0**6
# nf4's levels are float16 numbers there, off by 2^-11 of themselves at most. (bnb_fp4's are exact, times 12.)
LEVEL_ROUNDING = 2.0**-11


def tolerance(packed: PackedWeights, dtype: torch.dtype, batch: int) -> float:
    """What ‖y - ŷ‖ / ‖ŷ‖ may be for these weights, activations' type and number of tokens; the parts are above.

    Beyond 4 tokens weights are rounded to the activations' type too. The errors of single products point either way,
    so that a sum's is as large, relative to it, as theirs; most are well below the half unit that is allowed.
    """
    weights = OUTPUT_ROUNDING[dtype] if batch > FEW else LEVEL_ROUNDING if packed.scheme.format == "nf4" else 0.0
    return OUTPUT_ROUNDING[dtype] + SUM_ROUNDING + weights


@dataclass(frozen=True)
class Launch:
    """How a kernel is cut in programs: rows and columns of words that one takes at a time; its warps, and registers of
    a thread at most."""

    rows: int
    words: int
    warps: int
    registers: int = REGISTERS


def interpreted() -> bool:
    """Whether Triton runs kernels in Python, on the CPU; told by TRITON_INTERPRET before Triton is imported."""
    return bool(triton.knobs.runtime.interpret)


def linear(x: torch.Tensor, packed: PackedWeights, out: torch.Tensor | None = None, launch: Launch | None = None):
    """y = x · Wᵀ, [tokens, rows] or [rows], in the type of x.

    x: float16 or bfloat16 [tokens, cols] or [cols], on the device of the weights.  out: where to write.
    launch: for measurements; None takes `launch_for`.
    Raises QuantvizError for no tokens, other shapes, types and devices, and where weights are too large for float16.
    """
    with _device_of(x):
        return _linear(x, packed, out, launch)


def _linear(x: torch.Tensor, packed: PackedWeights, out: torch.Tensor | None, launch: Launch | None) -> torch.Tensor:
    x2 = _checked(x, packed)
    y = torch.empty((len(x2), packed.shape[0]), dtype=x.dtype, device=x.device) if out is None else out
    if y.shape != (*x.shape[:-1], packed.shape[0]) and y.shape != (len(x2), packed.shape[0]):
        raise QuantvizError(f"The result has shape {[len(x2), packed.shape[0]]}, and `out` {list(y.shape)}.")
    if not y.is_contiguous() or y.dtype != x.dtype:
        raise QuantvizError(f"`out` has to be contiguous and {DTYPES[x.dtype]}, as the activations are.")
    if len(x2) > SOME:
        torch.matmul(x2, dequantized(packed, x.dtype).T, out=y.view(len(x2), -1))
    elif len(x2) > FEW:
        _dot(x2, packed, y, launch or launch_for(packed, len(x2)))
    else:
        _gemv(x2, packed, y, launch or launch_for(packed, len(x2)))
    return y.view(*x.shape[:-1], packed.shape[0])


def decode_step(layers: Iterable[tuple[torch.Tensor, PackedWeights, torch.Tensor]]) -> None:
    """Multiplies layer after layer, each an (activations, weights, result) of `linear`.

    With up to 32 tokens it allocates nothing and never waits, so a CUDA graph can capture it once it has run once.
    """
    for x, packed, out in layers:
        linear(x, packed, out)


def dequantized(packed: PackedWeights, dtype: torch.dtype, out: torch.Tensor | None = None) -> torch.Tensor:
    """The weights [rows, cols] in 16 bit: each as the scheme has it, rounded once."""
    rows, cols = packed.shape
    w = torch.empty((rows, cols), dtype=dtype, device=packed.words.device) if out is None else out
    take = Launch(4, WARP_WORDS, 1) if not interpreted() else Launch(_whole(rows), _whole(packed.row_words), 1)
    grid = (triton.cdiv(rows, take.rows), triton.cdiv(packed.row_words, take.words))
    book = packed.book.exact if packed.book else packed.words
    unit = 1.0 if packed.book else UNITS[packed.layout.kind]
    kernels.dequantize_kernel[grid](
        _weights(packed, book, unit), w.view(torch.int16), L=_constants(packed, dtype, take, 1),
        **options(take, packed.device),
    )  # fmt: skip
    return w


def launch_for(packed: PackedWeights, batch: int, processors: int | None = None) -> Launch:
    """Rows, words and warps of a program: more rows share what is read of x, as long as every processor has work.

    processors: multiprocessors of the device; None asks it. Chosen from compiled code, registers and instructions a
    weight, not from timings.
    """
    rows, words = packed.shape[0], packed.row_words
    if interpreted():
        return Launch(_whole(rows), _whole(words), 1)
    processors = processors or multiprocessors(packed.device)
    if batch > FEW:
        most = next((r for r in (64, 32) if rows >= r * processors), 16)
        return Launch(most, 32, 4 if most == 64 else 2, ALL_REGISTERS)
    # The widest program whose last step is not mostly beyond the row's end.
    warps = min((4, 2, 1), key=lambda n: (-(-words // (n * WARP_WORDS)) * n, -n))
    crowded = packed.layout.planes > 2 or packed.book is not None
    most = CODEBOOK_ROWS if packed.book is not None and batch == 1 else ROWS[batch]
    while most > 1 and rows < 2 * most * processors:
        most //= 2
    return Launch(most, warps * WARP_WORDS, warps, ALL_REGISTERS if crowded else REGISTERS)


def options(launch: Launch, device: str) -> dict[str, Any]:
    """What the compiler is told: warps, that products may be fused with their sums, and registers (NVIDIA's only)."""
    chosen = {"num_warps": launch.warps, "enable_fp_fusion": True}
    return {**chosen, "maxnreg": launch.registers} if ptx(device) else chosen


def _device_of(x: Any) -> Any:
    """Triton launches on the current device; this makes it the one that the activations are on."""
    return torch.cuda.device(x.device) if isinstance(x, torch.Tensor) and x.is_cuda else nullcontext()


@cache
def _multiplies_bfloat16(device: str) -> bool:
    """Whether the GPU's tensor cores take bfloat16."""
    return torch.version.cuda is None or torch.cuda.get_device_capability(device) >= (8, 0)


@cache
def multiprocessors(device: str) -> int:
    return torch.cuda.get_device_properties(device).multi_processor_count


def _whole(n: int) -> int:
    """All of n in one program, as suits an interpreter, whose programs are slow and may be as large as they like."""
    return max(16, triton.next_power_of_2(n))


def _gemv(x: torch.Tensor, packed: PackedWeights, y: torch.Tensor, take: Launch) -> None:
    kernels.gemv_kernel[(triton.cdiv(packed.shape[0], take.rows),)](
        x.view(torch.int16), _weights(packed, _levels(packed), _unit(packed)), y.view(torch.int16),
        L=_constants(packed, x.dtype, take, len(x)), **options(take, packed.device),
    )  # fmt: skip


def _dot(x: torch.Tensor, packed: PackedWeights, y: torch.Tensor, take: Launch) -> None:
    kernels.dot_kernel[(triton.cdiv(packed.shape[0], take.rows),)](
        x.view(torch.int16), _weights(packed, _levels(packed), _unit(packed)), y.view(torch.int16), len(x),
        L=_constants(packed, x.dtype, take, 16 if len(x) <= 16 else 32), **options(take, packed.device),
    )  # fmt: skip


def ptx(device: str) -> bool:
    """Whether kernels may use an NVIDIA GPU's own instructions: not when interpreted, nor on AMD's."""
    return device.startswith("cuda") and not interpreted() and torch.version.hip is None


def _weights(packed: PackedWeights, levels: torch.Tensor, unit: float) -> kernels.Weights:
    zeros = packed.scales if packed.zeros is None else packed.zeros  # read only where there are any
    return kernels.Weights(
        packed.words, packed.scales, zeros, levels, *packed.shape, packed.row_words, packed.group[0],
        packed.scales.shape[1], packed.zero, packed.factor, unit,
    )  # fmt: skip


def _constants(packed: PackedWeights, dtype: torch.dtype, take: Launch, tokens: int) -> kernels.Constants:
    layout, group = packed.layout, packed.group[1]
    return kernels.Constants(
        layout.kind, layout.bits, layout.planes, layout.steps, flush_steps(layout, group), group, packed.scale_type,
        packed.zeros is not None, dtype == torch.bfloat16, ptx(packed.device), take.rows, take.words, tokens,
    )  # fmt: skip


def _levels(packed: PackedWeights) -> torch.Tensor:
    if packed.book is None:
        return packed.words  # never read
    return packed.book.tables if ptx(packed.device) else packed.book.held


def _unit(packed: PackedWeights) -> float:
    return 1.0 / packed.book.unit if packed.book else UNITS[packed.layout.kind]


def _checked(x: torch.Tensor, packed: PackedWeights) -> torch.Tensor:
    """[tokens, cols], contiguous."""
    rows, cols = packed.shape
    if not isinstance(x, torch.Tensor) or x.dtype not in DTYPES:
        what = str(x.dtype).removeprefix("torch.") if isinstance(x, torch.Tensor) else type(x).__name__
        raise QuantvizError(f"The GPU kernels take activations in float16 or bfloat16, not {what}; convert them.")
    if str(x.device) != packed.device:
        raise QuantvizError(f"The activations are on {x.device} and the weights on {packed.device}; move one of them.")
    if x.ndim not in (1, 2) or x.shape[-1] != cols:
        raise QuantvizError(f"The activations have shape {list(x.shape)}, and this layer takes rows of {cols:,}.")
    if x.device.type != "cuda" and not interpreted():
        raise QuantvizError(f"Triton's kernels need a CUDA device, and these weights are on {x.device}.")
    x2 = x.reshape(-1, cols).contiguous()
    if not len(x2):
        raise QuantvizError("There is no token to multiply: the batch is 0; give at least 1.")
    if len(x2) > FEW and x.dtype == torch.bfloat16 and x.is_cuda and not _multiplies_bfloat16(packed.device):
        raise QuantvizError(
            f"This GPU multiplies no bfloat16, which more than {FEW} tokens need; use float16 activations, or up to "
            f"{FEW} tokens."
        )
    if len(x2) > FEW and x.dtype == torch.float16 and packed.largest > LARGEST_HALF:
        raise QuantvizError(
            f"These weights reach {packed.largest:.3g}, and more than {FEW} tokens need them in float16, which ends at "
            f"{LARGEST_HALF:,.0f}; use bfloat16 activations."
        )
    return x2
