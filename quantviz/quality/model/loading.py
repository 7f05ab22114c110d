"""A causal language model, opened to be measured: checked before it is built, and no code of its own ever run."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ...checkpoints import packed_formats, refuse_packed
from ...errors import QuantvizError, did_you_mean
from ...sources.json_text import read_json_object
from ...sources.model import Reader, TensorInfo
from ...sources.opened import read_file
from ...tensors import STORED_DTYPES, StoredTensor
from ..blame import blamed
from .companions import CONFIG, MAX_CONFIG
from .parts import Parts, Progress, open_parts
from .quiet import transformers_quietly
from .room import settle_dtype
from .stored_sizes import StoredSizes

if TYPE_CHECKING:
    import torch

_TOKENIZERS = ("tokenizer.json", "tokenizer.model", "spiece.model", "sentencepiece.bpe.model", "vocab.json",
               "vocab.txt")  # fmt: skip
_SHOWN = 3  # names in a sentence
_MOST_TIMES = 4  # the weights that a file holds: some models share a tensor between layers
_ALWAYS = 1 << 24  # weights and buffers that a configuration may claim beside
_ONE_GGUF = threading.Lock()  # its progress is told through transformers' own module


@dataclass(eq=False)
class LanguageModel:
    """A model that predicts the next token, on one device, with its tokenizer.

    reader: of the weights as stored, None for GGUF.  dtype: in which it computes.
    sizes: what each tensor takes in the file.
    """

    ref: str
    name: str
    model: Any
    tokenizer: Any
    reader: Reader | None
    dtype: str
    device: str
    sizes: StoredSizes

    @property
    def device_name(self) -> str:
        """ "cpu", or the GPU's name."""
        if self.device == "cpu":
            return "cpu"
        import torch

        return torch.cuda.get_device_name(self.device)

    @property
    def longest(self) -> int | None:
        """Tokens the model was made to read together; None where its configuration does not say."""
        return getattr(self.model.config.get_text_config(), "max_position_embeddings", None)

    @property
    def bos(self) -> int | None:
        """The token that the tokenizer puts before a text, where it puts one."""
        probe, bos = self.tokenizer("a")["input_ids"], self.tokenizer.bos_token_id
        return bos if bos is not None and probe[:1] == [bos] else None

    def encode(self, text: str) -> list[int]:
        """The tokens of a text, with what the tokenizer puts before it and without what it would put after."""
        with transformers_quietly(), blamed(self.name, "its tokenizer"):
            bos = self.bos
            found = self.tokenizer(text, add_special_tokens=False)["input_ids"]
        rows = self.model.get_input_embeddings().weight.shape[0]
        if found and max(found) >= rows:
            raise QuantvizError(
                f"{self.name}: its tokenizer gives token {max(found):,}, and the model knows {rows:,}; they do not "
                "belong together."
            )
        return found if bos is None else [bos, *found]

    def decode(self, tokens: Sequence[int]) -> str:
        with blamed(self.name, "its tokenizer"):
            return self.tokenizer.decode(list(tokens), clean_up_tokenization_spaces=False)


@contextlib.contextmanager
def open_language_model(
    ref: str | LanguageModel,
    *,
    device: str | None = None,
    dtype: str | None = None,
    token: str | bool | None = None,
    root: str | os.PathLike[str] | None = None,
    cache_dir: str | os.PathLike[str] | None = None,
    progress: Progress | None = None,
) -> Iterator[LanguageModel]:
    """The model that `ref` names: `demo`, a folder of the Hub's layout, `hf:org/name@revision` or a .gguf file.

    device: "cpu" or "cuda"; None takes a GPU where there is one.  dtype: None is float32 where that fits in memory,
    else the 16 bits of the file.  The rest as `quantviz.open_model` has it. A model that is open already passes
    through. Raises QuantvizError with one sentence for whatever is wrong.
    """
    if isinstance(ref, LanguageModel):
        yield ref
        return
    device = _device(device)
    with open_parts(os.fspath(ref), token, root, cache_dir) as parts, transformers_quietly() as transformers:
        config = _config(transformers, parts)
        if parts.reader is not None:
            refuse_packed(packed_formats(parts.reader.tensors), parts.name, "what quantizing it does")
        tokenizer = _tokenizer(transformers, parts)
        dtype = settle_dtype(parts, dtype, str(getattr(config, "dtype", None)).removeprefix("torch."), device)
        model = _model(transformers, parts, config, dtype, progress).to(device)
    opened = LanguageModel(parts.ref, parts.name, model, tokenizer, parts.reader, dtype, device, parts.sizes)
    try:
        yield opened
    finally:
        opened.model = None  # whoever still holds the frame of a stopped measurement holds no weights


def _device(wanted: str | None) -> str:
    import torch

    there = torch.cuda.is_available()
    if wanted not in (None, "cpu", "cuda"):
        raise QuantvizError(f"There is no device {wanted!r}; choose cpu or cuda.")
    if wanted == "cuda" and not there:
        raise QuantvizError("There is no CUDA GPU here; choose cpu.")
    return "cuda" if there and wanted != "cpu" else "cpu"


def _config(transformers: Any, parts: Parts) -> Any:
    """The configuration, of a model that predicts the next token and that transformers itself can build."""
    if parts.gguf is not None:
        with blamed(parts.name, "its header"):
            return transformers.AutoConfig.from_pretrained(parts.folder, gguf_file=parts.gguf)
    said = read_json_object(read_file(parts.folder / CONFIG, MAX_CONFIG), f"{parts.name}: {CONFIG}")
    kind = said.get("model_type")
    known = transformers.models.auto.configuration_auto.CONFIG_MAPPING_NAMES
    if not isinstance(kind, str) or kind not in known:
        if said.get("auto_map"):
            raise QuantvizError(
                f"{parts.name} needs code of its own (auto_map in config.json), and quantviz never runs a model's "
                "code; choose a model whose architecture transformers has."
            )
        near = did_you_mean(kind, known) if isinstance(kind, str) else ""
        raise QuantvizError(f"{parts.name}: transformers knows no model_type {str(kind)[:80]!r}.{near}")
    if said.get("quantization_config"):
        how = said["quantization_config"]
        method = how.get("quant_method", "") if isinstance(how, dict) else ""
        raise QuantvizError(
            f"{parts.name} is quantized already{f' ({method})' if method else ''}; choose the model it was made from."
        )
    with blamed(parts.name, CONFIG):
        return transformers.AutoConfig.from_pretrained(parts.folder, local_files_only=True, trust_remote_code=False)


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


def _tokenizer(transformers: Any, parts: Parts) -> Any:
    if parts.gguf is None and not any((parts.folder / name).is_file() for name in _TOKENIZERS):
        raise QuantvizError(f"{parts.name} has no tokenizer; put tokenizer.json beside config.json.")
    how = {"gguf_file": parts.gguf} if parts.gguf else {"local_files_only": True, "trust_remote_code": False}
    with blamed(parts.name, "its tokenizer"):
        tokenizer = transformers.AutoTokenizer.from_pretrained(parts.folder, **how)
        found = tokenizer("a", add_special_tokens=False)["input_ids"]
    if not found:
        raise QuantvizError(f"{parts.name}: its tokenizer makes no tokens of a text, so its files are incomplete.")
    return tokenizer


def _model(transformers: Any, parts: Parts, config: Any, dtype: str, progress: Progress | None) -> Any:
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
    """A tensor of the file for transformers to read when its turn comes, by `[...]`: then it is in memory once."""

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
    """Every tensor of weights, fetched as far as it must be; transformers copies it, converted, into the model."""
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
