"""The same schemes on several tensors of a model: a row a tensor and scheme, in the columns that a sweep has."""

from __future__ import annotations

import math
import os
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from itertools import permutations
from typing import TYPE_CHECKING, Any

from ..calibration.importance import entry_of, importance_names, load_importance, of_rows
from ..checkpoints.names.roles import role
from ..errors import QuantvizError
from ..evaluation.comparison import Outcome, Refusal, distinct, evaluations, metric_columns
from ..metrics import METRICS, value_text
from ..schemes import Scheme
from ..sources import Model, TensorInfo
from ..text.wording import plural
from .families import layer_of, named

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

MEDIAN = "median"  # of all tensors, for `gaps`
Found = Iterable[tuple[str, Sequence[Outcome]]]  # tensors, and what each scheme does to them


def compare_tensors(
    model: Model, tensors: Sequence[str], keys: Iterable[str | Scheme], rows: tuple[int, int] | None = None,
    device: str = "cpu", detail: str = "full", importance: str | os.PathLike[str] | None = None,
) -> pd.DataFrame:  # fmt: skip
    """A row a tensor and scheme: "tensor", "role", "layer", "scheme", every metric that applies, "seconds", "notices",
    and in "refused" the sentence that says why there are no figures.

    tensors: names, parts of names, and patterns in which `*` stands for any text.  rows: (from, to) of each tensor, as
    far as it has them.  importance: path of an imatrix or of activations, which weighs those tensors that it names.
    A tensor at a time is open. Raises QuantvizError for a name that means none, a wrong key, a file of no importance.

    >>> import quantviz as qv
    >>> frame = compare_tensors(qv.open_model("demo"), ["k_proj"], ["int4-sym-b32", "nf4-b64"], detail="metrics")
    >>> frame.tensor.nunique(), frame.layer.tolist()[:4], frame.scheme.tolist()[:2]
    (4, [0, 0, 1, 1], ['int4-sym-b32', 'nf4-b64'])
    """
    schemes, entries = distinct(keys), () if importance is None else importance_names(importance)

    def measured(name: str) -> list[Outcome]:
        info = model.info(name)
        try:
            part = rows_within(rows, info)
            weights = importance_within(importance, entries, info, part)
            return list(evaluations(model.open(name, part), schemes, weights, device, detail))
        except QuantvizError as problem:
            return [Refusal(scheme.key, str(problem)) for scheme in schemes]

    return tabulate_tensors((name, measured(name)) for name in named(model, tensors))


def importance_within(
    path: str | os.PathLike[str] | None, entries: Collection[str], info: TensorInfo, rows: tuple[int, int] | None
) -> np.ndarray | None:
    """What a file holds for a tensor, or for some of its rows; None where none of its entries is called so.

    Raises QuantvizError where what it holds does not fit.
    """
    entry = entry_of(info.name, entries)
    return None if entry is None else of_rows(load_importance(path, entry, info.cols), info.rows, rows)


def rows_within(rows: tuple[int, int] | None, info: TensorInfo) -> tuple[int, int] | None:
    """The range as far as a tensor has it; None for all rows. Raises QuantvizError where it has nothing of it."""
    if rows is None or rows[0] == 0 and rows[1] >= info.rows:
        return None
    if rows[0] >= info.rows:
        raise QuantvizError(f"It has {plural(info.rows, 'row')}, and none from {rows[0]:,} on.")
    return rows[0], min(rows[1], info.rows)


def tabulate_tensors(found: Found) -> pd.DataFrame:
    """The table of `compare_tensors` from what is measured already."""
    import pandas as pd

    rows = [_row(name, outcome) for name, outcomes in found for outcome in outcomes]
    measured = [name for name in METRICS if any(name in row for row in rows)]
    columns = ["tensor", "role", "layer", "scheme", *measured, "seconds", "notices", "refused"]
    return pd.DataFrame(rows, columns=columns).astype({"layer": "Int64"})


def _row(name: str, outcome: Outcome) -> dict[str, Any]:
    common = {"tensor": name, "role": role(name), "layer": layer_of(name), "scheme": outcome.scheme}
    if isinstance(outcome, Refusal):
        return common | {"seconds": math.nan, "notices": "", "refused": outcome.reason}
    told = {"seconds": outcome.seconds, "notices": " ".join(outcome.notices), "refused": ""}
    return common | outcome.metrics | told


# -- what the table says -------------------------------------------------------------------------


def by_scheme(frame: pd.DataFrame, metric: str) -> pd.DataFrame:
    """A metric with a row a tensor and a column a scheme, both in the order of the table; NaN where there is none."""
    wide = frame.pivot(index="tensor", columns="scheme", values=metric)
    return wide.reindex(index=frame.tensor.unique(), columns=frame.scheme.unique()).astype(float)


def gaps(frame: pd.DataFrame, metric: str, against: str) -> pd.DataFrame:
    """`by_scheme` minus the figure of scheme `against` on the same tensor; or, for MEDIAN, minus the median over the
    tensors under the same scheme. NaN where one of the two is missing, or both are infinite.
    """
    wide = by_scheme(frame, metric)
    if against == MEDIAN:
        return wide - wide.median()
    return wide.sub(wide[against], axis="index")


def reasons(frame: pd.DataFrame) -> dict[str, str]:
    """Tensor -> why schemes have no figures on it, of those where that is so; one reason is said once."""
    found: dict[str, str] = {}
    for name, group in frame[frame.refused != ""].groupby("tensor", sort=False):
        each = group.groupby("refused", sort=False).scheme.agg(list)
        whole = len(group) == (frame.tensor == name).sum()
        found[name] = " ".join(
            why if (whole and len(each) == 1) or any(key in why for key in keys) else f"{', '.join(keys)}: {why}"
            for why, keys in each.items()
        )
    return found


def best_of_each(frame: pd.DataFrame, metric: str) -> dict[str, list[str]]:
    """Tensor -> the schemes that do best on it by the metric's own direction; none where all do alike."""
    wide, direction = by_scheme(frame, metric), METRICS[metric].direction
    found = {}
    for name, values in wide.iterrows():
        if direction == "neither" or values.nunique() < 2:
            continue
        top = values.max() if direction == "higher" else values.min()
        found[name] = values.index[values == top].tolist()
    return found


def sentences(frame: pd.DataFrame, metric: str) -> list[str]:
    """Whether the schemes stand in the same order on every tensor, and which tensor suffers most."""
    if metric not in metric_columns(frame) or METRICS[metric].direction == "neither":
        return []
    wide = by_scheme(frame, metric).dropna(axis="columns", how="all").dropna()
    if len(wide) < 2:
        return []
    return [*_order(wide, metric), *_worst(wide, metric)]


def _order(wide: pd.DataFrame, metric: str) -> list[str]:
    if wide.shape[1] < 2:
        return []
    ranked = wide.rank(axis="columns", ascending=METRICS[metric].direction == "lower", method="min")
    most = max(Counter(ranked.itertuples(index=False, name=None)).values())
    begin = f"By {METRICS[metric].label}, {wide.shape[1]} schemes stand in the same order on"
    if most == len(wide):
        return [f"{begin} all {len(wide)} tensors."]
    ahead = {(a, b): (ranked[a] < ranked[b]).sum() for a, b in permutations(wide.columns, 2)}
    a, b = max(ahead, key=lambda pair: (min(ahead[pair], ahead[pair[::-1]]), ahead[pair]))
    begin += f" {most} of {len(wide)} tensors"
    if not ahead[b, a]:
        return [f"{begin}; on the others some do equally well."]
    return [f"{begin}. {a} does better than {b} on {ahead[a, b]} of them, and worse on {ahead[b, a]}."]


def _worst(wide: pd.DataFrame, metric: str) -> list[str]:
    worst = wide.min() if METRICS[metric].direction == "higher" else wide.max()
    alone = wide.eq(worst).sum() == 1  # of tensors that do equally badly none suffers most
    if not alone.any():
        return []
    under = wide.loc[:, alone].eq(worst[alone]).idxmax()
    name, times = Counter(under.tolist()).most_common(1)[0]
    key, of = under.index[under == name][0], wide.shape[1]
    most = "" if of == 1 else f" under {'all' if times == of else f'{times} of'} {of} schemes"
    return [f"{name} suffers most{most}: {value_text(metric, wide.loc[name, key])} under {key}."]
