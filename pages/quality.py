"""What quantization does to a language model: its predictions, scheme by scheme, drawn as they are measured."""

from __future__ import annotations

import streamlit as st

from pages.components.link.state import current
from pages.components.quality.activations import activations_section
from pages.components.quality.controls import quality_controls
from pages.components.quality.passage import passage_section
from pages.components.quality.results import results_section
from pages.components.quality.run import measure
from pages.components.quality.schemes import quality_schemes
from pages.components.quality.take_along import take_along
from pages.components.quality.verdicts import fragility_section, verdicts_section
from pages.components.shell.frame import end_page, require_app

require_app()
view = current()
st.title("What it does to a language model", anchor=False)
st.caption("Error in the weights is a proxy. This is the thing itself: how the model's predictions change.")
ask = quality_controls(view)
schemes = quality_schemes(view)
if ask is None:
    end_page()
if not schemes:
    st.info("Choose schemes above, or press one of the sets.", icon=":material/psychology:")
    end_page()
if not measure(ask, schemes, lambda: results_section(ask, schemes, live=True)):
    end_page()  # the results so far are drawn under the progress

results = results_section(ask, schemes)
if results:
    claims = st.container()
    passage_section(ask, tuple(r.scheme for r in results))  # begins before the claims, since it is sooner done
    with claims:
        supers = verdicts_section(ask, results)
    activations_section(ask, results)
fragility_section()
if results:
    take_along(ask, schemes, results, supers)
