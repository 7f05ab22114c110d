"""Spending a bit budget: which scheme each tensor of a swept model gets, and the recipe for the tool that applies it."""

from __future__ import annotations

from .budget import Budget, parse_size
from .damage import GRADES, Grade
from .milliseconds import Times
from .plan import Line, Plan, plan
from .rules import GROUPS, Rules

__all__ = ["GRADES", "GROUPS", "Budget", "Grade", "Line", "Plan", "Rules", "Times", "parse_size", "plan"]
