"""Errors that libraries raise for a damaged or unknown model, as one sentence that says what is at fault."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from ..errors import QuantvizError

_PANIC = "PanicException"  # of tokenizers, a library in Rust: a BaseException that no `except Exception` catches


@contextlib.contextmanager
def blamed(name: str, what: str) -> Iterator[None]:
    """A context that raises them. name: of the model.  what: the part at fault, such as "its tokenizer"."""
    try:
        yield
    except (QuantvizError, MemoryError):
        raise
    except BaseException as problem:
        if not isinstance(problem, Exception) and type(problem).__name__ != _PANIC:
            raise
        lines = [line.strip() for line in str(problem).splitlines() if line.strip()]
        reason = (lines[0] if lines else type(problem).__name__).rstrip(".")[:240]
        if "trust_remote_code" in str(problem) or "custom code" in str(problem):
            reason = "it needs code of its own, which quantviz never runs"
        raise QuantvizError(f"{name} cannot be opened, {what} is at fault: {reason}.") from None
