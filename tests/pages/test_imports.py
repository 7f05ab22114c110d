"""Modules are imported once, and Python's collector of garbage leaves them out."""

from __future__ import annotations

import gc
import sys

import pytest

from pages.components.work.imports import import_each


@pytest.fixture
def module(tmp_path, monkeypatch):
    """Writes a module that can be imported until the test ends."""
    monkeypatch.syspath_prepend(tmp_path)

    def write(name: str, text: str) -> str:
        (tmp_path / f"{name}.py").write_text(text)
        monkeypatch.delitem(sys.modules, name, raising=False)
        return name

    return write


def test_what_is_imported_is_not_gone_through_again(module):
    name = module("of_a_thousand_parts", "parts = [[i] for i in range(1000)]")
    before = gc.get_freeze_count()
    import_each(name)
    assert gc.isenabled() and gc.get_freeze_count() > before + 1000
    gc.unfreeze()
    import_each(name)
    assert not gc.get_freeze_count(), "nothing new, and nothing to leave out"


def test_a_module_that_cannot_be_imported_leaves_the_collector_at_work(module):
    with pytest.raises(ZeroDivisionError):
        import_each(module("broken", "1 / 0"))
    assert gc.isenabled()
