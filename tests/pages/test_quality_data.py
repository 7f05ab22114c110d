"""Quality with schemes that use data: chosen by one press, told by what they cost, found again, taken along."""

from __future__ import annotations

from pages.components.quality.schemes import SETS, WITH_DATA
from quantviz import Calibrating
from quantviz.quality.measure import measure_quality
from tests.quality.made_up import result

from .running import settled
from .test_quality import measuring as measuring
from .test_quality import passages, press, quality, said, table
from .test_quality import real as real


def test_a_press_measures_methods_that_use_data_and_says_what_on(measuring):
    app = quality(["int8-sym-b32"])
    assert measuring.given["calibrating"] == Calibrating(context=512)
    data = {"uses_data": "gptq", "calibration_text": "some book", "calibration_tokens": 3584, "propagate": True}
    for scheme in SETS[WITH_DATA][1][1:]:
        more = {**data, "uses_data": "imatrix", "propagate": None} if scheme == "q3_k" else data
        measuring.outcomes[scheme] = result(scheme, **more)
    press(app, WITH_DATA)
    settled(app)
    assert measuring.given["calibrating"].imatrix
    shown = table(app).set_index("scheme")
    assert shown.uses_data.tolist() == ["", "gptq", "gptq", "imatrix"]
    assert shown.calibration_tokens.tolist() == [0, 3584, 3584, 3584]
    assert "Calibrated on: some book, 3,584 tokens, none of which is scored" in said(app)
    # What does not use data is not measured again where that changes.
    app.segmented_control(key="inputs").set_value("stored")
    settled(app)
    assert measuring.asked[-1][1] == SETS[WITH_DATA][1][1:] and not measuring.given["calibrating"].propagate
    app.session_state["quality_more"] = "Command line"
    settled(app)
    assert "--calibration-tokens 4096 --no-propagate --imatrix" in app.code[0].value


def test_a_calibration_text_of_ones_own_is_found_again(measuring):
    app = quality(["int4-asym-b64:solver=gptq"], calibration_text="own")
    assert "Paste a text" in said(app) and not measuring.asked
    app.text_area(key="calibration_id_pasted").set_value("And the word was with us. " * 40)
    settled(app)
    assert measuring.given["calibrating"].text.startswith("And the word") and measuring.given["text"] is None
    for more, words in (("Python", "text=Path('calibration.txt').read_text(), tokens=4096"),
                        ("Command line", "--calibration-text calibration.txt")):  # fmt: skip
        app.session_state["quality_more"] = more
        settled(app)
        assert words in app.code[0].value


def test_a_scheme_that_uses_data_measured_for_real(real):
    key = "int4-asym-b64:solver=gptq"
    address = {"tokens": "256", "context": "128", "length": "10", "calibration_tokens": "512", "layers": "layers.0"}
    app = quality([key], inputs="stored", **address)
    calibrating = Calibrating(tokens=512, propagate=False)
    options = {"tokens": 256, "context": 128, "targets": ["layers.0"], "calibrating": calibrating}
    *_, direct = measure_quality("demo", [key], **options)
    assert (table(app).perplexity[0], table(app).uses_data[0]) == (direct.perplexity, "gptq")
    assert "<mark>" in passages(app) or "the same text" in passages(app)
    app.session_state["quality_more"] = "Python"
    settled(app)
    scope: dict = {}
    exec(compile(app.code[0].value.replace(".show()", ".to_json()"), "snippet", "exec"), scope)  # noqa: S102
    assert scope["results"][0].perplexity == direct.perplexity
