"""What a sweep is asked for: what two runs must share for one to go on with what the other has measured."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from ..errors import QuantvizError
from ..text.printable import LONGEST_NAME, printable

_WORDS = {
    "revision": "revision of the source", "schemes": "schemes", "tensors": "pattern of names", "roles": "roles",
    "sample": "sample", "seed": "seed", "importance": "importance", "detail": "detail",
    "version": "version of quantviz",
}  # fmt: skip
_SHOWN = 6  # schemes in a sentence


@dataclass(frozen=True)
class Spec:
    """A sweep, as JSON can hold it.

    ref: as it was asked for.  revision: what pins its weights.  schemes: canonical keys, in the order asked for.
    tensors: regular expression that names must match somewhere, "" for all.  roles: () for all.
    sample: share or number of weights of each tensor, "" for all of them.  importance: SHA-256 of the file, or "".
    version: of quantviz.
    """

    ref: str
    revision: str
    schemes: tuple[str, ...]
    tensors: str = ""
    roles: tuple[str, ...] = ()
    sample: str = ""
    seed: int = 0
    importance: str = ""
    detail: str = "full"
    version: str = ""

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def of(cls, found: object) -> Spec:
        """From what JSON gave back. Raises QuantvizError for anything else than `as_dict` gives."""
        names = {field.name for field in fields(cls)}
        if not isinstance(found, Mapping) or set(found) != names:
            raise QuantvizError("What it says of itself does not describe a sweep")
        values = dict(found)
        for name, value in found.items():
            if name in ("schemes", "roles"):
                right = isinstance(value, list) and all(isinstance(word, str) for word in value)
                values[name] = tuple(value) if right else value
            else:
                right = isinstance(value, int if name == "seed" else str) and not isinstance(value, bool)
            if not right:
                raise QuantvizError(f"What it says of itself has no usable {name}")
        return cls(**values)

    def difference(self, other: Spec) -> str:
        """In words, what keeps a sweep asked for as `self` from going on with one that was asked for as `other`."""
        for name, word in _WORDS.items():
            mine, theirs = getattr(self, name), getattr(other, name)
            if name == "seed" and not self.sample:
                continue  # nothing is drawn
            if mine != theirs and not (name in ("schemes", "roles") and set(mine) == set(theirs)):
                return f"{word} {_said(theirs)}, and not {_said(mine)}"
        return ""


def _said(value: object) -> str:
    if isinstance(value, tuple):
        more = f" and {len(value) - _SHOWN:,} more" if len(value) > _SHOWN else ""
        value = ", ".join(value[:_SHOWN]) + more
    return printable(value if value != "" else "(none)", LONGEST_NAME)
