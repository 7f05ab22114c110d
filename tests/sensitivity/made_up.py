"""Tables as a sweep and a sensitivity would give them, for what only compares or draws them."""

from __future__ import annotations

import numpy as np
import pandas as pd

from quantviz.sensitivity.frame import frame_of

PARTS = ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "mlp.up_proj", "mlp.down_proj")
TENSORS = [f"model.layers.{layer}.{part}.weight" for layer in range(4) for part in PARTS]
WEIGHTS = 1024


def sweep_frame(names=TENSORS, schemes=("int4-sym-b32",), weighted: bool = True) -> pd.DataFrame:
    random = np.random.default_rng(0)
    rows = [
        {"tensor": name, "scheme": scheme, "weights": WEIGHTS, "squared": 1 + random.random(),
         "squared_error": random.random() / 100, "weighted_squared_error": random.random() if weighted else np.nan}
        for name in names for scheme in schemes
    ]  # fmt: skip
    return pd.DataFrame(rows)


def sensitivity_row(unit: str, kl: float, scheme: str = "int4-sym-b32", **more: object) -> dict[str, object]:
    row = {
        "by": "tensor", "unit": unit, "tensors": 1, "weights": WEIGHTS, "scheme": scheme, "kl_mean": kl,
        "kl_se": abs(kl) / 10, "perplexity_ratio": 1.01, "perplexity_ratio_se": 0.01, "top1_agreement": 0.9,
        "tokens": 8192, "context": 512, "seconds": 0.5, "refused": "", "ref": "demo", "revision": "0", "version": "0",
    }  # fmt: skip
    return row | more


def sensitivity_frame(kl: dict[str, float], **more: object) -> pd.DataFrame:
    return frame_of([sensitivity_row(name, value, **more) for name, value in kl.items()])
