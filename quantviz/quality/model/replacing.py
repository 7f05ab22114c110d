"""Replaces a model's weights layer by layer, and restores them from its file: there is never a second copy."""

from __future__ import annotations

import math
import os
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from ...calibration.importance import llama_name
from ...calibration.layer import Calibration
from ...calibration.quantizing import solve
from ...errors import QuantvizError
from ...evaluation import evaluate
from ...kernels import dequantize
from ...schemes import Scheme
from ...sources.model import TensorInfo
from ...sources.opened import FileArray, OpenFile
from ...tensors import STORED_DTYPES, StoredTensor, refuse_non_finite
from .inputs import InputHooks
from .layers import Layer
from .loading import LanguageModel

_AT_ONCE = 1 << 20  # weights
_NARROW = (1e-20, 1e30)  # sums of squares that float32 adds up without losing any


@dataclass(frozen=True)
class Change:
    """The size and error of a layer's weights under a scheme."""

    weights: int
    bits: int
    squared: float  # Σ w²
    squared_error: float  # Σ (ŵ - w)²
    notices: tuple[str, ...] = ()

    @property
    def relative_error(self) -> float:
        """‖Ŵ - W‖ / ‖W‖"""
        return (self.squared_error / self.squared) ** 0.5 if self.squared else 0.0


class Originals:
    """Each layer's weights as stored, read from the model's own file.

    Where transformers keeps weights otherwise than the file does (a mixture's experts in one tensor, a GGUF file's
    dequantized), the model's own are written once to a file without a name in the cache folder, and read from there.
    """

    def __init__(self, opened: LanguageModel, cache_dir: str | os.PathLike[str] | None = None) -> None:
        self._opened, self._cache_dir = opened, cache_dir
        self._found: dict[str, TensorInfo | StoredTensor] = {}

    @property
    def model(self) -> Any:
        return self._opened.model

    def whole(self, layer: Layer) -> StoredTensor:
        """All weights of a layer, laid out as the model has them. Refuses NaN and infinity."""
        if layer.name not in self._found:
            self._found[layer.name] = self._in_file(layer) or self._written(layer)
            refuse_non_finite(self.whole(layer))
        found = self._found[layer.name]
        return found if isinstance(found, StoredTensor) else self._opened.reader.open(found, None, None)

    def matrix(self, layer: Layer, number: int) -> StoredTensor:
        """One matrix [out_features, in_features] of a layer."""
        whole, (rows, cols) = self.whole(layer), layer.shape
        part = whole.row_range(number * whole.rows // layer.matrices, (number + 1) * whole.rows // layer.matrices)
        if not layer.transposed:
            return part
        turned = np.ascontiguousarray(part.numpy().T)
        return StoredTensor(turned.reshape(-1), "float32", (rows, cols), layer.name)

    def stored_bits(self, layer: Layer) -> float:
        """Bits the layer takes in the model's file."""
        info = self._found.get(layer.name)
        if isinstance(info, TensorInfo):
            return 8.0 * info.nbytes
        return self._opened.sizes.bits_of(layer.name, layer.weights)

    def _in_file(self, layer: Layer) -> TensorInfo | None:
        """The tensor of the file that holds exactly these weights."""
        if self._opened.reader is None:
            return None
        prefix = f"{self._opened.model.base_model_prefix}."
        names = (layer.name, layer.name.removeprefix(prefix), prefix + layer.name)
        for info in self._opened.reader.tensors:
            if info.name in names and info.shape == tuple(layer.parameter.shape) and info.dtype in STORED_DTYPES:
                return info if _same(layer.parameter, self._opened.reader.open(info, None, None)) else None
        return None

    def _written(self, layer: Layer) -> StoredTensor:
        import torch

        from ...sources.cache import Cache

        weights, name = layer.parameter.detach(), str(layer.parameter.dtype).removeprefix("torch.")
        folder = Cache.default(None if self._cache_dir is None else Path(self._cache_dir)).folder
        bits = STORED_DTYPES[name]
        try:
            with tempfile.TemporaryFile(dir=folder) as file:
                flat = weights.reshape(-1)
                for at in range(0, flat.numel(), _AT_ONCE):
                    piece = flat[at : at + _AT_ONCE].cpu()
                    file.write((piece.view(torch.uint16) if name == "bfloat16" else piece).numpy().tobytes())
                file.flush()
                copy = OpenFile(os.dup(file.fileno()), f"The copy of {layer.path}")
        except OSError as problem:
            reason = (problem.strerror or "input/output error").lower()
            raise QuantvizError(
                f"The weights of {layer.path} cannot be kept in {folder}: {reason}; free some space there or set "
                "QUANTVIZ_CACHE to another folder."
            ) from None
        return StoredTensor(FileArray(copy, bits, 0, flat.numel()), name, tuple(weights.shape), layer.name)


def _same(parameter: Any, stored: StoredTensor) -> bool:
    """Whether a layer of the model holds exactly the weights of a tensor in its file, rounded to its own dtype."""
    import torch

    flat = parameter.detach().reshape(-1)
    for at in range(0, flat.numel(), _AT_ONCE):
        piece = torch.from_numpy(np.array(stored.read(at, at + _AT_ONCE))).to(flat.dtype)
        if not torch.equal(piece.nan_to_num(), flat[at : at + _AT_ONCE].cpu().nan_to_num()):
            return False
    return True


@dataclass(eq=False)
class Replacer:
    """Puts quantized weights into a model and brings its own back. Leaving the context restores all of them."""

    originals: Originals
    importance: Mapping[str, np.ndarray] = field(default_factory=dict)  # by tensor name, the Hub's or llama.cpp's
    imatrix: Callable[[Layer, Scheme], np.ndarray | None] = lambda layer, scheme: None  # where importance has none
    placed: dict[Layer, tuple[Scheme, Change]] = field(default_factory=dict)
    inputs: InputHooks = field(init=False)

    def __post_init__(self) -> None:
        self.inputs = InputHooks(self.originals.model)

    def __enter__(self) -> Replacer:
        return self

    def __exit__(self, *_: object) -> None:
        self.restore()

    def apply(
        self, assigned: Mapping[Layer, Scheme], progress: Callable[[int, int], None] | None = None
    ) -> dict[Layer, Change]:
        """Make the model what `assigned` says: those layers quantized, all others as stored."""
        self.restore(layer for layer in tuple(self.placed) if layer not in assigned)
        for done, (layer, scheme) in enumerate(assigned.items(), 1):
            if layer not in self.placed or self.placed[layer][0] != scheme:
                self.put(layer, scheme)
            if progress:
                progress(done, len(assigned))
        return {layer: self.placed[layer][1] for layer in assigned}

    def restore(self, layers: Any = None) -> None:
        """Bring back the stored weights of `layers`, or of all that were replaced."""
        for layer in tuple(self.placed if layers is None else layers):
            self.inputs.forget(layer)
            put_back(layer, self.originals)
            self.placed.pop(layer, None)

    def put(self, layer: Layer, scheme: Scheme, fed: Calibration | None = None, progress: Any = None) -> Change:
        """Puts a scheme's weights in the place of one layer's.

        fed: the layer's inputs, for a solver that looks at them; without, such a scheme rounds to nearest.
        progress: of such a solver, called as progress(weights done, weights in all).
        """
        self.placed.pop(layer, None)
        self.inputs.forget(layer)
        rounding, changes, scales = scheme if fed else scheme.without_data, [], None
        try:
            for number in range(layer.matrices):
                given = self.originals.matrix(layer, number), rounding, matrix_view(layer, number)
                importance = self._importance(layer, number, scheme)
                solved = place_solved(*given, fed, importance, progress) if fed else (place(*given, importance), None)
                changes.append(solved[0])
                scales = solved[1]
        except BaseException:
            put_back(layer, self.originals)  # half a layer replaced would be neither model
            raise
        notices = dict.fromkeys(text for change in changes for text in change.notices)
        made = Change(
            layer.weights, layer.bits(scheme), sum(change.squared for change in changes),
            sum(change.squared_error for change in changes), tuple(notices),
        )  # fmt: skip
        self.placed[layer] = scheme, made
        self.inputs.place(layer, rounding, scales)
        return made

    def _importance(self, layer: Layer, number: int, scheme: Scheme) -> np.ndarray | None:
        bases = (layer.name, llama_name(layer.name))
        names = [name for base in bases for name in (f"{base}[{number}]", base)]
        found = next((self.importance[name] for name in names if name in self.importance), None)
        return self.imatrix(layer, scheme) if found is None else found


def matrix_view(layer: Layer, number: int) -> Any:
    """One matrix of a layer in the model's own memory, as [out_features, in_features]."""
    weights = layer.parameter.data
    matrix = weights[number] if weights.ndim == 3 else weights
    return matrix.T if layer.transposed else matrix


def place(stored: StoredTensor, scheme: Scheme, into: Any, importance: np.ndarray | None = None) -> Change:
    """Quantizes and dequantizes a matrix band by band straight into `into`, a torch tensor of its shape."""
    from ...kernels import cpu

    scheme.check_importance_given(importance is not None)
    placing = _Placing(stored, scheme, into)
    cpu.reconstruct(stored, scheme, visit=placing.visit, importance=importance)
    if scheme.scale == "fp16":
        weights_alone = replace(scheme, act=None)  # what its inputs take is seen to by a hook
        notices = evaluate(stored, weights_alone, importance, detail="metrics").notices
    else:
        notices = scheme.shape_notices(stored.rows, stored.cols)
    return placing.change(notices)


def place_solved(
    stored: StoredTensor, scheme: Scheme, into: Any, fed: Calibration, importance: np.ndarray | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[Change, np.ndarray | None]:  # fmt: skip
    """The same of a scheme that looks at the layer's inputs; and what multiplied its columns, divided out again."""
    from ...calibration.awq import EXPONENT
    from ...calibration.smoothing import SMOOTHED

    told = EXPONENT, SMOOTHED  # whose line would be one a layer
    q = solve(stored, scheme, fed.named(""), importance, progress=progress)
    y, placing = np.asarray(dequantize(q)), _Placing(stored, scheme, into)
    for row in range(0, stored.rows, step := max(1, _AT_ONCE // stored.cols)):
        x = stored.row_range(row, min(row + step, stored.rows)).read().reshape(-1, stored.cols)
        placing.visit(row, x, y[row : row + step])
    notices = tuple(text for text in q.notices if not text.startswith(told))
    return placing.change((*scheme.shape_notices(stored.rows, stored.cols), *notices)), q.input_scales


class _Placing:
    """Puts rows into a model's weights, and adds up what they and their errors are."""

    def __init__(self, stored: StoredTensor, scheme: Scheme, into: Any) -> None:
        self._stored, self._scheme, self._into = stored, scheme, into
        self._squared: list[float] = []
        self._squared_error: list[float] = []

    def visit(self, row: int, x: np.ndarray, y: np.ndarray) -> None:  # from several threads, each its own rows
        import torch

        placed = self._into[row : row + len(y)].copy_(torch.from_numpy(y))
        if placed.dtype != torch.float32 and not bool(placed.isfinite().all()):
            held = str(placed.dtype).removeprefix("torch.")
            raise QuantvizError(
                f"{self._stored.name or 'The tensor'} has weights too large for {self._scheme}: what its codes stand "
                f"for goes beyond the largest number of {held}, in which the model keeps it; choose another scheme."
            )
        with np.errstate(over="ignore"):
            error = y - x
        self._squared.append(_sum_squares(x))
        lost = _sum_squares(error)
        self._squared_error.append(lost if math.isfinite(lost) else _sum_squares(y.astype(np.float64) - x))

    def change(self, notices: tuple[str, ...]) -> Change:
        # fsum is exact, so that the order in which threads finish does not show.
        bits = self._scheme.bits_stored(self._stored.matrix)
        return Change(self._stored.size, bits, math.fsum(self._squared), math.fsum(self._squared_error), notices)


def _sum_squares(x: np.ndarray) -> float:
    """In the numbers' own type, or in float64 where squares leave float32's range."""
    flat = x.reshape(-1)
    found = float(np.vdot(flat, flat))
    if _NARROW[0] < found < _NARROW[1] or flat.dtype == np.float64:
        return found
    return float(np.vdot(flat.astype(np.float64), flat.astype(np.float64)))


def put_back(layer: Layer, originals: Originals) -> None:
    """The stored weights of a layer, back in the model."""
    fill(layer.parameter.data, originals.whole(layer))


def fill(weights: Any, stored: StoredTensor) -> None:
    """Stored weights into a torch tensor laid out alike, a piece at a time, rounded to its dtype."""
    import torch

    flat = weights.view(-1)
    for at in range(0, flat.numel(), _AT_ONCE):
        flat[at : at + _AT_ONCE].copy_(torch.from_numpy(np.array(stored.read(at, at + _AT_ONCE))))
