"""What the tensors of a checkpoint stand for: which are weights and which are codes, and which axis is their input."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from ..errors import MissingFile, QuantvizError
from ..sources import Model, Progress, TensorInfo
from ..sources.json_text import JSON_FILES
from ..sources.model import Reader, select
from ..tensors import StoredTensor
from .axes import Architecture, Layout, layout
from .block_fp8 import BlockFP8, block_fp8, decoded, tile_sides
from .declared import CONFIG, declared
from .recognition import packed_formats, plain_name, recognise, refuse_packed
from .turned import Turn, TurnedElements

__all__ = ["packed_formats", "refuse_packed", "understood"]


def understood(model: Model) -> Model:
    """The same model, each tensor as what it stands for.

    Codes of formats that are understood are decoded when they are read. Others, and what belongs to any, hold no
    weights and say why. Tensors that the model keeps with the input first are shown as [out, in], with a notice. What
    its config.json says of this counts where the tensors do not say otherwise.
    """
    files, trouble = _read(model)
    config = files.get(CONFIG, {})
    sides = tile_sides(config)
    found = recognise(model.tensors, declared(files), lambda *tensor: block_fp8(*tensor, sides))
    architecture = Architecture(config)
    always = tuple(filter(None, (trouble, found.notice)))
    tensors = {}
    for info in model.tensors:
        packed = found.packed.get(info.name)
        marked = replace(info, packed=packed) if packed else info
        how, codes = layout(plain_name(info.name), marked, architecture), found.decoded.get(info.name)
        told = (how.notice, codes.notice(info) if codes else "", *(always if marked.holds_weights else ()))
        told = tuple(filter(None, told))
        plain = not told and not codes and (how.shape, how.input_axes) == (info.shape, info.input_axes)
        shown = marked if plain else replace(
            marked, shape=how.shape, input_axes=how.input_axes, notices=told,
            nbytes=info.nbytes + (codes.scales.nbytes if codes else 0),
        )  # fmt: skip
        tensors[info.name] = _Understood(info, shown, how, codes)
    return model.through(_Reader(model, tensors))


def _read(model: Model) -> tuple[dict[str, Mapping[str, Any]], str]:
    """The JSON files beside the weights, and a sentence where one cannot be used."""
    files, trouble = {}, ""
    for name in JSON_FILES if model.read_json else ():
        try:
            files[name] = model.read_json(name)
        except MissingFile:
            continue
        except QuantvizError as problem:
            trouble = f"What lies beside the weights is not regarded: {problem}"
    return files, trouble


@dataclass(frozen=True)
class _Understood:
    stored: TensorInfo
    shown: TensorInfo
    layout: Layout
    codes: BlockFP8 | None = None


class _Reader:
    """Opens each tensor as it is shown."""

    def __init__(self, model: Model, tensors: Mapping[str, _Understood]) -> None:
        self._reader: Reader = model.reader
        self._tensors = tensors
        self.metadata = model.metadata
        self.tensors = tuple(each.shown for each in tensors.values())

    def open(self, info: TensorInfo, rows: tuple[int, int] | None, progress: Progress | None) -> StoredTensor:
        select(info, rows)
        each = self._tensors[info.name]
        turn = each.layout.turn
        if turn is None:
            stored = self._reader.open(replace(each.stored, input_axes=info.input_axes), rows, progress)
            if each.codes:
                scales = self._reader.open(each.codes.scales, None, None).numpy()
                return decoded(stored, scales, each.codes, rows[0] if rows else 0, info)
            return replace(stored, input_axes=info.input_axes, notices=info.notices)
        return self._turned(each, turn, rows, progress)

    def _turned(
        self, each: _Understood, turn: Turn, rows: tuple[int, int] | None, progress: Progress | None
    ) -> StoredTensor:
        info = each.shown
        first, last = rows or (0, info.rows)
        begin, end = first // turn.b, -(-last // turn.b)  # the matrices in which these rows lie
        as_matrix = replace(each.stored, shape=turn.stored)
        some = None if (begin, end) == (0, turn.matrices) else (begin * turn.a, end * turn.a)
        raw = self._reader.open(as_matrix, some, progress)
        turned = replace(turn, matrices=end - begin)
        whole = StoredTensor(
            TurnedElements(raw.data, turned), info.dtype, (turned.matrices * turn.b, turn.a * turn.tail), info.name,
            notices=info.notices,
        )  # fmt: skip
        if rows:
            return whole.row_range(first - begin * turn.b, last - begin * turn.b)
        return replace(whole, shape=info.shape, input_axes=info.input_axes)
