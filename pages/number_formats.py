"""Number formats: every bit of a value, its neighbours, the number line, and all formats side by side."""

from __future__ import annotations

import json
import math
from fractions import Fraction
from functools import partial

import streamlit as st

from pages.components import say
from pages.components.link import address, choices
from pages.components.link.address import chosen_text, put
from pages.components.number_formats import block_layouts, format_table, packed_layouts
from pages.components.shared import bit_toggles
from pages.components.shared.charts import chart, picture_setting
from pages.components.shell.frame import require_app, runs_alone
from quantviz import QuantvizError
from quantviz.figures import alt_text
from quantviz.figures import number_line as line
from quantviz.formats import FORMATS, bits, numerals, worked
from quantviz.formats.numerals import short
from quantviz.metrics import value_text
from quantviz.text.spreadsheets import csv_text
from quantviz.text.wording import number

DEFAULT_FORMAT, DEFAULT_VALUE = "fp8_e4m3", "0.1"
WINDOWS = ("all", "±8", "±1", "close-up")
AXES = ("logarithmic", "linear")
MOST_LINES = 4  # formats beside the one that is shown
STEPS_AROUND = 8  # values on each side of the current one in the close-up


# -- state ---------------------------------------------------------------------------------------


def keep_number() -> None:
    """A bit pattern means another number in another format: carry the number over, and let the scale start afresh."""
    value = chosen_text("number_value")
    if value.lower().startswith(("0x", "0b")):
        shown = st.session_state.get("_shown_value", math.nan)
        value = short(shown) if math.isfinite(shown) else ""
    put(number_scale=None, number_value=value or None)


def read_or_default(read, text: str, fallback: str, *arguments) -> numerals.Reading:
    """The reading of a text; where there is none the reason, and the reading of `fallback`."""
    try:
        return read(text, *arguments)
    except QuantvizError as error:
        say.error(f"{error} Showing {fallback} instead.")
        return read(fallback, *arguments)


# -- one value -----------------------------------------------------------------------------------


def controls():
    """Format, reading of the value, reading of the scale (None where the format has none)."""
    left, middle, right = st.columns(3)
    name = choices.one_of(
        left.selectbox, "Format", "number_format", list(FORMATS), DEFAULT_FORMAT, then=keep_number,
        help="Every format of quantviz; the table below compares them.",
    )  # fmt: skip
    text = choices.text(
        "Value", "number_value", on=middle, placeholder=DEFAULT_VALUE, max_chars=numerals.LONGEST_TEXT,
        help="A decimal, 1/3, 2^-9, or the code itself as a bit pattern: 0x1d, 0b0101.",
    )  # fmt: skip
    f, text = FORMATS[name], text or DEFAULT_VALUE
    stored, unit_scale = bits.scale_format(f), numerals.scale_of_unit_range(f)
    if stored is None:
        return f, read_or_default(numerals.read, text, DEFAULT_VALUE, f), None
    scale_text = choices.text(
        f"Scale, stored as {say.name(stored.name)}", "number_scale", on=right, placeholder=unit_scale,
        max_chars=numerals.LONGEST_TEXT,
        help=f"What codes are multiplied by. Blank is {say.plain(unit_scale)}: of a block whose largest weight is 1.",
    )  # fmt: skip
    scale = read_or_default(numerals.read_scale, scale_text or unit_scale, unit_scale, f)
    return f, read_or_default(numerals.read, text, DEFAULT_VALUE, f, bits.decode(stored, scale.code)), scale


def headline(value: float, typed: bits.Number | None) -> None:
    becomes, error, relative = st.columns(3)
    becomes.metric("Becomes", numerals.digits(value), help=f"Exactly {numerals.exact(value, 200)}")
    if typed is None:
        say.metric("Error", "none", on=error, help="A bit pattern was given: nothing was rounded.")
        return
    if not math.isfinite(value):
        say.metric("Error", "beyond float32", on=error, help="Code times scale overflows float32.")
        return
    e = Fraction(value) - Fraction(typed)
    error.metric("Error (dequantized minus original)", number(float(e)))
    against = float(abs(e / Fraction(typed))) if typed else 0.0
    relative.metric("Relative error, |error| / |original|", value_text("mean_relative_error", against))


def show_neighbours(f, code: int, value: float, scale: float) -> None:
    """The next smaller and larger value, how far they are, and a button that goes there."""
    sides = zip(("Previous", "Next"), ("arrow_back", "arrow_forward"), bits.neighbours(f, code), strict=True)
    for column, (side, icon, other) in zip(st.columns(2), sides, strict=True):
        there = None if other is None else bits.value(f, other, scale)
        distance = "" if there is None or not math.isfinite(value) else f", {number(abs(there - value), 6)} away"
        column.button(
            f"{say.name(side)} value", icon=f":material/{icon}:", disabled=other is None, width="stretch",
            on_click=put, kwargs={"number_value": None if other is None else numerals.text_of(f, other, scale)},
        )  # fmt: skip
        column.markdown("none" if there is None else f"**{numerals.digits(there)}**{distance}")


def one_value(f, reading: numerals.Reading, scale_reading: numerals.Reading | None, scale: float) -> float:
    value = bits.value(f, reading.code, scale)
    if reading.notice:
        say.notice(reading.notice)
    headline(value, reading.typed)
    st.subheader("Bits")
    st.caption("Click a bit, or reach it with Tab and press Enter, to flip it. Filled is 1, outlined is 0.")
    bit_toggles.show("code", f, reading.code, lambda code: put(number_value=numerals.text_of(f, code, scale)))
    if scale_reading and bits.element(f) is not f:
        stored = bits.scale_format(f)
        say.caption(f"Scale of the block of {f.block}, {stored.name}: {short(scale)}" + SCALE_NOTES[f.scale])
        text_of = partial(numerals.text_of, stored)
        bit_toggles.show("scale", stored, scale_reading.code, lambda code: put(number_scale=text_of(code)))
    left, right = st.columns([3, 2])
    with left:
        st.subheader("Arithmetic")
        steps = worked.arithmetic(f, reading.code, scale)
        st.code(
            "\n".join([steps[0], *(s if s.startswith("≈") else f"= {s}" for s in steps[1:])]),
            language=None,
            wrap_lines=True,
        )
        if remark := worked.remark(f, reading.code):
            say.info(remark)
    with right:
        st.subheader("Neighbours")
        show_neighbours(f, reading.code, value, scale)
    return value


SCALE_NOTES = {
    "e8m0": ". A typed scale becomes the largest power of two not above it.",
    "nvfp4": ". The tensor's own float32 scale, which multiplies it, is taken as 1 here.",
}


# -- the number line -----------------------------------------------------------------------------


def window_of(choice: str, lines: list[line.FormatRow], code: int) -> tuple[float, float]:
    main, rank = lines[0], bits.rank_of(lines[0].format, code)
    if choice == "close-up" and rank is not None:
        every = bits.ranks(main.format)
        ends = max(rank - STEPS_AROUND, every[0]), min(rank + STEPS_AROUND, every[-1])
        return tuple(bits.value(main.format, bits.code_at(main.format, r), main.scale) for r in ends)
    return {"±8": (-8.0, 8.0), "±1": (-1.0, 1.0)}.get(choice) or line.whole_range(lines)


def landed(f, reading: numerals.Reading, scale: float) -> float | None:
    """Where the number, rounded or not, lands in a format."""
    shown = st.session_state["_shown_value"] if reading.typed is None else reading.typed
    return bits.value(f, bits.encode(f, shown, scale), scale) if math.isfinite(shown) else None


def number_line(f, reading: numerals.Reading, scale: float) -> None:
    st.subheader("Number line")
    left, middle, right = st.columns([3, 3, 2])
    others = choices.some_of(
        left.multiselect, "Compare with", "line_formats", list(FORMATS), ("fp8_e5m2", "fp4_e2m1"),
        most=MOST_LINES,
    )  # fmt: skip
    choice = choices.one_of(middle.segmented_control, "Window", "line_window", WINDOWS, WINDOWS[0])
    axis = choices.one_of(right.segmented_control, "Axis", "line_axis", AXES, AXES[0])
    scales = {f.name: scale} | {name: unit_scale(FORMATS[name]) for name in others if name != f.name}
    lines = [line.FormatRow(FORMATS[name], s, landed(FORMATS[name], reading, s)) for name, s in scales.items()]
    window = window_of(choice, lines, reading.code)
    marked = None if reading.typed is None else float(reading.typed)
    figure = line.number_line(lines, window, axis == "logarithmic", marked)
    chart(figure, "number_line", (choice, axis))
    st.caption(f"{alt_text(figure)} Formats compared with are scaled so that they reach ±1, if they take a scale.")


def unit_scale(f) -> float:
    stored = bits.scale_format(f)
    if stored is None:
        return 1.0
    return bits.decode(stored, numerals.read_scale(numerals.scale_of_unit_range(f), f).code)


# -- take away -----------------------------------------------------------------------------------


def take_away(f, reading: numerals.Reading, scale_reading: numerals.Reading | None, scale: float) -> None:
    st.subheader("Take it away")
    codes = worked.codes_to_list(f, reading.code)
    which = "all of them" if len(codes) == 2**f.bits else "those nearest to the value shown"
    say.caption(f"The table of values: {len(codes):,} of {f.name}'s codes, {which}.")

    def rows() -> list[dict]:
        return worked.value_table(f, codes, scale)

    def csv() -> bytes:
        table = rows()
        return csv_text(table[0], (row.values() for row in table)).encode()

    def as_json() -> bytes:
        return json.dumps({"format": f.name, "scale": scale, "values": rows()}, indent=1).encode()

    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.download_button("Values as CSV", csv, f"{f.name}.csv", "text/csv", on_click="ignore")
        st.download_button("Values as JSON", as_json, f"{f.name}.json", "application/json", on_click="ignore")
        picture_setting()
    st.caption("The same in Python:")
    st.code(
        numerals.value_snippet(f, reading.text, scale_reading and scale_reading.text),
        language="python",
        wrap_lines=True,
    )


@st.fragment
def storyboard() -> None:
    """Everything that depends on the value: a flipped bit redraws this and nothing else."""
    f, reading, scale_reading = controls()
    scale = 1.0 if scale_reading is None else bits.decode(bits.scale_format(f), scale_reading.code)
    st.session_state["_shown_value"] = one_value(f, reading, scale_reading, scale)
    number_line(f, reading, scale)
    take_away(f, reading, scale_reading, scale)


if runs_alone(__file__):
    address.begin("number_formats")
else:
    require_app()
st.title("Number formats")
st.markdown("Type a number, see what a format makes of it, and flip the bits of its code by hand.")
bit_toggles.style()
storyboard()
format_table.all_formats()
block_layouts.block_types()
packed_layouts.packed_formats()
