"""Greedy continuations, and where they part."""

from __future__ import annotations

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from quantviz.errors import QuantvizError
from quantviz.evaluation.comparison import Refusal
from quantviz.quality.continuation import DEFAULT_PROMPT, continuations
from quantviz.sources.demo import FOLDER


def test_the_stored_model_writes_what_transformers_generates() -> None:
    found = list(continuations("demo", ["fp32", "int2-sym-tensor", "iq2_xxs"], tokens=20))
    stored, same, noise, refusal = found
    tokenizer = AutoTokenizer.from_pretrained(FOLDER)
    model = AutoModelForCausalLM.from_pretrained(FOLDER, dtype=torch.float32)
    ids = tokenizer(DEFAULT_PROMPT, return_tensors="pt")["input_ids"]
    expected = model.generate(ids, max_new_tokens=20, do_sample=False)[0, ids.shape[1] :].tolist()
    assert list(stored.tokens) == expected and stored.scheme is None
    assert stored.text == tokenizer.decode(expected) and len(stored.pieces) == 20
    assert same.scheme == "fp32" and same.tokens == stored.tokens
    assert same.first_difference is None and not any(same.differs)
    assert noise.first_difference is not None and sum(noise.differs) > 10
    place = noise.first_difference
    assert noise.tokens[:place] == stored.tokens[:place] and noise.tokens[place] != stored.tokens[place]
    assert isinstance(refusal, Refusal)


def test_a_character_of_several_tokens_comes_whole(llama) -> None:
    stored = next(continuations(str(llama), ["int8"], prompt="日本 🙂", tokens=30))
    tokenizer = AutoTokenizer.from_pretrained(FOLDER)
    before = tokenizer("日本 🙂")["input_ids"]
    assert "日本 🙂" + stored.text == tokenizer.decode([*before, *stored.tokens])


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"prompt": " "}, "prompt is empty"),
        ({"tokens": 0}, "continues nothing"),
        ({"tokens": 256}, "the model reads 256 together"),
    ],
)
def test_prompts_that_cannot_be_continued(llama, options, says) -> None:
    with pytest.raises(QuantvizError, match=says):
        next(continuations(str(llama), ["int8"], **options))
