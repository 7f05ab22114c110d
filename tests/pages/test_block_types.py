"""GGUF's block types on every page: chosen, compared, spelled out, drawn, and refused in a sentence."""

from __future__ import annotations

import io

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from quantviz.block_types import BLOCK_TYPES

from .running import opened, settled, shown
from .test_compare import compare, table
from .test_explore import shows
from .test_number_formats import PAGE


@pytest.mark.parametrize("scheme", ["q4_0", "q5_1", "q8_0", "q1_0", "q4_k", "q6_k", "iq4_xs", "iq3_s", "gguf_nvfp4"])
def test_types_of_every_kind_show_in_explore(scheme: str) -> None:
    app = opened(scheme=scheme)
    assert shows(app, scheme) and not app.warning
    frame = next(d.value for d in app.dataframe if "arithmetic" in d.value)
    assert len(frame) == BLOCK_TYPES[scheme].block
    assert ("scale" in frame) == (BLOCK_TYPES[scheme].groups > 1)
    assert any(BLOCK_TYPES[scheme].rule in shown(c) for c in app.caption)


def test_the_controls_choose_a_type_and_fill_rows_up() -> None:
    app = opened(scheme="int4-asym-b64:clip=mse")
    app.sidebar.selectbox(key="scheme_family").select("GGUF")
    assert shows(settled(app), "q4_k")
    app.sidebar.selectbox(key="scheme_format").select("iq4_nl")
    assert shows(settled(app), "iq4_nl")
    app.sidebar.toggle(key="scheme_pad").set_value(True)
    assert shows(settled(app), "iq4_nl:pad=1")
    app.sidebar.selectbox(key="scheme_family").select("Integer")
    assert shows(settled(app), "int4-sym")


@pytest.mark.parametrize("scheme", ["iq2_xs", "iq1_m"])
def test_a_type_that_demands_importance_is_one_sentence_and_the_page_stays_usable(scheme: str) -> None:
    app = opened(scheme=scheme)
    assert not app.exception and len(app.error) == 1
    assert f"{scheme} cannot be quantized without importance" in app.error[0].value
    buffer = io.BytesIO()
    np.save(buffer, np.arange(1, 257, dtype=np.float32))
    app.file_uploader(key="importance_file").set_value(("h.npy", buffer.getvalue(), "application/octet-stream"))
    assert shows(settled(app), scheme)
    app.sidebar.selectbox(key="scheme_format").select("q4_0")
    assert shows(settled(app), "q4_0")


def test_a_row_that_does_not_divide_says_what_would() -> None:
    app = opened(ref="random:normal?rows=64&cols=300", scheme="q4_k", pinned="none")
    assert not app.exception and "q4_k:pad=1 fills each up with 212 zeros" in shown(app.error[0])
    app.sidebar.toggle(key="scheme_pad").set_value(True)
    settled(app)
    assert shows(app, "q4_k:pad=1")
    assert any("zeros that fill up the rows" in shown(m) for m in app.markdown)


def test_compare_leaves_out_what_demands_importance_until_it_is_there() -> None:
    app = compare(["q4_k", "iq2_xs"])
    assert np.isnan(table(app).sqnr_db[2])
    assert any("iq2_xs is left out" in str(w.value) and "without importance" in str(w.value) for w in app.warning)
    buffer = io.BytesIO()
    np.save(buffer, np.arange(1, 257, dtype=np.float32))
    app.file_uploader(key="importance_file").set_value(("h.npy", buffer.getvalue(), "application/octet-stream"))
    assert table(settled(app)).sqnr_db.notna().all()
    assert not app.warning


def test_outliers_offers_other_types_and_says_why_nothing_else_applies() -> None:
    app = opened("outliers", scheme="q4_0")
    assert not app.exception and not app.error
    cures = next(d.value for d in app.dataframe if "cure" in d.value)
    assert {"untreated", "q4_k", "q5_0"} <= set(cures.cure)
    assert any("q4_0 takes no rotate option" in shown(c) for c in app.caption)


@pytest.fixture
def formats() -> AppTest:
    return AppTest.from_file(str(PAGE), default_timeout=30)


def layout(app: AppTest):
    return next(d.value for d in app.dataframe if "from byte" in d.value)


@pytest.mark.parametrize("name", BLOCK_TYPES)
def test_every_layout_is_drawn_field_by_field(formats: AppTest, name: str) -> None:
    formats.query_params["block_type"] = name
    formats.run()
    assert not formats.exception and not formats.error and not formats.warning
    kind = BLOCK_TYPES[name]
    assert layout(formats)["bytes"].sum() == kind.nbytes
    assert any(shown(m) == kind.rule for m in formats.markdown)
    assert next(m.value for m in formats.metric if m.label == "Bits per weight") == f"{kind.bits_per_weight:g}"


def test_the_table_of_conformance_is_on_the_page(formats: AppTest) -> None:
    formats.run()
    checked = next(d.value for d in formats.dataframe if "source of truth" in d.value)
    assert set(checked.type) == set(BLOCK_TYPES) and set(checked.verdict) == {"equal"}
    assert (checked["rows checked"] == checked["rows equal"]).all()


def test_a_wrong_type_in_a_link_falls_back_with_a_notice(formats: AppTest) -> None:
    formats.query_params["block_type"] = "q9_k"
    formats.run()
    assert not formats.exception and "q9_k" in formats.warning[0].value
    assert layout(formats)["bytes"].sum() == BLOCK_TYPES["q4_k"].nbytes
