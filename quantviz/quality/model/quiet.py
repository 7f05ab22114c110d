"""Loading transformers without what it prints: progress bars, hints, and the complaints of packages it looks at."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable, Iterator
from functools import partial
from types import ModuleType

_NOISY = ("torchao", "torch.utils._pytree")  # imported by transformers where they are installed, and not used here
_LOCK = threading.Lock()
_inside = 0  # how many contexts are open, in all threads together
_restore: list[Callable[[], object]] = []


@contextlib.contextmanager
def transformers_quietly() -> Iterator[ModuleType]:
    """The transformers package, silent as long as a context is open; after the last, what was set before comes back."""
    global _inside
    with _LOCK:
        if not _inside:
            _silence()
        _inside += 1
    try:
        import transformers

        yield transformers
    finally:
        with _LOCK:
            _inside -= 1
            while not _inside and _restore:
                _restore.pop()()


def _silence() -> None:
    for name in _NOISY:
        logger = logging.getLogger(name)
        _restore.append(partial(logger.setLevel, logger.level))
        logger.setLevel(logging.ERROR)
    from transformers.utils import logging as theirs

    _restore.append(partial(theirs.set_verbosity, theirs.get_verbosity()))
    theirs.set_verbosity(logging.CRITICAL)
    if theirs.is_progress_bar_enabled():
        _restore.append(theirs.enable_progress_bar)
        theirs.disable_progress_bar()
