"""Machine code of the GPU's linear kernels for an H100: width of loads, registers, spills, instructions a weight."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("triton")

from quantviz.kernels.cuda.linear.packing import PackedWeights, pack  # noqa: E402

from .compiled import Compiled, compiled  # noqa: E402

ROWS, COLS = 64, 8192  # the rows' length decides how a program is cut, their number hardly
# What an H100 can issue a weight while it reads 4-bit weights at four fifths of its bandwidth: 132 multiprocessors of
# 4 instructions of 32 lanes a cycle at 1.755 GHz, over 0.8 · 0.92 · 3.35 TB/s, two weights a byte.
AFFORDABLE = 132 * 128 * 1.755e9 / (0.8 * 0.92 * 3.35e12 * 2)  # 6.0

# Scheme -> instructions a weight in the loop over a row, one token: a little above what Triton 3.7.1 and 3.9 give.
ONE_TOKEN = {
    "int8-asym-b128": 5.3,
    "int4-sym-b32": 4.7,
    "int4-asym-b64": 5.0,
    "int3-asym-b128": 4.6,
    "int2-asym-b64": 4.4,
    "fp8_e4m3-channel": 4.8,
    "nf4-b64": 5.8,
    "nvfp4": 5.5,
}


def packed(key: str) -> PackedWeights:
    w = np.random.default_rng(0).standard_normal((ROWS, COLS), dtype=np.float32)
    return pack(w, key, device="cpu")


def assert_lean(code: Compiled, what: str) -> None:
    assert code.stack == 0, f"{what} spills {code.stack} bytes"
    assert not [name for name in code.instructions if name.startswith(("LDL", "STL"))], what


@pytest.mark.parametrize("key", ONE_TOKEN)
def test_one_token(key: str) -> None:
    p = packed(key)
    code = compiled(p, 1)
    assert_lean(code, key)
    assert code.loads("EF") == {"128"}, "weights are read 128 bits at a time"
    assert code.loads("EL") == {"128"}, "and so are activations"
    rows = 8 if p.book else 4
    a_weight = code.loop / (rows * p.layout.run)
    assert a_weight <= ONE_TOKEN[key], f"{a_weight:.2f} instructions a weight"
    if p.bits >= 4:
        assert a_weight < AFFORDABLE * p.bits / 4
    assert code.registers <= (255 if p.book or p.layout.planes == 3 else 128)


@pytest.mark.parametrize(("key", "batch"), [("int4-asym-b64", 4), ("int3-asym-b128", 2)])
def test_few_tokens(key: str, batch: int) -> None:
    code = compiled(packed(key), batch)
    assert_lean(code, key)
    assert code.loads("EF") == code.loads("EL") == {"128"}


def test_tensor_cores_take_more_tokens() -> None:
    code = compiled(packed("int4-sym-b32"), 16)
    assert_lean(code, "16 tokens")
    assert any("MMA" in name and "FMA" not in name for name in code.instructions)
    assert any(name.startswith("LDGSTS") and name.endswith("128") for name in code.instructions)


def test_dequantizing_for_many_tokens() -> None:
    code = compiled(packed("int4-asym-b64"), 64)
    assert_lean(code, "dequantizing")
    assert code.loads("EF") == {"128"}
    stores = {name for name in code.instructions if name.startswith("STG")}
    assert stores == {"STG.E.128"}, stores


def test_without_inline_assembly_it_compiles_too() -> None:
    p = packed("nf4-b64")
    plain = compiled(p, 1, by_assembly=False)
    assert plain.stack == 0 and plain.instructions["PRMT"] < compiled(p, 1).instructions["PRMT"]
