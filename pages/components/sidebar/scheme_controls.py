"""The scheme: controls for what applies to the format, and the key that they write."""

from __future__ import annotations

from typing import Any

import streamlit as st

from quantviz.block_types import BlockType
from quantviz.errors import QuantvizError
from quantviz.formats import BlockFormat, CodebookFormat, FloatFormat, IntFormat, TernaryFormat, worked
from quantviz.schemes import GRANULARITIES, KINDS, OPTIONS, SYMMETRIES, TILES, Granularity, Scheme
from quantviz.text.wording import number

from .. import say
from ..link import choices
from ..link.address import chosen_text
from ..link.state import DEFAULT_PINNED, DEFAULT_SCHEME, NOTHING, choose_scheme
from ..shared.option_controls import moved_to, option_controls
from ..terms import explained

FAMILIES = {
    "Integer": lambda f: isinstance(f, IntFormat),
    "Float": lambda f: isinstance(f, FloatFormat),
    "Table": lambda f: isinstance(f, CodebookFormat | TernaryFormat),
    "MX": lambda f: isinstance(f, BlockFormat),
    "GGUF": lambda f: isinstance(f, BlockType),
}
FIRST = {"Integer": "int4", "Float": "fp8_e4m3", "Table": "nf4", "MX": "mxfp4", "GGUF": "q4_k"}
FAMILY_HELP = """
- **Integer**: whole numbers times a scale
- **Float**: sign, exponent and mantissa, cast as they are or scaled
- **Table**: levels listed in a table (nf4, bnb_fp4), or −1, 0, 1 (ternary)
- **MX**: blocks whose length and scale type the specification fixes (OCP MX, NVFP4)
- **GGUF**: the block types of llama.cpp's files, each a packed layout with a rule of its own, byte for byte
"""
_GRANULARITY_HELP = "Which weights share a scale: all, a channel (one output row), a block of N along a row, or a tile."
_SYMMETRY_HELP = "sym: zero-centred, scale only. asym: scale and integer zero point. offset: scale and float minimum."
CAST = "none: plain cast"
# Groups of options that stand in a box of their own: (group, what is written on the box, its key).
BOXES = (("outliers", "Against outliers", "scheme_cures"), ("inputs", "The layer's inputs", "scheme_inputs"))


def scheme_controls() -> tuple[Scheme, Scheme | None]:
    """Draws the controls. Gives the scheme and the pinned scheme."""
    st.subheader("Scheme")
    above = st.container()
    text = choices.text(
        "Scheme key", "scheme", DEFAULT_SCHEME, check=Scheme.parse, empty="",
        help="The scheme as one word; write your own, such as int4-asym-b48.",
    )  # fmt: skip
    scheme = Scheme.parse(text)
    with above:
        _controls(scheme)
    pinned = choices.text(
        "Pinned scheme", "pinned", DEFAULT_PINNED, check=_pinned, empty=NOTHING,
        help="What the headline figures are compared with: a scheme key, or none.",
    )  # fmt: skip
    return scheme, _pinned(pinned)


def chosen_schemes() -> tuple[Scheme, Scheme | None]:
    """The two schemes on a page without controls for them: those chosen, or the defaults."""
    try:
        return Scheme.parse(chosen_text("scheme") or DEFAULT_SCHEME), _pinned(chosen_text("pinned") or DEFAULT_PINNED)
    except QuantvizError:  # a wrong key in a link, which pages with the controls report
        return Scheme.parse(DEFAULT_SCHEME), None


def _pinned(text: str) -> Scheme | None:
    return None if text == NOTHING else Scheme.parse(text)


def _controls(scheme: Scheme) -> None:
    shown = st.session_state  # the controls show what the key says
    family = next(name for name, holds in FAMILIES.items() if holds(scheme.fmt))
    shown["scheme_family"] = family
    left, right = st.columns(2)
    left.selectbox(
        "Family", list(FAMILIES), key="scheme_family", on_change=_change, args=("family",),
        help=explained("Family", FAMILY_HELP),
    )  # fmt: skip
    formats = [name for name, f in KINDS.items() if FAMILIES[family](f)]
    shown["scheme_format"] = scheme.format
    right.selectbox(
        "Format", formats, key="scheme_format", on_change=_change, args=("format",),
        help=explained(scheme.format, worked.MX_RULE if scheme.rule == "mx" else None),
    )  # fmt: skip
    offered = _granularities(scheme)
    if offered:
        shown["scheme_granularity"] = str(scheme.granularity) if scheme.granularity else CAST
        st.selectbox(
            "Granularity", offered, key="scheme_granularity", on_change=_change, args=("granularity",),
            help=explained("Granularity", _GRANULARITY_HELP),
        )  # fmt: skip
    else:
        st.text_input("Granularity", f"b{scheme.fmt.block}, fixed", disabled=True)
    if scheme.symmetry:
        shown["scheme_symmetry"] = scheme.symmetry
        st.segmented_control(
            "Symmetry", SYMMETRIES, key="scheme_symmetry", required=True, on_change=_change, args=("symmetry",),
            help=explained("Symmetry", _SYMMETRY_HELP), width="stretch",
        )  # fmt: skip
    if isinstance(scheme.fmt, BlockType):
        kind = scheme.fmt
        needs = " Cannot be quantized without importance, which Explore and Compare take." * kind.needs_importance
        say.caption(f"{number(kind.bits_per_weight, 6)} bits a weight. {kind.rule}{needs}")
        option_controls(scheme, "block types", _change)
    else:
        for group, title, key in BOXES:
            chosen = sum(OPTIONS[name].group == group for name in scheme.options)
            with st.expander(title + f" · {chosen:d} on" * bool(chosen), key=key):
                option_controls(scheme, group, _change)
    option_controls(scheme, "scales", _change)


def _granularities(scheme: Scheme) -> list[str]:
    """The granularities to choose from, coarse to fine, with the one chosen if it is another."""
    if isinstance(scheme.fmt, BlockFormat | BlockType):
        return []
    offered = [*GRANULARITIES, *TILES]
    if isinstance(scheme.fmt, FloatFormat):
        offered.insert(0, CAST)
    if scheme.granularity and str(scheme.granularity) not in offered:
        offered.append(str(scheme.granularity))
    return offered


def _change(part: str) -> None:
    """Called when a control has changed: rewrites the key, with the other parts that still apply."""
    now = Scheme.parse(chosen_text("scheme") or DEFAULT_SCHEME)
    value = moved_to(OPTIONS[part]) if part in OPTIONS else st.session_state[f"scheme_{part}"]
    if part == "granularity":
        value = None if value == CAST else Granularity.parse(value)
    held, moved = {"symmetry": now.symmetry, "granularity": now.granularity}, {part: value}
    if part in ("family", "format"):
        scheme = _closest(FIRST[value] if part == "family" else value, held | now.options)
    else:  # the changed part first; a changed option after the parts on which it depends
        needed = OPTIONS[part].needs.partition("=")[0] if part in OPTIONS else ""
        beside = {needed: now.options[needed]} if needed in now.options else {}
        first = held | beside | moved if part in OPTIONS else moved
        scheme = _closest(now.format, first | held | now.options | moved)
    choose_scheme(scheme.key)


def _closest(format: str, parts: dict[str, Any]) -> Scheme:
    """The scheme with as many of the parts as go together, the first ones first."""
    fitting: dict[str, Any] = {}
    scheme = Scheme.make(format)
    for name, value in parts.items():
        try:
            scheme = Scheme.make(format, **fitting, **{name: value})
            fitting[name] = value
        except QuantvizError:
            continue
    return scheme
