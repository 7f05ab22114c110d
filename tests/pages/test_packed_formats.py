"""Packed formats on Number formats: each drawn, and compared with its library."""

from __future__ import annotations

from pages.components.number_formats.packed_layouts import labelled
from quantviz.checkpoints.conformance import conformance
from tests.pages.running import opened, shown
from tests.pages.test_explore import title


def test_every_packed_format_is_drawn():
    app = opened("number_formats")
    assert "Packed formats of published checkpoints" in title(app)
    box, layouts = app.selectbox(key="packed_format"), labelled()
    assert box.options == list(layouts) and len(layouts) == sum(len(c.layouts) for c in conformance())
    for name in list(layouts)[::5]:
        layout, _ = layouts[name]
        app.selectbox(key="packed_format").select(name)
        app.run()
        assert not app.exception
        fields = next(t.value for t in app.dataframe if "axes" in t.value)
        assert fields.tensor.tolist() == [f.part for f in layout.fields]
        assert f"{layout.rule}." in [shown(e) for e in app.markdown]
    assert "checks hold" in " ".join(str(e.label) for e in app.expander)
