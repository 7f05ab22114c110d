"""The story of GPTQ on one block: column by column, the error of a column and what the columns behind it take on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import QuantvizError
from ..kernels.results import Progress
from ..schemes import Scheme
from ..tensors import as_stored, check_importance, refuse_non_finite
from ..text.wording import number, plural
from . import smoothing
from .layer import Calibration
from .problem import Problem, problem

MOST_COLUMNS = 128  # of a block whose story is told
_EVERY = 256  # columns between two reports of progress


@dataclass(frozen=True, eq=False)
class Story:
    """One row of a block under GPTQ. n columns, in the order in which they are taken.

    columns: int64 [n].  original: weights as GPTQ is given them, float32 [n] (rotated, or multiplied, as the scheme
    says).  before: float32 [n, n]: row k is what they have become when the turn of column k comes; those taken before
    are what they were rounded to.  codes: int64 [n], and values: what they stand for, float32 [n].
    nearest: int64 [n], the codes of rounding to nearest.
    passed: float32 [n, n]: row k is what column k hands to each, 0 for those taken before and for itself.
    beyond: float32 [n]: the length of what it hands to columns outside of the block.
    """

    scheme: str
    row: int
    columns: np.ndarray
    original: np.ndarray
    before: np.ndarray
    codes: np.ndarray
    values: np.ndarray
    nearest: np.ndarray
    passed: np.ndarray
    beyond: np.ndarray

    @property
    def errors(self) -> np.ndarray:
        """What each column's rounding errs by, of what it had become: value - weight, float32 [n]."""
        return self.values - np.diagonal(self.before)

    @property
    def taken_on(self) -> np.ndarray:
        """What each column had taken on when its turn came, float32 [n]."""
        return np.diagonal(self.before) - self.original


def gptq_story(
    w: Any, key: str | Scheme, calibration: Calibration, row: int, cols: tuple[int, int], importance: Any = None,
    progress: Progress | None = None,
) -> Story:  # fmt: skip
    """How GPTQ comes to the codes of columns [cols[0], cols[1]) of one row, at most MOST_COLUMNS of them.

    w, calibration, importance: as `evaluate` takes them; other columns of the row are rounded too, in their turn.
    progress: called as progress(columns done, columns in all); what it raises stops the work.
    Raises QuantvizError for a scheme without solver=gptq, and columns or a row that are not there.

    >>> rng = np.random.default_rng(0)
    >>> w, x = (rng.standard_normal((n, 64)).astype(np.float32) @ rng.standard_normal((64, 64)) for n in (8, 512))
    >>> told = gptq_story(w, "int4-sym-b32:solver=gptq", Calibration.of(x), 3, (0, 32))
    >>> abs(told.taken_on[0]), bool(np.abs(told.taken_on[1:]).min() > 0)
    (np.float32(0.0), True)
    """
    return told(prepared(w, key, calibration, importance), Scheme.parse(key), row, cols, progress)


def prepared(w: Any, key: str | Scheme, calibration: Calibration, importance: Any = None) -> Problem:
    """What `told` needs, which is the same for all blocks of a tensor and takes the most time."""
    scheme, stored = Scheme.parse(key), as_stored(w)
    if scheme.solver != "gptq":
        raise QuantvizError(f"{scheme} passes no errors on; give a scheme with solver=gptq.")
    scheme.check_shape(*stored.matrix)
    calibration.check_fits(stored.cols, stored.name)
    calibration.second_moment("solver=gptq")
    refuse_non_finite(stored)
    h = check_importance(importance, stored.cols)
    if scheme.smooth is not None:
        _, stored, calibration, h = smoothing.smoothed(stored, scheme, calibration, h)
    return problem(stored, scheme, calibration, h)


def told(given: Problem, scheme: Scheme, row: int, cols: tuple[int, int], progress: Progress | None = None) -> Story:
    """`gptq_story` of a tensor that is prepared for it."""
    from .gptq_reference import turns

    rows, width = given.weights.shape
    start, stop = cols
    if not (0 <= row < rows and 0 <= start < stop <= width and stop - start <= MOST_COLUMNS):
        raise QuantvizError(
            f"There are no columns {start} to {stop - 1} of row {row} to tell of: the tensor has {rows:,} rows of "
            f"{width:,}, and a story at most {MOST_COLUMNS} columns."
        )
    one = given.weights[row : row + 1]
    order = np.arange(width) if given.order is None else given.order
    places = np.flatnonzero((order >= cols[0]) & (order < cols[1]))  # of the block's columns, in their order
    n = len(places)
    before, passed, beyond = np.zeros((n, n), np.float32), np.zeros((n, n), np.float32), np.zeros(n, np.float32)
    codes, values = np.zeros(n, np.int64), np.zeros(n, np.float32)
    for turn in turns(one, scheme, given.steps, given.u, given.order, row):
        if progress and turn.place % _EVERY == 0:
            progress(turn.place, width)
        if not cols[0] <= turn.column < cols[1]:
            continue
        k = int(np.searchsorted(places, turn.place))
        handed = np.zeros(width, np.float32)
        handed[turn.place + 1 :] = -turn.passed[0, 1:].numpy()
        before[k], passed[k] = turn.left[0, places].numpy(), handed[places]
        handed[places] = 0
        beyond[k] = np.linalg.norm(handed)
        codes[k], values[k] = int(turn.code[0]), float(turn.value[0])
        if k == n - 1:
            break
    columns = order[places]
    nearest = np.asarray(given.nearest.codes)[row, columns].astype(np.int64)
    return Story(scheme.key, row, columns, one[0, columns], before, codes, values, nearest, passed, beyond)


def turn_sentences(story: Story, k: int) -> list[str]:
    """What happens at the turn of the block's column k, for a reader."""
    taken, error = float(story.taken_on[k]), float(story.errors[k])
    came = "as it was" if not taken else f"moved by {number(taken, 3)} by those before it"
    code = f"code {story.codes[k]}"
    if story.codes[k] != story.nearest[k]:
        code += f", not the {story.nearest[k]} to which its own weight is nearest"
    said = [
        f"Column {story.columns[k]:,} comes to its turn {came}, and is rounded to {code}: {number(error, 3)} off."
    ]  # fmt: skip
    handed, behind = story.passed[k], len(story.columns) - k - 1
    if behind and handed.any():
        most = int(np.abs(handed).argmax())
        said.append(
            f"Of {plural(behind, 'column')} behind it in the block, column {story.columns[most]:,} takes on the most, "
            f"{number(float(handed[most]), 3)}; what goes to columns outside of it has the length "
            f"{number(float(story.beyond[k]), 3)}."
        )
    return said
