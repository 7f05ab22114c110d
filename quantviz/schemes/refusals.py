"""Why an option does not apply to a scheme: a function an option, with the scheme and its key without options.

Each gives a sentence, or None where the option applies.
"""

from __future__ import annotations

from typing import Any

from ..block_types import BlockType
from ..formats import BlockFormat, IntFormat, TernaryFormat


def home_scale(f: Any, granularity: Any) -> str | None:
    if granularity is None or isinstance(f, BlockFormat | BlockType):
        return None
    return "fp16" if isinstance(f, IntFormat | TernaryFormat) else "fp32"


def no_scale(scheme: Any, plain: str) -> str | None:
    why = "a plain cast has no scale" if scheme.rule == "cast" else "its specification fixes the scale"
    applies = home_scale(scheme.fmt, scheme.granularity)
    return None if applies else f"{scheme.format} takes no scale option: {why}."


def no_clip(scheme: Any, plain: str) -> str | None:
    if isinstance(scheme.fmt, BlockFormat):
        return f"{plain} takes no clip option: its specification fixes the scale."
    if scheme.rule in ("sym", "asym", "offset", "scaled", "codebook"):
        return None
    why = {
        "cast": "a plain cast has no range to clip; give a granularity, for example channel",
    }.get(scheme.rule, "its scale is the mean of the magnitudes, not their range")
    return f"{plain} takes no clip option: {why}."


def no_solver(scheme: Any, plain: str) -> str | None:
    if scheme.solver != "hqq":
        return _no_data_solver(scheme, plain)
    if scheme.rule != "offset":
        return (
            f"{plain} takes no solver=hqq: HQQ moves the float minimum, which only the symmetry offset has, "
            "for example int4-offset-b64:solver=hqq."
        )
    both = f"clip={scheme.clip} and solver=hqq both choose the range of {plain}; give one of them."
    return None if scheme.clip == "absmax" else both


def _no_data_solver(scheme: Any, plain: str) -> str | None:
    solver = f"solver={scheme.solver}"
    if scheme.rule == "cast":
        return f"{plain} takes no {solver}: a plain cast has no scale; give a granularity, for example channel."
    if scheme.keep:
        return f"{plain} takes keep= or {solver}, not both: weights kept apart have no error to pass on."
    if scheme.solver != "awq":
        return None
    if scheme.clip != "absmax":
        return f"clip={scheme.clip} and solver=awq both choose the range of {plain}; give one of them."
    if scheme.rotate != "none":
        return f"rotate={scheme.rotate} and solver=awq both spread the outliers of {plain}; give one of them."
    return None


def no_damp(scheme: Any, plain: str) -> str | None:
    return _gptq_only(scheme, plain, "damp", "adds to a diagonal")


def no_order(scheme: Any, plain: str) -> str | None:
    return _gptq_only(scheme, plain, "order", "goes through columns one by one")


def _gptq_only(scheme: Any, plain: str, option: str, why: str) -> str | None:
    applies = scheme.solver == "gptq"
    return None if applies else f"{plain} takes {option}= with solver=gptq only: nothing else {why}."


def no_act(scheme: Any, plain: str) -> str | None:
    if scheme.rule != "block type":
        return None
    return (
        f"{plain} takes no act= option: llama.cpp rounds the inputs of block types by a rule of its own, to 8 bits in "
        "blocks (q8_0, q8_K)."
    )


def no_smooth(scheme: Any, plain: str) -> str | None:
    if scheme.act is None:
        return f"{plain} takes smooth= with act= only: what it makes easier is to quantize the layer's inputs."
    if scheme.rule == "cast":
        return f"{plain} takes no smooth=: a plain cast has no scale; give a granularity, for example channel."
    if scheme.rotate != "none" or scheme.solver == "awq":
        other = f"rotate={scheme.rotate}" if scheme.rotate != "none" else "solver=awq"
        return f"smooth= and {other} both spread the outliers of {plain}; give one of them."
    return None


def no_double(scheme: Any, plain: str) -> str | None:
    if scheme.rule != "codebook":
        return f"{plain} takes no double=1: bitsandbytes nests the scales of nf4 and bnb_fp4 only."
    other = f"double=1 quantizes float32 scales to 8 bits, so leave scale={scheme.scale} out."
    return None if scheme.scale == "fp32" else other


def no_range(scheme: Any, plain: str) -> str | None:
    if scheme.rule == "sym":
        return None
    return f"{plain} takes no range=full: only symmetric integers of two bits and more leave a code out."


def no_edge(scheme: Any, plain: str) -> str | None:
    if scheme.rule != "offset":
        return (
            f"{plain} takes no edge=1: only the symmetry offset counts from an end, for example int4-offset-b64:edge=1."
        )
    other = "solver=hqq" if scheme.solver == "hqq" else f"clip={scheme.clip}"
    both = f"edge=1 and {other} both choose the range of {plain}; give one of them."
    return both if scheme.solver == "hqq" or scheme.clip != "absmax" else None


def no_rule(scheme: Any, plain: str) -> str | None:
    applies = scheme.rule == "mx"
    return None if applies else f"{plain} takes no rule option: only MX formats, such as mxfp4, choose a power of two."


def no_tensor(scheme: Any, plain: str) -> str | None:
    applies = getattr(scheme.fmt, "scale", None) == "nvfp4"
    return None if applies else f"{plain} takes no tensor=none: only nvfp4 has a scale of the tensor too."


def no_sixes(scheme: Any, plain: str) -> str | None:
    applies = scheme.rule == "nvfp4"
    return None if applies else f"{plain} takes no sixes=4: four over six chooses scales beside nvfp4's of the tensor."


def no_pad(scheme: Any, plain: str) -> str | None:
    applies = scheme.rule == "block type"
    return None if applies else f"{plain} takes no pad=1: only block types need rows of whole blocks."
