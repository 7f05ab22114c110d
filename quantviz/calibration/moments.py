"""The second moment of inputs, added up as they come: in float64, half of it, since it is symmetric."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..errors import QuantvizError
from ..machine.memory import available
from ..text.wording import plural, size

_PANEL = 512  # columns that are added up at once
_ROWS = 4096  # tokens that are


def moment_bytes(cols: int) -> int:
    """What E[x xᵀ] of so many inputs takes in float32; adding it up takes twice as much.

    >>> size(moment_bytes(14336))
    '822 MB'
    """
    return 4 * cols * cols


def check_room(widths: dict[str, int]) -> None:
    """Refuses to calibrate layers, name -> width, that memory does not hold; says what is needed and what fits."""
    free = available("cpu")
    needs = [moment_bytes(cols) for cols in widths.values()]
    # Sums, a triangle in float64, of all of them; at the end each becomes float32, one after the other.
    needed = sum(needs) + max(needs, default=0) if needs else 0
    if free is None or needed <= free:
        return
    fitting = 0
    while fitting < len(needs) and sum(needs[: fitting + 1]) + max(needs[: fitting + 1]) <= free:
        fitting += 1
    layers = ", ".join(list(widths)[:fitting][:1])
    way = (
        f"calibrate {plural(fitting, 'layer')} of them at a time, with a pattern such as {layers}"
        if fitting
        else "narrower layers, or importance alone (the diagonal), fit"
    )
    raise QuantvizError(
        f"E[x xᵀ] of {plural(len(needs), 'layer')} takes {size(needed)} of memory, and {size(free)} may still be "
        f"taken; {way}."
    )


class MomentSums:
    """Σ x xᵀ, Σ|x|, and the largest |x| of each input, float32 [cols], over inputs of one layer.

    Only the upper triangle is held, in panels of columns, float64: as much memory as all of it in float32.
    """

    def __init__(self, cols: int) -> None:
        check_room({"": cols})
        self.cols, self.tokens = cols, 0
        self._abs, self.max_abs = np.zeros(cols), np.zeros(cols, np.float32)
        self._panels = [np.zeros((min(_PANEL, cols - start), cols - start)) for start in range(0, cols, _PANEL)]

    def add(self, x: np.ndarray, progress: Callable[[int, int], None] | None = None) -> None:
        """x: [tokens, cols]. Raises QuantvizError for NaN and infinity, with the first token that has one."""
        for start in range(0, len(x), _ROWS):
            part = np.asarray(x[start : start + _ROWS], np.float64)
            good = np.isfinite(part).all(axis=1)
            if not good.all():
                at = self.tokens + int(good.argmin())
                raise QuantvizError(
                    f"The inputs hold NaN or infinity, first at token {at:,}; a calibration needs finite ones."
                )
            size = np.abs(part)
            self._abs += size.sum(axis=0)
            with np.errstate(over="ignore"):  # what is beyond float32 is refused by its square
                np.maximum(self.max_abs, size.max(axis=0).astype(np.float32), out=self.max_abs)
            for number, panel in enumerate(self._panels):
                first = number * _PANEL
                panel += part[:, first : first + len(panel)].T @ part[:, first:]
                if progress:
                    progress(start + len(part) * (number + 1) // len(self._panels), len(x))
            self.tokens += len(part)

    def means(self) -> tuple[np.ndarray, np.ndarray]:
        """E[x xᵀ], float32 [cols, cols], and E|x|, float32 [cols]; what was added is given up."""
        if not self.tokens:
            raise QuantvizError("No token reached the layer, so nothing is known of its inputs.")
        moment = np.empty((self.cols, self.cols), np.float32)
        for number in range(len(self._panels)):
            panel, self._panels[number] = self._panels[number], np.zeros((0, 0))
            first, stop = number * _PANEL, number * _PANEL + len(panel)
            panel /= self.tokens
            with np.errstate(over="ignore"):
                moment[first:stop, first:] = panel
            moment[first:, first:stop] = moment[first:stop, first:].T
            square = moment[first:stop, first:stop]
            square[:] = np.triu(square) + np.triu(square, 1).T
        if not np.isfinite(moment).all():
            raise QuantvizError(
                "The squares of the inputs are beyond float32's largest number, 3.4e38; divide the inputs by the "
                "largest."
            )
        return moment, (self._abs / self.tokens).astype(np.float32)
