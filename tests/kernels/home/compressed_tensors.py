"""Makes tests/kernels/data/compressed_tensors.npz: symmetric integers by compressed-tensors' own rule.

pip install compressed-tensors==0.20.0 (with torch), then, from the root:
python -m tests.kernels.home.compressed_tensors
"""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from compressed_tensors.quantization import QuantizationArgs
from compressed_tensors.quantization.lifecycle.forward import dequantize, quantize
from compressed_tensors.quantization.utils import calculate_qparams

from tests.kernels.home.weights import weights

FILE = Path(__file__).parents[1] / "data" / "compressed_tensors.npz"

if __name__ == "__main__":
    x = torch.from_numpy(weights())
    found = {"library": np.array(f"compressed-tensors {version('compressed-tensors')}")}
    for bits in range(2, 9):
        for group in (32, 64, 128, 256):
            args = QuantizationArgs(num_bits=bits, symmetric=True, strategy="group", group_size=group)
            parts = x.reshape(len(x), -1, group)
            scale, zero = calculate_qparams(parts.amin(-1), parts.amax(-1), args)
            codes = quantize(x, scale, zero, args, dtype=torch.int8)
            name = f"int{bits}-sym-b{group}"
            found[f"{name} scales"] = scale.numpy()
            found[f"{name} codes"] = codes.numpy()
            found[f"{name} values"] = dequantize(codes, scale, zero, args).numpy()
    np.savez_compressed(FILE, **found)
