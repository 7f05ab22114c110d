"""How the values of options are read from keys, and written: each raises KeyError or ValueError for what it is not."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

LOWEST_PERCENTILE = 50.0


def words(*words: str) -> Callable[[Any], str]:
    return {word: word for word in words}.__getitem__


flag = {"0": False, "1": True, False: False, True: True}.__getitem__


def flag_text(value: bool) -> str:
    return str(int(value))


def number(value: str | float) -> float:
    text = value if isinstance(value, str) else f"{value:.10g}"
    if not re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,12})?(e-[0-9]{1,2})?", text):
        raise ValueError
    return float(text)


def clip(value: str | float) -> str:
    if value in ("absmax", "mse"):
        return value
    if not LOWEST_PERCENTILE < (percentile := number(value)) < 100:
        raise ValueError
    return f"{percentile:.10g}"


def clip_name(clip: str) -> str:
    names = {"absmax": "nothing: the largest weight", "mse": "mse: least squared error of some thirty widths"}
    return names.get(clip, f"{clip}th percentile")


def solver_name(solver: str | None) -> str:
    """What a solver is called where one is chosen."""
    if solver is None:
        return "none: rounded to nearest"
    return f"{solver}: by the {'weights alone' if solver == 'hqq' else 'inputs of the layer'}"


def percent(most: float) -> Callable[[str | float], float]:
    """Reads a percentage up to `most`, in keys with its sign."""

    def read(value: str | float) -> float:
        share = number(value.removesuffix("%") if isinstance(value, str) else value)
        if share > most or (share and isinstance(value, str) and value[-1] != "%"):
            raise ValueError
        return float(f"{share:.10g}")

    return read


def percent_text(percent: float) -> str:
    return f"{percent:.10g}%"


def up_to_one(value: str | float) -> float | None:
    """A number from 0 to 1; "none" is None."""
    if value == "none":
        return None
    if (read := number(value)) > 1:
        raise ValueError
    return float(f"{read:.10g}")


def number_text(value: float | None) -> str:
    return "none" if value is None else f"{value:.10g}"
