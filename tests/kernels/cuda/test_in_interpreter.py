"""The kernels against `reference` without a GPU: everything in interpreted_*.py, under Triton's interpreter."""

from __future__ import annotations

from pathlib import Path

import pytest

from ..interpreter import run_interpreted

pytest.importorskip("triton")


def test_everything_in_the_interpreter() -> None:
    run_interpreted(Path(__file__).parent)
