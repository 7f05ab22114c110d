"""What a person sets beside the budget: which schemes, which tensors share one, which keep theirs."""

from __future__ import annotations

import re
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

import numpy as np
import pandas as pd

from ..errors import QuantvizError, did_you_mean
from ..schemes import Scheme

GROUPS = {
    "qkv": "attention q, k and v of one layer",
    "gate-up": "gate and up of one layer",
    "experts": "all experts of one layer",
}
_OF_GROUP = {"qkv": ("attention q", "attention k", "attention v"), "gate-up": ("mlp gate", "mlp up")}
GUARDED = ("embedding", "head")  # the roles that a floor is for
_NUMBER = re.compile(r"[0-9]{1,2}(\.[0-9]{1,4})?")
_INDEX = re.compile(r"\[[0-9]+\]$")
_NAMES_SHOWN = 4


@dataclass(frozen=True)
class Rules:
    """allow: keys of the schemes to choose from; empty for all of the sweep.
    keep: patterns of tensors that stay as they are stored.
    share: names of GROUPS, and patterns; all tensors that a pattern means get one scheme.
    floor: of embeddings and head: the least bits a weight, or the scheme that no choice may be smaller than.

    A pattern is a run of the parts of a name, as in tables of `quality`: `down_proj`, `layers.0`, `layers.*.mlp`.
    Experts that lie in one tensor of the file always share, for no tool tells them apart.
    """

    allow: tuple[str, ...] = ()
    keep: tuple[str, ...] = ()
    share: tuple[str, ...] = ()
    floor: str | float | None = None

    def allowed(self, swept: Sequence[str]) -> tuple[str, ...]:
        """The schemes to choose from. Raises QuantvizError for one that is none, or that the sweep does not have."""
        if not self.allow:
            return tuple(swept)
        keys = tuple(dict.fromkeys(Scheme.parse(key).key for key in self.allow))
        for key in keys:
            if key not in swept:
                raise QuantvizError(
                    f"The sweep has no figures for {key}; it has {', '.join(swept)}.{did_you_mean(key, swept)}"
                )
        return keys

    def kept(self, tensors: pd.DataFrame) -> np.ndarray:
        """bool [tensors]. Raises QuantvizError for a pattern that means none."""
        found = np.zeros(len(tensors), bool)
        for pattern in self.keep:
            found |= _meant(tensors, pattern)
        return found

    def least_bits(self, shape: tuple[int, int]) -> float:
        """The least bits a weight that the floor allows a tensor of this shape; 0 without a floor."""
        if self.floor is None:
            return 0.0
        text = str(self.floor).strip()
        if _NUMBER.fullmatch(text):
            return float(text)
        return Scheme.parse(text).bits_per_weight(shape)

    def items(self, tensors: pd.DataFrame, kept: np.ndarray) -> np.ndarray:
        """int [tensors]: those with equal numbers get one scheme, numbered in the order of their first tensors.

        Tensors that are kept belong to no group. Raises QuantvizError for a group or pattern that means nothing.
        """
        keys: list[list[Hashable]] = [[("one", index)] for index in range(len(tensors))]
        for index, name in enumerate(tensors["tensor"]):
            if _INDEX.search(name):
                keys[index].append(("tensor", _INDEX.sub("", name)))
        for share in self.share:
            if share in GROUPS:
                for index, key in enumerate(_keys_of(share, tensors)):
                    keys[index] += [] if key is None else [(share, key)]
            else:
                for index in np.flatnonzero(_meant(tensors, share, GROUPS)):
                    keys[index].append(("pattern", share))
        return _joined([[("kept", i)] if kept[i] else found for i, found in enumerate(keys)])


def path_of(name: str) -> str:
    """The name of a tensor without what all have: `.weight`, and the number of an expert inside it.

    >>> path_of("blk.0.ffn_down_exps.weight[3]")
    'blk.0.ffn_down_exps'
    """
    return _INDEX.sub("", name).removesuffix(".weight")


def means(pattern: str, name: str) -> bool:
    """Whether a pattern is a run of the parts of a tensor's name."""
    return fnmatchcase(f".{path_of(name)}.", f"*.{pattern.strip('.')}.*")


def _meant(tensors: pd.DataFrame, pattern: str, words: Sequence[str] | dict = ()) -> np.ndarray:
    found = np.array([bool(pattern.strip(".")) and means(pattern, name) for name in tensors["tensor"]], bool)
    if found.any():
        return found
    names = [path_of(name) for name in tensors["tensor"]]
    parts = {part for name in names for part in name.split(".")}
    known = f" The groups are {', '.join(words)}." if words else ""
    raise QuantvizError(
        f"No tensor of the sweep matches {pattern!r}; there are {len(names):,}, such as "
        f"{', '.join(names[:_NAMES_SHOWN])}.{known}{did_you_mean(pattern, {*parts, *words})}"
    )


def _keys_of(group: str, tensors: pd.DataFrame) -> list[Hashable | None]:
    """What tensors of one group have in common; None for those that are in none."""
    found: list[Hashable | None] = []
    for name, role, layer, expert in tensors[["tensor", "role", "layer", "expert"]].itertuples(index=False):
        parent = path_of(name).rpartition(".")[0]
        expert = None if pd.isna(expert) else int(expert)
        if group == "experts":
            before = name if pd.isna(layer) else name.partition(f".{int(layer)}.")[0]
            found.append(None if expert is None or pd.isna(layer) else (before, int(layer)))
        else:
            inside = role in _OF_GROUP[group] and not pd.isna(layer)
            found.append((parent, expert, "_shexp." in name) if inside else None)
    return found


def _joined(keys: list[list[Hashable]]) -> np.ndarray:
    """Numbers of the sets that share a key, directly or through others."""
    parent = list(range(len(keys)))

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return i

    first: dict[Hashable, int] = {}
    for index, found in enumerate(keys):
        for key in found:
            a, b = root(first.setdefault(key, index)), root(index)
            parent[max(a, b)] = min(a, b)
    roots = [root(i) for i in range(len(keys))]
    number = {r: n for n, r in enumerate(dict.fromkeys(roots))}
    return np.array([number[r] for r in roots], np.int64)
