"""Schemes: format + symmetry + granularity + options, each with one key."""

from .granularity import CHANNEL, GRANULARITIES, TENSOR, TILES, Granularity
from .options import SCALE_TYPES
from .ready_made import SYMMETRIES, catalogue
from .scheme import KINDS, OPTIONS, Scheme

__all__ = ["CHANNEL", "GRANULARITIES", "KINDS", "OPTIONS", "SCALE_TYPES", "SYMMETRIES", "TENSOR", "TILES",
           "Granularity", "Scheme", "catalogue"]  # fmt: skip
