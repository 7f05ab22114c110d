"""The outlier laboratory as data for other programs: JSON-ready dictionaries, and its schemes as a table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from ..metrics import METRICS
from ..text.plain import plain
from .attribution import OUTLIER_SIGMAS, Attribution, largest_table
from .cures import Treated
from .curves import MagnitudeSweep, Point
from .edits import Edit


def edit_dict(edit: Edit | None) -> dict[str, Any] | None:
    """What was done to the tensor, e.g. {"edit": "injection", "count": 8, ...}."""
    return None if edit is None else {"edit": type(edit).__name__.lower(), **asdict(edit)}


def attribution_dict(a: Attribution, sigmas: float = OUTLIER_SIGMAS) -> dict[str, Any]:
    """Shares by band, the two kinds of blocks, the largest weights, and per-channel sums, JSON-ready."""
    sides = a.blocks_beyond(sigmas)
    return plain(
        {
            "scheme": a.scheme,
            "sigma": a.sigma,
            "bands": [
                {"band": label, "weights": int(n), "squared_error": squared, "abs_error": absolute}
                for label, (n, squared, absolute) in zip(a.band_labels, a.bands.tolist(), strict=True)
            ],
            "outlier_sigmas": sigmas,
            "blocks": None if sides is None else {"with": asdict(sides[0]), "without": asdict(sides[1])},
            "largest": {name: np.asarray(column).tolist() for name, column in largest_table(a).items()},
            "input_channels": {"rmse": a.cols.rmse, "relative_l2_error": a.cols.relative},
            "output_channels": {"rmse": a.rows.rmse, "relative_l2_error": a.rows.relative},
        }
    )


def points_dict(points: Sequence[Point]) -> list[dict[str, Any]]:
    return plain([asdict(point) for point in points])


def magnitudes_dict(m: MagnitudeSweep) -> dict[str, Any]:
    return plain({**vars(m), "sampled": m.sampled})


def cures_dict(treated: Sequence[Treated]) -> list[dict[str, Any]]:
    return plain([{**asdict(t), "equal_bits": t.equal_bits} for t in treated])


def schemes_table(points: Sequence[Point], treated: Sequence[Treated]) -> tuple[tuple[str, ...], list[tuple[Any, ...]]]:
    """Heading and rows: every scheme of the block-size sweep and of the cures; part, name, scheme, metrics, reason."""
    rows = [("block size", p.granularity, p.scheme, p.metrics, p.reason) for p in points]
    rows += [("cure", t.cure.name, t.cure.key or "", t.metrics, t.reason) for t in treated]
    used = [name for name in METRICS if any(name in metrics for *_, metrics, _ in rows)]
    return ("part", "name", "scheme", *used, "reason"), [
        (part, name, scheme, *(metrics.get(metric) for metric in used), reason)
        for part, name, scheme, metrics, reason in rows
    ]
