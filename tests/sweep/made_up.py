"""Tables of sweeps for tests: with the columns of a real one, and figures that are easy to add up."""

from __future__ import annotations

import math

import pandas as pd


def row(tensor: str, role: str, layer: int | None, scheme: str, error: float, weights: int = 100, **more) -> dict:
    """error: Σe², of weights whose Σx² is their number."""
    relative = math.sqrt(error / weights)
    bits = more.pop("bits_per_weight", 4.5)
    return {
        "tensor": tensor, "role": role, "layer": layer, "expert": None, "rows": 10, "cols": weights // 10,
        "weights": weights, "stored_as": "bfloat16", "stored_bits": 16.0, "scheme": scheme,
        "relative_l2_error": relative, "sqnr_db": -20 * math.log10(relative) if error else math.inf,
        "mse": error / weights, "max_abs_error": relative, "cosine_similarity": 1 - error / weights,
        "bits_per_weight": bits, "squared": float(weights), "squared_error": error, "bits": bits * weights,
        "weighted_squared_error": math.nan, "importance": math.nan, "share": 1.0, "notices": "", "refused": "",
        "seconds": 0.1, "engine": "cpu", "version": "0", "ref": "made up",
        "revision": "1", **more,
    }  # fmt: skip


def refused(tensor: str, role: str, layer: int | None, scheme: str, why: str) -> dict:
    """A row of what could not be measured."""
    kept = row(tensor, role, layer, scheme, 1.0)
    figures = ("relative_l2_error", "sqnr_db", "mse", "max_abs_error", "cosine_similarity", "bits_per_weight",
               "squared", "squared_error", "bits")  # fmt: skip
    return kept | dict.fromkeys(figures, math.nan) | {"refused": why}


def frame(*rows: dict) -> pd.DataFrame:
    return pd.DataFrame(rows).astype({"layer": "Int64", "expert": "Int64"})


def small() -> pd.DataFrame:
    """Two layers, an embedding, two experts in one cell; b is finer than a, and refuses one tensor."""
    found = []
    for scheme, finer in (("a", 1.0), ("b", 0.25)):
        found += [
            row("embed", "embedding", None, scheme, 1.0 * finer, 200),
            row("l0.q", "attention q", 0, scheme, 2.0 * finer),
            row("l1.q", "attention q", 1, scheme, 4.0 * finer),
            row("l0.down[0]", "mlp down", 0, scheme, 1.0 * finer),
        ]
        last = "l0.down[1]", "mlp down", 0, scheme
        found.append(row(*last, 3.0) if scheme == "a" else refused(*last, "Its rows hold no whole blocks."))
    return frame(*found)
