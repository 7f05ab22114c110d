"""A pair of tensors opened so that weight lies beside weight: what a converter rearranged or changed is undone.

What names and shapes tell is taken from them; in which of several orders rows lie is found by looking.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from ..checkpoints.names import has_gguf_names
from ..checkpoints.names.counts import heads as heads_said
from ..checkpoints.names.counts import number as said_number
from ..checkpoints.names.norms import stored_less_one
from ..checkpoints.names.roles import role
from ..errors import QuantvizError
from ..sources import Model
from ..tensors import StoredTensor
from ..text.wording import number, plural
from .pairing import Pair, architecture
from .views import Mapped, Rearranged, Transposed, view

_QUERIES_OR_KEYS = re.compile(r"blk\.[0-9]+\.attn_([qk])\.(weight|bias)")
AS_THEY_ARE, INTERLEAVED = "as they are", "the two halves of each head's rows interleaved"
_ALIKE = 0.5  # cosine similarity below which two tensors have little in common
_ROWS = 64  # rows by which an order is judged
_CONSTANT = 1e-3  # how little a difference may vary beside its mean to be called constant


@dataclass(frozen=True, eq=False)
class Opened:
    """original, file: weight beside weight.  order: how the file's rows lie.  changes: what else is undone."""

    original: StoredTensor
    file: StoredTensor
    order: str = AS_THEY_ARE
    changes: tuple[str, ...] = ()


def opened(original: Model, file: Model, pair: Pair) -> Opened:
    """The original in the file's order of rows, the file's tensor, that order, and what else was changed."""
    x, y, changes = _cut(original, file, pair)
    if x.matrix != y.matrix:
        x, y, told = _of_other_shapes(x, y, pair)
        changes += told
    x, told = _changed(x, y, original, file, pair)
    heads = _heads(file, pair.place.name)
    lines = x.size if len(x.shape) == 1 else x.rows
    if heads is None or lines % (2 * heads):
        return Opened(x, y, changes=changes + told)
    order = np.arange(lines).reshape(heads, 2, -1).swapaxes(1, 2).reshape(-1)
    turned = view(Rearranged, x, order=order, line=x.size // lines)
    better = fits(turned, y) < fits(x, y)
    return Opened(turned if better else x, y, INTERLEAVED if better else AS_THEY_ARE, changes + told)


def fits(x: StoredTensor, y: StoredTensor, rows: int = _ROWS) -> float:
    """Squared error of the first rows: in the wrong order they have nothing in common."""
    stop = min(rows, x.rows, y.rows) * x.cols
    return float(np.square(y.read(0, stop) - x.read(0, stop), dtype=np.float64).sum())


# -- one of several in a tensor -------------------------------------------------------------------


def _cut(original: Model, file: Model, pair: Pair) -> tuple[StoredTensor, StoredTensor, tuple[str, ...]]:
    """Both tensors, each without what else lies in the same one."""
    fused = pair.fused
    if fused is None:
        if pair.original_expert is not None:
            y = file.open(pair.place.name)
            return _expert(original, pair.original, pair.original_expert, y.rows), y, ()
        x = original.open(pair.original)
        y = file.open(pair.place.name) if pair.place.expert is None else (
            _expert(file, pair.place.name, pair.place.expert, x.rows)
        )  # fmt: skip
        return x, y, ()
    one = file.open(pair.place.name) if fused.in_original else original.open(pair.original)
    model, name = (original, pair.original) if fused.in_original else (file, pair.place.name)
    expert = pair.original_expert if fused.in_original else pair.place.expert
    part, told = _part(model, name, expert, fused.number, fused.sizes, one)
    where = "The original" if fused.in_original else "The file"
    changes = (f"{where} keeps it with others in {name}, {told}; it is taken out here.",)
    return (part, one, changes) if fused.in_original else (one, part, changes)


def _expert(model: Model, name: str, expert: int, rows: int) -> StoredTensor:
    if rows * (expert + 1) > model.info(name).rows:
        raise QuantvizError(
            f"{name} of {model.ref} has {model.info(name).rows:,} rows, and no expert {expert} of {rows:,}."
        )
    return model.open(name, (expert * rows, (expert + 1) * rows))


def _part(
    model: Model, name: str, expert: int | None, which: int, sizes: tuple[int, ...], one: StoredTensor
) -> tuple[StoredTensor, str]:
    """One of those that lie in a tensor, and in which order they do: that in which it fits `one` best."""
    info, each = model.info(name), sum(sizes)
    if info.cols != one.cols or (info.rows % each if len(info.shape) > 1 else info.size != each):
        raise QuantvizError(
            f"{name} of {model.ref} has {list(info.shape)} weights, and its parts {each:,} rows of {one.cols:,}: they "
            "do not belong together."
        )
    stack = 1 if expert is not None else one.rows // sizes[which]  # of experts, all in both
    best: tuple[float, StoredTensor, str] | None = None
    for told, order in _orders(which, sizes, _shared_heads(model)):
        first = 0 if expert is None else expert * each
        rows = (np.arange(stack)[:, None] * each + first + order).reshape(-1)
        if rows[-1] - rows[0] == len(rows) - 1:
            part = model.open(name, (int(rows[0]), int(rows[-1]) + 1))
        else:
            part = view(Rearranged, model.open(name), (len(rows), info.cols), order=rows)
        error = fits(part, one)
        if best is None or error < best[0]:
            best = error, part, told
    return best[1], best[2]


def _orders(which: int, sizes: tuple[int, ...], groups: int) -> Iterator[tuple[str, np.ndarray]]:
    """The ways in which models keep several in one, and which rows the one asked for has then."""
    total = sum(sizes)
    first = sum(sizes[:which])
    yield "one after the other", np.arange(first, first + sizes[which])
    if len(set(sizes)) == 1:
        yield "row by row in turn", np.arange(which, total, len(sizes))
    if groups > 1 and not any(size % groups for size in sizes):
        by_group = np.arange(total).reshape(groups, -1)
        yield "head by head", by_group[:, first // groups : (first + sizes[which]) // groups].reshape(-1)


def _shared_heads(model: Model) -> int:
    """Heads of keys and values, as a model says; 0 where it does not."""
    kind = model.metadata.get("general.architecture")
    said = model.metadata.get(f"{kind}.attention.head_count_kv") or model.metadata.get(f"{kind}.attention.head_count")
    if isinstance(said, int):
        return said
    try:
        return said_number(model.config, "num_key_value_heads") or heads_said(model.config)
    except QuantvizError:
        return 0


# -- shapes ---------------------------------------------------------------------------------------


def _of_other_shapes(
    x: StoredTensor, y: StoredTensor, pair: Pair
) -> tuple[StoredTensor, StoredTensor, tuple[str, ...]]:
    """What both have, where one vocabulary is padded or one matrix lies the other way round."""
    if x.matrix == y.matrix[::-1] and len(x.shape) == 2:
        return view(Transposed, x, y.shape), y, ("One of the two keeps it transposed; that is undone here.",)
    if x.size == y.size and 1 in x.matrix:  # a vector with an axis more
        return view(Mapped, x, y.shape, function=lambda values: values, line=y.cols), y, ()
    if x.cols == y.cols and role(pair.original) in ("embedding", "head"):
        longer, rows = ("original", y.rows) if x.rows > y.rows else ("file", x.rows)
        told = (
            f"The {longer}'s vocabulary is padded by {plural(abs(x.rows - y.rows), 'row')}; the first {rows:,}, which "
            "both have, are compared."
        )
        return _first(x, rows), _first(y, rows), (told,)
    raise QuantvizError(
        f"{pair.original} of the original has the shape {list(x.shape)}, and {pair.place.name} of the file "
        f"{list(y.shape)}: the file was made from another model, or its converter rearranged this tensor in a way that "
        "is not known here."
    )


def _first(tensor: StoredTensor, rows: int) -> StoredTensor:
    return tensor if tensor.rows == rows else tensor.row_range(0, rows)


# -- numbers that a converter changes -------------------------------------------------------------


def _changed(
    x: StoredTensor, y: StoredTensor, original: Model, file: Model, pair: Pair
) -> tuple[StoredTensor, tuple[str, ...]]:
    """The original as the file has it, where its numbers or its axes were changed, and a sentence."""
    said = architecture(original, file)
    gguf = [has_gguf_names((name,)) for name in (pair.original, pair.place.name)]
    known = gguf[0] != gguf[1] and stored_less_one(pair.original if gguf[1] else pair.place.name, said)
    if len(x.shape) == 1 or x.rows == 1:
        return _vector(x, y, (1.0 if gguf[1] else -1.0) if known else 0.0, said)
    if x.rows == x.cols and len(x.shape) == 2 and _little_in_common(x, y):
        turned = view(Transposed, x)
        if not _little_in_common(turned, y):
            return turned, ("One of the two keeps it transposed, which the square shape hides; that is undone here.",)
    return x, ()


def _vector(x: StoredTensor, y: StoredTensor, known: float, said: str) -> tuple[StoredTensor, tuple[str, ...]]:
    a, b = x.read().astype(np.float64), y.read().astype(np.float64)
    if known:
        one = np.float32(known)
        told = f"{said} stores its norms less one, and a GGUF file their sums with it; that is undone here."
        return _mapped(x, lambda values: values + one), (told,)
    difference = b - a
    shift, spread = float(difference.mean()), float(difference.std())
    if len(a) > 1 and abs(shift) > 0.01 * float(np.abs(b).mean()) and spread <= _CONSTANT * abs(shift) and a.std() > 0:
        told = f"Every number in the file is larger by {number(shift)}; that is undone here."
        if shift < 0:
            told = f"Every number in the file is smaller by {number(-shift)}; that is undone here."
        moved = np.float32(round(shift) if abs(shift - round(shift)) <= _CONSTANT else shift)
        return _mapped(x, lambda values: values + moved), (told,)
    with np.errstate(over="ignore"):
        decay = -np.exp(a)
    if (
        len(a) > 1
        and np.isfinite(decay).all()
        and np.allclose(b, decay, rtol=1e-2)
        and not np.allclose(a, b, rtol=1e-2)
    ):
        return _mapped(x, lambda values: -np.exp(values)), ("The file holds −exp of each number; that is undone here.",)
    return x, ()


def _mapped(x: StoredTensor, function: Callable[[np.ndarray], np.ndarray]) -> StoredTensor:
    return view(Mapped, x, function=function)


def _little_in_common(x: StoredTensor, y: StoredTensor) -> bool:
    return cosine(x, y) < _ALIKE


def cosine(x: StoredTensor, y: StoredTensor, rows: int = _ROWS) -> float:
    """Of the first rows."""
    stop = min(rows, x.rows) * x.cols
    a, b = x.read(0, stop).astype(np.float64), y.read(0, stop).astype(np.float64)
    return float(a @ b / (np.sqrt((a @ a) * (b @ b)) or 1))


def _heads(file: Model, name: str) -> int | None:
    """How many heads the rows of a tensor of queries or keys make; None for others, and where the file does not say."""
    match = _QUERIES_OR_KEYS.fullmatch(name)
    kind = file.metadata.get("general.architecture")
    heads = [file.metadata.get(f"{kind}.attention.head_count{end}") for end in ("", "_kv")]
    found = match and (heads[0] if match[1] == "q" else heads[1] or heads[0])
    return found if isinstance(found, int) and found > 0 else None
