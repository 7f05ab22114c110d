"""Dask clusters of a sweep's own: objects in memory that open no port, or processes that listen on this machine alone.

Imported where a sweep begins, since distributed takes a second to load.
"""

from __future__ import annotations

import logging
from typing import Any

import dask.config
from distributed import Nanny, Scheduler, SpecCluster, Worker

_LOOPBACK = "127.0.0.1"
_SILENT = logging.CRITICAL
# Threads are not sampled for profiles, which nobody would see here.
_SETTINGS = {"distributed.worker.profile.enabled": False, "distributed.admin.system-monitor.gil.enabled": False}


class _Quiet:
    def start_http_server(self, *_: Any, **__: Any) -> None:
        """None: what distributed would serve here are pages and figures for people who run a cluster."""


class _Scheduler(_Quiet, Scheduler):
    pass


class _Worker(_Quiet, Worker):
    pass


def of_threads(threads: int) -> SpecCluster:
    """A scheduler and a worker with so many threads, in this process."""
    near = {"protocol": "inproc://"}
    return _started(near, {0: {"cls": _Worker, "options": {**near, "nthreads": threads, "memory_limit": 0}}})


def of_processes(workers: int, threads: int) -> SpecCluster:
    """So many processes with so many threads each. One that dies is started again."""
    near = {"protocol": "tcp://", "host": _LOOPBACK}
    options = {**near, "nthreads": threads, "memory_limit": 0, "worker_class": _Worker, "silence_logs": _SILENT}
    return _started({**near, "port": 0}, {number: {"cls": Nanny, "options": options} for number in range(workers)})


def _started(scheduler: dict[str, Any], workers: dict[int, dict[str, Any]]) -> SpecCluster:
    """To be closed by whoever uses it."""
    with dask.config.set(_SETTINGS):
        return SpecCluster(
            scheduler={"cls": _Scheduler, "options": {**scheduler, "dashboard": False}}, workers=workers,
            silence_logs=_SILENT,
        )  # fmt: skip
