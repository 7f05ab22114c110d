"""Packed formats on Number formats: each drawn, and compared with its library."""

from __future__ import annotations

from quantviz.checkpoints.conformance import conformance
from tests.pages.running import opened, shown
from tests.pages.test_explore import title

LAYOUTS = [layout for c in conformance() for layout in c.layouts]


def test_every_packed_format_is_drawn():
    app = opened("number_formats")
    assert "Packed formats of published checkpoints" in title(app)
    box = app.selectbox(key="packed_format")
    assert sorted(set(box.options)) == sorted({layout.stored_as for layout in LAYOUTS})
    for layout in LAYOUTS[::5]:
        box.select(layout.stored_as)
        app.run()
        assert not app.exception
        fields = next(t.value for t in app.dataframe if "axes" in t.value)
        assert fields.tensor.tolist() == [f.part for f in layout.fields]
        assert f"{layout.rule}." in [shown(e) for e in app.markdown]
    assert "checks hold" in " ".join(str(e.label) for e in app.expander)
