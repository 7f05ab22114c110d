"""Dask inside this process: a scheduler and a worker that are objects in memory, and open no port.

Imported where a sweep begins, since distributed takes a second to load.
"""

from __future__ import annotations

import logging
from typing import Any

import dask.config
from distributed import Scheduler, SpecCluster, Worker

# Threads are not sampled for profiles, which nobody would see here.
_SETTINGS = {"distributed.worker.profile.enabled": False, "distributed.admin.system-monitor.gil.enabled": False}


class _Portless:
    def start_http_server(self, *_: Any, **__: Any) -> None:
        """None: what distributed would serve here are pages and figures for people who run a cluster."""


class _Scheduler(_Portless, Scheduler):
    pass


class _Worker(_Portless, Worker):
    pass


def start(threads: int) -> SpecCluster:
    """A cluster of one worker with so many threads, to be closed by whoever uses it."""
    near = {"protocol": "inproc://", "dashboard": False}
    with dask.config.set(_SETTINGS):
        return SpecCluster(
            scheduler={"cls": _Scheduler, "options": near},
            workers={0: {"cls": _Worker, "options": {**near, "nthreads": threads, "memory_limit": 0}}},
            silence_logs=logging.CRITICAL,
        )
