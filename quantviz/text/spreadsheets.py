"""Tables for spreadsheets and names of files, safe for other programs though strangers wrote parts of them."""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Iterable
from typing import Any

from .printable import printable

_FORMULA = re.compile(r"\s*[=+\-@\t\r|]")  # what spreadsheets begin to compute with, blanks before it included
LONGEST_FILE_NAME = 120
LONGEST_CELL = 30_000  # characters; Excel takes 32,767


def csv_text(header: Iterable[object], rows: Iterable[Iterable[Any]]) -> str:
    """Comma-separated values. Numbers stay numbers, what is undefined is left empty, and no text becomes a formula.

    >>> csv_text(["name", "error"], [["=HYPERLINK(1)", -0.5], ["a", float("nan")]])
    "name,error\\n'=HYPERLINK(1),-0.5\\na,\\n"
    """
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([_cell(word) for word in header])
    writer.writerows([_cell(value) for value in row] for row in rows)
    return out.getvalue()


def _cell(value: Any) -> Any:
    if hasattr(value, "item") and not getattr(value, "shape", ()):
        value = value.item()  # NumPy's scalars
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, bool | int | float):
        return repr(value)
    if isinstance(value, tuple | list):
        value = "x".join(map(str, value)) if all(isinstance(n, int) for n in value) else " ".join(map(str, value))
    text = printable(value, LONGEST_CELL)
    return "'" + text if _FORMULA.match(text) else text


def file_name(*parts: object) -> str:
    """A name that every file system takes: letters, digits, dots, dashes and underlines of `parts`.

    >>> file_name("quantviz", "model/layers.0:weight", "int4-sym-b64:clip=mse")
    'quantviz-model_layers.0_weight-int4-sym-b64_clip_mse'
    """
    written = "-".join(re.sub(r"[^\w.-]+", "_", str(part)[:1000], flags=re.ASCII) for part in parts)
    return written.strip("._-")[:LONGEST_FILE_NAME] or "quantviz"
