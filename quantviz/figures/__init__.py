"""Results -> Plotly figures. Each carries its description in words, which `alt_text` gives."""

from . import outliers, quality, quality_details, throughput
from .blocks import block, error_map, worst_block
from .code_usage import code_usage
from .comparison import histogram_grid, limits_note, trade_off
from .histograms import error_bins, errors, outside_note, weights
from .mixes import mix_map
from .packed import packed_layout
from .picture import picture_grid, picture_pair
from .small import MOST_LINES, weights_on_lines
from .stored import stored_codes, stored_scales, stored_zeros
from .style import alt_text

__all__ = [
    "MOST_LINES",
    "alt_text",
    "block",
    "code_usage",
    "error_bins",
    "error_map",
    "errors",
    "histogram_grid",
    "limits_note",
    "mix_map",
    "outliers",
    "outside_note",
    "packed_layout",
    "picture_grid",
    "picture_pair",
    "quality",
    "quality_details",
    "stored_codes",
    "stored_scales",
    "stored_zeros",
    "throughput",
    "trade_off",
    "weights",
    "weights_on_lines",
    "worst_block",
]
