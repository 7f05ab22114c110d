"""The controls of a measurement: workloads, model, batch, layer, schemes and device."""

from __future__ import annotations

import streamlit as st

from quantviz.errors import QuantvizError
from quantviz.figures.throughput import BASELINE
from quantviz.schemes import Scheme
from quantviz.sources.files import PICTURE_ENDINGS, SINGLE_TENSORS, TEXT_ENDINGS
from quantviz.text.wording import number, plural
from quantviz.throughput import MULTIPLIES, WORKLOADS, Card, Plan
from quantviz.throughput.devices import available, card
from quantviz.throughput.plan import MOST_ROUNDS, MOST_TOKENS, parse_shape
from quantviz.throughput.shapes import PRESETS, ModelShape, model_shape

from .. import say
from ..link import choices
from ..selection import UPLOAD, View
from ..shared.scheme_set import scheme_set
from ..work import jobs
from ..work.bounded import BoundedCache

OWN = "sidebar"  # stands for the model of the sidebar
MOST_SECONDS = 600
_shapes: BoundedCache[ModelShape] = BoundedCache(200, lambda _: 1)


@st.cache_resource(show_spinner="Looking for devices …")
def devices() -> tuple[str, ...]:
    return available()


@st.cache_resource(show_spinner=False)
def idle_card(device: str) -> Card:
    """The card of a device before anything is measured on it."""
    return card(device)


def _device_note(device: str) -> None:
    """Says so if the device is no CUDA GPU, and why."""
    for text in idle_card(device).notices:
        say.info(text, ":material/memory:")


def throughput_controls(view: View) -> Plan | None:
    """Draws the controls. Returns the plan; None while a config.json is read, or with a sentence on what is missing."""
    above, best = st.container(), devices()[0]
    first = _default()
    left, right = st.columns([3, 1], vertical_alignment="bottom", gap="medium")
    workloads = choices.some_of(
        left.pills, "Workloads", "workloads", list(WORKLOADS), first.workloads,
        help="\n".join(f"- **{name}**: {meaning}" for name, meaning in WORKLOADS.items()),
    )  # fmt: skip
    device = choices.one_of(
        right.segmented_control, "Device", "device", devices(), best, named=say.name,
        help="The best one comes first. `reference` runs plain torch, which is slow and is there to compare with.",
    )  # fmt: skip
    with above:
        _device_note(device)
    model, batch, settings = st.columns([2, 1, 1.6], vertical_alignment="bottom", gap="medium")
    with model:
        shape = _model(view)
    tokens = choices.number(
        "Batch, tokens", "batch", 1, 1, MOST_TOKENS, on=batch,
        help="How many tokens are multiplied at once: 1 is one reader's chat, more is a server's load.",
    )  # fmt: skip
    with settings.popover("Shapes, rounds, time", icon=":material/tune:", width="stretch"):
        more = _settings(device)
    if shape is not None:
        say.caption(f"{shape.name}: {plural(shape.weights, 'weight')} in linear layers")
    schemes = scheme_set(view, first.schemes, "throughput_schemes")
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
    """The plan that the command line measures without options."""
    return Plan.make()


def _settings(device: str) -> dict:
    """Draws what few need to change; returns the arguments of Plan.make that were changed, shapes as text."""
    first = Plan.make(device)
    tensor = _shape(
        "Tensor", "tensor_shape", first.tensor, "Rows × columns that quantize, dequantize and evaluate take."
    )
    layer = _shape("Layer", "layer", first.layer, "Output × input features of the layer of the workload linear.")
    rounds = choices.number(
        "Rounds, at most", "rounds", None, 1, MOST_ROUNDS, placeholder=str(first.rounds),
        help="How often each contender is timed. They take turns; the median counts.",
    )  # fmt: skip
    seconds = choices.number(
        "Seconds of timing", "seconds", None, 1, MOST_SECONDS, placeholder=number(first.seconds),
        help="After which no round begins that a median does not need, over all workloads.",
    )  # fmt: skip
    given = {"tensor": tensor, "layer": layer, "rounds": rounds, "seconds": seconds and float(seconds)}
    return {name: value for name, value in given.items() if value}


def _shape(label: str, key: str, first: tuple[int, int], help: str) -> str:
    return choices.text(
        label, key, check=lambda text: text and parse_shape(text), placeholder=f"{first[0]}x{first[1]}", help=help
    )


# -- the model's shape -----------------------------------------------------------------------


def _model(view: View) -> ModelShape | None:
    """Draws the choice; returns the shape, or None while it is read."""
    default = _default().model.key
    options = [*PRESETS, *([OWN] if _may_have_config(view.at.source.ref) else [])]
    wanted = choices.one_of(
        st.selectbox, "Model shape", "throughput_model", options, default, missing=_why_not,
        help="How large the linear layers of a decode step are: those of a published model, or of the one in the "
        "sidebar by its config.json. Its weights are not downloaded: random ones are as fast.",
    )  # fmt: skip
    return PRESETS[wanted] if wanted in PRESETS else _own(view, PRESETS[default])


def _why_not(wanted: str) -> None:
    if wanted == OWN:
        raise QuantvizError("The source in the sidebar has no config.json, which the shape of its model is read from.")


def _may_have_config(ref: str) -> bool:
    alone = (".npy", ".gguf", *TEXT_ENDINGS, *PICTURE_ENDINGS)
    return not ref.startswith((*SINGLE_TENSORS, UPLOAD)) and not ref.endswith(alone)


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
