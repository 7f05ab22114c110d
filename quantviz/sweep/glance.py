"""Some rows of a tensor as a tensor of their own: enough to see, in a moment, what a scheme does to it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from ..tensors import StoredTensor
from .ranges import in_memory
from .sampling import Sample, strata

GLANCE = Sample(weights=1 << 18)


def glance(
    open_rows: Callable[[int, int], StoredTensor], rows: int, cols: int, sample: Sample = GLANCE
) -> StoredTensor:
    """The rows that `sample` draws of a tensor of [rows, cols], one below the other; all rows where it is as large.

    open_rows: gives rows (start, stop) of the tensor.  A scale for several rows is, under any scheme, that of these.
    """
    bands = [band for stratum in strata(rows, cols, sample) for band in stratum.bands] or [(0, rows)]
    parts = [in_memory(open_rows(*band)) for band in bands]
    data = np.concatenate([part.data for part in parts])
    return replace(parts[0], data=data, shape=(sum(part.rows for part in parts), cols), input_axes=1)
