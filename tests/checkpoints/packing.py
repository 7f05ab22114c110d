"""Layers packed by hand, for tests that need a small checkpoint and not its library."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from tests.sources.builders import safetensors


def gptq(w: np.ndarray, group: int = 32) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """(qweight, qzeros and scales by suffix, what they stand for) of w [out, in] rounded to asymmetric int4, version 1.

    group: inputs that share a scale.
    """
    rows, cols = w.shape
    x = w.reshape(rows, cols // group, group)
    low, high = np.minimum(x.min(2), 0), np.maximum(x.max(2), 0)
    scales = ((high - low) / 15).astype(np.float16)
    zeros = np.clip(np.rint(-low / scales.astype(np.float32)), 1, 15).astype(np.uint8)
    codes = np.clip(np.rint(x / scales.astype(np.float32)[:, :, None]) + zeros[:, :, None], 0, 15).astype(np.uint8)
    values = (codes - zeros[:, :, None].astype(np.float32)) * scales.astype(np.float32)[:, :, None]
    parts = {
        "qweight": _words(codes.reshape(rows, cols).T), "qzeros": _words(zeros - 1).T.copy(),
        "scales": scales.T.copy(),
    }  # fmt: skip
    return parts, values.reshape(rows, cols)


def _words(codes: np.ndarray) -> np.ndarray:
    """int32 [n / 8, m] of codes [n, m]: eight to a word, down the first axis, the lowest bits first."""
    each = codes.reshape(-1, 8, codes.shape[1]).astype(np.uint32)
    words = sum(each[:, i] << np.uint32(4 * i) for i in range(8))
    return np.ascontiguousarray(words).view(np.int32)


def write_gptq(folder: Path, layers: dict[str, np.ndarray], more: dict[str, np.ndarray] | None = None) -> Path:
    """A model's folder whose layers, by name without `.weight`, are GPTQ int4; `more` are plain tensors."""
    tensors, dtypes = dict(more or {}), {}
    for name, w in layers.items():
        parts, _ = gptq(w)
        for suffix, array in parts.items():
            tensors[f"{name}.{suffix}"] = array
            if array.dtype == np.int32:
                dtypes[f"{name}.{suffix}"] = "I32"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.safetensors").write_bytes(safetensors(tensors, dtypes))
    settings = {"quant_method": "gptq", "bits": 4, "group_size": 32, "checkpoint_format": "gptq"}
    (folder / "config.json").write_text(json.dumps({"model_type": "llama", "quantization_config": settings}))
    return folder
