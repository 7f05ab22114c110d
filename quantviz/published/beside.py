"""A published file beside the model it was made from: the error it really carries, and how it was made.

Names are led from one to the other by gguf's own tables. What a converter or quantizer moved elsewhere is undone before
anything is counted, and said; and it is looked up whether plain quantization gives what the file holds.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from ..checkpoints.decoded import Decoded
from ..checkpoints.readers import aqlm, exl3
from ..errors import QuantvizError
from ..evaluation import Evaluation, describe
from ..evaluation.pairs import evaluate_pair
from ..kernels.results import Progress
from ..sources import Model
from ..statistics import TensorStatistics
from ..tensors import StoredTensor, check_importance
from .folds import find_fold
from .opening import AS_THEY_ARE, INTERLEAVED, Opened, opened
from .pairing import Fused, Pair, Pairs, pair_up
from .plain import Plain, beside_plain
from .requantized import requantized
from .result import Against
from .rotation import UNLIKE, rotation
from .searched import Searched
from .sentences import against_dict, in_short, sentence, undone
from .trellis import beside_trellis
from .vectors import beside_vectors

__all__ = ["AS_THEY_ARE", "INTERLEAVED", "Against", "Fused", "Opened", "Pair", "Pairs", "against", "against_dict",
           "in_short", "measured", "opened", "pair_up", "sentence", "undone", "whole"]  # fmt: skip


def against(
    original: Model,
    file: Model,
    pair: Pair,
    importance: Any = None,
    detail: str = "full",
    statistics: TensorStatistics | None = None,
    progress: Progress | None = None,
    pairs: Pairs | None = None,
) -> Against:
    """The error that a tensor of `file` carries beside its original, and whether plain quantization gives its bytes.

    importance: one number an input channel, as the file's maker may have used; weighs the quantization and adds
    weighted_mse.  statistics: of the original in the file's order of rows, which is that of `opened`.
    pairs: what `pair_up` gave, if it was asked before.
    Raises QuantvizError for shapes that do not fit together, and for tensors without weights.
    """
    o = opened(original, file, pair)
    x, y = o.original, o.file
    fold = find_fold(original, file, pairs or pair_up(original, file), pair, x, y)
    evaluation = evaluate_pair(x, fold.off(y) if fold else y, importance, detail, statistics, _part(progress, 0))
    if fold:
        with_it = evaluate_pair(x, y, detail="metrics").metrics["relative_l2_error"]
        fold = replace(fold, before=with_it, after=evaluation.metrics["relative_l2_error"])
    h = check_importance(importance, x.cols)
    seen = fold.onto(x) if fold else x  # by whoever quantized it
    plain = None
    again, why_not = requantized(x, y, h, _part(progress, 1))
    if fold and not fold.exact:
        why_not = "the scales that were folded into it are known from rounded weights alone"
    elif isinstance(y, Decoded) and abs(evaluation.metrics["cosine_similarity"]) > UNLIKE:
        plain, why = _beside_plain(seen, y, _part(progress, 1))
        why_not = why or why_not
    turned = rotation(seen, y, evaluation.metrics["cosine_similarity"])
    return Against(pair, o.order, evaluation, again, why_not, o.changes, fold, plain, turned)


def _beside_plain(x: StoredTensor, y: Decoded, progress: Progress | None) -> tuple[Plain | Searched | None, str]:
    """Codes that are numbers are compared with plain rounding, others with the best that a search finds."""
    if isinstance(y.layer.unpack, exl3.Trellis):
        return beside_trellis(x, y, progress)
    if y.layer.unpack is aqlm.unpack:
        return beside_vectors(x, y, progress)
    return beside_plain(x, y, progress)


def _part(progress: Progress | None, part: int) -> Progress | None:
    return progress and (lambda done, total: progress(done + part * total, 2 * total))


def whole(original: Model, file: Model, progress: Progress | None = None) -> Iterator[Against | tuple[Pair, str]]:
    """Every tensor the two share, moments only; a sentence instead where a tensor cannot be compared."""
    found = pair_up(original, file)
    for i, pair in enumerate(found.pairs):
        try:
            yield against(original, file, pair, detail="metrics", pairs=found)
        except QuantvizError as problem:
            yield pair, str(problem)
        if progress:
            progress(i + 1, len(found.pairs))


def measured(original: Model, file: Model, pair: Pair, pairs: Pairs) -> tuple[Evaluation, float]:
    """The error alone, what was moved elsewhere undone first; and Σx² of the original."""
    o = opened(original, file, pair)
    fold = find_fold(original, file, pairs, pair, o.original, o.file)
    x, y = o.original, fold.off(o.file) if fold else o.file
    statistics = describe(x)
    e = evaluate_pair(x, y, detail="metrics", statistics=statistics)
    return e, statistics.sum_squares
