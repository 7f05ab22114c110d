"""Passes over parts of one tensor, added up to what one pass over all of it gives."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import fields, replace
from typing import Any

import numpy as np

from ..kernels.results import Counts, Pass, scale_notices
from ..metrics import Sums
from ..schemes import Scheme

# The sentences that count: what became of scales, of which each part tells its own.
_COUNTING = re.compile(r"([0-9,]+) (?:scales?|blocks?) (became|exceeded|has|have) ")


def joined(passes: Sequence[Pass], scheme: Scheme) -> Pass:
    """The sums, counts and notices of parts of a tensor, in the order of their rows, as those of all of it.

    Each part is whole groups of the scheme, measured in the same bins; of a scheme with one scale for the tensor, all
    are measured with that scale.
    """
    if len(passes) == 1:
        return passes[0]
    sums = Sums(**{f.name: _total([getattr(p.sums, f.name) for p in passes]) for f in fields(Sums)})
    sums.max_abs_error = max(p.sums.max_abs_error for p in passes)
    counts = None if passes[0].counts is None else _counts(passes, scheme)
    return Pass(sums, counts, _notices([text for p in passes for text in p.notices], scheme))


def _counts(passes: Sequence[Pass], scheme: Scheme) -> Counts:
    parts = [p.counts for p in passes]
    whole = Counts(**{f.name: _total([getattr(c, f.name) for c in parts]) for f in fields(Counts) if f.name != _RMSE},
                   block_rmse=_block_rmse(passes, scheme))  # fmt: skip
    return replace(whole, least_error=min(c.least_error for c in parts))


_RMSE = "block_rmse"


def _block_rmse(passes: Sequence[Pass], scheme: Scheme) -> np.ndarray:
    """float32: groups one below the other; of a tensor that is one group, the mean over its weights."""
    rmse = [p.counts.block_rmse for p in passes]
    if scheme.granularity is not None and scheme.granularity.rows:
        return np.concatenate(rmse)
    sizes = [p.sums.count for p in passes]
    squares = np.average(np.square(np.stack(rmse), dtype=np.float64), axis=0, weights=sizes)
    return np.sqrt(squares).astype(np.float32)


def _notices(texts: Sequence[str], scheme: Scheme) -> tuple[str, ...]:
    """Each sentence once; what they count is added up."""
    totals = {"became": 0, "exceeded": 0, "blocks": 0}
    others = []
    for text in texts:
        if found := _COUNTING.match(text):
            totals[found[2] if found[2] in totals else "blocks"] += int(found[1].replace(",", ""))
        else:
            others.append(text)
    counted = scale_notices(scheme, totals["became"], totals["exceeded"])
    if totals["blocks"]:
        from ..kernels.cpu.blocks.tensor import notices

        counted += notices(scheme, totals["blocks"])
    return (*counted, *dict.fromkeys(others))


def _total(parts: list) -> Any:
    """The sum of the parts, numbers or arrays; None where they are None."""
    return None if parts[0] is None else sum(parts[1:], parts[0])
