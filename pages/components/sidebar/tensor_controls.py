"""The tensor: where it comes from, which one, which rows."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial

import streamlit as st

from quantviz.errors import QuantvizError
from quantviz.sources import FORMS, Model, SeveralFiles, TensorInfo
from quantviz.text.wording import number, plural, shape, size

from .. import say
from ..link import address, choices
from ..link.address import chosen_text, put
from ..link.state import ANOTHER_SOURCE, ANOTHER_TENSOR, DEFAULT_REF, SIX_NUMBERS, choose_ref, parse_rows
from ..selection import DEMO_REF, UPLOAD, ModelRef, TensorPart
from ..shared import uploads
from ..shared.access import files_root, hub_token
from ..work import cached, jobs
from .file_controls import OWN_PICTURE, file_controls
from .number_controls import are_numbers, number_controls
from .random_controls import random_controls

RANDOM, NUMBERS, DEMO, HUB, FILE = SOURCES = "Random", "Numbers", "Demo", "Hub", "File"
LONGEST_SHOWN = 26  # characters of a tensor's name that its list has room for


def tensor_controls() -> tuple[TensorPart, TensorInfo, str | bool | None] | None:
    """Draws the controls. Gives what is selected and the visitor's token; None while a model is being opened."""
    st.subheader("Tensor")
    above = st.container()
    ref = choices.text(
        "Reference", "ref", DEFAULT_REF, check=_is_given, empty="", then=partial(put, **ANOTHER_SOURCE),
        help="The source as one line: the same words open it in Python and on the command line.",
    )  # fmt: skip
    with above:
        token = hub_token(_source_controls(ref))
    found = _open(ref, token)
    if found is None:
        return None
    source, model = found
    info = _choose_tensor(model)
    rows = None if st.session_state["_fallback"] else _choose_rows(info)
    if len(info.name) > LONGEST_SHOWN:
        say.caption(info.name)
    bits = f" · {number(info.bits_per_weight)} bits a weight" if info.packing else ""
    say.caption(
        f"{shape(info.shape) or 'no axes'} · {info.dtype} · {plural(info.size, 'weight')} · {size(info.nbytes)}{bits}"
    )
    return TensorPart(source, info.name, rows), info, token


def _is_given(ref: str) -> None:
    if not ref:
        raise QuantvizError(f"The reference is empty; write {FORMS}.")


# -- the source --------------------------------------------------------------------------------


def _kind(ref: str) -> str:
    if ref == DEMO_REF:
        return DEMO
    if are_numbers(ref):
        return NUMBERS
    return RANDOM if ref.startswith("random:") else HUB if ref.startswith("hf:") else FILE


def _source_controls(ref: str) -> str:
    """Draws the controls of one kind of source; gives the token typed, if any."""
    state = st.session_state
    # The controls follow a changed reference, also after a page without them.
    if state.get("_shown_ref") != ref or state.get("source") is None:
        state["_shown_ref"], state["source"] = ref, _kind(ref)
    st.segmented_control(
        "Source", SOURCES, key="source", required=True, on_change=_change_source,
        default=state["source"],  # what a browser shows that was not told, because a run was cut short
        label_visibility="collapsed", width="stretch",
    )  # fmt: skip
    chosen = state["source"]
    if chosen != _kind(ref):
        say.caption(f"The page shows {ref} until something is opened here.")
    if chosen == RANDOM:
        random_controls(ref)
    elif chosen == NUMBERS:
        number_controls(ref)
    elif chosen == DEMO:
        st.caption("A small language model of the Llama architecture that comes with quantviz.")
    elif chosen == HUB:
        return _hub_controls(ref)
    else:
        file_controls(ref if _kind(ref) == FILE else "")
    return state.get("_token", "")


def _change_source() -> None:
    """Opens what was open last of this kind, if anything was."""
    state = st.session_state
    last = state.get(f"_last_{state['source']}") or {
        RANDOM: DEFAULT_REF, NUMBERS: SIX_NUMBERS, DEMO: DEMO_REF,
    }.get(state["source"])  # fmt: skip
    if last:
        choose_ref(last)


def _hub_controls(ref: str) -> str:
    state = st.session_state
    state["hub_repo"] = ref.removeprefix("hf:") if _kind(ref) == HUB else ""
    st.text_input(
        "Repository", key="hub_repo", on_change=_choose_repo, placeholder="org/name@revision or org/name:FILE.gguf",
        help="Only the files' headers and the tensor you choose are downloaded. Safetensors, or GGUF: after a colon "
        "the file, or what tells it apart, such as org/name:Q4_K_M.",
    )  # fmt: skip
    typed = st.text_input(
        "Token", key="hub_token", type="password", placeholder="only for gated or private models",
        persist_state="session",
        help="Kept in this browser session's memory alone: not in links, logs or exports.",
    )  # fmt: skip
    state["_token"] = typed
    return typed


def _choose_repo() -> None:
    repo = st.session_state["hub_repo"].strip().removeprefix("hf:").removeprefix("https://huggingface.co/").strip("/")
    if repo:
        choose_ref("hf:" + as_written(repo))


def as_written(repo: str) -> str:
    """What follows huggingface.co/ in the address of a page, as a reference has it.

    >>> as_written("org/name/tree/v1"), as_written("org/name/blob/main/model-Q4_K_M.gguf?download=true")
    ('org/name@v1', 'org/name@main:model-Q4_K_M.gguf')
    """
    page = re.fullmatch(r"([^/]+/[^/]+)/(?:blob|resolve)/([^/]+)/([^?]+)(?:\?.*)?", repo)
    return f"{page[1]}@{page[2]}:{page[3]}" if page else repo.replace("/tree/", "@")


def source_for(ref: str, token: str | bool | None) -> ModelRef:
    """A reference as this visitor may open it; raises QuantvizError for files that are not theirs."""
    if not ref.startswith(UPLOAD):
        root = files_root() if _kind(ref) == FILE and ref != OWN_PICTURE else None
        return cached.source_of(ref, ref, root, token)
    kept = uploads.path_of(ref.removeprefix(UPLOAD))
    if kept is None:
        raise QuantvizError(
            f"{ref.removeprefix(UPLOAD)!r} is an upload that this window does not have: a link does not carry it, and "
            "a window that is loaded anew loses it; upload it here again."
        )
    return cached.source_of(ref, kept, None, token)


def _open(ref: str, token: str | bool | None) -> tuple[ModelRef, Model] | None:
    """The model, or the last one that opened, with a notice; None while it is being opened."""
    state = st.session_state
    try:
        source = source_for(ref, token)
        if state.get("_failed", (None,))[0] == source:  # not asked again at every change of the scheme
            st.button("Try again", icon=":material/refresh:", on_click=lambda: state.pop("_failed", None))
            raise state["_failed"][1]
        try:
            model = cached.opening(source, token)
        except QuantvizError as problem:
            state["_failed"] = source, problem
            raise problem from None
        if model is None:
            return None
        if not model.tensors:
            raise QuantvizError(f"{ref} holds no tensors; choose another source.")
    except QuantvizError as problem:
        if isinstance(problem, SeveralFiles):
            choose_file(ref, problem.names, "gguf_file", choose_ref)
        state["_fallback"] = True
        return _last_good(ref, token, problem)
    state["_fallback"] = False
    state["_good_ref"] = state[f"_last_{_kind(ref)}"] = ref
    return source, model


def choose_file(ref: str, names: tuple[str, ...], key: str, then: Callable[[str], None]) -> None:
    """Draws the choice among several GGUF files; calls `then` with the reference of the one chosen."""

    def take() -> None:
        if name := st.session_state.pop(key, None):
            before = ":".join(ref.split(":")[:2]) + ":" if _kind(ref) == HUB else ref.rstrip("/") + "/"
            then(before + name)

    st.selectbox(
        f"GGUF file, one of {len(names):,}", names, index=None, key=key, on_change=take,
        placeholder="choose a file", filter_mode="contains",
    )  # fmt: skip


def _last_good(ref: str, token: str | bool | None, problem: QuantvizError) -> tuple[ModelRef, Model]:
    """The source that was open before `ref` failed, if it still opens; else the default one."""
    for last in (st.session_state.get("_good_ref", DEFAULT_REF), DEFAULT_REF):
        if last == ref:
            continue
        try:
            source = source_for(last, token)
            model = cached.open_model(source, token, jobs.Job(""))
        except QuantvizError:
            continue
        address.passing(f"{problem} Showing {last} instead.")
        return source, model
    raise problem


# -- one of its tensors ------------------------------------------------------------------------


def _choose_tensor(model: Model) -> TensorInfo:
    wanted, first = chosen_text("tensor"), first_choice(model)
    if st.session_state["_fallback"]:  # the tensor chosen belongs to the model that did not open
        return first
    # Tensors without weights are not offered; the page explains why a link to one fails.
    names = [info.name for info in model.tensors if not info.why_not or info.name == wanted]
    names = names or [info.name for info in model.tensors]
    if len(model.tensors) == 1:
        choices.unneeded("tensor", names[0], model.info)
        return first
    slot, button = st.columns([5, 1], vertical_alignment="bottom")
    name = choices.one_of(
        slot.selectbox, f"Tensor, one of {len(names):,}", "tensor", names, first.name,
        missing=model.info, filter_mode="contains", then=partial(put, **ANOTHER_TENSOR),
    )  # fmt: skip
    if button.button("", icon=":material/table:", help="All tensors, with shape, dtype and size"):
        _table_of(model)
    if model.undecoded:
        say.caption(f"{model.undecoded} The table tells why.")
    return model.info(name)


def first_choice(model: Model) -> TensorInfo:
    """A matrix that is typical of the model: the first that is neither an embedding nor a norm."""
    usable = [t for t in model.tensors if not t.why_not]
    matrices = [t for t in usable if len(t.shape) == 2 and min(t.shape) > 1]
    layers = [
        t for t in matrices if not any(word in t.name.lower() for word in ("embed", "norm", "lm_head", "wte", "wpe"))
    ]
    return next(iter(layers or matrices or usable or model.tensors))


@st.dialog("Tensors", width="large")
def _table_of(model: Model) -> None:
    table = {
        "name": [t.name for t in model.tensors],
        "shape": [shape(t.shape) for t in model.tensors],
        "dtype": [t.dtype for t in model.tensors],
        "bits a weight": [None if t.why_not else t.bits_per_weight for t in model.tensors],
        "size": [size(t.nbytes) for t in model.tensors],
        "weights": [t.size for t in model.tensors],
    }
    if any(t.why_not for t in model.tensors):
        table["holds no weights because"] = [t.why_not for t in model.tensors]
    st.caption("Tick a row to open that tensor.")
    st.dataframe(
        table, key="tensor_table", on_select=lambda: _take_row(model), selection_mode="single-row", hide_index=True,
        column_config={
            "weights": st.column_config.NumberColumn(format="localized"),
            "bits a weight": st.column_config.NumberColumn(format="%.4g"),
        },
    )  # fmt: skip
    if st.session_state.pop("_row_taken", False):
        st.rerun()


def _take_row(model: Model) -> None:
    rows = st.session_state["tensor_table"]["selection"]["rows"]
    if rows:
        put(tensor=model.tensors[rows[0]].name, **ANOTHER_TENSOR)
        st.session_state["_row_taken"] = True


def _choose_rows(info: TensorInfo) -> tuple[int, int] | None:
    text = choices.text(
        "Row range", "rows", check=lambda text: parse_rows(text, info), placeholder=f"all {info.rows:,}",
        help="A range such as 0:512, counted from 0, without the last. Only these rows are read or downloaded.",
    )  # fmt: skip
    return parse_rows(text, info)
