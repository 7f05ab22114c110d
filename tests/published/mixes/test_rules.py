"""A row for every branch of the rules by which a mix departs from its own type.

What llama-quantize itself gives is compared in test_llama_quantize; here each rule is asked alone, by hand from
`llama_tensor_get_type` in llama.cpp's src/llama-quant.cpp, so that no rule hides behind another.
"""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

from quantviz.errors import QuantvizError
from quantviz.published.mixes import MIXES, rules
from quantviz.published.mixes.base import Facts, Question, Role
from quantviz.published.mixes.rules import choose, demands_importance

FALCON, EIGHT, SHARED = dict(architecture="falcon"), dict(experts=8), dict(sharing=4)
# Where a model of 32 layers is sensitive: its first and last 4 layers, and every third of those between.
FIRST, LAST, THIRD, OTHER = dict(layer=3), dict(layer=28), dict(layer=6), dict(layer=5)


def ask(mix: str, role: Role, **said) -> tuple[str, str]:
    """The type and the reason of a tensor of rows of 4,096 in layer 10 of a model of 32 layers."""
    of_model = {"architecture": "llama", "layers": 32}
    of_model |= {key: said.pop(key) for key in ("architecture", "layers", "sharing", "experts") if key in said}
    layer = said.pop("layer", 10)
    question = dict(name="w.weight", cols=4096, deep=False, layer=layer, before=layer, values_before=layer,
                    values_in_all=32, importance=False, tied=False)  # fmt: skip
    return choose(Question(MIXES[mix], Facts(**of_model), role=role, **question | said))


R = Role
ROWS = [
    # (mix, role, what is said of the tensor and its model, the type it gets)
    *[(mix, R.OTHER, {}, MIXES[mix].start) for mix in MIXES if mix != "mxfp4_moe"],
    # The output, and the embedding where it does the output's work.
    ("q4_k_m", R.OUTPUT, {}, "q6_k"), ("q8_0", R.OUTPUT, {}, "q8_0"), ("mxfp4_moe", R.OUTPUT, {}, "q8_0"),
    ("q4_k_m", R.OUTPUT, FALCON, "q8_0"), ("q4_k_m", R.OUTPUT, dict(cols=2080), "q8_0"),
    *[(mix, R.OUTPUT, {}, "q5_k") for mix in ("iq1_s", "iq1_m", "iq2_xxs", "iq2_xs", "iq2_s", "iq2_m", "iq3_xxs")],
    ("iq3_xs", R.OUTPUT, {}, "q6_k"), ("iq3_xs", R.EMBEDDING, dict(tied=True), "q6_k"),
    *[(mix, R.EMBEDDING, {}, "q2_k") for mix in ("iq2_xxs", "iq2_xs", "iq1_s", "iq1_m")],
    *[(mix, R.EMBEDDING, {}, "iq3_s") for mix in ("iq2_s", "iq2_m", "iq3_xxs")],
    *[(mix, R.EMBEDDING, {}, "q4_k") for mix in ("tq1_0", "tq2_0", "q2_0", "q4_k_m")],
    ("iq3_xs", R.EMBEDDING, {}, "iq3_s"), ("q3_k_l", R.EMBEDDING, {}, "q3_k"),
    # Experts in four bits.
    ("mxfp4_moe", R.UP, dict(deep=True), "gguf_mxfp4"), ("mxfp4_moe", R.UP, {}, "q8_0"),
    ("mxfp4_moe", R.KV_B, dict(deep=True), "gguf_mxfp4"),
    *[("mxfp4_moe", role, dict(deep=True, architecture="bailingmoe3"), "gguf_mxfp4")
      for role in (R.UP, R.GATE, R.DOWN)],
    ("mxfp4_moe", R.KV_B, dict(deep=True, architecture="bailingmoe3"), "q8_0"),
    ("q2_k", R.OTHER, dict(architecture="glm5-next", name="blk.0.attn_q_a.weight"), "q8_0"),
    ("q2_k", R.OTHER, dict(architecture="glm4", name="blk.0.attn_q_a.weight"), "q2_k"),
    # Mixes of around two bits.
    *[("iq2_xxs", role, {}, "q2_k") for role in (R.V, R.QKV, R.KV_B)], ("iq2_m", R.V, {}, "iq3_s"),
    ("iq2_xxs", R.V, SHARED, "q4_k"), ("iq2_xxs", R.V, dict(sharing=3), "q2_k"),
    ("iq2_xxs", R.V, dict(experts=4), "q4_k"), ("iq2_xxs", R.V, dict(experts=3), "q2_k"),
    ("iq2_xxs", R.K, EIGHT, "q4_k"), ("iq2_xxs", R.K, {}, "iq2_xxs"), ("iq2_xxs", R.K, dict(experts=16), "iq2_xxs"),
    ("iq2_xxs", R.DOWN, FIRST, "q2_k"), ("iq2_xxs", R.DOWN, dict(layer=4), "iq2_xxs"),
    ("iq2_xxs", R.DOWN, dict(layer=0, before=4), "iq2_xxs"), ("iq2_s", R.DOWN, FIRST, "iq3_s"),
    ("iq2_xxs", R.ATTENTION_OUTPUT, {}, "iq2_xxs"), ("iq2_xxs", R.ATTENTION_OUTPUT, EIGHT, "q5_k"),
    ("iq1_s", R.ATTENTION_OUTPUT, {}, "iq2_xxs"), ("iq1_m", R.ATTENTION_OUTPUT, {}, "iq2_xxs"),
    ("iq2_s", R.ATTENTION_OUTPUT, {}, "iq3_s"), ("iq2_m", R.ATTENTION_OUTPUT, {}, "iq3_s"),
    ("iq2_xxs", R.UP, {}, "iq2_xxs"), ("iq2_xxs", R.Q, {}, "iq2_xxs"),
    # What attention passes on.
    ("q4_0", R.V, EIGHT, "q8_0"), ("q4_0", R.V, dict(experts=16), "q4_0"), ("q4_k_m", R.V, LAST | EIGHT, "q8_0"),
    ("q4_k_s", R.V, dict(layers=80, sharing=8), "q5_k"), ("q4_k_s", R.V, dict(layers=80), "q4_k"),
    ("q3_k_s", R.V, dict(layers=80, sharing=8), "q5_k"), ("q3_k_m", R.V, dict(layers=80, sharing=8), "q5_k"),
    ("q6_k", R.V, dict(layers=80, sharing=8), "q6_k"), ("q2_k", R.V, dict(layers=80, sharing=2), "q5_k"),
    ("q2_k", R.V, {}, "q3_k"), ("q2_k", R.V, SHARED, "q4_k"), ("q2_k", R.V, dict(sharing=3), "q3_k"),
    ("iq3_xxs", R.V, {}, "iq3_s"), ("iq3_xxs", R.V, dict(importance=True), "iq3_xxs"), ("iq3_xxs", R.V, SHARED, "q4_k"),
    *[(mix, R.V, SHARED, "q4_k") for mix in ("q2_k_s", "iq3_xs", "iq3_s")],
    *[(mix, R.V, {}, MIXES[mix].start) for mix in ("q2_k_s", "iq3_xs", "iq3_s")],
    ("iq3_m", R.V, {}, "q4_k"), ("q3_k_l", R.V, {}, "q5_k"), ("q3_k_s", R.V, {}, "q3_k"),
    ("q3_k_m", R.V, dict(layer=1), "q5_k"), ("q3_k_m", R.V, dict(layer=2), "q4_k"),
    *[(mix, R.V, SHARED, "q5_k") for mix in ("iq4_nl", "iq4_xs")],
    *[(mix, R.V, {}, mix) for mix in ("iq4_nl", "iq4_xs")],
    *[(mix, R.V, where, "q6_k") for mix in ("q4_k_m", "q5_k_m") for where in (FIRST, LAST, THIRD)],
    ("q4_k_m", R.V, OTHER, "q4_k"), ("q5_k_m", R.V, OTHER, "q5_k"), ("q5_k_s", R.V, FIRST, "q5_k"),
    ("q4_k_s", R.V, FIRST, "q5_k"), ("q4_k_s", R.V, dict(layer=4), "q4_k"),
    # Keys and queries.
    ("q4_k_m", R.K, EIGHT, "q8_0"), ("q4_k_m", R.K, {}, "q4_k"), ("q4_k_m", R.Q, EIGHT, "q4_k"),
    *[("iq3_xs", role, {}, "iq3_xxs") for role in (R.K, R.Q)], *[("iq3_xxs", role, {}, "iq2_s") for role in (R.K, R.Q)],
    # Feed-forward down.
    ("q2_k", R.DOWN, {}, "q3_k"), ("q2_k_s", R.DOWN, FIRST, "q4_k"), ("q2_k_s", R.DOWN, OTHER, "q2_k"),
    ("iq3_xxs", R.DOWN, FIRST, "q4_k"), ("iq3_xxs", R.DOWN, OTHER, "q3_k"),
    ("iq3_xxs", R.DOWN, FIRST | dict(importance=True), "iq3_xxs"),
    ("q3_k_m", R.DOWN, dict(layer=1), "q5_k"), ("q3_k_m", R.DOWN, dict(layer=2), "q4_k"),
    ("q3_k_m", R.DOWN, FALCON | dict(layer=1), "q5_k"), ("q3_k_m", R.DOWN, FALCON | FIRST, "q4_k"),
    ("q3_k_m", R.DOWN, FALCON | OTHER, "q3_k"),
    ("iq3_m", R.DOWN, FIRST, "q4_k"), ("iq3_m", R.DOWN, LAST, "iq3_s"), ("iq3_m", R.DOWN, EIGHT | LAST, "q4_k"),
    ("iq3_m", R.DOWN, EIGHT | OTHER, "iq3_s"), ("q3_k_l", R.DOWN, {}, "q5_k"), ("q3_k_l", R.DOWN, FALCON, "q4_k"),
    ("q4_k_m", R.DOWN, FALCON | dict(layer=1), "q6_k"), ("q4_k_m", R.DOWN, FALCON | dict(layer=2), "q5_k"),
    ("q4_k_m", R.DOWN, FALCON | OTHER, "q4_k"),
    *[(mix, R.DOWN, where, "q6_k") for mix in ("q4_k_m", "q5_k_m") for where in (FIRST, LAST, THIRD)],
    ("q4_k_m", R.DOWN, OTHER, "q4_k"), ("q5_k_m", R.DOWN, OTHER, "q5_k"),
    *[(mix, R.DOWN, FIRST, "q5_k") for mix in ("iq4_nl", "iq4_xs")],
    *[(mix, R.DOWN, FIRST | dict(importance=True), mix) for mix in ("iq4_nl", "iq4_xs")],
    ("iq4_xs", R.DOWN, dict(layer=4), "iq4_xs"),
    ("q4_k_s", R.DOWN, FIRST, "q5_k"), ("q4_k_s", R.DOWN, FALCON | FIRST, "q4_k"),
    ("q4_k_s", R.DOWN, dict(layer=4), "q4_k"),
    ("q4_0", R.DOWN, FIRST | dict(importance=True), "q4_1"), ("q5_0", R.DOWN, FIRST | dict(importance=True), "q5_1"),
    ("q4_0", R.DOWN, FIRST, "q4_0"), ("q4_0", R.DOWN, OTHER | dict(importance=True), "q4_0"),
    # Attention output.
    *[(mix, R.ATTENTION_OUTPUT, FALCON, "q4_k" if mix == "q3_k_l" else MIXES[mix].start)
      for mix in ("q2_k", "q3_k_s", "q3_k_m", "q3_k_l", "q4_k_m", "iq3_m", "iq3_xxs")],
    *[(mix, R.ATTENTION_OUTPUT, EIGHT, "q5_k") for mix in (
        "q2_k", "iq3_xs", "iq3_xxs", "q3_k_s", "q3_k_m", "iq4_nl", "q4_k_s", "q4_k_m", "iq3_s", "iq3_m", "iq4_xs")],
    *[(mix, R.ATTENTION_OUTPUT, EIGHT, MIXES[mix].start) for mix in ("q2_k_s", "q3_k_l", "q4_0", "q6_k")],
    ("q2_k", R.ATTENTION_OUTPUT, {}, "q3_k"), ("iq3_xxs", R.ATTENTION_OUTPUT, {}, "iq3_s"),
    ("q3_k_m", R.ATTENTION_OUTPUT, {}, "q4_k"), ("q3_k_l", R.ATTENTION_OUTPUT, {}, "q5_k"),
    ("iq3_m", R.ATTENTION_OUTPUT, {}, "q4_k"), ("q4_k_m", R.ATTENTION_OUTPUT, {}, "q4_k"),
    # Feed-forward up and gate.
    *[("iq3_xs", role, dict(layer=layer), "iq3_s" if layer in (3, 28) else "iq3_xxs")
      for role in (R.UP, R.GATE) for layer in (3, 4, 27, 28)],
    ("q4_k_m", R.GATE, {}, "q4_k"),
    # Rows that are no multiple of a block.
    *[(mix, R.OTHER, dict(cols=288), "iq4_nl")
      for mix in ("iq1_s", "iq1_m", "iq2_xxs", "iq2_xs", "iq2_m", "iq3_xxs", "iq3_s", "iq4_xs")],
    *[(mix, R.OTHER, dict(cols=288), "q4_0") for mix in ("q2_0", "q2_k", "q3_k_s", "tq1_0", "tq2_0")],
    ("q4_k_m", R.OTHER, dict(cols=288), "q5_0"), ("q5_k_m", R.OTHER, dict(cols=288), "q5_1"),
    ("q6_k", R.OTHER, dict(cols=288), "q8_0"), ("q4_k_m", R.OTHER, dict(cols=272), "float16"),
    ("q4_0", R.OTHER, dict(cols=272), "float16"),
]  # fmt: skip


@pytest.mark.parametrize("mix, role, said, kind", ROWS, ids=lambda x: x.value if isinstance(x, Role) else None)
def test_a_branch(mix, role, said, kind):
    chosen, why = ask(mix, role, **said)
    assert chosen == kind
    assert bool(why) or kind == MIXES[mix].start, "what departs from the mix's own type has a reason"


def test_no_type_stands_in_for_one_without_shorter_blocks():
    with pytest.raises(QuantvizError, match="Rows of 288 weights are no multiple of the 128 of a q1_0 block"):
        ask("q1_0", R.OTHER, cols=288)


@pytest.mark.parametrize("kind", ["iq3_xxs", "iq2_xxs", "iq2_xs", "iq2_s", "iq1_m", "iq1_s"])
def test_types_that_demand_importance_wherever_but_at_both_ends(kind):
    assert demands_importance("blk.0.attn_q.weight", kind, "q4_k_m")
    for name in ("token_embd.weight", "per_layer_token_embd.weight", "output.weight"):
        assert not demands_importance(name, kind, "q4_k_m")


def test_of_the_other_types_one_demands_it_in_one_mix():
    assert demands_importance("blk.0.attn_q.weight", "q2_k", "q2_k_s")
    assert not demands_importance("blk.0.attn_q.weight", "q2_k", "q2_k")
    assert not demands_importance("blk.0.attn_q.weight", "q3_k", "q2_k_s")


def test_every_answer_of_the_rules_is_asked_for():
    """Each line that returns is reached by a row, so a new rule asks for one."""
    path, reached = Path(rules.__file__), set()

    def note(frame, event, _):
        if frame.f_code.co_filename != str(path):
            return None
        reached.add(frame.f_lineno)
        return note

    before = sys.gettrace()
    sys.settrace(note)
    try:
        for mix, role, said, _ in ROWS:
            ask(mix, role, **said)
    finally:
        sys.settrace(before)
    tree = ast.parse(path.read_text("utf-8"))
    answers = [
        node.lineno for function in tree.body if isinstance(function, ast.FunctionDef)
        and function.name != "demands_importance" for node in ast.walk(function) if isinstance(node, ast.Return)
    ]  # fmt: skip
    assert [line for line in answers if line not in reached] == []
