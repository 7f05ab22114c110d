"""What is compiled at first use may be used first by many threads at once."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from quantviz.kernels.cpu.once import once

ROOT = Path(__file__).parent.parent.parent
THREADS = 16

AT_ONCE = """
import threading, sys
from concurrent.futures import ThreadPoolExecutor
import numpy as np
import quantviz as qv
from quantviz.kernels.decoding import decoder

sys.setswitchinterval(1e-5)
x = np.random.default_rng(0).standard_normal((8, 256), dtype=np.float32)
start = threading.Barrier(THREADS)

def use(i):
    start.wait()
    name = ("q2_k", "q4_0")[i % 2]
    q = qv.quantize(x, name)
    read = decoder(name)(q.data.reshape(-1, q.scheme.fmt.nbytes)).reshape(x.shape)
    rmse = qv.evaluate(x, name, detail="metrics").metrics["rmse"]
    return name, q.tobytes(), read.tobytes(), q.dequantize().tobytes(), rmse

with ThreadPoolExecutor(THREADS) as pool:
    found = set(pool.map(use, range(THREADS)))
assert len(found) == 2 and all(read == dequantized for _, _, read, dequantized, _ in found), len(found)
"""


def test_block_types_are_first_used_by_many_threads_at_once(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error:::quantviz", "-c", AT_ONCE.replace("THREADS", str(THREADS))], cwd=ROOT,
        env={**os.environ, "QUANTVIZ_CACHE": str(tmp_path)}, capture_output=True, text=True, timeout=600,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")


def test_what_many_threads_ask_for_is_made_once() -> None:
    made, start = [], threading.Barrier(THREADS)

    @once
    def thing(number: int) -> list[int]:
        made.append(number)
        return [number]

    def ask(i: int) -> list[int]:
        start.wait()
        return thing(i % 2)

    with ThreadPoolExecutor(THREADS) as pool:
        found = list(pool.map(ask, range(THREADS)))
    assert sorted(made) == [0, 1]
    assert all(f is found[i % 2] for i, f in enumerate(found))


def test_no_kernel_is_made_by_a_cache_that_two_threads_may_pass() -> None:
    """functools.cache lets both make theirs: what makes kernels goes through `once`."""
    for path in (ROOT / "quantviz" / "kernels" / "cpu").rglob("*.py"):
        assert "functools" not in path.read_text("utf-8") or "import cache\n" not in path.read_text("utf-8"), path.name
