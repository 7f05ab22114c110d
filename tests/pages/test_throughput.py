"""Throughput measures only when told to, shows what arrives, lets one wait for another, and leaves nothing behind."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from pages.components.throughput.details import speed_command, speed_snippet
from pages.components.work import jobs, runs
from quantviz import QuantvizError, throughput
from quantviz.throughput import Plan
from quantviz.throughput.plan import parse_shape
from quantviz.throughput.results import WORKLOADS
from tests.sources.builders import safetensors, weights

from .fake_measurements import fake_run
from .running import figures

APP = Path(__file__).parents[2] / "app.py"
REF = "random:normal?rows=128&cols=256&outliers=0.001"
FEW = ["bf16", "int8-sym-b64", "nf4-b64"]
START, STOP = "start-measuring", "stop-measuring"


@pytest.fixture(autouse=True)
def fresh(monkeypatch):
    """No run of another test, and measurements that take no time."""
    monkeypatch.setattr(runs, "_RUNS", type(runs._RUNS)())
    monkeypatch.setattr(jobs, "_JOBS", {})
    monkeypatch.setattr(throughput, "run", fake_run())
    yield
    for run in runs.under_way():
        run.stop()
        assert run.wait(10)


def opened(schemes: list[str] = FEW, **address: str | list[str]) -> AppTest:
    app = AppTest.from_file(str(APP), default_timeout=120)
    view = {"ref": REF, "pinned": "none", "workloads": ["decode"], "device": "cpu", "schemes": schemes}
    for name, value in {**view, **address}.items():
        app.query_params[name] = value
    app.switch_page("pages/throughput.py")
    return app.run()


def pressed(app: AppTest, key: str) -> AppTest:
    app.button(key=key).click()
    return app.run()


def settled(app: AppTest) -> AppTest:
    for _ in range(300):
        app.run()
        if not any("stop-" in str(button.key) for button in app.button):
            return app
        time.sleep(0.1)
    raise AssertionError("the page never came to rest")


def said(app: AppTest) -> str:
    assert not app.exception
    kinds = (app.markdown, app.caption, app.info, app.warning, app.error, app.success, app.subheader)
    return " ".join(str(element.value) for kind in kinds for element in kind)


def tables(app: AppTest) -> dict[str, object]:
    """The table of the measurements and the roofline, by their first columns."""
    return {frame.value.columns[0]: frame.value for frame in app.dataframe}


def keys(app: AppTest) -> set[str]:
    return {str(button.key) for button in app.button}


def test_nothing_is_measured_before_the_visitor_says_so():
    app = opened()
    assert "Nothing is measured before you press it" in said(app) and "25 s" in said(app)
    assert not runs.under_way() and not runs._RUNS
    assert START in keys(app) and STOP not in keys(app)
    assert "not on a CUDA GPU" in app.info[0].value, "what is measured comes first"
    assert {metric.label: metric.value for metric in app.metric}["Copy"] == "not yet"


def test_the_roofline_is_there_at_once_and_says_that_it_is_computed():
    app = opened()
    assert "computed, not measured" in said(app)
    table = tables(app)["device"]
    assert {"H100 SXM", "L4", "M1 Max"} <= set(table.device) and {"bandwidth", *FEW, "source"} == set(table.columns[1:])


def test_a_run_gives_card_table_bounds_verdict_and_speed_beside_error():
    app = settled(pressed(opened(), START))
    text = said(app)
    table = tables(app)["scheme"]
    assert table.scheme.tolist() == FEW and table.tokens_per_s.notna().all()
    assert {metric.label: metric.value for metric in app.metric}["Copy"] == "20 GB/s"
    assert "Claim 8" in text and "Whether the claim holds cannot be told here" in text, "claim 8 has its verdict"
    assert "bf16: " in text and "memory gives" in text, "what bounds it"
    assert "Speed beside error" in text and "SQNR on weight" in text
    assert len(figures(app)) == 2
    roofline = tables(app)["device"].device.tolist()
    assert roofline[0] == "A processor of the tests" and roofline[-1] == "measured here"
    assert any("iq1_s" in m.value for m in app.markdown), "what has no kernel is named with the reason"
    assert app.button(key=START).label == "Measure again"


def test_figures_arrive_while_it_runs_and_stop_keeps_them(monkeypatch):
    monkeypatch.setattr(throughput, "run", fake_run(pace=0.1, rounds=200))
    app = pressed(opened(), START)
    run = runs.under_way()[0]
    for _ in range(100):
        if run.found:
            break
        time.sleep(0.05)
    app.run()
    assert STOP in keys(app) and START not in keys(app)
    assert "scheme" in tables(app) and figures(app)
    settled(pressed(app, STOP))
    assert run.wait(5) and run.report.finished.stopped
    assert "ended early: stopped by a visitor" in said(app)
    assert tables(app)["scheme"].tokens_per_s.notna().all()
    assert START in keys(app)


def test_stop_pressed_at_once_leaves_an_empty_page_that_can_start_again(monkeypatch):
    monkeypatch.setattr(throughput, "run", fake_run(gate=threading.Event()))
    app = pressed(opened(), START)
    settled(pressed(app, STOP))
    assert "stopped by a visitor" in said(app) and not runs.under_way()
    assert "scheme" not in tables(app) and START in keys(app)


def test_whoever_comes_second_sees_who_is_ahead_and_no_figure(monkeypatch):
    gate = threading.Event()
    monkeypatch.setattr(throughput, "run", fake_run(gate=gate))
    app = pressed(opened(), START)
    time.sleep(0.1)
    app.run()
    assert "goes first on this device" in said(app)
    assert "scheme" not in tables(app) and not figures(app)
    gate.set()
    assert tables(settled(app))["scheme"].scheme.tolist() == FEW, "it began by itself"


def test_the_same_plan_from_another_window_is_the_same_run(monkeypatch):
    monkeypatch.setattr(throughput, "run", fake_run(pace=0.05, rounds=1000))
    first = pressed(opened(), START)
    second = opened()
    assert STOP in keys(second) and len(runs.under_way()) == 1
    settled(pressed(second, STOP))
    assert "stopped by a visitor" in said(settled(first))


def test_controls_moved_while_it_runs_leave_a_way_to_stop_it(monkeypatch):
    monkeypatch.setattr(throughput, "run", fake_run(pace=0.05, rounds=1000))
    app = pressed(opened(), START)
    app.number_input(key="batch").set_value(4)
    app.run()
    assert "What you began before goes on" in said(app) and START in keys(app)
    next(b for b in app.button if b.label == "Stop it").click()
    app.run()
    assert not runs.under_way() or runs.under_way()[0].wait(5)


def test_a_closed_window_ends_its_run(monkeypatch):
    monkeypatch.setattr(throughput, "run", fake_run(pace=0.02, rounds=100_000))
    monkeypatch.setattr(jobs, "GRACE", 0.3)
    monkeypatch.setattr(jobs, "LOOK", 0.05)
    pressed(opened(), START)
    run = runs.under_way()[0]
    assert run.wait(10) and run.why == runs.LEFT


def test_a_window_that_is_open_keeps_its_run_and_a_run_has_a_longest_time(monkeypatch):
    monkeypatch.setattr(throughput, "run", fake_run(pace=0.02, rounds=100_000))
    monkeypatch.setattr(jobs, "GRACE", 0.1)
    monkeypatch.setattr(jobs, "LOOK", 0.02)
    monkeypatch.setattr(jobs, "is_connected", lambda session: True)
    monkeypatch.setattr(runs, "LONGEST", 1.0)
    run = runs.start(Plan.make("cpu"))
    assert not run.wait(0.6), "somebody is there"
    assert run.wait(10) and run.why == runs.TOO_LONG


def test_too_many_at_once_are_refused_in_a_sentence(monkeypatch):
    monkeypatch.setattr(throughput, "run", fake_run(gate=threading.Event()))
    for batch in range(runs.MOST_AT_ONCE):
        runs.start(Plan.make("cpu", batch=batch + 1))
    with pytest.raises(QuantvizError, match="wait for their turn"):
        runs.start(Plan.make("cpu", batch=99))
    app = pressed(opened(), START)
    assert "wait for their turn" in said(app)


def test_an_error_of_the_measurement_is_one_sentence(monkeypatch):
    def refuses(plan, cancel):
        raise QuantvizError("The memory of this device is full; close what else uses it.")
        yield

    monkeypatch.setattr(throughput, "run", refuses)
    app = settled(pressed(opened(), START))
    assert any("memory of this device is full" in str(e.value) for e in app.error) and not app.exception
    assert START in keys(app)


def test_what_is_wrong_in_a_link_is_said_and_left_out():
    text = said(opened(batch="0", workloads=["decode", "dekode"], model="6b", device="gpu"))
    for wrong in ("batch=0", "workloads=dekode", "model=6b", "device=gpu"):
        assert wrong in text
    assert "write rows and columns" in said(opened(layer="4096"))


def test_bf16_is_measured_beside_what_is_multiplied_and_only_there():
    app = settled(pressed(opened(["nf4-b64"], workloads=["linear"]), START))
    assert tables(app)["scheme"].scheme.tolist() == ["bf16", "nf4-b64"]
    app = settled(pressed(opened(["nf4-b64"], workloads=["evaluate"]), START))
    assert tables(app)["scheme"].scheme.tolist() == ["nf4-b64"]


def test_nothing_chosen_says_what_to_do():
    app = opened()
    app.pills(key="workloads").set_value([])
    assert "Choose at least one workload" in said(app.run())
    assert "Choose schemes above" in said(opened([""]))


def test_the_models_own_config_is_a_choice_where_there_is_one():
    app = opened(ref="demo", model="sidebar")
    assert "demo: " in said(app)
    assert "The source in the sidebar has no config.json" in said(opened(model="sidebar"))


def test_a_file_without_a_config_is_told_and_a_preset_is_measured_instead(tmp_path):
    file = tmp_path / "model.safetensors"
    file.write_bytes(safetensors({"w": weights(64, 64, 0)}))
    text = said(opened(ref=str(file), model="sidebar"))
    assert "There is no config.json" in text and "Measuring Qwen2.5 0.5B instead." in text


@pytest.mark.parametrize("text", ["4096x14336", "4096×14336", " 4096 x 14336 "])
def test_shapes_read_as_people_write_them(text):
    assert parse_shape(text) == (4096, 14336)


@pytest.mark.parametrize("text", ["", "4096", "4096x", "axb", "-1x5", "1e3x5", "4096x14336x2"])
def test_what_is_no_shape_is_a_sentence(text):
    with pytest.raises(QuantvizError, match="write rows and columns"):
        parse_shape(text)


def test_the_snippet_measures_the_plan_of_the_page(monkeypatch):
    plan = Plan.make("cpu", ["decode"], FEW, batch=3, rounds=4)
    scope: dict = {}
    code = speed_snippet(plan).replace(".show()", ".to_json()")
    exec(compile(code, "snippet", "exec"), scope)  # noqa: S102
    assert scope["plan"] == plan
    assert [m.scheme for m in scope["report"].measurements] == FEW


def test_the_command_is_one_that_the_command_line_takes(monkeypatch, capsys):
    from quantviz.cli import main

    seen = []
    monkeypatch.setattr(throughput, "run", lambda plan, cancel=None: seen.append(plan) or iter(()))
    plan = Plan.make("cpu", ["decode", "linear"], FEW, layer=(256, 512), batch=3, model="1b", rounds=4)
    words = speed_command(plan).replace("\\\n", " ").split()
    assert words[:3] == ["python", "-m", "quantviz"] and main(words[3:]) == 0
    assert seen == [plan]


def test_the_data_is_what_the_command_line_prints(monkeypatch):
    from pages.components.throughput import details as throughput_details

    kept = {}
    monkeypatch.setattr(
        throughput_details.st, "download_button", lambda label, text, *a, **k: kept.update({label: text})
    )
    app = settled(pressed(opened(), START))
    app.session_state["throughput_more"] = "Data and link"
    settled(app)
    document = json.loads(kept["JSON"])
    assert [m["scheme"] for m in document["measurements"]] == FEW and document["card"]["copy_bytes_per_s"] == 20e9
    assert kept["CSV"].startswith("workload,scheme,") and kept["CSV"].count("\n") == len(FEW) + 1
    app.session_state["throughput_more"] = "Command line"
    assert "python -m quantviz throughput" in settled(app).code[0].value


def test_every_workload_can_be_shown():
    app = settled(pressed(opened(workloads=list(WORKLOADS)), START))
    for workload in WORKLOADS:
        app.session_state["shown_workload"] = workload
        app.run()
        assert WORKLOADS[workload] in said(app) and "scheme" in tables(app)
