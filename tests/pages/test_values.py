"""One's own numbers on the pages: typed, pasted, refused, too long for a link; and pictures."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image
from streamlit.testing.v1 import AppTest

from pages.components.sidebar.number_controls import LONGEST_LINK, PASTED

from .running import opened, settled, shown

SIX = "values:-0.89,0.16,0.08,-0.13,0.16,-0.54"


def metric(app: AppTest, label: str) -> str:
    return next(m.value for m in app.metric if m.label == label)


def headings(app: AppTest) -> list[str]:
    return [shown(h) for h in app.subheader]


def typed(app: AppTest, text: str) -> AppTest:
    app.sidebar.text_area(key="numbers").input(text)
    settled(app)
    assert not app.exception and not app.error
    return app


def said(app: AppTest) -> str:
    return " ".join(shown(w) for w in app.warning)


def test_the_six_numbers_are_drawn_one_by_one():
    app = opened(ref=SIX, scheme="int4-sym-tensor:scale=fp32", pinned="int4-asym-tensor:scale=fp32")
    assert metric(app, "Mean relative error") == "18.00%"
    assert app.sidebar.text_area(key="numbers").value == "-0.89, 0.16, 0.08, -0.13, 0.16, -0.54"
    assert headings(app)[0] == "Weight by weight" and "Where the error sits" not in headings(app)
    assert [str(code) for code in app.dataframe[0].value["code"]] == ["-7", "1", "1", "-1", "1", "-4"]
    app.query_params["scheme"] = "int4-asym-tensor:scale=fp32"
    app = opened(ref=SIX, scheme="int4-asym-tensor:scale=fp32")
    assert metric(app, "Mean relative error") == "8.524%"
    assert "(14 - 13) × 0.07 = 0.07" in list(app.dataframe[0].value["arithmetic"])


def test_numbers_are_chosen_typed_and_refused_without_loss():
    app = opened(scheme="int4-sym-b32", pinned="none")
    app.sidebar.segmented_control(key="source").set_value("Numbers")
    settled(app)
    assert app.sidebar.text_input(key="ref").value == SIX and not app.warning[1:]
    typed(app, "1 2 3\n4 5 6")
    assert app.sidebar.text_input(key="ref").value == "values:1,2,3;4,5,6"
    typed(app, "0,89; 0,16")
    assert app.sidebar.text_input(key="ref").value == "values:0.89,0.16" and "decimal signs" in said(app)
    typed(app, "0.5, oops")
    assert "'oops' (the 2nd entry) is no number" in said(app)
    assert app.sidebar.text_area(key="numbers").value == "0.5, oops", "what was typed can be put right"
    assert app.sidebar.text_input(key="ref").value == "values:0.89,0.16"
    typed(app, "")
    assert "no numbers yet" in said(app)
    typed(app, "0.5, 0.25")
    assert app.sidebar.text_input(key="ref").value == "values:0.5,0.25" and "oops" not in said(app)


def test_more_than_a_link_holds_stays_in_the_window():
    app = opened(ref=SIX, scheme="int4-sym-b32", pinned="none")
    numbers = [i / 1000 for i in range(LONGEST_LINK // 4)]
    typed(app, "\n".join(map(str, numbers)))
    assert app.sidebar.text_input(key="ref").value == PASTED
    assert any("1 × 500" in shown(c) for c in app.sidebar.caption)
    assert app.sidebar.text_area(key="numbers").value.startswith("0, 0.001, 0.002")
    other = opened(ref=PASTED)
    assert "upload it here again" in said(other) and not other.exception


def test_a_link_that_was_cut_off_is_told_and_can_be_put_right():
    app = opened(ref="values:-0.89,0.16,0.")
    assert "cut off" in said(app) and not app.exception
    assert app.sidebar.text_area(key="numbers").value == "-0.89,0.16,0."


def test_a_picture_is_shown_before_and_after():
    app = opened(ref="picture:", scheme="int4-sym-b32", pinned="none")
    assert headings(app)[0] == "The picture before and after" and not app.warning
    file = io.BytesIO()
    Image.fromarray(np.arange(64, dtype=np.uint8).reshape(8, 8) * 4).save(file, "PNG")
    app.sidebar.file_uploader(key="uploaded").set_value(("my cat.PNG", file.getvalue(), "image/png"))
    settled(app)
    assert app.sidebar.text_input(key="ref").value == "upload:my cat.png"
    assert headings(app)[:2] == ["Weight by weight", "The picture before and after"] and not app.exception


def test_the_python_draws_what_the_page_shows(monkeypatch):
    import plotly.graph_objects as go

    drawn = []
    monkeypatch.setattr(go.Figure, "show", lambda figure: drawn.append(figure.layout.meta["alt"]))
    for ref, words in ((SIX, "number line"), ("picture:", "The picture of")):
        app = opened(ref=ref, scheme="int4-sym-b32", pinned="none")
        app.segmented_control(key="details").set_value("Python")
        settled(app)
        exec(app.code[0].value, {})
        assert any(words in alt for alt in drawn)


def test_a_picture_is_compared_as_a_picture():
    app = opened("compare", ref="picture:", schemes=["int4-sym-tensor", "int4-sym-b64", "nf4-b64"], pinned="none")
    assert "The picture under each scheme" in headings(app) and not app.exception and not app.error
