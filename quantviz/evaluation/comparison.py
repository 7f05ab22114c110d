"""Many schemes on one tensor: evaluated one after the other, told apart by each metric's own direction."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..calibration.layer import Calibration
from ..errors import QuantvizError
from ..metrics import METRICS
from ..schemes import Scheme
from ..statistics import TensorStatistics
from ..tensors import as_stored, rows_and_cols
from ..text.wording import bits, decibels, listed, share
from .tensor import Evaluation, Progress, describe, evaluate

MOST_NAMED = 6  # schemes that a sentence names

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Refusal:
    """A scheme that cannot apply to a tensor, and the sentence that says why."""

    scheme: str
    reason: str


Outcome = Evaluation | Refusal


def compare(
    w: Any, keys: Iterable[str | Scheme], importance: Any = None, device: str = "cpu", detail: str = "full",
    statistics: TensorStatistics | None = None, progress: Progress | None = None,
    calibration: Calibration | None = None,
) -> pd.DataFrame:  # fmt: skip
    """A row a scheme: "scheme", every metric that applies, "seconds", "notices".

    Takes what `evaluate` takes, with progress over all schemes together. A scheme that cannot apply to the shape, or
    demands importance or a calibration where there is none, has a row without figures whose notice says why. Raises
    QuantvizError for no scheme at all, and for a wrong key.

    >>> w = np.random.default_rng(0).standard_normal((64, 256), dtype=np.float32)
    >>> frame = compare(w, ["int4-sym-tensor", "int4-sym-b32", "nf4-b64"])
    >>> frame.scheme[frame.sqnr_db.idxmax()], best(frame)["bits_per_weight"]
    ('nf4-b64', ['int4-sym-tensor'])
    """
    return tabulate(evaluations(w, keys, importance, device, detail, statistics, progress, calibration))


def evaluations(
    w: Any, keys: Iterable[str | Scheme], importance: Any = None, device: str = "cpu", detail: str = "full",
    statistics: TensorStatistics | None = None, progress: Progress | None = None,
    calibration: Calibration | None = None,
) -> Iterator[Outcome]:  # fmt: skip
    """The evaluations behind `compare`, each as soon as it is made; the tensor itself is described once."""
    schemes, stored = distinct(keys), as_stored(w)  # a wrong key is refused before anything is computed

    def each(known: TensorStatistics | None) -> Iterator[Outcome]:
        for position, scheme in enumerate(schemes):
            if refused := refusal(scheme, stored.matrix, importance is not None, calibration is not None):
                yield refused
                continue
            known = known or describe(stored)
            told = part_of(progress, position, len(schemes))
            yield evaluate(stored, scheme, importance, device, detail, known, told, calibration)

    return each(statistics)


def part_of(progress: Progress | None, position: int, parts: int) -> Progress | None:
    """Progress within one of several passes over the same weights, told as progress of them all."""
    return progress and (lambda done, total: progress(position * total + done, parts * total))


def distinct(keys: Iterable[str | Scheme]) -> tuple[Scheme, ...]:
    """The schemes of `keys`, each once, in their order. Raises QuantvizError when there is none."""
    if isinstance(keys, str | Scheme):
        keys = [keys]
    schemes = tuple(dict.fromkeys(Scheme.parse(key) for key in keys))
    if not schemes:
        raise QuantvizError("A comparison needs at least one scheme, for example int4-sym-b64.")
    return schemes


def refusal(
    scheme: Scheme, shape: tuple[int, ...], with_importance: bool = False, calibrated: bool = False
) -> Refusal | None:
    """Why `scheme` cannot apply to a tensor of `shape`, with or without importance and a calibration at hand; None
    where it can.
    """
    try:
        scheme.check_shape(*rows_and_cols(shape))
        scheme.check_importance_given(with_importance, calibrated)
    except QuantvizError as problem:
        return Refusal(scheme.key, str(problem))
    return None


def output_sentence(frame: pd.DataFrame) -> str | None:
    """Where the least error of the layer's output is not that of the weights; None where it is, or is not known."""
    names = ("output_relative_error", "relative_l2_error")
    if not all(name in frame for name in names):
        return None
    known = frame.dropna(subset=list(names)).reset_index(drop=True)
    if known.empty:
        return None
    output, weights = (known.loc[known[name].idxmin()] for name in names)
    if output["scheme"] == weights["scheme"]:
        return None
    return (
        f"The least error of the layer's output has {output['scheme']}, {share(output[names[0]])} with "
        f"{share(output[names[1]])} of the weights; the least of the weights {weights['scheme']}, "
        f"{share(weights[names[1]])} with {share(weights[names[0]])} of the output."
    )


def joint_sentence(frame: pd.DataFrame) -> str | None:
    """Which of the schemes that quantize inputs too errs least at the layer's output; None where none was measured."""
    held, own = "heldout_joint_output_relative_error", "joint_output_relative_error"
    name = held if held in frame and frame[held].notna().any() else own
    if name not in frame or frame[name].notna().sum() < 2:
        return None
    known = frame.dropna(subset=[name]).reset_index(drop=True)
    best, worst = (known.loc[getattr(known[name], which)()] for which in ("idxmin", "idxmax"))
    where = " on held-out inputs" if name == held else ""
    return (
        f"Of {len(known)} schemes that quantize the inputs too, {best['scheme']} errs least at the layer's "
        f"output{where}: {share(best[name])}, {share(best['output_share_of_inputs'])} of the squared error from the "
        f"inputs; {worst['scheme']} most: {share(worst[name])}."
    )


# -- the table -----------------------------------------------------------------------------------


def tabulate(outcomes: Iterable[Outcome]) -> pd.DataFrame:
    """The table of `compare` from evaluations that are there already."""
    import pandas as pd

    rows = [_row(outcome) for outcome in outcomes]
    measured = [name for name in METRICS if any(name in row for row in rows)]
    return pd.DataFrame(rows, columns=["scheme", *measured, "seconds", "notices"])


def _row(outcome: Outcome) -> dict[str, Any]:
    if isinstance(outcome, Refusal):
        return {"scheme": outcome.scheme, "seconds": math.nan, "notices": outcome.reason}
    return {
        "scheme": outcome.scheme, **outcome.metrics, "seconds": outcome.seconds, "notices": " ".join(outcome.notices),
    }  # fmt: skip


def metric_columns(frame: pd.DataFrame) -> list[str]:
    """The columns of a table of `compare` that are metrics, in the order of `METRICS`."""
    return [name for name in frame.columns if name in METRICS]


def with_figures(frame: pd.DataFrame) -> list[str]:
    """The schemes of a table that could be evaluated."""
    return frame.scheme[frame.seconds.notna()].tolist()


def best(frame: pd.DataFrame) -> dict[str, list[str]]:
    """Metric -> the schemes that do best in it, by its own direction; several where they tie.

    A metric that has no better way, or has the same value everywhere, is left out.
    """
    found = {}
    for name in metric_columns(frame):
        values = frame[name].dropna()
        if METRICS[name].direction == "neither" or values.nunique() < 2:
            continue
        top = values.max() if METRICS[name].direction == "higher" else values.min()
        found[name] = frame.scheme[values.index[values == top]].tolist()
    return found


def differences(frame: pd.DataFrame, baseline: str) -> pd.DataFrame:
    """The same table with each metric minus that of `baseline`; NaN where both are infinite.

    Raises QuantvizError if `baseline` has no figures in the table.
    """
    if baseline not in with_figures(frame):
        raise QuantvizError(
            f"{baseline!r} has no figures in this comparison; choose one of {', '.join(with_figures(frame))}."
        )
    row = frame[frame.scheme == baseline]
    differences = frame.copy()
    for name in metric_columns(frame):
        differences[name] = frame[name] - row[name].iloc[0]
    return differences


def pareto(bits: Sequence[float], sqnr: Sequence[float]) -> np.ndarray:
    """Indices of the schemes that none beats: fewer bits with no less SQNR, or more SQNR with no more bits.

    In order of rising bits. NaN is never among them; equals stand side by side.

    >>> pareto([4.5, 4.25, 4.0, 8.0], [20, 19, 19, 18]).tolist()
    [2, 0]
    """
    bits, sqnr = np.asarray(bits, float), np.asarray(sqnr, float)
    order = np.lexsort((-sqnr, bits))
    front: list[int] = []
    for i in order[~np.isnan(bits + sqnr)[order]]:
        if not front or sqnr[i] > sqnr[front[-1]] or (bits[i], sqnr[i]) == (bits[front[-1]], sqnr[front[-1]]):
            front.append(int(i))
    return np.array(front, int)


def table_sentences(frame: pd.DataFrame, pinned: str | None = None) -> list[str]:
    """What the table says in words: which schemes none beats, and which is best at no more bits than the pinned one."""
    scored = frame.dropna(subset=["bits_per_weight", "sqnr_db"]) if metric_columns(frame) else frame[:0]
    if len(scored) < 2:
        return []
    front = scored.scheme.iloc[pareto(scored.bits_per_weight, scored.sqnr_db)].tolist()
    words = [f"Of {len(scored)} schemes, none beats {listed(front, MOST_NAMED)}: {_why(scored, front)}"]
    if pinned in scored.scheme.values:
        words.append(_at_no_more_bits(scored, scored[scored.scheme == pinned].iloc[0]))
    return words


def _why(scored: pd.DataFrame, front: Sequence[str]) -> str:
    """What it means that none beats these; that more bits would help is said only where they do."""
    if len(front) > 1 and scored[scored.scheme.isin(front)].sqnr_db.nunique() > 1:
        return "each has the most SQNR of all that take no more bits."
    return "no other has more SQNR, or as much for fewer bits." if len(front) == 1 else "they are equal in both."


def _at_no_more_bits(scored: pd.DataFrame, pinned: pd.Series) -> str:
    rivals = scored[scored.bits_per_weight <= pinned.bits_per_weight]
    top = rivals.loc[rivals.sqnr_db.idxmax()]
    limit = f"{bits(pinned.bits_per_weight)} bits"
    if not top.sqnr_db > pinned.sqnr_db:
        return f"At no more than {limit}, nothing here does better than the pinned {pinned.scheme}."
    gain = top.sqnr_db - pinned.sqnr_db
    more = f", {decibels(gain)} more than" if math.isfinite(gain) else " against"
    reached = decibels(top.sqnr_db) if math.isfinite(top.sqnr_db) else "no error at all"
    return f"At no more than {limit}, {top.scheme} reaches {reached}{more} the pinned {pinned.scheme}."
