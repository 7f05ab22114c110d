"""The rules by which plain rounding chooses the scale of a group, to tell which of them a file's scales follow."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

ROUNDED = 2.0**-7  # how far rounding to bfloat16 moves a scale, and a division in another order
OF_FP8 = 2.0**-4  # likewise of three bits


@dataclass(frozen=True)
class Extremes:
    """float64: the smallest and the largest weight of each group."""

    low: np.ndarray
    high: np.ndarray

    @property
    def size(self) -> np.ndarray:
        return np.maximum(-self.low, self.high)

    @property
    def span(self) -> np.ndarray:
        """From the smallest to the largest, 0 included."""
        return np.maximum(self.high, 0) - np.minimum(self.low, 0)


@dataclass(frozen=True)
class ScaleRule:
    """name: in words, as "the largest weight / 7".  scale: its size by the rule, float64.  tolerance: relative.
    option: of the scheme that rounds so, as in its key; "" where it is the scheme's own rule.
    grown: what some groups' scales are larger by, where a rule chooses between two.
    """

    name: str
    scale: Callable[[Extremes], np.ndarray]
    tolerance: float = ROUNDED
    option: str = ""
    grown: float = 1.0

    def holds(self, scales: np.ndarray, e: Extremes) -> np.ndarray:
        """Which of the scales, one a group, are this rule's."""
        expected = self.scale(e)
        found = np.abs(scales - expected) <= self.tolerance * expected
        if self.grown != 1:
            found |= np.abs(scales - self.grown * expected) <= self.tolerance * self.grown * expected
        return found


def symmetric(bits: int) -> tuple[ScaleRule, ...]:
    """Of whole numbers on both sides of 0.

    >>> [rule.name for rule in symmetric(4)]
    ['the largest weight / 7', 'the largest weight / 7.5', 'the largest weight / 8']
    """
    top = 2 ** (bits - 1)
    full = top - 0.5
    return tuple(_over(n, option="range=full" if n == full else "") for n in (top - 1, full, top) if n > 0)


def asymmetric(bits: int) -> tuple[ScaleRule, ...]:
    """Of whole numbers with a zero point or a minimum."""
    steps = 2**bits - 1
    return (
        ScaleRule(f"the range of the weights, 0 included, / {steps}", lambda e: e.span / steps),
        ScaleRule(f"the range of the weights / {steps}", lambda e: (e.high - e.low) / steps),
    )


def from_the_far_end(bits: int) -> ScaleRule:
    """MLX's affine rule: the weight of largest magnitude is a level, and 0 another."""
    steps = 2**bits - 1

    def scale(e: Extremes) -> np.ndarray:
        plain = np.maximum((e.high - e.low) / steps, 1e-7)
        levels = np.round(e.size / plain)  # from 0 to the far end
        return np.where(levels > 0, e.size / np.maximum(levels, 1), plain)

    return ScaleRule("MLX's: the weight of largest magnitude is a level, and 0 another", scale, option="edge=1")


def of_levels(largest: float, fp8_scales: bool = False) -> tuple[ScaleRule, ...]:
    """Of numbers up to `largest`; of NVFP4 with its two levels of scales, four over six too."""
    plain = _over(largest, OF_FP8 if fp8_scales else ROUNDED)
    if not fp8_scales or largest != 6:
        return (plain,)
    return plain, replace(plain, name=f"{plain.name} or / 4 (four over six)", option="sixes=4", grown=6 / 4)


def powers_of_two(largest: float) -> tuple[ScaleRule, ...]:
    """Of MX formats, whose scales are powers of two; exact. Elements reach up to `largest`."""
    top = np.floor(np.log2(largest))

    mantissa_bits = 1 if largest == 6.0 else 2 if largest == 57344.0 else 3  # of e2m1, e5m2, e4m3

    def even(e: Extremes) -> np.ndarray:
        """The largest weight is rounded to the element's mantissa first, so that it may reach the next power."""
        mantissa, exponent = np.frexp(e.size)
        steps = 2.0 ** (mantissa_bits + 1)
        rounded = np.ldexp(np.floor(mantissa * steps + 0.5) / steps, exponent)
        return np.exp2(np.floor(np.log2(rounded)) - top)

    def below(e: Extremes) -> np.ndarray:
        return np.exp2(np.floor(np.log2(e.size)) - top)

    def above(e: Extremes) -> np.ndarray:
        return np.exp2(np.ceil(np.log2(e.size / largest)))

    def nearest(e: Extremes) -> np.ndarray:
        return np.exp2(np.round(np.log2(e.size / largest)))

    return (
        ScaleRule("OCP's: the power of two below the largest weight", below, 0),
        ScaleRule("the largest weight rounded to the element's mantissa, then OCP's", even, 0, "rule=even"),
        ScaleRule("the power of two with which nothing is clipped", above, 0, "rule=rceil"),
        ScaleRule("the nearest power of two (MLX up to 0.31)", nearest, 0, "rule=nearest"),
    )


def _over(n: float, tolerance: float = ROUNDED, option: str = "") -> ScaleRule:
    return ScaleRule(f"the largest weight / {n:g}", lambda e: e.size / n, tolerance, option)
