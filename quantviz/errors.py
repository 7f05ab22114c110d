"""The one error quantviz raises for bad input: a sentence for the person who caused it."""

from __future__ import annotations

import difflib
import heapq
import os.path
from collections.abc import Iterable

from .text.printable import printable

_LONGEST = 200  # characters of a word that is worth a suggestion
_COMPARED = 1000  # candidates


class QuantvizError(Exception):
    """Bad input: the message says what was wrong, where, and what would work.

    It is no ValueError, so that code which catches those does not swallow the sentence. It is one line of bounded
    length, whatever it quotes: the names of a hostile file may have megabytes.
    """

    def __init__(self, message: object = "") -> None:
        super().__init__(printable(message))


class MissingFile(QuantvizError):
    """A file that would be read is not there."""


def did_you_mean(word: str, candidates: Iterable[str], limit: int = 3) -> str:
    """ " Did you mean a, b or c?" for the nearest candidates, or "" when none is near."""
    if len(word) > _LONGEST:
        return ""
    known = [name for name in candidates if len(name) <= _LONGEST]
    if len(known) > _COMPARED:  # comparing letter by letter takes long: those that begin alike come first
        known = heapq.nlargest(_COMPARED, known, key=lambda name: len(os.path.commonprefix((word, name))))
    near = difflib.get_close_matches(word, known, n=limit, cutoff=0.5)
    if not near:
        return ""
    if len(near) == 1:
        return f" Did you mean {near[0]}?"
    return f" Did you mean {', '.join(near[:-1])} or {near[-1]}?"
