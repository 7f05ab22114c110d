"""Arguments and options that several commands take."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from typing import Annotated, Any, get_type_hints

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


def with_groups(command: Callable[..., None]) -> Callable[..., None]:
    """A command that takes the fields of its parameters' dataclasses as options of its own, in their places.

    Each such parameter is annotated with the dataclass, whose fields are annotated as options are.
    """
    hints, given = get_type_hints(command, include_extras=True), inspect.signature(command).parameters
    groups = {name: hints[name] for name in given if is_dataclass(hints[name])}
    options: dict[str, inspect.Parameter] = {}
    for name, parameter in given.items():
        if name not in groups:
            options[name] = parameter.replace(annotation=hints[name], kind=parameter.KEYWORD_ONLY)
            continue
        of = get_type_hints(groups[name], include_extras=True)
        for f in fields(groups[name]):
            options[f.name] = inspect.Parameter(
                f.name, parameter.KEYWORD_ONLY, default=f.default, annotation=of[f.name]
            )

    def run(**values: Any) -> None:
        made = {n: group(**{f.name: values.pop(f.name) for f in fields(group)}) for n, group in groups.items()}
        command(**values, **made)

    run.__name__, run.__doc__ = command.__name__, command.__doc__
    run.__signature__ = inspect.Signature(options.values())
    run.__annotations__ = {name: parameter.annotation for name, parameter in options.items()}
    return run


AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
