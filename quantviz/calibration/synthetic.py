"""Inputs made up for random tensors, so that methods that look at data can be tried without a model."""

from __future__ import annotations

import numpy as np

from ..errors import QuantvizError
from ..randomness import normal_quantile, random_bits, stream_key, uniform, with_random_sign

_MOST = 1 << 28  # numbers


def synthetic_inputs(
    cols: int,
    tokens: int = 4096,
    seed: int = 0,
    outlier_share: float = 0.01,
    outlier_magnitude: float = 20.0,
    correlation: float = 0.5,
) -> np.ndarray:
    """Inputs float32 [tokens, cols]: normal, each correlated with the one before it, some channels much larger.

    outlier_share: of the channels, which are then `outlier_magnitude` times as large, at every token, as those of
    language models are.  correlation: of neighbours, from 0 to below 1; that of channels further apart is its power.
    The same arguments give the same numbers on every machine. Raises QuantvizError for what makes no inputs.

    >>> x = synthetic_inputs(64, 1000, outlier_share=1 / 64)
    >>> np.sort(x.std(axis=0)).round()[-2:].tolist()
    [1.0, 20.0]
    """
    if cols < 1 or tokens < 1 or cols * tokens > _MOST:
        raise QuantvizError(
            f"{tokens:,} tokens of {cols:,} inputs cannot be made up; give at least one of each, and {_MOST:,} numbers "
            "at most."
        )
    if not (0 <= outlier_share <= 1 and 0 <= correlation < 1 and 0 < outlier_magnitude < 1e6):
        raise QuantvizError(
            "Inputs are made up with an outlier_share from 0 to 1, an outlier_magnitude above 0 and below 1e6, and a "
            f"correlation from 0 to below 1, not {outlier_share}, {outlier_magnitude} and {correlation}."
        )
    x = np.empty((tokens, cols), np.float32)
    fresh, last = np.sqrt(1 - correlation * correlation), np.zeros(tokens)
    for channel in range(cols):
        own = _normal(stream_key(seed, channel + 1), tokens)
        last = own if channel == 0 else correlation * last + fresh * own
        x[:, channel] = last
    chosen = np.argsort(random_bits(stream_key(seed, 0), 0, cols), kind="stable")[: round(outlier_share * cols)]
    x[:, chosen] *= np.float32(outlier_magnitude)
    return x


def _normal(key: int, count: int) -> np.ndarray:
    bits = random_bits(key, 0, count)
    return with_random_sign(normal_quantile(0.5 + uniform(bits) / 2), bits)
