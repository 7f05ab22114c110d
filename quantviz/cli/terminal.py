"""Messages on standard error, which may have no reader."""

from __future__ import annotations

import contextlib
import os
import sys

from ..text.printable import printable

CLEARED = "\r\x1b[K"  # a line, empty again


def complain(text: str) -> None:
    """Prints one line on standard error; without a reader the command goes on all the same."""
    try:
        print(printable(" ".join(text.split())), file=sys.stderr, flush=True)
    except (OSError, ValueError):
        send_nowhere(2)


def send_nowhere(number: int) -> None:
    """Makes a stream the null device, so that the rest of its buffer cannot fail when the interpreter ends."""
    with contextlib.suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), number)


def own_output() -> None:
    """From now on libraries that print notes of their own to standard output, as HiGHS does, print them to standard
    error: standard output is the result's.
    """
    try:
        if sys.stdout.fileno() != 1:
            return
        own = os.fdopen(os.dup(1), "w", encoding=sys.stdout.encoding, errors=sys.stdout.errors)
    except (OSError, ValueError):  # no file: a test's, or closed
        return
    sys.stdout.flush()
    os.dup2(2, 1)
    sys.stdout = own
