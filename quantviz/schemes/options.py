"""What may stand behind the colon of a scheme's key: option=value. Each option is declared here, once.

Fields of a scheme, keys, checks, the page's controls, the names of cures and README's table are made from these
declarations. What remains is to apply an option: an engine reads it off the scheme, as `scheme.clip`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ..errors import QuantvizError, did_you_mean
from ..formats import CodebookFormat, IntFormat
from .inputs import INPUT_SCHEMES, input_name
from .option import GROUPS, Control, Option, Remedy
from .readers import (
    clip,
    clip_name,
    flag,
    flag_text,
    number_text,
    percent,
    percent_text,
    solver_name,
    up_to_one,
    words,
)
from .refusals import (
    home_scale,
    no_act,
    no_clip,
    no_damp,
    no_double,
    no_edge,
    no_order,
    no_pad,
    no_range,
    no_rule,
    no_scale,
    no_sixes,
    no_smooth,
    no_solver,
    no_tensor,
)

SCALE_TYPES = {"fp32": 32, "fp16": 16, "bf16": 16}
# How an MX block gets its power of two, m being its largest magnitude, M and emax the element format's largest value
# and that value's exponent: torchao's ScaleCalculationMode, and MLX's: 0.31.2 rounds
# to the nearest, 0.32.4 up.
MX_RULES = {
    "floor": "2^⌊log2 m⌋ / 2^emax (OCP)",
    "even": "as floor, of m rounded to the element's mantissa",
    "ceil": "2^⌈log2 m⌉ / 2^emax",
    "rceil": "2^⌈log2(m / M)⌉: nothing is cut off (NVIDIA, MLX 0.32.4)",
    "nearest": "2^round(log2(m / M)) (MLX 0.31)",
}
DATA_SOLVERS = ("gptq", "awq")  # what looks at the layer's inputs
DAMP = 1.0  # percent, as GPTQ's authors have it
LARGEST_KEEP = 50.0  # percent; beyond half the table is larger than the tensor


# -- the options, in the order in which they stand in keys ---------------------------------------

_DECLARED = (
    Option(
        "scale", None, "scales", written=("scale=fp32", "fp16", "bf16"), home=home_scale, refusal=no_scale,
        what="how a scale is stored; it is rounded to that type before it is used",
        read=words(*SCALE_TYPES), wrong="is no scale type; choose fp32, fp16 or bf16.",
        control=Control("buttons", "Scale stored as", tuple(SCALE_TYPES),
                        "The scale is rounded to this type before it is used; bits count it."),
    ),
    Option(
        "clip", "absmax", "outliers", written=("clip=mse", "clip=99.9"), read=clip, refusal=no_clip,
        what="the range of a group with the least squared error among some thirty widths; or a percentile",
        wrong="is no way to clip; choose absmax, mse, or a percentile above 50 and below 100, such as 99.9.",
        control=Control("list", "Clip", ("absmax", "mse", "99.9", "99"),
                        "What sets the range of a group: its largest weight; the one of some thirty widths with the "
                        "least squared error; or a percentile of its weights, beyond which they are cut off.",
                        clip_name),
        remedies=(
            Remedy("clip to least error",
                   "The range of each group with the least squared error among some thirty widths.", "mse"),
            Remedy("clip to 99.9%", "The range that holds 99.9% of each group; what lies beyond is cut.", "99.9"),
        ),
    ),
    Option(
        "rotate", "none", "outliers", written=("rotate=hadamard",),
        what="rows rotated by an orthonormal Hadamard matrix with random signs, and back",
        read=words("none", "hadamard"), wrong="is no rotation; choose none or hadamard.",
        control=Control("toggle", "Rotate (Hadamard)", ("none", "hadamard"),
                        "Each row is multiplied by an orthonormal Hadamard matrix with random signs before it is "
                        "quantized, and back after: an outlier is spread over its row (QuaRot, QuIP#)."),
        remedies=(Remedy("Hadamard rotation", "The input dimension is rotated with random signs, which spreads an "
                         "outlier over its row; undone after dequantizing.", "hadamard"),),
    ),
    Option(
        "keep", 0.0, "outliers", written=("keep=0.1%",), read=percent(LARGEST_KEEP), write=percent_text,
        what="the largest weights kept in 16 bit beside the codes, with a 32-bit index each",
        wrong="is no share of the weights; write 0 or a percentage up to 50%, such as 0.1%.",
        control=Control("number", "Keep, % of weights", (0.0, LARGEST_KEEP, 0.1),
                        "The largest weights, stored beside the codes: 16 bits and a 32-bit index each."),
        remedies=(Remedy("keep {} apart", "The largest weights stay in 16 bit beside the codes, at 48 bits each with "
                         "their place"),),
    ),
    Option(
        "solver", None, "outliers", written=("solver=gptq", "awq", "hqq"), refusal=no_solver,
        what="what moves codes and scales once they are there: from the layer's inputs (a calibration), GPTQ or AWQ; "
        "or HQQ, for the minimum of `int*-offset`",
        read={"none": None, **{name: name for name in ("hqq", *DATA_SOLVERS)}}.__getitem__,
        wrong="is no solver; choose hqq, gptq or awq.", write=lambda solver: solver or "none",
        control=Control("list", "Solver", (None, "gptq", "awq", "hqq"),
                        "What moves codes and scales once they are there. **GPTQ** and **AWQ** look at the layer's "
                        "inputs, so they need a calibration: GPTQ lets the columns still to come make up for the "
                        "error of each; AWQ makes columns larger that large inputs meet. **HQQ** (offset) moves each "
                        "group's minimum so that an ℓp norm with p < 1 of the errors shrinks; its quality is that of "
                        "the hqq package, its codes are not, since here every group takes all steps.", solver_name),
        remedies=(Remedy("HQQ", "A float minimum a group, moved until large errors become few (half-quadratic).",
                         "hqq", (("symmetry", "offset"), ("clip", None)), IntFormat),),
    ),
    Option(
        "damp", DAMP, "outliers", written=("damp=5%",), read=percent(100.0), write=percent_text, refusal=no_damp,
        what="what GPTQ adds to the diagonal of E[x xᵀ], of its mean; 1% where nothing is said", needs="solver=gptq",
        wrong="is no share of the mean of the diagonal; write a percentage up to 100%, such as 1%.",
        control=Control("number", "Damping, % of the mean of E[x²]", (0.0, 100.0, 0.5),
                        "What GPTQ adds to the diagonal of `E[x xᵀ]`. More of it trusts the text less: with few tokens "
                        "it keeps the solution from fitting them alone."),
    ),
    Option(
        "order", "none", "outliers", written=("order=act",), read=words("none", "act"), refusal=no_order,
        what="GPTQ's columns by falling E[x²] (activation order, static groups); as they stand where nothing is said",
        needs="solver=gptq", wrong="is no order of columns; choose none or act.",
        control=Control("toggle", "Columns by falling E[x²]", ("none", "act"), "GPTQ's activation order: columns whose "
                        "inputs are large come first, while others can still make up for their errors. Groups stay "
                        "where they are (static groups)."),
    ),
    Option(
        "act", None, "inputs", written=tuple(f"{'act=' * (not i)}{name}" for i, name in enumerate(INPUT_SCHEMES)),
        what="the layer's inputs quantized too, by scales of the inputs at hand; changes nothing of the weights, and "
        "is measured at the layer's output",
        read={"none": None, **{name: name for name in INPUT_SCHEMES}}.__getitem__, refusal=no_act,
        wrong=f"is no way to quantize inputs; choose {', '.join(INPUT_SCHEMES)} or none.",
        write=lambda act: act or "none",
        control=Control("list", "Quantize the inputs too", (None, *INPUT_SCHEMES), "What a layer is fed is rounded "
                        "before it meets the weights (W8A8, W4A4), with scales made anew from the inputs at hand. "
                        "Nothing of the weights changes; with a calibration of the layer's inputs the error of its "
                        "output is measured.", input_name),
    ),
    Option(
        "smooth", None, "inputs", written=("smooth=0.5",), read=up_to_one, write=number_text, refusal=no_smooth,
        what="SmoothQuant: column j times max abs(x_j)^α / max abs(w_j)^(1-α), and inputs divided by it before they "
        "are quantized (a calibration)", needs="act=int8-token",
        wrong="is no exponent of SmoothQuant; write a number from 0 to 1, such as 0.5.",
        control=Control("number", "Smooth, α", (0.0, 1.0, 0.05), "SmoothQuant: a channel whose inputs are large is "
                        "divided by max|x|^α / max|w|^(1-α), and its weights are multiplied by it. 0.5 shares the "
                        "difficulty evenly; 1 leaves all of it to the weights; empty for none. Takes a calibration."),
    ),
    Option(
        "double", False, "outliers", written=("double=1",), read=flag, write=flag_text, refusal=no_double,
        what="scales quantized themselves, as bitsandbytes nests them (`nf4`, `bnb_fp4`)",
        wrong="is neither 0 nor 1; double=1 quantizes the scales themselves.",
        control=Control("toggle", "Double quantization", (False, True), "The scales are quantized to 8 bits "
                        "themselves, in blocks of 256, as bitsandbytes nests them."),
        remedies=(Remedy("double quantization", "The scales are quantized to 8 bits themselves.", True,
                         formats=CodebookFormat),),
    ),
    Option(
        "range", "narrow", "scales", written=("range=full",), refusal=no_range, read=words("narrow", "full"),
        what="symmetric integers from -2^(B-1), with scale max/(2^(B-1)-½), as compressed-tensors and GPTQ have them",
        wrong="is no range of codes; choose narrow or full.",
        control=Control("toggle", "Use the lowest code too", ("narrow", "full"), "Codes from -2^(B-1) to 2^(B-1)-1, "
                        "and the scale is the largest weight over 2^(B-1)-½: compressed-tensors', GPTQ's and torchao's "
                        "symmetric range."),
    ),
    Option(
        "edge", False, "scales", written=("edge=1",), read=flag, write=flag_text, refusal=no_edge,
        what="MLX's affine rule: codes count from the end of larger magnitude, the scale may be negative, 0 is a level",
        wrong="is neither 0 nor 1; edge=1 counts from the end of larger magnitude.",
        control=Control("toggle", "Count from the far end (MLX)", (False, True), "Codes count from the weight of "
                        "largest magnitude, which is exact, and the scale is moved so that 0 is a level too: MLX's "
                        "affine rule. The scale is negative where that weight is the largest."),
    ),
    Option(
        "rule", "floor", "scales", written=("rule=even", "floor", "ceil", "rceil", "nearest"), refusal=no_rule,
        read=words(*MX_RULES), what="how the power of two of an MX block is chosen from its largest weight",
        wrong="is no rule for an MX scale; choose floor, even, ceil, rceil or nearest.",
        control=Control("list", "Scale rule", tuple(MX_RULES),
                        "How a block gets its power of two: down cuts the largest weights off, up wastes codes.",
                        lambda rule: f"{rule}: {MX_RULES[rule]}"),
        named="scale_rule",
    ),
    Option(
        "tensor", "fp32", "scales", written=("tensor=none",), read=words("fp32", "none"), refusal=no_tensor,
        what="NVFP4 without the tensor's own scale, as MLX has it",
        wrong="is no type of the tensor's scale; choose fp32 or none.",
        control=Control("toggle", "No scale of the tensor", ("fp32", "none"), "A block's e4m3 scale stands alone, as "
                        "in MLX's nvfp4: weights whose scale is below 2^-10 become zeros."),
    ),
    Option(
        "sixes", 6, "scales", written=("sixes=4",), read={"6": 6, "4": 4, 6: 6, 4: 4}.__getitem__, refusal=no_sixes,
        what="four over six: the largest weight of an NVFP4 block becomes 4 in place of 6 where that errs less",
        wrong="is neither 6 nor 4; sixes=4 chooses between them, block by block.",
        control=Control("toggle", "Four over six", (6, 4), "The scale of a block is the one of two with the smaller "
                        "squared error: its largest weight becomes 6, or 4, below which the numbers of FP4 lie "
                        "closer together. The tensor's scale leaves room for both."),
    ),
    Option(
        "pad", False, "block types", written=("pad=1",), read=flag, write=flag_text, refusal=no_pad,
        what="rows filled up with zeros to whole blocks, which are counted (block types)",
        wrong="is neither 0 nor 1; pad=1 fills rows up to whole blocks with zeros.",
        control=Control("toggle", "Fill rows up with zeros", (False, True), "A row whose length is no multiple of "
                        "{fmt.block} cannot be stored; zeros make it one, and count."),
    ),
)  # fmt: skip

OPTIONS = {option.key: option for option in _DECLARED}


# -- from keys, and onto schemes -----------------------------------------------------------------


def read_option(name: str, value: Any) -> Any:
    """The value of an option, from its text or checked as it is. Raises QuantvizError with what would be right."""
    if name not in OPTIONS:
        raise QuantvizError(f"There is no option {name!r}; options are {', '.join(OPTIONS)}.")
    try:
        return OPTIONS[name].read(value)
    except (KeyError, ValueError, TypeError):
        raise QuantvizError(f"{name}={value} {OPTIONS[name].wrong}") from None


def parse_options(key: str, texts: list[str]) -> dict[str, str]:
    """From what stands behind the colons of a key: name -> text, read by `read_option` later."""
    options: dict[str, str] = {}
    for text in (t for part in texts for t in part.split(",")):
        name, equals, value = text.partition("=")
        if name not in OPTIONS or not equals or not value:
            examples = " or ".join(", ".join(option.written[0] for option in OPTIONS.values()).rsplit(", ", 1))
            near = did_you_mean(name, OPTIONS)
            raise QuantvizError(f"{key!r} is no scheme: {text!r} is no option; write {examples}.{near}")
        if name in options:
            raise QuantvizError(f"{key!r} is no scheme: the option {name!r} stands there twice.")
        options[name] = value
    return options


def check_options(scheme: Any) -> None:
    """Refuses options that do not apply to the rest of a scheme, with the reason."""
    chosen = sorted((OPTIONS[name] for name in scheme.options), key=lambda option: GROUPS.index(option.group))
    for option in chosen:
        plain = replace(scheme, **{other.field: other.default for other in chosen if other.group != "scales"}).key
        why = option.refusal(scheme, plain)
        if scheme.rule == "block type" and option.group == "outliers":
            why = (
                f"{plain} takes no {option.key} option: the runtime that reads a block type lays down its rule and "
                "has no place for anything beside its blocks."
            )
        if why:
            raise QuantvizError(why)
