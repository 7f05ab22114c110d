"""Byte ranges of a remote file: in pieces, in parallel, going on where a connection dropped."""

from __future__ import annotations

import re
import threading
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Any, TypeVar

import httpx2

from ..errors import QuantvizError
from .model import Progress
from .retry import MAY_PASS, Attempts, Interrupted, Patience, network_reason, passing_trouble
from .span import Span

PIECE = 4 << 20  # bytes a request: long enough that asking costs little, short enough to spread over connections
CONNECTIONS = 8
_REPORT_SECONDS = 0.1

Item = TypeVar("Item")
Result = TypeVar("Result")


class Cancelled(Exception):
    """Another piece failed, or the caller gave up."""


# Called with a response's status (not 200, 206, 429 or 5xx) and headers; raises what the user should read.
Refusal = Callable[[int, Any], None]


@dataclass(frozen=True)
class Source:
    """Where bytes are asked for, with which headers, and the strong ETag they had there."""

    url: str
    headers: dict[str, str]
    validator: str = ""


class RemoteFile:
    """A file of `size` bytes behind `url`, read in ranges.

    The Hub answers with a redirect to the server that holds the bytes; that address is used
    for further ranges until it expires. `headers` carry the token and go to the Hub only:
    the client drops Authorization when a redirect leads to another origin. `session` gives the
    client anew each time, since huggingface_hub closes the shared one when a connection fails.
    """

    def __init__(
        self, session: Callable[[], Any], url: str, headers: dict[str, str], size: int, etag: str, name: str,
        refuse: Refusal, patience: Patience,
    ) -> None:  # fmt: skip
        self.size, self.etag, self.name = size, etag, name
        self._session, self._refuse, self._patience = session, refuse, patience
        self._hub = self._source = Source(url, headers)
        # The Hub's own ETag of the file, which is its SHA-256 where the list of files gave one; else once seen.
        self._linked = etag if re.fullmatch(r"[0-9a-f]{64}", etag) else ""
        self._strong = ""  # what the server that holds the bytes calls them

    def read(self, start: int, stop: int, cancel: threading.Event) -> bytes:
        """Bytes [start, stop), for the few that a header takes."""
        parts: list[bytes] = []
        self.transfer(start, stop, parts.append, cancel)
        return b"".join(parts)

    def transfer(self, start: int, stop: int, sink: Callable[[bytes], None], cancel: threading.Event) -> None:
        """Give bytes [start, stop) to sink(chunk) in order, each byte once, whatever drops between."""

        def sleep(seconds: float) -> None:
            if cancel.wait(seconds):
                raise Cancelled

        attempts = Attempts(self._patience, self.name, sleep)
        while start < stop:
            try:
                for chunk in self._stream(start, stop):
                    if cancel.is_set():
                        raise Cancelled
                    sink(chunk)
                    start += len(chunk)
                    attempts.succeeded()
                if start < stop:
                    raise Interrupted("the server sent less than it promised")
            except Interrupted as problem:
                attempts.failed(problem)

    def _stream(self, start: int, stop: int) -> Iterator[bytes]:
        """Chunks of [start, stop) from one request; it may end early. Raises Interrupted or QuantvizError."""
        source = self._source
        headers = {**source.headers, "Range": f"bytes={start}-{stop - 1}", "Accept-Encoding": "identity"}
        if source.validator:
            headers["If-Range"] = source.validator
        try:
            with self._session().stream(
                "GET", source.url, headers=headers, follow_redirects=True, timeout=self._patience.timeout
            ) as response:
                self._check(response, start, stop, source)
                left = stop - start
                for chunk in response.iter_raw():
                    if len(chunk) > left:
                        raise QuantvizError(f"{self.name}: the server sent more bytes than were asked for.")
                    left -= len(chunk)
                    yield chunk
        except MAY_PASS as problem:
            raise Interrupted(network_reason(problem)) from None
        except (httpx2.HTTPError, httpx2.InvalidURL):
            raise QuantvizError(f"{self.name}: the server redirects to where nothing can be read.") from None

    def _check(self, response: Any, start: int, stop: int, source: Source) -> None:
        """Nothing of the body is read before the answer is found to be the range asked for, of the same file."""
        status, headers = response.status_code, response.headers
        changed = QuantvizError(f"{self.name} changed on the server while it was read; open the model again.")
        elsewhere = source is not self._hub or origin(response.url) != origin(httpx2.URL(source.url))
        if elsewhere and 400 <= status < 500 and status not in (408, 416, 429):
            self._source = self._hub  # a signed address lives for an hour or so: ask the Hub for a new one
            raise Interrupted(f"the server that holds the file answered {status}")
        if trouble := passing_trouble(status, headers):
            raise trouble
        if status == 416:
            raise changed
        if status not in (200, 206):
            self._refuse(status, headers)
        for linked in (r.headers.get("X-Linked-ETag", "").strip('"') for r in (*response.history, response)):
            if linked and linked != (self._linked or linked):
                raise changed
            self._linked = linked or self._linked
        if headers.get("Content-Encoding", "identity") != "identity":
            raise QuantvizError(f"{self.name}: the server compresses the file, so no part of it can be read alone.")
        etag = headers.get("ETag", "")
        same = not (source.validator and etag) or etag == source.validator
        whole = (start, stop) == (0, self.size) and same
        if status == 200 and not (whole and headers.get("Content-Length") in (None, str(self.size))):
            if source.validator:
                raise changed
            raise QuantvizError(
                f"{self.name}: the server ignores byte ranges and would send all {self.size:,} bytes; "
                "download the file and open it from disk."
            )
        if status == 206:
            first, total = _content_range(headers.get("Content-Range", ""))
            strong = etag if etag.startswith('"') else ""
            if first != start:
                raise Interrupted("the server sent another range than was asked for")
            if total != self.size or not same:
                raise changed
            if not self._linked and strong and strong != (self._strong or strong):
                raise changed  # asked anew, after an address had expired, and nothing else says which file it is
            self._strong = strong or self._strong
            if source is self._hub:
                own = origin(response.url) == origin(httpx2.URL(source.url))
                self._source = Source(str(response.url), source.headers if own else {}, strong)


def origin(url: httpx2.URL) -> tuple[str, str, int | None]:
    return url.scheme, url.host, url.port


def _content_range(text: str) -> tuple[int, int]:
    """`bytes 10-19/200` -> (10, 200); (-1, -1) where it says nothing of the kind."""
    found = re.fullmatch(r"bytes ?([0-9]{1,18})-[0-9]{1,18}/([0-9]{1,18})", text.strip(), re.IGNORECASE)
    return (int(found[1]), int(found[2])) if found else (-1, -1)


def fetch(remote: RemoteFile, offset: int, span: Span, start: int, stop: int, progress: Progress | None = None) -> None:
    """Fill bytes [start, stop) of `span`, which begins at byte `offset` of the remote file, with what is missing.

    Pieces travel in parallel; progress is reported on this thread. Whatever ends it, what arrived is recorded.
    """
    missing = span.missing(start, stop)
    pieces = [(a, min(a + PIECE, last)) for first, last in missing for a in range(first, last, PIECE)]
    total, done = stop - start, [stop - start - sum(b - a for a, b in missing)]
    lock = threading.Lock()

    def get(piece: tuple[int, int], cancel: threading.Event) -> None:
        position, checksum = piece[0], 0

        def sink(chunk: bytes) -> None:
            nonlocal position, checksum
            span.write(position, chunk)
            position, checksum = position + len(chunk), zlib.crc32(chunk, checksum)
            with lock:
                done[0] += len(chunk)

        try:
            remote.transfer(offset + piece[0], offset + piece[1], sink, cancel)
        finally:
            if position > piece[0]:
                span.record(piece[0], position, checksum)

    in_parallel(get, pieces, lambda: progress(done[0], total) if progress else None)
    if progress:
        progress(total, total)


def in_parallel(
    work: Callable[[Item, threading.Event], Result], items: list[Item], report: Callable[[], object] = lambda: None
) -> list[Result]:
    """[work(item, cancel) for item in items] over several connections; the first failure cancels the rest.

    `report` is called now and then on this thread, and may raise to cancel.
    """
    if not items:
        return []
    cancel = threading.Event()
    with ThreadPoolExecutor(min(CONNECTIONS, len(items)), thread_name_prefix="quantviz-hub") as pool:
        futures: list[Future[Result]] = [pool.submit(work, item, cancel) for item in items]
        try:
            waiting = set(futures)
            while waiting:
                finished, waiting = wait(waiting, timeout=_REPORT_SECONDS, return_when=FIRST_EXCEPTION)
                for future in finished:
                    future.result()
                report()
        except BaseException:
            cancel.set()
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return [future.result() for future in futures]
