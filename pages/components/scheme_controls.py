"""The scheme: controls for what applies to the format, and the key that they write."""

from __future__ import annotations

import streamlit as st

from quantviz.errors import QuantvizError
from quantviz.formats import FORMATS, BlockFormat, CodebookFormat, FloatFormat, IntFormat, TernaryFormat
from quantviz.schemes import GRANULARITIES, SCALE_TYPES, SYMMETRIES, TILES, Granularity, Scheme

from .state import DEFAULT_PINNED, DEFAULT_SCHEME, NOTHING, choose_scheme, good_or_last, text_state

FAMILIES = {
    "Integer": lambda f: isinstance(f, IntFormat),
    "Float": lambda f: isinstance(f, FloatFormat),
    "Table": lambda f: isinstance(f, CodebookFormat | TernaryFormat),
    "MX": lambda f: isinstance(f, BlockFormat),
}
FIRST = {"Integer": "int4", "Float": "fp8_e4m3", "Table": "nf4", "MX": "mxfp4"}
FAMILY_HELP = """
- **Integer**: whole numbers times a scale
- **Float**: sign, exponent and mantissa, cast as they are or scaled
- **Table**: levels listed in a table (nf4, bnb_fp4), or −1, 0, 1 (ternary)
- **MX**: blocks whose length and scale type the specification fixes (OCP MX, NVFP4)
"""
CAST = "none: plain cast"


def scheme_controls() -> tuple[Scheme, Scheme | None]:
    """Draws the controls. Gives the scheme and the pinned scheme."""
    st.subheader("Scheme")
    above = st.container()
    text = text_state(
        "scheme", "Scheme key", DEFAULT_SCHEME, help="The scheme as one word; write your own, such as int4-asym-b48."
    )
    scheme = good_or_last("scheme", text, DEFAULT_SCHEME, Scheme.parse)
    with above:
        _controls(scheme)
    pinned_text = text_state(
        "pinned", "Pinned scheme", DEFAULT_PINNED,
        help="What the headline figures are compared with: a scheme key, or none.",
    )  # fmt: skip
    pinned = good_or_last(
        "pinned", pinned_text or NOTHING, NOTHING, lambda t: None if t == NOTHING else Scheme.parse(t)
    )
    return scheme, pinned


def _controls(scheme: Scheme) -> None:
    family = next(name for name, holds in FAMILIES.items() if holds(scheme.fmt))
    _show("scheme_family", family)
    st.segmented_control(
        "Family", list(FAMILIES), key="scheme_family", required=True, on_change=_change, args=("family",),
        help=FAMILY_HELP, width="stretch",
    )  # fmt: skip
    left, right = st.columns(2)
    formats = [name for name, f in FORMATS.items() if FAMILIES[family](f)]
    _show("scheme_format", scheme.format)
    left.selectbox("Format", formats, key="scheme_format", on_change=_change, args=("format",))
    offered = _granularities(scheme)
    if offered:
        _show("scheme_granularity", str(scheme.granularity) if scheme.granularity else CAST)
        right.selectbox(
            "Granularity", offered, key="scheme_granularity", on_change=_change, args=("granularity",),
            help="Which weights share a scale: all, a channel (one output row), a block of N along a row, or a tile.",
        )  # fmt: skip
    else:
        right.text_input("Granularity", f"b{scheme.fmt.block}, fixed", disabled=True)
    if scheme.symmetry:
        _show("scheme_symmetry", scheme.symmetry)
        st.segmented_control(
            "Symmetry", SYMMETRIES, key="scheme_symmetry", required=True, on_change=_change, args=("symmetry",),
            help="sym: zero-centred, scale only. asym: scale and integer zero point. offset: scale and float minimum.",
            width="stretch",
        )  # fmt: skip
    if scheme.scale:
        _show("scheme_scale", scheme.scale)
        st.segmented_control(
            "Scale stored as", list(SCALE_TYPES), key="scheme_scale", required=True, on_change=_change, args=("scale",),
            help="The scale is rounded to this type before it is used; bits count it.", width="stretch",
        )  # fmt: skip


def _show(key: str, value: str) -> None:
    """The control shows what the key says."""
    st.session_state[key] = value


def _granularities(scheme: Scheme) -> list[str]:
    """What can be chosen for the format, coarse to fine, a choice of the visitor's own included."""
    if isinstance(scheme.fmt, BlockFormat):
        return []
    offered = [*GRANULARITIES, *TILES]
    if isinstance(scheme.fmt, FloatFormat):
        offered.insert(0, CAST)
    if scheme.granularity and str(scheme.granularity) not in offered:
        offered.append(str(scheme.granularity))
    return offered


def _change(part: str) -> None:
    """A control was moved: the scheme's key follows, and keeps of the other parts what still applies."""
    now = Scheme.parse(st.session_state.get("_good_scheme", DEFAULT_SCHEME))
    value = st.session_state[f"scheme_{part}"]
    format, symmetry, granularity, scale = now.format, now.symmetry, now.granularity, now.scale
    match part:
        case "family":
            format = FIRST[value]
        case "format":
            format = value
        case "symmetry":
            symmetry = value
        case "granularity":
            granularity = None if value == CAST else Granularity.parse(value)
        case "scale":
            scale = value
    scale = scale if part == "scale" or now.key.endswith(f"scale={scale}") else None  # a default stays a default
    for attempt in (
        (symmetry, granularity, scale), (symmetry, granularity, None), (None, granularity, None), (None, None, None),
    ):  # fmt: skip
        try:
            return choose_scheme(Scheme.make(format, *attempt).key)
        except QuantvizError:
            continue
