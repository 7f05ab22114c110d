"""Number formats: what each stored code stands for, bit by bit."""

from .bits import bit_string, decode, encode, scale_format, value
from .numerals import read, read_scale
from .table import FORMATS, MXINT8_STEP, get
from .types import BlockFormat, CodebookFormat, FloatFormat, Format, IntFormat, TernaryFormat

__all__ = [
    "FORMATS", "MXINT8_STEP", "BlockFormat", "CodebookFormat", "FloatFormat", "Format", "IntFormat", "TernaryFormat",
    "bit_string", "decode", "encode", "get", "read", "read_scale", "scale_format", "value",
]  # fmt: skip
