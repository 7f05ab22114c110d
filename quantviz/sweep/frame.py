"""The table of a sweep: one row a tensor and scheme, and the types of its columns."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from ..metrics import METRICS

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

SUMS = ("squared", "squared_error", "weighted_squared_error", "importance")
_TEXT, _WHOLE, _NUMBER = "string", "int64", "float64"
# Column -> its type. A number that does not apply, or is exact, is missing; layer and expert may be, too.
COLUMNS: dict[str, str] = {
    "tensor": _TEXT, "role": _TEXT, "layer": _WHOLE, "expert": _WHOLE, "rows": _WHOLE, "cols": _WHOLE,
    "weights": _WHOLE, "stored_as": _TEXT, "stored_bits": _NUMBER, "scheme": _TEXT,
    **dict.fromkeys(METRICS, _NUMBER), **dict.fromkeys((f"se_{name}" for name in METRICS), _NUMBER),
    **dict.fromkeys(SUMS, _NUMBER), "bits": _NUMBER, "share": _NUMBER, "notices": _TEXT, "refused": _TEXT,
    "seconds": _NUMBER, "engine": _TEXT, "version": _TEXT, "ref": _TEXT, "revision": _TEXT,
}  # fmt: skip
MAY_LACK = ("layer", "expert")  # whole numbers that not every tensor has


def schema() -> pa.Schema:
    """Of the Parquet files."""
    import pyarrow as pa

    kinds = {_TEXT: pa.string(), _WHOLE: pa.int64(), _NUMBER: pa.float64()}
    return pa.schema([(name, kinds[kind]) for name, kind in COLUMNS.items()])


def as_table(rows: Iterable[dict[str, Any]]) -> pa.Table:
    """Rows, each with some of COLUMNS, as what is written. NaN stays NaN, which is not missing."""
    import pyarrow as pa

    return pa.Table.from_pylist([{**row, **{k: _text(row[k]) for k in _TEXTS if k in row}} for row in rows], schema())


def as_frame(table: pa.Table) -> pd.DataFrame:
    """The frame of a table with `schema`."""
    frame = table.to_pandas(ignore_metadata=True)
    return frame.astype({name: "Int64" for name in MAY_LACK})


def reading(row: dict[str, Any], name: str) -> float:
    """A figure of a row; NaN where it is missing."""
    value = row.get(name)
    return math.nan if value is None else value


_TEXTS = tuple(name for name, kind in COLUMNS.items() if kind == _TEXT)


def _text(value: str) -> str:
    """As UTF-8 can hold it: a name in a file may have half a character."""
    return value.encode("utf-8", "replace").decode("utf-8")
