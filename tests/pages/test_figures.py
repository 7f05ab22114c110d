"""Figures on the page: sent to the one element that draws them, and drawn by Streamlit where that is blocked."""

from __future__ import annotations

from .running import figures, opened, shown


def test_a_figure_is_sent_with_its_description_and_what_its_zoom_belongs_to():
    app = opened(scheme="int4-sym-b32")
    drawn = figures(app)
    assert len(drawn) == 5 and all(figure["alt"] and figure["layout"]["height"] for figure in drawn)
    assert [figure["clicks"] for figure in drawn] == [False, False, False, True, False]
    assert len({figure["keeps"] for figure in drawn}) == 5
    app.selectbox(key="scheme_granularity").set_value("b64").run()
    assert [figure["keeps"] for figure in figures(app)] == [figure["keeps"] for figure in drawn]


def test_where_the_script_is_blocked_the_page_says_so_and_streamlit_draws():
    app = opened(scheme="int4-sym-b32")
    described = [figure["alt"] for figure in figures(app)]
    app.session_state["figures_blocked"] = "new"  # as the browser's word sets it
    app.run()
    assert figures(app) == [] and [chart.proto.alt for chart in app.get("plotly_chart")] == described
    assert sum("blocks the script that redraws figures" in shown(said) for said in app.warning) == 1
    assert not app.exception
