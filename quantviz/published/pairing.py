"""Which tensor of one model is which of another, whoever named and cut them: one for one, stacked, or in one."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from ..checkpoints.names import Place, architecture_of, guess_architecture, has_gguf_names, layers_of, name_map
from ..checkpoints.names.fused import canonical, parts_of
from ..errors import QuantvizError
from ..sources import Model
from ..text.printable import printable

_ADAPTER = (".lora_A.", ".lora_B.", ".lora_embedding_A", "lora_down.", "lora_up.")


@dataclass(frozen=True)
class Fused:
    """That one of the two keeps several tensors in one: which of them this is, and how many rows each has.

    in_original: whether it is the original that does.
    """

    in_original: bool
    number: int
    sizes: tuple[int, ...]


@dataclass(frozen=True)
class Pair:
    """One tensor in two models: its name in the original, and where it is in the other.

    original_expert: which of those that lie in the original's tensor, where the other has each on its own.
    fused: where one of the two keeps it with others in one tensor.
    """

    original: str
    place: Place
    original_expert: int | None = None
    fused: Fused | None = None

    @property
    def label(self) -> str:
        """The original's name, and in brackets which of several that lie in its tensor.

        >>> Pair("a.weight", Place("b")).label, Pair("a.weight", Place("b"), 3).label
        ('a.weight', 'a.weight[3]')
        """
        part = self.fused.number if self.fused and self.fused.in_original else None
        return self.original + "".join(f"[{n}]" for n in (self.original_expert, part) if n is not None)


@dataclass(frozen=True)
class Pairs:
    """The tensors two models share, in the original's order, and the names of the rest."""

    pairs: tuple[Pair, ...]
    only_original: tuple[str, ...]
    only_file: tuple[str, ...]
    architecture: str = ""
    by_place: Mapping[Place, Pair] = field(default_factory=dict, repr=False, compare=False)  # by canonical name

    def of(self, name: str) -> Pair:
        """By either name, or the label of one of several; raises QuantvizError for one that is in neither list."""
        found = next((p for p in self.pairs if name in (p.label, p.original, p.place.name)), None)
        found = next((p for p in self.pairs if name == p.label), found)
        if found is None:
            where = "only in the original" if name in self.only_original else (
                "only in the file" if name in self.only_file else "in neither"
            )  # fmt: skip
            raise QuantvizError(f"{name!r} has no counterpart: it is {where}.")
        return found


def pair_up(original: Model, file: Model) -> Pairs:
    """The tensors of both. Raises QuantvizError where they have none in common, and for an adapter."""
    names, theirs = _offered(original), _offered(file)
    for model, offered in ((original, names), (file, theirs)):
        refuse_adapter(model, offered)
    said = architecture(original, file)
    paired = _by_tables(original, names, file, set(theirs))
    used = {p.place.name for p in paired.values()}
    pairs: list[Pair] = []
    if len(paired) < len(names) and len(used) < len(theirs):
        rest = _Side(original, [n for n in names if n not in paired], said)
        others = _Side(file, [n for n in theirs if n not in used], said)
        pairs = _by_canonical_names(rest, others)
    number = {name: i for i, name in enumerate(names)}
    pairs = sorted((*paired.values(), *pairs), key=lambda p: number[p.original])
    if not pairs:
        raise QuantvizError(
            f"{original.ref} and {file.ref} have no tensor in common; give a model and a file made from it."
        )
    paired_names, used = {p.original for p in pairs}, {p.place.name for p in pairs}
    return Pairs(
        tuple(pairs), tuple(n for n in names if n not in paired_names), tuple(sorted(set(theirs) - used)), said,
        {place_of(p, said): p for p in reversed(pairs)},
    )  # fmt: skip


def architecture(original: Model, file: Model) -> str:
    """general.architecture, as either says; "" where neither does."""
    for model in (file, original):
        said = model.metadata.get("general.architecture")
        if isinstance(said, str) and said:
            return said
    for model in (original, file):
        try:
            if found := architecture_of(model.config):
                return found
        except QuantvizError:  # a config.json that is none; whoever opens the model is told
            continue
    return ""


def place_of(pair: Pair, said: str) -> Place:
    """A pair's canonical name, and which expert of that it is."""
    fused = pair.fused
    found = canonical(pair.place.name if fused and fused.in_original else pair.original, said)
    expert = next((e for e in (found.expert, pair.original_expert, pair.place.expert) if e is not None), None)
    return Place(found.name, expert)


def refuse_adapter(model: Model, names: Iterable[str]) -> None:
    """Raises QuantvizError for a repository that holds changes to another model's weights and no weights of its own."""
    names = list(names)
    if names and all(any(word in name for word in _ADAPTER) for name in names if _is_matrix(model, name)):
        if any(word in name for name in names for word in _ADAPTER):
            raise QuantvizError(
                f"{printable(model.ref, 200)} is an adapter (LoRA): it holds changes to another model's weights, and "
                "no weights to compare; give the model it was merged into."
            )


def _is_matrix(model: Model, name: str) -> bool:
    return len(model.info(name).shape) > 1


def _offered(model: Model) -> list[str]:
    """All tensors but those that only belong to the codes of others."""
    return [t.name for t in model.tensors if t.packed is None or t.packed.codes]


def _by_tables(original: Model, names: list[str], file: Model, theirs: set[str]) -> dict[str, Pair]:
    """By one name in both, or by the gguf package's table where the file alone is named so."""
    if has_gguf_names(theirs) and not has_gguf_names(names):
        said = file.metadata.get("general.architecture")
        own = str(said) if said else architecture_of(original.config) or guess_architecture(names)
        table = name_map(own, layers_of(names))
        places = {name: table.place(name) for name in names}
    else:
        places = {name: Place(name) for name in names}
    return {name: Pair(name, place) for name, place in places.items() if place and place.name in theirs}


class _Side:
    """Tensors of one model that have no counterpart yet, by canonical name and expert."""

    def __init__(self, model: Model, names: list[str], said: str) -> None:
        self.model = model
        self.names: dict[str, dict[int | None, str]] = defaultdict(dict)
        for name in names:
            place = canonical(name, said)
            self.names[place.name].setdefault(place.expert, name)

    def rows(self, name: str, experts: int) -> int:
        return self.model.info(name).rows // max(experts, 1)


def _by_canonical_names(mine: _Side, theirs: _Side) -> list[Pair]:
    pairs = []
    for name, own in mine.names.items():
        if name in theirs.names:
            pairs += _one_for_one(own, theirs.names[name])
        elif parts := parts_of(name):
            pairs += _parts(own, [theirs.names.get(p, {}) for p in parts], theirs, True)
    for name, fused in theirs.names.items():
        if name not in mine.names and (parts := parts_of(name)):
            pairs += _parts(fused, [mine.names.get(p, {}) for p in parts], mine, False)
    return pairs


def _one_for_one(own: dict[int | None, str], there: dict[int | None, str]) -> list[Pair]:
    """The same in both; of experts, either may keep all in one."""
    pairs = [Pair(name, Place(there[expert])) for expert, name in own.items() if expert in there]
    if None in there:
        pairs += [Pair(n, Place(there[None], e)) for e, n in own.items() if e is not None and e not in there]
    if None in own:
        pairs += [Pair(own[None], Place(n), e) for e, n in there.items() if e is not None and e not in own]
    return pairs


def _parts(
    fused: dict[int | None, str], parts: list[dict[int | None, str]], side: _Side, in_original: bool
) -> list[Pair]:
    """A tensor of several on one side, and these on the other (`side`)."""
    experts = sorted({e for part in parts for e in part if e is not None})
    pairs = []
    for expert in experts if experts else [None]:
        whole = fused.get(expert, fused.get(None))
        apart = [part.get(expert) for part in parts]
        if whole is None or None in apart:
            continue
        stack = side.model.info(apart[0]).shape
        count = stack[0] if len(stack) == 3 and None not in experts and not experts else 1
        sizes = tuple(side.rows(name, count) for name in apart)
        inner = expert if expert not in fused else None  # which of those that lie in the tensor of several
        for number, name in enumerate(apart):
            how = Fused(in_original, number, sizes)
            pairs.append(
                Pair(whole, Place(name), inner, how) if in_original else Pair(name, Place(whole, inner), None, how)
            )
    return pairs
