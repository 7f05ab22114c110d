"""Figures on the page: sent to the one element that draws them, and drawn by Streamlit where that is blocked."""

from __future__ import annotations

from .running import figures, opened, shown


def test_a_figure_is_sent_with_its_description_and_what_its_zoom_belongs_to():
    app = opened(scheme="int4-sym-b32")
    drawn = figures(app)
    assert len(drawn) == 5 and all(figure["alt"] and figure["layout"]["height"] for figure in drawn)
    assert [figure["clicks"] for figure in drawn] == [False, False, False, True, False]
    assert len({figure["keeps"] for figure in drawn}) == 5
    kept = [figure["keeps"] for figure in drawn]
    app.text_input(key="scheme").set_value("int4-asym-b32").run()
    assert [figure["keeps"] for figure in figures(app)][:4] == kept[:4]
    app.text_input(key="scheme").set_value("int8-sym-b64").run()
    assert [figure["keeps"] == of for figure, of in zip(figures(app), kept, strict=True)][:4] == [
        True,
        True,
        False,
        False,
    ]
    app.text_input(key="rows").set_value("0:64").run()
    assert figures(app)[0]["keeps"] != kept[0]


def test_where_the_script_is_blocked_the_page_says_so_and_streamlit_draws():
    app = opened(scheme="int4-sym-b32")
    described = [figure["alt"] for figure in figures(app)]
    app.session_state["figures_blocked"] = "new"  # as the browser's word sets it
    app.run()
    assert figures(app) == [] and [chart.proto.alt for chart in app.get("plotly_chart")] == described
    assert sum("blocks the script that redraws figures" in shown(said) for said in app.warning) == 1
    assert not app.exception
