"""What an H100 would run: compiled here, launched as the engine launches it, and read."""

from __future__ import annotations

import pytest

pytest.importorskip("triton")

import torch  # noqa: E402

from quantviz.kernels import cuda  # noqa: E402
from quantviz.kernels.bins import value_bins  # noqa: E402
from quantviz.kernels.cuda.blocks import run as blocks  # noqa: E402
from quantviz.schemes import Scheme  # noqa: E402

from ..compiling import Compiled, compiled_only  # noqa: E402

SHAPE = (256, 4096)
BINS = (value_bins(-1, 1), value_bins(-1, 1))
# Scheme, dtype of the weights, and divisions by IEEE's rules that codes stand on: one a weight of a thread, or fewer.
CASES = (
    ("int4-sym-b32", torch.bfloat16, 32), ("int4-asym-b64", torch.float32, 1), ("fp8_e4m3-b128x128", torch.float16, 32),
    ("nf4-b64", torch.bfloat16, 1), ("nvfp4", torch.bfloat16, 1), ("nvfp4:sixes=4", torch.bfloat16, 32),
)  # fmt: skip


def assert_exact_and_wide(kernel: Compiled) -> None:
    assert kernel.count("fma.rn.f32") == 0, f"{kernel.name} fuses a·b + c, which reference rounds twice"
    assert ".ftz" not in kernel.ptx, f"{kernel.name} takes subnormal numbers for 0"
    for inexact in ("div.approx", "rcp.approx", "sqrt.approx", "ex2.approx"):
        assert kernel.count(inexact) == 0, f"{kernel.name} uses {inexact}"
    if "measure" not in kernel.name:  # where Σ |e| / |x| may be off by an ulp a weight, as no code stands on it
        assert kernel.count("div.full") == 0
    assert not kernel.spills, f"{kernel.name} spills: {kernel.usage}"
    assert kernel.widest_load == 128, f"{kernel.name} loads {kernel.widest_load} bits at a time"


@pytest.mark.parametrize(("key", "dtype", "divisions"), CASES, ids=[key for key, _, _ in CASES])
def test_codes_are_exact_and_memory_is_read_in_128_bits(key: str, dtype: torch.dtype, divisions: int) -> None:
    x, scheme = torch.zeros(SHAPE, dtype=dtype), Scheme.parse(key)
    with compiled_only() as made:
        cuda.dequantize(cuda.quantize(x, scheme))
    by_name = {kernel.name: kernel for kernel in made}
    assert {"quantize_kernel", "dequantize_kernel"} <= set(by_name)
    for kernel in made:
        assert_exact_and_wide(kernel)
    assert by_name["quantize_kernel"].count("div.rn.f32") >= divisions


@pytest.mark.parametrize(("key", "full"), [("int4-sym-b32", False), ("int4-offset-channel", False), ("mxfp4", True)])
def test_measuring_is_exact_and_stays_in_registers(key: str, full: bool) -> None:
    with compiled_only() as made:
        cuda.measure(torch.zeros(SHAPE, dtype=torch.bfloat16), Scheme.parse(key), BINS if full else None)
    assert made[-1].name == "measure_kernel"
    for kernel in made:
        assert_exact_and_wide(kernel)
    assert (made[-1].count("red.") + made[-1].count("atom.") > 0) == full


@pytest.mark.parametrize("name", ["q4_0", "q5_1", "q8_0"])
def test_block_types_are_written_exactly(name: str) -> None:
    with compiled_only() as made:
        blocks.quantize_rows(name, torch.zeros(SHAPE, dtype=torch.float16))
    assert_exact_and_wide(made[0])
    assert made[0].count("div.rn.f32") >= 2


@pytest.mark.parametrize("shape", [(37, 300), (5, 4097), (1, 20_000)])
def test_ragged_shapes_compile(shape: tuple[int, int]) -> None:
    with compiled_only() as made:
        cuda.quantize(torch.zeros(shape, dtype=torch.float16), Scheme.parse("int4-asym-b100"))
    assert made and not made[0].spills
