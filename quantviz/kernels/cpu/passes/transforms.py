"""What happens to weights before they are quantized and after: some kept apart, rows rotated."""

from __future__ import annotations

import numpy as np

from ....schemes import Scheme
from ....tensors import StoredTensor, refuse_non_finite
from ...overflow import ROTATING, beyond_float32
from ..bits import MAGNITUDE, bits_of
from ..blocks.run import is_finite
from ..compiler import inlined, kernel
from ..loops.plan import Plan, Task
from ..loops.rotation import rotate, unrotate
from ..workers import work

i4, f4 = np.int32, np.float32
LARGEST_FP16 = f4(65504)


class Transform:
    """keep= and rotate= of a scheme, for the tasks of a plan, which hold whole rows."""

    def __init__(self, stored: StoredTensor, scheme: Scheme, plan: Plan) -> None:
        self.stored, self.scheme = stored, scheme
        self.rotated = scheme.rotate == "hadamard"
        self.limit: np.int32 | None = None
        self.ties: dict[int, int] = {}
        count = scheme.kept(stored.size)
        if count:
            self._find(stored, plan, count)

    def _find(self, stored: StoredTensor, plan: Plan, count: int) -> None:
        """Which magnitude is the last to be kept, and how many of those equal to it in each task, first ones first."""
        tasks = plan.tasks

        def above(limit: int) -> np.ndarray:
            found = np.zeros(len(tasks), np.int64)

            def run(numbered) -> None:
                for number, task in numbered:
                    for piece in task.pieces:
                        found[number] += _count_above(stored.read(piece.start, piece.stop), i4(limit))

            work(tasks, run)
            return found

        low, high = -1, 2**31 - 1  # more than `count` lie above low, at most `count` above high
        while high - low > 1:
            middle = (low + high) >> 1
            if above(middle).sum() > count:
                low = middle
            else:
                high = middle
        strictly, with_ties = above(high), above(high - 1)
        missing = count - int(strictly.sum())
        for task, ties in zip(tasks, with_ties - strictly, strict=True):
            self.ties[task.start] = min(int(ties), missing)
            missing -= self.ties[task.start]
        self.limit = i4(high)

    def apply(self, x: np.ndarray, task: Task) -> tuple[np.ndarray, np.ndarray | None]:
        """(what is quantized, where weights are kept apart) of a task's rows [rows, cols]."""
        z = np.array(x)
        kept = None
        if self.limit is not None:
            kept = np.zeros(x.shape, bool)
            _set_apart(z.reshape(-1), self.limit, self.ties[task.start], kept.reshape(-1))
        if self.rotated:
            rotate(z, z)
            if not is_finite(z.reshape(-1).view(i4)):
                refuse_non_finite(self.stored)
                raise beyond_float32(self.stored.name, self.scheme, ROTATING)
        return z, kept

    def undo(self, y: np.ndarray, x: np.ndarray, kept: np.ndarray | None) -> None:
        """What was dequantized becomes, in place, what stands for x [rows, cols]."""
        if self.rotated:
            unrotate(y, y)
        if kept is not None:
            y[kept] = in_fp16(x[kept])


def in_fp16(x: np.ndarray) -> np.ndarray:
    """Nearest float16 values, saturating; float16 array."""
    return np.clip(x, -LARGEST_FP16, LARGEST_FP16).astype(np.float16)


@inlined()
def _magnitude(v):
    return i4(bits_of(v) & MAGNITUDE)


@kernel
def _count_above(x, limit):
    total = 0
    for o in range(0, x.shape[0], 8192):
        part = x[o : o + 8192]
        found = i4(0)
        for j in range(part.shape[0]):
            found = i4(found + (i4(1) if _magnitude(part[j]) > limit else i4(0)))
        total += found
    return total


@kernel
def _set_apart(z, limit, ties, kept):
    for j in range(z.shape[0]):
        magnitude = _magnitude(z[j])
        if magnitude >= limit and (magnitude > limit or ties > 0):
            ties -= 0 if magnitude > limit else 1
            kept[j] = True
            z[j] = f4(0)
