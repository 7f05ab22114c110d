"""Calibrates the layers of a model in its own order, a transformer block at a time, so that E[x xᵀ] of one block is
all that is held.

As GPTQ's authors have it (Frantar et al., arXiv 2210.17323, `llama.py` of IST-DASLab/gptq without true_sequential):
the inputs of all layers of a block are collected while the block is as it is stored, then it is quantized, and what
the next block reads has come through it. Between blocks the hidden states of all calibration tokens are kept, where
the model's structure allows it; otherwise all blocks run each time.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from ..calibration.layer import Calibration
from ..calibration.moments import check_room
from ..errors import QuantvizError
from ..schemes import Scheme
from ..text.wording import plural
from .data import Calibrating
from .model.feeds import Feed, SquaresFeed, listening, same_inputs, watchable, windows_apart
from .model.layers import Layer
from .model.loading import LanguageModel
from .passage import Passage, encode_start
from .prefix import Prefix, replaced
from .reading import Reading
from .text.overlap import shared_until

_CONTEXT = 512
Told = Callable[[str], Callable[[int, int], None] | None]
_ROUNDED = "it is rounded to nearest."


@dataclass(frozen=True, eq=False)
class Fed:
    """A layer whose turn it is. calibration: None where it needs none, or none can be had: remark says why."""

    layer: Layer
    calibration: Calibration | None
    remark: str = ""


class Calibrator:
    """What flows into a model's layers while it reads a calibration text; nothing is read before it is asked for.

    layers: all of the model's.
    """

    def __init__(self, opened: LanguageModel, layers: Sequence[Layer], calibrating: Calibrating) -> None:
        self.calibrating, self._opened, self._layers = calibrating, opened, layers
        self._scored: Passage | None = None
        self.imatrix: dict[str, np.ndarray] = {}  # by the names of layers, once it was collected
        self.imatrix_seconds = 0.0
        self.start = 0  # where in its text the tokens begin

    def keep_apart(self, scored: Passage) -> None:
        """No part of this passage is calibrated on, and windows are as long as its own where nothing else is said."""
        self._scored = scored

    @cached_property
    def passage(self) -> Passage:
        """What is read: `quantviz.calibrate` reads the same and holds the same windows out.

        Raises QuantvizError where nothing is left of the text beside what is scored.
        """
        opened, wanted = self._opened, self.calibrating.tokens
        context = self.calibrating.context or (
            self._scored.context if self._scored else min(_CONTEXT, opened.longest or _CONTEXT)
        )
        text = self.calibrating.content
        ids = encode_start(opened, text, wanted)
        if self._scored is not None:
            read = self._scored.in_windows.numpy()
            if shared_until(np.array(ids), read):
                ids = encode_start(opened, text, None if wanted is None else wanted + len(read))
                self.start = shared_until(np.array(ids), read)
                ids = ids[self.start :][:wanted]
        if len(ids) < context:
            what = f"The calibration text ({self.calibrating.identity}) has {plural(len(ids), 'token')}"
            short = f"fewer than one window of {context:,}"
            raise QuantvizError(
                f"{what} behind the {self.start:,} that hold what is scored, {short}: what is scored is never "
                "calibrated on. Give another calibration text, or measure fewer tokens."
                if self.start
                else f"{what} to calibrate on, {short}; give a longer one, more tokens of it, or a smaller context."
            )
        passage = Passage.over(opened, ids, context, "llama.cpp")
        used = len(passage.windows) - windows_apart(len(passage.windows))
        return Passage(passage.tokens, context, passage.method, passage.windows[:used], passage.bos)

    @property
    def tokens(self) -> int:
        return len(self.passage.in_windows)

    @property
    def text(self) -> str:
        """Which text was read, in words."""
        behind = f", from its token {self.start:,} on" if self.start else ""
        return self.calibrating.identity + behind

    def check_room(self, assigned: Mapping[Layer, Scheme]) -> None:
        """Raises QuantvizError where memory does not hold E[x xᵀ] of some block's layers, before they are collected."""
        stages = self._stages(assigned, self._prefix)
        outside = {} if self.calibrating.propagate else self._widths(stages.get(None, ()), assigned)
        for layers in stages.values():
            check_room(outside | self._widths(layers, assigned))

    def collect_imatrix(self, told: Told) -> None:
        """E[x²] of the inputs of each layer, in `imatrix`, of the model as it is now."""
        began, feeds = time.perf_counter(), {}
        for group in self._groups([layer for layer in self._layers if layer in self._modules]):
            feeds |= dict.fromkeys(group, SquaresFeed(group[0].shape[1]))
        first = {feed: layer for layer, feed in reversed(feeds.items())}
        reading = self._reading  # which tries the model when it is made
        with listening((self._modules[layer], feed) for feed, layer in first.items()):
            self._read_whole(reading, told("the imatrix is collected"))
        self.imatrix = {layer.name: feed.mean() for layer, feed in feeds.items() if feed.tokens}
        self.imatrix_seconds = time.perf_counter() - began

    def importance(self, layer: Layer, scheme: Scheme) -> np.ndarray | None:
        """E[x²] of a layer's inputs, for a scheme that searches by it."""
        return self.imatrix.get(layer.name) if self.calibrating.searches(scheme) else None

    def in_turn(self, assigned: Mapping[Layer, Scheme], told: Told) -> Iterator[Fed]:
        """Each layer, in an order in which they are to be quantized: at once, when it comes.

        Within `inference`, from a model that is as it is stored. Layers that read the same inputs share what is
        collected. Where inputs are those of the stored model, what lies outside of the blocks comes last; where
        hidden states cannot be kept, the blocks come from the last to the first, so that no input has gone through
        what was quantized.
        """
        prefix, propagate = self._prefix, self.calibrating.propagate
        stages, last = self._stages(assigned, prefix), []
        try:
            if not propagate:
                last = list(self._stage(None, stages.pop(None, ()), assigned, prefix, told))
                if not prefix.blocks:
                    stages = dict(reversed(stages.items()))
            for place, layers in stages.items():
                yield from self._stage(place, layers, assigned, prefix, told)
            yield from last
        finally:
            prefix.forget()  # hidden states of this scheme's blocks

    # -- parts of the model ----------------------------------------------------------------------

    @cached_property
    def _modules(self) -> dict[Layer, Any]:
        return {layer: module for module, layer in watchable(self._opened.model, self._layers)}

    @cached_property
    def _numbers(self) -> dict[str, int]:
        """Layers with equal numbers read the same inputs."""
        return same_inputs(self._opened, self._modules)

    @cached_property
    def _reading(self) -> Reading:
        return Reading(self._opened, self.passage)

    @cached_property
    def _prefix(self) -> Prefix:
        return Prefix(self._reading)

    def _groups(self, layers: Sequence[Layer]) -> list[list[Layer]]:
        """Those that read the same inputs together."""
        found: dict[Any, list[Layer]] = {}
        for layer in layers:
            found.setdefault(self._numbers.get(layer.name, layer.name), []).append(layer)
        return list(found.values())

    def _stages(self, assigned: Mapping[Layer, Scheme], prefix: Prefix) -> dict[int | None, list[Layer]]:
        """By the number of their block; what lies outside of blocks first, under None, and the head last."""
        found: dict[int | None, list[Layer]] = {}
        for layer in assigned:
            found.setdefault(prefix.place_of(layer), []).append(layer)
        return dict(sorted(found.items(), key=lambda item: -1 if item[0] is None else item[0]))

    def _fed(self, layers: Sequence[Layer], assigned: Mapping[Layer, Scheme]) -> list[list[Layer]]:
        return self._groups([layer for layer in layers if assigned[layer].uses_data and layer in self._modules])

    def _widths(self, layers: Sequence[Layer], assigned: Mapping[Layer, Scheme]) -> dict[str, int]:
        return {group[0].name: group[0].shape[1] for group in self._fed(layers, assigned)}

    # -- reading ---------------------------------------------------------------------------------

    def _stage(
        self, place: int | None, layers: Sequence[Layer], assigned: Mapping[Layer, Scheme], prefix: Prefix, told: Told
    ) -> Iterator[Fed]:
        groups, passage = self._fed(layers, assigned), self.passage
        feeds = [Feed.of(group[0].shape[1], self.tokens, passage.context) for group in groups]
        if groups:
            self._collect(place, [(self._modules[g[0]], f) for g, f in zip(groups, feeds, strict=True)], prefix, told)
        for group in groups:
            feed = feeds.pop(0)
            calibration = feed.calibration() if feed.sums.tokens else None
            remark = "" if calibration else f"no token of the calibration text reached it, so {_ROUNDED}"
            del feed
            for layer in group:
                yield Fed(layer, calibration, remark)
        fed = {layer for group in groups for layer in group}
        for layer in layers:
            if layer not in fed:
                yield Fed(layer, None, _why_none(layer) if assigned[layer].uses_data else "")

    def _collect(
        self, place: int | None, pairs: Sequence[tuple[Any, Feed]], prefix: Prefix, told: Told
    ) -> None:  # fmt: skip
        if place is None or not prefix.blocks:
            with listening(pairs):
                return self._read_whole(prefix.reading, told("the calibration text is read"))
        prefix.advance(place, told(f"to block {place + 1}"))
        with listening(pairs):
            if place == prefix.count:
                self._read_whole(prefix.reading, told("calibrating the head"), prefix)
            elif self.calibrating.propagate:
                prefix.run_next(told(f"calibrating block {place + 1} of {prefix.count}"))
            else:
                prefix.advance(place + 1, told(f"calibrating block {place + 1} of {prefix.count}"))

    def _read_whole(
        self, reading: Reading, told: Callable[[int, int], None] | None, prefix: Prefix | None = None
    ) -> None:  # fmt: skip
        """The model reads the passage up to its head, which is told what it is given; `prefix` leaves blocks out."""
        model, done = self._opened.model, 0
        head = model.get_output_embeddings()
        for number, batch in enumerate(reading.batches):
            tokens = self.passage.read(batch).to(self._opened.device)
            with replaced([head] if head is not None else [], lambda x, *_: x[..., :1]):
                if prefix is None:
                    model(tokens, use_cache=False)
                else:
                    with prefix.left_out(number):
                        model(tokens, use_cache=False)
            done += len(batch)
            if told:
                told(done, len(self.passage.windows))


def _why_none(layer: Layer) -> str:
    if layer.matrices > 1:
        return f"its {layer.matrices:,} experts lie in one tensor, and which tokens reach each is not told: {_ROUNDED}"
    return f"no module of the model multiplies inputs by it alone, so it has none to calibrate on: {_ROUNDED}"
