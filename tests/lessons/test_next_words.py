"""What a model expects after a sentence, as it is stored and under schemes."""

from __future__ import annotations

import math

import pytest

from quantviz.errors import QuantvizError
from quantviz.figures import alt_text, lessons
from quantviz.lessons.next_words import next_words


def test_schemes_are_held_against_the_stored_model():
    stored, fine, coarse = next_words("demo", ["fp32", "int2-sym-b32"])
    assert stored.scheme is None and stored.kl == 0 and stored.likeliest == stored.words[0]
    assert list(stored.probabilities) == sorted(stored.probabilities, reverse=True)
    assert sum(stored.probabilities) < 1 and stored.perplexity == pytest.approx(
        math.exp(sum(stored.surprises) / len(stored.surprises))
    )
    assert fine.kl == 0 and fine.probabilities == stored.probabilities and fine.perplexity == stored.perplexity
    assert coarse.kl > 0.1 and coarse.words == stored.words
    assert "as stored and under int2-sym-b32" in alt_text(lessons.next_words(stored, coarse))


@pytest.mark.parametrize("sentence", ["", "light " * 300])
def test_a_sentence_of_no_use_is_refused(sentence):
    with pytest.raises(QuantvizError, match="give one of 2 to 200"):
        list(next_words("demo", ["fp32"], sentence))
