"""What the address holds: each choice is declared once, a wrong one is said once, an emptied one as the link has it."""

from __future__ import annotations

import ast
from collections import defaultdict
from pathlib import Path

import pytest

from pages.components.link import address
from pages.components.shell.frame import pages

from .running import SMALL, opened, settled

ROOT = Path(__file__).parents[2]
SOURCES = sorted(ROOT.glob("pages/**/*.py"))
PLACE = {"text": 1, "number": 1, "toggle": 1, "one_of": 2, "some_of": 2}  # of the key among a choice's arguments


def calls(path: Path) -> list[ast.Call]:
    return [node for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.Call)]


def choice_keys(path: Path) -> set[str]:
    """Keys of the controls of link/choices.py that a file draws; those handed on as arguments left out."""
    drawn = [
        c
        for c in calls(path)
        if ast.unparse(c.func).removeprefix("choices.") in PLACE and "choices." in ast.unparse(c.func)
    ]
    given = [call.args[PLACE[call.func.attr]] for call in drawn]
    return {key.value for key in given if isinstance(key, ast.Constant)}


def widget_keys(path: Path) -> set[str]:
    given = [k.value for c in calls(path) for k in c.keywords if k.arg == "key"]
    return {key.value for key in given if isinstance(key, ast.Constant) and isinstance(key.value, str)}


def test_every_key_is_declared_in_one_file():
    """So no page spoils what another one holds under the same key."""
    where = defaultdict(set)
    for path in SOURCES:
        for key in choice_keys(path) | widget_keys(path):
            where[key].add(path.name)
    assert not {key: files for key, files in where.items() if len(files) > 1}


def test_every_choice_has_its_place_in_the_address():
    drawn = set().union(*(choice_keys(path) for path in SOURCES))
    declared = {*address.SIDEBAR, *(key for keys in address.PAGES.values() for key in keys)}
    handed_on = {"schemes", "throughput_schemes", "sweep_schemes", "measured", "tensor_shape", "layer", "tokens",
                 "context", "calibration_tokens", *(f"learn_n{i}" for i in range(1, 7))}  # fmt: skip
    assert drawn <= declared and declared - drawn <= handed_on
    assert set(address.PAGES) == set(pages())


def test_pages_share_what_is_declared_shared_and_nothing_else():
    on = defaultdict(list)
    for page, keys in address.PAGES.items():
        names = [address.NAMES.get(key, key) for key in (*address.SIDEBAR, *keys)]
        assert len(names) == len(set(names)), page
        for key in keys:
            on[key].append(page)
    assert {key for key, where in on.items() if len(where) > 1} == set(address.SHARED)
    assert not set(address.NAMES) - set(on)


def test_nothing_but_the_address_reads_or_writes_it():
    """Streamlit's own binding and switch_page lose what is chosen, or fail beside one another."""
    for path in SOURCES:
        for call in calls(path):
            assert ast.unparse(call.func) != "st.switch_page", path
            assert not any(k.arg == "bind" for k in call.keywords), path
        if path.name != "address.py":
            assert "query_params." not in path.read_text("utf-8"), path


WRONG = [
    ("explore", {"axis": "logg"}), ("explore", {"range": "7σ"}), ("explore", {"scheme": "int44"}),
    ("explore", {"pinned": "int44"}), ("explore", {"rows": "9:9"}), ("explore", {"tensor": "weights"}),
    ("explore", {"scheme": "int4-sym-b64", "block": "9999,0"}), ("explore", {"block": "300,4"}),
    ("outliers", {"edit": "increase"}), ("outliers", {"edit": "inject", "inject_count": "0"}),
    ("outliers", {"edit": "inject", "inject_count": "1e3"}), ("outliers", {"edit": "inject", "inject_where": "row"}),
    ("outliers", {"edit": "inject", "inject_magnitude": "nan"}),
    ("outliers", {"edit": "inject", "inject_seed": "9" * 5000}),
    ("outliers", {"edit": "remove", "remove_sigmas": "0"}), ("outliers", {"beyond": "31"}), ("outliers", {"bits": "7"}),
    ("published_files", {"gguf": "mixes"}), ("published_files", {"ref": "demo", "gguf": "Named mixes", "mix": "Q9_K"}),
    ("published_files", {"ref": "demo", "gguf": "Named mixes", "mix_importance": "perhaps"}),
    ("compare", {"schemes": ["int4-sym-b64", "int44"]}), ("compare", {"schemes": "int44"}),
]  # fmt: skip


@pytest.mark.parametrize(
    ("page", "asked"), WRONG, ids=[f"{p}-{list(a)[-1]}={str(list(a.values())[-1])[:20]}" for p, a in WRONG]
)
def test_a_wrong_value_in_a_link_is_said_once(page, asked):
    app = opened(page, **{"ref": SMALL, **asked})
    assert not app.exception
    said = [str(w.value) for w in app.warning if list(asked)[-1] in w.value or "int44" in w.value]
    assert len(said) == 1, [str(w.value) for w in app.warning]
    settled(app)
    assert [str(w.value) for w in app.warning if w.value in said] == said, "it stays until something is changed"
    app.text_input(key="scheme").set_value("int8-sym-b32")
    settled(app)
    assert not [w for w in app.warning if w.value in said]


def test_an_emptied_field_shows_what_the_link_says():
    app = opened(scheme="nf4-b64")
    app.text_input(key="pinned").set_value("")
    settled(app)
    assert app.text_input(key="pinned").value == "none" and app.query_params["pinned"] == "none"
    app.text_input(key="scheme").set_value(" ")
    settled(app)
    assert app.text_input(key="scheme").value == "nf4-b64" and app.query_params["scheme"] == "nf4-b64"
    assert "A scheme key is needed" in app.warning[0].value
    app.text_input(key="ref").set_value("")
    settled(app)
    assert app.text_input(key="ref").value == SMALL


def test_the_pinned_scheme_does_not_take_the_page_down():
    app = opened(ref="random:normal?rows=3&cols=3", pinned="q4_k")
    assert not app.exception and not app.error and len(app.metric) >= 6
    assert any("the pinned scheme does not fit this tensor" in w.value for w in app.warning)


def test_six_numbers_are_shown_and_compared_without_a_list_of_warnings():
    app = opened(ref="random:normal?rows=1&cols=6")
    assert not app.exception and not app.error and len(app.metric) >= 6
    app = opened("compare", ref="random:normal?rows=1&cols=6")
    assert not app.exception and len(app.warning) <= 1
    app = opened("compare", ref="random:normal?rows=1&cols=6", schemes=["q4_k", "q4_0", "q8_0", "int4-sym-b64"])
    assert [w.value.partition(":")[0] for w in app.warning] == ["3 schemes are left out"]
