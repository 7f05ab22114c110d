"""A published file beside the model it was made from: the error it really carries, and how it was made.

Names are led from one to the other by gguf's own tables. Two things are found out by looking: in which order the
converter left the rows of queries and keys, and whether plain quantization of the original gives the file's bytes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..block_types import BLOCK_TYPES
from ..checkpoints.names import Place, architecture_of, guess_architecture, has_gguf_names, layers_of, name_map
from ..errors import QuantvizError
from ..evaluation import Evaluation
from ..evaluation.pairs import evaluate_pair
from ..kernels.results import Progress
from ..sources import Model
from ..statistics import TensorStatistics
from ..tensors import StoredTensor, check_importance
from ..text.wording import share
from .requantized import Requantized, requantized

_QUERIES_OR_KEYS = re.compile(r"blk\.[0-9]+\.attn_([qk])\.(weight|bias)")
AS_THEY_ARE, INTERLEAVED = "as they are", "the two halves of each head's rows interleaved"


@dataclass(frozen=True)
class Pair:
    """One tensor in two models: its name in the original, and where it is in the other."""

    original: str
    place: Place


@dataclass(frozen=True)
class Pairs:
    """The tensors two models share, in the original's order, and the names of the rest."""

    pairs: tuple[Pair, ...]
    only_original: tuple[str, ...]
    only_file: tuple[str, ...]

    def of(self, name: str) -> Pair:
        """By either name; raises QuantvizError for one that is in neither list."""
        found = next((p for p in self.pairs if name in (p.original, p.place.name)), None)
        if found is None:
            where = "only in the original" if name in self.only_original else (
                "only in the file" if name in self.only_file else "in neither"
            )  # fmt: skip
            raise QuantvizError(f"{name!r} has no counterpart: it is {where}.")
        return found


@dataclass(frozen=True, eq=False)
class Against:
    """What a file has made of one tensor.

    order: how its rows lie beside the original's.  evaluation: the error it carries, its scheme the stored type.
    requantized: None where that cannot be told, for the reason `why_not`.
    """

    pair: Pair
    order: str
    evaluation: Evaluation
    requantized: Requantized | None
    why_not: str = ""


def pair_up(original: Model, file: Model) -> Pairs:
    """The tensors of both. Raises QuantvizError where they have none in common."""
    names, theirs = _offered(original), set(_offered(file))
    if has_gguf_names(theirs) and not has_gguf_names(names):
        said = file.metadata.get("general.architecture")
        table = name_map(str(said) if said else _architecture(original), layers_of(names))
        places = {name: table.place(name) for name in names}
    else:
        places = {name: Place(name) for name in names}
    pairs = tuple(Pair(name, p) for name, p in places.items() if p and p.name in theirs)
    if not pairs:
        raise QuantvizError(
            f"{original.ref} and {file.ref} have no tensor in common; give a model and a file made from it."
        )
    paired, used = {p.original for p in pairs}, {p.place.name for p in pairs}
    return Pairs(pairs, tuple(n for n in names if n not in paired), tuple(sorted(theirs - used)))


def _architecture(original: Model) -> str:
    """By its own config.json, or a guess by its names."""
    return architecture_of(original.config) or guess_architecture(t.name for t in original.tensors)


def _offered(model: Model) -> list[str]:
    """All tensors but those that only belong to the codes of others."""
    return [t.name for t in model.tensors if t.packed is None or t.packed.codes]


def against(
    original: Model,
    file: Model,
    pair: Pair,
    importance: Any = None,
    detail: str = "full",
    statistics: TensorStatistics | None = None,
    progress: Progress | None = None,
) -> Against:
    """The error that a tensor of `file` carries beside its original, and whether plain quantization gives its bytes.

    importance: one number an input channel, as the file's maker may have used; weighs the quantization and adds
    weighted_mse.  statistics: of the original in the file's order of rows, which is that of `opened`.
    Raises QuantvizError for shapes that do not fit together, and for tensors without weights.
    """
    x, y, order = opened(original, file, pair)
    evaluation = evaluate_pair(x, y, importance, detail, statistics, _half(progress, 0))
    h = check_importance(importance, x.cols)
    again, why_not = requantized(x, y, h, _half(progress, 1))
    return Against(pair, order, evaluation, again, why_not)


def _half(progress: Progress | None, part: int) -> Progress | None:
    return progress and (lambda done, total: progress(done + part * total, 2 * total))


def opened(original: Model, file: Model, pair: Pair) -> tuple[StoredTensor, StoredTensor, str]:
    """The original in the file's order of rows, the file's tensor, and that order."""
    x, info = original.open(pair.original), file.info(pair.place.name)
    expert = pair.place.expert
    y = file.open(info.name, None if expert is None else (expert * x.rows, (expert + 1) * x.rows))
    if (x.rows, x.cols) != (y.rows, y.cols):
        raise QuantvizError(
            f"{pair.original} has the shape {list(x.shape)} and {info.name} {list(y.shape)}: the file was made from "
            "another model, or its converter rearranged this tensor in a way that is not known here."
        )
    heads = _heads(file, info.name)
    if heads is None or x.rows % (2 * heads):
        return x, y, AS_THEY_ARE
    order = np.arange(x.rows).reshape(heads, 2, -1).swapaxes(1, 2).reshape(-1)
    rearranged = _Rearranged(
        x.data, x.dtype, x.shape, x.name, x, order, input_axes=x.input_axes, notices=x.notices
    )  # fmt: skip
    return (rearranged, y, INTERLEAVED) if _fits(rearranged, y) < _fits(x, y) else (x, y, AS_THEY_ARE)


def _heads(file: Model, name: str) -> int | None:
    """How many heads the rows of a tensor of queries or keys make; None for others, and where the file does not say."""
    match = _QUERIES_OR_KEYS.fullmatch(name)
    kind = file.metadata.get("general.architecture")
    heads = [file.metadata.get(f"{kind}.attention.head_count{end}") for end in ("", "_kv")]
    found = match and (heads[0] if match[1] == "q" else heads[1] or heads[0])
    return found if isinstance(found, int) and found > 0 else None


def _fits(x: StoredTensor, y: StoredTensor, rows: int = 64) -> float:
    """Squared error of the first rows: in the wrong order they have nothing in common."""
    stop = min(rows, x.rows) * x.cols
    return float(np.square(y.read(0, stop) - x.read(0, stop), dtype=np.float64).sum())


@dataclass(frozen=True, eq=False)
class _Rearranged(StoredTensor):
    """The rows of `whole` in another order: row i is its row order[i]. One axis counts as rows of one."""

    whole: StoredTensor | None = None
    order: np.ndarray | None = None

    def read(self, start: int = 0, stop: int | None = None) -> np.ndarray:
        start, stop, _ = slice(start, stop).indices(self.size)
        if len(self.order) == self.size:
            return self.whole.read()[self.order[start:stop]]
        cols = self.cols
        first, last = start // cols, max(start // cols, -(-stop // cols))
        rows = np.empty((last - first, cols), np.float32)
        for i, row in enumerate(self.order[first:last].tolist()):
            rows[i] = self.whole.read(row * cols, (row + 1) * cols)
        return rows.reshape(-1)[start - first * cols : max(start, stop) - first * cols]

    def row_range(self, start: int, stop: int) -> StoredTensor:
        return replace(self, order=self.order[start:stop], shape=(stop - start, self.cols))


# -- in words ------------------------------------------------------------------------------------


def sentence(a: Against) -> str:
    """What was found, for a reader."""
    r, kind = a.requantized, a.evaluation.scheme
    rows = "" if a.order == AS_THEY_ARE else (
        " The converter left its rows in another order, the two halves of each head interleaved; that is undone here."
    )  # fmt: skip
    if a.evaluation.metrics["cosine_similarity"] < 0.5:
        return (
            "The two have little in common: the file was made from another model, or its converter rearranged this "
            "tensor in a way that is not known here." + rows
        )
    if r is None:
        return f"Whether plain quantization gives the same bytes cannot be told: {a.why_not}.{rows}"
    from_what = "" if r.through == "float32" else f", rounded to {r.through} first,"
    with_what = " with this importance" if r.importance else ""
    if r.same:
        return f"Quantizing the original{from_what} to {kind}{with_what} gives exactly the bytes of the file.{rows}"
    shown = share(r.equal / r.count) if r.equal else "none"
    why = (
        "it was made in another way, such as with importance, from other weights or by another program"
        if not r.importance
        else "it was made with other importance, from other weights or by another program"
    )
    block_type = BLOCK_TYPES.get(kind)
    newer = f" The bytes here are those of {block_type.source}." if block_type and block_type.since else ""
    return (
        f"Quantizing the original{from_what} to {kind}{with_what} gives {shown} of the file's {r.unit} "
        f"({r.equal:,} of {r.count:,}); {why}.{newer}{rows}"
    )


def against_dict(a: Against) -> dict[str, Any]:
    """JSON-ready."""
    from ..text.plain import plain

    r = a.requantized
    return {
        "tensor": a.pair.original, "stored_as": a.pair.place.name, "expert": a.pair.place.expert,
        "type": a.evaluation.scheme, "shape": list(a.evaluation.shape), "dtype": a.evaluation.dtype,
        "rows": a.order, "metrics": plain(a.evaluation.metrics),
        "requantized": None if r is None else {
            "unit": r.unit, "count": r.count, "equal": r.equal, "through": r.through, "first_different": r.first,
            "importance": r.importance,
        },
        "why_not": a.why_not,
    }  # fmt: skip


def whole(original: Model, file: Model, progress: Progress | None = None) -> Iterator[Against | tuple[Pair, str]]:
    """Every tensor the two share, moments only; a sentence instead where a tensor cannot be compared."""
    pairs = pair_up(original, file).pairs
    for i, pair in enumerate(pairs):
        try:
            yield against(original, file, pair, detail="metrics")
        except QuantvizError as problem:
            yield pair, str(problem)
        if progress:
            progress(i + 1, len(pairs))
