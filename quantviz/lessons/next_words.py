"""One sentence read by a model, as it is stored and under schemes: which word comes next, and how sure it is."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Unpack

from ..errors import QuantvizError
from ..evaluation.comparison import Refusal
from ..quality.model.loading import LanguageModel, OpenOptions
from ..quality.model.parts import Progress
from ..quality.session import inference, open_session
from ..text.wording import plural

SENTENCE = "And God said, Let there be light: and there was"
SCHEMES = tuple(f"int{bits}-{symmetry}-b32" for bits in (8, 6, 4, 3, 2) for symmetry in ("sym", "asym"))
MOST = 8  # words that are shown
_LONGEST = 200  # tokens


@dataclass(frozen=True)
class NextWords:
    """What a model expects after a sentence.

    scheme: None for the model as it is stored.  words: the likeliest next ones of the model as it is stored, and
    probabilities: what this model gives each.  likeliest: its own likeliest word.
    kl: KL divergence of its distribution over all next words from the stored model's, in nats.
    surprises: -ln p of every token of the sentence but the first.
    """

    scheme: str | None
    words: tuple[str, ...]
    probabilities: tuple[float, ...]
    likeliest: str
    kl: float
    surprises: tuple[float, ...]

    @property
    def perplexity(self) -> float:
        """Of the sentence: e to the mean surprise."""
        return math.exp(math.fsum(self.surprises) / len(self.surprises))


def next_words(
    ref: str | LanguageModel, schemes: Iterable[str] = SCHEMES, sentence: str = SENTENCE, *,
    progress: Progress | None = None, **where: Unpack[OpenOptions],
) -> Iterator[NextWords | Refusal]:  # fmt: skip
    """The stored model's expectation first, then each scheme's.

    where: as `open_language_model` has it. Raises QuantvizError for a sentence of fewer than two tokens, or too many.
    """
    with open_session(ref, schemes, progress=progress, **where) as session:
        ids = session.opened.encode(sentence)
        if not 2 <= len(ids) <= _LONGEST:
            raise QuantvizError(f"The sentence has {plural(len(ids), 'token')}; give one of 2 to {_LONGEST}.")
        stored = _logs(session.opened, ids)
        top = stored[-1].topk(MOST).indices.tolist()
        words = tuple(session.opened.decode([*ids, i])[len(session.opened.decode(ids)) :] for i in top)
        yield _told(session.opened, None, ids, stored, stored, top, words)
        for mixture in session.mixtures:
            changes = session.apply(mixture)
            if isinstance(changes, Refusal):
                yield changes
            else:
                yield _told(session.opened, mixture.key, ids, _logs(session.opened, ids), stored, top, words)


def _logs(opened: LanguageModel, ids: list[int]) -> Any:
    """float64 [tokens, vocabulary]: ln p of what follows each token."""
    import torch

    with inference():
        logits = opened.model(torch.tensor([ids], device=opened.device), use_cache=False).logits[0]
        return logits.double().log_softmax(-1).cpu()


def _told(opened: LanguageModel, scheme: str | None, ids: list[int], logs: Any, stored: Any, top: list[int],
          words: tuple[str, ...]) -> NextWords:  # fmt: skip
    last, base = logs[-1], stored[-1]
    likeliest = opened.decode([*ids, int(last.argmax())])[len(opened.decode(ids)) :]
    surprises = tuple(-float(logs[place, token]) for place, token in enumerate(ids[1:]))
    kl = float((base.exp() * (base - last)).sum())
    return NextWords(scheme, words, tuple(math.exp(float(last[i])) for i in top), likeliest, max(kl, 0.0), surprises)
