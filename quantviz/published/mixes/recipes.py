"""A mix over a whole model: the type of every tensor, and the size of the file that it gives."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ...errors import QuantvizError, did_you_mean
from ...sources import Model
from ...sources.gguf_types import NUMBERS, TYPES
from .base import ALIASES, MIXES, VALUES, Facts, Mix, Question, is_quantized, role_of
from .described import Described, described
from .rules import choose, demands_importance

_NAMES_SHOWN = 6
_ALIGNMENT = 32  # bytes to which a GGUF file pads each tensor
_LAYER = re.compile(r"blk\.([0-9]{1,9})\.")


@dataclass(frozen=True)
class Line:
    """One tensor of the file a mix makes.

    name: in the file.  shape: outermost axis first.  kind: its block type, or its dtype where it is left alone.
    why: what made the mix depart from its own type, "" where nothing did.
    """

    name: str
    shape: tuple[int, ...]
    kind: str
    why: str
    needs_importance: bool = False

    @property
    def size(self) -> int:
        return math.prod(self.shape)

    @property
    def bits_per_weight(self) -> float:
        stored = TYPES.get(NUMBERS.get(self.kind, -1))
        if stored is None:
            raise QuantvizError(f"{self.name!r} is stored as {self.kind}, and how many bits that takes is not known.")
        return 8 * stored.nbytes / stored.block

    @property
    def nbytes(self) -> int:
        return round(self.size * self.bits_per_weight / 8)


@dataclass(frozen=True)
class Recipe:
    """The file a mix makes of a model, tensor by tensor, in the order in which llama.cpp decides.

    left_out: tensors of the original that are not in the file.  unknown: those of them of which nothing tells what
    they are, so that sizes are incomplete.  guessed: whether the architecture is a guess by the tensors' names.
    """

    mix: Mix
    facts: Facts
    lines: tuple[Line, ...]
    importance: bool
    left_out: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()
    guessed: bool = False

    @property
    def weights(self) -> int:
        return sum(line.size for line in self.lines)

    @property
    def nbytes(self) -> int:
        """Of all tensors, each padded as in the file; the header, which holds the tokenizer, comes on top."""
        return sum(-(-line.nbytes // _ALIGNMENT) * _ALIGNMENT for line in self.lines)

    @property
    def bits_per_weight(self) -> float:
        return 8 * self.nbytes / self.weights if self.weights else 0.0

    @property
    def kinds(self) -> dict[str, int]:
        """Weights of each type, most first."""
        count: Counter[str] = Counter()
        for line in self.lines:
            count[line.kind] += line.size
        return dict(count.most_common())

    @property
    def needs_importance(self) -> bool:
        """Whether llama-quantize refuses this mix without importance."""
        return any(line.needs_importance for line in self.lines)


def mix_of(name: str) -> Mix:
    """The mix of that name, in any case; QuantvizError with the nearest names where there is none."""
    found = MIXES.get(ALIASES.get(name.lower(), name.lower()))
    if found is None:
        near = did_you_mean(name.lower(), MIXES) or f" Choose one of {', '.join(MIXES)}."
        raise QuantvizError(f"There is no mix {name[:80]!r}.{near}")
    return found


def recipe(model: Model, mix: str, importance: bool = False, architecture: str | None = None) -> Recipe:
    """What llama-quantize makes of a model under a named mix: the type of every tensor, and what it takes.

    importance: whether an importance matrix is given, on which some mixes depend.
    architecture: as GGUF's general.architecture spells it, where neither the file nor config.json should decide.
    Raises QuantvizError for an unknown mix, and for a model whose tensors GGUF has no names for.

    >>> import quantviz as qv
    >>> r = recipe(qv.open_model("demo"), "q4_k_m")
    >>> r.kinds, round(r.bits_per_weight, 2)
    ({'q4_k': 2883584, 'q6_k': 1048576, 'float32': 2304}, 5.07)
    """
    return recipe_of(described(model, architecture), mix_of(mix), importance)


def recipe_of(m: Described, mix: Mix, importance: bool = False) -> Recipe:
    """The same, of a model that is described."""
    lines = tuple(_lines(mix, m.facts, m.shapes, m.dtypes, importance))
    return Recipe(mix, m.facts, lines, importance, m.left_out, m.unknown, m.guessed)


def _lines(
    mix: Mix, facts: Facts, shapes: Mapping[str, tuple[int, ...]], stored: Mapping[str, str], importance: bool
) -> Iterator[Line]:
    seen: Counter[Any] = Counter()
    tied = "output.weight" not in shapes
    values = sum(role_of(name) in VALUES for name in shapes)
    for name in sorted(shapes, key=_order):
        shape = shapes[name]
        if not is_quantized(name, shape, facts.architecture):
            yield Line(name, shape, stored[name], "not quantized by any mix")
            continue
        role = role_of(name)
        counted = "values" if role in VALUES else role
        before = seen[counted]
        layer = _layer(name) if facts.experts > 1 else before
        deep = len(shape) > 2 and shape[-3] > 1
        question = Question(
            mix, facts, name, role, shape[-1], deep, layer, before, seen["values"], values, importance, tied
        )
        kind, why = choose(question)
        seen[counted] += 1
        yield Line(name, shape, kind, why, demands_importance(name, kind, mix.name))


def _order(name: str) -> tuple[int, str]:
    """llama.cpp goes through the layers one by one, and through the names of each; what is in none comes first."""
    return _layer(name), name


def _layer(name: str) -> int:
    match = _LAYER.match(name)
    return int(match[1]) if match else -1


def recipe_table(r: Recipe) -> dict[str, list[Any]]:
    """The recipe as columns, a row a tensor."""
    return {
        "tensor": [line.name for line in r.lines],
        "shape": [line.shape for line in r.lines],
        "type": [line.kind for line in r.lines],
        "bits per weight": [line.bits_per_weight for line in r.lines],
        "bytes": [line.nbytes for line in r.lines],
        "why": [line.why for line in r.lines],
    }


def notices(r: Recipe) -> tuple[str, ...]:
    """Sentences about what the sizes leave open."""
    said = []
    if r.guessed:
        said.append(
            f"No config.json says what this is: the architecture {r.facts.architecture} is guessed from tensors' names."
        )
    if r.unknown:
        what = "One tensor has" if len(r.unknown) == 1 else f"{len(r.unknown):,} tensors have"
        said.append(
            f"{what} no name in a GGUF file that is known here, so the sizes are incomplete: {_some(r.unknown)}."
        )
    if dropped := [name for name in r.left_out if name not in set(r.unknown)]:
        what = "One tensor is" if len(dropped) == 1 else f"{len(dropped):,} tensors are"
        said.append(f"{what} no part of the file, as llama.cpp's converter has it: {_some(dropped)}.")
    return tuple(said)


def _some(names: Sequence[str]) -> str:
    shown = ", ".join(name[:120] for name in names[:_NAMES_SHOWN])
    return shown + (f" and {len(names) - _NAMES_SHOWN:,} more" if len(names) > _NAMES_SHOWN else "")


def recipe_dict(r: Recipe) -> dict[str, Any]:
    """JSON-ready."""
    return {
        "mix": r.mix.name, "architecture": r.facts.architecture, "layers": r.facts.layers,
        "importance": r.importance, "needs_importance": r.needs_importance, "weights": r.weights,
        "nbytes": r.nbytes, "bits_per_weight": r.bits_per_weight, "left_out": list(r.left_out),
        "unknown": list(r.unknown), "guessed": r.guessed,
        "tensors": [
            {"name": line.name, "shape": list(line.shape), "type": line.kind, "nbytes": line.nbytes,
             "bits_per_weight": line.bits_per_weight, "why": line.why}
            for line in r.lines
        ],
    }  # fmt: skip


def sizes(model: Model, importance: bool = False, architecture: str | None = None) -> dict[str, Recipe | str]:
    """Every mix over one model; a sentence in place of a recipe where a mix cannot be made of it."""
    found = described(model, architecture)
    made: dict[str, Recipe | str] = {}
    for name, mix in MIXES.items():
        try:
            made[name] = recipe_of(found, mix, importance)
        except QuantvizError as problem:
            made[name] = str(problem)
    return made
