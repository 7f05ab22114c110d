"""Every figure that these tests make is checked by plotly, property by property, which the app leaves out; and the
first ones of each test are, to the last pixel, what they were before (tests/kept.py)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import plotly.graph_objects as go
import pytest
from plotly.basedatatypes import BaseFigure

from tests.kept import plain

FEW = 6  # figures of a test that are kept


@pytest.fixture(autouse=True)
def checked(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, kept: Callable[[Any], None]
) -> Iterator[None]:
    make, made = BaseFigure.__init__, []

    def check(self: go.Figure, data=None, layout_plotly=None, frames=None, skip_invalid=False, **more) -> None:
        make(self, data, layout_plotly, frames, skip_invalid, **more | {"_validate": True})
        for trace in self.data:
            type(trace)(**trace.to_plotly_json())
        made.append(self)

    monkeypatch.setattr(BaseFigure, "__init__", check)
    yield
    if hasattr(request.function, "hypothesis"):  # whose examples are others each time
        return
    figures: list[dict] = []
    for fig in made:
        figure = plain(fig.to_plotly_json())
        figure["layout"].pop("template", None)
        if figure not in figures:
            figures.append(figure)
    for figure in figures[:FEW]:
        kept(figure, every=True)
