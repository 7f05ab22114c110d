"""The controls of a scheme's options: every declared one is drawn, shows what the key says, and changes it."""

from __future__ import annotations

from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

import quantviz as qv
from pages.components.terms import to_term
from quantviz import QuantvizError, Scheme
from quantviz.lessons.glossary import option_key
from quantviz.schemes import OPTIONS, Option

WIDGETS = {"buttons": "button_group", "list": "selectbox", "toggle": "toggle", "number": "number_input"}


def sidebar() -> None:
    from pages.components.link import address
    from pages.components.sidebar.scheme_controls import scheme_controls

    address.begin("explore")
    scheme_controls()


def opened(key: str) -> AppTest:
    app = AppTest.from_function(sidebar)
    app.query_params["scheme"] = key
    app.run()
    assert not app.exception and not app.warning
    return app


def control(app: AppTest, option: Option) -> Any:
    return next(w for w in app.get(WIDGETS[option.control.kind]) if w.key == f"scheme_{option.key}")


def _is_scheme(key: str) -> bool:
    try:
        return bool(Scheme.parse(key))
    except QuantvizError:
        return False


@pytest.mark.parametrize("option", [o for o in OPTIONS.values() if o.control], ids=lambda option: option.key)
def test_every_declared_option_has_a_control(option: Option) -> None:
    beside = f":{option.needs}" if option.needs else ""
    keys = (key + beside for key in qv.catalogue())
    scheme = next(Scheme.parse(key) for key in keys if _is_scheme(key) and Scheme.parse(key).takes(option))
    chosen = Scheme.parse(f"{scheme}{',' if beside else ':'}{option.written[0]}")
    app = opened(chosen.key)
    widget = control(app, option)
    assert widget.proto.label == option.control.label
    assert widget.proto.help == f"{option.control.help.format(fmt=scheme.fmt)}\n\n{to_term(option_key(option.key))}"
    value, default = (getattr(s, option.field) for s in (chosen, scheme))
    toggles = option.control.kind == "toggle"
    assert widget.value == (True if toggles else value)
    widget.set_value(False if toggles else default)
    app.run()
    assert app.text_input(key="scheme").value == scheme.key


@pytest.mark.parametrize("key", ["int4-offset-b64", "fp8_e4m3-channel", "fp16", "nf4-b64", "mxfp4", "q4_k"])
def test_a_scheme_has_controls_for_the_options_it_takes_and_no_others(key: str) -> None:
    app = opened(key)
    keys = {w.key for kind in WIDGETS.values() for w in app.get(kind)}
    drawn = [name for name in OPTIONS if f"scheme_{name}" in keys]
    assert drawn == [name for name, option in OPTIONS.items() if Scheme.parse(key).takes(option)]


def test_the_label_counts_what_is_chosen_against_outliers() -> None:
    labels = {
        key: opened(key).expander[0].label for key in ("int4", "int4:scale=fp32", "int4:keep=1%,clip=mse,scale=fp32")
    }
    assert list(labels.values()) == ["Against outliers", "Against outliers", "Against outliers · 2 on"]


@pytest.mark.parametrize("key", ["int4-offset-b64", "int4-asym-b32", "fp8_e4m3-b128x128", "nf4-b64", "ternary-b64"])
def test_moving_a_control_chooses_the_option(key: str) -> None:
    """Whatever else the scheme has: an option that was tried before what it depends on was dropped in silence."""
    scheme = Scheme.parse(key)
    for option in filter(scheme.takes, OPTIONS.values()):
        app, chosen = opened(key), Scheme.parse(f"{key}:{option.written[0]}")
        control(app, option).set_value(True if option.control.kind == "toggle" else getattr(chosen, option.field))
        app.run()
        assert app.text_input(key="scheme").value == chosen.key


def test_solvers_are_those_of_the_scheme_and_gptq_s_options_come_with_it() -> None:
    solver, damp, order = (OPTIONS[name] for name in ("solver", "damp", "order"))
    keys = ("int4-offset-b64", "int4-asym-b64", "nf4-b64")
    offered = [len(control(opened(key), solver).options) for key in keys]
    assert offered == [4, 3, 3], "HQQ moves the minimum, which offset alone has"
    app = opened("int4-asym-b64")
    control(app, solver).set_value("gptq").run()
    control(app, damp).set_value(5.0).run()
    control(app, order).set_value(True).run()
    assert app.text_input(key="scheme").value == "int4-asym-b64:solver=gptq,damp=5%,order=act"
    control(app, solver).set_value("awq").run()
    assert app.text_input(key="scheme").value == "int4-asym-b64:solver=awq"
