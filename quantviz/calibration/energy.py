"""How unevenly importance lies: how few channels carry most of it, and which experts no token reached."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..text.wording import plural, share
from .importance import Source, importance_names, load_importance, unseen_experts

HALF, MOST = 0.5, 0.9


@dataclass(frozen=True)
class Energy:
    """Of one entry. channels: inputs, of all its experts together.  half, most: how many of the largest carry half and
    nine tenths of the sum.  largest: the share of the largest alone.  experts: how many have their own; 0 for none.
    unseen: those that no token reached, by entry; they are left out of the rest.
    """

    channels: int
    half: int
    most: int
    largest: float
    experts: int = 0
    unseen: tuple[str, ...] = ()


def energy(importance: np.ndarray, unseen: tuple[str, ...] = ()) -> Energy:
    """importance: float32 [channels], or [experts, channels].  unseen: entries of experts, as `unseen_experts` gives.

    >>> energy(np.array([8, 1, 1, 0], np.float32))
    Energy(channels=4, half=1, most=2, largest=0.8, experts=0, unseen=())
    """
    values = np.asarray(importance, np.float64)
    experts = len(values) if values.ndim == 2 else 0
    if experts:
        gone = {int(name.rpartition("[")[2][:-1]) for name in unseen}
        values = values[[i for i in range(experts) if i not in gone]]
    falling = np.sort(values.reshape(-1))[::-1]
    reached = np.cumsum(falling) / falling.sum()
    half, most = (int(np.searchsorted(reached, part - 1e-12)) + 1 for part in (HALF, MOST))
    return Energy(len(falling), half, most, float(falling[0] / falling.sum()), experts, unseen)


def energies(source: Source) -> dict[str, Energy]:
    """Of every entry of a file, by name, experts that lie in one tensor together; {"": …} for a .npy file."""
    names = dict.fromkeys(name.partition("[")[0] for name in importance_names(source)) or {"": None}
    return {name: energy(load_importance(source, name), unseen_experts(source, name)) for name in names}


def sentence(e: Energy) -> str:
    """For a reader."""
    told = (
        f"Half of the importance lies in {e.half:,} of {plural(e.channels, 'channel')} ({share(e.half / e.channels)}), "
        f"nine tenths in {e.most:,}; the largest holds {share(e.largest)}."
    )
    if e.unseen:
        told += (
            f" No token reached {len(e.unseen):,} of {plural(e.experts, 'expert')}; each of their channels counts 1."
        )
    return told
