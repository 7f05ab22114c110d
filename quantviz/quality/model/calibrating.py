"""Calibrating the layers of a language model: what flows into each while the model reads a text."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Unpack

from ...calibration.files import Calibrations
from ...calibration.moments import check_room
from ...errors import QuantvizError, did_you_mean
from ...text.printable import printable
from ..measure import DEFAULT_CONTEXT, Passage
from ..session import open_session, text_of
from ..text.texts import calibration_text
from .activations import DEFAULT_TOKENS, read_passage
from .feeds import Feed, listening, watchable, windows_apart
from .layers import DEFAULT_TARGETS, Layer, select
from .loading import LanguageModel, OpenOptions
from .parts import Progress


def calibrate(
    ref: str | LanguageModel,
    text: str | bytes | None = None,
    tokens: int | None = DEFAULT_TOKENS,
    layers: str | None = None,
    context: int = DEFAULT_CONTEXT,
    *,
    progress: Progress | None = None,
    **where: Unpack[OpenOptions],
) -> Calibrations:
    """A calibration of each linear layer, by the name of its weights, from one reading of a text.

    ref: `demo`, a model's folder, `hf:org/name@revision`, a .gguf file, or a model that is open.
    text: what is read, whole windows of `context` tokens, `tokens` of it at most; None is the second half of the
    demo's test book, of which quality scores the first. The last eighth of the windows is held out.
    layers: a regular expression of the names that are wanted; all where there is none.
    where: device, dtype, token, root and cache_dir, as `open_language_model` has them.
    Raises QuantvizError where memory does not hold E[x xᵀ] of them all, before anything is read, and says what fits;
    and for a pattern that matches no layer.
    """
    wanted = _pattern(layers)
    given = calibration_text() if text is None else text_of(text)
    with open_session(ref, None, DEFAULT_TARGETS, progress=progress, **where) as session:
        passage = Passage.of(session.opened, given, tokens, context, "llama.cpp")
        watched = watchable(session.opened.model, select(session.layers, DEFAULT_TARGETS))
        chosen = _matching(watched, wanted)
        check_room({layer.name: layer.shape[1] for _, layer in chosen})
        apart = windows_apart(len(passage.windows))
        used = len(passage.windows) - apart
        feeds = {layer.name: Feed.of(layer.shape[1], used * context, apart * context) for _, layer in chosen}
        with listening((module, feeds[layer.name]) for module, layer in chosen):
            read_passage(session, replace(passage, windows=passage.windows[:used]))
            for feed in feeds.values():
                feed.apart = True
            if apart:
                read_passage(session, replace(passage, windows=passage.windows[used:]))
    return Calibrations({name: feed.calibration(name) for name, feed in feeds.items() if feed.sums.tokens})


def _pattern(layers: str | None) -> re.Pattern[str] | None:
    try:
        return None if layers is None else re.compile(layers)
    except (re.error, RecursionError, OverflowError) as problem:
        raise QuantvizError(
            f"{printable(layers)!r} is no regular expression ({problem}); write for example down_proj."
        ) from None


def _matching(watched: Sequence[tuple[Any, Layer]], wanted: re.Pattern[str] | None) -> list[tuple[Any, Layer]]:
    found = [(module, layer) for module, layer in watched if wanted is None or wanted.search(layer.name)]
    if not found:
        names = [layer.name for _, layer in watched]
        near = did_you_mean(wanted.pattern, names) if wanted else ""
        first = f", such as {printable(names[0])}" if names else ""
        raise QuantvizError(f"No layer matches {printable(wanted.pattern) if wanted else ''!r}{first}.{near}")
    return found
