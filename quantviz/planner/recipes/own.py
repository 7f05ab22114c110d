"""A table `pattern=scheme;pattern=scheme`, as `quality` and the Quality page take it: the first match wins.

A pattern is a run of the parts of a name. Short ones are looked for, and the table is read back: every layer must get
the scheme of the plan, and one that stays as stored, or was not swept, none.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from fnmatch import translate
from itertools import product
from typing import TYPE_CHECKING

from ...errors import QuantvizError
from ...quality.model.layers import ALL, WORDS, Mixture
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
    text = ";".join(f"{pattern}={scheme}" for pattern, scheme in _rules(wanted))
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


def _rules(wanted: dict[str, str]) -> list[tuple[str, str]]:
    """A list of which the first match wins: the shorter of one that takes schemes as they come, and one that leaves the
    most common scheme to the end.
    """
    paths = list(wanted)
    masks = {pattern: _mask(pattern, paths) for pattern in sorted(_all_candidates(wanted), key=len)}
    of_key = {
        key: sum(1 << at for at, path in enumerate(paths) if wanted[path] == key)
        for key in dict.fromkeys(wanted.values())
    }
    most = max((key for key in of_key if key), key=lambda key: of_key[key].bit_count())
    rest = [key for key in of_key if key and key != most]
    left = (1 << len(paths)) - 1
    mixed = list(_covering(masks, of_key, [*rest, most], left))
    last = list(_covering(masks, of_key, rest, left))
    for pattern, _ in last:
        left &= ~masks[pattern]
    last += _covering(masks, of_key, [most], left)
    return min((last, mixed), key=len)


def _covering(masks: dict[str, int], of_key: dict[str, int], keys: list[str], left: int) -> Iterator[tuple[str, str]]:
    """Rules for the layers of some schemes: always the pattern that tells most of what is left, and all of it right."""
    while any(left & of_key[key] for key in keys):
        best, told, said = "", 0, ""
        for pattern, mask in masks.items():
            new = mask & left
            if new.bit_count() > told:
                key = next((key for key in keys if new & of_key[key]), None)
                if key is not None and not new & ~of_key[key]:
                    best, told, said = pattern, new.bit_count(), key
        if not best:
            return
        yield best, said
        left &= ~masks[best]


def _mask(pattern: str, paths: list[str]) -> int:
    """A bit for each path that a pattern means, as `quality.model.layers.matches` has it."""
    match = re.compile(translate(f"*.{pattern}.*")).match
    return sum(1 << at for at, path in enumerate(paths) if match(f".{path}."))


def _all_candidates(wanted: dict[str, str]) -> dict[str, None]:
    return dict.fromkeys(pattern for path, key in wanted.items() if key for pattern in _candidates(path))


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
