"""Golden codes of GPTQ, made by llm-compressor. It pins older packages, so it has an environment of its own:

    python -m venv gptqenv && gptqenv/bin/pip install llmcompressor==0.14.0.1
    gptqenv/bin/python tests/calibration/home/gptq.py tests/calibration/data/gptq.npz

Weights, inputs, scales and zero points are made here, in float32, and kept; the codes are read off the weights that
`quantize_weight` gives.
"""

import sys

import numpy as np
import torch
from compressed_tensors.quantization import QuantizationArgs
from llmcompressor.modifiers.gptq.gptq_quantize import quantize_weight

ROWS, COLS, TOKENS = 24, 256, 400


def inputs() -> tuple[np.ndarray, np.ndarray]:
    """Weights float16 [rows, cols], and correlated inputs [tokens, cols] that are whole numbers, to be kept in int8."""
    rng = np.random.default_rng(16)
    w = (rng.standard_normal((ROWS, COLS)) / 16).astype(np.float16)
    x = rng.standard_normal((TOKENS, 48)) @ rng.standard_normal((48, COLS)) / 4 + rng.standard_normal((TOKENS, COLS))
    x[:, rng.integers(0, COLS, 4)] *= 12
    return w, np.clip(np.round(2 * x), -127, 127).astype(np.int8)


def main(path: str) -> None:
    w16, x8 = inputs()
    w, x = torch.from_numpy(w16).float(), torch.from_numpy(x8).float()
    kept = {"w": w16, "x": x8}
    moment = (x.double().T @ x.double() / len(x)).float()
    for width, name in ((128, "b128"), (COLS, "channel")):
        groups = w.reshape(ROWS, -1, width)
        low, high = groups.amin(2).clamp(max=0), groups.amax(2).clamp(min=0)
        scale = (high - low) / torch.tensor(15.0)
        zero = torch.round(-low / scale).clamp(0, 15)
        for order in (None, "weight"):
            # Their codes run from -8: what is asymmetric has its zero point moved along.
            args = QuantizationArgs(
                num_bits=4, type="int", symmetric=False, strategy="group" if width < COLS else "channel",
                group_size=width if width < COLS else None, **({"actorder": order} if order else {}),
            )  # fmt: skip
            found, _, failed = quantize_weight(
                w[None].clone(), 2 * moment[None].clone(), scale[None].clone(), (zero - 8)[None].clone(), None, args
            )
            assert not failed.any()
            code = torch.round(found[0].reshape(groups.shape) / scale[..., None]) + zero[..., None]
            assert torch.equal((code - zero[..., None]) * scale[..., None], found[0].reshape(groups.shape))
            kept[f"{name}-{order or 'none'}"] = code.reshape(ROWS, COLS).numpy().astype(np.uint8)
    np.savez_compressed(path, **kept)


if __name__ == "__main__":
    main(sys.argv[1])
