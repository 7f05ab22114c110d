"""Compare with more tensors of the model: chosen by a press, a name or a pattern; measured; shown; taken along."""

from __future__ import annotations

import json

import numpy as np
import pytest

import quantviz as qv
from pages.components.compare import several, several_run
from pages.components.work import cached, tensors
from tests.calibration.test_energy import imatrix
from tests.pages.running import figures, opened, settled, shown
from tests.sources.builders import safetensors, weights
from tests.sources.fake_hub import Fault
from tests.sources.gguf_builder import demo

Q = "model.layers.{}.self_attn.q_proj.weight"
ALL_Q = Q.format("*")
FEW = ["int4-sym-b64", "nf4-b64"]


def compare(*chosen: str, ref: str = "demo", tensor: str = Q.format(1), **more):
    given = {"schemes": FEW, "rows": "0:16", "pinned": "none", "tensor": tensor, **more}
    return opened("compare", ref=ref, tensors=list(chosen), **given)


def table(app):
    assert not app.exception
    return next((frame.value for frame in app.dataframe if "tensor" in frame.value), None)


def drawn(app) -> dict:
    return next(figure for figure in figures(app) if "tensors under" in figure["alt"])


def said(app) -> str:
    return " ".join(shown(e) for e in [*app.warning, *app.caption, *app.markdown, *app.error, *app.info])


def press(app, label: str):
    next(button for button in app.button if label in button.label).click()
    return settled(app)


def test_nothing_chosen_says_what_to_do_and_a_press_adds_the_part_in_all_layers():
    app = compare()
    assert table(app) is None and "Add tensors to see" in said(app)
    press(app, "All self_attn.q_proj (4)")
    assert app.session_state["_chosen"]["tensors"] == [ALL_Q]
    assert table(app).tensor.tolist() == [Q.format(i) for i in range(4)]
    assert not any("self_attn.q_proj (4)" in button.label for button in app.button)
    press(app, "All of this layer (7)")
    assert len(table(app)) == 10 and app.session_state["_chosen"]["tensors"][1] == "model.layers.1.*"
    app.multiselect(key="tensors").set_value([ALL_Q, Q.format(0), Q.format(2)])  # as "select all matches" has it
    assert len(table(settled(app))) == 4 and app.session_state["_chosen"]["tensors"] == [ALL_Q]


def test_the_figures_are_those_of_the_tensors_alone_and_nothing_is_measured_twice(monkeypatch):
    app = compare("q_proj")
    found = table(app).set_index("tensor")
    alone = qv.evaluate(qv.open_model("demo").open(Q.format(3), (0, 16)), FEW[1]).metrics
    assert found.loc[Q.format(3), FEW[1]] == alone["sqnr_db"] and list(found) == FEW
    assert "4 tensors under 2 schemes" in drawn(app)["alt"] and drawn(app)["paper"]["caption"].startswith("of demo")
    assert "stand in the same order on" in said(app) and "suffers most" in said(app)
    monkeypatch.setattr(cached.qv, "evaluate", None)
    app = compare(Q.format(0), Q.format(2), metric="rmse", against="median")
    assert len(table(app)) == 3 and "minus the median" in drawn(app)["alt"] and not app.error
    app = compare(ALL_Q, tensor=Q.format(3))  # the page's own table has them too
    assert len(app.dataframe[0].value) == 2 and not app.error


def test_what_the_link_asks_for_and_is_not_there_is_one_notice():
    app = compare("k_proj", "nothing_like_it", metric="sharpness", against="pinned")
    notices = [shown(w) for w in app.warning]
    assert len(notices) == 3 and any("nothing_like_it" in n and "left out" in n for n in notices)
    assert any("No scheme is pinned" in n for n in notices) and len(table(app)) == 5
    app = compare("nothing_like_it")
    assert len(app.warning) == 1 and table(app) is None and not app.exception
    app = opened("compare", schemes=FEW, tensors=["q_proj"])
    assert [shown(w) for w in app.warning] and "one tensor" in said(app) and table(app) is None


def test_another_source_has_other_tensors():
    app = compare(ALL_Q)
    app.text_input(key="ref").set_value("random:normal?rows=8&cols=64")
    settled(app)
    assert "tensors" not in app.session_state["_chosen"] and not app.warning and not app.exception


def test_a_tensor_that_cannot_be_measured_has_its_sentence_in_its_row_and_is_tried_again(tmp_path):
    good, bad = np.linspace(-1, 1, 512, dtype=np.float32).reshape(2, 256), np.full((2, 256), np.nan, np.float32)
    (tmp_path / "m.safetensors").write_bytes(
        safetensors({"layers.0.up.weight": good, "layers.1.up.weight": bad, "layers.2.up.weight": good[:, :64]})
    )
    asked = {"ref": str(tmp_path / "m.safetensors"), "tensor": "layers.0.up.weight", "rows": "", "schemes": ["q4_k"]}
    app = compare("up", **asked)
    found = table(app).set_index("tensor")
    assert np.isfinite(found.q4_k["layers.0.up.weight"]) and found["not measured"]["layers.0.up.weight"] == ""
    assert "NaN" in found["not measured"]["layers.1.up.weight"]
    assert "256" in found["not measured"]["layers.2.up.weight"]
    press(app, "Try 1 tensor again")
    assert len(table(app)) == 3
    app = compare("up", **{**asked, "schemes": ["iq1_s"]})
    assert table(app)["not measured"].str.contains("iq1_s").all() and list(table(app)) == ["tensor", "not measured"]


def test_tensors_of_a_gguf_file(tmp_path):
    app = compare("attn_q", ref=str(demo(tmp_path / "demo.gguf")), tensor="blk.0.attn_q.weight")
    assert table(app).tensor.tolist() == [f"blk.{i}.attn_q.weight" for i in range(4)]
    assert any("All attn_q (4)" in b.label or "of this layer" in b.label for b in app.button)


def test_too_many_at_once_are_the_first_and_large_ones_are_asked_for(monkeypatch):
    monkeypatch.setattr(several, "MOST", 6)
    app = compare(ALL_Q)
    assert len(table(app)) == 3 and "8 measurements, and 6 are made at a time" in said(app)
    monkeypatch.setattr(several_run, "AT_ONCE", 0)
    app = compare("v_proj", rows="0:24")
    assert table(app) is None and "3 tensors of" in said(app)
    press(app, "Measure 3 tensors")
    assert len(table(app)) == 3


def test_stopped_it_shows_what_arrived(monkeypatch):
    measure = tensors._measure

    def stopping(one, told):
        if one.at.tensor.startswith("model.layers.2"):
            raise several_run.jobs.JobStopped
        return measure(one, told)

    monkeypatch.setattr(tensors, "_measure", stopping)
    app = compare("o_proj", rows="0:32")
    assert "was stopped. What had arrived is kept" in said(app)
    assert "under 2 schemes" in drawn(app)["alt"] and "nothing is measured" not in drawn(app)["alt"]
    monkeypatch.undo()
    press(app, "Start again")
    assert len(table(app)) == 5


def taken(app, section: str) -> dict[str, str]:
    kept: dict[str, str] = {}
    from pages.components.shared import take_along

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(take_along.st, "download_button", lambda label, text, *a, **k: kept.update({label: text}))
        app.session_state["compare_more"] = section
        settled(app)
    assert not app.exception
    return kept


def test_code_and_data_to_take_along():
    app = compare(ALL_Q)
    taken(app, "Python, all tensors")
    scope: dict = {}
    exec(compile(app.code[0].value.replace(".show()", ".to_json()"), "snippet", "exec"), scope)  # noqa: S102
    made = scope["table"].pivot(index="tensor", columns="scheme", values="sqnr_db")
    np.testing.assert_array_equal(made[FEW], table(app).set_index("tensor")[FEW])
    app.session_state["typeset_form"] = "LaTeX"
    kept = taken(app, "Data and link, all tensors")
    document = json.loads(kept["JSON"])
    assert document["ref"] == "demo" and len(document["tensors"]) == 8 and document["rows"] == [0, 16]
    assert kept["CSV"].startswith("ref,revision,rows,tensor,role,layer,scheme,")
    latex = next(code.value for code in app.code if "booktabs" in code.value)
    assert "{SQNR of} & {int4-sym-b64 (dB)} & {nf4-b64 (dB)}" in latex and r"self\_attn.q\_proj" in latex


def test_a_file_of_importance_weighs_each_tensor_that_it_names(tmp_path):
    entries = {f"blk.{i}.attn_q.weight": (np.arange(1, 257)[None] + i, [1]) for i in (0, 1, 3)}
    path = imatrix(tmp_path / "some.gguf", entries)
    app = compare(ALL_Q, schemes=["iq1_s", "nf4-b64"])
    app.file_uploader(key="importance_file").set_value(("some.gguf", path.read_bytes(), "application/octet-stream"))
    settled(app)
    app.selectbox(key="tensors_metric").set_value("weighted_mse")
    found = table(settled(app)).set_index("tensor")
    assert found.iq1_s.notna().tolist() == [True, True, False, True]
    assert "importance" in found["not measured"][Q.format(2)]
    assert "Errors of 3 of 4 tensors are weighed by some.gguf" in said(app)
    w, h = qv.open_model("demo").open(Q.format(3), (0, 16)), np.arange(1, 257, dtype=np.float32) + 3
    assert found["nf4-b64"][Q.format(3)] == qv.evaluate(w, "nf4-b64", h).metrics["weighted_mse"]
    made = qv.compare_tensors(qv.open_model("demo"), [ALL_Q], ["iq1_s"], (0, 16), importance=path, detail="metrics")
    np.testing.assert_array_equal(made.weighted_mse, found.iq1_s)
    taken(app, "Python, all tensors")
    assert "rows=(0, 16), importance='some.gguf')" in app.code[0].value


def test_tensors_of_a_hub_that_fails_can_be_tried_again(hub):
    layers = {Q.format(i): weights(64, 128, i) for i in range(3)}
    hub.add_repo("some/model", {"model.safetensors": safetensors(layers)})
    compare(Q.format(1), ref="hf:some/model")  # the tensor that the sidebar has open
    hub.faults.append(Fault("cdn", "status", times=50))
    app = compare(ALL_Q, ref="hf:some/model")
    refusals = table(app)["not measured"].tolist()
    assert ["the server answered 500" in refused for refused in refusals] == [True, False, True]
    hub.faults.clear()
    press(app, "Try 2 tensors again")
    found = table(app).set_index("tensor")
    assert list(found) == FEW
    for name, w in layers.items():
        assert found.loc[name, FEW[0]] == qv.evaluate(w[:16], FEW[0]).metrics["sqnr_db"]
