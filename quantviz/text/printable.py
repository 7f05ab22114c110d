"""Text from a file, a link or another machine, made fit to be shown: one line, nothing invisible, of bounded length."""

from __future__ import annotations

import re
import unicodedata

LONGEST = 1500  # characters of a sentence that quotes something
LONGEST_NAME = 200  # characters of a name

_CONTROL_PICTURES = {code: chr(0x2400 + code) for code in range(0x20)} | {0x7F: "␡"}
_INVISIBLE = {"Cf", "Cs", "Co", "Cn", "Cc", "Zl", "Zp"}  # Unicode's categories of what has no shape of its own
# Marks piled on one letter until they cover other lines.
_MARKS = re.compile("[\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]{4,}")


def printable(text: object, longest: int = LONGEST) -> str:
    r"""`text` in one line: controls, line breaks and characters that reorder or hide others are spelled out.

    What is longer than `longest` loses its middle and says so, for the end of a path tells it from others.

    >>> printable("a\nb"), printable("safe\u202egpj.exe"), printable("\ud800")
    ('a␊b', 'safe⟨U+202E⟩gpj.exe', '⟨U+D800⟩')
    >>> printable("x" * 500, 40)
    'xxxxxxxxxxxxx … (500 characters) … xxxxx'
    """
    whole = str(text)
    if len(whole) > longest:
        told = f" … ({len(whole):,} characters) … "
        room = max(longest - len(told), 8)
        head = room * 3 // 4
        whole = whole[:head] + told + whole[len(whole) - (room - head) :]
    if whole.isascii() and whole.isprintable():
        return whole
    return _MARKS.sub(lambda found: found[0][:3], "".join(_visible(char) for char in whole))


def _visible(char: str) -> str:
    if ord(char) in _CONTROL_PICTURES:
        return _CONTROL_PICTURES[ord(char)]
    return f"⟨U+{ord(char):04X}⟩" if unicodedata.category(char) in _INVISIBLE else char
