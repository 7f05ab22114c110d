"""The named mixes over the model in the sidebar: sizes of all, and one tensor by tensor."""

from __future__ import annotations

import streamlit as st

from quantviz import QuantvizError, figures
from quantviz.published.mixes import MIXES, SOURCE, Recipe, notices, recipe_dict, recipe_table, sizes
from quantviz.text.wording import bits, count, plural, shape, share, size

from .. import say
from ..link import choices
from ..selection import View
from ..shared.charts import chart
from ..shared.snippet import ref_in_script
from ..shared.take_along import DATA, PYTHON, downloads, link_note, more
from ..work import cached
from ..work.bounded import BoundedCache

NAMES = {mix.file_name: name for name, mix in MIXES.items()}
DEFAULT = "Q4_K_M"
_sizes: BoundedCache[dict] = BoundedCache(50, lambda _: 1)


def mixes_section(view: View) -> None:
    model = cached.opened(view.at.source)
    left, right = st.columns([2, 3], vertical_alignment="bottom")
    name = NAMES[choices.one_of(
        left.selectbox, "Mix", "mix", list(NAMES), DEFAULT, help=f"As llama-quantize names it. Rules: {SOURCE}.",
    )]  # fmt: skip
    importance = choices.toggle(
        "With an importance matrix", "mix_importance", on=right,
        help="Some mixes choose other types with one, and the smallest are not made without.",
    )  # fmt: skip
    try:
        every = _sizes.get((view.at.source, importance), lambda: sizes(model, importance))
    except QuantvizError as problem:
        say.info(problem)
        return
    found = every[name]
    if isinstance(found, Recipe):
        _one(found, view.at.source.ref)
    else:
        say.error(found)
    _all(every)
    if isinstance(found, Recipe):
        _details(found, view.at.source.ref)


def _one(r: Recipe, ref: str) -> None:
    say.subheader(f"{r.mix.file_name} of {ref}")
    say.caption(f"{r.facts.architecture}, {plural(r.facts.layers, 'layer')}")
    for notice in notices(r):
        say.caption(notice)
    if r.needs_importance and not r.importance:
        st.warning("llama-quantize makes this mix only with an importance matrix.", icon=":material/info:")
    columns = st.columns(4)
    columns[0].metric(
        "Size", size(r.nbytes), border=True,
        help="All tensors, padded as in the file. The header comes on top: names, and the tokenizer, some megabytes.",
    )  # fmt: skip
    say.metric(
        "Bits per weight", bits(r.bits_per_weight), border=True, on=columns[1],
        help="`8 · bytes / weights`, norms and everything else that is not quantized included; lower is smaller.",
    )  # fmt: skip
    columns[2].metric("Weights", count(r.weights), border=True)
    say.metric(
        "Types", f"{len(r.kinds)}", border=True, on=columns[3],
        help="  \n".join(f"{say.name(kind)}: {share(n / r.weights)} of the weights" for kind, n in r.kinds.items()),
    )  # fmt: skip
    chart(figures.mix_map(r), "mix_map")


def _all(every: dict[str, Recipe | str]) -> None:
    st.subheader("Every mix of this model")
    made = {name: r for name, r in every.items() if isinstance(r, Recipe)}
    st.dataframe(
        {
            "mix": [name.upper() for name in made],
            "bits per weight": [r.bits_per_weight for r in made.values()],
            "size": [r.nbytes / 1e6 for r in made.values()],
            "types": [", ".join(r.kinds) for r in made.values()],
            "importance": ["needed" if r.needs_importance else "" for r in made.values()],
        },
        hide_index=True, key="mix_sizes", height=320,
        column_config={
            "bits per weight": st.column_config.NumberColumn(format="%.4f"),
            "size": st.column_config.NumberColumn("MB", format="%.1f", help="Million bytes, without the header."),
            "types": st.column_config.TextColumn(help="Most weights first.", width="large"),
            "importance": st.column_config.TextColumn(help="Whether llama-quantize refuses the mix without it."),
        },
    )  # fmt: skip
    refused = {name: why for name, why in every.items() if not isinstance(why, Recipe)}
    for name, why in refused.items():
        say.caption(f"{name.upper()}: {why}")


def _details(r: Recipe, ref: str) -> None:
    more("mix_details", {
        "Every tensor": lambda: _every_tensor(r),
        PYTHON: lambda: st.code(_snippet(r, ref), language="python", wrap_lines=True),
        DATA: lambda: _data(r, ref),
    })  # fmt: skip


def _every_tensor(r: Recipe) -> None:
    columns = recipe_table(r)
    st.dataframe(
        columns | {"shape": [shape(dims) for dims in columns["shape"]]}, hide_index=True, key="mix_table",
        column_config={
            "bits per weight": st.column_config.NumberColumn(format="%.4g"),
            "bytes": st.column_config.NumberColumn(format="localized"),
            "why": st.column_config.TextColumn("because of", help="What makes the mix depart from its own type."),
        },
    )  # fmt: skip


def _snippet(r: Recipe, ref: str) -> str:
    given = ", importance=True" if r.importance else ""
    return (
        "import quantviz as qv\n\n"
        f"r = qv.published.recipe(qv.open_model({ref_in_script(ref)!r}), {r.mix.name!r}{given})\n"
        "print(r.nbytes, r.bits_per_weight, r.kinds)\n"
        "for line in r.lines:\n    print(line.name, line.kind, line.nbytes, line.why)\n"
        "qv.figures.mix_map(r).show()\n"
    )


def _data(r: Recipe, ref: str) -> None:
    columns = recipe_table(r)
    rows = zip(*columns.values(), strict=True)
    downloads((r.mix.name,), {"ref": ref, **recipe_dict(r)}, (columns, rows), pictures=False)
    link_note(ref)
