"""The scheme: controls for what applies to the format, and the key that they write."""

from __future__ import annotations

from typing import Any

import streamlit as st

from quantviz.block_types import BlockType
from quantviz.errors import QuantvizError
from quantviz.formats import BlockFormat, CodebookFormat, FloatFormat, IntFormat, TernaryFormat, worked
from quantviz.schemes import GRANULARITIES, KINDS, OPTIONS, SCALE_TYPES, SYMMETRIES, TILES, Granularity, Scheme
from quantviz.schemes.options import CLIPS, LARGEST_KEEP
from quantviz.text.wording import number

from .. import say
from ..link import choices
from ..link.address import chosen_text
from ..link.state import DEFAULT_PINNED, DEFAULT_SCHEME, NOTHING, choose_scheme

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
CAST = "none: plain cast"
PARTS = ("symmetry", "granularity", *OPTIONS)
CLIP_NAMES = {"absmax": "nothing: the largest weight", "mse": "mse: least squared error of some thirty widths"}


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
    """The same where a page has no controls for them: what is chosen, or the defaults."""
    try:
        return Scheme.parse(chosen_text("scheme") or DEFAULT_SCHEME), _pinned(chosen_text("pinned") or DEFAULT_PINNED)
    except QuantvizError:  # of a link; said on the pages that show it
        return Scheme.parse(DEFAULT_SCHEME), None


def _pinned(text: str) -> Scheme | None:
    return None if text == NOTHING else Scheme.parse(text)


def _controls(scheme: Scheme) -> None:
    family = next(name for name, holds in FAMILIES.items() if holds(scheme.fmt))
    _show("scheme_family", family)
    left, right = st.columns(2)
    left.selectbox("Family", list(FAMILIES), key="scheme_family", on_change=_change, args=("family",), help=FAMILY_HELP)
    formats = [name for name, f in KINDS.items() if FAMILIES[family](f)]
    _show("scheme_format", scheme.format)
    right.selectbox(
        "Format", formats, key="scheme_format", on_change=_change, args=("format",),
        help=worked.MX_RULE if scheme.rule == "mx" else None,
    )  # fmt: skip
    offered = _granularities(scheme)
    if offered:
        _show("scheme_granularity", str(scheme.granularity) if scheme.granularity else CAST)
        st.selectbox(
            "Granularity", offered, key="scheme_granularity", on_change=_change, args=("granularity",),
            help="Which weights share a scale: all, a channel (one output row), a block of N along a row, or a tile.",
        )  # fmt: skip
    else:
        st.text_input("Granularity", f"b{scheme.fmt.block}, fixed", disabled=True)
    if scheme.symmetry:
        _show("scheme_symmetry", scheme.symmetry)
        st.segmented_control(
            "Symmetry", SYMMETRIES, key="scheme_symmetry", required=True, on_change=_change, args=("symmetry",),
            help="sym: zero-centred, scale only. asym: scale and integer zero point. offset: scale and float minimum.",
            width="stretch",
        )  # fmt: skip
    if isinstance(scheme.fmt, BlockType):
        _block_type(scheme)
    else:
        _cures(scheme)
    if scheme.scale:
        _show("scheme_scale", scheme.scale)
        st.segmented_control(
            "Scale stored as", list(SCALE_TYPES), key="scheme_scale", required=True, on_change=_change, args=("scale",),
            help="The scale is rounded to this type before it is used; bits count it.", width="stretch",
        )  # fmt: skip


def _block_type(scheme: Scheme) -> None:
    """What the type is, and the one thing that can be chosen about it."""
    kind = scheme.fmt
    needs = " Cannot be quantized without importance, which Explore and Compare take." if kind.needs_importance else ""
    say.caption(f"{number(kind.bits_per_weight, 6)} bits a weight. {kind.rule}{needs}")
    _show("scheme_pad", scheme.pad)
    st.toggle(
        "Fill rows up with zeros", key="scheme_pad", on_change=_change, args=("pad",),
        help=f"A row whose length is no multiple of {kind.block:d} cannot be stored; zeros make it one, and count.",
    )  # fmt: skip


def _cures(scheme: Scheme) -> None:
    """The options against outliers, as far as they apply to the scheme."""
    clips = [clip for clip in dict.fromkeys((*CLIPS, "99.9", "99", scheme.clip)) if _applies(scheme, clip=clip)]
    chosen = sum(
        (scheme.clip != "absmax", scheme.rotate != "none", scheme.keep > 0, bool(scheme.solver), scheme.double)
    )
    label = "Against outliers" + (f" · {chosen:d} on" if chosen else "")
    with st.expander(label, key="scheme_cures"):
        if len(clips) > 1:
            _show("scheme_clip", scheme.clip)
            st.selectbox(
                "Clip", clips, key="scheme_clip", on_change=_change, args=("clip",),
                format_func=lambda clip: CLIP_NAMES.get(clip, f"{clip}th percentile"),
                help="What sets the range of a group: its largest weight; the one of some thirty widths with the "
                "least squared error; or a percentile of its weights, beyond which they are cut off.",
            )  # fmt: skip
        _show("scheme_keep", scheme.keep)
        st.number_input(
            "Keep, % of weights", 0.0, LARGEST_KEEP, None, step=0.1, format="%0.4g", key="scheme_keep",
            on_change=_change, args=("keep",),
            help="The largest weights, stored beside the codes: 16 bits and a 32-bit index each.",
        )  # fmt: skip
        _show("scheme_rotate", scheme.rotate != "none")
        st.toggle(
            "Rotate (Hadamard)", key="scheme_rotate", on_change=_change, args=("rotate",),
            help="Each row is multiplied by an orthonormal Hadamard matrix with random signs before it is quantized, "
            "and back after: an outlier is spread over its row (QuaRot, QuIP#).",
        )  # fmt: skip
        if scheme.rule == "offset":
            _show("scheme_solver", bool(scheme.solver))
            st.toggle(
                "HQQ solver", key="scheme_solver", on_change=_change, args=("solver",),
                help="Half-quadratic quantization moves each group's minimum so that an ℓp norm with p < 1 of the "
                "errors shrinks. The quality is that of the hqq package, the codes are not its own: the package stops "
                "early, when the mean error of the whole tensor no longer falls; here every group takes all steps.",
            )  # fmt: skip
        if scheme.rule == "codebook":
            _show("scheme_double", scheme.double)
            st.toggle(
                "Double quantization", key="scheme_double", on_change=_change, args=("double",),
                help="The scales are quantized to 8 bits themselves, in blocks of 256, as bitsandbytes nests them.",
            )  # fmt: skip


def _applies(scheme: Scheme, **option: Any) -> bool:
    try:
        replaced = {name: getattr(scheme, name) for name in PARTS} | {"solver": None} | option
        return bool(Scheme.make(scheme.format, **replaced))
    except QuantvizError:
        return False


def _show(key: str, value: Any) -> None:
    """The control shows what the key says."""
    st.session_state[key] = value


def _granularities(scheme: Scheme) -> list[str]:
    """What can be chosen for the format, coarse to fine, a choice of the visitor's own included."""
    if isinstance(scheme.fmt, BlockFormat | BlockType):
        return []
    offered = [*GRANULARITIES, *TILES]
    if isinstance(scheme.fmt, FloatFormat):
        offered.insert(0, CAST)
    if scheme.granularity and str(scheme.granularity) not in offered:
        offered.append(str(scheme.granularity))
    return offered


def _change(part: str) -> None:
    """A control was moved: the scheme's key follows, and keeps of the other parts what still applies."""
    now = Scheme.parse(chosen_text("scheme") or DEFAULT_SCHEME)
    value = st.session_state[f"scheme_{part}"]
    parts = {name: getattr(now, name) for name in PARTS}
    if f"scale={now.scale}" not in now.key:  # a default stays a default
        parts["scale"] = None
    format = now.format
    match part:
        case "family":
            format = FIRST[value]
        case "format":
            format = value
        case "granularity":
            parts[part] = None if value == CAST else Granularity.parse(value)
        case "rotate":
            parts[part] = "hadamard" if value else "none"
        case "solver":
            parts[part] = "hqq" if value else None
        case "keep":
            parts[part] = float(value or 0)
        case _:
            parts[part] = value
    order = sorted(PARTS, key=lambda name: name != part)  # what was moved comes first
    choose_scheme(_closest(format, {name: parts[name] for name in order}).key)


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
