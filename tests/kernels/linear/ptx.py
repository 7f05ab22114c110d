"""The instructions that the linear kernels write as inline PTX, run by NumPy, as the PTX ISA defines each.

`emulate()` lets Triton's interpreter run kernels with their inline assembly in place of the plain path.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from types import SimpleNamespace

import numpy as np

u4, u2, f2 = np.uint32, np.uint16, np.float16


def run(text: str, inputs: list[np.ndarray]) -> list[np.ndarray]:
    """The outputs of a block of PTX, float32, for uint32 inputs; $0, $1 … are outputs first, then inputs."""
    outputs = max(int(n) for n in re.findall(r"cvt\.f32\.f16 \$(\d+)", text)) + 1
    values = {f"${outputs + i}": np.asarray(v, u4) for i, v in enumerate(inputs)}
    body = text.strip().removeprefix("{").removesuffix("}")
    for statement in body.split(";"):
        if statement.strip() and not statement.strip().startswith(".reg"):
            name, rest = statement.split(maxsplit=1)
            _step(name, rest, values)
    return [values[f"${i}"] for i in range(outputs)]


def _step(name: str, rest: str, values: dict[str, np.ndarray]) -> None:
    if split := re.fullmatch(r"\{(\w+), (\w+)\}, (\S+)", rest.strip()):
        assert name == "mov.b32"
        lower, upper, word = split.groups()
        values[lower], values[upper] = values[word].astype(u2), (values[word] >> u4(16)).astype(u2)
        return
    target, *sources = (part.strip() for part in rest.split(","))
    values[target] = _OPERATIONS[name](*(_operand(source, values) for source in sources))


def _operand(text: str, values: dict[str, np.ndarray]) -> np.ndarray:
    return values[text] if text in values else u4(int(text, 0))


def _lop3(a, b, c, table):
    """Every bit of the result is the table's at the place that the bits of a, b and c spell."""
    out = np.zeros(np.broadcast_shapes(*map(np.shape, (a, b, c))), u4)
    for place in range(8):
        if int(table) >> place & 1:
            out |= (a if place & 4 else ~a) & (b if place & 2 else ~b) & (c if place & 1 else ~c)
    return out


def _prmt(a, b, selector):
    """Byte i is byte s of (b, a), s the lower 3 bits of selector nibble i; the nibble's upper bit spreads its sign."""
    both = [(v >> u4(8 * i)) & u4(255) for v in (a, b) for i in range(4)]
    out = u4(0)
    for i in range(4):
        nibble = (selector >> u4(4 * i)) & u4(15)
        byte = np.choose(nibble & u4(7), np.broadcast_arrays(*both, nibble)[:8])
        spread = np.where(byte & u4(128), u4(255), u4(0))
        out = out | (np.where(nibble & u4(8), spread, byte) << u4(8 * i)).astype(u4)
    return out


def _fma_half(a, b, c):
    """a·b + c of both halves, rounded once: float64 holds the exact result of these operands."""

    def half(word, shift):
        return (word >> u4(shift)).astype(u2).view(f2).astype(np.float64)

    lower, upper = ((half(a, s) * half(b, s) + half(c, s)).astype(f2).view(u2).astype(u4) for s in (0, 16))
    return lower | upper << u4(16)


_OPERATIONS = {
    "lop3.b32": _lop3,
    "prmt.b32": _prmt,
    "fma.rn.f16x2": _fma_half,
    "and.b32": np.bitwise_and,
    "shr.u32": np.right_shift,
    "shl.b32": np.left_shift,
    "cvt.f32.f16": lambda half: half.view(f2).astype(np.float32),
}


@contextlib.contextmanager
def emulate() -> Iterator[list[str]]:
    """Within, Triton's interpreter runs inline assembly by `run`. Gives the texts that were run."""
    from triton.language import float32
    from triton.runtime.interpreter import InterpreterBuilder, TensorHandle

    seen: list[str] = []

    def inline(self, text, constraints, handles, types, pure, pack):
        assert pack == 1 and pure and constraints.count("=f") == len(types)
        seen.append(text)
        arrays = np.broadcast_arrays(*(h.data for h in handles))
        results = run(text, [np.ascontiguousarray(a).astype(np.int32).view(u4) for a in arrays])
        return SimpleNamespace(get_result=lambda i: TensorHandle(results[i], float32))

    before = InterpreterBuilder.create_inline_asm
    InterpreterBuilder.create_inline_asm = inline
    try:
        yield seen
    finally:
        InterpreterBuilder.create_inline_asm = before
