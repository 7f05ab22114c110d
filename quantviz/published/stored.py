"""A tensor stored in a block type, looked at as it is: its codes, scales and minima, and one block byte by byte.

Nothing is quantized and nothing is changed: this reads what a GGUF file holds.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..block_types import BLOCK_TYPES, BlockType, Unpacked
from ..errors import QuantvizError
from ..kernels.results import Progress
from ..metrics import entropy_bits
from ..statistics import Histogram
from ..tensors import PackedTensor, StoredTensor
from ..text.wording import MINUS, number, plural

_PIECE = 1 << 18  # weights taken apart at a time, about
_BINS = 120  # of the histograms of scales and minima


def kind_of(tensor: StoredTensor) -> BlockType | None:
    """The block type a tensor is stored in; None where its weights lie one by one."""
    return BLOCK_TYPES.get(tensor.dtype) if isinstance(tensor, PackedTensor) else None


@dataclass(frozen=True, eq=False)
class StoredBlock:
    """One block: row and block count from 0.  data: its bytes, uint8 [nbytes].  parts: what they say, of one block."""

    kind: BlockType
    row: int
    block: int
    data: np.ndarray
    parts: Unpacked

    @property
    def first_col(self) -> int:
        return self.block * self.kind.block


def stored_block(tensor: StoredTensor, row: int, block: int) -> StoredBlock:
    """Block `block` of row `row`; raises QuantvizError for one that is not there, and for tensors without blocks."""
    kind = _kind(tensor)
    across = tensor.cols // kind.block
    if not (0 <= row < tensor.rows and 0 <= block < across):
        raise QuantvizError(
            f"There is no block ({row}, {block}); this tensor has {tensor.rows:,} × {across:,} blocks, counted from 0."
        )
    at = row * across + block
    data = np.array(tensor.blocks(at, at + 1))
    return StoredBlock(kind, row, block, data[0], kind.unpack(data))


def field_rows(b: StoredBlock) -> dict[str, list[Any]]:
    """The layout, a row a field: its bytes' places, the bytes themselves in hexadecimal, what they mean."""
    return {
        "field": [f.name for f in b.kind.fields],
        "bytes": [str(f.offset) if f.size == 1 else f"{f.offset}–{f.offset + f.size - 1}" for f in b.kind.fields],
        "content": [b.data[f.offset : f.offset + f.size].tobytes().hex(" ") for f in b.kind.fields],
        "meaning": [f.meaning for f in b.kind.fields],
    }


def group_rows(b: StoredBlock) -> dict[str, list[Any]]:
    """A row a group of weights that share a scale: which columns, its scale and minimum, and what they are made of."""
    groups, width = b.parts.scales.shape[1], b.kind.block // b.parts.scales.shape[1]
    first = [b.first_col + g * width for g in range(groups)]
    columns: dict[str, list[Any]] = {
        "columns": [f"{c:,}–{c + width - 1:,}" for c in first],
        "scale": b.parts.scales[0].tolist(),
    }
    if b.parts.minima is not None:
        columns["minimum"] = b.parts.minima[0].tolist()
    names = {"scales": "stored scale", "minima": "stored minimum"}
    for name, values in b.parts.stored.items():
        if values.shape[1] == groups and name != "index":
            columns[names.get(name, f"stored {name}")] = values[0].tolist()
    for name, values in b.parts.stored.items():
        if values.shape[1] == 1 < groups:
            columns[name] = values[0].tolist() * groups
    return columns


def weight_rows(b: StoredBlock) -> dict[str, list[Any]]:
    """A row a weight: column, code, what the code stands for, the arithmetic spelled out, the value."""
    p, size = b.parts, b.kind.block
    groups = np.arange(size) * p.scales.shape[1] // size
    scales = p.scales[0][groups].tolist()
    minima = None if p.minima is None else p.minima[0][groups].tolist()
    numbers = p.numbers[0].tolist()
    return {
        "column": list(range(b.first_col, b.first_col + size)),
        "code": p.codes[0].tolist(),
        "stands for": numbers,
        "arithmetic": [
            (f"{number(n)} × {number(s)}" + ("" if minima is None else _added(minima[i]))).replace(MINUS, "-")
            for i, (n, s) in enumerate(zip(numbers, scales, strict=True))
        ],
        "value": p.values[0].tolist(),
    }


def _added(x: float) -> str:
    return f" − {number(-x)}" if x < 0 else f" + {number(x)}"


# -- the whole tensor ----------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Contents:
    """What all blocks of a tensor hold.

    codes: every code that the type has, rising.  numbers: float32, what each stands for, NaN where for nothing.
    counts: int64, how many weights have it.  scales, minima: histograms over groups; minima None for types without.
    zero_scales: groups whose scale is 0, so that all their weights are alike.  groups: how many there are.
    """

    kind: BlockType
    codes: np.ndarray
    numbers: np.ndarray
    counts: np.ndarray
    scales: Histogram
    minima: Histogram | None
    zero_scales: int
    groups: int

    @property
    def entropy_bits(self) -> float:
        return entropy_bits(self.counts)

    @property
    def unused(self) -> int:
        """Codes that stand for something and that no weight has."""
        return int(((self.counts == 0) & ~np.isnan(self.numbers)).sum())


def contents(tensor: StoredTensor, progress: Progress | None = None) -> Contents:
    """Counts every code, scale and minimum of a stored tensor, block by block; nothing is held whole.

    progress: called as progress(weights done, weights in all), the tensor being gone through twice.
    Raises QuantvizError for a tensor without blocks, and for scales that are no finite numbers.
    """
    kind = _kind(tensor)
    counts = np.zeros(len(kind.numbers), np.int64)
    spans = [[np.inf, -np.inf], [np.inf, -np.inf]]
    zero = groups = 0
    for done, blocks in _pieces(tensor, kind):
        counts += np.bincount((kind.codes(blocks) - kind.first_code).reshape(-1), minlength=len(counts))
        shared = kind.parameters(blocks)
        zero, groups = zero + int((shared.scales == 0).sum()), groups + shared.scales.size
        for span, values in zip(spans, (shared.scales, shared.minima), strict=True):
            if values is not None:
                span[:] = min(span[0], float(values.min())), max(span[1], float(values.max()))
        if progress:
            progress(done, 2 * tensor.size)
    if not np.isfinite([v for span in spans[: 1 + (shared.minima is not None)] for v in span]).all():
        raise QuantvizError(
            f"{tensor.name or 'The tensor'} has scales that are no finite numbers, so the file is damaged, or its "
            "weights were beyond the range of a 16-bit scale."
        )
    scales, minima = _histograms(tensor, kind, spans, progress)
    first = kind.first_code
    codes = np.arange(first, first + len(counts))
    return Contents(kind, codes, kind.numbers, counts, scales, minima, zero, groups)


def _histograms(tensor: StoredTensor, kind: BlockType, spans: list, progress: Progress | None):
    tables = [np.zeros(_BINS, np.int64), np.zeros(_BINS, np.int64)]
    edges = [(lo - (margin := 0.01 * (hi - lo) or abs(hi) * 0.01 or 1e-9), hi + margin) for lo, hi in spans]
    has_minima = False
    for done, blocks in _pieces(tensor, kind):
        shared = kind.parameters(blocks)
        has_minima = shared.minima is not None
        for table, edge, values in zip(tables, edges, (shared.scales, shared.minima), strict=True):
            if values is not None:
                table += np.histogram(values, _BINS, edge)[0]
        if progress:
            progress(tensor.size + done, 2 * tensor.size)
    scales, minima = (Histogram(float(lo), float(hi), t, 0, 0) for (lo, hi), t in zip(edges, tables, strict=True))
    return scales, minima if has_minima else None


def _pieces(tensor: PackedTensor, kind: BlockType) -> Iterator[tuple[int, np.ndarray]]:
    """(weights done, blocks) from the first to the last."""
    step = max(1, _PIECE // kind.block)
    total = tensor.size // kind.block
    for start in range(0, total, step):
        stop = min(start + step, total)
        yield stop * kind.block, tensor.blocks(start, stop)


def _kind(tensor: StoredTensor) -> BlockType:
    kind = kind_of(tensor)
    if kind is None:
        raise QuantvizError(
            f"{tensor.name or 'The tensor'} is stored as {tensor.dtype}, weight by weight; only block types have "
            f"blocks to look at: {', '.join(BLOCK_TYPES)}."
        )
    return kind


def _have(n: int) -> str:
    return "has" if n == 1 else "have"


def contents_sentence(c: Contents) -> str:
    """What stands out, for a reader."""
    used = len(c.counts) - int(np.isnan(c.numbers).sum())
    parts = [
        f"{plural(c.groups, 'group')} of {c.kind.group} weights {_have(c.groups)} a scale of "
        f"{'its' if c.groups == 1 else 'their'} own",
        f"the codes hold {number(c.entropy_bits, 3)} of their {number(np.log2(max(used, 2)), 3)} bits of information",
    ]
    if c.zero_scales:
        alike = "which makes all weights of the group alike"
        parts.append(f"{plural(c.zero_scales, 'scale')} {'is' if c.zero_scales == 1 else 'are'} 0, {alike}")
    if c.unused:
        parts.append(f"{c.unused:,} of {plural(used, 'code')} {'is' if c.unused == 1 else 'are'} not used at all")
    return "; ".join(parts) + "."
