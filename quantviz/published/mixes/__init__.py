"""The named mixes of llama.cpp (q4_k_m, iq3_xs …): which tensor of a model gets which block type, and what it takes."""

from __future__ import annotations

from .base import MIXES, SOURCE, Facts, Mix
from .described import Described
from .recipes import Line, Recipe, mix_of, notices, recipe, recipe_dict, recipe_of, recipe_table, sizes

__all__ = ["MIXES", "SOURCE", "Described", "Facts", "Line", "Mix", "Recipe", "recipe_dict", "mix_of", "notices",
           "recipe", "recipe_of", "sizes", "recipe_table"]  # fmt: skip
