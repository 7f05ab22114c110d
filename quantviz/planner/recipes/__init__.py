"""A plan in the words of the tool that will apply it: one module a format, and the table of all."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from ...errors import QuantvizError, did_you_mean
from . import autoround, gptqmodel, llama_cpp, llm_compressor, mlx, own, torchao
from .base import Recipe

if TYPE_CHECKING:
    from ..plan import Plan

FORMATS: dict[str, Callable[[Plan], Recipe]] = {
    "llama.cpp": llama_cpp.write,
    "llm-compressor": llm_compressor.write,
    "mlx": mlx.write,
    "torchao": torchao.write,
    "autoround": autoround.write,
    "gptqmodel": gptqmodel.write,
    "quantviz": own.write,
}


def recipe(plan: Plan, format: str) -> Recipe:
    """A plan as a tool reads it; str() of it is the file's text.

    Raises QuantvizError for a format that is none of FORMATS, and for a plan with a scheme that the tool does not have.
    """
    return FORMATS[checked(format)](plan)


def checked(format: str) -> str:
    if format not in FORMATS:
        raise QuantvizError(
            f"There is no recipe {format!r}; choose {', '.join(FORMATS)}.{did_you_mean(format, FORMATS)}"
        )
    return format


__all__ = ["FORMATS", "Recipe", "checked", "recipe"]
