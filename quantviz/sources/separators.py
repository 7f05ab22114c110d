"""What separates the numbers of a text: brackets, quotes, and whether a comma is a decimal sign."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ..errors import QuantvizError

WRITE = "write numbers such as -0.89, 0.16, 0.08"
# What surrounds the numbers of a print: names of functions, what is said of the array, the name it is given.
# Every repetition has a limit, so that no text takes long.
_WRAPPING = re.compile(
    r"Parameter containing:"
    r"|\b(?:dtype|device|requires_grad|grad_fn|size|layout|shape)\s{0,4}=\s{0,4}"
    r"(?:'[^']{0,40}'|<[^>]{0,200}>|\([^)]{0,40}\)|[\w.]{1,40})"
    r"|\b[A-Za-z_][\w.]{0,60}\s{0,4}(?=\()"
    r"|\b[A-Za-z_]\w{0,60}\s{0,4}=(?!=)"
)
_QUOTED = re.compile(r'"([^"\n]{0,200})"')
_WITH_COMMA = re.compile(r"([-+]?[0-9]*),([0-9]+(?:[eE][-+]?[0-9]{1,4})?)")
_WORD = re.compile(r"[^;\s]+")
_TIGHT = re.compile(r"([-+]?)([0-9]+)(?:,([0-9]+))?(?:[eE][-+]?[0-9]{1,4})?")


def rows_in_brackets(text: str) -> list[str]:
    """The innermost lists of a list of lists, or of lists one after the other; parentheses count where no [ stands.

    >>> rows_in_brackets("tensor([[-0.89, 0.16],\\n        [0.08, -0.13]], device='cuda:0')")
    ['-0.89, 0.16', '0.08, -0.13']
    """
    text = _WRAPPING.sub(" ", text)
    text = re.sub("[()]", " ", text) if "[" in text else text.translate(str.maketrans("()", "[]"))
    if "..." in text or "…" in text:
        raise QuantvizError(
            "The print leaves numbers out, as '...' says; print all of them, with numpy.set_printoptions("
            "threshold=10**6) or torch.set_printoptions(profile='full')."
        )
    rows: list[str] = []
    depth = last = 0
    before = ""  # the bracket before
    for found in re.finditer(r"[\[\]]", text):
        between = text[last : found.start()].strip()
        last = found.end()
        if found[0] == "[":
            before, depth = "[", depth + 1
            _only_separators(between)
            if depth > 2:
                raise QuantvizError("Lists are nested more than twice; give one list, or a list of rows.")
            continue
        if not depth:
            raise QuantvizError("A ] closes no list; the beginning of the text may be missing.")
        if before == "[" and (depth == 2 or between.strip(", ")):
            rows += between.rstrip("; ").split(";")
        else:
            _only_separators(between)
        before, depth = "]", depth - 1
    if depth:
        raise QuantvizError("A [ is never closed, so the text was probably cut off; copy all of it.")
    _only_separators(text[last:].strip())
    if not rows:
        raise QuantvizError(f"The lists are empty; {WRITE}.")
    return [row.strip().removesuffix(",") for row in rows]


def _only_separators(between: str) -> None:
    if left := between.strip(",; \n\t"):
        raise QuantvizError(f"{left[:40]!r} stands outside the lists of numbers; {WRITE}, or [[1, 2], [3, 4]].")


def unquoted(text: str) -> tuple[str, list[str]]:
    """The text without quotes, and a note where quoted numbers had decimal commas.

    >>> unquoted('"0,89","0,16"')
    ('0.89,0.16', ['Commas inside quotes were read as decimal signs: the first number is 0.89.'])
    """
    said: list[str] = []

    def plain(found: re.Match) -> str:
        inside = found[1].strip()
        if number := _WITH_COMMA.fullmatch(inside):
            inside = f"{number[1]}.{number[2]}"
            said.append(inside) if not said else None
            return inside
        return re.sub("[,;\t]", " ", inside)

    text = _QUOTED.sub(plain, text)
    return text, [f"Commas inside quotes were read as decimal signs: the first number is {n}." for n in said]


def decimal_commas(lines: Sequence[str]) -> tuple[bool, list[str]]:
    """Whether the commas of a text are decimal signs, and a note where that was not plain to see.

    They may be where no number has a point and none more than one comma, with digits on both sides. They are if one
    number is written as no whole number is (-0,13 or 0,08), if blanks separate the numbers, or lines and semicolons
    together, if some begin with 0 while others have no comma, or if at least half of them begin with 0 and have two
    digits behind it.

    >>> decimal_commas(["0,89; 0,16"])[0], decimal_commas(["0,1,2"])[0], decimal_commas(["1, 2; 3, 4"])[0]
    (True, False, False)
    """
    if not any("," in line for line in lines) or any("." in line for line in lines):
        return False, []
    count = with_comma = zeros = small = 0
    first, proof, cells, inside = "", False, False, False
    for line in lines:
        if re.search(r",(?![0-9])|(?<![0-9]),", line):
            return False, []
        inside |= ";" in line.rstrip("; ")
        cells |= bool(re.search(r"[0-9][ \t]+[-+0-9]", line))
        for found in _WORD.finditer(line):
            number = _TIGHT.fullmatch(found[0])
            if number is None:
                return False, []
            sign, whole, rest = number.groups()
            count += 1
            if rest is None:
                continue
            with_comma, first = with_comma + 1, first or found[0].replace(",", ".")
            zeros += whole == "0"
            small += whole == "0" and len(rest) > 1
            proof |= (sign == "-" and whole == "0") or (rest[0] == "0" and len(rest) > 1)
    some_without = zeros > 0 and with_comma < count
    if proof or cells or (inside and len(lines) > 1) or some_without or 2 * small >= count:
        return True, [f"Commas were read as decimal signs: the first number is {first.lstrip('+')}."]
    if count == 1:
        return False, []
    return False, [
        f"Commas were read as separators, {count:,} rows of 2 numbers; if they are decimal signs, write points."
    ]
