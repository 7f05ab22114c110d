"""GGUF files for tests, written by the gguf package; and the demo model as llama.cpp's converter would write it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import gguf
import numpy as np

import quantviz as qv
from quantviz.block_types import BLOCK_TYPES
from quantviz.kernels.block_rows import quantize_rows

HEADS = 4  # of the demo model, all with keys of their own
LAYERS = 4

# A number of its own for each type of the package, by quantviz's name.
TYPES = {t.name.lower(): t for t in gguf.GGMLQuantizationType}
TYPES |= {"gguf_mxfp4": TYPES["mxfp4"], "gguf_nvfp4": TYPES["nvfp4"]}


def add(writer: gguf.GGUFWriter, name: str, w: np.ndarray, dtype: str) -> None:
    """Tensor `w` (float32) stored as `dtype`: by the package where it has the quantizer, else by quantviz's kernels."""
    kind = TYPES[dtype]
    try:
        writer.add_tensor(name, gguf.quants.quantize(w, kind), raw_dtype=kind)
    except NotImplementedError:
        importance = np.ones(w.shape[-1], np.float32) if BLOCK_TYPES[dtype].needs_importance else None
        rows = quantize_rows(dtype, w.reshape(-1, w.shape[-1]), importance)
        writer.add_tensor(name, rows.reshape(*w.shape[:-1], -1), raw_dtype=kind)


def write(path: Path, tensors: Mapping[str, tuple[np.ndarray, str]], arch: str = "llama", **settings) -> Path:
    """A file of (weights, dtype) by name.  settings: of the writer, such as split_max_tensors."""
    writer = gguf.GGUFWriter(path, arch, **settings)
    writer.add_array("tokenizer.ggml.tokens", [f"word{i}" for i in range(100)])
    for name, (w, dtype) in tensors.items():
        add(writer, name, w, dtype)
    return close(writer, path)


def close(writer: gguf.GGUFWriter, path: Path) -> Path:
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def permute(w: np.ndarray, heads: int) -> np.ndarray:
    """LlamaModel.permute of llama.cpp's convert_hf_to_gguf.py: the halves of each head's rows are interleaved."""
    return w.reshape(heads, 2, w.shape[0] // heads // 2, *w.shape[1:]).swapaxes(1, 2).reshape(w.shape)


def demo(path: Path, types: Mapping[str, str] | None = None, otherwise: str = "q8_0", **settings) -> Path:
    """The demo model as GGUF.  types: by llama.cpp's name of a matrix; norms stay float32."""
    writer = gguf.GGUFWriter(path, "llama", **settings)
    writer.add_block_count(LAYERS)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(HEADS)
    writer.add_vocab_size(2048)
    writer.add_embedding_length(256)
    writer.add_array("tokenizer.ggml.tokens", [f"word{i}" for i in range(2048)])
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.LLAMA, LAYERS)
    model = qv.open_model("demo")
    for info in model.tensors:
        name = names.get_name(info.name, (".weight",))
        w = model.load(info.name)
        if name.endswith(("attn_q.weight", "attn_k.weight")):
            w = permute(w, HEADS)
        add(writer, name, np.ascontiguousarray(w), (types or {}).get(name, otherwise) if w.ndim > 1 else "f32")
    return close(writer, path)
