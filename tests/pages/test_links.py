"""Links without a browser: every value of every control, of the table that the browser's tests use, is kept and shown.

Pages that need the Hub or a language model are opened by the browser's own tests, with all of their values.
"""

from __future__ import annotations

import pytest

from pages.components.link.address import NAMES
from tests.browser.test_links import FILE, REF, SETTINGS, WHOLE, _views
from tests.pages.running import opened, shown
from tests.sources.gguf_builder import demo

SLOW = ({"chapter": "6 What a model does"},)  # its model is loaded by tests of the chapter


@pytest.mark.parametrize("path", [path for path in SETTINGS if path not in WHOLE])
def test_nothing_of_a_link_is_left_out(path, tmp_path):
    file = str(demo(tmp_path / "demo.gguf"))
    for said in [said for page, said in _views() if page == path]:
        if any(part.items() <= said.items() for part in SLOW):
            continue
        said = {"ref": REF} | said | ({"ref": file} if said.get("ref") == FILE else {})
        app = opened(path, **{name: list(v) if isinstance(v, tuple) else v for name, v in said.items()})
        assert not app.exception, said
        assert not any("The link asks for" in shown(w) for w in app.warning), (said, [shown(w) for w in app.warning])
        held = app.session_state["_chosen"]
        for name, value in said.items():
            key = next((k for k, n in NAMES.items() if n == name and k in held), name)
            assert held.get(key, [""]) == (list(value) if isinstance(value, tuple) else [value]), (name, said)


@pytest.mark.parametrize("path", ["compare", "quality", "outliers", "whole_model"])
def test_every_button_of_a_page_on_which_nothing_is_chosen(path):
    app = opened(path, schemes="", measured="", swept="")
    pressed: set[str] = set()
    while (fresh := [b for b in app.button if b.label not in pressed and not b.disabled]) and len(pressed) < 40:
        pressed.add(fresh[0].label)
        if fresh[0].label.startswith(("Start", "Measure", "Open", "Collect", "Set the")):
            continue
        app = fresh[0].click().run()
        assert not app.exception, fresh[0].label
