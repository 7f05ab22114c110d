"""Which tokens a model reads together, and which of its predictions are scored."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ...errors import QuantvizError
from ...text.wording import plural
from ..results import METHODS, Method

MIN_CONTEXT = 4


@dataclass(frozen=True)
class Window:
    """Tokens [start, stop) are read together, and those from `first` on scored: each from what precedes it there."""

    start: int
    stop: int
    first: int

    @property
    def length(self) -> int:
        return self.stop - self.start

    @property
    def scored(self) -> int:
        return self.stop - self.first


def check_windows(context: int, method: str) -> None:
    """Raises QuantvizError for a method or a window that there is not, before a text is read or a model opened."""
    if method not in METHODS:
        raise QuantvizError(f"There is no method {method!r}; choose {' or '.join(METHODS)}.")
    if context < MIN_CONTEXT:
        raise QuantvizError(f"A window of {plural(context, 'token')} is too short; give at least {MIN_CONTEXT}.")


def windows_over(tokens: int, context: int, method: Method) -> tuple[Window, ...]:
    """The windows over a text of `tokens` tokens.

    llama.cpp: side by side, what is left over unused. Of a window, logits from the middle on are scored, so that 255
    tokens of 512 are predicted: the tool's own `n_ctx - n_ctx/2 - 1`.
    sliding: each half a window further on; the last one ends with the text.

    >>> windows_over(1024, 512, "llama.cpp")
    (Window(start=0, stop=512, first=257), Window(start=512, stop=1024, first=769))
    >>> windows_over(600, 512, "sliding")
    (Window(start=0, stop=512, first=1), Window(start=256, stop=600, first=512))
    """
    check_windows(context, method)
    if tokens < context:
        raise QuantvizError(
            f"The text has {plural(tokens, 'token')}, fewer than one window of {context:,}; give a longer text, more "
            "tokens or a smaller context."
        )
    half = context // 2
    if method == "llama.cpp":
        return tuple(Window(at, at + context, at + half + 1) for at in range(0, tokens - context + 1, context))
    found = [Window(0, context, 1)]
    while found[-1].stop < tokens:
        before = found[-1]
        found.append(Window(before.start + half, min(before.start + half + context, tokens), before.stop))
    return tuple(found)


def batches(windows: Sequence[Window], tokens: int) -> Iterator[tuple[Window, ...]]:
    """Neighbours of one shape together, at most about `tokens` tokens a batch and at least one window."""
    batch: list[Window] = []
    for window in windows:
        if batch and (
            (window.length, window.scored) != (batch[0].length, batch[0].scored)
            or (len(batch) + 1) * window.length > tokens
        ):
            yield tuple(batch)
            batch = []
        batch.append(window)
    if batch:
        yield tuple(batch)
