"""Results -> Plotly figures. Each carries its description in words, which `alt_text` gives."""

from . import outliers, throughput
from .blocks import block, error_map, worst_block
from .code_usage import code_usage
from .comparison import histogram_grid, limits_note, trade_off
from .histograms import error_bins, errors, outside_note, weights
from .style import alt_text

__all__ = [
    "alt_text",
    "block",
    "code_usage",
    "error_bins",
    "error_map",
    "errors",
    "histogram_grid",
    "limits_note",
    "outliers",
    "outside_note",
    "throughput",
    "trade_off",
    "weights",
    "worst_block",
]
