"""The sidebar stays, however a page ends."""

from __future__ import annotations

from pages.components.shared import results

from .running import opened, settled


def test_a_page_that_ends_early_keeps_its_sidebar(monkeypatch):
    app = opened(ref="random:normal?rows=64&cols=128", scheme="int4-sym-b64")
    monkeypatch.setattr(results, "LARGE", 1000)  # the next scheme is asked for first, and the page ends there
    app.sidebar.text_input(key="scheme").set_value("int4-sym-b32")
    settled(app)
    assert [b.label for b in app.main if b.type == "button" and "Evaluate" in b.label] == ["Evaluate all of it"]
    assert app.sidebar.text_input(key="scheme").value == "int4-sym-b32"
    assert app.sidebar.selectbox(key="scheme_format")
