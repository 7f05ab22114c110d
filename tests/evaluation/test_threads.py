"""Many visitors evaluate at once: every one gets, bit for bit, what one alone gets."""

from __future__ import annotations

import math
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import quantviz as qv
from quantviz.evaluation import Evaluation

THREADS = 6
KEYS = ("int4-sym-b64", "int4-asym-b32", "int8-sym-channel", "nf4-b64", "mxfp4", "q4_0", "q4_k", "int4-sym-b64:keep=1%")
RNG = np.random.default_rng(5)
TENSORS = {
    "normal": RNG.standard_normal((96, 512), dtype=np.float32),
    "far out": RNG.standard_t(3, (64, 768)).astype(np.float32),
    "float64": RNG.standard_normal((32, 256)),
    "half": RNG.standard_normal((128, 256)).astype(np.float16),
}


@pytest.fixture
def quick_turns() -> Iterator[None]:
    """Threads take turns so often that whatever they share is seen half made."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(before)


def bits(e: Evaluation) -> dict[str, object]:
    """All that an evaluation says, so that NaN equals itself; not how long it took."""
    said = {name: np.float64(value).tobytes() for name, value in e.metrics.items()}
    said |= {name: h.counts.tobytes() + np.float64([h.lo, h.hi, h.below, h.above]).tobytes()
             for name, h in (e.histograms or {}).items()}  # fmt: skip
    for name in ("code_counts", "block_errors"):
        found = getattr(e, name)
        said[name] = None if found is None else found.tobytes()
    return said | {"scheme": e.scheme, "engine": e.engine, "notices": e.notices}


def test_every_thread_gets_what_one_alone_gets(quick_turns) -> None:
    work = [(name, key, detail) for name in TENSORS for key in KEYS for detail in ("full", "metrics")]
    importance = {name: np.linspace(0, 1, w.shape[1], dtype=np.float32) for name, w in TENSORS.items()}

    def evaluate(asked: tuple[str, str, str]) -> dict[str, object]:
        name, key, detail = asked
        weighed = importance[name] if key in ("q4_k", "nf4-b64") else None
        return bits(qv.evaluate(TENSORS[name], key, weighed, detail=detail))

    alone = [evaluate(asked) for asked in work]
    start = threading.Barrier(THREADS)

    def all_of_them(thread: int) -> list[dict[str, object]]:
        order = np.random.default_rng(thread).permutation(len(work))  # each in an order of its own
        found: list[dict[str, object]] = [{}] * len(work)
        start.wait()
        for i in order:
            found[i] = evaluate(work[i])
        return found

    with ThreadPoolExecutor(THREADS) as pool:
        for found in pool.map(all_of_them, range(THREADS)):
            differ = [(asked, [n for n in one if one[n] != other[n]])
                      for asked, one, other in zip(work, alone, found, strict=True) if one != other]  # fmt: skip
            assert differ == []


def test_who_stops_in_the_middle_changes_nothing_for_the_others(quick_turns) -> None:
    """What a progress callback raises ends that evaluation alone."""

    class Enough(Exception):
        pass

    w = np.tile(TENSORS["normal"], (8, 2))
    alone, start = bits(qv.evaluate(w, "int4-sym-b64")), threading.Barrier(THREADS)

    def stop(done: int, total: int) -> None:
        raise Enough

    def use(thread: int) -> dict[str, object] | None:
        start.wait()
        if thread % 2:
            with pytest.raises(Enough):
                qv.evaluate(w, "int4-sym-b64", progress=stop)
            return None
        return bits(qv.evaluate(w, "int4-sym-b64"))

    with ThreadPoolExecutor(THREADS) as pool:
        found = [said for said in pool.map(use, range(THREADS)) if said]
    assert found == [alone] * (THREADS // 2) and math.isfinite(np.frombuffer(alone["mse"])[0])
