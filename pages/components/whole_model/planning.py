"""A scheme for each tensor: the least predicted damage at a size, and the recipe to take along."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from quantviz import figures
from quantviz.errors import QuantvizError
from quantviz.planner import GRADES, GROUPS, Plan, Rules, plan
from quantviz.planner.damage import grade_of, grades_of
from quantviz.planner.plan import scheme_text
from quantviz.planner.recipes import FORMATS, recipe
from quantviz.sweep.totals import totals
from quantviz.text.wording import bits, number, share, size

from .. import say
from ..link import choices
from ..link.address import link
from ..selection import View
from ..shared.charts import chart
from ..shared.tables import table
from ..work import cached
from ..work.bounded import BoundedCache
from .controls import Ask
from .kl import measured_kl

STEP = 0.05  # bits
FLOORS = {"any": None, "4 bits": "4", "5 bits": "5", "6 bits": "6", "8 bits": "8"}
_plans: BoundedCache[Plan] = BoundedCache(200, lambda _: 1)


def planner_section(ask: Ask, view: View, frame: pd.DataFrame) -> None:
    """Draws the controls, the plan beside what it is held against, and its recipe."""
    st.subheader("Spend a bit budget", anchor=False)
    st.caption(
        "Which scheme for which tensor, so that the summed damage is least at a size: solved exactly, beside the best "
        "single scheme of the same size."
    )
    sensitivity = measured_kl(ask)
    wanted = _controls(ask, frame, sensitivity)
    if wanted is None:
        return
    budget, damage, rules = wanted
    key = ask, budget, damage, rules, sensitivity is not None
    try:
        p = _plans.get(
            key,
            lambda: plan(
                frame, bits=budget, damage=damage, rules=rules, model=cached.opened(ask.source),
                sensitivity=sensitivity if damage == "kl" else None,
            ),
        )  # fmt: skip
    except QuantvizError as problem:
        say.error(problem)
        return
    _headline(p)
    left, right = st.columns([2, 3], gap="medium")
    with left:
        chart(figures.plan_front(p), "plan_front")
    with right:
        chart(figures.plan_map(p), "plan_map")
    say.caption(f"Damage: {p.grade.formula}. {p.grade.sums}")
    for notice in p.notices:
        say.caption(notice)
    _recipe(p, ask)


def _controls(ask: Ask, frame: pd.DataFrame, sensitivity: pd.DataFrame | None) -> tuple[float, str, Rules] | None:
    taken = totals(frame)["bits_per_weight"].dropna()
    if len(taken) < 2:
        st.info("A plan needs two schemes to choose from; choose more above.", icon=":material/tune:")
        return None
    least, most = float(taken.min()), float(taken.max())
    first, last = -(-least // STEP) * STEP, most // STEP * STEP
    left, middle, right = st.columns([3, 2, 2])
    budget = choices.number(
        "Bits a weight", "plan_bits", round((first + last) / 2 / STEP) * STEP, round(first, 2), round(last, 2), STEP,
        on=left, draw="slider", help="Over all tensors of the sweep, scales and all else included.",
    )  # fmt: skip
    damage = choices.one_of(
        middle.selectbox, "Damage", "plan_damage", list(grades_of(frame, sensitivity)), "weights", missing=_not_there,
        named=lambda name: GRADES[name].label if name in GRADES else name,
        help="What is added up over tensors. The KL divergence is there once it was measured, the errors of outputs "
        "where a sweep has importance or a calibration.",
    )  # fmt: skip
    shared = choices.some_of(
        right.multiselect, "Share one scheme", "plan_shared", list(GROUPS), [], placeholder="nothing",
        help="  \n".join(f"{say.plain(name)}: {say.plain(what)}" for name, what in GROUPS.items()),
    )  # fmt: skip
    left, right = st.columns([3, 2])
    floor = choices.one_of(
        right.segmented_control, "Embedding and head, at least", "plan_floor", list(FLOORS), "any",
        help="How much they matter more than layers do is a rule of thumb unless damage is the KL divergence.",
    )  # fmt: skip
    kept = choices.text(
        "Kept as stored", "plan_kept", on=left, placeholder="nothing: patterns such as embed_tokens, layers.0",
        help="Parts of names, with commas between them: down_proj, layers.0, layers.*.mlp.",
    )  # fmt: skip
    keep = tuple(part.strip() for part in kept.split(",") if part.strip())
    return budget, damage, Rules(keep=keep, share=tuple(shared), floor=FLOORS[floor])


def _not_there(name: str) -> None:
    raise QuantvizError(f"This sweep holds no figures to plan by: {grade_of(name).label}.")


def _headline(p: Plan) -> None:
    columns = st.columns(4)
    say.metric("Bits per weight", bits(p.bits_per_weight), on=columns[0], border=True)
    say.metric(
        "Size", size(p.nbytes), on=columns[1], border=True,
        help="Of the tensors of the sweep, and of all else in the model's files as it is stored.",
    )  # fmt: skip
    say.metric(
        "Predicted damage", number(p.damage, 4), on=columns[2], border=True,
        help=f"{say.plain(p.grade.formula)}, summed over tensors; lower is better. Proven to be within "
        f"{say.plain(share(p.solution.gap))} of the least possible.",
    )  # fmt: skip
    best = p.best_uniform
    say.metric(
        "Less than one scheme for all",
        share(p.gain(best)) if best else "–",
        on=columns[3],
        border=True,
        help="Of the damage of the best single scheme that is no larger." if best else "No single scheme is as small.",
    )
    if best:
        say.text(
            f"The best single scheme that is no larger, {best.name}, takes {p.budget.text(best.cost)} and has a "
            f"predicted damage of {number(best.damage, 4)}."
        )
    if p.best_mix:
        say.text(
            f"llama.cpp's {p.best_mix.name}, at no more than this size, has a predicted damage of "
            f"{number(p.best_mix.damage, 4)}: the plan avoids {share(p.gain(p.best_mix))} of it."
        )


def _recipe(p: Plan, ask: Ask) -> None:
    st.markdown("**Take the plan along**")
    left, right = st.columns([2, 3], vertical_alignment="bottom")
    name = choices.one_of(
        left.selectbox, "Recipe for", "recipe", list(FORMATS), "quantviz",
        help="The grammar of the tool that applies it.",
    )  # fmt: skip
    try:
        made = recipe(p, name)
        measured = recipe(p, "quantviz").text.strip()
    except QuantvizError as problem:
        say.error(problem)
        return
    right.download_button(
        "Download the recipe", made.text, made.file_name,
        icon=":material/download:", on_click="ignore",
    )  # fmt: skip
    for told in made.notes:
        say.caption(told)
    st.code(made.text, language=None, height=220, wrap_lines=True)
    best = p.best_uniform
    schemes = [measured, *([best.name] if best else [])]
    st.page_link(
        "pages/quality.py", label="Measure this plan on a language model", icon=":material/psychology:",
        query_params=link("quality", model=ask.source.ref) | {"measured": schemes, "layers": ["linear", "embeddings"]},
    )  # fmt: skip
    with st.expander("The plan, tensor by tensor"):
        table(
            {"tensor": [line.tensor for line in p.lines], "scheme": [scheme_text(line) for line in p.lines],
             "bits per weight": [line.bits / line.weights for line in p.lines],
             "share of the damage": [line.damage / p.damage if p.damage else 0.0 for line in p.lines]},
            {"bits per weight": bits, "share of the damage": share}, "plan_table", height=360,
        )  # fmt: skip
