"""A GGUF file that the gguf package wrote from the demo model: opened, listed, loaded, compared with its original."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from tests.sources.gguf_builder import demo

from .actions import assert_fits_and_is_described, go, heading, metric, number, settled

pytestmark = pytest.mark.browser
QUERY = "model.layers.0.self_attn.q_proj.weight"


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    return demo(tmp_path_factory.mktemp("gguf") / "demo-Q8_0.gguf", {"blk.0.attn_q.weight": "q4_0"})


def choose_source(page: Page, name: str) -> None:
    page.get_by_test_id("stSidebar").get_by_text(name, exact=True).click()


def test_a_gguf_of_the_demo_model_opens_lists_loads_and_compares(page, address, file):
    go(page, address, ref="random:normal?rows=64&cols=256", scheme="int4-sym-b64")
    choose_source(page, "File")
    path = page.get_by_role("textbox", name="Path on this machine")
    path.fill(str(file))
    path.press("Enter")
    sidebar = page.get_by_test_id("stSidebar")
    expect(sidebar.get_by_text("Tensor, one of 38")).to_be_visible()
    heading(page, "blk.0.attn_k.weight under int4-sym-b64")
    expect(sidebar.get_by_text("8.5 bits a weight")).to_be_visible()
    heading(page, "As it is stored: q8_0")
    expect(page.get_by_text("34 bytes for 32 weights, 8.5 bits each")).to_be_attached()
    box = page.get_by_role("textbox", name="Stored block")
    box.fill("7, 3")
    box.press("Enter")
    expect(page.get_by_text("row 7, columns 96 to 127")).to_be_attached()
    page.wait_for_url(re.compile(r"stored=7"))

    page.get_by_role("link", name="Published files").click()
    other = page.get_by_role("textbox", name="The model it was made from")
    other.fill("demo")
    other.press("Enter")
    heading(page, "model.layers.0.self_attn.k_proj.weight as q8_0")
    expect(page.get_by_text("gives exactly the bytes of the file")).to_be_visible()
    assert number(metric(page, "SQNR")) == pytest.approx(45.4, abs=0.1)
    page.get_by_role("button", name="Compare every tensor").click()
    expect(page.get_by_text("exactly the bytes of 38 of 38 tensors")).to_be_visible()
    expect(page.get_by_test_id("stException")).to_have_count(0)
    link = page.url
    again = page.context.new_page()
    again.goto(link)
    heading(again, "model.layers.0.self_attn.k_proj.weight as q8_0")


def test_the_original_beside_its_file_and_the_mixes(page, address, file):
    page.goto(f"{address}/published_files?ref=demo&tensor={QUERY}&beside={file}")
    heading(page, f"{QUERY} as q4_0")
    expect(page.get_by_text("the two halves of each head interleaved; that is undone here")).to_be_visible()
    page.get_by_text("Named mixes", exact=True).click()
    heading(page, "Q4_K_M of demo")
    settled(page)
    assert number(metric(page, "Bits per weight")) == 5.066
    assert_fits_and_is_described(page)


def test_one_of_several_files_on_the_hub_is_chosen_from_a_list(page, address, hub, file):
    content = file.read_bytes()
    hub.add_repo("someone/demo-GGUF", {"demo-Q8_0.gguf": content, "demo-Q4_0.gguf": content})
    go(page, address, ref="hf:someone/demo-GGUF", scheme="int4-sym-b64")
    expect(page.get_by_test_id("stAlert").first).to_contain_text("2 GGUF files")
    page.get_by_role("combobox", name="GGUF file, one of 2").click()
    page.get_by_role("option", name="demo-Q4_0.gguf", exact=True).click()
    heading(page, "blk.0.attn_k.weight under int4-sym-b64")
    page.wait_for_url(re.compile("demo-Q4_0.gguf"))


def test_an_uploaded_part_of_a_split_says_what_it_is_and_a_whole_file_opens(page, address, file, tmp_path):
    demo(tmp_path / "m.gguf", split_max_tensors=20)
    go(page, address, ref="random:normal?rows=64&cols=256", scheme="int4-sym-b64")
    choose_source(page, "File")
    sidebar = page.get_by_test_id("stSidebar")
    upload = sidebar.get_by_test_id("stFileUploaderDropzoneInput").first
    upload.set_input_files(tmp_path / "m-00002-of-00002.gguf")
    said = page.get_by_test_id("stAlert").first
    expect(said).to_contain_text("m-00002-of-00002.gguf lacks the part m-00001-of-00002.gguf")
    heading(page, "weight under int4-sym-b64")
    upload.set_input_files(file)
    heading(page, "blk.0.attn_k.weight under int4-sym-b64")
