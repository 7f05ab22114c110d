"""Kernels compiled for an H100 on a machine without one: what the host code would launch, as it would launch it."""

from __future__ import annotations

import contextlib
import re
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import triton
from triton.backends.compiler import GPUTarget
from triton.runtime.jit import JITFunction

H100 = GPUTarget("cuda", 90, 32)


@dataclass(frozen=True, eq=False)
class Compiled:
    """One kernel. ptx: its assembly; cubin: the machine code that ptxas made of it."""

    name: str
    ptx: str
    cubin: bytes

    @property
    def widest_load(self) -> int:
        """Bits of the widest load from global memory."""
        found = re.findall(r"ld\.global[\w.:]*?(?:\.v(\d))?\.b(\d+)", self.ptx)
        return max((int(count or 1) * int(bits) for count, bits in found), default=0)

    @cached_property
    def usage(self) -> dict[str, int]:
        """Registers a thread (REG), bytes of its stack (STACK) and of local memory (LOCAL), where registers spill."""
        return {name: int(n) for name, n in re.findall(r"(REG|STACK|LOCAL):(\d+)", self._dump("-res-usage"))}

    @cached_property
    def spills(self) -> bool:
        """Whether registers are kept in memory."""
        return self.usage["STACK"] > 0 or re.search(r"\b(LDL|STL)\b", self._dump("-sass")) is not None

    def count(self, instruction: str) -> int:
        """How often an instruction of PTX occurs, by the beginning of its name."""
        return len(re.findall(rf"^\s*(?:@!?%p\d+ )?{re.escape(instruction)}", self.ptx, re.MULTILINE))

    def _dump(self, option: str) -> str:
        tool = Path(triton.__file__).parent / "backends" / "nvidia" / "bin" / "cuobjdump"
        with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
            file.write(self.cubin)
            file.flush()
            return subprocess.run([tool, option, file.name], capture_output=True, text=True, check=True).stdout


class _NoDevice:
    """What Triton asks of a driver before it compiles. The name keeps its kernels apart from those of a real device."""

    def get_current_device(self) -> str:
        return "an H100 that is not there"

    def get_current_stream(self, device: str) -> int:
        return 0

    def get_current_target(self) -> GPUTarget:
        return H100


@contextlib.contextmanager
def compiled_only() -> Iterator[list[Compiled]]:
    """Within, a launch compiles for an H100 and runs nothing; gives what was compiled, in order."""
    made: list[Compiled] = []
    run = JITFunction.run

    def compile_instead(self, *arguments, grid, warmup, **options):
        kernel = run(self, *arguments, grid=grid, warmup=True, **options)
        made.append(Compiled(self.__name__, kernel.asm["ptx"], kernel.asm["cubin"]))
        return kernel

    driver = triton.runtime.driver
    before = driver._active  # None until a device was asked for, which fails where there is none
    driver.set_active(_NoDevice())
    JITFunction.run = compile_instead
    try:
        yield made
    finally:
        JITFunction.run = run
        driver._active = before
