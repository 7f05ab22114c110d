"""Golden exponents and scales of AWQ, made by NVIDIA's ModelOpt on a CPU, in an environment of its own:

python -m venv awqenv && awqenv/bin/pip install nvidia-modelopt==0.47.0 torch
awqenv/bin/python tests/calibration/home/awq.py tests/calibration/data/awq.npz
"""

import copy
import sys

import modelopt.torch.quantization as mtq
import numpy as np
import torch
from torch import nn

ROWS, COLS, TOKENS = 32, 256, 96


def inputs(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Weights float16, and inputs int8, whose channels are of very different size."""
    rng = np.random.default_rng(seed)
    w = (rng.standard_normal((ROWS, COLS)) * np.exp(rng.standard_normal(COLS) / 2) / 16).astype(np.float16)
    x = rng.standard_normal((TOKENS, COLS)) * np.exp(rng.standard_normal(COLS))
    return w, np.clip(np.round(8 * x), -127, 127).astype(np.int8)


def main(path: str) -> None:
    kept = {}
    for seed in (1, 2):
        w, x = inputs(seed)
        kept |= {f"w{seed}": w, f"x{seed}": x}
        layer = nn.Linear(COLS, ROWS, bias=False)
        layer.weight.data = torch.from_numpy(w).float()
        model, fed = nn.Sequential(layer), torch.from_numpy(x).float()
        config = copy.deepcopy(mtq.INT4_AWQ_CFG)
        config["algorithm"] = {"method": "awq_lite", "alpha_step": 0.05, "debug": True}
        mtq.quantize(model, config, lambda m, fed=fed: m(fed))
        found = model[0].awq_lite
        kept[f"alpha{seed}"] = np.float64(found.best_alpha)
        kept[f"scale{seed}"] = found.best_scale.numpy()
        kept[f"losses{seed}"] = np.array([[a, v] for a, v in found.loss.items()])
        print(seed, found.best_alpha, found.block_size)
    np.savez_compressed(path, **kept)


if __name__ == "__main__":
    main(sys.argv[1])
