"""Chapter 6: what rounding does to what a model says, on one sentence."""

from __future__ import annotations

import streamlit as st

from quantviz import figures
from quantviz.evaluation.comparison import Refusal
from quantviz.lessons.next_words import SCHEMES, SENTENCE, NextWords, next_words
from quantviz.quality.continuation import continuations
from quantviz.quality.results import Continuation
from quantviz.text.wording import number, share

from .. import say
from ..link import choices
from ..shared.passages import passages
from ..work.bounded import BoundedCache
from ..work.jobs import Job
from ..work.tasks import KeptResult, steps
from .model_claims import model_claims
from .parts import lead_on, question
from .presenting import show

BITS, SYMMETRIES = ("8", "6", "4", "3", "2"), {"symmetric": "sym", "asymmetric": "asym"}
WRITTEN = 24  # tokens that it goes on for
_written: BoundedCache[list[Continuation]] = BoundedCache(50, lambda _: 1)
_found: BoundedCache[dict[str | None, NextWords]] = BoundedCache(50, lambda _: 1)


@st.fragment
def draw() -> None:
    scheme = _sentence()
    model_claims(5, 6, 7)
    lead_on("Measure it on a whole text", "quality", measured=scheme)


def _sentence() -> str:
    """Draws what the model says after a sentence; returns the scheme that is shown."""
    st.markdown(
        "A model reads a text and says how likely every word is to come **next**. How surprised it is by the word that "
        "does come is −ln of that probability; **perplexity** is e to the mean surprise: 1 where it is always sure and "
        "right, 10 where it is as unsure as a fair die of ten sides. The **KL divergence** says how far one model's "
        "expectations are from another's: 0 where they are the same."
    )
    sentence = choices.text(
        "A sentence, in the words of the demo model's text (the King James Bible)", "learn_sentence", SENTENCE,
        max_chars=300,
    )  # fmt: skip
    left, right = st.columns([3, 2])
    bits = choices.one_of(left.select_slider, "Bits a weight, in blocks of 32", "learn_model_bits", BITS, "4")
    symmetry = choices.one_of(right.segmented_control, "Codes", "learn_model_codes", list(SYMMETRIES), "symmetric")
    scheme = f"int{bits}-{SYMMETRIES[symmetry]}-b32"
    found = _task(sentence).result()
    if found is None:
        return scheme
    stored, shown = found[None], found.get(scheme)
    if shown is None:
        say.info("This scheme cannot be applied to the demo model.")
        return scheme
    show(figures.lessons.next_words(stored, shown), "learn_next_words")
    columns = st.columns(3)
    say.metric("Likeliest next word", f"{shown.likeliest.strip()}", on=columns[0], border=True)
    say.metric(
        "KL divergence", number(shown.kl, 3), border=True, on=columns[1],
        help="Of the next word's distribution from that of the model as it is stored: `Σ p·ln(p/q)` in nats.",
    )  # fmt: skip
    say.metric(
        "Perplexity of the sentence", number(shown.perplexity, 4), border=True, on=columns[2],
        help="e to the mean of −ln p over its words but the first.",
    )  # fmt: skip
    say.caption(f"As it is stored, the model's perplexity on this sentence is {number(stored.perplexity, 4)}.")
    _passage(sentence, scheme)
    question("With how many bits does the model still say the same likeliest word?", lambda: _answer(found), "model")
    return scheme


def _task(sentence: str) -> KeptResult:
    def make(job: Job) -> dict[str | None, NextWords]:
        every = next_words("demo", sentence=sentence, progress=steps(job, "layers"))
        return {r.scheme: r for r in every if not isinstance(r, Refusal)}

    return KeptResult(("next words", sentence), "The next word", make, _found, heavy=True)


def _passage(sentence: str, scheme: str) -> None:
    """What the model writes after the sentence, as it is stored and under the scheme."""

    def make(job: Job) -> list[Continuation]:
        every = continuations("demo", SCHEMES, sentence, WRITTEN, progress=steps(job, "tokens"))
        return [c for c in every if isinstance(c, Continuation)]

    st.markdown("**What it writes after that**, always taking the likeliest word")
    found = KeptResult(("learn passage", sentence), "What it writes", make, _written, heavy=True).result()
    if found is not None:
        passages([c for c in found if c.scheme in (None, scheme)])


def _answer(found: dict[str | None, NextWords]) -> None:
    stored = found[None]
    rows = [r for key, r in found.items() if key is not None]
    same = [r.scheme for r in rows if r.likeliest == stored.likeliest]
    other = [f"{r.scheme} says “{r.likeliest.strip()}”" for r in rows if r.likeliest != stored.likeliest]
    say.text(
        f"“{stored.likeliest.strip()}”, of which the stored model is {share(stored.probabilities[0])} sure, stays "
        f"under {', '.join(same) or 'none'}." + (f" {'; '.join(other)}." if other else "")
    )
