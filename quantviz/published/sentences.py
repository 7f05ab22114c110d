"""What a comparison of two models found, in words and as JSON."""

from __future__ import annotations

from typing import Any

from ..block_types import BLOCK_TYPES
from ..text.plain import plain
from ..text.wording import number, share
from .folds import Fold
from .opening import AS_THEY_ARE
from .plain import EQUAL, Plain, plain_sentence
from .result import Against
from .rotation import Rotation
from .searched import Searched, searched_in_short, searched_sentence

_LITTLE = 0.5  # cosine similarity


def sentence(a: Against) -> str:
    """What was found, for a reader."""
    rows = "" if a.order == AS_THEY_ARE else (
        " The converter left its rows in another order, the two halves of each head interleaved; that is undone here."
    )  # fmt: skip
    changes = rows + "".join(f" {told}" for told in undone(a))
    if a.rotation and a.rotation.of:
        return rotation_sentence(a.rotation) + changes
    if a.evaluation.metrics["cosine_similarity"] < _LITTLE:
        size = (
            " Both are of one size, so a rotation on both sides (QuIP#, SpinQuant) would look like this too: then only "
            "the error of the layer's output can be compared."
        ) * bool(a.rotation)
        return (
            "The two have little in common: the file was made from another model, or its converter rearranged this "
            "tensor in a way that is not known here." + size + changes
        )
    if isinstance(a.plain, Searched):
        return searched_sentence(a.plain, a.evaluation.scheme) + changes
    if a.plain:
        return plain_sentence(a.plain, a.evaluation.scheme) + changes
    return _of_requantized(a) + changes


def undone(a: Against) -> tuple[str, ...]:
    """What was changed in the file and undone before the error was counted, in sentences."""
    return (*a.changes, *((fold_sentence(a.fold),) if a.fold else ()))


def in_short(a: Against) -> str:
    """What plain quantization gives of a tensor, in some words."""
    r, p = a.requantized, a.plain
    if a.rotation and a.rotation.of:
        return f"{a.rotation.of} rotated"
    if isinstance(p, Searched):
        return searched_in_short(p)
    if p:
        return {EQUAL: "plain rounding", "": "cannot tell"}.get(p.verdict, f"{p.verdict} ({p.scheme})")
    return "cannot tell" if r is None else "same bytes" if r.same else f"{share(r.equal / r.count)} of {r.unit}"


def _of_requantized(a: Against) -> str:
    r, kind = a.requantized, a.evaluation.scheme
    if r is None:
        return f"Whether plain quantization gives the same bytes cannot be told: {a.why_not}."
    from_what = "" if r.through == "float32" else f", rounded to {r.through} first,"
    with_what = " with this importance" if r.importance else ""
    if r.same:
        return f"Quantizing the original{from_what} to {kind}{with_what} gives exactly the bytes of the file."
    shown = share(r.equal / r.count) if r.equal else "none"
    why = (
        "it was made in another way, such as with importance, from other weights or by another program"
        if not r.importance
        else "it was made with other importance, from other weights or by another program"
    )
    block_type = BLOCK_TYPES.get(kind)
    newer = f" The bytes here are those of {block_type.source}." if block_type and block_type.since else ""
    return (
        f"Quantizing the original{from_what} to {kind}{with_what} gives {shown} of the file's {r.unit} "
        f"({r.equal:,} of {r.count:,}); {why}.{newer}"
    )


def fold_sentence(fold: Fold) -> str:
    """What was scaled, who takes it back, and the error both ways."""
    sides = []
    for what, scales, where in zip(("Input", "Output"), (fold.columns, fold.by_row), fold.where, strict=True):
        if scales is not None:
            low, high = number(float(scales.min()), 2), number(float(scales.max()), 2)
            sides.append(f"{what} channels were scaled by {low} to {high}, and {where}")
    error = f"undone here, the relative error is {share(fold.after)} instead of {share(fold.before)}"
    return f"{'; '.join(sides).replace('; Output', '; output')}; {error}."


def rotation_sentence(r: Rotation) -> str:
    what, lines = ("inputs", "rows") if r.of == "inputs" else ("outputs", "columns")
    return (
        "Weight by weight the two have nothing in common, and yet the products of their "
        f"{lines} agree (correlation {number(r.agreement, 2)}): the {what} were rotated, as QuaRot, SpinQuant and "
        "QuIP# do. A rotation makes the weights incomparable; only the error of the layer's output can be compared."
    )


def against_dict(a: Against) -> dict[str, Any]:
    """JSON-ready."""
    r, p, f, fused = a.requantized, a.plain, a.fold, a.pair.fused
    return {
        "tensor": a.pair.original, "stored_as": a.pair.place.name, "expert": a.pair.place.expert,
        "original_expert": a.pair.original_expert,
        "fused": None if fused is None else {
            "in": "original" if fused.in_original else "file", "number": fused.number, "sizes": list(fused.sizes),
        },
        "type": a.evaluation.scheme, "shape": list(a.evaluation.shape), "dtype": a.evaluation.dtype,
        "rows": a.order, "changes": list(a.changes), "metrics": plain(a.evaluation.metrics),
        "requantized": None if r is None else {
            "unit": r.unit, "count": r.count, "equal": r.equal, "through": r.through, "first_different": r.first,
            "importance": r.importance,
        },
        "why_not": a.why_not,
        "fold": None if f is None else plain({
            "where": list(f.where), "input_scales": _ends(f.columns), "output_scales": _ends(f.by_row),
            "relative_l2_error_before": f.before, "relative_l2_error_after": f.after,
        }),
        "plain": None if p is None else plain(_plain_dict(p)),
        "rotation": None if a.rotation is None else {"of": a.rotation.of, "agreement": a.rotation.agreement},
    }  # fmt: skip


def _plain_dict(p: Plain | Searched) -> dict[str, Any]:
    found = {"verdict": p.verdict, "mse": p.mse, "plain_mse": p.plain_mse, "nearest": p.nearest, "count": p.count}
    if isinstance(p, Searched):
        return found | {"unit": p.search.unit, "units": p.units, "of": p.of}
    return found | {"scheme": p.scheme, "rule": p.rule, "elsewhere": list(p.elsewhere)}


def _ends(scales: Any) -> list[float] | None:
    return None if scales is None else [float(scales.min()), float(scales.max())]
