"""`mix`: what llama.cpp's named mixes make of a model."""

from __future__ import annotations

from typing import Annotated

import typer

from ..text.printable import printable
from .output import print_json, print_table
from .parameters import AsJson, Ref


def mix(
    ref: Ref,
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="A mix, such as q4_k_m; all without.")] = None,
    importance: Annotated[bool, typer.Option("--importance", help="As with an importance matrix at hand.")] = False,
    architecture: Annotated[
        str | None, typer.Option(help="As GGUF spells it; without, as the file or config.json says.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Says which tensor gets which type under a named mix of llama.cpp, and the size of the file."""
    from ..models import open_model
    from ..published.mixes import notices, recipe, recipe_dict, sizes
    from ..text.wording import shape, size

    model = open_model(ref)
    if name is None:
        return _print_sizes(sizes(model, importance, architecture), as_json)
    found = recipe(model, name, importance, architecture)
    if as_json:
        return print_json({"ref": model.ref, **recipe_dict(found)})
    print(
        f"{found.mix.file_name}  {printable(found.facts.architecture)}, {found.facts.layers} layers  "
        f"{size(found.nbytes)}  {found.bits_per_weight:.4f} bits per weight"
    )
    if found.needs_importance and not importance:
        print("llama-quantize makes this mix only with an importance matrix (--importance).")
    for notice in notices(found):
        print(printable(notice))
    print()
    print_table(
        ("tensor", "shape", "type", "bits", "bytes", "because of"),
        [
            (line.name, shape(line.shape), line.kind, f"{line.bits_per_weight:.4g}", f"{line.nbytes:,}", line.why)
            for line in found.lines
        ],
        right=(3, 4),
    )
    return None


def _print_sizes(found: dict, as_json: bool) -> None:
    """A line a mix; one that cannot be made of this model says why."""
    from ..published.mixes import Recipe
    from ..text.wording import size

    if as_json:
        return print_json(
            [
                {"mix": name, "nbytes": r.nbytes, "bits_per_weight": r.bits_per_weight,
                 "needs_importance": r.needs_importance}
                if isinstance(r, Recipe) else {"mix": name, "refused": r}
                for name, r in found.items()
            ]
        )  # fmt: skip
    print_table(
        ("mix", "size", "bits per weight", ""),
        [
            (name, size(r.nbytes), f"{r.bits_per_weight:.4f}", "needs importance" if r.needs_importance else "")
            if isinstance(r, Recipe)
            else (name, "-", "-", r)
            for name, r in found.items()
        ],
        right=(1, 2),
    )
    return None
