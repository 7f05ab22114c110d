"""`against`: a published file beside the model it was made from."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from ..text.printable import printable
from .output import ProgressLine, print_json, print_metrics, print_table
from .parameters import AsJson, Ref


def against(
    original: Ref,
    file: Annotated[str, typer.Argument(metavar="FILE", help="What was made from it: a .gguf, or hf:org/name:FILE.")],
    tensor: Annotated[str | None, typer.Argument(metavar="[TENSOR]", help="By either name; all without.")] = None,
    importance: Annotated[
        str | None, typer.Option(metavar="FILE", help="An imatrix, as the file's maker may have used; with TENSOR.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Measures the error a file really carries, and says whether plain quantization gives its bytes."""
    from ..calibration.importance import load_importance
    from ..errors import QuantvizError
    from ..models import open_model
    from ..published import beside as f

    if importance and tensor is None:
        raise QuantvizError("--importance goes with one TENSOR; name one.")
    with ProgressLine() as line:
        x, y = open_model(original), open_model(file)
        pairs = f.pair_up(x, y)
        if tensor is None:
            found = list(f.whole(x, y, line.of("tensors compared")))
        else:
            pair = pairs.of(tensor)
            h = load_importance(importance, pair.original, x.info(pair.original).cols) if importance else None
            found = [f.against(x, y, pair, h, "full", progress=line.of("weights compared"))]
    if as_json:
        return print_json({"original": x.ref, "file": y.ref, "tensors": [_as_dict(a) for a in found],
                           "only_original": list(pairs.only_original), "only_file": list(pairs.only_file)})  # fmt: skip
    if tensor is not None:
        return _print_one(found[0])
    _print_all(found)
    for names, where in ((pairs.only_original, "the original"), (pairs.only_file, "the file")):
        if names:
            shown = ", ".join(map(printable, names[:8])) + f" and {len(names) - 8:,} more" * (len(names) > 8)
            print(f"\nOnly in {where}: {shown}")
    return None


def _as_dict(a: Any) -> dict[str, Any]:
    from ..published.beside import Against, against_dict

    if isinstance(a, Against):
        return against_dict(a)
    pair, why = a
    return {"tensor": pair.original, "stored_as": pair.place.name, "expert": pair.place.expert, "refused": why}


def _print_one(a: Any) -> None:
    from ..published.beside import sentence
    from ..text.wording import shape

    e = a.evaluation
    name, place = printable(a.pair.original), printable(a.pair.place.name)
    print(f"{name}  {shape(e.shape)}  {e.dtype}, in the file {place} as {e.scheme}\n")
    print(printable(sentence(a)) + "\n")
    print_metrics([e])


def _print_all(found: list[Any]) -> None:
    from ..metrics import value_text
    from ..published.beside import Against
    from ..text.wording import share

    shown = ("sqnr_db", "relative_l2_error", "max_abs_error")
    rows = []
    for a in found:
        if not isinstance(a, Against):
            rows.append((a[0].original, "-", "-", "-", "-", a[1]))
            continue
        r = a.requantized
        same = "cannot tell" if r is None else "same bytes" if r.same else f"{share(r.equal / r.count)} of {r.unit}"
        e = a.evaluation
        rows.append((a.pair.original, e.scheme, *(value_text(n, e.metrics[n]) for n in shown), same))
    print_table(("tensor", "type", "SQNR", "relative L2", "largest error", "plain quantization"), rows, right=(2, 3, 4))
