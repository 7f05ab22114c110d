"""Results as a measurement would give them, for what only draws or tells them."""

from __future__ import annotations

import math
from dataclasses import fields

from quantviz.quality.results import QualityResult
from quantviz.schemes import Scheme

SHAPE = (256, 256)
_NUMBERS = {f.name: 0 for f in fields(QualityResult) if f.type in ("int", "float")}


def result(scheme: str, ratio: float = 1.1, se: float = 0.01, **more: object) -> QualityResult:
    """A finished result of `scheme`; `more` sets any other field."""
    bits = Scheme.parse(scheme).bits_per_weight(SHAPE) if "=" not in scheme.partition(":")[0] else 5.0
    kl = 0.0 if ratio == 1 else abs(math.log(ratio)) / 2 if ratio > 0 else math.nan
    known = {
        "ref": "demo", "scheme": scheme, "tokens": 4096, "context": 512, "method": "llama.cpp", "dtype": "float32",
        "device": "cpu", "perplexity": 20 * ratio, "perplexity_se": 0.4, "perplexity_ratio": ratio,
        "perplexity_ratio_se": se, "kl_mean": kl, "kl_mean_se": kl / 20, "kl_median": kl / 2, "kl_p99": 5 * kl,
        "kl_p999": 9 * kl, "kl_max": 20 * kl, "top1_agreement": 0.9, "bits_per_weight": bits, "base_perplexity": 20.0,
        "base_perplexity_se": 0.4, "scored": 2040, "windows": 8, "windows_total": 8, "model_bits_per_weight": bits + 1,
        "layers": 28, "seconds": 0.5, "weight_error": 0.05,
    }  # fmt: skip
    return QualityResult(**{**_NUMBERS, **{k: v for k, v in known.items() if k in _FIELDS}, **more})


_FIELDS = {f.name for f in fields(QualityResult)}


def collapsed(scheme: str, non_finite: int = 2040) -> QualityResult:
    return result(scheme, math.nan, math.nan, kl_mean=math.nan, kl_p99=math.nan, non_finite=non_finite)
