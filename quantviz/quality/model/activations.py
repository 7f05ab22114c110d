"""The inputs of each linear layer while a model reads a text: E[x²] of every input channel, and a sample.

The first is importance, as llama.cpp's imatrix has it; the sample serves to measure the error of a layer's output
beside that of its weights. Kept in one .safetensors file: `<tensor>.in_sum2` and `<tensor>.counts`, named as
in llama.cpp's imatrix but with the model's own tensor names, and `<tensor>.inputs`, the sample.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Unpack

import numpy as np

from ...calibration.importance import (
    MAX_BYTES,
    UnseenError,
    importance_names,
    llama_name,
    load_importance,
    unseen_experts,
)
from ...errors import QuantvizError, did_you_mean
from ...evaluation.comparison import Refusal
from ...schemes import Scheme
from ...sources.gguf_header import MAGIC
from ...sources.opened import read_file
from ...sources.safetensors_header import LENGTH_BYTES, header_length, parse_header
from ..data import CALIBRATION_TOKENS as DEFAULT_TOKENS
from ..data import Calibrating
from ..measure import DEFAULT_CONTEXT
from ..passage import Passage
from ..results import LayerError
from ..session import Options, Session, inference, open_session, text_of
from .feeds import input_of, listening, watchable
from .inputs import of_torch
from .layers import DEFAULT_TARGETS, Layer, Mixture, select
from .loading import LanguageModel, OpenOptions
from .parts import Progress
from .replacing import matrix_view

DEFAULT_SAMPLES = 256
SUMS, COUNTS, INPUTS = ".in_sum2", ".counts", ".inputs"
_AT_ONCE = 1024  # rows of inputs


@dataclass(frozen=True, eq=False)
class Activations:
    """sums: tensor name -> float32 [in_features], Σx².  counts: tensor name -> tokens.
    inputs: tensor name -> float32 [samples, in_features]; empty where a file held none.
    """

    sums: Mapping[str, np.ndarray]
    counts: Mapping[str, int]
    inputs: Mapping[str, np.ndarray]

    @property
    def layers(self) -> tuple[str, ...]:
        """The names of the tensors, in the model's order."""
        return tuple(self.sums)

    def importance(self, tensor: str) -> np.ndarray:
        """E[x²] of each input channel of a tensor, float32; what `quantviz.evaluate(importance=…)` takes.

        tensor: its name here, or the one that Hugging Face's models give it.
        Raises QuantvizError for a tensor that is not there.
        """
        if tensor not in self.sums and llama_name(tensor) in self.sums:
            tensor = llama_name(tensor)
        if tensor not in self.sums:
            raise QuantvizError(f"There are no activations for {tensor!r}.{did_you_mean(tensor, self.sums)}")
        return (self.sums[tensor] / self.counts[tensor]).astype(np.float32)

    # -- files -----------------------------------------------------------------------------------

    def to_bytes(self) -> bytes:
        """The content of a .safetensors file."""
        parts: dict[str, np.ndarray] = {}
        for tensor in self.layers:
            parts[tensor + SUMS] = self.sums[tensor]
            parts[tensor + COUNTS] = np.array([self.counts[tensor]], np.float32)
            if tensor in self.inputs:
                parts[tensor + INPUTS] = self.inputs[tensor]
        header: dict[str, Any] = {"__metadata__": {"quantviz": "activations"}}
        at = 0
        for name, values in parts.items():
            header[name] = {"dtype": "F32", "shape": list(values.shape), "data_offsets": [at, at + values.nbytes]}
            at += values.nbytes
        text = json.dumps(header, separators=(",", ":")).encode()
        text += b" " * (-len(text) % 8)  # so that the data are aligned
        blocks = (np.ascontiguousarray(values, "<f4").tobytes() for values in parts.values())
        return struct.pack("<Q", len(text)) + text + b"".join(blocks)

    def save(self, path: str | os.PathLike[str]) -> None:
        Path(path).write_bytes(self.to_bytes())

    @classmethod
    def read(cls, source: str | os.PathLike[str] | bytes) -> Activations:
        """From a .safetensors file as `save` writes it, or from an imatrix of llama.cpp, which has no inputs.

        source: path or content. An imatrix keeps llama.cpp's names of tensors.
        Raises QuantvizError with one sentence for whatever is wrong.
        """
        where, data = ("The file", source) if isinstance(source, bytes) else _content(Path(source))
        names = importance_names(data)
        if data[:4] == MAGIC or not names:
            found = {}
            unseen = set(unseen_experts(data))
            for name in (name for name in names if name not in unseen):
                with contextlib.suppress(UnseenError):  # an expert that no token was sent to
                    found[name] = load_importance(data, name)
            if not found:
                raise QuantvizError(f"{where} holds no activations: no tensor pair <name>{SUMS} and <name>{COUNTS}.")
            return cls(found, dict.fromkeys(found, 1), {})
        start = LENGTH_BYTES + header_length(data[:LENGTH_BYTES], len(data), where)
        arrays = {
            entry.info.name: np.frombuffer(data, "<f4", entry.info.size, entry.offset).reshape(entry.info.shape)
            for entry in parse_header(data[LENGTH_BYTES:start], len(data) - start, where).entries
            if entry.info.dtype == "float32"
        }
        for name in names:
            _check(name, arrays, where)
        return cls(
            {name: arrays[name + SUMS] for name in names},
            {name: int(arrays[name + COUNTS][0]) for name in names},
            {name: arrays[name + INPUTS] for name in names if name + INPUTS in arrays},
        )


def _content(path: Path) -> tuple[str, bytes]:
    return path.name, read_file(path, MAX_BYTES)


def _check(name: str, arrays: Mapping[str, np.ndarray], where: str) -> None:
    sums, counts, inputs = (arrays.get(name + end) for end in (SUMS, COUNTS, INPUTS))
    if sums is None or counts is None:
        raise QuantvizError(f"{where} is damaged: {name}{SUMS} and {COUNTS} must be float32.")
    fits = sums.ndim == 1 and counts.shape == (1,) and (inputs is None or inputs.shape[1:] == sums.shape)
    if not fits:
        raise QuantvizError(f"{where} is damaged: the shapes of {name}{SUMS}, {COUNTS} and {INPUTS} do not agree.")
    if not (np.isfinite(sums).all() and (sums >= 0).all() and math.isfinite(counts[0]) and counts[0] >= 1):
        raise QuantvizError(f"{where} is damaged: {name}{SUMS} and {COUNTS} must be finite and not negative.")


# -- collecting ----------------------------------------------------------------------------------


def collect_activations(
    ref: str | LanguageModel,
    text: str | bytes | None = None,
    tokens: int | None = DEFAULT_TOKENS,
    context: int = DEFAULT_CONTEXT,
    samples: int = DEFAULT_SAMPLES,
    targets: Sequence[str] = DEFAULT_TARGETS,
    *,
    progress: Progress | None = None,
    **where: Unpack[OpenOptions],
) -> Activations:
    """The inputs of the target layers while the stored model reads whole windows of a text.

    samples: how many inputs of each layer are kept, spread evenly over the text.  where: device, dtype, token, root
    and cache_dir. Layers that a module of their own computes, such as a mixture's experts, are left out.
    """
    if samples < 1:
        raise QuantvizError(f"samples={samples} keeps no inputs; give a whole number from 1.")
    given = text_of(text)
    with open_session(ref, None, targets, progress=progress, **where) as session:
        passage = Passage.of(session.opened, given, tokens, context, "llama.cpp")
        watched = watchable(session.opened.model, select(session.layers, targets))
        every = max(1, len(passage.windows) * context // samples)
        collected = {layer.name: _Collected(layer.shape[1], every, samples) for _, layer in watched}
        with listening((module, collected[layer.name]) for module, layer in watched):
            read_passage(session, passage)
    kept = {name: part for name, part in collected.items() if part.tokens}
    return Activations(
        {name: part.sums.astype(np.float32) for name, part in kept.items()},
        {name: part.tokens for name, part in kept.items()},
        {name: np.concatenate(part.rows)[:samples] for name, part in kept.items()},
    )


def read_passage(session: Session, passage: Passage) -> None:
    """The model reads the windows; what its layers are fed is what hooks on them see."""
    told, done = session.told("the text is read"), 0
    for batch in passage.batches():
        with inference():
            session.opened.model(
                passage.read(batch).to(session.opened.device), use_cache=False, logits_to_keep=1
            )  # fmt: skip
        done += len(batch)
        if told:
            told(done, len(passage.windows))


class _Collected:
    """The inputs of one layer, added up and sampled."""

    def __init__(self, cols: int, every: int, samples: int) -> None:
        self.sums, self.tokens, self.rows = np.zeros(cols), 0, []
        self._every, self._left = every, samples

    def hook(self, _module: Any, arguments: tuple, named: dict) -> None:
        import torch

        x = input_of(arguments, named, len(self.sums))
        for at in range(0, len(x), _AT_ONCE):
            part = x[at : at + _AT_ONCE].float()
            self.sums += part.square().sum(0, dtype=torch.float64).cpu().numpy()
        picks = range(-self.tokens % self._every, len(x), self._every)[: self._left]
        if len(picks):
            self.rows.append(x[list(picks)].float().cpu().numpy())
            self._left -= len(picks)
        self.tokens += len(x)


# -- outputs -------------------------------------------------------------------------------------


def output_errors(
    ref: str | LanguageModel,
    scheme: str | Scheme | Mixture,
    activations: Activations,
    targets: Sequence[str] = DEFAULT_TARGETS,
    *,
    calibrating: Calibrating | None = None,
    **how: Unpack[Options],
) -> Iterator[LayerError | Refusal]:
    """For each layer a scheme quantizes, ‖XŴ - XW‖ / ‖XW‖ over the sampled inputs X, beside ‖Ŵ - W‖ / ‖W‖.

    The inputs are those of the stored model, so each layer is looked at by itself. Layers without a sample are left
    out; raises QuantvizError where none has one. calibrating, how: as `measure_quality` has them.
    """
    with open_session(ref, [scheme], targets, calibrating=calibrating, **how) as session:
        mixture = session.mixtures[0]
        changes = session.apply(mixture)
        if isinstance(changes, Refusal):
            yield changes
            return
        sampled = [layer for layer in changes if layer.name in activations.inputs and layer.matrices == 1]
        if not sampled:
            raise QuantvizError("The activations hold no sample of inputs for any layer that is quantized.")
        for layer in sampled:
            with inference():
                error = _output_error(session, layer, activations.inputs[layer.name])
            own = session.replacer.placed[layer][0]
            yield LayerError(
                layer.path, own.key, changes[layer].relative_error, error, own.bits_per_weight(layer.shape)
            )  # fmt: skip


def _output_error(session: Session, layer: Layer, inputs: np.ndarray) -> float:
    """Products in float32, their difference formed from the weights' so that small errors keep their digits."""
    import torch

    quantized, scheme = matrix_view(layer, 0), session.replacer.placed[layer][0]
    x = torch.from_numpy(np.ascontiguousarray(inputs)).to(quantized.device)
    if x.shape[1] != layer.shape[1]:
        raise QuantvizError(
            f"The activations of {layer.path} have {x.shape[1]:,} channels, and the layer takes {layer.shape[1]:,}; "
            "they are another model's."
        )
    stored = torch.from_numpy(np.array(session.replacer.originals.matrix(layer, 0).numpy())).to(quantized.device)
    whole = float((x @ stored.T).double().norm())
    lost = x @ (quantized.float() - stored).T
    if scheme.act is not None:
        lost += (of_torch(x, scheme) - x) @ quantized.float().T
    error = float(lost.double().norm())
    return error / whole if whole else math.nan
