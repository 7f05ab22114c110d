"""The one error quantviz raises for bad input: a sentence for the person who caused it."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class QuantvizError(ValueError):
    """Bad input. The message says what was wrong, where, and what would work."""


class MissingFile(QuantvizError):
    """A file that would be read is not there."""


def did_you_mean(word: str, candidates: Iterable[str], limit: int = 3) -> str:
    """ " Did you mean a, b or c?" for the nearest candidates, or "" when none is near."""
    near = difflib.get_close_matches(word, list(candidates), n=limit, cutoff=0.5)
    if not near:
        return ""
    if len(near) == 1:
        return f" Did you mean {near[0]}?"
    return f" Did you mean {', '.join(near[:-1])} or {near[-1]}?"
