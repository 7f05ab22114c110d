"""What the recipes of all tools need: a plan layer by layer, refusals by name, and patterns that mean exact names."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ...checkpoints.names import has_gguf_names
from ...errors import QuantvizError
from ...schemes import Scheme
from ..rules import path_of

if TYPE_CHECKING:
    from ..plan import Plan

_NUMBER = re.compile(r"\.([0-9]{1,9})\.")
_SHOWN = 5
# What a scheme may hold beside the grid and the groups that a tool lays down: how its scale is stored and made.
_OF_SCALES = {"scale", "range"}


@dataclass(frozen=True)
class Recipe:
    """text: what goes into the file.  notes: sentences for the reader, and the command to run; no part of the file."""

    format: str
    text: str
    file_name: str
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True)
class Layer:
    """One tensor of the model. scheme: None where it stays as it is stored.  stored_as: that dtype."""

    path: str
    name: str
    scheme: Scheme | None
    role: str
    stored_as: str


def layers_of(plan: Plan, tool: str, gguf: bool = False) -> tuple[Layer, ...]:
    """The tensors of a plan; experts that lie in one tensor are one.

    Raises QuantvizError where experts of one tensor differ, and where a sweep of a GGUF file has names that the tool
    does not know (gguf: whether it does).
    """
    found: dict[str, Layer] = {}
    for line in plan.lines:
        name = line.tensor.partition("[")[0]
        scheme = Scheme.parse(line.scheme) if line.scheme else None
        layer = Layer(path_of(name), name, scheme, line.role, line.stored_as)
        if found.setdefault(name, layer) != layer:
            raise QuantvizError(
                f"{tool} cannot give the experts of {name} different schemes; plan with experts that share one."
            )
    if not gguf and has_gguf_names(found):
        raise QuantvizError(
            f"These tensors have the names of a GGUF file, which {tool} does not know; sweep the original model, or "
            "export for llama.cpp."
        )
    return tuple(found.values())


def expressed(
    layers: Sequence[Layer], tool: str, express: Callable[[Scheme], Any], works: str, not_roles: Iterable[str] = ()
) -> dict[str, Any]:
    """What a tool calls the scheme of each layer, by path; None for one that stays as it is stored.

    express: of a scheme; None for one that the tool does not have.  works: schemes that it has, for the sentence.
    not_roles: whose tensors the tool leaves alone.  Raises QuantvizError with every scheme that cannot be expressed.
    """
    barred = [layer.path for layer in layers if layer.scheme is not None and layer.role in not_roles]
    if barred:
        raise QuantvizError(
            f"{tool} leaves {_some(barred)} as stored, so the plan cannot give a scheme to it; plan again and keep "
            f"{'them' if len(barred) > 1 else 'it'} as stored (--keep {barred[0].rpartition('.')[2]}, on the page "
            "“Kept as stored”)."
        )
    values = {layer.path: None if layer.scheme is None else express(layer.scheme) for layer in layers}
    lost = dict.fromkeys(x.scheme.key for x in layers if x.scheme is not None and values[x.path] is None)
    if lost:
        raise QuantvizError(f"{tool} cannot express {_some(tuple(lost))}; schemes that it has are {works}.")
    return values


def plain_options(scheme: Scheme, *allowed: str) -> bool:
    """Whether a scheme has no option but how its scale is stored and made, and those that are allowed."""
    return set(scheme.options) <= _OF_SCALES.union(allowed)


def integers(scheme: Scheme, bits: Iterable[int]) -> tuple[int, int | None, bool] | None:
    """(bits, weights of a row in a group or None for all, whether symmetric) of plain sym or asym integers."""
    g = scheme.granularity
    if not re.fullmatch(r"int[0-9]", scheme.format) or scheme.symmetry not in ("sym", "asym"):
        return None
    if not plain_options(scheme) or g is None or g.rows != 1 or scheme.fmt.bits not in set(bits):
        return None
    return scheme.fmt.bits, g.cols or None, scheme.symmetry == "sym"


def scale_note(layers: Sequence[Layer], tool: str) -> tuple[str, ...]:
    """A sentence where the tool makes symmetric scales by another rule than the schemes that were swept."""
    schemes = {layer.scheme for layer in layers if layer.scheme is not None}
    narrow = {scheme.key for scheme in schemes if scheme.symmetry == "sym" and scheme.range != "full"}
    if not narrow:
        return ()
    return (
        f"{tool} uses the lowest code of symmetric integers too, as range=full does: its errors differ a little from "
        f"those of {_some(sorted(narrow))}.",
    )


def patterns(paths: Iterable[str]) -> list[str]:
    """Regular expressions that match these names and no other, names that differ in one number joined in one.

    They hold nothing but escaped dots, groups of alternatives and plain letters, so Python, PCRE and std::regex read
    them alike.

    >>> patterns(["model.layers.0.mlp.up", "model.layers.2.mlp.up", "lm_head"])
    ['^model\\\\.layers\\\\.(0|2)\\\\.mlp\\\\.up$', '^lm_head$']
    """
    found: dict[tuple[str, str], list[str]] = {}
    for path in paths:
        number = _NUMBER.search(path)
        ends = (path[: number.start(1)], path[number.end(1) :]) if number else (path, "")
        found.setdefault(ends, []).append(number[1] if number else "")
    return [f"^{_escaped(before)}{_any_of(numbers)}{_escaped(after)}$" for (before, after), numbers in found.items()]


def _any_of(numbers: Sequence[str]) -> str:
    return numbers[0] if len(numbers) == 1 else "(" + "|".join(numbers) + ")"


def _escaped(text: str) -> str:
    return re.sub(r"([.^$*+?()\[\]{}|\\])", r"\\\1", text)


def by_value(values: dict[str, Any]) -> list[tuple[Any, list[str]]]:
    """The layers of each value, in the order in which values first come."""
    found: list[tuple[Any, list[str]]] = []
    for path, value in values.items():
        for known, paths in found:
            if known == value:
                paths.append(path)
                break
        else:
            found.append((value, [path]))
    return found


def most_common(values: dict[str, Any]) -> Any:
    """The value that most layers have, None left out."""
    return max(((value, len(paths)) for value, paths in by_value(values) if value is not None),
               key=lambda pair: pair[1], default=(None, 0))[0]  # fmt: skip


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:_SHOWN]) + (f" and {len(names) - _SHOWN:,} more" if len(names) > _SHOWN else "")
