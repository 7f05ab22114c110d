"""Quality runs, reacts, is found again, and stays usable after every kind of wrong input."""

from __future__ import annotations

import json
import shutil
import threading

import pytest
from streamlit.testing.v1 import AppTest

from pages.components.quality import run as quality_run
from pages.components.quality import state as quality_state
from pages.components.quality import take_along as quality_take_along
from pages.components.quality import tasks as quality_tasks
from pages.components.selection import ModelRef
from quantviz import QuantvizError
from quantviz.evaluation.comparison import Refusal
from quantviz.quality.measure import DEFAULT_SCHEMES, measure_quality
from quantviz.quality.results import Continuation, SuperWeights
from quantviz.sources.demo import FOLDER
from tests.quality.made_up import collapsed, result

from .running import APP, SMALL, figures, opened, settled

FEW = ["int8-sym-b32", "int4-asym-b32"]


class Measuring:
    """In place of the measurement: two windows a scheme, held back where a test says so."""

    def __init__(self) -> None:
        self.asked: list[tuple] = []
        self.given: dict = {}
        self.outcomes: dict = {}  # scheme -> what it gives in place of a usual result
        self.problem: str | None = None
        self.gate = threading.Event()
        self.gate.set()

    def __call__(self, ref, schemes, *, progress, **given):
        self.asked.append((ref, tuple(schemes)))
        self.given = given
        if self.problem:
            raise QuantvizError(self.problem)
        progress("the model as it is stored", 2, 2)
        for scheme in schemes:
            progress(f"{scheme}: quantizing", 1, 28)
            for windows in (1, 2):
                progress(scheme, windows, 2)
                yield self.outcomes.get(scheme) or result(scheme, windows=windows, windows_total=2)
                if scheme in self.outcomes:
                    break
                while not self.gate.wait(0.05):
                    progress(scheme, windows, 2)


@pytest.fixture
def real() -> None:
    """The test measures the demo model itself."""


def continue_both(ref, schemes, prompt, tokens, targets, *, progress, **_):
    """In place of the continuations: the second scheme and those after it write something else from token 2 on."""
    pieces = (" he", " <b>went</b>", " out", " of", " the", " house")
    yield Continuation(None, prompt, tuple(range(6)), pieces, (False,) * 6)
    for number, scheme in enumerate(schemes):
        yield Continuation(scheme, prompt, tuple(range(6)), pieces, (False, *(number > 0,) * 5))


def without_largest(ref, *, progress, **_):
    for count in (1, 16):
        yield SuperWeights(count, 1 + count / 100, (1.0001, 1.0002), ("layers.0.mlp.up_proj [3, 5] = 1.25",))


@pytest.fixture(autouse=True)
def measuring(monkeypatch, request) -> Measuring | None:
    """Quick answers, but for tests that ask for real ones; nothing is kept from one test to the next."""
    for cache in (quality_state._found, quality_tasks._small, quality_tasks._activations):
        cache.clear()
    monkeypatch.setattr(quality_tasks, "super_weights", without_largest)
    if "real" in request.fixturenames:
        yield None
        return
    fake = Measuring()
    monkeypatch.setattr(quality_run, "measure_quality", fake)
    monkeypatch.setattr(quality_tasks, "continuations", continue_both)
    yield fake
    fake.gate.set()


def quality(schemes: list[str] | None = FEW, **address: str) -> AppTest:
    asked = {} if schemes is None else {"measured": schemes}
    return opened("quality", **address, **asked)


def press(app: AppTest, label: str) -> None:
    next(button for button in app.button if button.label == label).click()


def table(app: AppTest):
    assert not app.exception
    return next(frame.value for frame in app.dataframe if "perplexity_ratio" in frame.value)


def said(app: AppTest) -> str:
    return " ".join(str(e.value) for kind in ("markdown", "caption", "info", "subheader") for e in getattr(app, kind))


def passages(app: AppTest) -> str:
    return next(html.proto.body for html in app.get("html") if "qv-passages" in html.proto.body)


# -- the first view ------------------------------------------------------------------------------


def test_the_first_view_measures_the_demo_and_judges_the_claims(measuring):
    app = quality(None)
    assert table(app).scheme.tolist() == list(DEFAULT_SCHEMES)
    assert not app.warning and not app.error
    assert measuring.asked == [("demo", DEFAULT_SCHEMES)]
    assert measuring.given["text"] is None and measuring.given["targets"] == ("linear",)
    text = said(app)
    for claim in (5, 6, 7, 9):
        assert f"Claim {claim}" in text
    assert "the second half is scored, as llama.cpp" in text
    assert "million tokens of training" in text
    assert [m.label for m in app.metric][0] == "Perplexity as stored"
    assert len(figures(app)) == 4  # both costs, the largest weights, the training


def test_what_differs_is_marked_by_more_than_colour_and_escaped():
    app = quality()
    body = passages(app)
    assert body.count("<mark>") == 1, "the run of other tokens of the second scheme"
    assert "&lt;b&gt;went" in body and "<b>went" not in body
    assert "the same text" in body and "parts at token 2; 5 of 6 differ" in body


def test_the_demo_measured_for_real_gives_what_the_module_gives(real):
    app = quality(["int2-asym-b32"], tokens="256", context="128", length="10")
    direct = [r for r in measure_quality("demo", ["int2-asym-b32"], tokens=256, context=128) if r.complete][0]
    row = table(app).iloc[0]
    assert (row.perplexity, row.kl_mean) == (direct.perplexity, direct.kl_mean)
    assert "<mark>" in passages(app)
    app.session_state["quality_more"] = "Python"
    settled(app)
    scope: dict = {}
    exec(compile(app.code[0].value.replace(".show()", ".to_json()"), "snippet", "exec"), scope)  # noqa: S102
    assert scope["results"][0].perplexity == direct.perplexity


# -- the controls --------------------------------------------------------------------------------


def test_a_link_brings_everything(measuring):
    app = quality(["nf4-b64", "down_proj=int8-b32;*=int4-b32"], tokens="all", context="256", method="sliding",
                  layers=["linear", "head"], prompt="Then")  # fmt: skip
    press(app, "Measure")  # all of the text is more than is measured unasked
    settled(app)
    assert measuring.asked == [("demo", ("nf4-b64", "down_proj=int8-sym-b32;*=int4-sym-b32"))]
    given = measuring.given
    assert (given["tokens"], given["context"], given["method"]) == (None, 256, "sliding")
    assert given["targets"] == ("linear", "head")
    assert "moves on by 128" in said(app)
    assert ">Then<" in passages(app)


def test_a_wrong_key_is_left_out_with_a_sentence():
    app = quality([*FEW, "int4-aysm-b64", "down_proj=int99"])
    assert table(app).scheme.tolist() == FEW
    text = " ".join(str(w.value) for w in app.warning)
    assert "int4-asym-b64" in text and "left out" in text and "int99" in text


def test_wrong_numbers_fall_back_with_a_sentence(measuring):
    app = quality(tokens="many", context="0")
    text = " ".join(str(w.value) for w in app.warning)
    assert "Showing 4096 instead" in text and "Showing 512 instead" in text
    assert (measuring.given["tokens"], measuring.given["context"]) == (4096, 512)


def test_nothing_chosen_says_what_to_do(measuring):
    app = quality([""])
    assert not app.exception and not app.error and not measuring.asked
    assert "Choose schemes" in said(app)


def test_sets_and_the_sidebars_scheme_are_a_press_away(measuring):
    app = quality(["nf4-b64"], scheme="int3-sym-b32")
    press(app, "Add int3-sym-b32")
    settled(app)
    assert table(app).scheme.tolist() == ["nf4-b64", "int3-sym-b32"]
    assert measuring.asked[-1] == ("demo", ("int3-sym-b32",)), "what is known is not measured again"


# -- the text ------------------------------------------------------------------------------------


def test_a_pasted_text_is_measured_and_found_again_by_its_fingerprint(measuring):
    app = quality(text="own")
    assert "Paste a text" in said(app) and not measuring.asked
    app.text_area(key="pasted").set_value("In the beginning was the word, and more words. " * 20)
    settled(app)
    assert measuring.given["text"].startswith("In the beginning")
    digest = app.session_state["text_id"]
    app = quality(text="own", text_id=digest)
    assert len(table(app)) == 2 and len(measuring.asked) == 1
    app.session_state["quality_more"] = "Command line"
    settled(app)
    assert "--text text.txt" in app.code[0].value


def test_a_text_that_the_server_no_longer_holds_is_said(measuring):
    app = quality(text="own", text_id="0123456789abcdef01234567")
    assert not app.exception and not measuring.asked
    assert "paste or upload it again" in app.warning[0].value


def test_a_file_in_another_encoding_is_one_sentence(measuring):
    app = quality(text="own")
    app.file_uploader(key="text_file").set_value(("caf\u00e9.txt", "caf\u00e9 ".encode("latin-1") * 99, "text/plain"))
    settled(app)
    assert "UTF-8" in app.error[0].value and not measuring.asked


# -- what goes wrong -----------------------------------------------------------------------------


def test_an_error_is_one_sentence_and_not_tried_again_unasked(measuring):
    measuring.problem = "The text has 40 tokens, fewer than one window of 512; give a longer text."
    app = quality()
    assert not app.exception and "fewer than one window" in app.error[0].value
    settled(app)
    assert len(measuring.asked) == 1
    measuring.problem = None
    press(app, "Try again")
    settled(app)
    assert len(table(app)) == 2


@pytest.mark.parametrize("ref", ["/nowhere/at/all", "random:normal", "model.bin"])
def test_what_is_no_language_model_is_one_sentence(real, ref):
    app = quality(model=ref)
    assert not app.exception and len(app.error) == 1


def test_a_collapsed_model_is_shown_as_such_with_the_count(measuring):
    measuring.outcomes["int2-sym-tensor"] = collapsed("int2-sym-tensor", 2040)
    app = quality(["int8-sym-b32", "int2-sym-tensor"])
    assert "collapsed the model: 2,040 of 2,040 predictions are no numbers" in said(app)
    assert table(app).perplexity.isna().tolist() == [False, True]


def test_a_scheme_that_cannot_apply_is_said(measuring):
    measuring.outcomes["int4-sym-b512"] = Refusal("int4-sym-b512", "q_proj: blocks of 512 are longer than a row.")
    app = quality(["int8-sym-b32", "int4-sym-b512"])
    assert table(app).scheme.tolist() == ["int8-sym-b32"]
    assert "blocks of 512" in app.warning[0].value


# -- long work -----------------------------------------------------------------------------------


def waiting(app: AppTest, text: str) -> AppTest:
    for _ in range(100):
        app.run()
        if text in said(app) or any(text in str(frame.value) for frame in app.dataframe):
            return app
    raise AssertionError(f"{text!r} never showed")


def held(measuring: Measuring, **address) -> AppTest:
    """A page whose measurement stands still after the first window of the first scheme."""
    measuring.gate.clear()
    app = AppTest.from_file(str(APP), default_timeout=120)
    for name, value in {"ref": SMALL, "measured": FEW, **address}.items():
        app.query_params[name] = value
    app.switch_page("pages/quality.py")
    return waiting(app, "1 of 2")


def test_figures_appear_as_windows_finish_and_a_stop_keeps_them(measuring):
    app = held(measuring)
    assert table(app).scheme.tolist() == ["int8-sym-b32"]
    press(app, "Stop")
    waiting(app, "was stopped")
    assert table(app).scheme.tolist() == ["int8-sym-b32"], "what had arrived is kept"
    measuring.gate.set()
    press(app, "Start again")
    settled(app)
    assert table(app).scheme.tolist() == FEW


def test_whoever_comes_back_finds_the_running_job_and_then_its_results(measuring):
    app = held(measuring)
    other = held(measuring)
    assert len(measuring.asked) == 1
    measuring.gate.set()
    for page in (settled(app), settled(other), quality()):
        assert table(page).scheme.tolist() == FEW
    assert len(measuring.asked) == 1


def test_another_question_ends_the_job_of_the_last_only_if_nobody_waits_for_it(measuring):
    app, other = held(measuring), held(measuring)
    app.multiselect(key="measured").set_value([FEW[0]])
    app.run()
    assert "1 of 2" in str(table(other.run()).windows.tolist()), "the other visitor's goes on"
    other.multiselect(key="measured").set_value([FEW[1]])
    other.run()
    measuring.gate.set()
    assert table(settled(other)).scheme.tolist() == [FEW[1]]
    assert table(settled(app)).scheme.tolist() == [FEW[0]]


def test_another_model_waits_for_a_word_and_says_what_it_takes(measuring, tmp_path):
    folder = tmp_path / "model"
    shutil.copytree(FOLDER, folder)
    app = quality(model=str(folder))
    assert not measuring.asked
    text = said(app)
    assert "Model: 7.87 MB" in text and "multiplications/s" in text
    press(app, "Measure")
    settled(app)
    assert table(app).scheme.tolist() == FEW and measuring.asked == [(str(folder), tuple(FEW))]
    assert any(b.label == "Write" for b in app.button), "nor is anything else done unasked"


# -- activations and what is taken along ---------------------------------------------------------


def test_activations_weigh_other_pages_and_tell_layers_apart(real):
    app = quality(["int4-sym-b32"], tokens="256", context="128", length="10")
    press(app, "Collect from this text")
    settled(app)
    layers = next(frame.value for frame in app.dataframe if "output" in frame.value)
    assert len(layers) == 28 and (layers.output > 0).all()
    assert "of 28 layers the output is hurt less" in said(app)
    press(app, "Use on other pages")
    settled(app)
    assert app.session_state["ref"] == "demo"
    app.switch_page("pages/explore.py")
    settled(app)
    assert any("Importance from importance-demo.safetensors" in str(c.value) for c in app.caption)


def test_the_data_is_json(measuring, monkeypatch):
    kept = {}
    monkeypatch.setattr(
        quality_take_along.st, "download_button", lambda label, text, *a, **k: kept.update({label: text})
    )
    measuring.outcomes["int2-sym-tensor"] = collapsed("int2-sym-tensor")
    app = quality([*FEW, "int2-sym-tensor"])
    app.session_state["quality_more"] = "Data and link"
    settled(app)
    document = json.loads(kept["JSON"])
    assert [row["scheme"] for row in document["results"]] == [*FEW, "int2-sym-tensor"]
    assert document["results"][2]["perplexity"] is None and kept["CSV"].startswith("ref,scheme")
    assert [s["count"] for s in document["largest_weights"]] == [1, 16]


def test_a_token_stays_out_of_the_code():
    source = ModelRef("hf:org/name", "hf:org/name")
    ask = quality_state.Ask(source, quality_state.Text(), 4096, 512, "llama.cpp", ("down_proj",), token="hf_secret")
    code = quality_take_along.quality_snippet(ask, FEW) + quality_take_along.quality_command(ask, FEW) + repr(ask)
    assert "hf_secret" not in code and "HF_TOKEN" in code
    assert "--targets down_proj" in code and "targets=['down_proj']" in code
