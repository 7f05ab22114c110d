"""The text that a model is measured on: the demo's own, or one that a person gives."""

from __future__ import annotations

import codecs
import gzip
import hashlib
from pathlib import Path

from ...errors import QuantvizError
from ...sources.demo import FOLDER
from ...sources.files import home_path
from ...sources.opened import open_regular

MAX_BYTES = 256 << 20
_MARKS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))


def demo_text() -> str:
    """The book that the demo model was not trained on: the Gospel of John, a verse a line."""
    return gzip.decompress((FOLDER / "test.txt.gz").read_bytes()).decode("utf-8")


def calibration_text() -> str:
    """The second half of that book: what models are calibrated on, since what is scored begins with the first."""
    book = demo_text()
    return book[book.index("\n", len(book) // 2) + 1 :]


DEMO_TEXT = "the demo model's test book, the Gospel of John (King James Version)"


def identity(text: str | bytes | None, whole: bool = False) -> str:
    """Which text it is: the demo's by its name, another by what tells it from all others.

    whole: with all of its digest.

    >>> identity("In the beginning")
    'a text of 16 bytes, SHA-256 633d21a649b8…'
    """
    if text is None:
        return DEMO_TEXT
    data = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
    digest = hashlib.sha256(data).hexdigest()
    return f"a text of {len(data):,} bytes, SHA-256 {digest if whole else digest[:12] + '…'}"


def read_text(path: str | Path) -> str:
    """The text of a file; raises QuantvizError where there is none, or none that can be read."""
    file = open_regular(home_path(path), f"The text {str(path)[:200]!r}")
    if file.size > MAX_BYTES:
        raise QuantvizError(f"{file.name} is larger than {MAX_BYTES >> 20} MB; give a part of it.")
    return decode(file.read(0, file.size), Path(path).name)


def decode(data: bytes, name: str = "The text") -> str:
    """Text from the bytes of a file: UTF-8, or UTF-16 that says so by its first two bytes.

    Raises QuantvizError for another encoding: guessing would measure the model on garbled words.
    """
    encoding = next((encoding for mark, encoding in _MARKS if data.startswith(mark)), "utf-8")
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as problem:
        raise QuantvizError(
            f"{name} is not in UTF-8: byte {problem.start:,} is 0x{data[problem.start]:02X}; save it as UTF-8."
        ) from None
    if "\0" in text:
        raise QuantvizError(f"{name} holds zero bytes, so it is no text; give a plain text file in UTF-8.")
    return text
