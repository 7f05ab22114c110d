"""The schemes that differ from one in a single quantity, in order: what a slider moves along."""

from __future__ import annotations

from typing import Any, NamedTuple

from ..block_types import BLOCK_TYPES, BlockType
from ..errors import QuantvizError
from ..formats import FORMATS, BlockFormat, IntFormat
from .granularity import CHANNEL, TENSOR, Granularity
from .scheme import Scheme

BLOCKS = tuple(2**power for power in range(3, 13))  # weights a block, 8 to 4,096
CLIPS = ("absmax", "99.99", "99.95", "99.9", "99.8", "99.5", "99", "98", "97", "96", "95", "92", "90")


class Quantity(NamedTuple):
    """name: of the quantity.  steps: (what it is there, the scheme), in order."""

    name: str
    steps: tuple[tuple[str, Scheme], ...]


def quantities(scheme: Scheme, cols: int) -> list[Quantity]:
    """What of a scheme for rows of `cols` weights can be turned, and the schemes along it, its own among them.

    None for schemes that look at a layer's inputs: each takes more than a moment.

    >>> [(q.name, [step for step, _ in q.steps]) for q in quantities(Scheme.parse("q4_k"), 4096)]
    [('Bits', ['q2_k', 'q3_k', 'q4_k', 'q5_k', 'q6_k'])]
    """
    if scheme.uses_data or scheme.act:
        return []
    found = (
        Quantity("Block", _steps(scheme, "granularity", _granularities(scheme, cols))),
        Quantity("Bits", _steps(scheme, "format", _formats(scheme))),
        Quantity("Clip", _steps(scheme, "clip", _clips(scheme))),
    )
    return [quantity for quantity in found if len(quantity.steps) > 1]


def _steps(scheme: Scheme, part: str, values: list[tuple[str, Any]]) -> tuple[tuple[str, Scheme], ...]:
    """The schemes with other values of one part; those that refuse what else was chosen are left out."""
    parts = {"format": scheme.format, "symmetry": scheme.symmetry, "granularity": scheme.granularity} | scheme.options
    steps = []
    for written, value in values:
        try:
            steps.append((written, Scheme.make(**parts | {part: value})))
        except QuantvizError:
            continue
    return tuple(steps)


def _granularities(scheme: Scheme, cols: int) -> list[tuple[str, Any]]:
    """From small blocks to one for all, and the scheme's own in its place."""
    if scheme.granularity is None or isinstance(scheme.fmt, BlockFormat | BlockType) or scheme.granularity.rows > 1:
        return []
    own = scheme.granularity.cols
    sizes = sorted({size for size in BLOCKS if size < cols} | ({own} if own else set()))
    blocks = [Granularity(1, size) for size in sizes]
    return [(str(g).removeprefix("b"), g) for g in (*blocks, CHANNEL, TENSOR)]


def _formats(scheme: Scheme) -> list[tuple[str, Any]]:
    """Integers, and GGUF's types of one family, by their bits."""
    if isinstance(scheme.fmt, IntFormat):
        widths = sorted((f.bits, name) for name, f in FORMATS.items() if isinstance(f, IntFormat))
        return [(str(bits), name) for bits, name in widths]
    family = scheme.format.partition("_")[2]
    if isinstance(scheme.fmt, BlockType) and family in ("0", "1", "k"):
        alike = (t for t in BLOCK_TYPES.values() if t.name.startswith("q") and t.name.partition("_")[2] == family)
        return [(t.name, t.name) for t in sorted(alike, key=lambda t: t.bits)]
    return []


def _clips(scheme: Scheme) -> list[tuple[str, Any]]:
    """From nothing cut off to the narrowest percentile; none beside the search for the least error."""
    own = scheme.options.get("clip", CLIPS[0])
    if own == "mse":
        return []
    cut = sorted({*CLIPS[1:], own} - {CLIPS[0]}, key=float, reverse=True)
    return [(CLIPS[0], CLIPS[0]), *((f"{percent}%", percent) for percent in cut)]
