"""What llama.cpp's converter makes of small models of 112 kinds, for the tests of names and of mixes.

data/converted.json.gz: {kind: {config, original: {name: shape}, architecture, metadata, tensors: {name: [shape,
dtype]}}}. The models were made of zeros in 16 bits, by transformers 5.24 from small configurations, or by hand where
its classes are not the Hub's (internlm2, refact, openelm, dbrx, chatglm, minicpm3, arctic, qwen; layers that predict
ahead; experts fused as transformers 5 has them in memory), and converted by llama.cpp's own conversion/ at commit
0c1e570 of 2026-10-01 (as PyPI's llama_cpp_python 0.3.36 ships it), without a tokenizer. data/architectures.json: the
architecture of every class that this converter takes, and of every model_type whose class in transformers it takes.
"""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

from quantviz.sources.model import Model, TensorInfo

_DATA = Path(__file__).parent / "data"
CONVERTED: dict[str, dict[str, Any]] = json.loads(gzip.decompress((_DATA / "converted.json.gz").read_bytes()))
ARCHITECTURES: dict[str, dict[str, str]] = json.loads((_DATA / "architectures.json").read_text("utf-8"))


class Listing:
    """A model that is only a list."""

    def __init__(
        self, shapes: dict[str, list[int]], dtypes: dict[str, str] | str, metadata: dict | None = None
    ) -> None:
        kinds = dict.fromkeys(shapes, dtypes) if isinstance(dtypes, str) else dtypes
        self.tensors = tuple(TensorInfo(name, tuple(shape), kinds[name], 0) for name, shape in shapes.items())
        self.metadata = metadata or {}


def original(kind: str) -> Model:
    """As Hugging Face has it."""
    known = CONVERTED[kind]
    return Model(kind, Listing(known["original"], "float16"), lambda _: known["config"])


def file(kind: str) -> Model:
    """As the converter wrote it; arrays among its values are passed over, as they are when a file is read."""
    known = CONVERTED[kind]
    architecture = known["architecture"]
    said = {f"{architecture}.{k}": v for k, v in known["metadata"].items() if not isinstance(v, list)}
    shapes = {name: shape for name, (shape, _) in known["tensors"].items()}
    dtypes = {name: dtype for name, (_, dtype) in known["tensors"].items()}
    return Model(kind, Listing(shapes, dtypes, {"general.architecture": architecture, **said}))
