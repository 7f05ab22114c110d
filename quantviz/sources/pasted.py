"""Numbers as people paste them: lists, lines, a spreadsheet's column, JSON, a print of NumPy or PyTorch.

What separates numbers is read from the text as a whole, and what was decided is told in a note. A text that cannot be
read is refused in a sentence that names the first entry which is no number, and where it stands.
"""

from __future__ import annotations

import re
from array import array
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from ..errors import QuantvizError
from ..text.numbers import real_number
from ..text.printable import printable
from ..text.wording import plural
from .separators import WRITE, decimal_commas, rows_in_brackets, unquoted

MOST_PASTED = 100_000  # numbers of a text; more belong in a file
QUOTED = 40  # characters of an entry that a sentence quotes
_ALIKE = str.maketrans({"\u2212": "-", "\ufeff": "", "\u00a0": " ", "\u2009": " ", "\u202f": " ", "\r": "\n"})
_NO_NUMBERS = {"nan", "inf", "infinity", "na", "n/a", "#n/a", "null", "none"}
Rows = list[tuple[str, str]]  # where each row stands, in words, and its text: numbers between commas and blanks


@dataclass(frozen=True, eq=False)
class Pasted:
    """numbers: float32 [rows, columns].  notes: sentences on how they were read, where that is not obvious."""

    numbers: np.ndarray
    notes: tuple[str, ...] = ()


def read_numbers(text: str, most: int = MOST_PASTED) -> Pasted:
    """The numbers of a text. Raises QuantvizError with one sentence, also for more than `most` of them.

    Rows are lines, lists in a list, or what stands between semicolons; one number a line is one row.

    >>> read_numbers("-0.89, 0.16, 0.08").numbers.tolist() == np.float32([[-0.89, 0.16, 0.08]]).tolist()
    True
    >>> read_numbers("[[1. 2.]\\n [3. 4.]]").numbers.tolist(), read_numbers("5\\n6\\n7").numbers.tolist()
    ([[1.0, 2.0], [3.0, 4.0]], [[5.0, 6.0, 7.0]])
    >>> read_numbers("0,89; -0,16").notes
    ('Commas were read as decimal signs: the first number is 0.89.',)
    """
    text = text.replace("\r\n", "\n").translate(_ALIKE).strip()
    if "\0" in text:
        raise QuantvizError(f"That is no text: it holds bytes that are 0; {WRITE}.")
    if not text:
        raise QuantvizError(f"There are no numbers yet; {WRITE}.")
    if text.startswith("values:"):
        return Pasted(as_float32(read_rows(rows_of_reference(text), most)))
    text, notes = unquoted(text)
    bracketed = "[" in text or "]" in text or "(" in text
    if bracketed:
        rows = [(f"row {i}", row) for i, row in enumerate(rows_in_brackets(text), 1)]
    else:
        rows, more = _rows_of_lines(text)
        notes += more
    grid = read_rows(rows, most)
    if not bracketed and grid.shape[1] == 1:
        grid = grid.reshape(1, -1)
    numbers = as_float32(grid)
    return Pasted(numbers, tuple(notes) + rounded_note(grid, numbers))


def rows_of_reference(ref: str) -> Rows:
    """The rows of `values:…`, in which a comma is always between numbers and a semicolon between rows."""
    body = ref.strip().removeprefix("values:")
    if not body.strip():
        raise QuantvizError(f"{ref[:QUOTED]} holds no numbers; {WRITE}.")
    if re.search(r"(?:^|[,;\s])[-+]?$|[.eE]$|[eE][-+]$|[-+]$", body):
        raise QuantvizError(
            f"The numbers end within one, after {body[-QUOTED:]!r}, so the text was probably cut off; copy all of it."
        )
    return [(f"row {i}", row) for i, row in enumerate(body.split(";"), 1)]


def _rows_of_lines(text: str) -> tuple[Rows, list[str]]:
    """Rows of a text without brackets, and notes."""
    notes, lines = [], []
    for i, line in enumerate(text.split("\n"), 1):
        if line.strip() and not line.lstrip().startswith("#"):
            lines.append((f"line {i}", line.strip()))
    if len(lines) > 1 and _is_heading(lines[0][1]):
        place, heading = lines.pop(0)
        notes.append(f"{place.capitalize()}, {printable(heading, QUOTED)!r}, is a heading and was left out.")
    if not lines:
        raise QuantvizError(f"There are no numbers in it, only remarks; {WRITE}.")
    commas, why = decimal_commas([line for _, line in lines])
    if commas:
        lines = [(place, line.replace(",", ".").replace(";", ",").strip(", ")) for place, line in lines]
    elif len(lines) > 1 and not any("," in line for _, line in lines):
        lines = [(place, re.sub(r";\s*$", "", line).replace(";", ",")) for place, line in lines]
    notes += why
    if len(lines) > 1 and all(line.endswith(",") for _, line in lines[:-1]):  # a list that goes on in the next line
        lines = [("the text", " ".join(line for _, line in lines))]
    if any(";" in line for _, line in lines):
        pieces = [piece for _, line in lines for piece in line.rstrip("; ").split(";")]
        lines = [(f"row {i}", piece) for i, piece in enumerate(pieces, 1)]
    return lines, notes


def _is_heading(line: str) -> bool:
    """Whether no cell of the line is a number or stands for one."""
    cells = [cell.strip() for cell in re.split(r"[,;\t]", line)]
    words = [cell for cell in cells if cell]
    return bool(words) and not any(
        cell.lower().lstrip("+-") in _NO_NUMBERS or _number(cell) is not None or _number(cell.split()[0]) is not None
        for cell in words
    )


def read_rows(rows: Rows, most: int) -> np.ndarray:
    """float64 [rows, columns] of the numbers in each row."""
    numbers, lengths = array("d"), []
    for place, row in rows:
        before = len(numbers)
        where = place if len(rows) > 1 else ""
        for nth, found in enumerate(_entries(row, where), 1):
            if len(numbers) == most:
                raise QuantvizError(
                    f"There are over {most:,} numbers; so many belong in a file that numpy.save writes: .npy."
                )
            value = _number(found)
            if value is None:
                raise _no_number(found, nth, where)
            numbers.append(value)
        lengths.append(len(numbers) - before)
        if lengths[-1] != lengths[0]:
            raise _uneven(rows, lengths, len(rows))
        if not lengths[-1]:
            raise QuantvizError(f"{place.capitalize()} holds no numbers; {WRITE}.")
    return np.frombuffer(numbers, np.float64).reshape(len(rows), lengths[0])


def _entries(row: str, where: str) -> Iterable[str]:
    """What stands between commas and blanks; a comma with nothing before or after it is an error."""
    if missing := re.search(r"^\s*,|,\s*,|,\s*$", row):
        after = row[: missing.start()].split(",")[-1].strip()[-QUOTED:]
        told = f"after {after!r}" if after else "at its beginning"
        inside = f"{where.capitalize()} has" if where else "There is"
        raise QuantvizError(f"{inside} a comma with no number beside it, {told}; it may have been cut off.")
    return (found[0] for found in re.finditer(r"[^\s,]+", row))


def _number(entry: str) -> float | None:
    return real_number(entry[1:] if entry[:1] == "+" and entry[1:2] != "-" else entry)


def _no_number(entry: str, nth: int, where: str) -> QuantvizError:
    place = f"{where}, the {ordinal(nth)} entry" if where else f"the {ordinal(nth)} entry"
    shown = repr(printable(entry, QUOTED))
    if entry.lower().lstrip("+-") in _NO_NUMBERS:
        return QuantvizError(f"{shown} ({place}) is no finite number, and quantization needs those; leave it out.")
    if re.fullmatch(r"[-+]?[0-9]{0,20}\.?[0-9]{1,20}[eE]\+?[0-9]{1,4}", entry):
        return QuantvizError(f"{shown} ({place}) is beyond float32, whose largest is 3.4e38.")
    return QuantvizError(f"{shown} ({place}) is no number; {WRITE}.")


def _uneven(rows: Rows, lengths: list[int], count: int) -> QuantvizError:
    place, first = rows[len(lengths) - 1][0], rows[0][0]
    last = " It is the last, so the text may have been cut off." if len(lengths) == count else ""
    return QuantvizError(
        f"{place.capitalize()} has {plural(lengths[-1], 'number')} and {first} {lengths[0]:,}; give rows of equal "
        f"length, or all numbers in one row.{last}"
    )


def as_float32(grid: np.ndarray) -> np.ndarray:
    """float32 of float64 numbers. Raises QuantvizError for one beyond its range."""
    with np.errstate(over="ignore", under="ignore"):
        numbers = grid.astype(np.float32)
    if not np.isfinite(numbers).all():
        at = int(np.flatnonzero(~np.isfinite(numbers))[0])
        raise QuantvizError(
            f"The {ordinal(at + 1)} number, {grid.flat[at]:g}, is beyond float32, whose largest is 3.4e38."
        )
    return numbers


def rounded_note(grid: np.ndarray, numbers: np.ndarray) -> tuple[str, ...]:
    """A sentence where numbers were written with more digits than float32 holds; of long texts nothing is said."""
    if grid.size > MOST_PASTED:
        return ()
    kept = [shortest(value) for value in numbers.flat]
    lost = [(given, text) for given, text in zip(grid.flat, kept, strict=True) if float(text) != given]
    if not lost:
        return ()
    first = f"{float(lost[0][0])!r} became {lost[0][1]}"
    what = "A number has" if len(lost) == 1 else f"{len(lost):,} numbers have"
    return (f"{what} more digits than float32 holds and {'was' if len(lost) == 1 else 'were'} rounded: {first}.",)


def shortest(value: np.float32) -> str:
    """The fewest digits that are read as this float32; with a power of ten where that saves over two characters.

    >>> [shortest(np.float32(x)) for x in (-0.89, 1e-5, 0.001, 3e20, -0.0, 16777216)]
    ['-0.89', '1e-5', '0.001', '3e20', '-0.0', '16777216']
    """
    if value == 0:
        return "-0.0" if np.signbit(value) else "0"  # with a point: "-0" before a comma looks like a decimal comma
    plain = np.format_float_positional(value, trim="-")
    power = np.format_float_scientific(value, trim="-", exp_digits=1).replace("e+", "e")
    text = plain if len(plain) <= len(power) + 2 else power
    return text if np.float32(float(text)) == value else f"{value:.9g}"


def ordinal(n: int) -> str:
    """
    >>> [ordinal(n) for n in (1, 2, 3, 4, 11, 22, 113)]
    ['1st', '2nd', '3rd', '4th', '11th', '22nd', '113th']
    """
    ending = "th" if n % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(n % 10, "th")
    return f"{n:,}{ending}"
