"""What outliers did, in words: a few rules over attribution, curves and cures, each silent where little happens.

Every sentence carries the number it rests on. Thresholds are named, so that a reader can argue with them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from ..evaluation import Evaluation
from ..schemes import Scheme
from ..text.wording import bits, decibels, number, share
from .attribution import OUTLIER_SIGMAS, Attribution
from .cures import Treated
from .curves import MagnitudeSweep, Point

OVERREPRESENTED = 2.0  # share of the error over share of the blocks
NOTABLE = 0.1  # share of all squared error
HARDLY = 1e-4  # smaller shares are not spelled out
GROWS = 1.5  # times an error must grow or shrink
NOTABLE_DB = 1.0
SYMMETRY_DB = 0.5
NAMED = {"tensor": "one scale for all", "channel": "a scale a channel"}


def name_of(granularity: str) -> str:
    """
    >>> name_of("tensor"), name_of("b64")
    ('one scale for all', 'blocks of 64')
    """
    return NAMED.get(granularity) or f"blocks of {granularity[1:]}"


def edit_sentence(before: Evaluation, after: Evaluation) -> str | None:
    """How the error of the same scheme changed with the tensor."""
    old, new = before.metrics["rmse"], after.metrics["rmse"]
    if not old or not new or max(old / new, new / old) < GROWS:
        return None
    how = f"grew {number(new / old, 3)} times" if new > old else f"fell to {share(new / old)} of what it was"
    zeroed = [e.metrics["zeroed_fraction"] for e in (before, after)]
    told = f"; {share(zeroed[1])} of the non-zero weights became zero, {share(zeroed[0])} before"
    tail = told if max(zeroed) > NOTABLE else ""
    return f"The root mean squared error of {after.scheme} {how}{tail}."


def attribution_sentences(a: Attribution, sigmas: float = OUTLIER_SIGMAS) -> list[str]:
    """Where the squared error lies: in blocks with an outlier, in the outliers themselves, in one channel."""
    found = [_off_centre(a), _blocks(a, sigmas), _outliers_themselves(a), _channel(a)]
    return [text for text in found if text]


def _off_centre(a: Attribution) -> str | None:
    if not a.off_centre:
        return None
    if not a.sigma:
        return "All weights are equal, so σ is 0, and whatever is not 0 counts as beyond any number of σ."
    return (
        f"The weights lie around {number(a.mean)}, not around 0, so a magnitude of many σ ({number(a.sigma)}) is "
        "nothing unusual here: the bands below say how large weights are, not how far out."
    )


def _blocks(a: Attribution, sigmas: float) -> str | None:
    sides = None if a.off_centre else a.blocks_beyond(sigmas)
    if sides is None or not sides[0].blocks or not sides[1].blocks:
        return None
    held, of = sides[0].squared_error_share, sides[0].block_share
    if held < NOTABLE or held < OVERREPRESENTED * of:
        return None
    return (
        f"Blocks with a weight beyond {number(sigmas)}σ are {share(of)} of the blocks and carry {share(held)} of the "
        "squared error."
    )


def _outliers_themselves(a: Attribution) -> str | None:
    limit, weights, held = a.band_edges[-1], float(a.weight_share[-1]), float(a.squared_error_share[-1])
    if a.off_centre or not weights or not a.squared_error_share.any():
        return None
    if held >= NOTABLE and held > OVERREPRESENTED * weights:
        return (
            f"Weights beyond {number(limit)}σ are {share(weights)} of all and carry {share(held)} of the squared error."
        )
    sides, kept_apart = a.blocks_beyond(limit), Scheme.parse(a.scheme).keep
    if sides is None or kept_apart or sides[0].squared_error_share < 0.5 or held > weights:
        return None
    return (
        f"The weights beyond {number(limit)}σ themselves carry {share(held) if held >= HARDLY else 'less than 0.01%'} "
        "of the squared error: it lies in the weights that share a scale with them."
    )


def _channel(a: Attribution) -> str | None:
    for channels, word in ((a.cols, "Input"), (a.rows, "Output")):
        total = float(channels.squared_error.sum())
        if len(channels.squared_error) < 20 or not total:
            continue
        worst = int(channels.squared_error.argmax())
        held = float(channels.squared_error[worst]) / total
        if held >= NOTABLE:
            return f"{word} channel {worst:,} alone holds {share(held)} of the squared error."
    return None


def block_size_sentence(points: Sequence[Point]) -> str | None:
    """What blocks of 64 change against one scale for all, and which symmetry does better."""
    at = {(p.symmetry, p.granularity): p for p in points if p.metrics}
    said = []
    for symmetry in dict.fromkeys(p.symmetry for p in points):
        whole, blocks = at.get((symmetry, "tensor")), at.get((symmetry, "b64"))
        if not whole or not blocks:
            continue
        old, new = (p.metrics["relative_l2_error"] for p in (whole, blocks))
        cost = blocks.metrics["bits_per_weight"] - whole.metrics["bits_per_weight"]
        if new and old / new >= GROWS:
            said.append(
                f"With {symmetry}, one scale for all leaves a relative L2 error of {share(old)}; "
                f"blocks of 64 bring it to {share(new)} for {bits(cost)} bits a weight more."
            )
    sym, asym = (at.get((symmetry, "b64")) for symmetry in ("sym", "asym"))
    if sym and asym:
        gap = asym.metrics["sqnr_db"] - sym.metrics["sqnr_db"]
        if math.isfinite(gap) and abs(gap) >= SYMMETRY_DB:
            better = "asym" if gap > 0 else "sym"
            said.append(f"At blocks of 64, {better} is {decibels(abs(gap))} the better of the two.")
    return " ".join(said) or None


def magnitude_sentence(m: MagnitudeSweep) -> str | None:
    """How far each granularity lets outliers of one size spread their harm."""
    middle = m.magnitudes.index(20.0) if 20.0 in m.magnitudes else len(m.magnitudes) // 2
    errors = zip(m.schemes, m.rmse[:, middle], m.baseline, strict=True)
    growth = {str(Scheme.parse(key).granularity): float(now / base) for key, now, base in errors if base}
    if not growth or max(growth.values()) < GROWS:
        return None
    told = [f"{name_of(g)} {number(times, 3)}" for g, times in growth.items()]
    return f"Outliers of {number(m.magnitudes[middle])}σ multiply the error: {', '.join(told)} times."


def cure_sentence(treated: Sequence[Treated]) -> str | None:
    """The cure that gains most at equal bits, one that comes close to it, and the one that gains most at all."""
    useful = sorted((t for t in treated if t.metrics and t.gain_db >= NOTABLE_DB), key=lambda t: -t.gain_db)
    if not useful:
        return None
    equal, said = [t for t in useful if t.equal_bits], []
    if equal:
        first, close = equal[0], [t for t in equal[1:2] if not equal[0].gain_db - t.gain_db >= NOTABLE_DB]
        said = [f"At about equal bits, {first.cure.name} gains most, {_gain(first)}"
                + "".join(f", and {t.cure.name} about as much, {_gain(t)}" for t in close) + "."]  # fmt: skip
    best = useful[0]
    if not equal or best.gain_db > equal[0].gain_db + NOTABLE_DB:
        said.append(f"Of all, {best.cure.name} gains most, {_gain(best)}.")
    return " ".join(said)


def _gain(t: Treated) -> str:
    cost = f"{bits(abs(t.extra_bits))} bits a weight {'more' if t.extra_bits > 0 else 'less'}"
    gain = "all that was lost" if math.isinf(t.gain_db) else decibels(t.gain_db)
    return f"{gain} for {cost if abs(t.extra_bits) >= 0.005 else 'the same bits'}"
