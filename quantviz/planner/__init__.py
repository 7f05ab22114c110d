"""Spending a bit budget: a scheme for each tensor of a swept model, and the recipe for its tool."""

from __future__ import annotations

from .budget import Budget, parse_size
from .damage import GRADES, Grade
from .milliseconds import Times
from .plan import Line, Plan, plan
from .recipes import FORMATS, Recipe, recipe
from .rules import GROUPS, Rules

__all__ = ["FORMATS", "GRADES", "GROUPS", "Budget", "Grade", "Line", "Plan", "Recipe", "Rules", "Times",
           "parse_size", "plan", "recipe"]  # fmt: skip
