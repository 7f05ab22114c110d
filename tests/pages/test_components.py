"""What stands behind the controls: the bounded cache, jobs, who may reach what, rows, and large tensors."""

from __future__ import annotations

import threading

import pytest
import streamlit as st

import quantviz as qv
from pages.components.link.state import parse_rows
from pages.components.selection import ModelRef, TensorPart, View
from pages.components.shared import access
from pages.components.shared.snippet import tensor_snippet
from pages.components.sidebar.tensor_controls import as_written
from pages.components.work import jobs
from pages.components.work.bounded import BoundedCache
from pages.components.work.cached import source_of
from quantviz import QuantvizError, Scheme
from quantviz.sources import TensorInfo

from .running import SMALL, opened, settled

INFO = TensorInfo("w", (100, 64), "float32", 25_600)


def test_the_shelf_keeps_what_was_used_last_within_its_limit():
    cache: BoundedCache[bytes] = BoundedCache(10, len)
    for key in "abc":
        cache.get(key, lambda: b"1234")
        cache.peek("a")
    assert [key for key in "abc" if cache.peek(key) is not None] == ["a", "c"]
    assert cache.get("large", lambda: bytes(99)) == bytes(99)
    assert cache.peek("a") is None and cache.peek("large") is not None, "the newest stays, however large"


def test_the_shelf_makes_a_value_once_for_many_threads():
    cache: BoundedCache[bytes] = BoundedCache(10, len)
    made, gate = [], threading.Event()

    def make() -> bytes:
        gate.wait(5)
        made.append(1)
        return b"x"

    threads = [threading.Thread(target=cache.get, args=("k", make)) for _ in range(4)]
    for thread in threads:
        thread.start()
    gate.set()
    for thread in threads:
        thread.join()
    assert made == [1]


def test_a_failure_is_not_kept_on_the_shelf():
    cache: BoundedCache[bytes] = BoundedCache(10, len)
    with pytest.raises(ZeroDivisionError):
        cache.get("k", lambda: 1 // 0)
    assert cache.get("k", lambda: b"x") == b"x"


def test_a_job_tells_how_far_it_is_and_stops_when_told():
    reached, resume = threading.Event(), threading.Event()

    def work(job: jobs.Job) -> str:
        progress = job.step("loading", "B")
        progress(500_000, 2_000_000)
        reached.set()
        resume.wait(5)
        progress(1_000_000, 2_000_000)
        return "done"

    job = jobs.start("stopped", "w", work)
    assert jobs.start("stopped", "w", work) is job, "who asks for the same waits for the same"
    assert reached.wait(5)
    assert job.fraction == 0.25 and job.text() == "w: loading, 500 kB of 2 MB"
    job.cancel()
    resume.set()
    with pytest.raises(jobs.JobStopped):
        job.future.result(5)
    jobs.forget("stopped")
    job = jobs.start("stopped", "w", work)
    assert job.future.result(5) == "done"
    jobs.forget("stopped")


def test_an_error_of_a_job_is_raised_once_and_then_it_is_tried_again():
    answers = iter([ZeroDivisionError(), "fine"])

    def work(job: jobs.Job) -> str:
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    with pytest.raises(ZeroDivisionError):
        jobs.result("fails", "w", work)
    assert jobs.result("fails", "w", work) == "fine"


@pytest.mark.parametrize(
    ("address", "loopback"),
    [("127.0.0.1", True), ("localhost", True), ("::1", True), ("0.0.0.0", False), ("192.0.2.7", False), (None, False)],
)
def test_only_on_loopback_are_files_and_the_own_token_open(monkeypatch, address, loopback):
    monkeypatch.setattr(st, "get_option", lambda name: address)
    monkeypatch.delenv("QUANTVIZ_FILES", raising=False)
    assert access.is_loopback() == access.may_open_files() == loopback
    assert access.hub_token("") is (None if loopback else False)
    assert access.hub_token(" hf_x ") == "hf_x"
    if loopback:
        assert access.files_root() is None
    else:
        with pytest.raises(QuantvizError, match="upload"):
            access.files_root()
    monkeypatch.setenv("QUANTVIZ_FILES", "/models")
    assert access.files_root() == "/models"


def test_what_one_token_opened_is_kept_apart_from_another(tmp_path):
    mine, other, none = (source_of("hf:a/b", "hf:a/b", None, token) for token in ("hf_mine", "hf_other", False))
    assert len({mine, other, none}) == 3
    assert "hf_mine" not in repr(mine)
    file = tmp_path / "w.npy"
    file.write_bytes(b"1")
    before = source_of(str(file), str(file), None, None)
    file.write_bytes(b"22")
    assert source_of(str(file), str(file), None, None) != before, "a file that changed is read anew"


def test_rows():
    assert parse_rows("", INFO) is None
    assert parse_rows("0:64", INFO) == (0, 64)
    for wrong in ("5", "a:b", "9:3", "0:101", "-1:5"):
        with pytest.raises(QuantvizError):
            parse_rows(wrong, INFO)


def test_a_snippet_names_no_token_and_no_private_copy():
    at = TensorPart(ModelRef("upload:w.npy", "/private/0.npy"), "w", (0, 8))
    code = tensor_snippet(View(Scheme.parse("int4-sym-b32"), None, at, INFO, "hf_secret"), (0, 0))
    assert "open_model('w.npy')" in code and "rows=(0, 8)" in code
    assert "private" not in code and "secret" not in code


def test_the_address_of_a_page_on_the_hub_becomes_a_reference():
    assert as_written("org/name/tree/v1") == "org/name@v1"
    page = "org/name/blob/main/Q8_0/m-Q8_0.gguf?download=true"
    assert as_written(page) == "org/name@main:Q8_0/m-Q8_0.gguf"


def test_a_large_tensor_waits_for_a_word_and_offers_a_part():
    app = opened(ref="random:normal?rows=16400&cols=4096&outliers=0.001")
    assert not app.exception and not app.metric
    said = app.info[0].value
    assert "67.2 million weights" in said and "269 MB" in said and "weights/s" in said
    app.text_input(key="rows").set_value("0:64")  # a range written by hand needs no word
    settled(app)
    assert len(app.metric) >= 6 and not app.info


def test_a_random_tensor_beyond_the_budget_is_refused_in_a_sentence():
    app = opened(ref="random:normal?rows=200000&cols=4096")
    next(b for b in app.button if "Evaluate all" in b.label).click()
    settled(app)
    assert not app.exception
    assert "choose fewer rows" in app.error[0].value


def test_a_link_to_an_upload_says_that_it_stays_where_it_was_made():
    app = opened(ref="upload:model.safetensors")
    assert not app.exception and len(app.metric) >= 6
    assert "an upload that this window does not have" in app.warning[0].value


def test_of_a_tensor_under_one_scale_the_largest_weight_is_shown_and_any_other_can_be():
    stored = qv.open_model(SMALL).open("weight")
    row, col = divmod(int(qv.describe(stored).largest_index[0]), stored.cols)
    app = opened(scheme="int4-sym-tensor")
    shown = app.text_input(key="block")
    assert shown.placeholder == f"the largest: {row}, {col}"
    first = row // 16 * 16
    assert any(f"rows {first} to {first + 15}," in m.value for m in app.markdown)
    shown.set_value("3, 7")
    assert any("rows 0 to 15," in m.value for m in settled(app).markdown)
    app.text_input(key="block").set_value("128, 0")
    assert any("There is no weight" in w.value for w in settled(app).warning)


def test_pages_that_take_no_scheme_or_no_tensor_do_not_offer_them():
    labels = {page: {box.label for box in opened(page).sidebar.text_input} for page in ("explore", "number_formats")}
    assert {"Reference", "Scheme key"} <= labels["explore"] and not labels["number_formats"]


def test_a_random_tensor_belongs_to_no_model_and_the_page_of_files_says_what_to_open():
    app = opened("published_files")
    assert "belongs to no model" in app.info[0].value
    next(b for b in app.button if b.label == "Open the demo model").click()
    assert not any("belongs to no model" in i.value for i in settled(app).info)
