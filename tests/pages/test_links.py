"""Links and buttons without a browser: every value of every control of the table that the browser's tests use is kept
and shown, and every button of pages that need no language model is pressed.
"""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from pages.components.link import address
from pages.components.link.address import NAMES
from tests.browser.test_links import FILE, REF, SETTINGS, _views
from tests.pages.running import opened, settled, shown
from tests.sources.conftest import hub  # noqa: F401
from tests.sources.gguf_builder import demo

# What keeps a page quick, where the link does not say otherwise.
LIGHT = {"quality": {"measured": "int8-sym-b32", "tokens": "256"}}
SLOW = ({"chapter": "6 What a model does"},)  # its model is loaded by tests of the chapter


@pytest.mark.parametrize("path", SETTINGS)
def test_nothing_of_a_link_is_left_out(path, tmp_path, hub):  # noqa: F811
    file = str(demo(tmp_path / "demo.gguf"))
    for said in [said for page, said in _views() if page == path]:
        if any(part.items() <= said.items() for part in SLOW):
            continue
        said = {"ref": REF} | LIGHT.get(path, {}) | said | ({"ref": file} if said.get("ref") == FILE else {})
        app = opened(path, **{name: list(v) if isinstance(v, tuple) else v for name, v in said.items()})
        assert not app.exception, said
        assert not any("The link asks for" in shown(w) for w in app.warning), (said, [shown(w) for w in app.warning])
        held = app.session_state["_chosen"]
        for name, value in said.items():
            key = next((k for k, n in NAMES.items() if n == name and k in held), name)
            assert held.get(key, [""]) == (list(value) if isinstance(value, tuple) else [value]), (name, said)


def test_on_back_no_callback_changes_a_choice_or_the_address(monkeypatch):
    """What a control reported then is outdated, whichever way its callback takes it up."""
    there = {"ref": ["demo"]}  # where Back led to
    held = {"ref": [REF], "scheme": ["nf4-b64"]}  # what the page showed before
    state = {"_chosen": dict(held), "_said": {}, "_page": "explore", "_address": {}}
    monkeypatch.setattr(address, "st", SimpleNamespace(session_state=state, query_params=there))
    monkeypatch.setattr(address, "is_going_back", lambda: True)
    address.put(scheme="int4-sym-b32")
    with address.changing():
        address.put(ref="values:1,2")
    assert (state["_chosen"], state["_address"], there) == (held, {}, {"ref": ["demo"]})


LATER = ("Start", "Measure", "Collect", "Set the", "Compare every", "Compare all")  # a browser's tests press these
QUICK = {"compare": {"schemes": ["int4-sym-b64", "mxfp4"]}, "outliers": {"edit": "inject"},
         "whole_model": {"schemes": ["int4-sym-b64", "int8-sym-b32"]}}  # fmt: skip
NOTHING = dict.fromkeys(("schemes", "measured", "swept", "workloads", "layers", "line_formats"), "")


def press_all(app) -> None:
    """Every button; what else may be chosen on a page, links choose above."""
    pressed: set[str] = set()
    while fresh := [b for b in app.button if b.label not in pressed and not b.disabled]:
        assert len(pressed) < 60, "a button makes buttons"
        pressed.add(fresh[0].label)
        if not fresh[0].label.startswith(LATER):
            fresh[0].click()
            app = settled(app)
            assert not app.exception, pressed


@pytest.mark.parametrize("path", ["explore", "compare", "outliers", "number_formats", "learn", "whole_model"])
def test_every_button_of_a_page_with_a_random_tensor(path):
    press_all(opened(path, ref=REF, **QUICK.get(path, {})))


def test_every_button_of_a_swept_model():
    press_all(opened("whole_model", ref="demo", **QUICK["whole_model"]))


@pytest.mark.parametrize("path", ["compare", "outliers", "whole_model", "throughput"])
def test_every_button_of_a_page_on_which_nothing_is_chosen(path):
    press_all(opened(path, **NOTHING))
