"""Recipes of every tool, and what each refuses, are what they were before."""

from __future__ import annotations

import itertools
import re

import pytest

from quantviz.planner import FORMATS, Rules, plan, recipe
from tests.recorded import interface, tried

from .frames import made_up
from .plans import OF_TOOL, TENSORS, plan_for
from .test_as_before import EXPERTS, HEADS, STACKED

ONE = {"model.layers.0.mlp.down_proj.weight": (256, 768)}
RESTS = ("sym-b32:range=full", "asym-b64", "asym-b16", "asym-b128", "offset-b64:edge=1,scale=bf16", "sym-channel")


@pytest.mark.parametrize("tool", OF_TOOL)
@pytest.mark.parametrize("bits", [5.0, 6.5])
def test_recipes(tool, bits, kept):
    made = tried(plan_for, tool, bits, seed=3)
    written = made if isinstance(made, str) else tried(recipe, made, tool)
    if isinstance(written, str):
        return kept(written)
    pieces = [written.text[at : at + 900] for at in range(0, len(written.text), 900)]
    kept(dict(enumerate(pieces[:4])))
    kept([len(written.text), list(written.notes)])


def test_what_recipes_refuse(kept):
    for tool in FORMATS:
        for schemes in (("nf4-b64", "int4-sym-b32"), ("q4_0", "int8-sym-b32"), ("int3-sym-b48", "int5-asym-b32")):
            made = tried(plan, made_up(TENSORS | HEADS, schemes), bits=7.9)
            kept(made if isinstance(made, str) else str(tried(recipe, made, tool))[:700])


@pytest.mark.parametrize("tool", FORMATS)
def test_recipes_of_experts_heads_and_every_width(tool, kept):
    keys = OF_TOOL[tool]
    for names, more in (
        (TENSORS | HEADS, {}),
        (TENSORS | EXPERTS, {"share": ("experts",)}),
        (TENSORS, {"share": ("qkv", "gate-up")}),
        (STACKED, {}),
        (TENSORS | HEADS, {"keep": ("embed_tokens", "lm_head", "layers.0")}),
    ):
        made = tried(plan, made_up(names, keys), bits=6.5, rules=Rules(**more))
        written = made if isinstance(made, str) else tried(recipe, made, tool)
        kept(
            written[:500]
            if isinstance(written, str)
            else [written.text[:700], written.text[-200:], len(written.text), list(written.notes)]
        )
    said: dict[str, list[str]] = {}
    for bits, rest in itertools.product(range(2, 9), RESTS):
        frame = made_up(ONE, (f"int{bits}-{rest}",))
        made = tried(plan, frame, bits=frame["bits"].sum() / frame["weights"].sum())
        written = str(made if isinstance(made, str) else tried(recipe, made, tool))
        said.setdefault(re.sub("[0-9]+", "N", written)[:160], []).append(
            f"{bits}-{rest} {re.findall('[0-9]+', written)[:9]}"
        )
    kept({text: [schemes] if len(schemes) > 12 else schemes for text, schemes in said.items()})


def test_the_interface(kept):
    kept(interface("planner/recipes"))
