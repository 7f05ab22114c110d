"""A tensor as it is stored, whatever array it comes in, and what is refused of one."""

from .checks import check_importance, refuse_non_finite
from .stored import (
    READ_AS_FLOAT32,
    STORED_DTYPES,
    Decode,
    PackedTensor,
    Packing,
    Shaped,
    StoredTensor,
    as_stored,
    check_weights,
    rows_and_cols,
)  # fmt: skip

__all__ = [
    "READ_AS_FLOAT32", "STORED_DTYPES", "Decode", "PackedTensor", "Packing", "Shaped", "StoredTensor", "as_stored",
    "check_importance", "check_weights", "refuse_non_finite", "rows_and_cols",
]  # fmt: skip
