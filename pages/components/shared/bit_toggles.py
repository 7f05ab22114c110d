"""The bits of a code as buttons, coloured by field: a click, Enter or Space flips one."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from quantviz.formats import bits

from .. import say

# Field -> colour: distinct to colour-blind readers, 4.5:1 against white. Every field is also named in words.
COLOURS = {"sign": "#B84A00", "exponent": "#00735C", "mantissa": "#0067A3", "integer": "#0067A3", "index": "#0067A3"}


def style() -> None:
    """The colours and sizes of all toggles of a page."""
    rules = [
        """[class*="st-key-bits_"] button { min-width: 1.7rem; min-height: 2.1rem; padding: 0 .3rem; }
        [class*="st-key-bits_"] button p { font-family: monospace; font-size: 1.05rem; font-weight: 600; }
        /* Which bit it is: said to those who do not see where it stands. */
        [class*="st-key-bit_"] button em { position: absolute; width: 1px; height: 1px; overflow: hidden;
          clip-path: inset(50%); white-space: nowrap; }"""
    ]
    for name, colour in COLOURS.items():
        rules.append(f'[class*="st-key-bits_"][class*="_{name}"] button {{ border: 2px solid {colour}; }}')
    st.html(f"<style>{' '.join(rules)}</style>")


def show(name: str, f: bits.AnyFormat, code: int, on_flip: Callable[[int], None]) -> None:
    """A group of buttons a field. `name` tells several codes on a page apart; on_flip gets the changed code."""
    parts = bits.split(f, code)
    position = bits.element(f).bits
    filled = []
    with st.container(horizontal=True, gap="medium", key=f"toggles_{name}"):
        for part in bits.fields(f):
            with st.container(width="content", gap="xsmall", key=f"bits_{name}_{part.name}"):
                say.caption(f"{part.name} = {parts[part.name]}")
                with st.container(horizontal=True, gap="xxsmall", width="content"):
                    for i in reversed(range(part.width)):
                        position -= 1
                        bit = (code >> position) & 1
                        st.button(
                            f"{bit:d} *{say.name(part.name)} bit {i:d}*",
                            key=f"bit_{name}_{position}",
                            help=f"{say.name(part.name)} bit {i:d}: flip it",
                            on_click=on_flip,
                            args=(code ^ (1 << position),),
                        )
                        if bit:
                            filled.append((position, COLOURS[part.name]))
    # Filled by style, not by another type of button: that would be a new button, and the keyboard would lose its place.
    rules = (f".st-key-bit_{name}_{at} button {{ background: {c} !important; color: white; }}" for at, c in filled)
    st.html(f"<style>{' '.join(rules)}</style>")
