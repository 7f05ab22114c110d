"""Several files of one model beside the original: what each takes, what it loses and where, and what it kept finer."""

from __future__ import annotations

import math
import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..checkpoints.names.roles import ROLES, role
from ..errors import QuantvizError
from ..kernels.results import Progress
from ..sources import Model
from ..text.plain import plain
from .beside import measured
from .pairing import Pair, Pairs, pair_up


@dataclass
class Loss:
    """Of the tensors of one role. weights: how many.  error, signal: Σe² and Σx², float64.  bits: that they take."""

    weights: int = 0
    error: float = 0.0
    signal: float = 0.0
    bits: float = 0.0

    def add(self, other: Loss) -> None:
        self.weights, self.error = self.weights + other.weights, self.error + other.error
        self.signal, self.bits = self.signal + other.signal, self.bits + other.bits

    @property
    def relative(self) -> float:
        """‖e‖ / ‖x‖; NaN where there is nothing."""
        return math.sqrt(self.error / self.signal) if self.signal else math.nan

    @property
    def bits_per_weight(self) -> float:
        return self.bits / self.weights if self.weights else math.nan


@dataclass(frozen=True)
class FileOf:
    """One file beside the original.

    nbytes: of all its tensors, scales and what is not quantized included.  bits_per_weight: of the matrices that both
    have.  bits_over_all: of all bytes over all weights of the original that it has.  roles: loss by role; total: of all
    matrices.  types: of each tensor of the original, what it is stored as.  main: the type of most weights.  finer:
    matrices that take more bits a weight than it.  refused: (tensor, sentence) of those that cannot be compared.
    """

    ref: str
    nbytes: int
    bits_per_weight: float
    bits_over_all: float
    roles: dict[str, Loss]
    total: Loss
    types: dict[str, str]
    main: str
    finer: tuple[str, ...]
    refused: tuple[tuple[str, str], ...]
    only_original: tuple[str, ...]
    only_file: tuple[str, ...]


@dataclass(frozen=True)
class Many:
    """Several files beside one original. best: by role, the number of the file that alone has the least error."""

    original: str
    files: tuple[FileOf, ...]
    best: dict[str, int] = field(default_factory=dict)

    def difference(self, a: int, b: int) -> dict[str, tuple[str, str]]:
        """Tensors that two files store as two types, and these."""
        one, two = self.files[a].types, self.files[b].types
        return {n: (one[n], two[n]) for n in one if n in two and one[n] != two[n]}


def many(original: Model, files: Sequence[Model], progress: Callable[[str], Progress] | None = None) -> Many:
    """Each file beside the original, tensor by tensor; of each tensor, only the two at hand are in memory.

    progress: gives for a file's name what is called as progress(tensors done, tensors in all).
    Raises QuantvizError where a file has no tensor in common with the original.
    """
    found = tuple(one_of_many(original, file, progress and progress(file.ref)) for file in files)
    best = {}
    for name in (r for r in ROLES if r != "other"):
        errors = [f.roles[name].relative if name in f.roles else math.nan for f in found]
        told = [i for i, e in enumerate(errors) if not math.isnan(e)]
        if len(told) == len(found) > 1 and errors.count(min(errors)) == 1:
            best[name] = errors.index(min(errors))
    return Many(original.ref, found, best)


def one_of_many(original: Model, file: Model, progress: Progress | None = None) -> FileOf:
    """What a file takes and loses, by role."""
    pairs = pair_up(original, file)
    roles: dict[str, Loss] = defaultdict(Loss)
    total, rest = Loss(), Loss()
    refused: list[tuple[str, str]] = []
    kinds: dict[str, tuple[str, float, int]] = {}  # type, bits a weight, weights
    for i, pair in enumerate(pairs.pairs):
        try:
            kind, loss = _loss(original, file, pair, pairs)
        except QuantvizError as problem:
            refused.append((pair.label, str(problem)))
            continue
        kinds[pair.label] = kind, loss.bits_per_weight, loss.weights
        if len(original.info(pair.original).shape) > 1:
            roles[role(pair.original, pairs.architecture)].add(loss)
            total.add(loss)
        else:
            rest.add(loss)
        if progress:
            progress(i + 1, len(pairs.pairs))
    matrices = {n: k for n, k in kinds.items() if len(original.info(n.partition("[")[0]).shape) > 1}
    main, bits = _main(matrices)
    finer = tuple(n for n, (_, b, _) in matrices.items() if b > bits * 1.001)
    weights = total.weights + rest.weights
    return FileOf(
        file.ref, file.nbytes, total.bits_per_weight, 8 * file.nbytes / weights if weights else math.nan, dict(roles),
        total, {n: k for n, (k, _, _) in kinds.items()}, main, finer, tuple(refused), pairs.only_original,
        pairs.only_file,
    )  # fmt: skip


def _loss(original: Model, file: Model, pair: Pair, pairs: Pairs) -> tuple[str, Loss]:
    e, signal = measured(original, file, pair, pairs)
    weights = math.prod(e.shape)
    return e.scheme, Loss(weights, e.metrics["mse"] * weights, signal, e.metrics["bits_per_weight"] * weights)


def _main(kinds: dict[str, tuple[str, float, int]]) -> tuple[str, float]:
    """The type of most weights in matrices, and the bits that one takes in it."""
    by_type: dict[str, int] = defaultdict(int)
    for kind, _, weights in kinds.values():
        by_type[kind] += weights
    if not by_type:
        return "", math.nan
    main = max(by_type, key=by_type.__getitem__)
    return main, max(bits for kind, bits, _ in kinds.values() if kind == main)


# -- in words and tables --------------------------------------------------------------------------


def told_apart(refs: Sequence[str]) -> list[str]:
    """References without the folder in which all of them lie.

    >>> told_apart(["/m/x-Q4.gguf", "/m/x-AWQ"]), told_apart(["hf:a/x", "/m/x"]), told_apart(["/m/x"])
    (['x-Q4.gguf', 'x-AWQ'], ['hf:a/x', '/m/x'], ['/m/x'])
    """
    shared = os.path.commonprefix(list(refs)).rpartition("/")
    return [ref.removeprefix(shared[0] + shared[1]) for ref in refs] if len(refs) > 1 else list(refs)


def differences(found: Many, names: Sequence[str] | None = None) -> list[str]:
    """Sentences on what the files store otherwise, one for each that keeps something finer, and one for each pair.

    names: what to call the files; their references where not given.
    """
    names = names or [f.ref for f in found.files]
    told = []
    for f, name in zip(found.files, names, strict=True):
        if f.finer:
            told.append(f"{name} keeps {_listed(f.finer)} finer than its {f.main}.")
    for a in range(len(found.files)):
        for b in range(a + 1, len(found.files)):
            other = found.difference(a, b)
            same = len(found.files[a].types.keys() & found.files[b].types.keys()) - len(other)
            what = "1 tensor as another type" if len(other) == 1 else f"{len(other):,} tensors as other types"
            told.append(f"{names[a]} and {names[b]} store {what}, {same:,} as the same.")
    return told


def _listed(names: Iterable[str], most: int = 4) -> str:
    names = list(names)
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def rows(found: Many) -> dict[str, list[Any]]:
    """A table, a row a file: what it takes, and the relative error of each role that any of them has."""
    there = [r for r in ROLES if any(r in f.roles for f in found.files)]
    return {
        "file": [f.ref for f in found.files],
        "bytes": [f.nbytes for f in found.files],
        "bits per weight": [f.bits_per_weight for f in found.files],
        "bits over all": [f.bits_over_all for f in found.files],
        "main type": [f.main for f in found.files],
        "kept finer": [len(f.finer) for f in found.files],
        "error": [f.total.relative for f in found.files],
        **{r: [f.roles[r].relative if r in f.roles else math.nan for f in found.files] for r in there},
    }


def as_json(found: Many) -> dict[str, Any]:
    """JSON-ready."""
    pairs = [(a, b) for a in range(len(found.files)) for b in range(a + 1, len(found.files))]
    return plain({
        "original": found.original,
        "files": [
            {
                "file": f.ref, "bytes": f.nbytes, "bits_per_weight": f.bits_per_weight,
                "bits_over_all": f.bits_over_all, "main_type": f.main, "kept_finer": list(f.finer),
                "relative_l2_error": f.total.relative,
                "roles": {r: {"weights": loss.weights, "bits_per_weight": loss.bits_per_weight,
                              "relative_l2_error": loss.relative} for r, loss in f.roles.items()},
                "types": f.types, "refused": [{"tensor": n, "why": why} for n, why in f.refused],
                "only_original": list(f.only_original), "only_file": list(f.only_file),
            }
            for f in found.files
        ],
        "best": {r: found.files[i].ref for r, i in found.best.items()},
        "differences": [
            {"files": [found.files[a].ref, found.files[b].ref],
             "tensors": {n: list(kinds) for n, kinds in found.difference(a, b).items()}}
            for a, b in pairs
        ],
    })  # fmt: skip
