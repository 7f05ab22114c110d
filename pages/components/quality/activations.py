"""Activations: the inputs of each layer, as importance for other pages, and the error of its output."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import pandas as pd
import streamlit as st

from quantviz import figures
from quantviz.quality.results import LayerError, QualityResult
from quantviz.quality.text.words import layers_sentence
from quantviz.text.wording import bits, decimals, plural, share, size

from .. import say
from ..link.address import chosen_text, link
from ..link.state import DEFAULT_REF, choose_ref
from ..shared.charts import chart
from ..shared.importance_upload import importance_in_use, importance_name, take_importance
from ..shared.tables import table
from .state import Ask
from .tasks import Collected, activations, layer_errors, without_refusals

OTHER_PAGES = ("explore", "compare", "outliers")


def activations_section(ask: Ask, results: Sequence[QualityResult]) -> None:
    say.subheader(
        "Activations",
        help="`E[x²]` of each input channel says how much an error in its weights costs: importance, as llama.cpp's "
        "imatrix has it. It is collected while the model as it is stored reads the text.",
    )
    task = activations(ask)
    if not task.known:
        st.markdown(
            "The inputs of each layer, while the model reads the text, tell which input channels matter. Collect them "
            "to weigh errors by importance on other pages, and to see what a scheme does to the output of each layer."
        )
        st.button("Collect from this text", icon=":material/sensors:", on_click=task.begin)
        return
    collected = task.result(patience=0.3)
    if collected is None:
        return
    _take_along(ask, collected)
    _layers(ask, collected, [r.scheme for r in results])


def _take_along(ask: Ask, collected: Collected) -> None:
    content, layers = collected.content, collected.activations.layers
    name = importance_name(ask.source.ref)
    st.caption(f"{plural(len(layers), 'layer')} over {plural(collected.tokens, 'token')}, {size(len(content))}.")
    with st.container(horizontal=True):
        st.download_button(
            "Importance and inputs (.safetensors)", content, name, "application/octet-stream",
            icon=":material/download:", on_click="ignore",
            help="E[x²] of every input channel of every layer, and a sample of inputs. `load_importance` reads it, and "
            "so do the pages that take an importance.",
        )  # fmt: skip
        st.button("Use on other pages", icon=":material/balance:", on_click=_use, args=(ask, name, content))
    if importance_in_use() == name:
        with st.container(horizontal=True, vertical_alignment="center"):
            st.caption("In use on")
            for page in OTHER_PAGES:
                st.page_link(f"pages/{page}.py", icon=":material/arrow_forward:", query_params=link(page))


def _use(ask: Ask, name: str, content: bytes) -> None:
    """The other pages weigh by it, and show the model it belongs to."""
    take_importance(name, content)
    if (chosen_text("ref") or DEFAULT_REF) != ask.source.ref and not ask.source.ref.lower().endswith(".gguf"):
        choose_ref(ask.source.ref)


def _layers(ask: Ask, collected: Collected, schemes: list[str]) -> None:
    if not schemes:
        return
    if st.session_state.get("layer_scheme") not in schemes:
        st.session_state["layer_scheme"] = next((s for s in schemes if s.startswith("int4")), schemes[0])
    scheme = st.selectbox("Layer by layer under", schemes, key="layer_scheme", persist_state="session")
    found = layer_errors(ask, scheme, collected).result(patience=0.3)
    if found is None:
        return
    errors = without_refusals(found)
    if not errors:
        return
    say.text(layers_sentence(errors))
    chart(figures.quality_details.layer_errors(errors), "layer_errors")
    _table(errors)


def _table(errors: list[LayerError]) -> None:
    frame = pd.DataFrame(
        {"layer": [e.layer for e in errors], "weights": [e.weight_error for e in errors],
         "output": [e.output_error for e in errors], "ratio": [e.output_error / (e.weight_error or float("nan"))
                                                               for e in errors],
         "bits": [e.bits_per_weight for e in errors]}
    )  # fmt: skip
    column = st.column_config.Column
    table(
        frame, {"weights": share, "output": share, "ratio": partial(decimals, places=2), "bits": bits},
        "layer_table", height=320,
        config={
            "layer": column("Layer", width="large"),
            "weights": column("Error of the weights", help="`‖Ŵ - W‖ / ‖W‖`, a fraction, shown in %; lower is better."),
            "output": column("Error of the output", help="`‖XŴ - XW‖ / ‖XW‖` over a sample of inputs X that the text "
                             "sent into the layer; a fraction, shown in %; lower is better."),
            "ratio": column("Output over weights", help="Below 1: the errors lie in channels with small inputs."),
            "bits": column("Bits per weight", help="Everything stored for this layer, over its weights."),
        },
    )  # fmt: skip
