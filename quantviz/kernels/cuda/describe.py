"""The statistics of a tensor that lies on the device, where it lies: what `cpu.describe` gives for one in memory."""

from __future__ import annotations

import math

import numpy as np
import torch

from ...statistics import LARGEST, Histogram, TensorStatistics
from ...tensors import refuse_non_finite
from ..arrays import TorchTensor
from ..bins import value_bins
from ..results import Progress
from .device import using

PIECE = 1 << 24  # weights at a time


def describe(stored: TorchTensor, progress: Progress | None = None) -> TensorStatistics:
    """Moments, extremes, histogram and largest weights. Raises QuantvizError for NaN and infinity."""
    n = stored.size
    pieces = [(start, stored.data[start : start + PIECE]) for start in range(0, n, PIECE)]
    with using(stored.data.device, stored.nbytes):
        ends = torch.stack([torch.stack(torch.aminmax(x.float())) for _, x in pieces])
        first = torch.stack([_sums(x.double()) for _, x in pieces]).sum(0).tolist()
        if not math.isfinite(first[1]):
            refuse_non_finite(stored)
        total, total_abs, squares, zeros = first
        low, high, mean = float(ends[:, 0].min()), float(ends[:, 1].max()), total / n
        bins = value_bins(low, high)
        second, fourth, counts = 0.0, 0.0, np.zeros(bins.count + 2, np.int64)
        for start, x in pieces:
            d = (x.double() - mean) ** 2
            second, fourth = second + float(d.sum()), fourth + float((d * d).sum())
            index = torch.floor((x.float() - float(bins.lo)) * float(bins.inverse_width)).clamp(-1, bins.count) + 1
            counts += torch.bincount(index.to(torch.int64), minlength=bins.count + 2).cpu().numpy()
            if progress:
                progress(start + len(x), n)
        place, value = _largest(pieces, n)
    variance = second / n
    return TensorStatistics(
        shape=stored.shape, input_axes=stored.input_axes, count=n, zeros=int(zeros), min=low, max=high, mean=mean,
        std=math.sqrt(variance), mean_abs=total_abs / n, sum_squares=squares,
        excess_kurtosis=fourth / n / variance**2 - 3 if variance else math.nan,
        histogram=Histogram(float(bins.lo), float(bins.hi), counts[1:-1], int(counts[0]), int(counts[-1])),
        largest_index=place, largest_value=value,
    )  # fmt: skip


def _sums(x: torch.Tensor) -> torch.Tensor:
    return torch.stack([x.sum(), x.abs().sum(), (x * x).sum(), (x == 0).sum().double()])


def _largest(pieces: list[tuple[int, torch.Tensor]], n: int) -> tuple[np.ndarray, np.ndarray]:
    """Places and values of the LARGEST weights of largest magnitude, largest first; of equals the first."""
    count = min(LARGEST, n)
    tops = torch.cat([x.float().abs().topk(min(count, len(x))).values for _, x in pieces])
    least = tops.topk(count).values[-1]
    place, value = [], []
    for start, x in pieces:
        a = x.float().abs()
        at = torch.cat([(a > least).nonzero()[:, 0], (a == least).nonzero()[:count, 0]])
        place.append((at + start).cpu().numpy())
        value.append(x[at].float().cpu().numpy())
    place, value = np.concatenate(place), np.concatenate(value)
    order = np.lexsort((place, -np.abs(value)))[:count]
    return place[order], value[order]
