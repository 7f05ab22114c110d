"""The mixes are those of llama-quantize: every type of every tensor, as the program itself says.

data/llama_mixes.json.gz holds what `llama-quantize --dry-run`, built unchanged from llama.cpp at commit 0c1e570 of
2026-10-01 (as PyPI's llama_cpp_python 0.3.36 ships it), gives for ten made-up models under 26 mixes, without an
importance matrix: {label: {architecture, metadata, tensors: {name: shape}, types: {mix: {name: type}}}}. A tensor
that is missing from `types` keeps its type.

data/llama_mixes_of_converted.json.gz holds the same of seventeen of the models in tests/gguf_names/truth.py, under
every mix with and without a matrix: {kind: {mix/0 or mix/1: {name: type}}}, in quantviz's words; what is missing is
float32, and null stands where the program refuses.
"""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from quantviz.errors import QuantvizError
from quantviz.published.mixes import MIXES, mix_of, recipe, sizes
from quantviz.sources.model import Model, TensorInfo
from tests.checkpoints.names.truth import original

DATA = Path(__file__).parent / "data"
GOLDEN = json.loads(gzip.decompress((DATA / "llama_mixes.json.gz").read_bytes()))
OF_CONVERTED = json.loads(gzip.decompress((DATA / "llama_mixes_of_converted.json.gz").read_bytes()))
OURS = {"mxfp4": "gguf_mxfp4", "f16": "float16"}  # where quantviz has another name for ggml's type


class Listing:
    """A model that is only a list."""

    def __init__(self, architecture: str, metadata: dict, shapes: dict) -> None:
        self.tensors = tuple(TensorInfo(name, tuple(shape), "float32", 0) for name, shape in shapes.items())
        self.metadata = {f"{architecture}.{key}": value for key, value in metadata.items()}
        self.metadata["general.architecture"] = architecture


@pytest.mark.parametrize("label", GOLDEN)
def test_every_type_of_every_mix(label):
    golden = GOLDEN[label]
    model = Model(label, Listing(golden["architecture"], golden["metadata"], golden["tensors"]))
    for mix, types in golden["types"].items():
        made = {line.name: line.kind for line in recipe(model, mix).lines}
        assert made == {name: OURS.get(types.get(name, ""), types.get(name, "float32")) for name in made}, mix
        assert made.keys() == golden["tensors"].keys()


@pytest.mark.parametrize("kind", OF_CONVERTED)
def test_every_type_of_every_mix_of_a_hub_model(kind):
    for importance in (False, True):
        for mix, made in sizes(original(kind), importance).items():
            theirs = OF_CONVERTED[kind][f"{mix}/{int(importance)}"]
            if theirs is None:
                assert isinstance(made, str), mix
            else:
                ours = {line.name: line.kind for line in made.lines}
                assert ours == {name: theirs.get(name, "float32") for name in ours}, mix


def model_of(rows: dict[str, tuple[int, ...]], architecture: str = "llama", **metadata) -> Model:
    return Model("made up", Listing(architecture, {"block_count": 8, **metadata}, rows))


def types(mix: str, *args, importance: bool = False, **metadata) -> dict[str, str]:
    return {line.name: line.kind for line in recipe(model_of(*args, **metadata), mix, importance).lines}


def test_rows_that_are_no_multiple_of_32_become_float16():
    odd = {"token_embd.weight": (64, 272), "output.weight": (64, 272), "blk.0.attn_q.weight": (272, 272),
           "blk.0.ssm_dt.weight": (512, 16)}  # fmt: skip
    for mix in MIXES.keys() - {"q1_0"}:  # llama-quantize has nothing in place of Q1_0
        assert set(types(mix, odd).values()) == {"float16"}, mix


def test_a_type_of_unknown_size_is_refused_and_no_weights_have_no_bits():
    given_up = Listing("llama", {"block_count": 1}, {"blk.0.attn_norm.weight": (4,)})
    given_up.tensors = (TensorInfo("blk.0.attn_norm.weight", (4,), "Q4_2", 4),)
    with pytest.raises(QuantvizError, match="is stored as Q4_2, and how many bits that takes is not known"):
        recipe(Model("old", given_up), "q4_k_m").nbytes  # noqa: B018
    assert recipe(model_of({"blk.0.attn_q.weight": (0, 256)}), "q4_k_m").bits_per_weight == 0


def test_names_are_llama_quantizes_own():
    assert "nvfp4" not in MIXES
    assert [mix_of(name).name for name in ("Q3_K", "q4_k", "Q5_K")] == ["q3_k_m", "q4_k_m", "q5_k_m"]


@pytest.mark.parametrize(
    "architecture, layers, shared, is_70b",
    [("llama", 80, 2, True), ("llama", 80, 8, False), ("llama", 79, 2, False), ("qwen2", 80, 8, True),
     ("qwen2vl", 80, 2, False), ("deci", 80, 2, True), ("olmo", 80, 8, True), ("jais2", 68, 8, True)],
)  # fmt: skip
def test_what_counts_as_a_70b(architecture, layers, shared, is_70b):
    facts = {"block_count": layers, "attention.head_count": 8, "attention.head_count_kv": shared}
    given = types("q4_k_s", {f"blk.{i}.attn_v.weight": (256, 256) for i in range(6)}, architecture, **facts)
    assert given["blk.5.attn_v.weight"] == ("q5_k" if is_70b else "q4_k")


def test_architectures_with_exceptions_of_their_own():
    names = ["attn_q_a.weight", "attn_k_b.weight", "ffn_up_exps.weight", "attn_output.weight"]
    rows = {f"blk.0.{name}": (4, 256, 256) for name in names} | {"output.weight": (64, 256)}
    assert list(types("q4_k_m", rows, "glm5-next").values()) == ["q6_k", "float32", "q4_k", "q8_0", "q4_k"]
    ling, other = types("mxfp4_moe", rows, "bailingmoe3"), types("mxfp4_moe", rows, "deepseek2")
    assert [ling[f"blk.0.{n}"] for n in names] == ["q8_0", "q8_0", "gguf_mxfp4", "q8_0"]
    assert set(other.values()) == {"q8_0", "gguf_mxfp4"} and other["blk.0.attn_k_b.weight"] == "gguf_mxfp4"
