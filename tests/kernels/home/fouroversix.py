"""Makes tests/kernels/data/fouroversix.npz: NVFP4 with the block scales that fouroversix's PyTorch backend chooses.

SKIP_CUDA_BUILD=1 pip install --no-deps --no-build-isolation fouroversix==1.0.5 (with torch), then, from the root:
python -m tests.kernels.home.fouroversix
"""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from fouroversix.quantize import QuantizationConfig, dequantize, from_blocked, quantize_to_fp4

from tests.kernels.home.weights import of_like_size

FILE = Path(__file__).parents[1] / "data" / "fouroversix.npz"

if __name__ == "__main__":
    x = torch.from_numpy(of_like_size())
    rows, cols = x.shape
    q = quantize_to_fp4(x, QuantizationConfig(backend="pytorch", scale_rule="mse"))  # rows filled up with zeros to 128
    scales = from_blocked(q.scale_factors, (q.padded_shape[0], cols // 16))
    nibbles = q.values.numpy()
    np.savez_compressed(
        FILE,
        library=np.array(f"fouroversix {version('fouroversix')}"),
        codes=np.stack([nibbles & 15, nibbles >> 4], axis=2).reshape(-1, cols)[:rows],
        scales=scales.float().numpy()[:rows],
        largest=q.amax.numpy(),
        values=dequantize(q, dtype=torch.float32).numpy()[:rows],
    )
