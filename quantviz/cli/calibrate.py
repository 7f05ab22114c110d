"""`calibrate`: what flows into the layers of a language model, kept in a file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..text.printable import printable
from .output import ProgressLine, print_table
from .parameters import whole
from .quality import Model
from .terminal import complain


def calibrate(
    ref: Model,
    out: Annotated[Path, typer.Option(metavar="FILE", help="The .safetensors file that is written.")],
    text: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="A text in UTF-8; without it, the second half of the demo's test book."),
    ] = None,
    tokens: Annotated[
        int, typer.Option(metavar="N", parser=whole, help="At most so many tokens of the text; 0 takes all.")
    ] = 4096,
    layers: Annotated[
        str | None, typer.Option(metavar="REGEX", help="Only layers whose name matches, such as down_proj.")
    ] = None,
    device: Annotated[
        str | None, typer.Option(metavar="cpu|cuda", help="Without it, a GPU where there is one.")
    ] = None,
) -> None:
    """Lets a language model read a text, and keeps what its layers are fed: E[x xᵀ] of their inputs, and samples."""
    from ..quality.model.calibrating import calibrate as run
    from ..quality.text.texts import read_text
    from ..text.wording import size

    passage = None if text is None else read_text(text)
    with ProgressLine() as line:
        found = run(
            ref, passage, tokens or None, layers, device=device,
            progress=lambda what, done, total: line.of(what)(done, total),
        )  # fmt: skip
        found.save(out)
    for notice in dict.fromkeys(text for c in found.values() for text in c.remarks):
        complain(notice)
    rows = [
        (printable(name), f"{c.cols:,}", f"{c.tokens:,}", f"{len(c.heldout):,}", size(c.moment.nbytes))
        for name, c in found.items()
    ]
    print_table(("layer", "inputs", "tokens", "held out", "E[x xᵀ]"), rows, right=range(1, 5))
    print(f"\n{printable(str(out))}: {size(out.stat().st_size)}")
