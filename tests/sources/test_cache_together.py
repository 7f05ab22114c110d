"""One cache used by many: threads, and processes that pause or die where it hurts most."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
import zlib
from pathlib import Path

import numpy as np
import pytest

from quantviz.errors import QuantvizError
from quantviz.machine import disk
from quantviz.sources import open_model
from quantviz.sources.cache import Cache
from tests.sources.builders import safetensors, weights

ROOT = Path(__file__).parents[2]
NBYTES = 300_000
KEYS = ("one", "two", "three")
LIMIT = 700_000  # so that two fit and the third makes room

# Fills tensors of a cache in turn, pausing between any two steps for as long as the cache's other users need to
# get into it; says "N read" at the end.
WORKER = """
import random, sys, time, zlib
from pathlib import Path
from quantviz.sources.cache import Cache
from tests.sources.test_cache_together import KEYS, LIMIT, content, use

cache, rng = Cache(Path(sys.argv[1]), LIMIT), random.Random(int(sys.argv[2]))
print("ready", flush=True)
for turn in range(int(sys.argv[3])):
    use(cache, rng.choice(KEYS), rng.uniform(0, 0.004))
print(turn + 1, "read", flush=True)
"""
# Holds a tensor of which it has recorded half, and has the other half in the file unrecorded.
HOLDER = """
import sys, time, zlib
from pathlib import Path
from quantviz.sources.cache import Cache
from tests.sources.test_cache_together import LIMIT, NBYTES, content

with Cache(Path(sys.argv[1]), LIMIT).span("one", NBYTES, 0, NBYTES) as span:
    data = content("one")
    span.write(0, data[:1000])
    span.record(0, 1000, zlib.crc32(data[:1000]))
    span.write(1000, data[1000:2000])
    print("ready", flush=True)
    time.sleep(60)
"""


def content(key: str) -> bytes:
    """No zeros, and its own for each key."""
    return np.random.default_rng(KEYS.index(key)).integers(1, 256, NBYTES, np.uint8).tobytes()


def use(cache: Cache, key: str, pause: float = 0.0) -> int:
    """Fetch what is missing of a tensor and read it; fails where a byte is wrong. Gives the bytes fetched."""
    expected, fetched = content(key), 0
    with cache.span(key, NBYTES, 0, NBYTES) as span:
        for start, stop in span.missing(0, NBYTES):
            for first in range(start, stop, 100_000):
                piece = expected[first : min(first + 100_000, stop)]
                span.write(first, piece)
                time.sleep(pause)
                span.record(first, first + len(piece), zlib.crc32(piece))
                fetched += len(piece)
        data = span.map(np.dtype("u1"), 0, NBYTES)
    time.sleep(pause)
    assert np.asarray(data).tobytes() == expected
    return fetched


def start(code: str, *arguments: object) -> subprocess.Popen:
    process = subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)], cwd=ROOT, text=True, stdout=subprocess.PIPE
    )
    assert process.stdout.readline() == "ready\n"
    return process


def test_two_processes_and_threads_on_one_cache(tmp_path):
    cache = Cache(tmp_path, LIMIT)
    processes = [start(WORKER, tmp_path, seed, 40) for seed in range(2)]
    failures: list[BaseException] = []

    def work() -> None:
        try:
            while any(process.poll() is None for process in processes):
                for key in KEYS:
                    use(cache, key)
        except BaseException as problem:
            failures.append(problem)

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    said = [process.communicate(timeout=120)[0] for process in processes]
    for thread in threads:
        thread.join()
    assert (said, failures) == (["40 read\n"] * 2, [])


def test_a_second_process_waits_and_goes_on_where_the_first_was_killed(tmp_path):
    holder, cache = start(HOLDER, tmp_path), Cache(tmp_path, LIMIT)
    waits = []

    def waiting() -> None:
        waits.append(1)
        if len(waits) == 3:
            holder.send_signal(signal.SIGKILL)
            holder.communicate()

    with cache.span("one", NBYTES, 0, NBYTES, waiting) as span:
        assert len(waits) >= 3
        assert span.missing(0, NBYTES) == [(1000, NBYTES)]
    assert use(cache, "one") == NBYTES - 1000


def test_who_waits_may_give_up(tmp_path):
    holder, cache = start(HOLDER, tmp_path), Cache(tmp_path, LIMIT)

    def waiting() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), cache.span("one", NBYTES, 0, NBYTES, waiting):
        pass
    holder.kill()
    holder.communicate()


def test_what_another_process_uses_does_not_make_room(tmp_path):
    holder, cache = start(HOLDER, tmp_path), Cache(tmp_path, NBYTES + 1)
    os.utime(tmp_path / "one.data", (0, 0))  # the least recently used by far
    for key in ("two", "three"):
        use(cache, key)
    assert {path.stem for path in tmp_path.glob("*.data")} == {"one", "three"}
    holder.kill()
    holder.communicate()


def test_no_lock_is_left_behind(tmp_path):
    use(Cache(tmp_path, LIMIT), "one")
    assert {path.name for path in tmp_path.iterdir()} == {"one.data", "one.ranges"}


def test_a_lock_removed_meanwhile_is_none(tmp_path):
    """Someone opens the file of a lock, its holder removes it, a third makes a new one: the first must not get in."""
    path = tmp_path / "a.lock"
    first = disk.Lock.take(path)
    assert first and disk.Lock.take(path) is None
    path.unlink()
    second = disk.Lock.take(path)
    assert second and disk.Lock.take(path) is None
    for lock in (first, second):
        lock.release()


def test_files_that_vanish_while_room_is_made(tmp_path, monkeypatch):
    cache, listed = Cache(tmp_path, LIMIT), Path.iterdir
    monkeypatch.setattr(Path, "iterdir", lambda path: iter([*listed(path), path / "gone.header", path / "x.1-2.part"]))
    for key in KEYS * 2:
        use(cache, key)
        cache.keep_header(f"header of {key}", b"x" * 1000)


def test_headers_are_kept_while_others_make_room(tmp_path):
    cache, failures = Cache(tmp_path, 50_000), []

    def work(number: int) -> None:
        try:
            for turn in range(60):
                key, header = f"key{(turn * 7 + number) % 11}", bytes([number + 1]) * 9000
                cache.keep_header(key, header)
                kept = cache.header(key)
                assert kept is None or (len(kept), len(set(kept))) == (9000, 1)
        except BaseException as problem:
            failures.append(problem)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert not list(tmp_path.glob("*.part")) and not list(tmp_path.glob("*.lock"))


DOWNLOAD = """
import sys
from quantviz.sources import open_model
print("ready", flush=True)
open_model("hf:org/name").load("w")
"""


def test_killed_in_mid_download(hub, tmp_path):
    """Wherever it dies, the next one has the right bytes, and fetches little twice."""
    w = weights(3000, 1024)
    hub.add_repo("org/name", {"model.safetensors": safetensors({"w": w})})
    for delay in (0.3, 0.4, 0.5):
        process = start(DOWNLOAD)
        time.sleep(delay)
        process.kill()
        process.communicate()
    assert np.array_equal(open_model("hf:org/name").load("w"), w)


def test_a_cache_that_cannot_be_locked_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(disk.Lock, "take", lambda path: (_ for _ in ()).throw(OSError(30, "Read-only file system")))
    with pytest.raises(QuantvizError, match=r"cannot be used \(read-only file system\)"):
        use(Cache(tmp_path, LIMIT), "one")
