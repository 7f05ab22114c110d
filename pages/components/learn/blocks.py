"""Chapter 5: blocks, each with a scale of its own."""

from __future__ import annotations

import streamlit as st

from quantviz import figures
from quantviz.lessons import claims
from quantviz.lessons.outlier import BLOCKS, block_sizes
from quantviz.lessons.picture import BITS, painted
from quantviz.text.wording import bits, share

from .. import say
from ..link import choices
from .parts import claim, lead_on, made, question, try_it
from .presenting import show

SYMMETRIES = {"symmetric": "sym", "asymmetric": "asym"}
_NAMES = {block: str(block) if block else "all" for block in BLOCKS}


@st.fragment
def draw() -> None:
    st.markdown(
        "Give every **block** of weights a scale of its own, and an outlier spoils its own block alone. Each scale "
        "takes 16 bits, so smaller blocks cost more: with 16 bits for every 32 weights, half a bit a weight. Move the "
        "slider."
    )
    left, right = st.columns([3, 2])
    shown = choices.one_of(left.select_slider, "Weights a block", "learn_block", list(_NAMES.values()), "64")
    symmetry = choices.one_of(right.segmented_control, "Codes", "learn_codes", list(SYMMETRIES), "symmetric")
    key = SYMMETRIES[symmetry]
    points = made("blocks", key, lambda: block_sizes(key))
    if points is None:
        return
    block = next(b for b, name in _NAMES.items() if name == shown)
    show(figures.lessons.block_curve(points, block), "learn_blocks")
    here = next(p for p in points if p.block == block)
    say.text(f"{here.scheme}: error {share(here.relative_error)} of ‖x‖ at {bits(here.bits)} bits a weight.")
    _picture(block, key)
    question(
        "Blocks of 16 have the least error. Why does hardly anyone use them with 16-bit scales?",
        lambda: _answer(key),
        "blocks",
    )
    claim(4, claims.blocks_contain)
    lead_on("Sweep the block size of a real layer", "outliers", ref="demo", scheme=here.scheme)


def _picture(block: int, symmetry: str) -> None:
    """The same blocks on a picture: black is −0.5, white 0.5."""
    found = made("picture", (block, symmetry), lambda: painted(block, symmetry))
    if found is None:
        return
    scheme, before, after = found
    st.markdown(f"**The same blocks on a picture**, with {BITS:d} bits so that it shows")
    show(figures.picture_pair(before, after, scheme), "learn_picture")
    st.caption(
        "Bands are levels that are missing; seams are the edges of blocks; a block with a bright spot turns coarse."
    )
    try_it("Open the picture in Explore", ref="picture:", scheme=scheme)


def _answer(symmetry: str) -> None:
    both = made("answer", symmetry, lambda: [*block_sizes(symmetry, 4, (16,)), *block_sizes(symmetry, 5, (64,))])
    if both is None:
        return
    small, finer = both
    say.text(
        f"Their scales take a whole bit a weight. Spent on finer codes it does more: {finer.scheme} has an error of "
        f"{share(finer.relative_error)} at {bits(finer.bits)} bits, {small.scheme} {share(small.relative_error)} at "
        f"{bits(small.bits)}. Formats with such small blocks keep their scales in 8 bits or fewer: NVFP4, the k-quants."
    )
