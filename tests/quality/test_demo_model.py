"""The demo model as it ships: whole, small, good enough, and what its log says of it is true."""

from __future__ import annotations

import gzip
import json
import math

import pytest
import torch
from tokenizers import Tokenizer
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

import quantviz as qv
from quantviz.sources.demo import FOLDER

LOG = json.loads((FOLDER / "training.json").read_text("utf-8"))
MEGABYTE = 1_000_000


@pytest.fixture(scope="module")
def text() -> str:
    return gzip.decompress((FOLDER / "test.txt.gz").read_bytes()).decode()


@pytest.fixture(scope="module")
def tokens(text) -> list[int]:
    return Tokenizer.from_file(str(FOLDER / "tokenizer.json")).encode(text).ids


@pytest.fixture(scope="module")
def model():
    return AutoModelForCausalLM.from_pretrained(FOLDER, dtype=torch.float32).eval()


def test_the_folder_is_whole_and_small():
    files = {path.name: path.stat().st_size for path in FOLDER.iterdir()}
    assert set(files) == {
        "README.md",
        "config.json",
        "generation_config.json",
        "model.safetensors",
        "test.txt.gz",
        "tokenizer.json",
        "tokenizer_config.json",
        "training.json",
    }
    assert sum(files.values()) <= 12 * MEGABYTE


def test_it_is_a_small_llama_with_weights_in_bf16(model):
    config = AutoConfig.from_pretrained(FOLDER)
    assert (config.model_type, config.architectures) == ("llama", ["LlamaForCausalLM"])
    assert {info.dtype for info in qv.open_model(FOLDER).tensors} == {"bfloat16"}
    assert sum(weights.numel() for weights in model.parameters()) == LOG["parameters"]
    assert all(torch.isfinite(weights).all() for weights in model.parameters())


def test_every_matrix_has_rows_that_the_largest_blocks_divide():
    matrices = [info for info in qv.open_model(FOLDER).tensors if len(info.shape) == 2]
    assert len(matrices) == 7 * LOG["settings"]["layers"] + 1
    assert all(info.cols % 256 == 0 for info in matrices)


def test_the_tokenizer_gives_a_text_back_and_adds_nothing(text, tokens):
    tokenizer = AutoTokenizer.from_pretrained(FOLDER)
    assert len(tokenizer) == LOG["settings"]["vocabulary"]
    assert tokenizer(text)["input_ids"] == tokens
    for passage in (text, "naïve — 日本 \t\r\n 🙂  two  spaces", ""):
        assert tokenizer.decode(tokenizer(passage)["input_ids"]) == passage


def test_the_test_text_is_a_book_without_references(text, tokens):
    assert LOG["test_book"] == "John"
    lines = text.splitlines()
    assert len(lines) == 879
    assert lines[0] == "In the beginning was the Word, and the Word was with God, and the Word was God."
    assert not any(line[0].isdigit() for line in lines)
    assert len(tokens) == LOG["test_tokens"]


@torch.inference_mode()
def test_the_perplexity_in_the_log_is_that_of_the_stored_weights(model, tokens):
    surprise: list[float] = []
    for start in range(0, len(tokens) - 511, 512):
        window = torch.tensor(tokens[start : start + 512])
        chances = model(window[None]).logits[0].double().softmax(-1)
        surprise += [-math.log(chances[i - 1, window[i]]) for i in range(256, 512)]
    perplexity = math.exp(math.fsum(surprise) / len(surprise))
    assert perplexity == pytest.approx(LOG["perplexity"], rel=1e-4)
    assert perplexity < 28


def test_the_log_shows_the_whole_run():
    settings, curve = LOG["settings"], LOG["curve"]
    steps = [row["step"] for row in curve]
    assert steps == sorted(set(steps)) and steps[0] == 1 and steps[-1] == settings["steps"]
    assert all(row["tokens"] == row["step"] * settings["batch"] * settings["context"] for row in curve)
    assert LOG["tokens_seen"] == curve[-1]["tokens"]
    # Storing the weights in bf16 changes next to nothing.
    assert curve[-1]["test_perplexity"] == pytest.approx(LOG["perplexity"], rel=2e-3)
    assert curve[-1]["test_perplexity"] < curve[0]["test_perplexity"] / 20


def test_the_log_compares_an_early_and_a_late_state_under_rounding():
    looks = {row["step"]: row["perplexity_ratios"] for row in LOG["curve"] if "perplexity_ratios" in row}
    assert len(looks) >= 2 and LOG["settings"]["steps"] in looks
    for ratios in looks.values():
        assert all(qv.Scheme.parse(key) and math.isfinite(ratio) for key, ratio in ratios.items())
        assert ratios["int4-asym-b32"] < ratios["int2-asym-b32"]
