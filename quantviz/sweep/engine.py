"""Who computes: threads of this process, processes of this machine, or a Dask cluster that is running.

Workers open the source by its reference; what travels is the name of a tensor there and its rows of the table back.
"""

from __future__ import annotations

import contextlib
import itertools
import logging
import math
import os
import pickle
import queue
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from ..errors import QuantvizError
from ..text.wording import listed
from . import worker
from .targets import Target
from .worker import Ended, Job, Row

if TYPE_CHECKING:
    from distributed import Client, Future

Item = tuple[Target, Any, tuple[str, ...]]  # what is measured, its importance or None, notices
READING_AHEAD = 2  # threads: one computes, and the other fetches the next tensor
SAMPLING = 4  # threads, where most of the time is spent on waiting for bytes
CONNECTING = 5.0  # seconds
_COUNTED = 5.0  # seconds between two looks at how many workers there are
_ALONE = 60.0  # seconds without any worker; one that is started again is back in less
_COMING = 5.0  # seconds that rows may take from a worker, some kilobytes
_LOOK = 0.1  # seconds between two looks at how far the work is
_DEADLY = "Workers that were given it died one after the other, perhaps of too little memory; sweep with fewer workers."
_SHOWN = 4  # addresses in a sentence


def threads_of(workers: int | None) -> int:
    """Of each worker's kernels, so that all of this machine's workers together have one a processor; 0 for all."""
    return max(1, (os.cpu_count() or 1) // workers) if workers else 0


@contextlib.contextmanager
def connected(workers: int | None, scheduler: str | None, sampled: bool = False) -> Iterator[Client]:
    """A client of the cluster that is to compute.

    workers: processes of this machine.  scheduler: address of a running one.  Neither: threads of this process.
    Raises QuantvizError for a scheduler that does not answer, has no workers, or workers of another quantviz.
    """
    from distributed import Client

    with contextlib.ExitStack() as stack:
        stack.enter_context(_quiet())
        if scheduler:
            yield stack.enter_context(_client_at(scheduler))
            return
        from . import clusters

        threads = SAMPLING if sampled else READING_AHEAD
        started = clusters.of_processes(workers, threads) if workers else clusters.of_threads(threads)
        cluster = stack.enter_context(started)
        yield stack.enter_context(Client(cluster, set_as_default=False))


def _client_at(address: str) -> Client:
    from distributed import Client

    try:
        client = Client(address, timeout=CONNECTING, set_as_default=False)
    except (OSError, TimeoutError, ValueError, RuntimeError, TypeError) as problem:
        raise QuantvizError(
            f"No Dask scheduler answers at {address[:200]!r} within {CONNECTING:g} s ({_reason(problem)}); start one "
            "with `dask scheduler`, and give the address it prints, such as tcp://10.0.0.1:8786."
        ) from None
    try:
        _check_workers(client, address)
    except BaseException:
        client.close()
        raise
    return client


def _check_workers(client: Client, address: str) -> None:
    with contextlib.suppress(TimeoutError):
        client.wait_for_workers(1, timeout=CONNECTING)
    found = client.run(worker.version, on_error="return")
    if not found:
        raise QuantvizError(f"The scheduler at {address} has no workers; start some with `dask worker {address}`.")
    check_versions(found)


def check_versions(found: dict[str, object]) -> None:
    """found: by a worker's address, its version of quantviz, or the error that asking for it caused."""
    others = {where: said for where, said in found.items() if said != worker.version()}
    if others:
        told = [
            f"{where} has {said if isinstance(said, str) else 'none that sweeps'}" for where, said in others.items()
        ]
        raise QuantvizError(
            f"All workers need quantviz {worker.version()}, as here: {listed(told, _SHOWN)}; install it there, or "
            "start them in its folder with `python -m dask worker`."
        )


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without distributed's own words on standard error, where whatever matters is said by an exception."""
    handlers = logging.getLogger("distributed").handlers[:]

    def nothing(record: logging.LogRecord) -> bool:
        return False

    for handler in handlers:
        handler.addFilter(nothing)
    try:
        yield
    finally:
        for handler in handlers:
            handler.removeFilter(nothing)


# -- results ---------------------------------------------------------------------------------------


def results(
    client: Client, job: Job, items: Iterator[Item], tick: Callable[[], None]
) -> Iterator[tuple[Target, list[Row]]]:
    """The rows of each item, as they come; a few of them are with the workers at a time.

    tick: called while nothing comes; what it raises ends the work, as closing the iterator does.
    Raises QuantvizError where the source is not what it was, and where the connection is lost.
    """
    arrived: queue.SimpleQueue[Future] = queue.SimpleQueue()
    flying: dict[str, tuple[Future, Item]] = {}
    number, limit, again = 0, _AtOnce(client), _Again(client)
    items = itertools.chain(items)
    try:
        while True:
            while len(flying) < limit.now() and (item := next(items, None)):
                sealed = pickle.dumps((worker.run, (job, *item)))
                with _lost_is_told():
                    future = client.submit(_OPENING, sealed, key=f"quantviz-{job.run}-{number}", pure=False)
                flying[future.key] = future, item
                future.add_done_callback(arrived.put)
                number += 1
            if not flying:
                return
            try:
                future = arrived.get(timeout=_LOOK)
                item = flying.pop(future.key)[1]
            except (queue.Empty, KeyError):
                tick()
                continue
            if future.cancelled() and again.may(item[0]):
                items = itertools.chain([item], items)
                continue
            rows = _rows(job, item[0], future)
            if rows is None:
                flying[future.key] = future, item
                future.add_done_callback(arrived.put)
                tick()
                continue
            yield item[0], rows
    finally:
        with contextlib.suppress(Exception):  # the connection may be gone, which whoever gets here knows
            client.cancel([future for future, _ in flying.values()])


class _Again:
    """Whether work that a scheduler dropped is given to it again: once, while it still answers."""

    def __init__(self, client: Client) -> None:
        self._client, self._given = client, set[str]()

    def may(self, target: Target) -> bool:
        if target.name in self._given or self._client.status != "running":
            return False
        self._given.add(target.name)
        return True


@contextlib.contextmanager
def _lost_is_told() -> Iterator[None]:
    """A context in which the end of the connection is a sentence."""
    from distributed.client import ClosedClientError, FutureCancelledError

    try:
        yield
    except (OSError, ClosedClientError, FutureCancelledError) as problem:
        reason = getattr(problem, "reason", None) or _reason(problem)
        raise QuantvizError(
            f"The connection to the scheduler was lost ({reason}); what is complete is kept, so go on with resume."
        ) from None


def _opening() -> Callable[[bytes], Any]:
    """What opens a call that was sealed, and makes it.

    A scheduler looks into the calls that it hands on, and one that was started anywhere does not have quantviz. What
    stands inside another function travels as its own text, and bytes as they are.
    """

    def opened(sealed: bytes) -> Any:
        import pickle

        call, arguments = pickle.loads(sealed)  # in a worker, of what the sweep that asked for it has written
        return call(*arguments)

    return opened


_OPENING = _opening()


class _AtOnce:
    """How many items are with the workers: one more than there are threads, so that none waits."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._limit, self._asked, self._seen = 2, -math.inf, time.monotonic()

    def now(self) -> int:
        """Raises QuantvizError where all workers have been gone for a while: a scheduler would wait for ever."""
        if time.monotonic() - self._asked > _COUNTED:  # workers come and go
            with _lost_is_told():
                threads = sum(self._client.nthreads().values())
            self._limit, self._asked = max(2, threads + 1), time.monotonic()
            if threads:
                self._seen = self._asked
            elif self._asked - self._seen > _ALONE:
                raise QuantvizError(
                    f"The scheduler has had no workers for {_ALONE:g} s; what is complete is kept, so start some with "
                    "`dask worker` and go on with resume."
                )
        return self._limit


def _rows(job: Job, target: Target, future: Future) -> list[Row] | None:
    """None where they do not come: whoever had them has died since, and they are made again."""
    from distributed import KilledWorker

    try:
        with _lost_is_told():
            try:
                found = future.result(timeout=_COMING)
            except TimeoutError:
                if future.status == "error":  # the work's own
                    raise
                return None
    except KilledWorker:
        return worker.refusals(job, target, _DEADLY)
    except ImportError as problem:  # a worker that joined since they were asked
        raise QuantvizError(f"A worker has another quantviz ({_reason(problem)}); install the same on all.") from None
    if isinstance(found, Ended):
        raise QuantvizError(found.reason)
    return found


def _reason(problem: BaseException) -> str:
    said = str(problem).partition("\n")[0].strip().rstrip(".")
    return said[:200] or type(problem).__name__
