"""The training of the demo model: its data, its determinism, and that an interruption changes nothing."""

from __future__ import annotations

import gzip
import json
from dataclasses import replace

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from quantviz.errors import QuantvizError
from quantviz.quality.train_demo import training
from quantviz.quality.train_demo.__main__ import main
from quantviz.quality.train_demo.corpus import SEPARATOR, Batches, Corpus, read_corpus
from quantviz.quality.train_demo.finished import save_folder
from quantviz.quality.train_demo.fragility import SCHEMES, perplexity_ratios
from quantviz.quality.train_demo.recipe import TrainingRecipe
from quantviz.quality.train_demo.scoring import perplexity
from quantviz.quality.train_demo.vocabulary import encode_books, train_tokenizer

TINY = TrainingRecipe(
    vocabulary=300,
    hidden=32,
    intermediate=32,
    layers=1,
    heads=2,
    context=16,
    steps=6,
    batch=2,
    warmup=2,
    held_out="1Sm",
)


def verses(count: int = 40) -> list[str]:
    return [
        f"{book}{chapter}:{number} The {number * chapter} of {book} said unto them, Go ye and count {number}."
        for book in ("Ge", "Exo", "1Sm")
        for chapter in (1, 2)
        for number in range(1, count)
    ]


@pytest.fixture
def text(tmp_path):
    path = tmp_path / "text.txt.gz"
    path.write_bytes(gzip.compress("\n".join(verses()).encode()))
    return path


@pytest.fixture
def corpus(text) -> Corpus:
    return read_corpus(text, "1Sm")


@pytest.fixture
def prepared(corpus):
    tokenizer = train_tokenizer(corpus.training, TINY.vocabulary)
    return tokenizer, encode_books(tokenizer, corpus.training), torch.tensor(tokenizer.encode(corpus.test).ids)


@pytest.fixture
def unexamined(monkeypatch):
    """Leaves out the rounding at the end of a run, whose kernels take longer to load than the run itself."""
    monkeypatch.setattr(training, "perplexity_ratios", lambda *_: {})


def test_references_are_dropped_and_one_book_is_held_out(corpus):
    assert len(corpus.training) == 2
    assert corpus.training[0].startswith("The 1 of Ge said unto them, Go ye and count 1.\nThe 2 of Ge")
    assert corpus.test.startswith("The 1 of 1Sm said") and corpus.test.endswith(".\n")
    assert not any(":" in book for book in (*corpus.training, corpus.test))
    assert not any("1Sm" in book for book in corpus.training)


def test_repeated_is_the_share_of_runs_of_eight_words():
    line = "one two three four five six seven eight nine"
    assert Corpus((line,), line).repeated() == 1
    assert Corpus((line,), line + " ten").repeated() == pytest.approx(2 / 3)
    assert Corpus((line.replace("five", "six"),), line).repeated() == 0


def test_a_text_of_another_form_or_without_the_book_is_refused(tmp_path, text, capsys):
    with pytest.raises(QuantvizError, match="has no book 'Ruth'; it has Ge, Exo, 1Sm"):
        read_corpus(text, "Ruth")
    other = tmp_path / "other.gz"
    other.write_bytes(gzip.compress(b"Ge1:1 In the beginning\nonce upon a time\n"))
    with pytest.raises(QuantvizError, match="line 2"):
        read_corpus(other, "Ge")
    assert main(["--text", str(tmp_path / "none.gz"), "--out", str(tmp_path / "out")]) == 2
    assert "none.gz" in capsys.readouterr().err


def test_the_data_are_prepared_the_same_way_each_time(corpus, prepared):
    tokenizer, tokens, _ = prepared
    again = train_tokenizer(corpus.training, TINY.vocabulary)
    assert again.to_str() == tokenizer.to_str()
    assert torch.equal(encode_books(again, corpus.training), tokens)
    one, other = (Batches(tokens, TINY.context, TINY.batch, seed=0) for _ in range(2))
    for step in (0, 3, one.per_epoch, one.per_epoch + 3):
        assert all(torch.equal(a, b) for a, b in zip(one.at(step), other.at(step), strict=True))
    assert not torch.equal(one.at(0)[0], one.at(one.per_epoch)[0])
    assert not torch.equal(one.at(0)[0], Batches(tokens, TINY.context, TINY.batch, seed=1).at(0)[0])


def test_every_byte_has_a_token_and_books_begin_with_the_separator(corpus, prepared):
    tokenizer, tokens, _ = prepared
    assert tokenizer.get_vocab_size() == TINY.vocabulary
    odd = "naïve — 日本 \t\r\n 🙂  two  spaces"
    assert tokenizer.decode(tokenizer.encode(odd).ids) == odd
    assert tokenizer.token_to_id(SEPARATOR) == 0
    assert (tokens == 0).sum() == len(corpus.training)
    assert tokens[0] == 0


def test_an_epoch_shows_each_piece_of_the_text_once():
    numbers = torch.arange(1000)
    batches = Batches(numbers, context=16, batch=2, seed=0)
    inputs, targets = zip(*(batches.at(step) for step in range(batches.per_epoch)), strict=True)
    assert torch.equal(torch.cat(targets), torch.cat(inputs) + 1)
    seen = torch.cat(inputs).flatten()
    assert len(seen.unique()) == len(seen) >= 1000 - 16 * (1 + 2 * 2)


def test_the_rate_rises_stays_and_falls_to_zero():
    recipe = TrainingRecipe(steps=100, warmup=10, cooldown=0.5)
    rates = [recipe.rate(step) for step in range(100)]
    assert rates[:10] == pytest.approx([(step + 1) / 10 for step in range(10)])
    assert set(rates[10:51]) == {1.0}
    assert rates[75] == pytest.approx(0.5) and 0 < rates[-1] < 0.03
    # A longer run begins like a shorter one, so a run may be made longer before its rate falls.
    longer = replace(recipe, steps=200)
    assert [longer.rate(step) for step in range(50)] == rates[:50]


def test_a_run_may_be_made_longer_or_shorter_until_its_rate_falls():
    recipe = TrainingRecipe(steps=100, warmup=10, cooldown=0.5)
    assert replace(recipe, steps=200).continues(recipe, 51)
    assert replace(recipe, steps=60).continues(recipe, 31)
    assert not replace(recipe, steps=60).continues(recipe, 40)
    assert not replace(recipe, steps=200).continues(recipe, 60)
    assert recipe.continues(recipe, 100)
    assert not replace(recipe, seed=1).continues(recipe, 0)


class Stopped(Exception):
    pass


def stop_at(step: int):
    def report(row: dict) -> None:
        if row["step"] == step:
            raise Stopped

    return report


def test_an_interrupted_run_ends_in_the_same_weights(tmp_path, prepared, unexamined):
    _, tokens, test_tokens = prepared
    straight, curve = training.train(TINY, tokens, test_tokens, tmp_path / "straight.pt")
    with pytest.raises(Stopped):
        training.train(TINY, tokens, test_tokens, tmp_path / "cut.pt", report=stop_at(4), save_every=0)
    resumed, other = training.train(TINY, tokens, test_tokens, tmp_path / "cut.pt", resume=True)
    for name, weights in straight.state_dict().items():
        assert torch.equal(weights, resumed.state_dict()[name]), name
    without_time = [{name: value for name, value in row.items() if name != "seconds"} for row in curve]
    assert without_time == [{name: value for name, value in row.items() if name != "seconds"} for row in other]
    assert [row["step"] for row in curve] == [1, 2, 4, 6]
    assert not list(tmp_path.glob("*.part"))
    with pytest.raises(QuantvizError, match="at step 6 of a run with other settings"):
        training.train(replace(TINY, dropout=0.3), tokens, test_tokens, tmp_path / "cut.pt", resume=True)


def test_a_finished_folder_opens_as_a_model_of_the_hub_and_states_its_own_perplexity(
    tmp_path, corpus, prepared, unexamined
):
    tokenizer, tokens, test_tokens = prepared
    model, curve = training.train(TINY, tokens, test_tokens, tmp_path / "run.pt")
    log = save_folder(tmp_path / "out", model, tokenizer, corpus, len(tokens), TINY, curve)
    assert json.loads((tmp_path / "out" / "training.json").read_text("utf-8")) == log
    assert gzip.decompress((tmp_path / "out" / "test.txt.gz").read_bytes()).decode() == corpus.test
    stored = AutoModelForCausalLM.from_pretrained(tmp_path / "out", dtype="auto")
    assert {weights.dtype for weights in stored.parameters()} == {torch.bfloat16}
    read_tokens = AutoTokenizer.from_pretrained(tmp_path / "out")(corpus.test)["input_ids"]
    assert read_tokens == test_tokens.tolist()
    assert perplexity(stored.float(), test_tokens, TINY.context) == log["perplexity"]
    assert log["perplexity"] < curve[0]["test_perplexity"]


def test_looking_at_fragility_leaves_the_model_as_it_was(prepared):
    _, _, test_tokens = prepared
    model = training.build_model(TINY)
    before = {name: weights.clone() for name, weights in model.state_dict().items()}
    ratios = perplexity_ratios(model, test_tokens[:64], TINY.context)
    assert list(ratios) == list(SCHEMES)
    assert all(ratio > 0 for ratio in ratios.values()) and len(set(ratios.values())) > 1
    assert all(torch.equal(weights, before[name]) for name, weights in model.state_dict().items())
