"""A calibration: what a layer's inputs are, as far as a method that looks at data needs to know."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ..checkpoints.names import llama_name
from ..errors import QuantvizError
from ..tensors import StoredTensor
from ..tensors.arrays import is_torch, plain_numpy, plain_torch
from ..text.printable import printable
from ..text.wording import plural
from .moments import MomentSums

SAMPLE = 256  # inputs kept of those that are added up
HELD_OUT = 8  # one input of so many is kept apart ...
MOST_HELD_OUT = 1024  # ... and no more than these


@dataclass(frozen=True, eq=False)
class Calibration:
    """The inputs x of one layer, over `tokens` of them.

    importance: E[x²] of each input, float32 [cols]: the diagonal of E[x xᵀ].
    moment: E[x xᵀ], float32 [cols, cols]; None where only the diagonal is known, as from an imatrix.
    mean_abs: E|x|, float32 [cols], which AWQ's scales are made of; None likewise.
    max_abs: the largest |x|, float32 [cols], which SmoothQuant's scales are made of; None likewise.
    inputs: a sample of them, and heldout: others that are in none of these, float32 [rows, cols]; may have no rows.
    name: of the weights that these are the inputs of; "" for any of that width.
    """

    importance: np.ndarray
    moment: np.ndarray | None
    tokens: int
    mean_abs: np.ndarray | None = None
    inputs: np.ndarray | None = None
    heldout: np.ndarray | None = None
    name: str = ""
    max_abs: np.ndarray | None = None
    _signals: Any = field(default_factory=weakref.WeakKeyDictionary, repr=False)

    @property
    def cols(self) -> int:
        """The layer's width: how many inputs it has."""
        return len(self.importance)

    @classmethod
    def of(
        cls, X: Any, name: str = "", heldout: int | None = None, progress: Callable[[int, int], None] | None = None
    ) -> Calibration:
        """From inputs of one's own.

        X: [tokens, in_features], NumPy or torch, of any float type.
        heldout: how many of the last ones are kept apart, to tell what is overfitted; None for an eighth, at most
        1,024. Raises QuantvizError for NaN, infinity, another shape, and where memory does not hold E[x xᵀ].

        >>> x = np.random.default_rng(0).standard_normal((512, 64), dtype=np.float32)
        >>> c = Calibration.of(x)
        >>> c.tokens, c.heldout.shape, c.moment.shape
        (448, (64, 64), (64, 64))
        """
        x = _inputs(X)
        apart = min(len(x) // HELD_OUT, MOST_HELD_OUT) if heldout is None else heldout
        if not 0 <= apart < len(x):
            raise QuantvizError(f"heldout={apart} of {plural(len(x), 'token')} leaves none to calibrate on.")
        used = x[: len(x) - apart]
        sums = MomentSums(x.shape[1])
        sums.add(used, progress)
        picks = np.unique(np.linspace(0, len(used) - 1, SAMPLE).astype(int))
        return cls.summed(sums, np.array(used[picks], np.float32), np.array(x[len(used) :], np.float32), name)

    @classmethod
    def summed(cls, sums: MomentSums, inputs: np.ndarray, heldout: np.ndarray, name: str = "") -> Calibration:
        """From what was added up, which is given up: this can be done once."""
        moment, mean_abs = sums.means()
        return cls(moment.diagonal().copy(), moment, sums.tokens, mean_abs, inputs, heldout, name, sums.max_abs)

    # -- what is asked of it ---------------------------------------------------------------------

    def check_fits(self, cols: int, tensor: str = "") -> None:
        """Refuses weights [rows, cols] that these are not the inputs of."""
        whose = f"the inputs of {printable(self.name)}" if self.name else "inputs"
        if self.cols != cols:
            raise QuantvizError(
                f"The calibration holds {whose}, {self.cols:,} a token, and a row of "
                f"{printable(tensor) if tensor else 'this tensor'} has {plural(cols, 'weight')}; give the calibration "
                "of that layer."
            )
        same = not self.name or not tensor or self.name in (tensor, llama_name(tensor)) or "." not in tensor
        if not same and llama_name(self.name) != tensor:
            raise QuantvizError(
                f"The calibration holds {whose}, not those of {printable(tensor)}; give the calibration of that layer."
            )

    def second_moment(self, what: str) -> np.ndarray:
        """E[x xᵀ]; refuses, for `what` that needs it, where there is only the diagonal."""
        if self.moment is None:
            raise QuantvizError(
                f"{what} takes E[x xᵀ] of the inputs, and an imatrix or importance holds only its diagonal: calibrate "
                "with quantviz, from a text or inputs of your own, or leave the calibration out and give it as "
                "importance."
            )
        return self.moment

    @property
    def has_sample(self) -> bool:
        """Whether some inputs are there as they were."""
        return self.inputs is not None and len(self.inputs) > 0

    @property
    def dead(self) -> np.ndarray:
        """Which inputs were 0 at every token, bool [cols]."""
        return self.importance == 0

    @property
    def remarks(self) -> tuple[str, ...]:
        """Sentences that whoever uses it should see."""
        said = []
        if self.moment is not None and self.tokens < self.cols:
            said.append(
                f"{plural(self.tokens, 'token')} are fewer than the layer's {self.cols:,} inputs: E[x xᵀ] is singular, "
                "and where the text says nothing damping decides."
            )
        if gone := int(self.dead.sum()):
            said.append(f"{plural(gone, 'input')} of {self.cols:,} {'was' if gone == 1 else 'were'} 0 at every token.")
        return tuple(said)

    def of_signal(self, stored: StoredTensor, make: Callable[[], Any]) -> Any:
        """What `make` gives for a tensor, made once as long as the tensor is held."""
        if stored not in self._signals:
            self._signals[stored] = make()
        return self._signals[stored]

    def named(self, name: str) -> Calibration:
        return replace(self, name=name)


def _inputs(X: Any) -> np.ndarray:
    x = plain_torch(X, "The inputs").float().cpu().numpy() if is_torch(X) else plain_numpy(X, "The inputs")
    if x.ndim != 2 or 0 in x.shape:
        raise QuantvizError(
            f"The inputs have the shape {list(x.shape)}; give [tokens, in_features], with at least one of each."
        )
    if x.dtype.kind not in "fiu":
        raise QuantvizError(f"The inputs have the dtype {x.dtype}; give real numbers, as float32 for example.")
    return x
