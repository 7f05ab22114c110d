"""What the tensors of a checkpoint stand for: which are weights and which are codes, and which axis is their input."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from ..errors import MissingFile, QuantvizError
from ..sources import Model, Progress, TensorInfo
from ..sources.config import JSON_FILES
from ..sources.model import Reader, select
from ..tensors import StoredTensor
from .axes import Architecture, Layout, layout
from .declared import CONFIG, declared
from .recognition import packed_formats, plain_name, recognise, refuse_packed
from .turned import TurnedElements

__all__ = ["packed_formats", "refuse_packed", "understood"]


def understood(model: Model) -> Model:
    """The same model, each tensor as what it stands for.

    Codes, and what belongs to them, hold no weights and say why. Tensors that the model keeps with the input first are
    shown as [out, in], with a notice. What its config.json says of this counts where the tensors do not say otherwise.
    """
    files, trouble = _read(model)
    found = recognise(model.tensors, declared(files))
    architecture = Architecture(files.get(CONFIG, {}))
    always = tuple(filter(None, (trouble, found.notice)))
    tensors = {}
    for info in model.tensors:
        marked = replace(info, packed=found.packed.get(info.name))
        how = layout(plain_name(info.name), marked, architecture)
        notices = tuple(filter(None, (how.notice, *(always if marked.holds_weights else ()))))
        tensors[info.name] = _Understood(info, replace(
            marked, shape=how.shape, input_axes=how.input_axes, notices=notices), how)  # fmt: skip
    return Model(model.ref, _Reader(model, tensors), model.read_json)


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
            stored = self._reader.open(info, rows, progress)
            return replace(stored, input_axes=info.input_axes, notices=info.notices)
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
