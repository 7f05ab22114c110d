"""What a comparison of one tensor in two models gives."""

from __future__ import annotations

from dataclasses import dataclass

from ..evaluation import Evaluation
from .folds import Fold
from .pairing import Pair
from .plain import Plain
from .requantized import Requantized
from .rotation import Rotation
from .searched import Searched


@dataclass(frozen=True, eq=False)
class Against:
    """What a file has made of one tensor.

    order: how its rows lie beside the original's.  evaluation: the error it carries, its scheme the stored type.
    requantized: None where that cannot be told, for the reason `why_not`.
    changes: what else of the file was undone, in words.  fold: scales that its maker moved into other tensors, undone
    in `evaluation`; None where there are none.  plain: packed formats beside plain quantization; None for others.
    rotation: why the two have nothing in common, where that shows.
    """

    pair: Pair
    order: str
    evaluation: Evaluation
    requantized: Requantized | None
    why_not: str = ""
    changes: tuple[str, ...] = ()
    fold: Fold | None = None
    plain: Plain | Searched | None = None
    rotation: Rotation | None = None
