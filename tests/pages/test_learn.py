"""Learn: every chapter moves, shows its numbers and its claim, and leads to the next."""

from __future__ import annotations

import pytest

from pages.components.learn.chapters import CHAPTERS
from tests.pages.running import figures, opened, settled, shown

TITLES = list(CHAPTERS)


def metric(app, label: str) -> str:
    return next(m.value for m in app.metric if m.label == label)


def said(app) -> str:
    return " ".join([*(shown(m) for m in app.markdown), *(shown(c) for c in app.caption)])


def test_every_chapter_is_drawn_and_leads_to_the_next():
    app = opened("learn", chapter=TITLES[0])
    for i, title in enumerate(TITLES):
        assert not app.exception and not app.error, title
        assert figures(app) or title == TITLES[-1], title
        assert any(t.label == "Show the answer" for t in app.toggle), title
        if i + 1 < len(TITLES):
            next(b for b in app.button if b.label == TITLES[i + 1]).click()
            app = settled(app)
            assert app.query_params["chapter"] == TITLES[i + 1]


def test_a_number_that_is_moved_changes_the_figures():
    app = opened("learn", chapter=TITLES[2])
    assert "“Symmetric rounding costs up to 18% average error" in said(app) and "Claim 3 holds" in said(app)
    before = next(t.value for t in app.dataframe if "arithmetic" in t.value)
    assert before["code"].tolist() == ["-7", "1", "1", "-1", "1", "-4"]
    next(s for s in app.slider if s.label == "Number 1").set_value(-0.2)
    app = settled(app)
    after = next(t.value for t in app.dataframe if "arithmetic" in t.value)
    assert after["code"].tolist() == ["-3", "2", "1", "-2", "2", "-7"]
    assert before["error"][0] == after["error"][5] == "0", "what float32 leaves over is no error of rounding"
    assert app.query_params["learn_n1"] == "-0.2"


def test_the_passage_that_a_model_goes_on_with_stands_beside_that_of_the_stored_one():
    app = opened("learn", chapter=TITLES[5], learn_model_bits="2")
    body = next(html.proto.body for html in app.get("html") if "qv-passages" in html.proto.body)
    assert "as stored" in body and "int2-sym-b32" in body and body.count("listitem") == 2 and "<mark>" in body


def test_claims_about_language_models_are_decided_at_a_press():
    """Each chapter shows its own of them; more text would leave less doubt."""
    for chapter, claims in ((5, "567"), (3, "9"), (7, "6"), (8, "5")):
        app = opened("learn", chapter=TITLES[chapter], learn_tokens="512")
        press = [b for b in app.button if b.label == "Measure it here"]
        if chapter < 7:  # the last two show what was measured before
            assert "Nothing measured yet" in said(app)
            press[0].click()
            app = settled(app)
        else:
            assert not press
        assert not app.exception and not app.error
        assert "Nothing measured yet" not in said(app) and "reads 512 tokens" in said(app)
        assert [c for c in "56789" if f"Claim {c} " in said(app)] == list(claims)


@pytest.mark.parametrize(
    "chapter, state, text",
    [
        (0, {"learn_size": "70"}, "70 billion weights of 4 bytes take 280 GB"),
        (1, {"learn_format": "fp4_e2m1", "learn_value": "0.7"}, "0.7 becomes 0.5"),
        (3, {"learn_sigmas": "40"}, "of 127 become zero"),
        (4, {"learn_block": "16"}, "at 5.000 bits a weight"),
        (8, {"learn_weights": "70", "learn_gigabytes": "8"}, "Nothing fits"),
    ],
)
def test_a_link_opens_a_chapter_in_its_state(chapter, state, text):
    app = opened("learn", chapter=TITLES[chapter], **state)
    assert not app.exception and text in said(app)


def test_a_wrong_state_is_told_and_the_chapter_stands():
    app = opened("learn", chapter="12 Nothing", learn_size="9000", learn_value="light")
    assert not app.exception and len(app.warning) == 2
