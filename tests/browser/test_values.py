"""One's own numbers in a real browser: what is typed is in the address, and the address opens it again."""

from __future__ import annotations

from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from playwright.sync_api import expect

from .actions import assert_fits_and_is_described, go, heading, settled

pytestmark = pytest.mark.browser


def test_typed_numbers_travel_with_the_link(page, address):
    go(page, address, ref="random:normal?rows=64&cols=128", scheme="int4-sym-b32", pinned="none")
    side = page.get_by_test_id("stSidebar")
    kinds = side.get_by_role("radiogroup", name="Source").get_by_role("radio")
    tops = {round(kind.bounding_box()["y"]) for kind in kinds.all()}
    assert kinds.count() == 5 and len(tops) == 1, "five kinds of source stand in one line"
    side.get_by_text("Numbers", exact=True).click()
    box = side.get_by_role("textbox", name="Your numbers")
    expect(box).to_have_value("-0.89, 0.16, 0.08, -0.13, 0.16, -0.54")
    box.fill("0,89; -0,16")
    box.press("Control+Enter")
    page.wait_for_url(lambda url: parse_qs(urlsplit(url).query).get("ref") == ["values:0.89,-0.16"])
    expect(page.get_by_text("Commas were read as decimal signs")).to_be_visible()
    heading(page, "Weight by weight")
    settled(page)
    assert_fits_and_is_described(page)
    page.goto(f"{address}/?{urlencode({'ref': 'values:0.89,-0.16', 'scheme': 'int4-sym-b32'})}")
    expect(box).to_have_value("0.89, -0.16")
    box.fill("0.5, oops")
    box.press("Control+Enter")
    expect(page.get_by_text("'oops' (the 2nd entry) is no number")).to_be_visible()
    expect(box).to_have_value("0.5, oops")
    assert page.problems == []
