"""Loading transformers without what it prints: progress bars, hints, and the complaints of packages it looks at."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from types import ModuleType

_NOISY = ("torchao", "torch.utils._pytree")  # imported by transformers where they are installed, and not used here


@contextlib.contextmanager
def transformers_quietly() -> Iterator[ModuleType]:
    """The transformers package, silent as long as the context lasts; what was set before comes back after."""
    loggers = [logging.getLogger(name) for name in _NOISY]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        import transformers
        from transformers.utils import logging as theirs

        level, bars = theirs.get_verbosity(), theirs.is_progress_bar_enabled()
        theirs.set_verbosity(logging.CRITICAL)
        theirs.disable_progress_bar()
        try:
            yield transformers
        finally:
            theirs.set_verbosity(level)
            if bars:
                theirs.enable_progress_bar()
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
