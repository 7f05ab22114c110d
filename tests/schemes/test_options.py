"""Options: each declared once, read and written alike, refused where it does not apply, and told everywhere."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

import quantviz as qv
from quantviz import QuantvizError, Scheme
from quantviz.outliers.cures import cures
from quantviz.schemes import OPTIONS, Option
from quantviz.schemes.inputs import INPUT_SCHEMES, input_name
from quantviz.schemes.option import GROUPS
from quantviz.schemes.options import MX_RULES, parse_options, read_option

README = Path(__file__).parents[2] / "README.md"

# Option -> what it holds where nothing is said; (text, value) that it reads; what it does not read, and what is said.
CASES: dict[str, tuple[Any, list[tuple[Any, Any]], list[tuple[Any, str]]]] = {
    "scale": (None, [("fp32", "fp32"), ("bf16", "bf16")], [("fp8", "scale=fp8 is no scale type; choose fp32,")]),
    "clip": (
        "absmax", [("absmax", "absmax"), ("mse", "mse"), ("99.90", "99.9"), ("750e-1", "75")],
        [(text, f"clip={text} is no way to clip; choose absmax, mse, or") for text in ("50", "100", "99%", "-60", "x")],
    ),
    "rotate": ("none", [("none", "none"), ("hadamard", "hadamard")], [("x", "rotate=x is no rotation; choose none")]),
    "keep": (
        0.0, [("0", 0.0), ("0%", 0.0), ("0.10%", 0.1), ("50%", 50.0), (12.5, 12.5), (1e-3, 0.001)],
        [(text, f"keep={text} is no share of the weights") for text in ("0.1", "50.1%", "-1%", "%", 51, -1.0, "nan%")],
    ),
    "solver": (
        None, [("hqq", "hqq"), ("gptq", "gptq"), ("awq", "awq"), ("none", None)],
        [("gtpq", "solver=gtpq is no solver; choose hqq, gptq or awq.")],
    ),
    "damp": (
        1.0, [("0", 0.0), ("1%", 1.0), ("0.50%", 0.5), (100.0, 100.0)],
        [(text, f"damp={text} is no share of the mean") for text in ("1", "101%", "-1%", "x")],
    ),
    "order": ("none", [("act", "act"), ("none", "none")], [("group", "order=group is no order of columns; choose")]),
    "act": (
        None, [("none", None), *((name, name) for name in INPUT_SCHEMES)],
        [("int9", "act=int9 is no way to quantize inputs; choose int8-token, int8-tensor,")],
    ),
    "smooth": (
        None, [("none", None), ("0", 0.0), ("0.50", 0.5), (1, 1.0)],
        [(text, f"smooth={text} is no exponent of SmoothQuant; write") for text in ("1.1", "-0.5", "50%", "x")],
    ),
    "double": (False, [("0", False), ("1", True), (True, True), (False, False)], [("2", "double=2 is neither 0 nor")]),
    "range": ("narrow", [("narrow", "narrow"), ("full", "full")], [("all", "range=all is no range of codes; choose")]),
    "edge": (False, [("0", False), ("1", True), (True, True), (False, False)], [("2", "edge=2 is neither 0 nor 1;")]),
    "rule": ("floor", [(r, r) for r in MX_RULES], [("up", "rule=up is no rule for an MX scale; choose floor,")]),
    "tensor": ("fp32", [("fp32", "fp32"), ("none", "none")], [("fp16", "tensor=fp16 is no type of the tensor's")]),
    "sixes": (6, [("6", 6), ("4", 4), (4, 4), (6, 6)], [("5", "sixes=5 is neither 6 nor 4; sixes=4 chooses between")]),
    "pad": (False, [("0", False), ("1", True), (True, True), (False, False)], [("2", "pad=2 is neither 0 nor 1;")]),
}  # fmt: skip
every_option = pytest.mark.parametrize("option", OPTIONS.values(), ids=OPTIONS)


def test_every_option_has_a_case_and_is_a_field_of_schemes() -> None:
    assert list(CASES) == list(OPTIONS)
    assert [option.field for option in OPTIONS.values()] == [f.name for f in fields(Scheme)][3:]
    assert all(option.key == key and option.group in GROUPS for key, option in OPTIONS.items())


@every_option
def test_an_option_is_read_and_written_back(option: Option) -> None:
    default, right, wrong = CASES[option.key]
    assert option.default == default
    for text, value in right:
        read = read_option(option.key, text)
        assert read == value and type(read) is type(value)
        assert read_option(option.key, option.write(value)) == value
    for text, said in wrong:
        with pytest.raises(QuantvizError) as caught:
            read_option(option.key, text)
        assert str(caught.value).startswith(said)


@every_option
def test_an_option_stands_in_keys_unless_it_holds_its_default(option: Option) -> None:
    scheme = Scheme.parse(one_that_takes(option))
    if option.needs:
        scheme = Scheme.parse(f"{scheme}:{option.needs}")
    assert option.key not in scheme.options
    (text, *_) = option.written
    changed = Scheme.parse(f"{scheme}{',' if option.needs else ':'}{text}")
    assert changed.key == f"{scheme}{',' if option.needs else ':'}{text}"
    assert list(changed.options) == [*scheme.options, option.key]
    assert Scheme.make(changed.format, changed.symmetry, changed.granularity, **changed.options) == changed
    default = option.default_for(scheme.fmt, scheme.granularity)
    assert Scheme.parse(f"{changed}".replace(text, f"{option.key}={option.write(default)}")) == scheme


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("fp8_e4m3:scale=fp32", "fp8_e4m3 takes no scale option: a plain cast has no scale."),
        ("nvfp4:scale=fp32", "nvfp4 takes no scale option: its specification fixes the scale."),
        ("q4_0:clip=mse,scale=fp32", "q4_0 takes no scale option: its specification fixes the scale."),
        ("fp16:clip=mse", "fp16 takes no clip option: a plain cast has no range to clip; give a granularity"),
        ("mxfp4:clip=mse,keep=1%", "mxfp4 takes no clip option: its specification fixes the scale."),
        ("ternary:clip=mse", "ternary-tensor takes no clip option: its scale is the mean of the magnitudes"),
        ("q4_k:keep=1%,rotate=hadamard", "q4_k takes no rotate option: the runtime that reads a block type lays"),
        ("q4_k:pad=1,keep=1%", "q4_k takes no keep option: the runtime that reads a block type lays down its rule"),
        ("int4-asym-b64:solver=hqq", "int4-asym-b64 takes no solver=hqq: HQQ moves the float minimum, which only"),
        ("int4-offset:solver=hqq,clip=99", "clip=99 and solver=hqq both choose the range of int4-offset-tensor; give"),
        ("int4:scale=fp32,double=1", "int4-sym-tensor:scale=fp32 takes no double=1: bitsandbytes nests the scales of"),
        ("nf4:scale=bf16,double=1", "double=1 quantizes float32 scales to 8 bits, so leave scale=bf16 out."),
        ("mxfp4:sixes=4", "mxfp4:sixes=4 takes no sixes=4: four over six chooses scales beside nvfp4's of the"),
        ("int4-sym-b64:damp=5%", "int4-sym-b64 takes damp= with solver=gptq only: nothing else adds to a diagonal."),
        ("int4-sym-b64:order=act", "int4-sym-b64 takes order= with solver=gptq only: nothing else goes through"),
        ("bf16:solver=gptq", "bf16 takes no solver=gptq: a plain cast has no scale; give a granularity"),
        ("q4_k:solver=awq", "q4_k takes no solver option: the runtime that reads a block type lays down its rule"),
        ("int4-sym-b64:solver=gptq,keep=1%", "int4-sym-b64 takes keep= or solver=gptq, not both: weights kept apart"),
        ("int4-sym-b64:solver=awq,clip=mse", "clip=mse and solver=awq both choose the range of int4-sym-b64; give one"),
        ("int4-sym-b64:solver=awq,rotate=hadamard", "rotate=hadamard and solver=awq both spread the outliers of"),
        ("q4_k:act=int8-token", "q4_k takes no act= option: llama.cpp rounds the inputs of block types by a rule of"),
        ("int4-sym-b64:smooth=0.5", "int4-sym-b64 takes smooth= with act= only: what it makes easier is to quantize"),
        ("fp16:act=mxfp8,smooth=1", "fp16 takes no smooth=: a plain cast has no scale; give a granularity"),
        ("int4-sym-b64:act=mxfp4,smooth=1,rotate=hadamard", "smooth= and rotate=hadamard both spread the outliers of"),
        ("int4-sym-b64:act=mxfp4,smooth=1,solver=awq", "smooth= and solver=awq both spread the outliers of int4-sym"),
        ("fp16:clip=mse,pad=1", "fp16 takes no pad=1: only block types need rows of whole blocks."),
    ],
)
def test_an_option_that_does_not_apply_is_refused_with_the_reason(key: str, said: str) -> None:
    with pytest.raises(QuantvizError) as caught:
        Scheme.parse(key)
    assert str(caught.value).startswith(said)


def test_what_a_scheme_takes_does_not_depend_on_its_other_options() -> None:
    refused = {
        "int4-offset-b64:clip=mse": {"double", "range", "rule", "tensor", "sixes", "pad"},
        "int4-sym-b64:keep=1%": {"double", "edge", "rule", "tensor", "sixes", "pad"},
        "nf4-b64:scale=bf16": {"range", "edge", "rule", "tensor", "sixes", "pad"},
        "ternary-tensor": {"clip", "double", "range", "edge", "rule", "tensor", "sixes", "pad"},
        "mxfp4": {"scale", "clip", "double", "range", "edge", "tensor", "sixes", "pad"},
        "nvfp4": {"scale", "clip", "double", "range", "edge", "rule", "pad"},
        "fp16": {"scale", "clip", "solver", "double", "range", "edge", "rule", "tensor", "sixes", "pad"},
        "q4_k:pad=1": {*OPTIONS} - {"pad"},
    }
    for key, names in refused.items():
        names = names | {name for name, option in OPTIONS.items() if option.needs}
        assert {name for name, option in OPTIONS.items() if not Scheme.parse(key).takes(option)} == names


def test_what_stands_only_beside_another_option_is_taken_where_that_is_chosen() -> None:
    taken = {key: Scheme.parse(key).takes(OPTIONS["smooth"]) for key in ("int4:act=mxfp4", "int4", "fp16:act=mxfp4")}
    assert list(taken.values()) == [True, False, False]
    assert Scheme.parse("int4:solver=gptq").takes(OPTIONS["damp"]) and not Scheme.parse("int4").takes(OPTIONS["damp"])


def test_every_way_to_quantize_inputs_is_a_scheme_with_a_name() -> None:
    assert all(Scheme.parse(key).key == key for key in INPUT_SCHEMES.values())
    assert len({input_name(name) for name in (None, *INPUT_SCHEMES)}) == len(INPUT_SCHEMES) + 1


def test_what_is_no_option_is_told_all_there_are() -> None:
    with pytest.raises(QuantvizError, match=f"options are {', '.join(OPTIONS)}"):
        read_option("klip", "mse")
    with pytest.raises(QuantvizError) as caught:
        parse_options("int4:klip=mse", ["klip=mse"])
    assert all(f" {option.written[0]}" in str(caught.value) for option in OPTIONS.values())
    assert " or pad=1. Did you mean clip" in str(caught.value)


def test_the_table_of_options_in_the_readme_says_what_is_declared() -> None:
    table = README.read_text("utf-8").partition("| option | what it does |\n|---|---|\n")[2].partition("\n\n")[0]
    rows = [f"| {', '.join(f'`{text}`' for text in o.written)} | {o.what} |" for o in OPTIONS.values()]
    assert table.splitlines() == rows


def test_every_declared_cure_is_offered() -> None:
    offered = {cure.name for key in ("int4-sym-b64", "nf4-b64") for cure in cures(key) if cure.key}
    declared = [remedy.name.format("0.1%") for option in OPTIONS.values() for remedy in option.remedies]
    assert offered.issuperset(declared) and len(set(declared)) == len(declared)


def one_that_takes(option: Option) -> str:
    if option.needs:  # which no scheme takes by itself
        return "int4-sym-b64"
    return next(key for key in qv.catalogue() if Scheme.parse(key).takes(option))


def test_numbers_may_be_given_as_numbers():
    made = qv.Scheme.make("int4", clip=99.9, keep=1 / 3)
    assert made.key == "int4-sym-tensor:clip=99.9,keep=0.3333333333%"
    for wrong in ({"clip": 101.0}, {"clip": float("nan")}, {"keep": -1.0}, {"keep": []}, {"clip": [1]}):
        with pytest.raises(qv.QuantvizError):
            qv.Scheme.make("int4", **wrong)
