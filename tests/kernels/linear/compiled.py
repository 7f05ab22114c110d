"""Kernels compiled for an H100 without one, launched as the linear layer would, and what their machine code says."""

from __future__ import annotations

import re
import subprocess
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import triton

from quantviz.kernels.cuda.linear import linear as triton_linear
from quantviz.kernels.cuda.linear.packing import PackedWeights

from ..compiling import compiled_only

TOOLS = Path(triton.__file__).parent / "backends" / "nvidia" / "bin"
_INSTRUCTION = re.compile(r"/\*[0-9a-f]{4,5}\*/\s+(?:@!?U?P\d+\s+)?([A-Z0-9_.]+)")


@dataclass(frozen=True)
class Compiled:
    """registers of a thread, bytes of its stack, instructions by name, and how many of them the longest loop has."""

    registers: int
    stack: int
    instructions: Counter[str]
    loop: int

    def loads(self, eviction: str = "") -> set[str]:
        """Widths of loads from memory that say how long to keep what they read: "EF" first to leave, "EL" last."""
        return {n.split(".")[-1] for n in self.instructions if n.startswith("LDG") and f".{eviction}" in n}


def compiled(packed: PackedWeights, batch: int, by_assembly: bool = True) -> Compiled:
    """The kernel that multiplies `batch` tokens on an H100, with an NVIDIA GPU's instructions or without; for more than
    32 the one that dequantizes."""
    dtype = torch.bfloat16
    few, some = triton_linear.FEW, triton_linear.SOME
    x = torch.zeros((batch, packed.shape[1]), dtype=dtype)
    y = torch.zeros((batch, packed.shape[0]), dtype=dtype)
    ptx, triton_linear.ptx = triton_linear.ptx, lambda device: by_assembly
    try:
        with compiled_only() as made:
            if batch > some:
                triton_linear.dequantized(packed, dtype)
            else:
                launch = triton_linear.launch_for(packed, batch, processors=1)
                (triton_linear._gemv if batch <= few else triton_linear._dot)(x, packed, y, launch)
    finally:
        triton_linear.ptx = ptx
    return _read(made[-1].cubin)


def _read(cubin: bytes) -> Compiled:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "kernel.cubin"
        path.write_bytes(cubin)
        code = _tool("nvdisasm", "-c", path)
        usage = _tool("cuobjdump", "-res-usage", path)
    registers, stack = (int(re.search(rf"{what}:(\d+)", usage).group(1)) for what in ("REG", "STACK"))
    return Compiled(registers, stack, Counter(_INSTRUCTION.findall(code)), _longest_loop(code))


def _tool(name: str, *arguments: Any) -> str:
    return subprocess.run([TOOLS / name, *arguments], capture_output=True, text=True, check=True).stdout


def _longest_loop(code: str) -> int:
    """Instructions from a label to the branch back to it."""
    labels: dict[str, int] = {}
    count = longest = 0
    for line in code.splitlines():
        if label := re.match(r"(\.L_x_\d+):", line):
            labels[label.group(1)] = count
        if _INSTRUCTION.search(line):
            count += 1
            back = re.search(r"BRA `\((\.L_x_\d+)\)", line)
            if back and back.group(1) in labels:
                longest = max(longest, count - labels[back.group(1)])
    return longest
