"""The GPU's linear kernels, run without a GPU."""

from __future__ import annotations

from pathlib import Path

import pytest

from ..interpreter import run_interpreted

pytest.importorskip("triton")


def test_in_tritons_interpreter() -> None:
    run_interpreted(Path(__file__).parent)
