"""Trying again: which failures may pass, how long to wait, when to give up."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar

import httpx2

from ..errors import QuantvizError

Result = TypeVar("Result")
_SECONDS = re.compile(r"[0-9]{1,9}")

# What a call of the client raises where another try may succeed; RuntimeError where the shared client was just closed.
MAY_PASS = (httpx2.TransportError, httpx2.StreamError, RuntimeError)


@dataclass(frozen=True)
class Patience:
    """When to try again, and when to give up. Times in seconds."""

    attempts: int = 6  # failures in a row, without a byte between them, before giving up
    first_wait: float = 0.5  # doubles with each failure
    longest_wait: float = 8.0
    longest_asked: float = 60.0  # a server that asks for more is told to the user instead
    timeout: float = 15.0  # without a byte


class Interrupted(Exception):
    """A failure that may pass. `asked`: seconds the server wants us to wait; `advice`: what helps if it does not."""

    def __init__(
        self, reason: str, asked: float | None = None, advice: str = "check the network and try again"
    ) -> None:
        super().__init__(reason)
        self.asked = asked
        self.advice = advice


def network_reason(problem: Exception) -> str:
    """In our own words, because the library's may quote request headers, and with them a token."""
    if isinstance(problem, httpx2.TimeoutException):
        return "no answer in time"
    if isinstance(problem, httpx2.ConnectError):
        return "no connection"
    return "the connection dropped"


def passing_trouble(status: int, headers: Any) -> Interrupted | None:
    """The failure that an answer of this status is, if it may pass."""
    if status == 429:
        return Interrupted(
            "the server limits the rate of requests", retry_after(headers), "try again later, or set a token"
        )
    if status == 408 or status >= 500:
        return Interrupted(f"the server answered {status}", retry_after(headers), "try again later")
    return None


def retry_after(headers: Any) -> float | None:
    """Seconds that a 429 or 503 asks for: Retry-After as a number or a date, or the Hub's own `ratelimit` header."""
    text = (headers.get("Retry-After") or "").strip()
    if _SECONDS.fullmatch(text):
        return float(text)
    if text:
        try:
            return max(0.0, parsedate_to_datetime(text).timestamp() - time.time())
        except (ValueError, TypeError, OverflowError):  # no date, or one of a year beyond all clocks
            pass
    fields = dict(part.strip().partition("=")[::2] for part in (headers.get("ratelimit") or "").split(";"))
    exhausted = fields.get("r") == "0" and _SECONDS.fullmatch(fields.get("t", ""))
    return float(fields["t"]) if exhausted else None


class Attempts:
    """Counts failures in a row and waits between them."""

    def __init__(self, patience: Patience, what: str, sleep: Callable[[float], object]) -> None:
        self._patience, self._what, self._sleep = patience, what, sleep
        self._failures = 0

    def succeeded(self) -> None:
        self._failures = 0

    def failed(self, problem: Interrupted) -> None:
        """Wait as long as is due; raise QuantvizError where it is time to give up."""
        p = self._patience
        self._failures += 1
        if problem.asked is not None and problem.asked > p.longest_asked:
            raise QuantvizError(
                f"{self._what}: {problem}, and the server asks to wait {problem.asked:.0f} seconds; try again then."
            ) from None
        if self._failures >= p.attempts:
            raise QuantvizError(
                f"{self._what}: {problem}, {self._failures} times in a row; {problem.advice}."
            ) from None
        backoff = min(p.longest_wait, p.first_wait * 2 ** (self._failures - 1))
        self._sleep(backoff if problem.asked is None else problem.asked)


def persist(call: Callable[[], Result], patience: Patience, what: str) -> Result:
    """The result of `call`, tried again each time it is Interrupted."""
    attempts = Attempts(patience, what, time.sleep)
    while True:
        try:
            return call()
        except Interrupted as problem:
            attempts.failed(problem)
