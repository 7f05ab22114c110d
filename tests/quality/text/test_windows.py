"""The windows over a text, and the text itself."""

from __future__ import annotations

import codecs

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quantviz.errors import QuantvizError
from quantviz.quality.results import method_text
from quantviz.quality.text.texts import decode, demo_text, read_text
from quantviz.quality.text.windows import batches, windows_over


@given(st.integers(4, 3000), st.integers(4, 512))
def test_sliding_windows_score_each_token_but_the_first_once(tokens, context) -> None:
    if tokens < context:
        return
    windows = windows_over(tokens, context, "sliding")
    scored = [token for w in windows for token in range(w.first, w.stop)]
    assert scored == list(range(1, tokens))
    assert all(w.length <= context for w in windows)
    assert all(w.first - w.start >= context // 2 for w in windows[1:])


@given(st.integers(4, 3000), st.integers(4, 512))
def test_llama_cpp_s_windows_lie_side_by_side(tokens, context) -> None:
    if tokens < context:
        return
    windows = windows_over(tokens, context, "llama.cpp")
    assert len(windows) == tokens // context
    assert {w.scored for w in windows} == {context - 1 - context // 2}
    assert [w.start for w in windows] == [i * context for i in range(len(windows))]


@given(st.integers(300, 3000), st.integers(1, 2000), st.sampled_from(["llama.cpp", "sliding"]))
def test_batches_keep_all_windows_in_order_and_are_of_one_shape(tokens, size, method) -> None:
    windows = windows_over(tokens, 128, method)
    parts = list(batches(windows, size))
    assert tuple(w for part in parts for w in part) == windows
    assert all(len({(w.length, w.scored) for w in part}) == 1 for part in parts)
    assert all(len(part) == 1 or len(part) * 128 <= size for part in parts)


def test_windows_that_there_are_none_of() -> None:
    with pytest.raises(QuantvizError, match="has 100 tokens, fewer than one window of 512; give a longer text"):
        windows_over(100, 512, "llama.cpp")
    with pytest.raises(QuantvizError, match="at least 4"):
        windows_over(100, 2, "sliding")
    with pytest.raises(QuantvizError, match="no method 'strided'; choose llama.cpp or sliding"):
        windows_over(100, 10, "strided")


def test_methods_are_said_in_words() -> None:
    assert "second half is scored" in method_text("llama.cpp", 512)
    assert "moves on by 256" in method_text("sliding", 512)


def test_the_demo_text_is_the_book_that_was_held_out() -> None:
    assert demo_text().startswith("In the beginning was the Word")


def test_texts_in_utf_8_and_marked_utf_16(tmp_path) -> None:
    text = "naïve — 日本\n"
    for data in (text.encode(), codecs.BOM_UTF8 + text.encode(), text.encode("utf-16"),
                 codecs.BOM_UTF16_BE + text.encode("utf-16-be")):  # fmt: skip
        assert decode(data) == text
    (tmp_path / "text.txt").write_bytes(text.encode())
    assert read_text(tmp_path / "text.txt") == text


def test_other_encodings_are_refused(tmp_path) -> None:
    (tmp_path / "latin.txt").write_bytes("naïve".encode("latin-1"))
    with pytest.raises(QuantvizError, match="latin.txt is not in UTF-8: byte 2 is 0xEF; save it as UTF-8"):
        read_text(tmp_path / "latin.txt")
    with pytest.raises(QuantvizError, match="zero bytes"):
        decode(b"\0\1\2")
    with pytest.raises(QuantvizError, match="cannot be read"):
        read_text(tmp_path / "none.txt")
    with pytest.raises(QuantvizError, match="is a folder, no file"):
        read_text(tmp_path)
