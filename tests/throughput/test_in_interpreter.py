"""A run on a CUDA device, with Triton's interpreter in the device's place: see interpreted_cuda.py."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent


@pytest.mark.skipif(
    not all(map(importlib.util.find_spec, ("triton", "quantviz.kernels.cuda"))),
    reason="needs triton and the cuda engine",
)
def test_a_run_on_a_gpu_under_the_interpreter() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(HERE / "interpreted_cuda.py")],
        env={**os.environ, "TRITON_INTERPRET": "1"}, cwd=HERE.parent.parent, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, f"{done.stdout[-6000:]}\n{done.stderr[-2000:]}"
