"""`tensors` and `schemes`: the lists."""

from __future__ import annotations

from typing import Any

from .output import print_json, print_table
from .parameters import AsJson, Ref

EXAMPLE_SHAPE = (4096, 4096)  # for which `schemes` gives bits per weight


def tensors(ref: Ref, as_json: AsJson = False) -> None:
    """Lists the tensors of a model: name, shape, dtype as stored, bytes, bits a weight."""
    from ..models import open_model
    from ..text.wording import shape

    model = open_model(ref)
    found = model.tensors
    if as_json:
        return print_json([_as_dict(t) for t in found])
    cells = [(t.name, shape(t.shape), t.dtype, f"{t.nbytes:,}", _bits(t), _holds(t)) for t in found]
    print_table(("tensor", "shape", "dtype", "bytes", "bits", ""), cells, right=(3, 4))
    if model.undecoded:
        print("\n" + model.undecoded)


def _as_dict(t: Any) -> dict[str, Any]:
    """The fields of every tensor, and those that only some have."""
    more = {"packed_as": t.packed and t.packed.format, "why_not": t.why_not, "notices": list(t.notices)}
    return {"name": t.name, "shape": list(t.shape), "dtype": t.dtype, "nbytes": t.nbytes} | {
        key: value for key, value in more.items() if value
    }


def _bits(t: Any) -> str:
    """Of a weight; codes are not weights."""
    return f"{t.bits_per_weight:.4g}" if t.size and not t.packed else "-"


def _holds(t: Any) -> str:
    if t.packed:
        return f"codes of {t.packed.format}" if t.packed.codes else f"belongs to {t.packed.format}"
    return "" if t.holds_weights else "no weights"


def schemes(as_json: AsJson = False) -> None:
    """Lists every ready-made scheme, with its bits per weight for a tensor of 4096 × 4096."""
    from ..schemes import Scheme, catalogue

    rows = []
    for s in map(Scheme.parse, catalogue()):
        granularity = None if s.granularity is None else str(s.granularity)
        rows.append(
            {"scheme": s.key, "format": s.format, "symmetry": s.symmetry, "granularity": granularity,
             "scale": s.scale, "bits_per_weight": s.bits_per_weight(EXAMPLE_SHAPE)}
        )  # fmt: skip
    if as_json:
        return print_json(rows)
    cells = [[f"{value:.3f}" if isinstance(value, float) else value or "" for value in row.values()] for row in rows]
    print_table([name.replace("_", " ") for name in rows[0]], cells, right=(5,))
