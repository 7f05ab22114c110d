"""What the tensors of a checkpoint stand for: which are weights and which are codes, and which axis is their input."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from ..errors import MissingFile, QuantvizError
from ..sources import Model, Progress, TensorInfo
from ..sources.json_text import JSON_FILES
from ..sources.model import Reader, natural_order, select
from ..tensors import StoredTensor
from .axes import Architecture, Layout, layout
from .declared import CONFIG, Declared, declared
from .decoded import decoded
from .layer import Found, Layer, Unreadable
from .packed import PackedFormat
from .readers import READERS
from .recognition import Decodable, packed_formats, plain_name, recognise, refuse_packed
from .small import SmallTensors
from .turned import Turn, TurnedElements

__all__ = ["packed_formats", "refuse_packed", "understood"]


def understood(model: Model) -> Model:
    """The same model, each tensor as what it stands for.

    Codes of formats that are understood are one weight, decoded when it is read. Others, and what belongs to any, hold
    no weights and say why. Tensors that the model keeps with the input first are shown as [out, in], with a notice.
    What its config.json says of this counts where the tensors do not say otherwise.
    """
    files, trouble = _read(model)
    said = declared(files)
    small = SmallTensors(model)
    found = recognise(model.tensors, said, lambda *stored: _layer(model, said, small, *stored))
    architecture = Architecture(files.get(CONFIG, {}))
    always = tuple(filter(None, (trouble, found.notice)))
    each = [
        _decodable(info, found.decoded[info.name], always)
        if info.name in found.decoded
        else _plain(replace(info, packed=packed) if (packed := found.packed.get(info.name)) else info,
                    info, architecture, always)
        for info in model.tensors
    ]  # fmt: skip
    each.sort(key=lambda one: natural_order(one.shown.name))
    return model.through(_Reader(model, {one.shown.name: one for one in each}))


def _layer(
    model: Model,
    said: Declared | None,
    small: SmallTensors,
    codes: TensorInfo,
    form: PackedFormat,
    beside: Mapping[str, TensorInfo],
) -> Layer | None:
    """How the codes of a format are read; None where no reader of it is known. Raises Unreadable."""
    reads = READERS.get(form.name)
    if reads is None:
        return None
    if not all(info.nbytes for info in (codes, *beside.values())):
        raise Unreadable("some of what belongs to it is empty")
    return reads(
        Found(
            codes, beside, form.name, said.settings if said else {},
            lambda suffix: small.read(beside[suffix], suffix), model.metadata,
        )
    )  # fmt: skip


def _decodable(info: TensorInfo, found: Decodable, always: tuple[str, ...]) -> _Understood:
    layer = found.layer
    shown = replace(
        info, name=found.name, shape=layer.shape, dtype=layer.stored_as, nbytes=found.nbytes, decoded=True,
        notices=(*layer.notices, *filter(None, (found.notice,)), *always), input_axes=0,
    )  # fmt: skip
    return _Understood(info, shown, layer=layer)


def _plain(marked: TensorInfo, info: TensorInfo, architecture: Architecture, always: tuple[str, ...]) -> _Understood:
    how = layout(plain_name(info.name), marked, architecture)
    told = tuple(filter(None, (how.notice, *(always if marked.holds_weights else ()))))
    if not told and (how.shape, how.input_axes) == (info.shape, info.input_axes):
        return _Understood(info, marked, how)
    told = (*marked.notices, *told)
    return _Understood(info, replace(marked, shape=how.shape, input_axes=how.input_axes, notices=told), how)


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
    layout: Layout | None = None
    layer: Layer | None = None  # in place of a layout


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
        if each.layer:
            return decoded(self._reader, each.layer, info, rows, progress)
        turn = each.layout.turn
        if turn is None:
            stored = self._reader.open(replace(each.stored, input_axes=info.input_axes), rows, progress)
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
