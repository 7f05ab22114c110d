"""A language model of the stored weights: built empty, and filled tensor by tensor."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ...errors import QuantvizError
from ...sources.model import Reader, TensorInfo
from ...tensors import STORED_DTYPES, StoredTensor
from ..blame import blamed
from .companions import CONFIG
from .parts import Parts, Progress

if TYPE_CHECKING:
    import torch

_SHOWN = 3  # names in a sentence
_MOST_TIMES = 4  # the weights that a file holds: some models share a tensor between layers
_ALWAYS = 1 << 24  # weights and buffers that a configuration may claim beside
_ONE_GGUF = threading.Lock()  # its progress is told through transformers' own module


def _causal_class(transformers: Any, parts: Parts, config: Any) -> type:
    """The class that `architectures` names, if it predicts the next token."""
    mapping = transformers.models.auto.modeling_auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES
    names = mapping.get(config.model_type)
    fitting = (names,) if isinstance(names, str) else tuple(names or ())
    said = getattr(config, "architectures", None) or fitting[:1]
    said = tuple(said) if isinstance(said, list | tuple) else (said,)
    found = next((name for name in said if name in fitting), None)
    if found is None:
        what = said[0] if said else config.model_type
        raise QuantvizError(
            f"{parts.name} is no causal language model but {str(what)[:80]}; choose one whose architecture ends with "
            "ForCausalLM."
        )
    return getattr(transformers, found)


def model_of(transformers: Any, parts: Parts, config: Any, dtype: str, progress: Progress | None) -> Any:
    import torch

    with blamed(parts.name, CONFIG):
        kind = _causal_class(transformers, parts, config)
        _check_size(kind, parts, config)
    if parts.gguf:
        state = _dequantized(kind, parts, config, dtype, progress)
    else:
        state = _read_later(parts.reader, progress)
    try:
        with blamed(parts.name, "its weights"):
            model, told = kind.from_pretrained(
                None, config=config, state_dict=state, dtype=getattr(torch, dtype), output_loading_info=True
            )
    except QuantvizError:
        problem = next((p for later in state.values() if (p := getattr(later, "problem", None))), None)
        raise problem or sys.exception() from None  # transformers hides what a file said
    missing = sorted(told["missing_keys"] if isinstance(told, dict) else told.missing_keys)
    if missing:
        shown = ", ".join(missing[:_SHOWN]) + (f" and {len(missing) - _SHOWN} more" if len(missing) > _SHOWN else "")
        raise QuantvizError(f"{parts.name} lacks weights that {kind.__name__} needs: {shown}.")
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    return model.eval()


def _check_size(kind: type, parts: Parts, config: Any) -> None:
    """Refuses a configuration of many more weights than its file has, before memory is taken for them."""
    import torch

    stored, nbytes, _ = parts.stored
    layers = getattr(config.get_text_config(), "num_hidden_layers", 0) or 0
    if layers > parts.tensors:
        raise QuantvizError(f"{parts.name} claims {layers:,} layers, more than there are tensors.")
    with torch.device("meta"):
        shape = kind(config)
    claimed = sum(t.numel() for t in (*shape.parameters(), *shape.buffers()))
    if claimed > _MOST_TIMES * max(stored, nbytes) + _ALWAYS:
        raise QuantvizError(f"{parts.name} claims to have {claimed:,} weights, and its file holds {stored:,}.")


class _Later:
    """A tensor of the file that transformers reads by `[...]` when it needs it, so that it is in memory once."""

    def __init__(self, reader: Reader, info: TensorInfo) -> None:
        self._reader, self._info = reader, info
        self.problem: QuantvizError | None = None

    def __getitem__(self, _: object) -> torch.Tensor:
        try:
            return as_torch(self._reader.open(self._info, None, None))
        except QuantvizError as problem:
            self.problem = problem
            raise


def _read_later(reader: Reader, progress: Progress | None) -> dict[str, _Later]:
    """Every tensor of weights, downloaded if need be; transformers copies it, converted, into the model."""
    infos = [info for info in reader.tensors if info.dtype in STORED_DTYPES and info.size and info.shape]
    total, done, state = sum(info.nbytes for info in infos), 0, {}
    for info in infos:
        part = progress and (lambda have, _, before=done: progress("reading the model", before + have, total))
        reader.open(info, None, part)
        state[info.name] = _Later(reader, info)
        done += info.nbytes
        if progress:
            progress("reading the model", done, total)
    return state


def _dequantized(
    kind: type, parts: Parts, config: Any, dtype: str, progress: Progress | None
) -> dict[str, torch.Tensor]:
    """The tensors of a GGUF file, dequantized and named as transformers does."""
    import torch
    from transformers import modeling_gguf_pytorch_utils as theirs

    stopped: list[BaseException] = []  # by the caller's progress, and not to be taken for a fault of the file

    def counted(tensors: Sequence[Any], **_: Any) -> Iterator[Any]:  # in the place of a bar on standard error
        for done, tensor in enumerate(tensors, 1):
            raw = np.empty(tensor.data.shape, tensor.data.dtype)  # the header's copy, which was mapped, has none
            parts.file.read_into(raw.reshape(-1).view(np.uint8).data, int(tensor.data_offset))
            yield tensor._replace(data=raw)
            try:
                if progress:
                    progress("expanding the tensors", done, len(tensors))
            except BaseException as problem:
                stopped.append(problem)
                raise

    def load() -> dict[str, torch.Tensor]:
        with torch.device("meta"):
            shape = kind(config)
        path = str(parts.folder / parts.gguf)
        return theirs.load_gguf_checkpoint(
            path, return_tensors=True, model_to_load=shape, torch_dtype=getattr(torch, dtype)
        )["tensors"]  # fmt: skip

    with _ONE_GGUF:
        bar, theirs.tqdm = theirs.tqdm, counted
        try:
            with blamed(parts.name, "its tensors"):
                return load()
        except QuantvizError:
            if stopped:
                raise stopped[0] from None
            raise
        finally:
            theirs.tqdm = bar


def as_torch(stored: StoredTensor) -> torch.Tensor:
    """The stored elements as a tensor of their own dtype, sharing memory where alignment allows."""
    import torch

    flat = torch.from_numpy(np.require(np.asarray(stored.data), requirements=["A", "W"]))
    dtype = getattr(torch, stored.dtype)
    return (flat if flat.dtype == dtype else flat.view(dtype)).reshape(stored.shape)
