"""Kernels compiled for an H100 without one, launched as the linear layer would, and what their machine code says."""

from __future__ import annotations

import re
import subprocess
import tempfile
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from quantviz.kernels.cuda.linear import kernels as triton_kernels
from quantviz.kernels.cuda.linear import linear as triton_linear
from quantviz.kernels.cuda.linear.packing import PackedWeights

TOOLS = Path(triton.__file__).parent / "backends" / "nvidia" / "bin"
H100 = GPUTarget("cuda", 90, 32)
TYPES = {torch.int32: "*i32", torch.int16: "*i16", torch.uint8: "*u8", torch.float32: "*fp32"}
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


class _Recorder:
    """Stands in for a kernel and keeps what it is launched with."""

    def __getitem__(self, grid: Any) -> Any:
        def launch(*args: Any, **kwargs: Any) -> None:
            self.args, self.kwargs = args, kwargs

        return launch


@contextmanager
def _recording(name: str, by_assembly: bool):
    """Within, the linear layer launches a recorder, for a device with an NVIDIA GPU's instructions or without."""
    kernel, ptx, recorder = getattr(triton_kernels, name), triton_linear.ptx, _Recorder()
    setattr(triton_kernels, name, recorder)
    triton_linear.ptx = lambda device: by_assembly
    try:
        yield recorder
    finally:
        setattr(triton_kernels, name, kernel)
        triton_linear.ptx = ptx


def compiled(packed: PackedWeights, batch: int, by_assembly: bool = True) -> Compiled:
    """The kernel that multiplies `batch` tokens on an H100; for more than 32 the one that dequantizes."""
    dtype = torch.bfloat16
    few, some = triton_linear.FEW, triton_linear.SOME
    name = "gemv_kernel" if batch <= few else "dot_kernel" if batch <= some else "dequantize_kernel"
    x = torch.zeros((batch, packed.shape[1]), dtype=dtype)
    y = torch.zeros((batch, packed.shape[0]), dtype=dtype)
    with _recording(name, by_assembly) as recorder:
        if batch > some:
            triton_linear.dequantized(packed, dtype)
        else:
            launch = triton_linear.launch_for(packed, batch, processors=1)
            (triton_linear._gemv if batch <= few else triton_linear._dot)(x, packed, y, launch)
    return _compile(getattr(triton_kernels, name), recorder.args, recorder.kwargs)


def _compile(kernel: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Compiled:
    """Specialised as Triton does at a launch: whole numbers that are 1, and what 16 divides."""
    names = kernel.arg_names
    values = dict(zip(names, args, strict=False)) | {k: v for k, v in kwargs.items() if k in names}
    signature, constants, attributes = {}, {}, {}
    for i, name in enumerate(names):
        value = values[name]
        if name in kwargs or (isinstance(value, int) and value == 1):
            signature[name], constants[(i,)] = "constexpr", value
            continue
        signature[name] = TYPES[value.dtype] if isinstance(value, torch.Tensor) else _number(value)
        if isinstance(value, torch.Tensor) or (isinstance(value, int) and value % 16 == 0):
            attributes[(i,)] = [["tt.divisibility", 16]]
    options = {k: v for k, v in kwargs.items() if k not in names}
    made = triton.compile(ASTSource(kernel, signature, constants, attributes), target=H100, options=options)
    return _read(made.asm["cubin"])


def _number(value: Any) -> str:
    return "i32" if isinstance(value, int) else "fp32"


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
