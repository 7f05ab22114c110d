"""The page Number formats runs, reacts, and stays usable after wrong input."""

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from quantviz.formats import FORMATS

PAGE = Path(__file__).parents[2] / "pages" / "number_formats.py"


@pytest.fixture
def page():
    return AppTest.from_file(str(PAGE), default_timeout=30)


def becomes(page: AppTest) -> str:
    return page.metric[0].value


def test_first_view(page):
    page.run()
    assert not page.exception and not page.error and not page.warning
    assert becomes(page) == "0.1015625"
    assert page.code[0].value.startswith("(-1)^0 × 2^(3 - 7) × (1 + 5/8)")


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_shows_and_every_bit_flips(page, name):
    page.run()
    page.selectbox(key="number_format").select(name).run()
    assert not page.exception and not page.error
    for bit in {0, FORMATS[name].bits - 1}:
        before = page.button(key=f"bit_code_{bit}").label
        page.button(key=f"bit_code_{bit}").click().run()
        assert not page.exception and not page.error
        assert page.button(key=f"bit_code_{bit}").label[0] == str(1 - int(before[0]))


@pytest.mark.parametrize("text", ["abc", "nan", "-inf", "1e9999", "0x123456789", "0,1"])
def test_wrong_values_get_a_sentence_and_the_default(page, text):
    page.run()
    page.text_input(key="number_value").set_value(text).run()
    assert not page.exception and len(page.error) == 1
    assert "Showing 0.1 instead" in page.error[0].value
    assert becomes(page) == "0.1015625"


def test_beyond_the_range_says_it_saturates(page):
    page.run()
    page.text_input(key="number_value").set_value("1e10").run()
    assert becomes(page) == "448"
    assert "saturate" in page.warning[0].value


@pytest.mark.parametrize(
    ("pattern", "shown", "says"),
    [("0x7f", "NaN", "NaN"), ("0x80", "-0", "Negative zero"), ("0x01", "0.001953125", "Subnormal"),
     ("0x7e", "448", "largest")],
)  # fmt: skip
def test_special_codes_are_explained(page, pattern, shown, says):
    page.run()
    page.text_input(key="number_value").set_value(pattern).run()
    assert not page.exception
    assert becomes(page) == shown
    assert says in page.info[0].value


def test_stepping_to_the_next_value_and_back(page):
    page.run()
    next_value = next(b for b in page.button if b.label == "Next value")
    next_value.click().run()
    assert becomes(page) == "0.109375"
    next(b for b in page.button if b.label == "Previous value").click().run()
    assert becomes(page) == "0.1015625"


def test_a_bit_pattern_is_carried_over_as_its_number(page):
    page.run()
    page.text_input(key="number_value").set_value("0x38").run()
    page.selectbox(key="number_format").select("fp32").run()
    assert becomes(page) == "1"


def test_a_block_format_shows_and_flips_its_scale(page):
    page.run()
    page.selectbox(key="number_format").select("mxfp4").run()
    page.text_input(key="number_value").set_value("0b0010").run()  # 1.0, times the scale 2^-2
    assert becomes(page) == "0.25"
    page.button(key="bit_scale_0").click().run()  # exponent 125 becomes 124
    assert becomes(page) == "0.125"
    page.text_input(key="number_scale").set_value("-1").run()
    assert not page.exception and "greater than 0" in page.error[0].value


@pytest.mark.parametrize("window", ["all", "±8", "±1", "close-up"])
@pytest.mark.parametrize("axis", ["linear", "logarithmic"])
def test_every_view_of_the_number_line(page, window, axis):
    page.query_params["line_window"] = window
    page.query_params["line_axis"] = axis
    page.query_params["number_format"] = "fp16"
    page.run()
    assert not page.exception and not page.warning


def test_a_link_opens_the_view(page):
    page.query_params["number_format"] = "bf16"
    page.query_params["number_value"] = "1/3"
    page.run()
    assert page.selectbox(key="number_format").value == "bf16"
    assert becomes(page) == "0.333984375"


def test_a_wrong_link_falls_back_with_a_notice(page):
    page.query_params["number_format"] = "fp99"
    page.query_params["number_value"] = "zzz"
    page.run()
    assert not page.exception
    assert "number_format=fp99" in page.warning[0].value
    assert page.selectbox(key="number_format").value == "fp8_e4m3"
    assert "is no number" in page.error[0].value


def test_claim_1_is_measured_at_the_press_of_a_button(page):
    page.run()
    page.button(key="measure_bytes").click().run()
    table = next(d.value for d in page.dataframe if "verdict" in d.value)
    assert set(table["verdict"]) == {"holds"}
    assert list(table["measured bytes"]) == [4, 2, 2, 1, 1, 0.5]
