"""The command line as a process: signals, streams that are closed, exit statuses.

Loaded before anything that takes time, so that an interruption finds it in place. A result is written whole, once
everything that can fail has been done: a command that is stopped prints nothing, never half a table.
"""

from __future__ import annotations

import contextlib
import io
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import NoReturn

from ..errors import QuantvizError
from ..text.printable import printable
from .terminal import CLEARED, complain, send_nowhere

EXIT_BAD_INPUT = 2
EXIT_INTERRUPTED = 130  # 128 + SIGINT, as shells have it
EXIT_NO_READER = 141  # 128 + SIGPIPE: the reader of standard output, such as head, closed it
GRACE = 5.0  # seconds that work in other threads has to end in after an interruption


def entry() -> NoReturn:
    """Runs the command line that the process was started with, and ends the process."""
    interruption = _Interruption()
    _open_streams()
    if sys.stdout is None:
        complain("Standard output is closed, so there is nowhere to print to; leave it open, or send it to a file.")
        sys.exit(EXIT_BAD_INPUT)
    status = EXIT_INTERRUPTED
    try:
        from . import commands  # noqa: F401  (what takes a moment: until it is there, an interruption ends the process)

        with interruption.raised():
            status = main(shielded=interruption.shielded)
    except BaseException:
        if not interruption.seen:  # else the interruption caused it, such as half an import
            raise
    if interruption.seen:
        interruption.end()
    sys.exit(status)


def main(
    arguments: Sequence[str] | None = None,
    shielded: Callable[[], contextlib.AbstractContextManager[None]] = contextlib.nullcontext,
) -> int:
    """Runs one command and returns its exit status; `arguments` default to the process's own.

    shielded: within which the result is written.
    """
    from typer.exceptions import TyperException

    from .commands import PROGRAM, app

    printed = io.StringIO()
    try:
        with contextlib.redirect_stdout(printed):
            status = app(args=arguments, prog_name=PROGRAM, standalone_mode=False) or 0
    except QuantvizError as error:
        return _refuse(str(error))
    except TyperException as error:  # an unknown option, a missing argument
        context = getattr(error, "ctx", None)
        usage = f" ({context.get_usage()})" if context else ""
        return _refuse(error.format_message() + usage)
    except MemoryError:
        return _refuse("This takes more memory than there is; choose fewer rows or a smaller model.")
    except OSError as problem:  # no room for temporary files, no file descriptor left
        where = f" ({problem.filename})" if problem.filename else ""
        return _refuse(f"The system refuses what this takes: {(problem.strerror or str(problem)).lower()}{where}.")
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    if status:  # typer gives 130 back for an interruption
        return status
    with shielded():
        return _write(printed.getvalue())


def _refuse(message: str) -> int:
    complain(message)
    return EXIT_BAD_INPUT


def _write(text: str) -> int:
    """The result, on standard output; 0 if it is there. Names in it may come from anyone: none steers the terminal."""
    try:
        sys.stdout.write("\n".join(printable(line, sys.maxsize) for line in text.split("\n")))
        sys.stdout.flush()
        return 0
    except BrokenPipeError:
        send_nowhere(1)
        return EXIT_NO_READER
    except OSError as problem:
        send_nowhere(1)
        return _refuse(f"Standard output cannot be written to: {(problem.strerror or 'input/output error').lower()}.")


def _open_streams() -> None:
    """A standard stream that is closed is the null device: else the next file that is opened takes its place."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115  (for as long as the process lives)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # a terminal that lacks × or √ gets an escape


class _Interruption:
    """Ctrl-C: status 130, without a word.

    Before a command runs and after it, the process ends at once. While it runs, KeyboardInterrupt is raised, so that
    what arrived is kept and the terminal is left clean; errors that the interruption causes in other code are not
    shown. A second one, or other threads that do not end, end the process.
    """

    def __init__(self) -> None:
        self.seen = False
        self._raises = self._shielded = False
        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # else it is ignored, as nohup wants
            signal.signal(signal.SIGINT, self._came)

    @contextlib.contextmanager
    def raised(self) -> Iterator[None]:
        self._raises = True
        try:
            yield
        finally:
            self._raises = False

    @contextlib.contextmanager
    def shielded(self) -> Iterator[None]:
        """Inside, the first interruption waits for the end."""
        self._shielded = True
        try:
            yield
        finally:
            self._shielded = False

    def end(self) -> NoReturn:
        with contextlib.suppress(OSError, ValueError):
            if sys.stderr.isatty():
                os.write(2, CLEARED.encode())
        os._exit(EXIT_INTERRUPTED)

    def _came(self, *_: object) -> None:
        if self.seen or not self._raises:
            self.end()
        self.seen = True
        sys.unraisablehook = threading.excepthook = lambda *_: None
        watchdog = threading.Timer(GRACE, self.end)
        watchdog.daemon = True
        watchdog.start()
        if not self._shielded:
            raise KeyboardInterrupt
