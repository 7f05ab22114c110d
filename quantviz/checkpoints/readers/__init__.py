"""The readers of packed formats: an explicit table, by the names that `packed.FORMATS` gives them."""

from __future__ import annotations

from collections.abc import Mapping

from ..layer import Reads
from . import aqlm, awq, exl3, fp8, gptq, refused

READERS: Mapping[str, Reads] = {
    "GPTQ": gptq.layer,
    "AWQ": awq.layer,
    "AQLM": aqlm.layer,
    "EXL3": exl3.layer,
    **dict.fromkeys(refused.NAMES, refused.layer),
    "block FP8": fp8.layer,
    "FP8 with one scale a tensor": fp8.layer,
}
