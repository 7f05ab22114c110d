"""Files of a sensitivity as a stranger may have made them: bounded before they are read, and checked value by value."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from ..errors import QuantvizError
from ..schemes import Scheme
from ..sources.json_text import read_json_object
from ..sources.opened import read_file
from ..text.printable import printable
from .frame import COLUMNS, frame_of
from .units import BY

if TYPE_CHECKING:
    import pandas as pd

NAME = "_sensitivity.json"
MAX_JSON = 16 << 20  # bytes
MAX_PART = 1 << 20  # a row has some 300 bytes
MAX_SCHEMES, MAX_UNITS, MAX_TEXT = 256, 100_000, 4096
_S = TypeVar("_S")


def read_spec(folder: Path, kind: type[_S]) -> tuple[_S, tuple[str, ...]]:
    """What a folder says it was made from, as `kind`, and the names of its units."""
    where = f"{printable(str(folder))}: {NAME}"
    said = read_json_object(read_file(folder / NAME, MAX_JSON, where), where)
    spec, units = said.get("spec"), said.get("units")
    if said.get("quantviz") != "sensitivity" or not isinstance(spec, dict):
        raise QuantvizError(f"{where} describes no sensitivity.")
    wanted = dict(kind.__annotations__)
    lists = {name for name, annotation in wanted.items() if annotation.startswith("tuple")}
    numbers = {name for name, annotation in wanted.items() if annotation == "int"}
    if set(spec) != set(wanted):
        raise QuantvizError(f"{where} is damaged, or of another version: it must have {', '.join(wanted)}.")
    for name, value in spec.items():
        right = _names(value) if name in lists else _whole(value) if name in numbers else _text(value)
        if not right:
            raise QuantvizError(f"{where} is damaged: {name} is no {'whole number' if name in numbers else 'text'}.")
    if not _names(units) or not 0 < len(units) <= MAX_UNITS or len(set(units)) < len(units):
        raise QuantvizError(f"{where} is damaged: units must be a list of different names.")
    if spec["by"] not in BY or not 0 < len(spec["schemes"]) <= MAX_SCHEMES:
        raise QuantvizError(f"{where} is damaged: by and schemes must say what was measured.")
    for key in spec["schemes"]:
        if Scheme.parse(key).key != key:
            raise QuantvizError(f"{where} is damaged: {printable(key)!r} is no scheme's own key.")
    found = {name: tuple(value) if name in lists else value for name, value in spec.items()}
    return kind(**found), tuple(units)


def read_part(folder: Path, name: str, unit: str, spec: Any) -> pd.DataFrame:
    """The rows of one unit, a scheme each. Raises QuantvizError for any value that cannot be there."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    where = f"{printable(str(folder))}: {name}"
    content = read_file(folder / name, MAX_PART, where)
    types = {str: (pa.string(), pa.large_string()), int: (pa.int64(),), float: (pa.float64(),)}
    try:
        file = pq.ParquetFile(pa.BufferReader(content))
        facts, schema = file.metadata, file.schema_arrow
        groups = [facts.row_group(number) for number in range(facts.num_row_groups)]
        packed = {group.column(at).compression for group in groups for at in range(group.num_columns)}
        if facts.num_rows != len(spec.schemes) or packed - {"UNCOMPRESSED"}:
            raise QuantvizError(f"{where} has other rows than one a scheme, or is packed, which quantviz's are not.")
        wrong = [c for c, kind in COLUMNS.items() if c not in schema.names or schema.field(c).type not in types[kind]]
        if wrong or len(schema.names) != len(COLUMNS):
            raise QuantvizError(f"{where} has other columns than {', '.join(COLUMNS)}.")
        rows = file.read().to_pylist()
    except (pa.ArrowException, OSError, ValueError):
        raise QuantvizError(f"{where} is no Parquet file that can be read, so it is damaged; delete it.") from None
    for row, scheme in zip(rows, spec.schemes, strict=True):
        _check_row(row, unit, scheme, spec, where)
    return frame_of(rows)


def _check_row(row: dict[str, Any], unit: str, scheme: str, spec: Any, where: str) -> None:
    for name in ("perplexity_ratio", "perplexity_ratio_se", "kl_mean", "kl_se", "top1_agreement"):
        row[name] = math.nan if row[name] is None else row[name]
    if any(row[name] is None for name in COLUMNS):
        raise QuantvizError(f"{where} is damaged: a value is missing.")
    own = {"by": spec.by, "unit": unit, "scheme": scheme, "context": spec.context, "ref": spec.ref,
           "revision": spec.revision, "version": spec.version}  # fmt: skip
    for name, value in own.items():
        if row[name] != value:
            raise QuantvizError(
                f"{where} does not belong there: its {name} is {printable(str(row[name]))!r} and not "
                f"{printable(str(value))!r}."
            )
    sound = (
        all(row[name] >= 0 for name in ("tensors", "weights", "tokens", "seconds"))
        and not any(row[name] < 0 for name in ("kl_se", "perplexity_ratio", "perplexity_ratio_se"))
        and not (row["top1_agreement"] < 0 or row["top1_agreement"] > 1)
        and len(row["refused"]) <= MAX_TEXT
        and bool(row["refused"]) == math.isnan(row["kl_mean"])
    )
    if not sound or math.isinf(row["kl_mean"]) or not math.isfinite(row["seconds"]):
        raise QuantvizError(f"{where} is damaged: a figure of {printable(unit)!r} cannot be.")


def _text(value: object) -> bool:
    return isinstance(value, str) and len(value) <= MAX_TEXT


def _names(value: object) -> bool:
    return isinstance(value, list) and all(map(_text, value))


def _whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**63
