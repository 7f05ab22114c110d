"""JSON of hostile origin, read as data: bounded before it is parsed, and as strictly as safetensors' own reader is."""

from __future__ import annotations

import json
import math
import re
from typing import Any, NoReturn

from ..errors import QuantvizError

# A value takes up to some hundred bytes in memory, and a character that is no ASCII makes Python keep the whole text
# at four bytes each; within these limits no text takes over 150 MB. The largest index of a published model has 22 MB
# and 211,000 values.
MAX_BYTES = 32 << 20
MAX_BYTES_BEYOND_ASCII = 8 << 20
MAX_VALUES = 800_000

CONFIG = "config.json"
# The files beside the weights that say how these are to be read; the last three are of ModelOpt, AutoGPTQ and AutoAWQ.
JSON_FILES = (CONFIG, "hf_quant_config.json", "quantize_config.json", "quant_config.json")
MAX_CONFIG_BYTES = 4 << 20  # such a file has some kilobytes


def read_json_object(text: bytes, what: str) -> dict[str, Any]:
    """The object that `text` is; `what` begins the sentence where it is refused.

    Names must be unique, numbers finite, and texts made of whole characters.
    """
    _check_size(text, what)

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        result = dict(pairs)
        if len(result) < len(pairs):
            seen: set[str] = set()
            twice = next(name for name, _ in pairs if name in seen or seen.add(name))
            raise QuantvizError(f"{what} has the name {twice[:80]!r} twice; names must be unique.")
        return result

    try:
        value = json.loads(
            text.decode("utf-8"), object_pairs_hook=unique, parse_constant=_refused, parse_int=_whole,
            parse_float=_finite,
        )  # fmt: skip
        if re.search(rb"\\u[dD][89a-fA-F]", text):  # halves of characters, which must come in pairs
            json.dumps(value, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError:
        raise QuantvizError(f"{what} holds half a character (\\ud800 to \\udfff alone), which is no text.") from None
    except (ValueError, RecursionError):
        raise QuantvizError(f"{what} is no well-formed JSON, so the file is damaged or of another format.") from None
    if not isinstance(value, dict):
        raise QuantvizError(f"{what} is no JSON object, so the file is damaged or of another format.")
    return value


def _check_size(text: bytes, what: str) -> None:
    plain = text.isascii() and b"\\u" not in text
    limit = MAX_BYTES if plain else MAX_BYTES_BEYOND_ASCII
    if len(text) > limit:
        kind = "" if plain else " with characters beyond ASCII"
        raise QuantvizError(f"{what} has {len(text):,} bytes{kind}, and at most {limit:,} are read.")
    if text.count(b",") + text.count(b"[") + text.count(b"{") > MAX_VALUES:
        raise QuantvizError(f"{what} holds over {MAX_VALUES:,} values, more than any model's.")


def _refused(word: str) -> NoReturn:
    raise ValueError(word)


def _whole(digits: str) -> int:
    if digits == "-0":  # no whole number to other readers
        raise ValueError(digits)
    return int(digits)


def _finite(digits: str) -> float:
    value = float(digits)
    if not math.isfinite(value):
        raise ValueError(digits)
    return value
