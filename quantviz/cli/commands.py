"""The commands, each of which imports what it needs, so that help and usage errors come at once."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

import typer

from ..errors import QuantvizError
from .against import against
from .calibrate import calibrate
from .evaluate import evaluate
from .listing import schemes, tensors
from .mix import mix
from .parameters import TableCommand
from .plan import plan
from .quality import quality
from .sensitivity import sensitivity
from .sweep import sweep
from .throughput import throughput

PROGRAM = "python -m quantviz"

app = typer.Typer(
    help="What quantization does to the weights of a model.",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def _told_when_empty(command: Callable[..., None]) -> Callable[..., None]:
    """Refuses an option given as "": a script with an empty variable must not measure something else."""
    optional = [p.name for p in inspect.signature(command).parameters.values() if p.default is None]

    @functools.wraps(command)
    def run(**given: Any) -> None:
        for name in optional:
            values = given[name] if isinstance(given[name], list) else [given[name]]
            if any(value is not None and not str(value).strip() for value in values):
                raise QuantvizError(f"What was given for {name} is empty; give a value, or leave it out.")
        return command(**given)

    return run


for command in (
    tensors, schemes, evaluate, sweep, plan, against, mix, calibrate, quality, sensitivity, throughput,
):  # fmt: skip
    app.command(cls=TableCommand)(_told_when_empty(command))
