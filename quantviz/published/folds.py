"""Scales that a quantizer moved from one tensor into its neighbours: found from those, and undone.

AWQ and SmoothQuant multiply the input channels of a layer and divide what feeds it: the norm before queries, keys,
values, gate and up; the rows of v for o; the rows of up for down. ModelOpt keeps a pre_quant_scale, by which a layer's
inputs are multiplied, beside the codes. Whoever compares weight by weight must undo it first.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from ..checkpoints.names import Place, has_gguf_names
from ..checkpoints.names.fused import canonical
from ..checkpoints.names.norms import stored_less_one
from ..errors import QuantvizError
from ..sources import Model
from ..tensors import StoredTensor
from .opening import opened
from .pairing import Pair, Pairs, place_of
from .views import Scaled, view

_BLOCK = re.compile(r"(blk\.[0-9]+\.)([a-z0-9_]+)\.weight")
# What a tensor's inputs come from, by canonical names: a norm, or the rows of another tensor.
_NORMS = {
    "attn_q": "attn_norm", "attn_k": "attn_norm", "attn_v": "attn_norm", "attn_qkv": "attn_norm",
    "attn_q_a": "attn_norm", "attn_kv_a_mqa": "attn_norm", "attn_q_b": "attn_q_a_norm", "attn_kv_b": "attn_kv_a_norm",
    **{f"ffn_{part}{end}": "ffn_norm" for part in ("gate", "up", "gate_up") for end in ("", "_exps", "_shexp")},
}  # fmt: skip
_FEEDERS = {"attn_output": "attn_v", **{f"ffn_down{end}": f"ffn_up{end}" for end in ("", "_exps", "_shexp")}}
_FED = {feeder: fed for fed, feeder in _FEEDERS.items()}
_BY_INPUTS = (".pre_quant_scale", "_act_pre_scale", ".smooth_scale")  # companions that multiply a layer's inputs
_LEAST = 0.01  # a change of scale by less is that of a norm rounded anew
_BETTER = 0.8  # of the squared error that is left where a fold is taken for one
_SAMPLE = 32  # rows by which that is judged
_PIECE = 1 << 20  # weights at a time, about


@dataclass(frozen=True, eq=False)
class Fold:
    """What the file's weights were multiplied by.

    columns: float32 [cols], by_row: float32 [rows]; None where nothing was.  where: which tensor takes it back, in
    words, for each of the two.  exact: whether the scales are stored; otherwise they are estimated from weights that
    are rounded themselves.  before, after: the relative error with it and without; NaN until it is measured.
    """

    columns: np.ndarray | None = None
    by_row: np.ndarray | None = None
    where: tuple[str, str] = ("", "")
    exact: bool = False
    before: float = float("nan")
    after: float = float("nan")

    def onto(self, original: StoredTensor) -> StoredTensor:
        """The original as the quantizer saw it."""
        return view(Scaled, original, columns=self.columns, by_row=self.by_row)

    def off(self, stored: StoredTensor) -> StoredTensor:
        """The file's weights as they stand for the original's."""
        return view(Scaled, stored, columns=_inverse(self.columns), by_row=_inverse(self.by_row))


def find_fold(original: Model, file: Model, pairs: Pairs, pair: Pair, x: StoredTensor, y: StoredTensor) -> Fold | None:
    """What was folded into a tensor, `x` in the original and `y` in the file; None where that makes nothing better."""
    a, b = _sample(x, y)
    best, least = None, _BETTER * _left(a, b)
    if not least or not any(_left(a, b, axis) < least for axis in (0, 1)):
        return None  # no scales of columns or of rows would do it, so that none are looked for
    for fold in _candidates(original, file, pairs, pair, x):
        error = _left(*_sample(x, fold.off(y)))
        if error < least:
            best, least = fold, error
    return best


def _candidates(original: Model, file: Model, pairs: Pairs, pair: Pair, x: StoredTensor) -> Iterator[Fold]:
    by_inputs = _of_the_inputs(file, pair.place.name, x.cols)
    if by_inputs is not None:
        yield Fold(1 / by_inputs[0], None, (by_inputs[1], ""), exact=True)
    place = place_of(pair, pairs.architecture)
    if pair.fused:
        place = replace(place, name=_own_name(pair, pairs.architecture))
    match = _BLOCK.fullmatch(place.name)
    if match is None or len(x.shape) < 2:
        return
    columns, by_row = _columns(original, file, pairs, match, place, x), _rows(original, file, pairs, match, place, x)
    if columns:
        yield Fold(columns[0], None, (columns[1], ""), exact=match[2] in _NORMS)
    if by_row:
        yield Fold(None, by_row[0], ("", by_row[1]))
    if columns and by_row:
        yield Fold(columns[0], by_row[0], (columns[1], by_row[1]))


def _own_name(pair: Pair, said: str) -> str:
    """Of one of several in a tensor: what it is called where it is on its own."""
    return canonical(pair.place.name if pair.fused.in_original else pair.original, said).name


def _columns(original: Model, file: Model, pairs: Pairs, match: re.Match, place: Place, x: StoredTensor):
    """(scales of a tensor's inputs, who takes them back), from the norm before it or the rows that feed it."""
    if norm := _NORMS.get(match[2]):
        found = pairs.by_place.get(Place(f"{match[1]}{norm}.weight"))
        scales = found and _of_norms(original, file, pairs, found, x.cols)
        return (scales, f"{found.place.name} takes that back") if scales is not None else None
    feeder = pairs.by_place.get(Place(f"{match[1]}{_FEEDERS.get(match[2])}.weight", place.expert))
    if feeder is None:
        return None
    factors = _row_factors(original, file, pairs, feeder)
    if factors is None or x.cols % len(factors):
        return None
    scales = _worth_it(1 / _shared(factors, x.cols, _heads(original)))
    return None if scales is None else (scales, f"the rows of {feeder.place.name} take that back")


def _rows(original: Model, file: Model, pairs: Pairs, match: re.Match, place: Place, x: StoredTensor):
    """(scales of a tensor's outputs, who takes them back), from the columns of the one that they feed."""
    fed = pairs.by_place.get(Place(f"{match[1]}{_FED.get(match[2])}.weight", place.expert))
    if fed is None:
        return None
    try:
        sides = opened(original, file, fed)
    except QuantvizError:
        return None
    if sides.original.cols % x.rows:
        return None
    factors = _factors(sides.original, sides.file, by_row=False)
    scales = _worth_it(1 / _gathered(factors, x.rows, _heads(original)))
    return None if scales is None else (scales, f"the inputs of {fed.place.name} take that back")


def _of_norms(original: Model, file: Model, pairs: Pairs, pair: Pair, cols: int) -> np.ndarray | None:
    a, b = (_weight_of_norm(m, n, pairs.architecture) for m, n in ((original, pair.original), (file, pair.place.name)))
    if a is None or b is None or not len(a) == len(b) == cols:
        return None
    with np.errstate(divide="ignore", invalid="ignore"):
        return _worth_it(a / b)


def _weight_of_norm(model: Model, name: str, said: str) -> np.ndarray | None:
    """float64: what a norm multiplies by."""
    try:
        values = model.load(name).astype(np.float64).reshape(-1)
    except QuantvizError:
        return None
    return values + (0 if has_gguf_names((name,)) else stored_less_one(name, said))


def _row_factors(original: Model, file: Model, pairs: Pairs, pair: Pair) -> np.ndarray | None:
    """By what the rows of a tensor were multiplied, its own inputs' scales undone first."""
    try:
        sides = opened(original, file, pair)
    except QuantvizError:
        return None
    x, y = sides.original, sides.file
    match = _BLOCK.fullmatch(place_of(pair, pairs.architecture).name)
    norm = match and pairs.by_place.get(Place(f"{match[1]}{_NORMS.get(match[2])}.weight"))
    scales = norm and _of_norms(original, file, pairs, norm, x.cols)
    return _factors(x, y if scales is None else Fold(scales).off(y), by_row=True)


def _of_the_inputs(file: Model, name: str, cols: int) -> tuple[np.ndarray, str] | None:
    """What a companion of the codes multiplies a layer's inputs by."""
    there = {info.name for info in file.tensors}
    bases = name, name.removesuffix(".weight")
    found = next((base + end for end in _BY_INPUTS for base in bases if base + end in there), None)
    if found is None:
        return None
    info = file.info(found)
    if info.size != cols or info.dtype not in ("float32", "float16", "bfloat16"):
        return None
    scales = file.reader.open(replace(info, packed=None), None, None).read().astype(np.float64)
    if not (np.isfinite(scales).all() and (scales > 0).all()):
        return None
    return scales, f"{found}, by which the layer's inputs are multiplied, takes that back"


# -- arithmetic -----------------------------------------------------------------------------------


def _factors(x: StoredTensor, y: StoredTensor, by_row: bool) -> np.ndarray:
    """Least squares, float64: by what each row of `x`, or each column, must be multiplied to come near that of `y`."""
    height = max(1, _PIECE // x.cols)
    own, mixed = (np.zeros(x.rows if by_row else x.cols) for _ in range(2))
    for row in range(0, x.rows, height):
        stop = min(row + height, x.rows)
        a, b = (t.read(row * x.cols, stop * x.cols).reshape(-1, x.cols).astype(np.float64) for t in (x, y))
        if by_row:
            own[row:stop], mixed[row:stop] = (a * a).sum(axis=1), (a * b).sum(axis=1)
        else:
            own += (a * a).sum(axis=0)
            mixed += (a * b).sum(axis=0)
    factors = np.divide(mixed, own, out=np.ones_like(own), where=own > 0)
    return np.where(np.isfinite(factors) & (factors > 1e-4), factors, 1.0)


def _shared(factors: np.ndarray, cols: int, heads: int) -> np.ndarray:
    """Rows of v beside the columns of o: each head of values serves several of queries."""
    if len(factors) == cols or not heads or cols % heads or len(factors) % (cols // heads):
        return np.repeat(factors, cols // len(factors)) if len(factors) != cols else factors
    head = cols // heads
    return np.repeat(factors.reshape(-1, head), cols // len(factors), axis=0).reshape(-1)


def _gathered(factors: np.ndarray, rows: int, heads: int) -> np.ndarray:
    """Columns of o as rows of v."""
    if len(factors) == rows:
        return factors
    head = len(factors) // heads if heads and len(factors) % heads == 0 else 1
    if rows % head:
        return np.ones(rows)
    return factors.reshape(rows // head, -1, head).mean(axis=1).reshape(-1)


def _heads(model: Model) -> int:
    from ..checkpoints.names.counts import heads

    try:
        return heads(model.config)
    except QuantvizError:
        return 0


def _worth_it(scales: np.ndarray) -> np.ndarray | None:
    """The scales, 1 where they are no numbers; None where nothing was scaled."""
    scales = np.where(np.isfinite(scales) & (scales > 0), scales, 1.0)
    return scales if np.abs(scales - 1).max(initial=0) > _LEAST else None


def _inverse(scales: np.ndarray | None) -> np.ndarray | None:
    return None if scales is None else 1 / scales


def _sample(x: StoredTensor, y: StoredTensor) -> tuple[np.ndarray, np.ndarray]:
    """float64 [rows, cols] of both: rows spread over the tensor."""
    rows = np.unique(np.linspace(0, x.rows - 1, _SAMPLE).astype(int)).tolist()
    ends = [(r * x.cols, (r + 1) * x.cols) for r in rows]
    a, b = (np.stack([t.read(*end) for end in ends]).astype(np.float64) for t in (x, y))
    return a, b


def _left(a: np.ndarray, b: np.ndarray, axis: int | None = None) -> float:
    """Squared error of b beside a; with an axis, what the best factor for each column (0) or row (1) would leave."""
    if axis is not None:
        own = (b * b).sum(axis=axis, keepdims=True)
        b = b * np.divide((a * b).sum(axis=axis, keepdims=True), own, out=np.ones_like(own), where=own > 0)
    return float(np.square(b - a).sum())
