"""A stored tensor looked at as it is, group by group: what its bytes say, and how they make the weights.

Nothing is quantized and nothing is changed: this reads what a file holds. A group is a block of a GGUF file, or the
weights of a row that share a scale in a quantized checkpoint.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..block_types import BLOCK_TYPES, BlockType
from ..block_types import Unpacked as UnpackedBlocks
from ..checkpoints.decoded import Decoded
from ..checkpoints.layer import Layer, Part, Unpacked
from ..errors import QuantvizError
from ..tensors import PackedTensor, StoredTensor
from ..text.wording import MINUS, number


def kind_of(tensor: StoredTensor) -> BlockType | None:
    """The block type a tensor is stored in; None for others."""
    return BLOCK_TYPES.get(tensor.dtype) if isinstance(tensor, PackedTensor) else None


def without_groups(tensor: StoredTensor) -> QuantvizError:
    """What to say of a tensor whose weights lie one by one."""
    return QuantvizError(
        f"{tensor.name or 'The tensor'} is stored as {tensor.dtype}, weight by weight; only block types and the codes "
        f"of quantized checkpoints have groups to look at. Block types: {', '.join(BLOCK_TYPES)}."
    )


@dataclass(frozen=True, eq=False)
class StoredBlock:
    """One block: row and block count from 0.  data: its bytes, uint8 [nbytes].  parts: what they say, of one block."""

    kind: BlockType
    row: int
    block: int
    data: np.ndarray
    parts: UnpackedBlocks

    @property
    def first_col(self) -> int:
        return self.block * self.kind.block

    @property
    def columns(self) -> np.ndarray:
        """Of its weights, int [block]."""
        return np.arange(self.first_col, self.first_col + self.kind.block)


@dataclass(frozen=True, eq=False)
class StoredGroup:
    """Weights of one row that share a scale in a quantized checkpoint; row and group count from 0.

    columns: of its weights, rising; with act order they lie apart.  parts: what the row's codes and scales say.
    """

    layer: Layer
    row: int
    group: int
    columns: np.ndarray
    parts: Unpacked


def scale_part(tensor: Decoded) -> Part | None:
    """The stored scales of a layer; None where it has none of its own."""
    named = ("scale", "absmax", "SCB")
    return next((part for name, part in tensor.layer.parts.items() if any(word in name for word in named)), None)


def rows_a_scale(tensor: Decoded) -> int:
    """How many rows share a scale."""
    part = scale_part(tensor)
    if part is None:
        return 1
    return tensor.rows if part.info.size == 1 else max(1, part.every)


def groups_of(tensor: StoredTensor) -> int:
    """How many blocks or groups a row has. Raises QuantvizError for a tensor whose weights lie one by one."""
    if isinstance(tensor, Decoded):
        return tensor.unpacked(0, 1).scales.shape[1]
    kind = kind_of(tensor)
    if kind is None:
        raise without_groups(tensor)
    return tensor.cols // kind.block


def stored_block(tensor: StoredTensor, row: int, block: int) -> StoredBlock | StoredGroup:
    """Block or group `block` of row `row`; raises QuantvizError for one that is not there, and where there are none."""
    across, what = groups_of(tensor), "group" if isinstance(tensor, Decoded) else "block"
    if not (0 <= row < tensor.rows and 0 <= block < across):
        raise QuantvizError(
            f"There is no {what} ({row}, {block}); this tensor has {tensor.rows:,} × {across:,} {what}s, counted from "
            "0."
        )
    if isinstance(tensor, Decoded):
        taken = tensor.unpacked(row, row + 1)
        columns = taken.group_columns(block, tensor.cols)
        return StoredGroup(tensor.layer, row, block, columns, taken)
    kind = kind_of(tensor)
    at = row * across + block
    data = np.array(tensor.blocks(at, at + 1))
    return StoredBlock(kind, row, block, data[0], kind.unpack(data))


def field_rows(b: StoredBlock | StoredGroup) -> dict[str, list[Any]]:
    """The layout, a row a field. Of a block: its bytes' places, the bytes in hexadecimal, what they mean. Of a group of
    a checkpoint: the stored tensors, what each is stored as, and what it holds.
    """
    if isinstance(b, StoredGroup):
        fields = b.layer.fields
        return {
            "tensor": [f.part for f in fields], "stored as": [f.dtype for f in fields],
            "axes": [f.axes for f in fields], "meaning": [f.meaning for f in fields],
        }  # fmt: skip
    return {
        "field": [f.name for f in b.kind.fields],
        "bytes": [str(f.offset) if f.size == 1 else f"{f.offset}–{f.offset + f.size - 1}" for f in b.kind.fields],
        "content": [b.data[f.offset : f.offset + f.size].tobytes().hex(" ") for f in b.kind.fields],
        "meaning": [f.meaning for f in b.kind.fields],
    }


def group_rows(b: StoredBlock | StoredGroup) -> dict[str, list[Any]]:
    """A row a group of weights that share a scale: which columns, its scale, zero point and minimum, and what they are
    made of.
    """
    if isinstance(b, StoredGroup):
        return _group_of_a_checkpoint(b)
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


def _group_of_a_checkpoint(b: StoredGroup) -> dict[str, list[Any]]:
    columns: dict[str, list[Any]] = {
        "columns": [_span_of(b.columns.tolist())],
        "scale": [float(b.parts.scales[0, b.group])],
    }
    for name, shared in (("zero point", b.parts.zeros), ("minimum", b.parts.minima), *b.parts.stored.items()):
        if shared is not None:
            columns[name] = [shared[0, b.group if shared.shape[1] > 1 else 0].item()]
    return columns


def _span_of(columns: list[int]) -> str:
    if not columns:
        return "none"
    first, last = columns[0], columns[-1]
    apart = last - first >= len(columns)
    return f"{len(columns):,} between {first:,} and {last:,}" if apart else f"{first:,}–{last:,}"


def weight_rows(b: StoredBlock | StoredGroup) -> dict[str, list[Any]]:
    """A row a weight: column, code, what the code stands for, the arithmetic spelled out, the value."""
    if isinstance(b, StoredGroup):
        return _weights_of_a_checkpoint(b)
    p, size = b.parts, b.kind.block
    groups = np.arange(size) * p.scales.shape[1] // size
    scales = p.scales[0][groups].tolist()
    minima = None if p.minima is None else p.minima[0][groups].tolist()
    numbers = p.numbers[0].tolist()
    return {
        "column": b.columns.tolist(),
        "code": p.codes[0].tolist(),
        "stands for": numbers,
        "arithmetic": [
            (f"{number(n)} × {number(s)}" + ("" if minima is None else _added(minima[i]))).replace(MINUS, "-")
            for i, (n, s) in enumerate(zip(numbers, scales, strict=True))
        ],
        "value": p.values[0].tolist(),
    }


def _weights_of_a_checkpoint(b: StoredGroup) -> dict[str, list[Any]]:
    p, at = b.parts, b.columns
    values = p.values()[0, at]
    found: dict[str, list[Any]] = {"column": at.tolist()}
    if p.codes is not None:
        numbers = (p.codes if p.numbers is None else p.numbers)[0, at].tolist()
        found |= {"code": p.codes[0, at].tolist(), "stands for": numbers}
        scale = number(float(p.scales[0, b.group]))
        zero = None if p.zeros is None else float(p.zeros[0, b.group])
        minimum = "" if p.minima is None else _added(float(p.minima[0, b.group]))
        moved = [number(n) if zero is None else f"({number(n)}{_taken_away(zero)})" for n in numbers]
        found["arithmetic"] = [f"{n} × {scale}{minimum}".replace(MINUS, "-") for n in moved]
    return found | {"value": values.tolist()}


def _added(x: float) -> str:
    return f" − {number(-x)}" if x < 0 else f" + {number(x)}"


def _taken_away(x: float) -> str:
    return f" + {number(-x)}" if x < 0 else f" − {number(x)}"
