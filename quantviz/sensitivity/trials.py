"""One model, and what each trial of quantizing some of its tensors does to its predictions."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ..errors import QuantvizError
from ..evaluation.comparison import Refusal
from ..quality.baseline import Baseline
from ..quality.model.layers import Layer, check_fits
from ..quality.passage import Passage
from ..quality.prefix import Prefix
from ..quality.results import Figures
from ..quality.scoring import Tally, ratio_of_sums
from ..quality.session import Session, inference
from ..schemes import Scheme


@dataclass(frozen=True, eq=False)
class Trial:
    """figures: over all scored tokens, as `measure_quality` gives them.
    kl, losses: of each window, Σ KL and Σ (ln p₀ - ln p).  places: its scored tokens.
    """

    figures: Figures
    kl: np.ndarray
    losses: np.ndarray
    places: tuple[int, ...]
    seconds: float

    @property
    def kl_se(self) -> float:
        """Standard error of the mean KL divergence, from the spread between windows.

        Tokens of a window are alike: on the demo's book this is 1.3 to 1.6 times what independent tokens would give.
        Windows that follow each other are a little alike too (correlation 0.25 there), so another part of the same
        book may differ by up to 1.5 times more than this says.
        """
        return ratio_of_sums(self.kl, self.places)[1]

    @property
    def perplexity_ratio_se(self) -> float:
        """Likewise: the ratio times the standard error of its logarithm."""
        return self.figures.perplexity_ratio * ratio_of_sums(self.losses, self.places)[1]


class Trials:
    """The stored model's predictions, computed once, and the trials that are held against them.

    Trials whose first changed layer comes later run quicker: begin with the earliest.
    """

    def __init__(self, session: Session, passage: Passage) -> None:
        self._session, self._passage = session, passage
        with inference():
            session.replacer.restore()
            self._baseline = Baseline(session.opened, passage, session.told("the model as it is stored"))
            self._prefix = Prefix(self._baseline)

    def depth(self, layers: Sequence[Layer]) -> int:
        """How many decoder layers are before the first that `layers` have a part in."""
        return min(map(self._prefix.depth_of, layers))

    def run(self, assigned: Mapping[Layer, Scheme], what: str = "") -> Trial | Refusal:
        """The model with these tensors quantized and all others as stored; a Refusal where a scheme cannot apply.

        what: is tried, for the sentence of progress.
        """
        session, began = self._session, time.perf_counter()
        with inference():
            self._advance(self.depth(list(assigned)))
            try:
                for layer, scheme in assigned.items():
                    check_fits(layer, scheme)
                session.replacer.apply(assigned)
            except QuantvizError as problem:
                return Refusal("", str(problem))
            head = self._baseline.head_as_stored(assigned, session.replacer.originals)
            tally, done, told = Tally(self._passage.scored), 0, session.told(what)
            for number, batch in enumerate(self._baseline.batches):
                for rows in self._baseline.compare(number, self._prefix.features(number), head):
                    tally.add(rows)
                done += len(batch)
                if told:
                    told(done, len(self._passage.windows))
        figures, places = tally.figures(), tuple(window.scored for window in self._passage.windows)
        self._baseline.check(figures)
        return Trial(figures, *tally.sums(places), places, time.perf_counter() - began)

    def _advance(self, depth: int) -> None:
        """Layers before `depth` stay as they are from now on, and are not run again."""
        if depth > self._prefix.depth:
            self._session.replacer.restore()
            self._prefix.advance(depth)
        elif depth < self._prefix.depth:
            self._prefix.forget()
