"""The command line: `python -m quantviz tensors | schemes | evaluate | against | mix | quality | throughput`.

With --json, standard output is one JSON document and nothing else. Bad input exits 2 with one line on
standard error. Each command imports what it needs, so that help and usage errors come at once.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

import typer
from typer.exceptions import TyperException

from ..errors import QuantvizError
from .against import against
from .evaluate import evaluate
from .listing import schemes, tensors
from .mix import mix
from .output import one_line
from .quality import quality
from .throughput import throughput

PROGRAM = "python -m quantviz"
EXIT_BAD_INPUT = 2
EXIT_INTERRUPTED = 130  # 128 + SIGINT, as shells have it

app = typer.Typer(
    help="What quantization does to the weights of a model.",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
for command in (tensors, schemes, evaluate, against, mix, quality, throughput):
    app.command()(command)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit status; `arguments` default to the process's own."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # a terminal that lacks × or √ gets an escape
    try:
        status = app(args=arguments, prog_name=PROGRAM, standalone_mode=False) or 0
        sys.stdout.flush()
        return status
    except QuantvizError as error:
        return _refuse(str(error))
    except TyperException as error:  # an unknown option, a missing argument
        context = getattr(error, "ctx", None)
        usage = f" ({context.get_usage()})" if context else ""
        return _refuse(error.format_message() + usage)
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except BrokenPipeError:  # whoever read standard output, such as head, has enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def _refuse(message: str) -> int:
    print(one_line(message), file=sys.stderr)
    return EXIT_BAD_INPUT
