"""What a terminal is told, if anybody reads it."""

from __future__ import annotations

import contextlib
import os
import sys

from ..text.printable import printable

CLEARED = "\r\x1b[K"  # a line, empty again


def complain(text: str) -> None:
    """One line on standard error, if anybody can read it; where not, what the command does is the same."""
    try:
        print(printable(" ".join(text.split())), file=sys.stderr, flush=True)
    except (OSError, ValueError):
        send_nowhere(2)


def send_nowhere(number: int) -> None:
    """What is left in a stream's buffer must not fail again when the interpreter ends."""
    with contextlib.suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), number)
