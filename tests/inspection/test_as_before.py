"""Blocks of every rule, and all that is told of them, are what they were before."""

from __future__ import annotations

from dataclasses import asdict

import numpy as np
import pytest

import quantviz as qv
from quantviz.inspection import inspect_block
from quantviz.inspection.block import _part
from quantviz.inspection.worked import arithmetic, block_rows, code_text, code_values, is_whole, rule_text
from quantviz.schemes import Scheme
from tests.kernels.test_engines import ONE_PER_RULE
from tests.recorded import interface

W = np.random.default_rng(6).standard_normal((6, 256), dtype=np.float32)
W[1, 3], W[2, 200] = 9, -0.0
KEYS = dict.fromkeys([*ONE_PER_RULE, "int4-sym-b64:keep=5%", "int4-sym-b64:rotate=hadamard", "q4_1", "q6_k", "iq4_nl",
                      "tq2_0", "q8_0", "bf16"])  # fmt: skip
KEYS = [key for key in KEYS if Scheme.parse(key).format not in ("iq2_s",)]  # which needs importance


@pytest.mark.parametrize("key", KEYS)
def test_a_block_and_its_arithmetic(key, kept):
    scheme = Scheme.parse(key)
    block = inspect_block(W, key, 0, 0)
    told = {name: value for name, value in asdict(block).items() if name not in ("original", "dequantized", "unpacked")}
    kept(told | {"is_part": block.is_part, "names": block.names, "scales": block.scales, "minima": block.minima})
    kept({"rule": rule_text(block), "lines": arithmetic(block)[:5], "whole": is_whole(scheme), **block_rows(block)})
    if scheme.fmt.bits <= 16:
        codes, values = code_values(scheme)
        kept([codes, values, {str(code): code_text(scheme, code) for code in codes.tolist()[:3]}])


@pytest.mark.parametrize("key", ["int4-asym-b32", "int4-sym-b4x32", "q4_0", "int4-offset-channel"])
def test_a_block_elsewhere_and_one_that_is_not_there(key, kept):
    for row, col in ((1, 0), (0, 7), (5, 7), (6, 0), (0, 8), (-1, 0)):
        try:
            block = inspect_block(W, key, row, col)
            kept([block.rows, block.cols, block.scale, block.zero_point, block.minimum, block.codes, block.group])
        except qv.QuantvizError as refusal:
            kept(str(refusal))


def test_the_part_of_a_long_block_around_a_weight(kept):
    places = ((0, 0), (0, 4095), (0, 4096), (2, 9000), (3, 9999))
    kept([_part(0, 4, 0, 10_000, at) for at in places])
    kept([_part(10, 200, 64, 128, at) for at in ((10, 64), (73, 127), (74, 64), (199, 127))])
    for at in ((4, 0), (0, 10_000), (-1, 0)):
        with pytest.raises(qv.QuantvizError) as refusal:
            _part(0, 4, 0, 10_000, at)
        kept(str(refusal.value))


def test_blocks_of_a_solved_tensor(kept):
    x = np.random.default_rng(8).standard_normal((300, 64), dtype=np.float32)
    calibration = qv.Calibration.of(x)
    for key in ("int4-asym-b32:solver=gptq", "int4-sym-b32:solver=gptq"):
        q = qv.quantize(W[:, :64], key, calibration=calibration)
        block = inspect_block(W[:, :64], key, 1, 0, quantized=q)
        kept(asdict(block) | {"names": block.names, "lines": arithmetic(block)[:3]})


def test_the_interface(kept):
    kept(interface("inspection"))
