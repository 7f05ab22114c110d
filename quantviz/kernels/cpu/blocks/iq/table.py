"""Which kernels an iq type has."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from .....block_types import block_type
from . import iq1 as blocks_iq1
from . import iq4 as blocks_iq4
from . import pack as blocks_iq_pack
from . import read as blocks_iq_spread

# Blocks and importance (of a row of blocks, or of none) to bytes, the last argument.
Quantize = Callable[[np.ndarray, np.ndarray, np.ndarray], None]


def _entry(name: str, quantize: Quantize, dequantize: Callable | None = None) -> tuple:
    """(quantize, weighted, dequantize), as `blocks.BlockKernels` wants them."""
    kind = block_type(name)
    none = np.empty((0, kind.block), np.float32)

    def plain(x: np.ndarray, out: np.ndarray) -> None:
        quantize(x, none, out)

    def weighted(x: np.ndarray, importance: np.ndarray, out: np.ndarray) -> None:
        quantize(x.reshape(-1, kind.block), importance.reshape(-1, kind.block), out.reshape(-1, kind.nbytes))

    return None if kind.needs_importance else plain, weighted, dequantize or partial(blocks_iq_spread.dequantize, name)


KERNELS = {
    "iq4_nl": _entry("iq4_nl", blocks_iq4.quantize_iq4_nl, blocks_iq4.dequantize_iq4_nl),
    "iq4_xs": _entry("iq4_xs", blocks_iq4.quantize_iq4_xs, blocks_iq4.dequantize_iq4_xs),
    **{name: _entry(name, partial(blocks_iq_pack.quantize, name)) for name in blocks_iq_pack.SEARCHES},
    "iq1_s": _entry("iq1_s", blocks_iq1.quantize_iq1_s),
    "iq1_m": _entry("iq1_m", blocks_iq1.quantize_iq1_m),
}
