"""What Streamlit itself takes: a list, and five figures of random numbers like those of Explore. See redraw.py."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go
import streamlit as st

LAYOUT = {"height": 320, "margin": {"l": 64, "r": 10, "t": 30, "b": 48}, "showlegend": False, "template": "none"}


def draw(key: str, *traces: object) -> None:
    st.plotly_chart(go.Figure(traces, LAYOUT), key=f"figure_{key}")


st.set_page_config(layout="wide")
options = ["b64", "b32", "b128", "channel", "b16", "b256", "tensor"]
seed = options.index(st.sidebar.selectbox("Granularity", options))
numbers, x = np.random.default_rng(seed), np.linspace(-1, 1, 256)
draw("weights", *(go.Scatter(x=x, y=numbers.random(256), mode="lines") for _ in range(2)))
left, right = st.columns(2)
with left:
    draw("errors", go.Scatter(x=x, y=numbers.random(256), mode="lines"))
with right:
    draw("codes", go.Bar(x=np.arange(15), y=numbers.random(15)))
left, right = st.columns(2)
with left:
    draw("map", go.Heatmap(z=numbers.random((128, 256)).astype(np.float32)))
with right:
    draw("block", go.Scatter(x=x[:64], y=numbers.random(64), mode="lines"))
