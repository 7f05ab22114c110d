"""Arguments and options that several commands take."""

from __future__ import annotations

from typing import Annotated

import typer

from ..text.numbers import whole_number

Ref = Annotated[
    str, typer.Argument(metavar="REF", help="demo, random:…, hf:org/name@revision:PART, or a file or folder.")
]


def whole(text: str) -> int:
    """A whole number of the command line, in plain digits."""
    number = whole_number(str(text), least=-(10**9))
    if number is None:
        raise typer.BadParameter(f"{str(text)[:40]!r} is no whole number.")
    return number


AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
