"""Rules as data: what codes range over and what holds them follow from the format, whatever its width."""

from __future__ import annotations

import numpy as np
import pytest

import quantviz as qv
from quantviz.formats import IntFormat
from quantviz.schemes.rules import RULES, dtype_of
from quantviz.schemes.scheme import KINDS


@pytest.mark.parametrize(("first", "last", "name"), [
    (-1, 1, "int8"), (-127, 127, "int8"), (-128, 127, "int8"), (-129, 0, "int16"), (-255, 255, "int16"),
    (0, 255, "uint8"), (0, 256, "uint16"), (0, 2**16 - 1, "uint16"), (0, 2**32 - 1, "uint32"), (-(2**15), 0, "int16"),
])  # fmt: skip
def test_the_smallest_dtype_holds_the_codes(first, last, name):
    assert dtype_of(first, last) == name
    assert np.iinfo(name).min <= first and last <= np.iinfo(name).max


def test_every_rule_is_used_and_every_scheme_has_one():
    used = {qv.Scheme.parse(key).how for key in (*qv.catalogue(), "int4-offset-b64:edge=1")}
    assert used == set(RULES)


@pytest.mark.parametrize("symmetry", ["sym", "asym", "offset"])
@pytest.mark.parametrize("bits", [9, 12])
def test_an_integer_format_of_more_than_eight_bits_is_one_line(engine, monkeypatch, bits, symmetry):
    """Nothing but the format says how wide it is: codes and zero points that do not fit would be wrong in silence."""
    monkeypatch.setitem(KINDS, f"int{bits}", IntFormat(f"int{bits}", bits, "a test"))
    w = np.random.default_rng(bits).standard_normal((16, 256), dtype=np.float32)
    w[:8] = w[:8] - 20  # zero points near the largest code
    key = f"int{bits}-{symmetry}-b64"
    q, r = qv.quantize(w, key, engine=engine), qv.evaluate(w, key, device=engine)
    first, last = q.scheme.code_range
    assert first <= q.codes.min() and q.codes.max() <= last and q.codes.max() > 255 - 128 * (symmetry == "sym")
    rmse = np.sqrt(np.mean((q.dequantize().astype(np.float64) - w) ** 2))
    assert rmse == pytest.approx(r.metrics["rmse"], rel=1e-6)
    assert rmse < np.abs(w).max() / 2 ** (bits - 1)
    assert int(r.code_counts.sum()) == w.size
