"""Reading a sweep that is on disk. It may come from anyone: sizes, types and columns are checked before use."""

from __future__ import annotations

import io
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import QuantvizError
from ..sources.json_text import read_json_object
from ..sources.opened import read_file
from .frame import COLUMNS, as_frame, schema
from .spec import Spec

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

DESCRIPTION, PART = "_sweep.json", r"part-([0-9]{6,9})\.parquet"
_MAX_DESCRIPTION = 64 << 20  # bytes
_MAX_PART = 256 << 20  # bytes of a part, and
_MAX_UNPACKED = 1 << 30  # once it is unpacked
_MAX_ROWS = 5_000_000
_MAX_FILES = 1_000_000


@dataclass(frozen=True, eq=False)
class Sweep:
    """A sweep that is on disk.

    spec: what was asked for.  frame: a row a tensor and scheme; see `frame.COLUMNS`.
    complete: whether all that was asked for is there.
    """

    spec: Spec
    frame: pd.DataFrame
    complete: bool


def load_sweep(path: str | os.PathLike[str]) -> Sweep:
    """The sweep in the folder that `sweep` wrote. Raises QuantvizError for whatever is none, or damaged."""
    folder = Path(path)
    spec, names = described(folder)
    frame = as_frame(kept_table(folder))
    return Sweep(spec, frame, set(names) <= set(frame.tensor))


def described(folder: Path) -> tuple[Spec, list[str]]:
    """What the sweep in `folder` was asked for, and the names of all it should have."""
    if not folder.is_dir():
        what = "is a file" if folder.exists() else "is not there"
        raise QuantvizError(f"{folder} {what}, and no sweep; give the folder that `sweep --out` wrote.")
    try:
        content = read_file(folder / DESCRIPTION, _MAX_DESCRIPTION, DESCRIPTION)
        found = read_json_object(content, DESCRIPTION)
        if set(found) != {"quantviz", "spec", "targets"} or found["quantviz"] != "sweep":
            raise QuantvizError(f"{DESCRIPTION} is not of quantviz")
        names = found["targets"]
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise QuantvizError(f"{DESCRIPTION} does not list tensors")
        return Spec.of(found["spec"]), names
    except QuantvizError as problem:
        reason = str(problem).rstrip(".")
        raise QuantvizError(f"{folder} is no sweep: {reason}; give the folder that `sweep --out` wrote.") from None


def kept_table(folder: Path) -> pa.Table:
    """All parts together, as `frame.schema` has it; each tensor and scheme once."""
    import pyarrow as pa

    with os.scandir(folder) as entries:
        names = sorted(entry.name for _, entry in zip(range(_MAX_FILES), entries, strict=False))
    tables, room = [schema().empty_table()], _MAX_ROWS
    for name in names:
        if re.fullmatch(PART, name):
            tables.append(_part(folder / name, room))
            room -= len(tables[-1])
    return _once(pa.concat_tables(tables))


def _once(table: pa.Table) -> pa.Table:
    """Without what is there twice, as only a folder that was changed by hand may have it."""
    seen: set[tuple[str, str]] = set()
    pairs = zip(table["tensor"].to_pylist(), table["scheme"].to_pylist(), strict=True)
    first = [pair not in seen and not seen.add(pair) for pair in pairs]
    return table if all(first) else table.filter(first)


def _part(path: Path, room: int) -> pa.Table:
    """A part of the dataset, with all columns. room: rows that it may have."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    content = read_file(path, _MAX_PART)
    try:
        file = pq.ParquetFile(io.BytesIO(content))
        facts = file.metadata
        unpacked = sum(facts.row_group(i).total_byte_size for i in range(facts.num_row_groups))
        if not 0 <= facts.num_rows <= room or not 0 <= unpacked <= _MAX_UNPACKED:
            raise QuantvizError(f"{path.name} claims more rows than any sweep has, so it is none.")
        wanted, found = schema(), file.schema_arrow
        for field in wanted:
            number = found.get_field_index(field.name)
            if number < 0 and COLUMNS[field.name] == "float64":
                continue  # a figure that the version which wrote it did not have
            if number < 0 or found.field(number).type != field.type:
                raise QuantvizError(f"{path.name} has no column {field.name} of type {field.type}, so it is no sweep.")
        table = file.read(columns=[name for name in COLUMNS if name in found.names])
        for number, field in enumerate(wanted):
            if field.name not in table.column_names:
                table = table.add_column(number, field, pa.nulls(len(table), field.type))
            elif field.name not in _MAY_LACK and table[field.name].null_count:
                raise QuantvizError(f"{path.name} lacks the {field.name} of some tensors, so it is no sweep.")
        return table.select(wanted.names).cast(wanted)
    except QuantvizError:
        raise
    except (pa.ArrowException, OSError, ValueError, TypeError, KeyError, OverflowError, MemoryError):
        raise QuantvizError(f"{path.name} is damaged, or no Parquet file.") from None


_MAY_LACK = {"layer", "expert", *(name for name, kind in COLUMNS.items() if kind == "float64")}
