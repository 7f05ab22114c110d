"""A table `pattern=scheme;pattern=scheme`, as `quality` and the Quality page take it: the first match wins.

A pattern is a run of the parts of a name. Short ones are looked for, and the table is read back: every layer must get
the scheme of the plan, and one that stays as stored, or was not swept, none.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import product
from typing import TYPE_CHECKING

from ...errors import QuantvizError
from ...quality.model.layers import ALL, WORDS, Mixture, matches
from ...quality.model.layers import Layer as ModelLayer
from ..rules import path_of
from .base import Layer, Recipe, layers_of

if TYPE_CHECKING:
    from ..plan import Plan

TOOL, FILE_NAME = "quantviz", "table.txt"
_EXPERTS = re.compile(r"(.*\.experts)\.[0-9]+\..*")
_SPECIAL = re.compile(r"[*?\[\];=:]")  # what a pattern would read as something else


def write(plan: Plan) -> Recipe:
    """Experts that the file holds one by one are one layer of the model that runs, so those of a layer must agree."""
    wanted = _wanted(layers_of(plan, TOOL), plan.others or ())
    if not any(wanted.values()):
        raise QuantvizError("The plan leaves every tensor as it is stored, so there is nothing to write down.")
    shapes = {path_of(line.tensor): line.shape for line in plan.lines}
    layers = {path: ModelLayer(f"{path}.weight", ("linear",), None, shapes.get(path, (1, 1))) for path in wanted}
    text = ";".join(f"{pattern}={scheme}" for pattern, scheme in _rules(wanted, layers))
    got = {layer.path: scheme.key for layer, scheme in Mixture.parse(text).assign(tuple(layers.values()), ()).items()}
    if got != {path: key for path, key in wanted.items() if key}:
        wrong = next(path for path, key in wanted.items() if got.get(path, "") != key)
        raise QuantvizError(f"No pattern tells {wrong} from the other layers, so no table can say what it gets.")
    notes = ["python -m quantviz quality REF '<the table>' measures it."]
    if plan.others is None:
        notes.append("The model could not be looked at: patterns may mean layers too that were not swept.")
    return Recipe(TOOL, text + "\n", FILE_NAME, tuple(notes))


def _wanted(layers: Iterable[Layer], others: Iterable[str]) -> dict[str, str]:
    """Path -> key, "" for what must get none."""
    found: dict[str, str] = {}
    for layer in layers:
        experts = _EXPERTS.fullmatch(layer.path)
        path, key = experts[1] if experts else layer.path, layer.scheme.key if layer.scheme else ""
        if found.setdefault(path, key) != key:
            raise QuantvizError(
                f"quantviz quantizes all experts of {path} alike, and the plan does not; plan with experts that share "
                "one scheme (--share experts)."
            )
    return found | {path: "" for path in map(path_of, others) if path not in found}


def _rules(wanted: dict[str, str], layers: dict[str, ModelLayer]) -> Iterator[tuple[str, str]]:
    """A list of which the first match wins: always the pattern that tells most of what is left, and all of it right."""
    paths = list(wanted)
    bit = {path: 1 << at for at, path in enumerate(paths)}
    of_key: dict[str, int] = {}
    for path, key in wanted.items():
        of_key[key] = of_key.get(key, 0) | bit[path]
    masks = {
        pattern: sum(bit[path] for path in paths if matches(layers[path], pattern))
        for pattern in sorted(dict.fromkeys(p for path in paths if wanted[path] for p in _candidates(path)), key=len)
    }
    left = sum(bit.values())
    while left & ~of_key.get("", 0):
        best, told, said = "", 0, ""
        for pattern, mask in masks.items():
            new = mask & left
            if new.bit_count() > told:
                key = wanted[paths[(new & -new).bit_length() - 1]]
                if key and not new & ~of_key[key]:
                    best, told, said = pattern, new.bit_count(), key
        if not best:
            return
        yield best, said
        left &= ~masks[best]


def _candidates(path: str) -> Iterator[str]:
    """Every run of the parts of a name, with numbers as they are or any."""
    parts = path.split(".")
    for start in range(len(parts)):
        for stop in range(start + 1, len(parts) + 1):
            run = parts[start:stop]
            if any(_SPECIAL.search(part) for part in run):
                continue
            for made in product(*((part, ALL) if part.isdigit() and 0 < at < len(run) - 1 else (part,)
                                  for at, part in enumerate(run))):  # fmt: skip
                if (pattern := ".".join(made)) not in WORDS and not pattern.isdigit():
                    yield pattern
