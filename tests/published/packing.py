"""GPTQ layers packed by hand, as AutoGPTQ's version 1 has them, for models in which something was folded."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

import quantviz as qv
from tests.sources.builders import safetensors


def rounded(w: np.ndarray, group: int = 32, bits: int = 4, symmetric: bool = False, divide: float = 0):
    """(codes, zero points, scales) by plain rounding of [out, in]: zero points and scales [out, groups].

    divide: the largest weight by it is the scale of symmetric ones; 7 at 4 bits where 0.
    """
    out, cols = w.shape
    g = w.reshape(out, cols // group, group)
    top = 2**bits - 1
    if symmetric:
        scales = np.abs(g).max(axis=2) / (divide or 2 ** (bits - 1) - 1)
        zeros = np.full(scales.shape, 2 ** (bits - 1))
    else:
        low, high = np.minimum(g.min(axis=2), 0), np.maximum(g.max(axis=2), 0)
        scales = (high - low) / top
        zeros = np.rint(-low / np.where(scales > 0, scales, 1))
    scales = np.where(scales > 0, scales, 1).astype(np.float16)
    codes = np.rint(g / scales[:, :, None].astype(np.float32)) + zeros[:, :, None]
    return np.clip(codes, 0, top).astype(np.int64).reshape(out, cols), zeros.astype(np.int64), scales


def packed(codes: np.ndarray, bits: int = 4) -> np.ndarray:
    """int32 [n · bits / 32, m] of codes [n, m], the first in the lowest bits."""
    each = 32 // bits
    words = codes.reshape(-1, each, codes.shape[1]).astype(np.uint64)
    shifts = (np.arange(each, dtype=np.uint64) * np.uint64(bits))[None, :, None]
    return (words << shifts).sum(axis=1).astype(np.uint32).view(np.int32)


def gptq(name: str, codes: np.ndarray, zeros: np.ndarray, scales: np.ndarray, group: int, bits: int = 4):
    """The tensors of a layer, by name."""
    base, cols = name.removesuffix(".weight"), codes.shape[1]
    return {
        f"{base}.qweight": packed(codes.T, bits),
        f"{base}.qzeros": packed_rows(zeros, bits),
        f"{base}.scales": np.ascontiguousarray(scales.T),
        f"{base}.g_idx": (np.arange(cols) // group).astype(np.int32),
    }


def packed_rows(zeros: np.ndarray, bits: int) -> np.ndarray:
    """int32 [groups, out · bits / 32] of zero points [out, groups], each less one."""
    return np.ascontiguousarray(packed((zeros - 1) % 2**bits, bits).T)


def layer(name: str, w: np.ndarray, group: int = 32, **how) -> dict[str, np.ndarray]:
    return gptq(name, *rounded(w, group, **how), group)


def model(folder: Path, tensors: dict[str, np.ndarray], config: dict | None = None, dtypes: dict | None = None):
    """The folder of a model, opened."""
    folder.mkdir(parents=True, exist_ok=True)
    words = {name: "I32" for name, array in tensors.items() if array.dtype == np.int32}
    (folder / "model.safetensors").write_bytes(safetensors(tensors, words | (dtypes or {})))
    (folder / "config.json").write_text(json.dumps({"model_type": "llama", "num_attention_heads": 4} | (config or {})))
    return qv.open_model(folder)
