"""Arguments and options that several commands take."""

from __future__ import annotations

from typing import Annotated

import typer

Ref = Annotated[
    str, typer.Argument(metavar="REF", help="demo, random:…, hf:org/name@revision:FILE.gguf, or a file or folder.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
