"""The named mixes give the sizes that llama.cpp's own documentation and published files have."""

from __future__ import annotations

import json

import gguf
import pytest

import quantviz as qv
from quantviz.block_types import BLOCK_TYPES
from quantviz.cli import main
from quantviz.errors import QuantvizError
from quantviz.published.mixes import MIXES, Recipe, recipe, recipe_dict, recipe_table, sizes
from quantviz.published.mixes.recipes import Line
from quantviz.sources.gguf_types import TYPES
from quantviz.sources.model import Model, TensorInfo
from tests.sources.gguf_builder import demo


class Listing:
    """A model that is only a list."""

    def __init__(self, tensors: list[TensorInfo], metadata: dict | None = None) -> None:
        self.tensors, self.metadata = tuple(tensors), metadata or {}


def llama(layers=32, hidden=4096, inner=14336, vocabulary=128256, heads=32, shared=8, experts=0, arch="llama", **more):
    """The tensors of a Llama as convert_hf_to_gguf.py lists them."""
    names = {"token_embd": (vocabulary, hidden), "output_norm": (hidden,)}
    names |= {} if more.get("tied") else {"output": (vocabulary, hidden)}
    names |= {"rope_freqs": (more["rope"],)} if "rope" in more else {}
    rows, e = shared * hidden // heads, (experts,) if experts else ()
    ending = "_exps" if experts else ""
    for i in range(layers):
        names |= {f"blk.{i}.{n}": (hidden,) for n in ("attn_norm", "ffn_norm")}
        names |= {f"blk.{i}.attn_{n}": (hidden, hidden) for n in ("q", "output")}
        names |= {f"blk.{i}.attn_{n}": (rows, hidden) for n in ("k", "v")}
        names |= {f"blk.{i}.ffn_{n}{ending}": (*e, inner, hidden) for n in ("gate", "up")}
        names |= {f"blk.{i}.ffn_down{ending}": (*e, hidden, inner)}
        names |= {f"blk.{i}.ffn_gate_inp": (experts, hidden)} if experts else {}
    tensors = [TensorInfo(f"{n}.weight", s, "float32", 0) for n, s in names.items()]
    said = {"block_count": layers, "attention.head_count": heads, "attention.head_count_kv": shared}
    said |= {"expert_count": experts} if experts else {}
    return Model(arch, Listing(tensors, {"general.architecture": arch, **{f"{arch}.{k}": v for k, v in said.items()}}))


@pytest.mark.parametrize("there", [t for t in gguf.GGMLQuantizationType if t.name != "Q8_1"], ids=lambda t: t.name)
def test_a_line_takes_the_bytes_that_the_gguf_package_counts(there):
    block, nbytes = gguf.GGML_QUANT_SIZES[there]
    assert Line("w", (3, 2, 4 * block), TYPES[there.value].dtype, "").nbytes == 24 * nbytes


# Llama-3.1-8B, bits per weight as tools/quantize/README.md of llama.cpp lists them; made with importance or without.
LISTED = {
    "iq1_s": (2.0042, True), "iq1_m": (2.1460, True), "iq2_xxs": (2.3824, True), "iq2_xs": (2.5882, True),
    "iq2_s": (2.7403, True), "iq2_m": (2.9294, True), "iq3_xxs": (3.2548, True), "iq3_xs": (3.4977, True),
    "iq3_s": (3.6606, False), "iq3_m": (3.7628, False), "iq4_xs": (4.4597, False), "iq4_nl": (4.6818, False),
    "q2_k_s": (2.9697, True), "q2_k": (3.1593, False), "q3_k_s": (3.6429, False), "q3_k_l": (4.2979, False),
    "q4_k_s": (4.6672, False), "q4_k_m": (4.8944, False), "q5_k_s": (5.5704, False), "q5_k_m": (5.7036, False),
    "q6_k": (6.5633, False), "q8_0": (8.5008, False),
}  # fmt: skip


@pytest.mark.parametrize("mix", LISTED)
def test_bits_per_weight_are_those_llama_cpp_lists(mix):
    bits, importance = LISTED[mix]
    assert recipe(llama(rope=64), mix, importance).bits_per_weight == pytest.approx(bits, abs=5.1e-5)


# Bytes of published files. What they have beyond their tensors is the header, the same for every mix of a model.
PUBLISHED = [
    (dict(inner=11008, vocabulary=32000, shared=32), "q4_k_m", 4_081_004_224, 741_056),  # Llama-2-7B, TheBloke
    (dict(inner=11008, vocabulary=32000, shared=32), "q8_0", 7_161_089_728, 741_056),
    (dict(layers=16, hidden=2048, inner=8192, tied=True, rope=32), "q4_k_m", 807_694_464, 7_831_552),  # Llama-3.2-1B
]


@pytest.mark.parametrize("shape, mix, nbytes, header", PUBLISHED)
def test_files_are_as_long_as_published_ones(shape, mix, nbytes, header):
    assert recipe(llama(**shape), mix).nbytes == nbytes - header


def kinds(model: Model, mix: str, importance: bool = False) -> dict[str, str]:
    return {line.name.removesuffix(".weight"): line.kind for line in recipe(model, mix, importance).lines}


def test_the_rules_by_hand():
    q4 = kinds(llama(), "q4_k_m")
    sensitive = {i for i in range(32) if i < 4 or i >= 28 or (i - 4) % 3 == 2}
    assert {i for i in range(32) if q4[f"blk.{i}.ffn_down"] == "q6_k"} == sensitive
    assert {i for i in range(32) if q4[f"blk.{i}.attn_v"] == "q6_k"} == sensitive
    assert (q4["output"], q4["token_embd"], q4["blk.0.attn_q"], q4["output_norm"]) == (
        "q6_k",
        "q4_k",
        "q4_k",
        "float32",
    )
    q3 = kinds(llama(), "q3_k_m")
    assert [q3[f"blk.{i}.attn_v"] for i in range(4)] == ["q5_k", "q5_k", "q4_k", "q4_k"]
    assert [q3[f"blk.{i}.ffn_down"] for i in range(4)] == ["q5_k", "q5_k", "q4_k", "q4_k"]
    assert kinds(llama(tied=True), "q4_k_m")["token_embd"] == "q6_k"
    assert kinds(llama(layers=80), "q4_k_s")["blk.70.attn_v"] == "q5_k"  # 70B: heads that share
    assert kinds(llama(layers=80, shared=32), "q4_k_s")["blk.70.attn_v"] == "q4_k"


def test_experts_and_their_gates():
    mixtral = kinds(llama(experts=8, vocabulary=32000), "q4_k_m")
    assert mixtral["blk.0.attn_v"] == mixtral["blk.9.attn_k"] == "q8_0" and mixtral["blk.0.attn_output"] == "q5_k"
    assert mixtral["blk.0.ffn_gate_inp"] == "float32" and mixtral["blk.5.ffn_up_exps"] == "q4_k"
    fours = kinds(llama(experts=8), "mxfp4_moe")
    assert (fours["blk.0.ffn_down_exps"], fours["blk.0.attn_q"], fours["output"]) == ("gguf_mxfp4", "q8_0", "q8_0")


def test_rows_that_fit_no_block_get_the_stand_in():
    odd = kinds(llama(layers=4, hidden=2080, heads=32, inner=5632), "q4_k_m")
    assert (odd["blk.1.attn_q"], odd["blk.0.ffn_down"], odd["output"]) == ("q5_0", "q4_k", "q8_0")
    odd = kinds(llama(layers=4, hidden=2080, heads=32, inner=5624), "q4_k_m")
    assert odd["blk.0.ffn_down"] == "float16"
    with pytest.raises(QuantvizError, match="no multiple of the 128 of a q1_0 block"):
        recipe(llama(hidden=2080, heads=32), "q1_0")
    assert "no multiple" in sizes(llama(hidden=2080, heads=32))["q1_0"]


def test_importance_changes_some_mixes_and_some_demand_it():
    assert kinds(llama(), "q4_0", True)["blk.0.ffn_down"] == "q4_1"
    assert kinds(llama(), "q4_0")["blk.0.ffn_down"] == "q4_0"
    demanding = {name for name, r in sizes(llama()).items() if r.needs_importance}
    assert demanding == {"iq1_s", "iq1_m", "iq2_xxs", "iq2_xs", "iq2_s", "iq2_m", "iq3_xxs", "iq3_xs", "q2_k_s"}


def test_falcon_has_rules_of_its_own():
    falcon = kinds(llama(arch="falcon"), "q4_k_m")
    assert (falcon["blk.0.ffn_down"], falcon["blk.3.ffn_down"], falcon["blk.4.ffn_down"]) == ("q6_k", "q5_k", "q4_k")
    assert falcon["output"] == "q8_0"


def test_an_original_model_and_its_gguf_give_the_same_recipe(tmp_path):
    original, file = qv.open_model("demo"), qv.open_model(demo(tmp_path / "demo.gguf", otherwise="f16"))
    for mix in ("q4_k_m", "iq3_xs", "q2_k"):
        assert recipe(original, mix).lines == recipe(file, mix).lines
    assert recipe(original, "Q4_K_M").left_out == ()


def test_experts_kept_one_by_one_are_counted_together():
    names = ["model.embed_tokens.weight", "lm_head.weight"]
    names += [f"model.layers.0.mlp.experts.{e}.{p}_proj.weight" for e in range(4) for p in ("gate", "up", "down")]
    names += [f"model.layers.0.self_attn.{p}_proj.weight" for p in "qkvo"] + ["vision.patch.weight"]
    model = Model("moe", Listing([TensorInfo(n, (256, 256), "bfloat16", 0) for n in names]))
    r = recipe(model, "q4_k_m")
    assert {line.name: line.shape for line in r.lines}["blk.0.ffn_down_exps.weight"] == (4, 256, 256)
    assert r.facts.experts == 4 and r.left_out == ("vision.patch.weight",)


def test_every_start_is_a_block_type():
    assert {mix.start for mix in MIXES.values()} <= set(BLOCK_TYPES)


def test_wrong_names(tmp_path):
    with pytest.raises(QuantvizError, match="no mix 'q4_k_x'. Did you mean"):
        recipe(llama(), "q4_k_x")
    with pytest.raises(QuantvizError, match="no names for the architecture 'lama'. Did you mean llama"):
        recipe(qv.open_model("demo"), "q4_k_m", architecture="lama")
    with pytest.raises(QuantvizError, match="None of the architectures"):
        recipe(qv.open_model("random:normal?rows=4&cols=256"), "q4_k_m")


def test_tables_and_the_command_line(capsys):
    r = recipe(qv.open_model("demo"), "q4_k_m")
    columns = recipe_table(r)
    assert sum(columns["bytes"]) <= r.nbytes and len(set(map(len, columns.values()))) == 1
    assert sum(r.kinds.values()) == r.weights
    assert main(["mix", "demo", "q4_k_m", "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed == {"ref": "demo", **recipe_dict(r)}
    assert main(["mix", "demo", "IQ2_M"]) == 0
    assert "only with an importance matrix" in capsys.readouterr().out
    assert main(["mix", "demo", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert [line["mix"] for line in listed] == list(MIXES)
    assert main(["mix", "demo"]) == 0 and "q4_k_m" in capsys.readouterr().out
    assert main(["mix", "demo", "q4"]) == 2
    assert isinstance(sizes(qv.open_model("demo"))["q8_0"], Recipe)
