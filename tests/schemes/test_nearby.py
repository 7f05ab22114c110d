"""What a slider moves along: the scheme's own place among schemes that differ from it in one quantity alone."""

from __future__ import annotations

import pytest

from quantviz.schemes import Scheme, catalogue
from quantviz.schemes.nearby import quantities

COLS = 1024
WITH_OPTIONS = ("int4-asym-b48:clip=99.7", "nf4-b64:double=1", "int4-sym-b64:keep=0.5%", "int4-offset-b64:solver=hqq",
                "int8-sym-channel:range=full", "int4-sym-tensor:rotate=hadamard")  # fmt: skip
PARTS = {"Block": "granularity", "Bits": "format", "Clip": "clip"}


@pytest.mark.parametrize("key", [*catalogue(), *WITH_OPTIONS])
def test_the_scheme_itself_is_among_those_beside_it_which_differ_in_one_quantity(key):
    scheme = Scheme.parse(key)
    for name, steps in quantities(scheme, COLS):
        schemes = [beside for _, beside in steps]
        assert scheme in schemes and len(set(schemes)) == len(schemes) > 1
        for beside in schemes:
            kept = {part for part in ("format", "symmetry", "granularity", "clip") if part != PARTS[name]}
            assert all(getattr(beside, part) == getattr(scheme, part) for part in kept)
            assert Scheme.parse(beside.key) == beside


def test_steps_are_in_order_and_as_a_person_says_them():
    found = {name: [step for step, _ in steps] for name, steps in quantities(Scheme.parse("int4-sym-b48"), COLS)}
    assert found["Bits"] == ["1", "2", "3", "4", "5", "6", "7", "8"]
    assert found["Block"] == ["8", "16", "32", "48", "64", "128", "256", "512", "channel", "tensor"]
    assert found["Clip"][:3] == ["absmax", "99.99%", "99.95%"] and found["Clip"][-1] == "90%"
    wide = dict(quantities(Scheme.parse("int4-sym-b48"), 1 << 16))["Block"]
    assert [step for step, _ in wide][-4:] == ["2048", "4096", "channel", "tensor"]


@pytest.mark.parametrize("key", ["fp32", "mxfp4", "iq2_xxs", "int4-sym-b64:solver=gptq", "int4-sym-b64:act=int8-token"])
def test_there_is_nothing_to_turn_where_all_is_fixed_or_takes_its_time(key):
    assert quantities(Scheme.parse(key), COLS) == []
