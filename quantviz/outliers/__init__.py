"""The outlier laboratory: put outliers in or take them out, see who carries the error, and what cures it."""

from .edits import WHERES, Edit, Injection, Removal, apply, changed, inject, places, remove

__all__ = ["WHERES", "Edit", "Injection", "Removal", "apply", "changed", "inject", "places", "remove"]
