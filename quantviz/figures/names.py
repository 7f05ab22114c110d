"""Names beside the points of a scatter plot, none of which covers another or a point."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence

import numpy as np

from .style import QUIET

PLOT = 760.0, 356.0  # pixels of the plot that places are found for; in a larger one there is more room
SIZE = 12  # of the type
WIDE = "wide"  # the name of annotations, and meta of bars with their numbers, that a narrow figure leaves out
_LETTER, _HIGH = 6.6, 15.0  # pixels: of a letter at most, of a line
_POINT, _NEAR = 5.0, 4.0  # half a point; between a point and its name
_RINGS = (0.0, 10.0, 22.0, 36.0, 52.0, 70.0, 92.0, 120.0, 160.0, 210.0)  # how far out a name may stand
_AROUND = 16  # directions that are tried
_LED = 8.0  # from here on a line leads from the point to its name

Box = tuple[float, float, float, float]  # left, top, right, bottom, in pixels


def beside(
    x: np.ndarray, y: np.ndarray, names: Sequence[str], first: Iterable[int], axes: tuple[Sequence[float], ...],
    corners: Sequence[tuple[float, float]] = (),
) -> list[dict]:  # fmt: skip
    """Annotations with the names of points, those of `first` before all others; a name without room is left out.

    x, y: of the points.  first: indices of points that matter most; a narrow figure has no other names.
    axes: the ranges of both axes, as the plot shows them.  corners: of a line of steps that no name may cover.
    """
    spots = _pixels(x, y, axes)
    first = list(first)
    order = [*first, *(int(i) for i in np.argsort(-y, kind="stable") if i not in set(first))]
    taken = [(px - _POINT, py - _POINT, px + _POINT, py + _POINT) for px, py in spots]
    ends = _pixels(*zip(*corners, strict=True), axes) if len(corners) else []
    taken += [_around(a, b) for a, b in itertools.pairwise(ends)]
    notes = []
    for i in order:
        found = _free(spots[i], _LETTER * len(names[i]) / 2, taken)
        if found is None:
            continue
        across, up, distance, box = found
        taken.append(box)
        note = {
            "x": x[i], "y": y[i], "text": names[i], "ax": across, "ay": up, "showarrow": True, "arrowhead": 0,
            "arrowwidth": 1, "arrowcolor": QUIET if distance >= _LED else "rgba(0,0,0,0)", "standoff": _POINT,
            "borderpad": 0, "font": {"size": SIZE},
        }  # fmt: skip
        notes.append(note if i in first else note | {"name": WIDE})
    return notes


def _pixels(x: np.ndarray, y: np.ndarray, axes: tuple[Sequence[float], ...]) -> list[tuple[float, float]]:
    """Places in the plot, from its left upper corner."""
    across = (np.asarray(x, float) - axes[0][0]) / (axes[0][1] - axes[0][0]) * PLOT[0]
    down = (1 - (np.asarray(y, float) - axes[1][0]) / (axes[1][1] - axes[1][0])) * PLOT[1]
    return list(zip(across.tolist(), down.tolist(), strict=True))


def _around(a: tuple[float, float], b: tuple[float, float]) -> Box:
    return min(a[0], b[0]) - 1, min(a[1], b[1]) - 1, max(a[0], b[0]) + 1, max(a[1], b[1]) + 1


def _free(spot: tuple[float, float], half: float, taken: Sequence[Box]) -> tuple[float, float, float, Box] | None:
    """The nearest place for a name of half this width: pixels right and down to its middle, how far out, its box."""
    for ring in _RINGS:
        for turn in _turns():
            out = _POINT + _NEAR + ring
            across = math.cos(turn) * (out + half)
            down = -math.sin(turn) * (out + _HIGH / 2)
            middle = spot[0] + across, spot[1] + down
            box = middle[0] - half, middle[1] - _HIGH / 2, middle[0] + half, middle[1] + _HIGH / 2
            inside = box[0] >= 0 and box[1] >= 0 and box[2] <= PLOT[0] and box[3] <= PLOT[1]
            if inside and not any(_meet(box, other) for other in taken):
                return across, down, ring, box
    return None


def _turns() -> list[float]:
    """Directions, counter-clockwise from the right: right, left, above and below before what lies between."""
    steps = sorted(range(_AROUND), key=lambda k: (k % (_AROUND // 2) != 0, k % (_AROUND // 4) != 0, k % 2))
    return [2 * math.pi * k / _AROUND for k in steps]


def _meet(a: Box, b: Box) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]
