"""What tests hold against what it was before (tests/kept.py): what a call gives or refuses, what a folder offers, and,
for a folder's conftest, every sentence that refuses something in its tests, but for those with a path.
"""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import re
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import quantviz
from quantviz.errors import QuantvizError

_ROOT = Path(__file__).parents[1]
MOST = 12  # sentences of a test
# Said, and heard by nobody, when a model is opened for the first time.
_SILENT = re.compile(r"There is no [a-z_]+_config\.json at")
# With a path, which is another on each machine and is shortened where it is long.
_PATH = re.compile(r"(?:^|[\s'\"(=])/\w")
# Ports of a fake server, and addresses in memory.
_OWN = ((re.compile(r"(127\.0\.0\.1|localhost):[0-9]+"), "the fake"), (re.compile(r"0x[0-9a-f]{6,}"), "0x…"))


def tried(make: Callable, *given: Any, **more: Any) -> Any:
    """What a call gives, or the sentence with which it refuses."""
    try:
        return make(*given, **more)
    except QuantvizError as refusal:
        return f"refused: {refusal}"


def sentences(but: str = "$^") -> Callable:
    """A fixture that keeps the sentences of each test, without those of files whose names match `but`: of tests in
    which threads or a network say what goes wrong first."""

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
        name = request.node.name
        others_each_time = hasattr(request.function, "hypothesis") or str(_ROOT) in name  # examples, or names of tests
        if others_each_time or re.search(f"as_before|{but}", request.path.stem):
            return
        found = sorted(text for text in said if not (_SILENT.match(text) or _PATH.search(text)))
        before, now = (values.get(name, []) for values in kept_of_file)
        if found or len(before) > len(now):
            kept(found[:MOST], every=True)

    return sentences_are_as_before


def _masked(text: str) -> str:
    for pattern, instead in _OWN:
        text = pattern.sub(instead, text)
    return text


def interface(folder: str) -> dict[str, Any]:
    """What a folder of quantviz offers: the signature of each public function with its defaults, and of each data class
    whether it is frozen and compared by value."""
    found = {}
    for path in sorted((Path(quantviz.__file__).parent / folder).glob("**/*.py")):
        name = ".".join(("quantviz", *path.relative_to(Path(quantviz.__file__).parent).with_suffix("").parts))
        if path.name.startswith("__") or "train_demo" in name:
            continue
        for key, value in vars(importlib.import_module(name)).items():
            if getattr(value, "__module__", "") != name or key.startswith("_"):
                continue
            if dataclasses.is_dataclass(value):
                flags = value.__dataclass_params__
                found[f"{name}.{key}"] = f"frozen={flags.frozen}, eq={flags.eq}{_defaults(value)}"
            elif inspect.isfunction(value):
                found[f"{name}.{key}"] = _defaults(value)
    return found


def _defaults(made: Callable) -> str:
    given = inspect.signature(made).parameters.values()
    return "".join(f", {p.name}={p.default!r}" for p in given if isinstance(p.default, (int, float, str, tuple)))
