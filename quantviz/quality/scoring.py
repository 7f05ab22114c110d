"""Predictions compared place by place, and the figures that follow."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from .results import Figures

if TYPE_CHECKING:
    import torch

_ROWS = ("base_loss", "loss", "kl", "change", "agrees", "bad")


def compare_predictions(base: torch.Tensor, logits: torch.Tensor, targets: torch.Tensor) -> np.ndarray:
    """float64 [6, places], rows as _ROWS names them, from float32 logits [places, vocabulary] of both models.

    With a and b the logits of the stored and of the quantized model, p₀ and p their softmax, L = ln Σ exp:
        loss       -ln p(target), from L - b[target], and the same with a
        kl         Σ p₀ · (ln p₀ - ln p) = Σ p₀ · (a - b) - (L(a) - L(b))
        change     p(target) - p₀(target)
        agrees     1 where both have their largest logit at the same token
        bad        1 where the figures are no finite numbers, because logits are not
    a - b is exact where they are close, so equal logits give exactly 0; sums over the vocabulary are float64.
    """
    import torch

    base_top, top = base.max(-1), logits.max(-1)
    base_exp = (base - base_top.values[:, None]).exp_()
    base_sum = base_exp.sum(-1, dtype=torch.float64)
    base_log = base_sum.log() + base_top.values.double()
    sum_ = (logits - top.values[:, None]).exp_().sum(-1, dtype=torch.float64)
    log = sum_.log() + top.values.double()
    kl = base_exp.mul_(base - logits).sum(-1, dtype=torch.float64) / base_sum - (base_log - log)
    at = targets[:, None]
    base_loss, loss = (base_log - base.gather(1, at)[:, 0].double(), log - logits.gather(1, at)[:, 0].double())
    bad = ~(loss.isfinite() & kl.isfinite())
    agrees = (base_top.indices == top.indices) & ~bad
    change = (-loss).exp() - (-base_loss).exp()
    return torch.stack([base_loss, loss, kl, change, agrees.double(), bad.double()]).cpu().numpy()


class Tally:
    """What `compare` gave for all places so far."""

    def __init__(self, places: int) -> None:
        self._table = np.empty((len(_ROWS), places))
        self.scored = 0

    def add(self, rows: np.ndarray) -> None:
        self._table[:, self.scored : self.scored + rows.shape[1]] = rows
        self.scored += rows.shape[1]

    def sums(self, places: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
        """Σ KL and Σ (ln p₀ - ln p) over the scored tokens of each window, of which there are `places`."""
        base_loss, loss, kl = self._table[:3, : self.scored]
        starts = np.cumsum([0, *places[:-1]])
        return np.add.reduceat(kl, starts), np.add.reduceat(loss - base_loss, starts)

    def figures(self) -> Figures:
        base_loss, loss, kl, change, agrees, bad = self._table[:, : self.scored]
        base, base_se = _perplexity(base_loss)
        figure, se = _perplexity(loss)
        ratio, ratio_se = perplexity_ratio(loss, base_loss)
        with np.errstate(all="ignore"):  # a collapsed model's figures are NaN, and said to be
            places = math.sqrt(max(self.scored - 1, 1))
            median, p99, p999 = np.percentile(kl, (50, 99, 99.9)) if not bad.any() else [math.nan] * 3
            found = {
                "kl_mean": kl.mean(), "kl_mean_se": kl.std() / places, "kl_median": median, "kl_p99": p99,
                "kl_p999": p999, "kl_max": kl.max(), "probability_change": change.mean(),
                "probability_change_rms": np.sqrt(np.square(change).mean()), "top1_agreement": agrees.mean(),
            }  # fmt: skip
        return Figures(
            perplexity=figure, perplexity_se=se, perplexity_ratio=ratio, perplexity_ratio_se=ratio_se,
            base_perplexity=base, base_perplexity_se=base_se, non_finite=int(bad.sum()),
            **{name: float(value) for name, value in found.items()},
        )  # fmt: skip


def _perplexity(losses: np.ndarray) -> tuple[float, float]:
    """exp(mean) of losses, or of the paired differences of two, and its standard error exp(mean)·σ/√(n-1).

    σ² = mean(x²) - mean(x)², as llama.cpp's tool has it. Infinite where exp is beyond float64, NaN where a loss is.
    """
    mean = float(losses.mean())
    if not math.isfinite(mean):
        return math.nan, math.nan
    value = math.exp(mean) if mean < 709 else math.inf
    spread = float(losses.std()) / math.sqrt(max(len(losses) - 1, 1))
    return value, value * spread if spread else 0.0


def ratio_of_sums(sums: np.ndarray, parts: Sequence[int] | np.ndarray) -> tuple[float, float]:
    """Σ sums / Σ parts over blocks that are independent of each other, and its standard error; NaN for one block.

    With n blocks, and R the ratio: √(n/(n-1) · Σ (sum - R·part)²) / Σ part. So a mean over tokens, whose neighbours
    are alike, gets its error from how far whole windows differ: `parts` are then the tokens of each.
    Source: Cochran, Sampling Techniques, 3rd edition, section 6.3.
    """
    sums, parts, count = np.asarray(sums, float), np.asarray(parts, float), len(sums)
    with np.errstate(all="ignore"):
        ratio = sums.sum() / parts.sum()
        if count < 2:
            return float(ratio), math.nan
        spread = np.square(sums - ratio * parts).sum() * count / (count - 1)
        return float(ratio), float(np.sqrt(spread) / abs(parts.sum()))


def perplexity_ratio(losses: np.ndarray, base: np.ndarray) -> tuple[float, float]:
    """The ratio of two perplexities over the same tokens, of -ln p(correct token) each, and its standard error."""
    return _perplexity(losses - base)
