"""Schemes: format + symmetry + granularity + options, each with one key."""

from .granularity import CHANNEL, GRANULARITIES, TENSOR, TILES, Granularity
from .options import SCALE_TYPES
from .scheme import KINDS, OPTIONS, SYMMETRIES, Scheme, catalogue

__all__ = ["CHANNEL", "GRANULARITIES", "KINDS", "OPTIONS", "SCALE_TYPES", "SYMMETRIES", "TENSOR", "TILES",
           "Granularity", "Scheme", "catalogue"]  # fmt: skip
