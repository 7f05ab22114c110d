"""How long a token takes in each tensor under each scheme, as the linear workload of `throughput` measures it here."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from ..errors import QuantvizError
from .damage import has_head
from .rules import Rules
from .table import Table

if TYPE_CHECKING:
    from ..sources import Model

CASTS = {"float32": "fp32", "float16": "fp16", "bfloat16": "bf16"}  # what multiplies a tensor that stays as stored
ROUNDS = 3  # of a shape, all schemes in turns, each timed three times a round
_ACTIVE = ("num_experts_per_tok", "num_experts_per_token", "moe_top_k", "experts_per_token", "top_k")
_EXPERTS = ("num_local_experts", "num_experts", "n_routed_experts", "moe_num_experts")
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Times:
    """seconds: (rows, cols, scheme) -> median seconds of one token times a layer of that shape.

    refused: the same -> why nothing multiplies it here.  device: where it was measured.
    """

    seconds: Mapping[tuple[int, int, str], float]
    refused: Mapping[tuple[int, int, str], str] = field(default_factory=dict)
    device: str = "cpu"


def measure(
    shapes: Iterable[tuple[int, int]], schemes: Iterable[str], device: str | None = None,
    progress: Progress | None = None,
) -> Times:  # fmt: skip
    """Each shape under each scheme, one token at a time, the weights read from memory anew each time.

    device: None is the best here.  progress: called as progress(what, done, total); what it raises stops the work.
    Raises QuantvizError where the device cannot be used.
    """
    from .. import throughput

    shapes, schemes = tuple(dict.fromkeys(shapes)), tuple(dict.fromkeys(schemes))
    steps = len(schemes) + ROUNDS + 1
    seconds, refused = {}, {}
    for at, (rows, cols) in enumerate(shapes):
        work = throughput.Plan.make(device, ["linear"], schemes, layer=(rows, cols), rounds=ROUNDS, seconds=0.0)
        device, report, done = work.device, throughput.Report(), at * steps
        for event in throughput.run(replace(work, bandwidth=False)):
            report = report.take(event)
            if progress is not None and isinstance(event, throughput.Doing):
                progress(f"timing layers of {rows:,} × {cols:,}", done, len(shapes) * steps)
                done += 1
        for line in report.of("linear"):
            if line.median_s is not None:
                seconds[rows, cols, line.scheme] = line.median_s
            else:
                refused[rows, cols, line.scheme] = "its product was wrong, so it was not timed"
        refused |= {(rows, cols, r.scheme): r.reason for r in report.refused}
    return Times(seconds, refused, device or "cpu")


def times_of(t: Table, rules: Rules, device: str | None = None, progress: Progress | None = None) -> Times:
    """What a plan over a table needs: every shape that is multiplied, under what the rules allow."""
    kept = rules.kept(t.tensors)
    casts = {CASTS[dtype] for dtype in t.tensors["stored_as"][kept] if dtype in CASTS}
    multiplied = _multiplied(t)
    shapes = {t.shape(index) for index in range(len(t.tensors)) if multiplied[index]}
    return measure(sorted(shapes), (*rules.allowed(t.schemes), *sorted(casts)), device, progress)


def seconds_of(t: Table, times: Times, rules: Rules, model: Model | None) -> tuple[np.ndarray, list[str]]:
    """float64 [tensors, schemes + 1], NaN where nothing multiplies it here, and sentences on how it was counted.

    The last column is for tensors that stay as stored. An embedding is looked up, which takes no time that counts,
    unless the sweep has no head: then it does the head's work. Of the experts of a layer a token meets some.
    """
    kept, multiplied = rules.kept(t.tensors), _multiplied(t)
    share, told = _share_of_experts(t, model)
    found = np.full((len(t.tensors), len(t.schemes) + 1), np.nan)
    for index, (dtype, expert) in enumerate(zip(t.tensors["stored_as"], t.tensors["expert"].notna(), strict=True)):
        for column, scheme in enumerate((*t.schemes, CASTS.get(dtype, "") if kept[index] else "")):
            taken = times.seconds.get((*t.shape(index), scheme), np.nan) if multiplied[index] else 0.0
            found[index, column] = taken * (share if expert else 1.0)
    for index in np.flatnonzero(kept & np.isnan(found[:, -1])):
        dtype = t.tensors["stored_as"].iat[index]
        raise QuantvizError(
            f"{t.tensors['tensor'].iat[index]} stays {dtype}, and how fast that is multiplied here is unknown; "
            "do not keep it, or give a size in place of milliseconds."
        )
    return found, told + _refusals(t, times, rules)


def _multiplied(t: Table) -> np.ndarray:
    return (t.tensors["role"] != "embedding").to_numpy(bool) | has_head(t.tensors)


def _share_of_experts(t: Table, model: Model | None) -> tuple[float, list[str]]:
    if not t.tensors["expert"].notna().any():
        return 1.0, []
    config = {} if model is None else dict(model.config)
    config |= config.get("text_config") or {}

    def first(names: Iterable[str]) -> int:
        return next((config[name] for name in names if type(config.get(name)) is int and config[name] > 0), 0)

    active, experts = first(_ACTIVE), first(_EXPERTS)
    if not active or not experts:
        return 1.0, ["How many experts a token meets is unknown here, so the times count all of them."]
    return active / experts, [f"A token meets {active} of {experts} experts of a layer, and the times count as many."]


def _refusals(t: Table, times: Times, rules: Rules) -> list[str]:
    """One sentence a reason, with the schemes that it keeps from being chosen."""
    reasons: dict[str, dict[str, None]] = {}
    for (_, _, scheme), why in times.refused.items():
        if scheme in rules.allowed(t.schemes):
            reasons.setdefault(why, {})[scheme] = None
    return [f"Not to be chosen by time: {', '.join(schemes)}. {why}" for why, schemes in reasons.items()]
