"""A causal language model, opened to be measured: checked before it is built, and no code of its own ever run."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypedDict

from ...checkpoints import packed_formats, refuse_packed
from ...errors import QuantvizError, did_you_mean
from ...sources.json_text import read_json_object
from ...sources.model import Reader
from ...sources.opened import read_file
from ..blame import blamed
from .companions import CONFIG, MAX_CONFIG
from .memory_needed import settle_dtype
from .parts import Parts, Progress, open_parts
from .quiet import transformers_quietly
from .stored_sizes import StoredSizes
from .weights import model_of

_TOKENIZERS = ("tokenizer.json", "tokenizer.model", "spiece.model", "sentencepiece.bpe.model", "vocab.json",
               "vocab.txt")  # fmt: skip


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


class OpenOptions(TypedDict, total=False):
    """The keywords of `open_language_model`, which every measurement hands on."""

    device: str | None
    dtype: str | None
    token: str | bool | None
    root: str | os.PathLike[str] | None
    cache_dir: str | os.PathLike[str] | None


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
        model = model_of(transformers, parts, config, dtype, progress).to(device)
    opened = LanguageModel(parts.ref, parts.name, model, tokenizer, parts.reader, dtype, device, parts.sizes)
    try:
        yield opened
    finally:
        opened.model = None  # a frame of a stopped measurement may still refer to it, and must not keep the weights


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
