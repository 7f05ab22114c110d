"""What is swept: the model of the sidebar, the schemes, and how much of each tensor is read."""

from __future__ import annotations

from dataclasses import dataclass, field

import streamlit as st

from quantviz.schemes import Scheme
from quantviz.schemes.presets import AS_SERVED, FOUR_BITS, PRESETS, preset
from quantviz.sources.files import SINGLE_TENSORS

from ..link import choices
from ..link.state import choose_ref
from ..selection import DEMO_REF, ModelRef, View
from ..shared.scheme_set import scheme_chooser, split_keys
from .weighing import Weighing, weighing_controls

MOST = 32  # schemes at a time
ALL, SAMPLES = "all weights", ("all weights", "10%", "1%")
INTEGERS = "2 to 8 bits"
FIRST = tuple(f"int{bits}-asym-b32" for bits in (2, 3, 4, 5, 6, 8))
_KINDS = ("q2_k", "q3_k", "q4_k", "q5_k", "q6_k", "q8_0")
_HELP = "Any scheme key may be typed, several with spaces between them. Every tensor is read once for all of them."
_SHAPE = 4096, 4096  # of the layers for which sets of schemes are made
_SETS = {
    INTEGERS: ("Integers of 2 to 8 bits with a zero point, in blocks of 32: what a plan can choose from.", FIRST),
    "GGUF": ("The k-quants of 2 to 6 bits and q8_0.", _KINDS),
    **{name: (PRESETS[name], preset(name, _SHAPE)) for name in (FOUR_BITS, AS_SERVED)},
}


@dataclass(frozen=True)
class Ask:
    """What is asked for. sample: "" for all weights, or a share such as "1%". weighing: None where nothing weighs."""

    source: ModelRef
    schemes: tuple[str, ...]
    sample: str
    weighing: Weighing | None = None
    token: str | bool | None = field(default=None, compare=False, repr=False)

    @property
    def share(self) -> float:
        """Of the weights, how many are read."""
        return float(self.sample.rstrip("%")) / 100 if self.sample else 1.0


def sweep_controls(view: View) -> Ask | None:
    """Draws the controls; None, with words of what to do, where there is nothing to sweep."""
    schemes = scheme_chooser(view, "sweep_schemes", _SETS, FIRST, split_keys, MOST, _HELP)
    sample = choices.one_of(
        st.segmented_control, "How much of each tensor is read", "sample", SAMPLES, ALL,
        help="Of a sample, bands of rows drawn at random and spread over the tensor are read, and every figure that "
        "they estimate carries its standard error as ±. Of a model on the Hub only those bytes travel.",
    )  # fmt: skip
    if view.at.source.ref.startswith(SINGLE_TENSORS):
        st.info(
            "A single tensor is no model. Open one in the sidebar (Demo, Hub or File), or begin with the small model "
            "that comes with quantviz: it is done in seconds.", icon=":material/grid_on:",
        )  # fmt: skip
        st.button("Open the demo model", type="primary", on_click=choose_ref, args=(DEMO_REF,))
        return None
    if not schemes:
        st.info("Choose schemes above, or press one of the sets.", icon=":material/grid_on:")
        return None
    weighing = weighing_controls(view.at.source, view)
    keys = tuple(Scheme.parse(key).key for key in schemes)
    return Ask(view.at.source, keys, "" if sample == ALL else sample, weighing, view.token)
