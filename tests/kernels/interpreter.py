"""Tests of Triton kernels on a machine without a GPU: Triton's interpreter, in a process of its own.

TRITON_INTERPRET has to be set before Triton is imported, and would stop the tests that compile; so what needs it lies
in files named interpreted_*.py, which the main run does not collect, and one test of the main run runs them all.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent


def run_interpreted(folder: Path) -> None:
    """Runs every interpreted_*.py of a folder under Triton's interpreter; fails with what pytest printed."""
    files = sorted(str(path) for path in folder.glob("interpreted_*.py"))
    assert files, f"nothing to run in {folder}"
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "--no-header", "-p", "no:cacheprovider", *files],
        env={**os.environ, "TRITON_INTERPRET": "1"}, cwd=ROOT, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, f"{done.stdout[-6000:]}\n{done.stderr[-2000:]}"
