"""What may stand behind the colon of a scheme's key: option=value, each read and checked on its own."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from ..errors import QuantvizError, did_you_mean

SCALE_TYPES = {"fp32": 32, "fp16": 16, "bf16": 16}
CLIPS = ("absmax", "mse")
ROTATIONS = ("none", "hadamard")
SOLVERS = ("hqq",)
LOWEST_PERCENTILE = 50.0
LARGEST_KEEP = 50.0  # percent; beyond half the table is larger than the tensor


def _scale(text: str) -> str:
    if text not in SCALE_TYPES:
        raise QuantvizError(f"scale={text} is no scale type; choose fp32, fp16 or bf16.")
    return text


def _clip(text: str) -> str:
    if text in CLIPS:
        return text
    percentile = _number(text)
    if percentile is None or not LOWEST_PERCENTILE < percentile < 100:
        raise QuantvizError(
            f"clip={text} is no way to clip; choose absmax, mse, or a percentile above 50 and below 100, such as 99.9."
        )
    return f"{percentile:.10g}"


def _rotate(text: str) -> str:
    if text not in ROTATIONS:
        raise QuantvizError(f"rotate={text} is no rotation; choose none or hadamard.")
    return text


def _keep(value: str | float) -> float:
    text = str(value)
    share = _number(text.removesuffix("%"))
    if share is None or not 0 <= share <= LARGEST_KEEP or (share and isinstance(value, str) and text[-1] != "%"):
        raise QuantvizError(f"keep={text} is no share of the weights; write 0 or a percentage up to 50%, such as 0.1%.")
    return float(f"{share:.10g}")


def _solver(text: str) -> str | None:
    if text not in (*SOLVERS, "none"):
        raise QuantvizError(f"solver={text} is no solver; the one there is is hqq.")
    return None if text == "none" else text


def _double(value: str | bool) -> bool:
    if value not in ("0", "1", False, True):
        raise QuantvizError(f"double={value} is neither 0 nor 1; double=1 quantizes the scales themselves.")
    return value in ("1", True)


def _pad(value: str | bool) -> bool:
    if value not in ("0", "1", False, True):
        raise QuantvizError(f"pad={value} is neither 0 nor 1; pad=1 fills rows up to whole blocks with zeros.")
    return value in ("1", True)


_READERS: dict[str, Callable[[Any], Any]] = {
    "scale": _scale, "clip": _clip, "rotate": _rotate, "keep": _keep, "solver": _solver, "double": _double, "pad": _pad,
}  # fmt: skip


def read_option(name: str, value: Any) -> Any:
    """The value of an option, from its text or checked as it is. Raises QuantvizError with what would be right."""
    if name not in _READERS:
        raise QuantvizError(f"There is no option {name!r}; options are {', '.join(_READERS)}.")
    return _READERS[name](value)


def parse_options(key: str, texts: list[str]) -> dict[str, str]:
    """From what stands behind the colons of a key: name -> text, read by `read_option` later."""
    options: dict[str, str] = {}
    for text in (t for part in texts for t in part.split(",")):
        name, equals, value = text.partition("=")
        if name not in _READERS or not equals or not value:
            near = did_you_mean(name, _READERS)
            raise QuantvizError(
                f"{key!r} is no scheme: {text!r} is no option; write scale=fp32, clip=mse, rotate=hadamard, keep=0.1%, "
                f"solver=hqq, double=1 or pad=1.{near}"
            )
        if name in options:
            raise QuantvizError(f"{key!r} is no scheme: the option {name!r} stands there twice.")
        options[name] = value
    return options


def check_options(scheme: Any, plain: str, chosen: list[str]) -> None:
    """Refuses options that do not apply to the rest of a scheme, with the reason.

    plain: its key without options but scale.  chosen: the names of those others that do not hold their default.
    """
    rule = scheme.rule
    if rule == "block type":
        beside = [name for name in chosen if name != "pad"]
        if beside:
            raise QuantvizError(
                f"{plain} takes no {beside[0]} option: the runtime that reads a block type lays down its rule and has "
                "no place for anything beside its blocks."
            )
    elif scheme.pad:
        raise QuantvizError(f"{plain} takes no pad=1: only block types need rows of whole blocks.")
    if scheme.clip != "absmax" and rule not in ("sym", "asym", "offset", "scaled", "codebook"):
        why = {
            "cast": "a plain cast has no range to clip; give a granularity, for example channel",
            "mx": "its specification fixes the scale",
            "nvfp4": "its specification fixes the scale",
        }.get(rule, "its scale is the mean of the magnitudes, not their range")
        raise QuantvizError(f"{plain} takes no clip option: {why}.")
    if scheme.solver and rule != "offset":
        raise QuantvizError(
            f"{plain} takes no solver=hqq: HQQ moves the float minimum, which only the symmetry offset has, "
            "for example int4-offset-b64:solver=hqq."
        )
    if scheme.solver and scheme.clip != "absmax":
        raise QuantvizError(f"clip={scheme.clip} and solver=hqq both choose the range of {plain}; give one of them.")
    if scheme.double and rule != "codebook":
        raise QuantvizError(f"{plain} takes no double=1: bitsandbytes nests the scales of nf4 and bnb_fp4 only.")
    if scheme.double and scheme.scale != "fp32":
        raise QuantvizError(f"double=1 quantizes float32 scales to 8 bits, so leave scale={scheme.scale} out.")


def keep_text(share: float) -> str:
    """0.1 -> '0.1%'"""
    return f"{share:.10g}%"


def _number(text: str) -> float | None:
    return float(text) if re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,12})?(e-[0-9]{1,2})?", text) else None
