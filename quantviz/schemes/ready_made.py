"""The ready-made schemes: what is offered of every format, in a teaching order."""

from __future__ import annotations

from ..block_types import BLOCK_TYPES
from ..formats import FORMATS, IntFormat
from .granularity import GRANULARITIES, TILES

SYMMETRIES = ("sym", "asym", "offset")
INTEGERS = tuple(name for name, f in FORMATS.items() if isinstance(f, IntFormat))  # most bits first
_SMALL_FLOATS = (
    "fp8_e4m3", "fp8_e5m2", "fp8_e4m3fnuz", "fp8_e5m2fnuz", "fp6_e3m2", "fp6_e2m3", "fp4_e2m1"
)  # fmt: skip
_CATALOGUE = (
    "fp32", "fp16", "bf16", *_SMALL_FLOATS,
    *(f"{f}-{symmetry}-{g}" for f in INTEGERS for symmetry in SYMMETRIES for g in GRANULARITIES),
    *(f"{f}-{g}" for f in _SMALL_FLOATS for g in (*GRANULARITIES, *TILES)),
    *(f"{f}-{g}" for f in ("nf4", "bnb_fp4") for g in ("b256", "b128", "b64", "b32", "b16")),
    *(f"ternary-{g}" for g in ("tensor", "channel", "b128", "b64")),
    "mxfp8_e4m3", "mxfp8_e5m2", "mxfp6_e3m2", "mxfp6_e2m3", "mxfp4", "mxint8", "nvfp4",
    *BLOCK_TYPES,
)  # fmt: skip


def catalogue() -> tuple[str, ...]:
    """Every ready-made scheme key, in a teaching order: casts, integers, scaled floats, block formats, block types."""
    return _CATALOGUE
