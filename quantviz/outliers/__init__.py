"""The outlier laboratory: put outliers in or take them out, see who carries the error, and what cures it."""

from .attribution import attribute
from .cures import treat
from .curves import Growing, block_size_sweep, magnitude_sweep
from .edits import WHERES, Edit, Injection, Removal, apply, places

__all__ = [
    "WHERES", "Edit", "Growing", "Injection", "Removal", "apply", "attribute", "block_size_sweep", "magnitude_sweep",
    "places", "treat",
]  # fmt: skip
