"""A mix of a Hugging Face model is the mix of the GGUF file that llama.cpp's converter makes of it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import quantviz as qv
from quantviz.cli import main
from quantviz.errors import QuantvizError
from quantviz.published.mixes import notices, recipe, sizes
from quantviz.published.mixes.described import described
from quantviz.sources.model import Model
from tests.checkpoints.names.truth import CONVERTED, Listing, file, original
from tests.sources.builders import with_header

SHOWN = ("phi3", "deepseek_v3", "gpt_oss", "granitemoe", "falcon-7b", "bloom", "gpt2", "qwen3_vl_moe", "jamba", "bert")


@pytest.mark.parametrize("kind", CONVERTED)
def test_what_the_rules_ask_is_the_same(kind):
    ours, theirs = described(original(kind)), described(file(kind))
    assert ours.facts == theirs.facts
    assert (ours.shapes, ours.dtypes) == (theirs.shapes, theirs.dtypes)
    assert ours.unknown == () and not ours.guessed


@pytest.mark.parametrize("kind", SHOWN)
def test_every_mix_is_the_same(kind):
    for importance in (False, True):
        ours, theirs = sizes(original(kind), importance), sizes(file(kind), importance)
        for mix, made in ours.items():
            assert made == theirs[mix] if isinstance(made, str) else made.lines == theirs[mix].lines, mix


SHARING = {"falcon-40b": 4, "falcon-7b": 8, "phi3": 4, "phi3-mha": 1, "deepseek_v3": 8, "gpt_bigcode": 8, "chatglm": 4,
           "dbrx": 4, "openelm": 4, "mpt": 1, "jamba": 1, "internlm2": 4}  # fmt: skip


@pytest.mark.parametrize("kind", SHARING)
def test_heads_that_share_are_seen_where_queries_keys_and_values_are_one_matrix(kind):
    assert described(original(kind)).facts.sharing == SHARING[kind]


def folder(at: Path, kind: str, config: dict | None) -> Path:
    """A model's folder: the head of its weights, all of no bytes but the last, and its config.json."""
    header, end = {}, 0
    for name, shape in CONVERTED[kind]["original"].items():
        size = 2
        for n in shape:
            size *= n
        header[name] = {"dtype": "F16", "shape": shape, "data_offsets": [end, end + size]}
        end += size
    path = at / "model.safetensors"
    path.write_bytes(with_header(header))
    with path.open("r+b") as weights:
        weights.truncate(path.stat().st_size + end)
    if config is not None:
        (at / "config.json").write_text(json.dumps(config))
    return at


def test_a_folder_is_read_by_its_config_json(tmp_path, capsys):
    known = CONVERTED["phi3"]
    at = folder(tmp_path, "phi3", known["config"])
    assert main(["mix", str(at), "q4_k_m", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["architecture"] == "phi3" and not said["guessed"] and said["left_out"] == said["unknown"] == []
    (at / "config.json").unlink()
    bare = recipe(qv.open_model(at), "q4_k_m")
    assert bare.guessed and "guessed from tensors' names" in notices(bare)[0]
    assert main(["mix", str(at), "q4_k_m"]) == 0 and "guessed" in capsys.readouterr().out
    (at / "config.json").write_text("{broken")
    assert main(["mix", str(at), "q4_k_m"]) == 2 and "no well-formed JSON" in capsys.readouterr().err
    (at / "config.json").write_text(json.dumps({"model_type": "opt", "architectures": ["OPTForCausalLM"]}))
    with pytest.raises(QuantvizError, match="names OPTForCausalLM and opt, for which the gguf package has no names"):
        recipe(qv.open_model(at), "q4_k_m")
    assert recipe(qv.open_model(at), "q4_k_m", architecture="phi3").facts.architecture == "phi3"


@pytest.mark.parametrize("kind", ["gpt2", "gpt_oss", "llama4", "qwen3_vl_moe", "qwen3_moe-fused", "dbrx", "mamba"])
def test_tensors_that_are_shown_turned_have_the_shapes_of_the_file(tmp_path, kind):
    at = folder(tmp_path, kind, CONVERTED[kind]["config"])
    assert recipe(qv.open_model(at), "q4_k_m").lines == recipe(file(kind), "q4_k_m").lines


def test_what_is_left_out_is_said_by_name():
    shapes = {**CONVERTED["gemma2"]["original"], "model.layers.0.new.thing": [4, 4], "model.layers.1.new": [2]}
    r = recipe(Model("made up", Listing(shapes, "float16"), lambda _: CONVERTED["gemma2"]["config"]), "q4_k_m")
    assert r.unknown == ("model.layers.0.new.thing", "model.layers.1.new")
    assert set(r.left_out) == {"lm_head.weight", *r.unknown}
    assert notices(r) == (
        "2 tensors have no name in a GGUF file that is known here, so the sizes are incomplete: "
        "model.layers.0.new.thing, model.layers.1.new.",
        "One tensor is no part of the file, as llama.cpp's converter has it: lm_head.weight.",
    )
