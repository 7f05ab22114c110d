"""Every figure that these tests make is checked by plotly, property by property, which the app leaves out."""

from __future__ import annotations

import plotly.graph_objects as go
import pytest
from plotly.basedatatypes import BaseFigure


@pytest.fixture(autouse=True)
def checked(monkeypatch: pytest.MonkeyPatch) -> None:
    make = BaseFigure.__init__

    def check(self: go.Figure, data=None, layout_plotly=None, frames=None, skip_invalid=False, **more) -> None:
        make(self, data, layout_plotly, frames, skip_invalid, **more | {"_validate": True})
        for trace in self.data:
            type(trace)(**trace.to_plotly_json())

    monkeypatch.setattr(BaseFigure, "__init__", check)
