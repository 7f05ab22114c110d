"""What all groups of a stored tensor hold: every code counted, the scales, minima and zero points of its groups.

Nothing is quantized and nothing is changed: this reads what a file holds, a GGUF file's blocks or the codes of a
quantized checkpoint, piece by piece.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ..block_types import BlockType
from ..checkpoints.decoded import Decoded
from ..errors import QuantvizError
from ..kernels.results import Progress
from ..metrics import entropy_bits
from ..statistics import Histogram
from ..tensors import StoredTensor
from ..text.wording import number, plural
from .stored import kind_of, rows_a_scale, scale_part, without_groups

_PIECE = 1 << 18  # weights taken apart at a time, about
_BINS = 120  # of the histograms of scales, minima and zero points


@dataclass(frozen=True, eq=False)
class Contents:
    """What all groups of a tensor hold.

    stored_as: the block type, or the packed format in words.  group: weights of a row that share a scale, at most.
    height: rows that share it too.
    codes: every code that the format has, rising; None where weights have none of their own.
    numbers: float32, what each stands for, NaN where for nothing.  counts: int64, how many weights have it.
    scales, minima, zeros: histograms over groups, zeros of the zero points; None where the format has none.
    zero_scales: groups whose scale is 0, so that all their weights are alike.  groups: how many there are.
    saturated: groups whose scale is the largest that can be stored; None where that is beyond reach.
    """

    stored_as: str
    group: int
    codes: np.ndarray | None
    numbers: np.ndarray | None
    counts: np.ndarray | None
    scales: Histogram
    minima: Histogram | None
    zeros: Histogram | None
    zero_scales: int
    groups: int
    saturated: int | None = None
    height: int = 1

    @property
    def entropy_bits(self) -> float:
        return entropy_bits(self.counts)

    @property
    def used(self) -> int:
        """Codes that stand for something."""
        return len(self.counts) - int(np.isnan(self.numbers).sum())

    @property
    def unused(self) -> int:
        """Codes that stand for something and that no weight has."""
        return int(((self.counts == 0) & ~np.isnan(self.numbers)).sum())


class _Piece(NamedTuple):
    """Weights done so far, codes of a piece, and what its groups share: scales, minima, zero points, each or None."""

    done: int
    codes: np.ndarray | None
    shared: tuple[np.ndarray, np.ndarray | None, np.ndarray | None]
    limited: np.ndarray | None = None  # the stored scales that have a largest value


def contents(tensor: StoredTensor, progress: Progress | None = None) -> Contents:
    """Counts every code, scale, minimum and zero point of a stored tensor; nothing is held whole.

    progress: called as progress(weights done, weights in all), the tensor being gone through twice.
    Raises QuantvizError for a tensor whose weights lie one by one, and for scales that are no finite numbers.
    """
    kind = kind_of(tensor)
    if kind is None and not isinstance(tensor, Decoded):
        raise without_groups(tensor)
    numbers, first = (kind.numbers, kind.first_code) if kind else (tensor.layer.levels, tensor.layer.first_code)
    limit = None if kind else tensor.layer.largest_scale
    counts = None if numbers is None else np.zeros(len(numbers), np.int64)
    spans = [[np.inf, -np.inf] for _ in range(3)]
    zero = groups = saturated = 0
    apart = 1 if kind else _apart(tensor)
    for piece in _pieces(tensor, kind):
        if counts is not None and piece.codes is not None:
            places = piece.codes.reshape(-1) if first == 0 else piece.codes.reshape(-1).astype(np.int64) - first
            counts += np.bincount(places, minlength=len(counts))
        scales = piece.shared[0]
        zero, groups = zero + int((scales == 0).sum()), groups + scales.size
        if limit is not None and piece.limited is not None:
            saturated += int((piece.limited >= limit).sum())
        for span, values in zip(spans, piece.shared, strict=True):
            if values is not None and values.size:
                span[:] = min(span[0], float(values.min())), max(span[1], float(values.max()))
        if progress:
            progress(piece.done, 2 * tensor.size)
    there = [values is not None for values in piece.shared]
    if not np.isfinite([v for span, has in zip(spans, there, strict=True) if has for v in span]).all():
        raise QuantvizError(
            f"{tensor.name or 'The tensor'} has scales that are no finite numbers, so the file is damaged, or its "
            "weights were beyond the range of a 16-bit scale."
        )
    scales, minima, zeros = _histograms(tensor, kind, spans, there, progress, apart)
    counted = counts is not None and bool(counts.any())
    group = kind.group if kind else apart if apart > 1 else _longest_group(tensor)
    return Contents(
        tensor.stored_as, group,
        np.arange(first, first + len(counts)) if counted else None, numbers if counted else None,
        counts if counted else None, scales, minima, zeros, zero // apart, groups // apart,
        saturated // apart if limit is not None else None, 1 if kind else rows_a_scale(tensor),
    )  # fmt: skip


def _longest_group(tensor: Decoded) -> int:
    """Weights of a row that share a scale: as many inputs as the largest group has."""
    taken = tensor.unpacked(0, 1)
    if taken.columns is not None:
        return int(np.bincount(taken.columns).max())
    return min(taken.width or tensor.cols, tensor.cols)


def _apart(tensor: Decoded) -> int:
    """Weights of a group where no two of a row follow each other in one (HQQ's axis 0); 1 for all others."""
    part, taken = scale_part(tensor), tensor.unpacked(0, 1)
    alone = taken.columns is None and taken.width == 1 < tensor.cols
    return tensor.size // part.info.size if alone and part and part.info.size else 1


def _histograms(
    tensor: StoredTensor,
    kind: BlockType | None,
    spans: Sequence,
    there: Sequence[bool],
    progress: Progress | None,
    apart: int,
) -> list[Histogram | None]:
    edges = [(lo - (margin := 0.01 * (hi - lo) or abs(hi) * 0.01 or 1e-9), hi + margin) for lo, hi in spans]
    tables = [np.zeros(_BINS, np.int64) for _ in spans]
    for piece in _pieces(tensor, kind, codes=False):
        for table, edge, values in zip(tables, edges, piece.shared, strict=True):
            if values is not None:
                table += np.histogram(values, _BINS, edge)[0]
        if progress:
            progress(tensor.size + piece.done, 2 * tensor.size)
    found = zip(edges, tables, there, strict=True)
    return [Histogram(float(lo), float(hi), t // apart, 0, 0) if has else None for (lo, hi), t, has in found]


def _pieces(tensor: StoredTensor, kind: BlockType | None, codes: bool = True) -> Iterator[_Piece]:
    """The tensor from its first weight to its last."""
    if kind is None:
        height = max(1, _PIECE // tensor.cols)
        height = -(-height // tensor.layer.height) * tensor.layer.height
        tile = rows_a_scale(tensor)
        for row in range(0, tensor.rows, height):
            stop = min(row + height, tensor.rows)
            taken = tensor.unpacked(row, stop)
            firsts = slice(-row % tile, None, tile)  # what several rows share counts once
            shared = (taken.scales, taken.minima, taken.zeros, taken.stored.get("block scale", taken.scales))
            scales, minima, zeros, limited = (None if x is None else x[firsts] for x in shared)
            yield _Piece(stop * tensor.cols, taken.codes, (scales, minima, zeros), limited)
        return
    step = max(1, _PIECE // kind.block)
    total = tensor.size // kind.block
    for start in range(0, total, step):
        stop = min(start + step, total)
        blocks = tensor.blocks(start, stop)
        shared = kind.parameters(blocks)
        yield _Piece(stop * kind.block, kind.codes(blocks) if codes else None, (shared.scales, shared.minima, None))


def contents_sentence(c: Contents) -> str:
    """What stands out, for a reader."""
    one = c.groups == 1
    parts = [
        f"{plural(c.groups, 'group')} of {f'{c.height:,} × ' if c.height > 1 else ''}{c.group:,} weights "
        f"{'has' if one else 'have'} a scale of {'its' if one else 'their'} own"
    ]
    if c.counts is None:
        parts.append("its weights have no codes of their own, so none are counted")
    else:
        parts.append(
            f"the codes hold {number(c.entropy_bits, 3)} of their {number(np.log2(max(c.used, 2)), 3)} bits of "
            "information"
        )
    if c.zero_scales:
        alike = "which makes all weights of the group alike"
        parts.append(f"{plural(c.zero_scales, 'scale')} {'is' if c.zero_scales == 1 else 'are'} 0, {alike}")
    if c.saturated:
        verb = "is" if c.saturated == 1 else "are"
        parts.append(f"{plural(c.saturated, 'scale')} {verb} the largest that can be stored")
    if c.counts is not None and c.unused:
        verb = "is" if c.unused == 1 else "are"
        parts.append(f"{c.unused:,} of {plural(c.used, 'code')} {verb} not used at all")
    return "; ".join(parts) + "."
