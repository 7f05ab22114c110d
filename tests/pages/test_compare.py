"""Compare runs, reacts, and stays usable after every kind of wrong input."""

from __future__ import annotations

import io
import json

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from pages.components.work import bounded, cached
from quantviz.schemes.presets import EIGHT_BITS, FOUR_BITS, PRESETS, preset

from .running import SMALL, opened, settled, shown

FEW = ["int4-sym-tensor", "int4-sym-b64", "nf4-b64"]


def compare(schemes: list[str] | None = None, **address: str) -> AppTest:
    asked = {} if schemes is None else {"schemes": schemes}
    return opened("compare", **{"pinned": "int4-sym-b64", **address, **asked})


def table(app: AppTest):
    assert not app.exception
    return next(frame.value for frame in app.dataframe if "bits_per_weight" in frame.value)


def test_the_first_view_compares_the_4_bit_formats_with_the_pinned_scheme():
    app = compare(pinned="int8-sym-b64")
    assert table(app).scheme.tolist() == ["int8-sym-b64", *preset(FOUR_BITS, (128, 256))]
    assert not app.warning and not app.error
    assert any("none beats" in str(m.value) for m in app.markdown)
    assert any("no more than 8.250 bits" in str(m.value) for m in app.markdown)


def test_a_comparison_is_whole_though_what_is_kept_has_made_room_by_the_time_it_is_drawn(monkeypatch):
    made = cached.compare

    def compared(*arguments):
        found = made(*arguments)
        bounded.let_go()
        return found

    monkeypatch.setattr(cached, "compare", compared)
    app = compare(FEW)
    assert table(app).scheme.tolist() == ["int4-sym-b64", "int4-sym-tensor", "nf4-b64"]
    app = compare([*FEW, "mxfp4"])
    assert table(app).scheme.tolist() == ["int4-sym-b64", "int4-sym-tensor", "nf4-b64", "mxfp4"]


def test_a_link_brings_its_schemes_and_the_pinned_one_joins_them():
    app = compare(["nf4-b64", "mxfp4"])
    assert table(app).scheme.tolist() == ["int4-sym-b64", "nf4-b64", "mxfp4"]
    assert table(app)["against pinned"][0] == 0


def test_several_keys_may_stand_in_one_and_equal_ones_count_once():
    app = compare(["nf4-b64 mxfp4;nvfp4", "nf4"], pinned="none")
    assert table(app).scheme.tolist() == ["nf4-b64", "mxfp4", "nvfp4"]


def test_a_wrong_key_is_left_out_with_a_sentence():
    app = compare([*FEW, "int4-aysm-b64"])
    assert table(app).scheme.tolist() == ["int4-sym-b64", "int4-sym-tensor", "nf4-b64"]
    said = " ".join(str(w.value) for w in app.warning)
    assert "int4-asym-b64" in said and "left out" in said


def test_a_scheme_that_cannot_apply_is_listed_with_the_reason():
    app = compare(["q4_k", "nf4-b64"], ref="random:normal?rows=64&cols=128")
    assert "q4_k" in table(app).scheme.tolist()
    assert any("256" in shown(w) for w in app.warning)
    assert np.isnan(table(app).sqnr_db[1]) and not np.isnan(table(app).sqnr_db[2])


def test_a_block_longer_than_the_row_is_the_row():
    values = table(compare(["int4-sym-b512", "int4-sym-b256"], pinned="none"))
    assert values.sqnr_db[0] == values.sqnr_db[1]


def test_nothing_chosen_says_what_to_do():
    app = compare([""])
    assert not app.exception and not app.dataframe[:-1]
    assert any("Choose schemes" in str(i.value) for i in app.info)


def test_one_scheme_alone_and_only_one_that_cannot_apply():
    assert len(table(compare(["nf4-b64"], pinned="none"))) == 1
    app = compare(["q4_k"], pinned="none", ref="random:normal?rows=64&cols=128")
    assert not app.exception and any("256" in shown(w) for w in app.warning)


def test_presets_and_the_sidebars_scheme_are_a_press_away():
    app = compare(["nf4-b64"], scheme="int3-sym-b32")
    app.button(key=f"schemes_set_{EIGHT_BITS}").click()
    settled(app)
    assert set(preset(EIGHT_BITS, (128, 256))) <= set(table(app).scheme)
    assert all(any(b.label == name for b in app.button) for name in PRESETS)
    next(b for b in app.button if b.label == "Add int3-sym-b32").click()
    settled(app)
    assert "int3-sym-b32" in table(app).scheme.tolist()


def test_differences_from_the_pinned_scheme():
    app = compare(FEW)
    values = table(app)
    app.segmented_control(key="compare_shown").set_value("Against the pinned")
    settled(app)
    gaps = table(app)
    assert gaps.sqnr_db[0] == 0 and gaps.sqnr_db[1] == values.sqnr_db[1] - values.sqnr_db[0]


def test_the_snippet_runs_and_gives_the_table_on_the_page():
    app = compare(FEW)
    app.session_state["compare_more"] = "Python"
    settled(app)
    scope: dict = {}
    exec(compile(app.code[0].value.replace(".show()", ".to_json()"), "snippet", "exec"), scope)  # noqa: S102
    np.testing.assert_array_equal(scope["table"].sqnr_db, table(app).sqnr_db)


def uploaded(values: np.ndarray, **address: str) -> AppTest:
    buffer = io.BytesIO()
    np.save(buffer, values)
    app = compare(FEW, **address)
    app.file_uploader(key="importance_file").set_value(("h.npy", buffer.getvalue(), "application/octet-stream"))
    return settled(app)


def test_uploaded_importance_adds_its_metric():
    app = uploaded(np.arange(256, dtype=np.float32))
    assert table(app).weighted_mse.notna().all()
    app.session_state["compare_more"] = "Python"
    settled(app)
    assert "load_importance('h.npy')" in app.code[0].value
    next(b for b in app.button if b.label == "Forget h.npy").click()
    assert "weighted_mse" not in table(settled(app))


def test_importance_of_the_wrong_length_is_one_sentence_and_the_rest_goes_on():
    app = uploaded(np.ones(255, np.float32))
    assert any("255" in shown(w) for w in app.warning)
    assert "weighted_mse" not in table(app)


def test_a_tensor_with_nan_is_one_sentence(tmp_path):
    w = np.ones((8, 64), np.float32)
    w[1, 2] = np.nan
    np.save(tmp_path / "w.npy", w)
    app = compare(FEW, ref=str(tmp_path / "w.npy"))
    assert not app.exception
    assert any("[1, 2]" in shown(e) for e in app.error)


@pytest.mark.parametrize("more", ["Python", "Data and link"])
def test_everything_to_take_along_draws(more):
    app = compare(FEW)
    app.session_state["compare_more"] = more
    assert not settled(app).exception


def test_the_data_is_json(monkeypatch):
    from pages.components.compare import table as compare_table

    kept = {}
    monkeypatch.setattr(compare_table.st, "download_button", lambda label, text, *a, **k: kept.update({label: text}))
    app = compare(FEW)
    app.session_state["compare_more"] = "Data and link"
    settled(app)
    document = json.loads(kept["JSON"])
    assert [row["scheme"] for row in document["schemes"]] == ["int4-sym-b64", "int4-sym-tensor", "nf4-b64"]
    assert document["ref"] == SMALL and kept["CSV"].startswith("ref,tensor,scheme,")


def test_the_table_for_a_paper_has_the_chosen_columns():
    app = opened("compare", schemes=["int4-sym-b32", "fp8_e4m3", "nvfp4"])
    app.session_state["compare_more"] = "Data and link"
    app.session_state["typeset_form"] = "LaTeX"
    settled(app)
    columns = next(box for box in app.multiselect if box.label == "Columns")
    columns.set_value(["scheme", "sqnr_db", "bits_per_weight"])
    settled(app)
    table = next(code.value for code in app.code if "booktabs" in code.value)
    first = next(m.value for m in app.dataframe if "sqnr_db" in m.value).set_index("scheme")["sqnr_db"]
    assert "int4-sym-b32 & " in table and r"{SQNR (dB)}" in table and r"fp8\_e4m3" in table
    assert f"{first['int4-sym-b32']:.2f}" in table and "S[table-format=2.2]" in table
    assert "random:normal" in table and "quantviz " in table
    app.session_state["typeset_form"] = "Markdown"
    settled(app)
    assert any("| SQNR (dB) |" in code.value for code in app.code) and not app.exception
