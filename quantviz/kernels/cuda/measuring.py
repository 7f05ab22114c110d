"""Measuring on the device: the sums and counts of one pass over a tensor under a scheme."""

from __future__ import annotations

import math

import numpy as np
import torch

from ...metrics import Sums
from ...schemes import Scheme
from ...statistics import TensorStatistics
from ...tensors import StoredTensor
from .. import engines, reference
from ..arrays import TorchTensor
from ..bins import ERROR_BINS, LOG_BINS, VALUE_BINS, Bins
from ..results import Counts, Pass
from ..transforms import restore
from .blocks import tensor as packed
from .device import using
from .job import Job, is_bf16, raw
from .measure_kernel import SUM_NAMES, Asked, Into, Weights, measure_kernel
from .plan import LARGEST_MEASURED
from .quantizing import decode, encode

# Of a tensor whose mean square lies outside, or with a tile whose errors do, some square leaves float32's range; its
# sums are made in float64.
NARROW = (1e-20, 1e25)
# Programs count in one of several tables, so that they seldom meet at the same number: as many as fit in L2 with ease.
COPIES, COUNTED = 64, 1 << 21


def measure(
    x: torch.Tensor,
    scheme: Scheme,
    bins: tuple[Bins, Bins] | None = None,
    importance: np.ndarray | None = None,
    statistics: TensorStatistics | None = None,
) -> Pass:
    """Sums, and with `bins` (values, errors) also counts, of a tensor [rows, cols] on the device, under a scheme.

    statistics: of this tensor, if known; its sums then need not be made again.

    Sums are float32 within a tile and float64 beyond; they come out the same every time. Of a tensor with NaN or
    infinity they are not finite, which is the caller's to refuse.
    """
    with using(x.device, x.nbytes):
        if scheme.rule == "block type":
            return packed.measure(x, scheme, bins, importance)
        weights = None if importance is None else torch.from_numpy(importance).to(x.device)
        job = Job.of(x, scheme, weights, LARGEST_MEASURED)
        y = _through(job) if scheme.transforms else None
        own = _own_sums(statistics)
        s, counts = _measure(job, y, bins, weights, own, wide=False)
        mean_square = s["squared"] / x.numel()
        finite = math.isfinite(s["relative_error"] + s["squared_error"])
        if not (NARROW[0] < mean_square < NARROW[1] and finite and not s["narrow"]) and s["nonzero"]:
            s, counts = _measure(job, y, bins, weights, own, wide=True)
        notices = job.notices()
    steps = job.rule.has_scale and scheme.rotate == "none"
    sums = Sums(
        count=x.numel(), nonzero=int(s["nonzero"]), squared_error=s["squared_error"], abs_error=s["abs_error"],
        relative_error=s["relative_error"], max_abs_error=s["max_abs_error"], squared=s["squared"], abs=s["abs"],
        product=s["product"], squared_dequantized=s["squared_dequantized"],
        squared_steps=s["squared_steps"] if steps else None,
        weighted_squared_error=None if weights is None else s["weighted_squared_error"],
        importance=None if weights is None else float(importance.sum(dtype=np.float64)) * x.shape[0],
    )  # fmt: skip
    return Pass(sums, counts, notices)


def measure_wide(
    stored: StoredTensor, scheme: Scheme, bins: tuple[Bins, Bins] | None = None, importance: np.ndarray | None = None
) -> Pass:
    """The same of float64 weights, which no kernel reads: by `reference` on the device."""
    if isinstance(stored, TorchTensor):
        x = stored.data
    else:
        x = torch.from_numpy(np.array(stored.read_exactly())).to(engines.cuda_device())
    with using(x.device, x.nbytes):
        return reference.measure(x.reshape(stored.rows, stored.cols), scheme, bins, importance)


def _through(job: Job) -> torch.Tensor:
    """What stands for x [rows, cols], with rotation undone and kept weights put back."""
    codes = encode(job)
    y = decode(codes, job.groups.stored, job.groups.extra, job.scheme)
    return restore(y, job.x.float(), job.kept, job.scheme).contiguous()


def _own_sums(t: TensorStatistics | None) -> dict[str, float]:
    """The sums that no scheme changes, where they are known."""
    return {} if t is None else {"nonzero": t.count - t.zeros, "squared": t.sum_squares, "abs": t.mean_abs * t.count}


def _measure(job: Job, y: torch.Tensor | None, bins, weights, own: dict, wide: bool):
    """(sums by name, counts or None) of one pass. y: what became of x, where that is known already."""
    full, device, cut = bins is not None, job.x.device, job.plan
    sums = torch.zeros((cut.programs, len(SUM_NAMES)), dtype=torch.float64, device=device)
    tile_errors = torch.empty(cut.grid.tiles if full else 0, dtype=torch.float64, device=device)
    first, last = job.scheme.code_range
    codes = last - first + 1 if job.scheme.fmt.bits <= 16 else 0
    lengths = (VALUE_BINS + 2, ERROR_BINS + 2, LOG_BINS, codes)
    copies = min(COPIES, max(1, COUNTED // sum(lengths)))
    counts = torch.zeros((copies, sum(lengths)) if full else 0, dtype=torch.int32, device=device)
    edges = [v for b in bins or () for v in (b.lo, b.inverse_width)]
    bins_at = torch.tensor(edges, dtype=torch.float32, device=device)
    job.launch(
        measure_kernel,
        Weights(raw(job.x), None if y is None else job.z, y, None if weights is None else weights.double()),
        job.parameters,
        Into(sums, tile_errors, counts, copies, codes, bins_at),
        A=Asked(is_bf16(job.x), job.groups.given, y is not None, weights is not None, full, not own, wide),
        a_thread=16,
    )
    found = dict(zip(SUM_NAMES, sums.sum(0).tolist(), strict=True)) | own
    found["max_abs_error"] = float(sums[:, SUM_NAMES.index("max_abs_error")].max())
    least = float(sums[:, SUM_NAMES.index("least_error")].min())
    if not full:
        return found, None
    tables = [t.cpu().numpy() for t in counts.sum(0, dtype=torch.int64).split(lengths)]
    mean_squares = tile_errors.view(-1, cut.grid.parts).sum(1) / job.sizes()
    blocks = mean_squares.sqrt().float().reshape(job.grid_shape).cpu().numpy()
    return found, Counts(
        tables[0], tables[1], tables[2], tables[3] if codes else None, blocks,
        int(found["zeroed"]), None if job.rule.element == "signs" else int(found["clipped"]), least,
    )  # fmt: skip
