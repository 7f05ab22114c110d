"""`against`: published files beside the model they were made from."""

from __future__ import annotations

import os
import re
from typing import Annotated, Any

import typer

from ..sources.files import SINGLE_TENSORS
from ..text.printable import printable
from .output import ProgressLine, print_json, print_metrics, print_table
from .parameters import AsJson, Ref


def against(
    original: Ref,
    file: Annotated[str, typer.Argument(metavar="FILE", help="What was made from it: a .gguf, a folder, or hf:….")],
    rest: Annotated[
        list[str] | None,
        typer.Argument(metavar="[TENSOR | FILE ...]", help="One tensor, by either name; or more files of the model."),
    ] = None,
    importance: Annotated[
        str | None, typer.Option(metavar="FILE", help="An imatrix, as the file's maker may have used; with TENSOR.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Measures the error a file really carries, and says whether plain quantization gives its bytes.

    Of several files, a table: what each takes, and what it loses where.
    """
    from ..errors import QuantvizError
    from ..models import open_model

    with ProgressLine() as line:
        x, y = open_model(original), open_model(file)
        tensor, more = _read(x, y, rest or [])
        if importance and tensor is None:
            raise QuantvizError("--importance goes with one TENSOR; name one.")
        if more:
            return _many(x, [y, *map(open_model, more)], line, as_json)
        pairs, found, told = _one_file(x, y, tensor, importance, line)
    if as_json:
        return print_json({"original": x.ref, "file": y.ref, "tensors": [_as_dict(a) for a in found],
                           "only_original": list(pairs.only_original), "only_file": list(pairs.only_file)})  # fmt: skip
    if tensor is not None:
        return _print_one(found[0], told)
    _print_all(found)
    for names, where in ((pairs.only_original, "the original"), (pairs.only_file, "the file")):
        if names:
            shown = ", ".join(map(printable, names[:8])) + f" and {len(names) - 8:,} more" * (len(names) > 8)
            print(f"\nOnly in {where}: {shown}")
    return None


def _read(x: Any, y: Any, rest: list[str]) -> tuple[str | None, list[str]]:
    """(the tensor, further files): a single word is a tensor unless it is the reference of a model."""
    if len(rest) != 1:
        return None, rest
    word = rest[0]
    names = {info.name for model in (x, y) for info in model.tensors}
    is_ref = word.startswith(("hf:", *SINGLE_TENSORS)) or word == "demo" or os.path.exists(os.path.expanduser(word))
    is_tensor = re.sub(r"(\[[0-9]+\])+$", "", word) in names  # with the number of one of several in it, or without
    return (None, rest) if is_ref and not is_tensor else (word, [])


def _one_file(
    x: Any, y: Any, tensor: str | None, importance: str | None, line: ProgressLine
) -> tuple[Any, list[Any], str]:
    """(the pairs, what was found, a sentence on the importance)"""
    from ..calibration.energy import energy, sentence
    from ..calibration.importance import load_importance
    from ..published import beside as f

    pairs = f.pair_up(x, y)
    if tensor is None:
        return pairs, list(f.whole(x, y, line.of("tensors compared"))), ""
    pair = pairs.of(tensor)
    h = load_importance(importance, pair.original, x.info(pair.original).cols) if importance else None
    if h is not None and h.ndim == 2 and pair.original_expert is not None:
        h = h[pair.original_expert]
    told = "" if h is None else sentence(energy(h))
    return pairs, [f.against(x, y, pair, h, "full", progress=line.of("weights compared"), pairs=pairs)], told


def _many(original: Any, files: list[Any], line: ProgressLine, as_json: bool) -> None:
    from ..published import several as m
    from ..text.wording import bits, share, size

    found = m.many(original, files, lambda ref: line.of(f"tensors compared of {ref}"))
    if as_json:
        return print_json(m.as_json(found))
    columns = m.rows(found)
    written = {"bytes": size, "bits per weight": bits, "bits over all": bits, "main type": str, "kept finer": str,
               "file": str}  # fmt: skip
    heads = ("", *(f"[{i + 1}]" for i in range(len(found.files))))
    lines = [
        (name, *("-" if v != v else written.get(name, share)(v) for v in values))
        for name, values in columns.items()
        if name != "file"
    ]
    for i, f in enumerate(found.files):
        print(f"[{i + 1}] {printable(f.ref)}")
    print()
    print_table(heads, lines, right=range(1, len(heads)))
    if found.best:
        print()
        print_table(("role", "least error"), [(name, found.files[i].ref) for name, i in found.best.items()])
    print()
    for told in m.differences(found):
        print(printable(told))
    for f in found.files:
        for name, why in f.refused:
            print(printable(f"{f.ref}: {name}: {why}"))
    return None


def _as_dict(a: Any) -> dict[str, Any]:
    from ..published.beside import Against, against_dict

    if isinstance(a, Against):
        return against_dict(a)
    pair, why = a
    return {"tensor": pair.original, "stored_as": pair.place.name, "expert": pair.place.expert, "refused": why}


def _print_one(a: Any, of_importance: str) -> None:
    from ..published.beside import sentence
    from ..text.wording import shape

    e = a.evaluation
    name, place = printable(a.pair.label), printable(a.pair.place.name)
    print(f"{name}  {shape(e.shape)}  {e.dtype}, in the file {place} as {e.scheme}\n")
    print(printable(sentence(a)) + "\n")
    if of_importance:
        print(of_importance + "\n")
    print_metrics([e])


def _print_all(found: list[Any]) -> None:
    from ..metrics import value_text
    from ..published.beside import Against, in_short, undone

    shown = ("sqnr_db", "relative_l2_error", "max_abs_error")
    rows = []
    for a in found:
        if not isinstance(a, Against):
            rows.append((a[0].label, "-", "-", "-", "-", a[1]))
            continue
        values = (value_text(n, a.evaluation.metrics[n]) for n in shown)
        rows.append((a.pair.label, a.evaluation.scheme, *values, in_short(a)))
    print_table(("tensor", "type", "SQNR", "relative L2", "largest error", "plain quantization"), rows, right=(2, 3, 4))
    for a in found:
        if isinstance(a, Against) and (told := undone(a)):
            print("\n" + printable(f"{a.pair.label}: {' '.join(told)}"))
