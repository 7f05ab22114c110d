"""Choosing the parameters of groups: from their extremes, or by a search for a better range."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from ..rules.scalings import Parameters
from .groups import Groups, make_parameters
from .hqq import half_quadratic
from .least_squares import least_squares
from .percentile import percentiles


def choose(groups: Groups, notes: np.ndarray) -> Parameters:
    """The parameters of every group as the scheme's options have it."""
    job = groups.job
    low, high, mean = groups.extremes()
    if job.scheme.clip == "mse":
        low, high = least_squares(groups, low, high, mean)
    elif job.scheme.clip != "absmax":
        low, high = percentiles(groups, Fraction(job.scheme.clip))
    found = make_parameters(job, low, high, mean, notes)
    return half_quadratic(groups, found) if job.scheme.solver else found
