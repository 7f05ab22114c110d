"""What every engine's searches for a range try, in which order, and when they stop."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

# clip=mse tries these widths of a range, as factors of the absmax range: quarter octaves down to 1/13, then sixteenths
# about the best of those, sixty-fourths about the best so far, and parts of 256, among which the best of 8 bits lies.
# A factor of 1 is always among them, so that the result is never worse than absmax; it is the best of those tried, not
# of all there are.
COARSE_SHRINKS = tuple(np.float32(2.0 ** (-k / 4)) for k in range(1, 16))
NEARER_SHRINKS = tuple(tuple(np.float32(2.0 ** (k / parts)) for k in (-2, -1, 1, 2)) for parts in (16, 64, 256))
# A group tries no narrower coarse range once one has had more than HOPELESS times its least error: what is cut off only
# grows.
HOPELESS = 4.0

# The default settings of the hqq package: ℓp norm with p = 0.7, β = 10, 20 iterations.
HQQ_EXPONENT, HQQ_BETA, HQQ_ITERATIONS = 0.7, 10.0, 20


def percentile_rank(percentile: Fraction, sizes: np.ndarray) -> np.ndarray:
    """Nearest rank, from 1, of a percentile among `sizes` weights: ⌈P·n / 100⌉ in whole numbers."""
    share = percentile / 100
    return -(-sizes * share.numerator // share.denominator)
