"""What each scheme costs the whole model."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from quantviz.metrics import METRICS, value_text
from quantviz.sweep.summary import refusals, share_read
from quantviz.sweep.totals import totals
from quantviz.text.wording import bits, count, share, size

from .. import say
from ..shared.tables import table
from .controls import Ask

_HELP = {
    "bits_per_weight": ("bits per weight", "8 · bytes / weights of all tensors swept, scales and all else included."),
    "bits": ("size", "Of the tensors swept; norms and biases come on top."),
    "relative_l2_error": ("relative error", "√(Σe² / Σx²) over all weights of the model: lower is better."),
    "sqnr_db": ("SQNR", "10·log10(Σx² / Σe²) over all weights of the model: higher is better."),
    "weighted_mse": ("weighted error", "Σh·e² / Σh over all weights that importance was given for: lower is better."),
    "refused": ("refused", "Tensors that the scheme cannot be applied to; they are in none of the figures."),
}


def totals_section(ask: Ask, frame: pd.DataFrame) -> None:
    st.subheader("The model under each scheme", anchor=False)
    found = totals(frame).drop(columns=["squared", "squared_error"])
    if found["weighted_mse"].isna().all():
        found = found.drop(columns="weighted_mse")
    how = {
        "tensors": count, "refused": count, "weights": count, "bits_per_weight": bits,
        "bits": lambda taken: size(taken / 8),
        "relative_l2_error": share, "sqnr_db": lambda v: value_text("sqnr_db", v),
        "weighted_mse": lambda v: value_text("weighted_mse", v),
    }  # fmt: skip
    headings = {
        name: st.column_config.Column(label, help=say.plain(text)) for name, (label, text) in _HELP.items()
    }  # fmt: skip
    table(found, how, "sweep_totals", headings, height="content")
    if ask.sample:
        say.caption(
            f"Estimated from {share(share_read(frame))} of the weights: bands of rows drawn at random. "
            f"The figures of each tensor carry their standard errors; {METRICS['max_abs_error'].label} cannot be had "
            "from a sample."
        )
    for scheme, names, why in refusals(frame)[:4]:
        say.caption(f"{scheme} is left out for {names}: {why}")
