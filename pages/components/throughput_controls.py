"""What is to be measured: workloads, model, batch, layer, schemes and device; the address holds all of them."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from quantviz.errors import QuantvizError
from quantviz.figures.throughput import BASELINE
from quantviz.schemes import Scheme
from quantviz.text_numbers import whole_number
from quantviz.throughput import MULTIPLIES, WORKLOADS, Card, Plan
from quantviz.throughput.devices import available, card
from quantviz.throughput.models import PRESETS, ModelShape, model_shape
from quantviz.throughput.plan import MOST_ROUNDS, MOST_TOKENS, parse_shape
from quantviz.wording import count, number

from . import jobs, say
from .scheme_set import scheme_set
from .shelf import Shelf
from .state import View
from .tensor_controls import UPLOAD

OWN = "sidebar"  # stands for the model of the sidebar
MOST_SECONDS = 600
_shapes: Shelf[ModelShape] = Shelf(200, lambda _: 1)


@st.cache_resource(show_spinner="Looking for devices …")
def devices() -> tuple[str, ...]:
    return available()


@st.cache_resource(show_spinner=False)
def idle_card(device: str) -> Card:
    """The card of a device before anything is measured on it."""
    return card(device)


def _device_note(device: str) -> None:
    """Says first where it is not a CUDA device that is measured, and why."""
    for text in idle_card(device).notices:
        say.info(text, ":material/memory:")


def throughput_controls(view: View) -> Plan | None:
    """Draws the controls. Gives the plan; None where it waits for a model's description, or cannot be."""
    above, best = st.container(), devices()[0]
    first = _default()
    left, right = st.columns([3, 1], vertical_alignment="bottom", gap="medium")
    workloads = left.pills(
        "Workloads", list(WORKLOADS), selection_mode="multi", bind="query-params",
        key=_first("workloads", list(first.workloads), WORKLOADS.__contains__),
        help="\n".join(f"- **{name}**: {meaning}" for name, meaning in WORKLOADS.items()),
    )  # fmt: skip
    device = right.segmented_control(
        "Device", devices(), format_func=say.name, required=True, bind="query-params",
        key=_first("device", best, devices().__contains__),
        help="The best one comes first. `reference` runs plain torch, which is slow and is there to compare with.",
    )  # fmt: skip
    with above:
        _device_note(device)
    model, batch, settings = st.columns([2, 1, 1.6], vertical_alignment="bottom", gap="medium")
    with model:
        shape = _model(view)
    tokens = batch.number_input(
        "Batch, tokens", 1, MOST_TOKENS, key=_first("batch", 1, _whole(MOST_TOKENS)), bind="query-params",
        help="How many tokens are multiplied at once: 1 is one reader's chat, more is a server's load.",
    )  # fmt: skip
    with settings.popover("Shapes, rounds, time", icon=":material/tune:", width="stretch"):
        more = _settings(device)
    if shape is not None:
        say.caption(f"{shape.name}: {count(shape.weights)} weights in linear layers")
    schemes = scheme_set(view, first.schemes)
    if wrong := st.session_state.pop("_left_out", None):
        say.notice(f"The link says what does not fit, which is left out: {', '.join(wrong)}.", on=above)
    if not workloads:
        st.info("Choose at least one workload above.", icon=":material/speed:")
        return None
    if not schemes:
        st.info("Choose schemes above, or press one of the sets.", icon=":material/speed:")
        return None
    if shape is None:
        return None
    try:
        more |= {name: parse_shape(more[name]) for name in ("tensor", "layer") if name in more}
        return Plan.make(
            device=device, workloads=tuple(w for w in WORKLOADS if w in workloads), batch=tokens,
            schemes=_with_baseline(schemes, workloads), model=shape, **more,
        )  # fmt: skip
    except QuantvizError as problem:
        say.error(problem)
        return None


def _with_baseline(schemes: tuple[Scheme, ...], workloads: list[str]) -> list[str]:
    """The keys, and bf16 first where weights are multiplied: it is what the others are compared with."""
    keys = [scheme.key for scheme in schemes]
    return list(dict.fromkeys([BASELINE, *keys])) if set(workloads) & set(MULTIPLIES) else keys


@st.cache_resource(show_spinner=False)
def _default() -> Plan:
    """What the command line measures when it is told nothing."""
    return Plan.make()


def _first(key: str, value, fits: Callable[[str], bool] = lambda _: True) -> str:
    """The key of a control that begins with `value`, or with what the link says, noting what of that does not fit."""
    state = st.session_state
    if f"_begun_{key}" not in state:
        state[f"_begun_{key}"] = True
        for text in st.query_params.get_all(key):
            if text and not fits(text):
                state.setdefault("_left_out", []).append(f"{key}={text[:60]}")
    state.setdefault(key, value)
    return key


def _whole(most: int) -> Callable[[str], bool]:
    """Whether a text of a link is a number from 1 to `most`."""
    return lambda text: whole_number(text, 1, most) is not None


def _settings(device: str) -> dict:
    """Draws what few need to change; gives arguments of Plan.make, shapes as text, without those left as they are."""
    first = Plan.make(device)
    tensor = _shape(
        "Tensor", "tensor_shape", first.tensor, "Rows × columns that quantize, dequantize and evaluate take."
    )
    layer = _shape("Layer", "layer", first.layer, "Output × input features of the layer of the workload linear.")
    rounds = st.number_input(
        "Rounds, at most", 1, MOST_ROUNDS, value=None, key=_first("rounds", None, _whole(MOST_ROUNDS)),
        bind="query-params", placeholder=str(first.rounds),
        help="How often each contender is timed. They take turns; the median counts.",
    )  # fmt: skip
    seconds = st.number_input(
        "Seconds of timing", 1, MOST_SECONDS, value=None, key=_first("seconds", None, _whole(MOST_SECONDS)),
        bind="query-params", placeholder=number(first.seconds),
        help="After which no round begins that a median does not need, over all workloads.",
    )  # fmt: skip
    given = {"tensor": tensor, "layer": layer, "rounds": rounds, "seconds": seconds and float(seconds)}
    return {name: value for name, value in given.items() if value}


def _shape(label: str, key: str, first: tuple[int, int], help: str) -> str:
    return st.text_input(
        label, key=_first(key, ""), bind="query-params", placeholder=f"{first[0]}x{first[1]}", help=help
    ).strip()


# -- the model's shape -----------------------------------------------------------------------


def _model(view: View) -> ModelShape | None:
    """Draws the choice; gives the shape, or None while it is being read."""
    default = _default().model.key
    options = [*PRESETS, *([OWN] if _may_have_config(view.at.source.ref) else [])]
    state = st.session_state
    wanted = state["model"] if "model" in state else st.query_params.get("model", default)
    if wanted not in options:
        why = " (the source has no config.json)" if wanted == OWN else ""
        state.setdefault("_left_out", []).append(f"model={wanted[:60]}{why}")
        wanted = default
    state["model"] = wanted
    st.selectbox(
        "Model shape", options, key="model", bind="query-params",
        help="How large the linear layers of a decode step are: those of a published model, or of the one in the "
        "sidebar by its config.json. Its weights are not downloaded: random ones are as fast.",
    )  # fmt: skip
    return PRESETS[wanted] if wanted in PRESETS else _own(view, PRESETS[default])


def _may_have_config(ref: str) -> bool:
    return not ref.startswith(("random:", UPLOAD)) and not ref.endswith((".npy", ".gguf"))


def _own(view: View, instead: ModelShape) -> ModelShape | None:
    """The shape that the config.json of the sidebar's model gives; `instead`, with a sentence, where it gives none."""
    source, failed = view.at.source, st.session_state.setdefault("_no_shape", {})
    if source not in failed:  # not asked again at every rerun
        try:
            return _shapes.peek(source) or jobs.result(
                ("shape", source), f"config.json of {source.ref}",
                lambda job: _shapes.get(source, lambda: model_shape(source.opens, token=view.token, root=source.root)),
            )  # fmt: skip
        except QuantvizError as problem:
            failed[source] = str(problem)
    say.notice(f"{failed[source]} Measuring {instead.name} instead.")
    return instead
