"""Every sentence that refuses something in a test is what it was before (tests/kept.py): for a folder's conftest.

A sentence with figures of the machine, of time or of a random choice is left out by a word of it.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from quantviz.errors import QuantvizError

MOST = 12  # sentences of a test
# Said, and heard by nobody, when a model is opened for the first time.
_SILENT = re.compile(r"There is no [a-z_]+_config\.json at")
# Folders of a test, ports of a fake server, and what libraries and systems say in words of their own.
_OWN = (
    (re.compile(r"/[^\s'\",;]*/(?:pytest-[^/\s'\",;]+|tmp[^/\s'\",;]+)(?:/[^/\s'\",;]*?\d+)?(?=/|\b)"), "…"),
    (re.compile(re.escape(str(Path(__file__).parents[1]))), "…"),
    (re.compile(r"(127\.0\.0\.1|localhost):[0-9]+"), "the fake"),
    (re.compile(r"0x[0-9a-f]{6,}"), "0x…"),
)


def sentences(*leave_out: str) -> Callable:
    """A fixture that keeps the sentences of each test; without those that hold one of some words."""

    @pytest.fixture(autouse=True)
    def sentences_are_as_before(
        request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, kept: Callable, kept_of_file: tuple
    ) -> Iterator[None]:
        make, main = QuantvizError.__init__, threading.main_thread()
        said: dict[str, None] = {}

        def record(self: QuantvizError, message: Any = "") -> None:
            make(self, message)
            if threading.current_thread() is main:
                said[_masked(str(self))] = None

        monkeypatch.setattr(QuantvizError, "__init__", record)
        yield
        if hasattr(request.function, "hypothesis"):  # whose examples are others each time
            return
        found = sorted(text for text in said if not _SILENT.match(text) and not any(word in text for word in leave_out))
        if found or kept_of_file[0].get(request.node.name):
            kept(found[:MOST])

    return sentences_are_as_before


def _masked(text: str) -> str:
    for pattern, instead in _OWN:
        text = pattern.sub(instead, text)
    return text
