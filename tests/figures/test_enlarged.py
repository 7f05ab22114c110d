"""Figures for the back of a room: everything of a figure is larger, and the figure itself stays as it is."""

from __future__ import annotations

from quantviz.figures import alt_text, lessons
from quantviz.figures.style import TICK, TITLE, enlarged
from quantviz.lessons.memory import sizes
from quantviz.lessons.outlier import pulled


def test_type_marks_and_room_grow_together():
    for fig in (lessons.memory_bars(sizes(8.0), 16_000_000_000), lessons.pulled(pulled(20.0))):
        before = fig.to_json()
        large = enlarged(fig, 2.0)
        assert fig.to_json() == before and alt_text(large) == alt_text(fig)
        assert large.layout.height == 2 * fig.layout.height
        assert large.layout.margin.l == 2 * fig.layout.margin.l
        assert large.layout.xaxis.tickfont.size == 2 * TICK and large.layout.xaxis.title.font.size == 2 * TITLE
        for note, was in zip(large.layout.annotations, fig.layout.annotations, strict=True):
            assert note.font.size >= 24 and (note.xshift or 0) == 2 * (was.xshift or 0)
        for trace, was in zip(large.data, fig.data, strict=True):
            if was.type == "scatter":
                assert trace.marker.size == 2 * was.marker.size
        assert len(large.data) == len(fig.data)
