"""The table of a sensitivity: a row a unit and scheme."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

COLUMNS: dict[str, type] = {
    "by": str,  # tensor, role or layer
    "unit": str,  # the tensor's name, the role, or "layer 3"
    "tensors": int,  # of the unit
    "weights": int,
    "scheme": str,
    "kl_mean": float,  # mean over scored tokens of Σ p₀ · (ln p₀ - ln p), in nats; missing where refused
    "kl_se": float,  # its standard error, from the spread between windows; missing where there is one window
    "perplexity_ratio": float,  # over that of the model as it is stored
    "perplexity_ratio_se": float,  # likewise from the spread between windows
    "top1_agreement": float,  # share of tokens where both models hold the same token most likely
    "tokens": int,  # of text that the windows cover
    "context": int,  # tokens of a window, of which the second half is scored
    "seconds": float,
    "refused": str,  # why there are no figures; "" where there are
    "ref": str,
    "revision": str,  # SHA-256 of the model's weights
    "version": str,  # of quantviz
}
_DTYPES = {str: "str", int: "int64", float: "float64"}


def frame_of(rows: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """Rows that have every one of COLUMNS, as a table of those columns and types."""
    import pandas as pd

    rows = list(rows)
    return pd.DataFrame(
        {name: pd.Series([row[name] for row in rows], dtype=_DTYPES[kind]) for name, kind in COLUMNS.items()}
    )
