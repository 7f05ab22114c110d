"""Results -> Plotly figures. Each carries its description in words, which `alt_text` gives."""

from . import gptq, inputs, lessons, outliers, quality, quality_details, sensitivity, throughput
from .blocks import block, block_window, error_map, worst_block
from .code_usage import code_usage
from .comparison import histogram_grid, limits_note, trade_off
from .histograms import error_bins, errors, outside_note, weights
from .mixes import mix_map
from .packed import packed_layout
from .picture import picture_grid, picture_pair
from .planner import plan_front, plan_map
from .sending import from_bytes, to_bytes
from .several import over_tensors
from .small import MOST_LINES, weights_on_lines
from .stored import stored_codes, stored_scales, stored_zeros
from .style import alt_text
from .whole_model import by_role, layer_map

__all__ = [
    "MOST_LINES",
    "alt_text",
    "block",
    "block_window",
    "by_role",
    "code_usage",
    "error_bins",
    "error_map",
    "errors",
    "from_bytes",
    "gptq",
    "histogram_grid",
    "limits_note",
    "inputs",
    "layer_map",
    "lessons",
    "mix_map",
    "outliers",
    "outside_note",
    "over_tensors",
    "plan_front",
    "plan_map",
    "packed_layout",
    "picture_grid",
    "picture_pair",
    "quality",
    "quality_details",
    "sensitivity",
    "stored_codes",
    "stored_scales",
    "stored_zeros",
    "throughput",
    "trade_off",
    "to_bytes",
    "weights",
    "weights_on_lines",
    "worst_block",
]
