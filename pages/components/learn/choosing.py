"""Chapter 9: which should I use?"""

from __future__ import annotations

import streamlit as st

from quantviz.lessons.choosing import RUNTIMES, WISHES, Advice, advise
from quantviz.lessons.memory import MODELS, memory, sizes
from quantviz.lessons.mixes import TYPICAL, bits_of_mix
from quantviz.text.wording import bits, number, size

from .. import say
from ..link import choices
from ..shared.tables import table
from .model_claims import model_claims
from .parts import lead_on, question


@st.fragment
def draw() -> None:
    advice = _advice()
    model_claims(5)
    chosen = {} if advice.chosen is None else {"measured": advice.chosen.scheme}
    lead_on("Measure it on a language model", "quality", **chosen)


def _advice() -> Advice:
    st.markdown(
        "Four questions, and an answer with its numbers. It counts the weights alone, scales included. Real files are "
        "often somewhat larger: they keep some tensors, such as the embedding and the output head, in more bits."
    )
    left, right = st.columns(2)
    billions = float(choices.one_of(
        left.select_slider, "Weights of the model, in billions", "learn_weights", [number(b) for b in MODELS], "8",
    ))  # fmt: skip
    here = memory()
    gigabytes = choices.number(
        "Memory of the device, GB (10⁹ bytes)", "learn_gigabytes", round((here or 16e9) / 1e9), 1, 2000, on=right,
        help="Of the GPU if the model runs there, else main memory. What this machine has stands here at first.",
    )  # fmt: skip
    runtime = choices.one_of(left.selectbox, "What will run it", "learn_runtime", list(RUNTIMES), next(iter(RUNTIMES)))
    wish = choices.one_of(right.selectbox, "What matters", "learn_wish", WISHES, WISHES[0])
    advice = advise(billions, gigabytes, runtime, wish)
    with st.container(border=True):
        if advice.chosen is None:
            say.bold("Nothing fits")
        else:
            say.bold(f"{advice.chosen.name}: {bits(advice.chosen.bits)} bits a weight, {size(advice.chosen.nbytes)}")
        say.points(advice.reasons)
    table(
        {"called": [o.name for o in advice.options], "scheme here": [o.scheme for o in advice.options],
         "bits a weight": [o.bits for o in advice.options], "size": [o.nbytes for o in advice.options],
         "fits": ["yes" if o.fits else "no" for o in advice.options]},
        {"bits a weight": bits, "size": size}, "learn_options", height="content",
    )  # fmt: skip
    if any(bits_of_mix(o.name) for o in advice.options):
        say.caption(
            "llama.cpp’s mixes give some tensors more bits than the rest, by the model’s layers: these are the bits of "
            f"{TYPICAL.name}. Published files says what each makes of another model."
        )
    question(
        "How many weights with 4 bits take the memory of this model with 16?",
        lambda: say.text(_answer(billions)),
        "choosing",
    )
    schemes = [o.scheme for o in advice.options]
    st.page_link(
        "pages/compare.py", label="Compare these schemes on a layer", icon=":material/arrow_outward:",
        query_params={"ref": ["demo"], "schemes": schemes},
    )  # fmt: skip
    return advice


def _answer(billions: float) -> str:
    whole, small = (sizes(billions, (scheme,))[0].bits for scheme in ("bf16", "int4-asym-b32"))
    return (
        f"{number(billions * whole / small, 3)} billion. Whether that larger model, rounded, is the better one depends "
        "on the two models: measure both on a text of yours, on the page Quality."
    )
