"""Whether a packed tensor is plain rounding of its original, better, or worse, and what else could hold its weights."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ..checkpoints.decoded import Decoded
from ..checkpoints.layer import Unpacked
from ..errors import QuantvizError
from ..evaluation import evaluate
from ..formats import FORMATS, CodebookFormat, FloatFormat
from ..kernels.results import Progress
from ..schemes import Scheme
from ..tensors import StoredTensor
from ..tensors.float8 import float8_values
from ..text.wording import number, share
from .scale_rules import ScaleRule, asymmetric, from_the_far_end, of_levels, powers_of_two, symmetric
from .stored import rows_a_scale, scale_part
from .survey import Survey, survey

EQUAL, BETTER, WORSE, ALIKE = "equal", "better", "worse", "alike"
ALL = 0.9995  # of scales or codes, so many are all: a tie may fall either way
_SAME = 0.01  # mean squared errors that differ by less are alike
_SCALES = {"float16": "fp16", "bfloat16": "bf16", "float32": "fp32"}
_E2M1 = FORMATS["fp4_e2m1"]


@dataclass(frozen=True)
class Kind:
    """What sort of code a layer has. name: of the format.  bits: of a code.  largest: what a level can be.

    rules: that plain rounding may have chosen its scales by.
    """

    name: str
    bits: int
    largest: float
    rules: tuple[ScaleRule, ...]


@dataclass(frozen=True)
class Plain:
    """A tensor beside plain rounding of its original, both in the numbers that its quantizer saw.

    verdict: EQUAL, BETTER, WORSE or ALIKE; "" where no scheme rounds to this format, so that only codes are told.
    scheme: the nearest one; "" for none.  mse, plain_mse: of the tensor, and of that scheme.
    nearest: how many of `count` codes are the nearest, given the tensor's own scales.  rule: by which all its scales
    are chosen; "" where by none that is known.  elsewhere: sentences on formats that would hold the same weights.
    """

    verdict: str
    scheme: str
    mse: float
    plain_mse: float
    nearest: int
    count: int
    rule: str
    elsewhere: tuple[str, ...] = ()

    @property
    def all_nearest(self) -> bool:
        return self.nearest >= ALL * self.count


def beside_plain(x: StoredTensor, y: StoredTensor, progress: Progress | None = None) -> tuple[Plain | None, str]:
    """x: the original as its quantizer saw it.  y: as it is stored. None and the reason where nothing can be told."""
    if not isinstance(y, Decoded):
        return None, f"{y.stored_as} is no packed format" if y.stored_as == y.dtype else "its rows lie among others"
    if y.layer.levels is None:
        return None, f"the codes of {y.stored_as} stand for no numbers of their own"
    sample = y.unpacked(0, 1)
    if sample.codes is None:
        return None, f"the codes of {y.stored_as} stand for no numbers of their own"
    kind = _kind(y, sample)
    tile = rows_a_scale(y)
    found = survey(x, y, tile, kind.rules, progress)
    by = next((r for r in kind.rules if found.groups and found.by_rule[r.name] >= ALL * found.groups), None)
    rule = by.name if by else ""
    scheme = _scheme(y, kind, found, sample, tile, by.option if by else "")
    mse, plain_mse = found.squared_error / found.count, float("nan")
    if scheme:
        plain_mse = evaluate(x, scheme, detail="metrics").metrics["mse"]
    verdict = verdict_of(mse, plain_mse, bool(rule) and found.nearest >= ALL * found.count)
    elsewhere = tuple(_elsewhere(y, kind, found, sample))
    return Plain(verdict, scheme, mse, plain_mse, found.nearest, found.count, rule, elsewhere), ""


def verdict_of(mse: float, plain_mse: float, same: bool) -> str:
    """same: whether the codes themselves, and the rule of the scales, are those of plain quantization."""
    if same:
        return EQUAL
    if np.isnan(plain_mse):
        return ""
    if abs(mse - plain_mse) <= _SAME * plain_mse:
        return ALIKE
    return BETTER if mse < plain_mse else WORSE


# -- what a layer is ------------------------------------------------------------------------------


def _kind(y: Decoded, sample: Unpacked) -> Kind:
    levels = y.layer.levels
    told = np.sort(levels[np.isfinite(levels)].astype(np.float64))  # of two's complement the lowest come last
    bits = max(1, int(np.ceil(np.log2(len(levels)))))
    largest = float(np.abs(told).max())
    if not np.array_equal(told, [-1, 0, 1]) and np.array_equal(told, told[0] + np.arange(len(told))):
        rules = symmetric(bits) if sample.minima is None else ()
        if sample.zeros is not None or sample.minima is not None:
            rules += asymmetric(bits) if sample.minima is None else (*asymmetric(bits)[::-1], from_the_far_end(bits))
        return Kind(f"int{bits}", bits, largest, rules)
    name = _float_or_codebook(told, len(levels))
    rules = powers_of_two(largest) if _by_powers(y) else of_levels(largest, bool(sample.stored))
    return Kind(name, bits, largest, rules)


def _float_or_codebook(told: np.ndarray, count: int) -> str:
    """The format that has these levels; "" for none that is known."""
    rising = np.unique(told)
    if count == 256:
        for dtype, name in (("float8_e4m3fn", "fp8_e4m3"), ("float8_e5m2", "fp8_e5m2")):
            values = float8_values(dtype)
            if np.array_equal(rising, np.unique(values[np.isfinite(values)].astype(np.float64))):
                return name
    for name, form in FORMATS.items():
        if isinstance(form, CodebookFormat):
            own = np.unique(form.levels)
            if len(own) == len(rising) and np.allclose(rising, own, atol=1e-6):
                return name
    if np.array_equal(rising, np.unique(_of_float(_E2M1))):
        return "fp4_e2m1"
    return "ternary" if np.array_equal(rising, [-1, 0, 1]) else ""


def _of_float(form: FloatFormat) -> np.ndarray:
    """The numbers of a small format without infinities: e2m1's are 0, 0.5, 1, 1.5, 2, 3, 4 and 6, with both signs."""
    bias = 2 ** (form.exponent_bits - 1) - 1
    sizes = [
        np.ldexp((e > 0) + m / 2**form.mantissa_bits, max(e, 1) - bias)
        for e in range(2**form.exponent_bits)
        for m in range(2**form.mantissa_bits)
    ]
    return np.array([sign * size for size in sizes for sign in (1, -1)])


def _by_powers(y: Decoded) -> bool:
    part = scale_part(y)
    return part is not None and part.info.dtype in ("uint8", "F8_E8M0")


def _scheme(y: Decoded, kind: Kind, found: Survey, sample: Unpacked, tile: int, rule: str) -> str:
    """The scheme that rounds to the same format with as many scales, plainly; "" where there is none.

    rule: the option of a scheme by which its scales are chosen; "" for the scheme's own.
    """
    width = sample.width or -(-y.cols // sample.scales.shape[1])
    if width == 1 < y.cols:
        return ""  # groups of weights that lie apart (HQQ's axis 0): no scheme has these
    one = sample.scales.shape[1] == 1
    group = ("tensor" if tile >= y.rows else f"b{tile}x{y.cols}" if tile > 1 else "channel") if one else (
        f"b{width}" if tile == 1 else f"b{tile}x{width}"
    )  # fmt: skip
    part = scale_part(y)
    scale = _SCALES.get(part.info.dtype) if part else None
    option = f":scale={scale}" if scale else ""
    if kind.name.startswith("int"):
        symmetry = "offset" if found.minima else "sym" if _is_symmetric(kind, found) else "asym"
        keys = [f"{kind.name}-{symmetry}-{group}{option}"]
    elif _by_powers(y) and width == 32 and kind.name.startswith("fp"):
        keys = ["mxfp4" if kind.name == "fp4_e2m1" else f"mx{kind.name}"]
    elif kind.name == "fp4_e2m1" and width == 16:
        keys = ["nvfp4"]
    elif kind.name in ("nf4", "bnb_fp4"):
        keys = [f"{kind.name}-{group}{':double=1' if sample.stored else option}", f"{kind.name}-{group}"]
    else:
        keys = [f"{kind.name}-{group}{option}"] if kind.name else []
    by_rule = [f"{key}{',' if ':' in key else ':'}{rule}" for key in keys] if rule else []
    for key in (*by_rule, *keys):
        try:
            scheme = Scheme.parse(key)
            scheme.check_shape(y.rows, y.cols)
        except QuantvizError:
            continue
        return scheme.key
    return ""


def _is_symmetric(kind: Kind, found: Survey) -> bool:
    """Whether all zero points are the middle of the codes, or there are none."""
    return found.zeros is None or found.zeros in ((half := 2.0 ** (kind.bits - 1), half), (0.0, 0.0))


# -- other formats --------------------------------------------------------------------------------


def _elsewhere(y: Decoded, kind: Kind, found: Survey, sample: Unpacked) -> Iterator[str]:
    """Sentences on formats that would hold the same weights without loss."""
    integers = kind.name.startswith("int")
    if integers and found.zeros and found.zeros[0] == found.zeros[1] == 2.0 ** (kind.bits - 1):
        middle = number(found.zeros[0])
        yield f"All zero points are {middle}: symmetric {kind.name}, without zero points, holds the same weights."
    if integers and not found.minima and found.whole_zeros and np.isfinite(found.least):
        # int1 is a sign and has no 0, so it holds none of these
        bits = next(b for b in range(2, 17) if -(2 ** (b - 1)) <= found.least and found.most < 2 ** (b - 1))
        if bits < kind.bits:
            yield f"No weight needs more than {bits} of the {kind.bits} bits: int{bits} with the same scales holds it."
    if kind.name in ("fp8_e4m3", "fp8_e5m2"):
        used = np.unique(np.abs(y.layer.levels[found.used & np.isfinite(y.layer.levels)]))
        if np.isin(used, _of_float(_E2M1)).all():
            yield "All its FP8 numbers are numbers of FP4 (e2m1) too: four bits with its scales hold the same weights."
    if found.powers and not _by_powers(y) and -127 <= found.exponents[0] and found.exponents[1] <= 127:
        floats = kind.name.startswith("fp") and not found.minima and (sample.width or y.cols) % 32 == 0
        form = f" in {'mxfp4' if kind.name == 'fp4_e2m1' else 'mx' + kind.name}" if floats else ""
        yield f"All scales are powers of two: MX's scales, eight bits each, hold the same weights{form}."


# -- in words -------------------------------------------------------------------------------------


def plain_sentence(p: Plain, stored_as: str) -> str:
    """What was found, for a reader."""
    nearest = "All its codes are" if p.nearest == p.count else f"{share(p.nearest / p.count)} of its codes are"
    codes = f"{nearest} the nearest to the original's weights, given its own scales"
    scales = f"its scales are {p.rule}" if p.rule else "its scales follow no rule that is known here"
    figures = f"mean squared error {number(p.mse)} against {number(p.plain_mse)}" if p.scheme else ""
    if p.verdict == EQUAL:
        told = f"This is plain rounding in {stored_as}: {scales}, and its codes are the nearest ones."
        if p.scheme and abs(p.mse - p.plain_mse) > _SAME * p.plain_mse:
            told += f" Beside {p.scheme}: {figures}."
        return told + _all(p)
    if not p.verdict:
        return f"{codes}; {scales}. Nothing here rounds plainly to {stored_as}, so nothing more can be told.{_all(p)}"
    codes = codes[0].lower() + codes[1:]
    beside = f"plain rounding ({p.scheme}): {figures}; {codes}"
    if p.verdict == ALIKE:
        told = f"It loses as much as {beside}, and {scales}."
    elif p.verdict == BETTER:
        told = f"It is better than {beside}, and {scales}."
    else:
        why = "; methods such as GPTQ leave the nearest codes for a smaller error of the layer's output"
        told = f"Weight by weight it is worse than {beside}{'' if p.all_nearest else why}."
    return told + _all(p)


def _all(p: Plain) -> str:
    return "".join(f" {sentence}" for sentence in p.elsewhere)
