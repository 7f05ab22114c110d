"""Results as rows: for JSON, and as a table."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from ..evaluation.comparison import Refusal
from ..text.plain import plain
from .results import JSON_FIELDS, QualityResult

if TYPE_CHECKING:
    import pandas as pd


def as_record(result: QualityResult) -> dict[str, Any]:
    """A result as JSON has it: the fields of JSON_FIELDS first; what is no finite number is None."""
    names = dict.fromkeys((*JSON_FIELDS, *(field.name for field in fields(result))))
    return plain({name: getattr(result, name) for name in names})


def quality_table(outcomes: Iterable[QualityResult | Refusal]) -> pd.DataFrame:
    """A row a scheme, its latest result; a scheme that could not apply has a row whose notice says why."""
    import pandas as pd

    columns = [field.name for field in fields(QualityResult)]
    rows: dict[str, dict[str, Any]] = {}
    for outcome in outcomes:
        if isinstance(outcome, Refusal):
            rows[outcome.scheme] = {"scheme": outcome.scheme, "notices": outcome.reason}
        else:
            values = {name: getattr(outcome, name) for name in columns}
            rows[outcome.scheme] = {**values, "notices": " ".join(outcome.notices)}
    order = [*JSON_FIELDS, *(name for name in columns if name not in JSON_FIELDS)]
    return pd.DataFrame(list(rows.values()), columns=order)
