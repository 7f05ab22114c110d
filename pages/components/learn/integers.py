"""Chapter 3: rounding to integers, on six numbers that the reader moves."""

from __future__ import annotations

import streamlit as st

from quantviz import figures
from quantviz.formats import get
from quantviz.lessons import claims
from quantviz.lessons.rounding import DEFINITIONS, SIX, Rounded, averages, rounded
from quantviz.metrics import value_text
from quantviz.text.wording import number

from .. import say
from ..link import choices
from ..shared.tables import table
from .parts import claim, lead_on, made, question
from .presenting import show

SYMMETRIES = ("symmetric", "asymmetric")
KEYS = tuple(f"learn_n{i}" for i in range(1, len(SIX) + 1))


@st.fragment
def draw() -> None:
    introduction = st.container()
    with st.container(key="learn_numbers"):  # three in a row on a phone
        columns = st.columns(len(SIX))
    numbers = [
        choices.number(f"Number {i + 1:d}", key, start, -1.0, 1.0, 0.01, on=column, draw="slider")
        for i, (column, key, start) in enumerate(zip(columns, KEYS, SIX, strict=True))
    ]
    left, right = st.columns(2)
    bits = int(choices.number("Bits", "learn_bits", 4, 2, 8, on=left, draw="slider"))
    shown = choices.one_of(right.segmented_control, "On the line", "learn_symmetry", SYMMETRIES, SYMMETRIES[0])
    form = get(f"int{bits}")
    introduction.markdown(
        f"An integer of {bits:d} bits has {form.max_unsigned + 1:d} codes. A **scale** says how far apart the values "
        "they stand for lie: *code × scale* is the weight that comes back. **Symmetric** codes run from "
        f"−{form.max_symmetric:d} to {form.max_symmetric:d} around zero. **Asymmetric** ones begin at the smallest "
        "number and end at the largest; a **zero point** says which code is 0. Drag a number and watch."
    )
    keys = [f"int{bits}-{s}-tensor:scale=fp32" for s in ("sym", "asym")]
    both = made("rounding", (*numbers, bits), lambda: [rounded(numbers, key) for key in keys])
    if both is None:
        return
    sym, asym = both
    r = sym if shown == SYMMETRIES[0] else asym
    show(figures.lessons.rounding_line(r), "learn_rounding")
    _arithmetic(r)
    st.markdown("**What is the average error?** Four honest answers, of the same numbers")
    columns = averages([sym, asym])
    names = [name for name in columns if name not in ("average error", "formula")]
    texts = {n: [value_text(d, v) for d, v in zip(DEFINITIONS, columns[n], strict=True)] for n in names}
    table(columns | texts, {}, "learn_averages", height="content")
    question(
        "Which of the six numbers does symmetric rounding serve worst, and why?",
        lambda: say.text(_worst(sym)),
        "integers",
    )
    claim(3, claims.six_numbers)
    typed = ",".join(repr(n) for n in numbers)
    lead_on("Try it in Explore", ref=f"values:{typed}", scheme=r.scheme)


def _arithmetic(r: Rounded) -> None:
    zero = "" if r.zero_point is None else f", zero point {r.zero_point}"
    say.caption(f"Scale {number(r.scale or 0.0, 6)}{zero}.")
    table(
        {"number": [number(v) for v in r.numbers], "code": list(r.codes), "arithmetic": list(r.sums),
         "error": [_error(b - a, r.scale or 0.0) for a, b in zip(r.numbers, r.made, strict=True)]},
        {}, "learn_codes", height="content",
    )  # fmt: skip


def _error(error: float, scale: float) -> str:
    """What float32 leaves over where a number is one of the values counts as nothing."""
    return number(0.0 if abs(error) < 1e-5 * scale else error, 3)


def _worst(r: Rounded) -> str:
    worst = max(zip(r.numbers, r.made, strict=True), key=lambda pair: abs(pair[1] - pair[0]) / abs(pair[0] or 1))
    return (
        f"{number(worst[0])}: it becomes {number(worst[1])}. The largest number sets the scale for all, and each may "
        f"be off by half of that, {number((r.scale or 0.0) / 2, 3)}: a larger share of a small number than of a "
        "large one."
    )
