"""The picture that quantviz draws, as a tensor: what a scheme makes of it can be seen."""

from __future__ import annotations

import numpy as np

from ..kernels import quantize
from ..sources import open_model

BITS = 2  # few enough for banding to be seen


def painted(block: int, symmetry: str) -> tuple[str, np.ndarray, np.ndarray]:
    """(scheme, the picture, what integers of BITS bits make of it), both float32 [rows, cols].

    block: weights that share a scale; 0 is one for all.  symmetry: sym or asym.
    A block longer than a row of the picture is the whole row.
    """
    w = open_model("picture:").load("picture")
    scheme = f"int{BITS}-{symmetry}-{f'b{block}' if block else 'tensor'}"
    return scheme, w, np.asarray(quantize(w, scheme).dequantize())
