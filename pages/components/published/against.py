"""A published file beside the model it was made from: the tensor at hand, and every tensor the two share."""

from __future__ import annotations

import streamlit as st

from quantviz import QuantvizError, figures
from quantviz.checkpoints.names import has_gguf_names
from quantviz.metrics import METRICS, value_text
from quantviz.published.beside import Against, Pair, Pairs, against, pair_up, sentence, whole
from quantviz.published.searched import Searched
from quantviz.sources import Model, SeveralFiles
from quantviz.sources.files import SINGLE_TENSORS
from quantviz.text.wording import plural, shape

from .. import say
from ..link import choices
from ..link.address import put
from ..link.state import choose_ref
from ..selection import DEMO_REF, ModelRef, View
from ..shared.charts import chart
from ..shared.headline import HEADLINES
from ..shared.importance_upload import importance_upload
from ..shared.results import LARGE
from ..sidebar.tensor_controls import choose_file, source_for
from ..terms import metric_help
from ..work import cached, jobs
from ..work.bounded import BoundedCache
from ..work.visitors import agree, agreed
from .against_details import all_tensors, details

_found: BoundedCache[Against] = BoundedCache(
    128 << 20, lambda a: a.evaluation.block_errors.nbytes + (1 << 16), had_again=True
)
_pairs: BoundedCache[Pairs] = BoundedCache(200, lambda _: 1)
_whole: BoundedCache[list] = BoundedCache(50, lambda _: 1)


def against_section(view: View) -> None:
    """Draws the field for the other model, and the comparison with it."""
    here = cached.opened(view.at.source)
    is_file = has_gguf_names(t.name for t in here.tensors) or any(t.decoded for t in here.tensors)
    other = choices.text(
        "The model it was made from" if is_file else "A file made from this model", "beside",
        placeholder="demo, hf:org/name, or a folder" if is_file else "model-Q4_K_M.gguf, or hf:org/name-AWQ",
        help="One of the two is in the sidebar, the other here, both written in the same way. The gguf package's own "
        "tables translate the names of tensors.",
    )  # fmt: skip
    if not other and view.at.source.ref.startswith(SINGLE_TENSORS):
        st.info(
            "A single tensor belongs to no model. Open one in the sidebar (Demo, Hub or File), or begin with the small "
            "model that comes with quantviz.", icon=":material/deployed_code:",
        )  # fmt: skip
        st.button("Open the demo model", type="primary", on_click=choose_ref, args=(DEMO_REF,))
        return
    if not other:
        st.info(
            "Name the other model above: the page then shows the error the file really carries, and whether plain "
            "quantization of the original gives its bytes.",
            icon=":material/compare_arrows:",
        )
        return
    try:
        opened = _open(other, view.token)
        if opened is None:
            return
        source, there = opened
        sides = (source, view.at.source) if is_file else (view.at.source, source)
        original, file = (there, here) if is_file else (here, there)
        pairs = _pairs.get(sides, lambda: pair_up(original, file))
    except QuantvizError as problem:
        say.error(problem)
        return
    try:
        _tensor(view, sides, original, file, pairs.of(view.info.name))
    except QuantvizError as problem:
        say.error(problem)
    _every_tensor(sides, original, file, pairs, is_file)


def _open(ref: str, token: str | bool | None) -> tuple[ModelRef, Model] | None:
    try:
        source = source_for(ref, token)
        model = cached.opening(source, token, "beside")
    except SeveralFiles as problem:
        choose_file(ref, problem.names, "beside_file", lambda ref: put(beside=ref))
        say.info(problem)
        return None
    return model and (source, model)


def _tensor(view: View, sides: tuple, original: Model, file: Model, pair: Pair) -> None:
    importance = importance_upload(view)
    key = "against", sides, pair, importance and importance.digest
    found = _found.peek(key)
    if found is None:
        if view.info.size > LARGE and not agreed(key):
            say.info(f"{view.info.name} has {plural(view.info.size, 'weight')}.", ":material/hourglass_top:")
            st.button("Compare all of it", type="primary", on_click=agree, args=(key,))
            return
        values = importance and importance.values
        found = jobs.result(key, pair.original, lambda job: _compared(key, original, file, pair, values, job))
        if found is None:
            return
    _shown(found, sides[0].ref, sides[1].ref, view, file.info(pair.place.name).decoded)


def _compared(key: tuple, original: Model, file: Model, pair: Pair, importance, job: jobs.Job) -> Against:
    loading = job.step("loading", "B")
    original.open(pair.original, progress=loading)  # the cache keeps what comes from the Hub
    expert, rows = pair.place.expert, original.info(pair.original).rows
    alone = expert is not None and pair.fused is None
    file.open(pair.place.name, (expert * rows, (expert + 1) * rows) if alone else None, loading)
    progress = job.step("comparing", "compared")
    return _found.get(key, lambda: against(original, file, pair, importance, progress=progress))


def _shown(a: Against, original: str, file: str, view: View, packed: bool) -> None:
    """packed: whether the file's tensor is decoded from a packed format."""
    e = a.evaluation
    expert = "" if a.pair.place.expert is None else f", expert {a.pair.place.expert}"
    say.subheader(f"{a.pair.label} as {e.scheme}")
    say.caption(
        f"{original} · {shape(e.shape)} {e.dtype}",
        f"{file} · {a.pair.place.name}{expert}",
        *["All rows are compared, whatever range the sidebar holds."] * bool(view.at.rows),
    )
    say.text(sentence(a))
    shown = [name for name in HEADLINES if name in e.metrics]
    for column, name in zip(st.columns(len(shown)), shown, strict=True):
        column.metric(
            METRICS[name].label, value_text(name, e.metrics[name]), help=metric_help(METRICS[name]), border=True
        )
    chart(figures.weights(e), "against_weights")
    left, right = st.columns(2, gap="medium")
    with left:
        st.markdown("**Errors of the file**")
        chart(figures.errors(e), "against_errors")
    with right:
        usage = figures.code_usage(e)
        st.markdown("**How often each code is used**")
        if usage is None:
            say.caption(_uncounted(a, packed))
        else:
            chart(usage, "against_codes")
    details(a, original, file)


def _uncounted(a: Against, packed: bool) -> str:
    """Why no codes are drawn."""
    kind = a.evaluation.scheme
    if isinstance(a.plain, Searched):
        return f"The codes of {kind} stand for no numbers of their own, so none are counted."
    if packed:
        return f"Explore counts the codes of {kind}, with {a.pair.place.name} of the file opened there."
    return f"{kind} has no codes: its numbers are written as they are."


def _every_tensor(sides: tuple, original: Model, file: Model, pairs: Pairs, swapped: bool) -> None:
    st.subheader(f"Every tensor the two share: {len(pairs.pairs):,}")
    key = "whole", sides
    found = _whole.peek(key)
    if found is None and not agreed(key):
        weights = sum(original.info(p.original).size for p in pairs.pairs)
        st.caption(
            f"{plural(weights, 'weight')} in all: each is read from both, measured, and quantized anew. What is on the "
            "Hub is downloaded first."
        )
        st.button("Compare every tensor", icon=":material/table:", on_click=agree, args=(key,))
        return
    if found is None:
        found = jobs.result(
            key,
            f"{sides[1].ref} against {sides[0].ref}",
            lambda job: _whole.get(key, lambda: _all(original, file, job)),
        )
    if found is not None:
        all_tensors(found, pairs, swapped)


def _all(original: Model, file: Model, job: jobs.Job) -> list[Against | tuple[Pair, str]]:
    return list(whole(original, file, job.step("comparing", "tensors")))
