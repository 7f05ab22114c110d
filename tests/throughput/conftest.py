"""A queue of the test's own, so that no measurement of anyone else is waited for."""

from __future__ import annotations

from pathlib import Path

import pytest

from quantviz.throughput import turns


@pytest.fixture
def own_queue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(turns, "folder", lambda: tmp_path)
    monkeypatch.setattr(turns, "POLL", 0.01)
    return tmp_path
