"""Schemes: format + symmetry + granularity + options, each with one key."""

from .granularity import CHANNEL, GRANULARITIES, TENSOR, TILES, Granularity
from .options import OPTIONS, SCALE_TYPES, Option
from .ready_made import SYMMETRIES, catalogue
from .scheme import KINDS, Scheme

__all__ = ["CHANNEL", "GRANULARITIES", "KINDS", "OPTIONS", "SCALE_TYPES", "SYMMETRIES", "TENSOR", "TILES",
           "Granularity", "Option", "Scheme", "catalogue"]  # fmt: skip
