"""Text of strangers is escaped for Markdown; tests/browser/test_strangers.py sees what the browser makes of it."""

from __future__ import annotations

import re

import pytest

from pages.components.say import name, plain

HARMLESS = (
    "q4_0", "model.layers.0.mlp.up_proj.weight", "int4-sym-b64, q8_0 and nf4-b64", "4,096 × 1,024", "−0.25 dB (3%)",
    "Rows 0 to 9; a/b.safetensors", "1.5 bits a weight.",
)  # fmt: skip
HOSTILE = (
    "![x](http://evil.example/t.png)", "[click](http://evil.example)", "<http://evil.example>", "<b>x</b>", "$x^2$",
    ":red[x]", ":material/home:", ":smile:", ":+1:", "http://evil.example", "www.evil.example", "a@evil.example",
    "*a*", "_a_", "__a__", "~~a~~", "`a`", "# a", "- a", "+ a", "1. a", "1) a", "> a", "    a", "a | b", "&lt;",
    "&#60;",
    "a -> b", "a -- b", "\\*a\\*", "---", "===", "a\n\n# b", "a  \nb", "[a]: http://evil.example", "{x}", "[^1]",
    "file_.name", "_private", "  two  spaces ", "a\\",
)  # fmt: skip


def read_back(markdown: str) -> str:
    """What Markdown without any active sign shows: escapes taken off, joiners without width left out."""
    return re.sub(r"\\([!-/:-@\[-`{-~])", r"\1", markdown.replace("\u2060", "")).replace("\u00a0", " ")


def active(markdown: str) -> str | None:
    """The first sign in it that Markdown or Streamlit would read as more than itself; None where there is none."""
    bare = re.sub(r"\\[!-/:-@\[-`{-~]", "x", markdown)
    found = re.search(
        r"[`*\[\]<>$~|\n]|(?<![^\W_])_|_(?![^\W_])|&[#\w]|:[a-z]|:[\w+/-]+:|https?:|www\.|@[\w-]+\."
        r"|^\s*([-+=#]|\d+[.)])(\s|$)|^(---|===)|(?<!\S)--(?!\S)|^    |^\t",
        bare,
        re.IGNORECASE,
    )
    return found and found[0]


@pytest.mark.parametrize("text", HARMLESS)
def test_ordinary_words_and_names_need_no_escape(text):
    assert plain(text) == text


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("around", ["{}", "There is no {}.", "{} {}"])
def test_what_markdown_would_read_is_escaped_and_still_reads_the_same(text, around):
    whole = around.format(text, text)
    assert active(plain(whole)) is None
    assert read_back(plain(whole)) == whole.replace("\n", "␊")


def test_no_length_and_no_character_escapes_the_page():
    assert len(plain("*" * 10_000_000)) < 4000 and "10,000,000 characters" in plain("x" * 10_000_000)
    assert len(name("x" * 5000)) < 300
    assert plain("a\u202eb\u200bc\ud800") == "a⟨U+202E⟩b⟨U+200B⟩c⟨U+D800⟩"
    assert plain("\x1b[31m").startswith("␛")
