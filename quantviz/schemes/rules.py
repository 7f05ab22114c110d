"""What turns a weight into a code and back, as data: a row a rule, each an element under a scaling.

    weight = (element(code) - zero point) × scale + minimum

An element says which numbers there are: whole numbers, signs, the values of a float format, a table of levels. A
scaling says how a group of weights is brought among them. Engines implement elements and scalings; which rule has
which, what its codes and zero points range over, and what holds them follow from the rows here.

The definition of each element and scaling, with its sources, is `quantviz.kernels.reference.rules`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from ..block_types import BlockType
from ..formats import MXINT8_STEP, BlockFormat, CodebookFormat, FloatFormat, Format, IntFormat, TernaryFormat

#   integers  whole numbers, or multiples of a step      signs   -1 and 1
#   floats    the values of a float format               levels  a code book's table
#   packed    a block type's own: quantviz.block_types
Element = Literal["integers", "signs", "floats", "levels", "packed"]
#   none        the weight itself                           unit          over the largest magnitude, within [-1, 1]
#   largest     over largest magnitude / largest value      power of two  OCP MX: over a power of two
#   mean        over the mean magnitude                     two levels    NVFP4: a tensor scale over block scales
#   zero point  over a range that holds 0, whose code is the zero point
#   minimum     over a range, counted from its minimum
#   edge        MLX: over a range, counted from its end of larger magnitude; the scale points from it to the other
#   packed      a block type's own
Scaling = Literal[
    "none", "largest", "mean", "zero point", "minimum", "edge", "unit", "power of two", "two levels", "packed"
]  # fmt: skip
Name = Literal["cast", "sym", "asym", "offset", "sign", "ternary", "scaled", "codebook", "mx", "nvfp4", "block type"]

PATTERN = "value of the bit pattern (sign · exponent · mantissa)"


@dataclass(frozen=True)
class Rule:
    """name: as `Scheme.rule` has it.  meaning: what a code stands for, in words.  step: between whole numbers."""

    name: Name
    element: Element
    scaling: Scaling
    meaning: str
    step: float = 1.0

    def code_range(self, f: Format | BlockType, full: bool = False) -> tuple[int, int]:
        """Smallest and largest code in the format `f`, both inclusive; bit patterns for float formats.

        full: whether symmetric whole numbers use the lowest code of two's complement too.
        """
        match self.element, self.scaling:
            case "packed", _:
                return f.first_code, f.first_code + 2**f.bits - 1
            case ("signs", _) | ("integers", "mean"):
                return -1, 1
            case "integers", "largest" | "power of two":
                most = element_of(f).max_symmetric
                return -most - full, most
        return 0, 2**f.bits - 1


RULES = (
    Rule("cast", "floats", "none", f"{PATTERN}; nothing is scaled"),
    Rule("sym", "integers", "largest", "code × scale"),
    Rule("asym", "integers", "zero point", "(code − zero point) × scale"),
    Rule("offset", "integers", "minimum", "minimum + code × scale"),
    Rule("offset", "integers", "edge", "edge + code × scale"),  # MLX's bias
    Rule("sign", "signs", "mean", "code × scale"),  # XNOR-Net
    Rule("ternary", "integers", "mean", "code × scale"),  # BitNet's absmean
    Rule("scaled", "floats", "largest", f"{PATTERN} × scale"),
    Rule("codebook", "levels", "unit", "level of the code × largest magnitude"),
    Rule("mx", "floats", "power of two", f"{PATTERN} × scale"),
    Rule("mx", "integers", "power of two", "code / 64 × scale", MXINT8_STEP),
    Rule("nvfp4", "floats", "two levels", f"{PATTERN} × scale"),
    Rule("block type", "packed", "packed", "as its runtime lays it down"),
)
_EDGE = next(rule for rule in RULES if rule.scaling == "edge")
_BY_NAME = {(rule.name, rule.element): rule for rule in RULES if rule is not _EDGE}


def element_of(f: Format | BlockType) -> Format | BlockType:
    """The format of one element: of a block format that which its specification names, else `f` itself."""
    return f.element if isinstance(f, BlockFormat) else f


def largest_of(f: Format | BlockType) -> float:
    """The largest number of an element of a block format: 6 of mxfp4's, 127/64 of mxint8's."""
    return f.element.max_symmetric * MXINT8_STEP if isinstance(f.element, IntFormat) else f.element.max


class PowerChoice(NamedTuple):
    """How the power of two of an MX block follows from its largest magnitude m: 2^(exponent - emax), with the exponent
    of the float32 whose bits are those of m / divisor, and addend more."""

    divisor: float
    addend: int
    emax: int


# What is added to the bits of a float32, whose mantissa has 23, so that its exponent is that of the power of two ...
_NOT_BELOW = 2**23 - 1  # ... not below it
_NEAREST = 2**23 - 0x3504F4  # ... nearest in the logarithm: at 2^½, which is irrational, lies no float32


def power_choice(scheme: Any) -> PowerChoice:
    """The rule of an MX scheme in numbers.

    Sources: torchao's ScaleCalculationMode and to_mx; MLX's fp_quantize (nearest to 0.32.2, rceil in
    0.32.4). RCEIL is exact, as NVIDIA's cvt.rp has it:
    torchao's eager fallback takes log2 in float32, which does not see the last bits above a power of two.
    """
    f = scheme.fmt
    mantissa_bits = f.element.bits - 2 if isinstance(f.element, IntFormat) else f.element.mantissa_bits
    match scheme.scale_rule:
        case "even":
            return PowerChoice(1.0, 1 << (22 - mantissa_bits), f.element_emax)
        case "ceil":
            return PowerChoice(1.0, _NOT_BELOW, f.element_emax)
        case "rceil":
            return PowerChoice(largest_of(f), _NOT_BELOW, 0)
        case "nearest":
            return PowerChoice(largest_of(f), _NEAREST, 0)
    return PowerChoice(1.0, 0, f.element_emax)


# NVFP4's largest magnitude of a tensor, in steps of its scale: 6 of e2m1 times the largest scale of a block. Four over
# six leaves room for a scale half as large again: 384 is the largest of e4m3 that is 3/2 of another.
LARGEST_STEPS = {6: 6.0 * 448.0, 4: 6.0 * 256.0}


def rule_of(
    f: Format | BlockType, symmetry: str | None, is_scaled: bool, two_levels: bool = True, edge: bool = False
) -> Rule:
    """The rule of a format under a symmetry. is_scaled: whether groups of weights share a scale.
    two_levels: whether NVFP4's block scales have a scale of the tensor above them.
    edge: whether integers with the symmetry offset count from the edge of their range.


    >>> from quantviz.formats import get
    >>> rule_of(get("int4"), "asym", True).meaning, rule_of(get("mxint8"), None, True).element
    ('(code − zero point) × scale', 'integers')
    """
    match f:
        case FloatFormat():
            return _BY_NAME["scaled" if is_scaled else "cast", "floats"]
        case CodebookFormat():
            return _BY_NAME["codebook", "levels"]
        case TernaryFormat():
            return _BY_NAME["ternary", "integers"]
        case BlockType():
            return _BY_NAME["block type", "packed"]
        case BlockFormat():
            if f.scale == "nvfp4" and not two_levels:
                return _BY_NAME["scaled", "floats"]
            element = "integers" if isinstance(f.element, IntFormat) else "floats"
            return _BY_NAME["mx" if f.scale == "e8m0" else "nvfp4", element]
    if f.bits == 1 and symmetry == "sym":
        return _BY_NAME["sign", "signs"]
    return _EDGE if edge and symmetry == "offset" else _BY_NAME[symmetry, "integers"]


def dtype_of(first: int, last: int) -> str:
    """Name of the smallest dtype of NumPy and torch that holds whole numbers from first to last.

    >>> dtype_of(-7, 7), dtype_of(0, 255), dtype_of(-255, 255)
    ('int8', 'uint8', 'int16')
    """
    sign, most = ("", max(-first - 1, last)) if first < 0 else ("u", last)
    return next(f"{sign}int{bits}" for bits in (8, 16, 32) if most < 2 ** (bits - bool(first < 0)))
