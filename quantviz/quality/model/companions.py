"""The small files of a model that transformers reads: copies, bounded and made harmless first.

transformers and its libraries believe whatever a file says: ten million labels, a billion layers, a pipe in place of a
file. So they get a folder that holds only what quantviz has written.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from ...errors import QuantvizError
from ...sources.gguf_header import GGUFHeader
from ...sources.json_text import read_json_object
from ...sources.opened import OpenFile

CONFIG = "config.json"
# What a model's folder may hold beside its weights and transformers can read without running anything from it.
COMPANIONS = (
    CONFIG, "generation_config.json", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json",
    "added_tokens.json", "vocab.json", "merges.txt", "vocab.txt", "tokenizer.model", "spiece.model",
    "sentencepiece.bpe.model",
)  # fmt: skip
MAX_COMPANION = 64 << 20  # bytes
MAX_CONFIG = 4 << 20  # a classifier's labels may fill it
_MAX_KEPT = 512 << 10  # of a configuration without them
_LABELS = ("id2label", "label2id", "num_labels", "task_specific_params")  # nothing of a language model

MAX_ITEMS = 2_000_000  # of all arrays of a GGUF file: the package that transformers reads them by makes objects of them
_LARGEST = 1 << 24  # of what sizes a model: a hundred times what models have
_MOST = 10_000  # layers, heads and experts
_COUNTED = re.compile(r"(?:^|_|\.)(?:num|n|block|expert|head)_\w*(?:layers?|heads?|experts?|blocks?|count)|depth")
_SIZED = re.compile("size|dim|emb|layer|head|expert|position|context|length|rank|group|inner|model|n_|num|window")


def lay_out(folder: Path, name: str, content: bytes, where: str) -> None:
    """Writes one companion for transformers to read. Raises QuantvizError that begins with `where`."""
    if name.endswith(".json"):
        said = None if name == "tokenizer.json" else read_json_object(content, f"{where}: {name}")
        if name == CONFIG:
            content = _harmless(said, where)
    (folder / name).write_bytes(content)


def _harmless(config: dict[str, Any], where: str) -> bytes:
    """A config.json without labels, whose sizes are those of some model."""
    kept = {name: value for name, value in config.items() if name not in _LABELS}
    check_sizes(_numbers(kept), f"{where}: {CONFIG}")
    content = json.dumps(kept).encode()
    if len(content) > _MAX_KEPT:
        raise QuantvizError(f"{where}: {CONFIG} is larger than {_MAX_KEPT:,} bytes, which none needs to be.")
    return content


def _numbers(value: Any, name: str = "") -> Iterator[tuple[str, int]]:
    """(name, number) of every whole number; those of a list go by the list's name."""
    waiting = [(name, value)]
    while waiting:
        name, value = waiting.pop()
        if isinstance(value, dict):
            waiting.extend(value.items())
        elif isinstance(value, list):
            waiting.extend((name, item) for item in value)
        elif type(value) is int:
            yield name, value


def check_sizes(numbers: Iterable[tuple[str, int]], where: str) -> None:
    """Refuses numbers from which memory would be taken before a single weight is read."""
    for name, value in numbers:
        most = _MOST if _COUNTED.search(name) else _LARGEST if _SIZED.search(name) else 1 << 62
        if not -most <= value <= most:
            raise QuantvizError(f"{where}: {name[:80]} is {value:,}, and up to {most:,} are read.")


def lay_out_header(folder: Path, file: OpenFile, header: GGUFHeader) -> str:
    """A copy of a GGUF file that is a header alone, as long as the whole but empty behind it; gives its name.

    Nobody can shorten it while the package maps it; the weights are read from the file itself.
    """
    if header.items > MAX_ITEMS:
        raise QuantvizError(f"{file.name} has arrays of over {MAX_ITEMS:,} items, more than any tokenizer's.")
    check_sizes(_whole(header.metadata), file.name)
    with (folder / "model.gguf").open("wb") as copy:
        copy.write(file.read(0, header.nbytes))
        copy.truncate(file.size)
    return "model.gguf"


def _whole(metadata: Mapping[str, object]) -> Iterator[tuple[str, int]]:
    return ((name, value) for name, value in metadata.items() if type(value) is int and not name.startswith("general."))
