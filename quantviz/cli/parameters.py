"""Arguments and options that several commands take."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from ..text.numbers import whole_number

Ref = Annotated[
    str,
    typer.Argument(
        metavar="REF", help="demo, random:…, values:0.1,-0.2, picture:, hf:org/name@revision:PART, or a file or folder."
    ),
]


def whole(text: str) -> int:
    """A whole number of the command line, in plain digits."""
    number = whole_number(str(text), least=-(10**9))
    if number is None:
        raise typer.BadParameter(f"{str(text)[:40]!r} is no whole number.")
    return number


class TableCommand(TyperCommand):
    """A command in whose help {engines} and {devices} stand for what the tables say, read when help is asked for."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        from ..kernels.engines import TABLE
        from ..throughput.devices import DEVICES, NAMES, engine_of

        engines = " ".join(
            f"{name}: {engine.title}" + (f"; it leaves {engine.borrows}." if engine.borrows else ".")
            for name, engine in TABLE.items()
        )
        devices = ", ".join(f"{device} ({NAMES[device]}, engine {engine_of(device)})" for device in DEVICES)
        for option in self.params:
            option.help = (option.help or "").replace("{engines}", engines).replace("{devices}", devices) or None
        super().format_options(ctx, formatter)


AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
