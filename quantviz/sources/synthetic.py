"""Random tensors described by a few words: `random:normal?rows=4096&cols=4096&seed=0&outliers=0.001`.

The same words give the same float32 bits on every machine, with any number of threads and
for any range of rows, because weight number i depends only on the seed and on i.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields

import numpy as np

from .. import randomness as portable
from ..errors import QuantvizError, did_you_mean
from ..tensors import StoredTensor
from ..text.numbers import real_number, whole_number
from .model import Progress, TensorInfo, select

MAX_BYTES = 8 * 10**9
_CHUNK = 1 << 15  # weights at a time: a few float64 temporaries of this length fit in a core's cache
_FORM = "random:normal?rows=4096&cols=4096&seed=0&outliers=0.001&magnitude=20"


@dataclass(frozen=True)
class SyntheticSpec:
    """A random tensor of shape [rows, cols].

    scale: standard deviation σ of the weights, outliers aside.
    outliers: share of the weights, exactly, replaced by ±magnitude·σ, keeping their sign: the tensor is divided into as
    many equal stretches, and each holds one at a random place.
    df: degrees of freedom, student_t only; above 2, where the standard deviation exists.

    >>> SyntheticSpec.parse("random:laplace?cols=64&rows=8&seed=0").ref
    'random:laplace?rows=8&cols=64'
    """

    distribution: str = "normal"
    rows: int = 4096
    cols: int = 4096
    seed: int = 0
    scale: float = 0.02  # what a trained layer of a language model typically has
    outliers: float = 0.0
    magnitude: float = 20.0
    df: float = 3.0

    def __post_init__(self) -> None:
        if self.distribution not in DISTRIBUTIONS:
            raise QuantvizError(
                f"There is no distribution {self.distribution!r}; choose one of {', '.join(DISTRIBUTIONS)}."
                + did_you_mean(self.distribution, DISTRIBUTIONS)
            )
        for side in ("rows", "cols"):
            if getattr(self, side) < 1:
                raise QuantvizError(f"{side}={getattr(self, side)} leaves no weights; give at least 1.")
        if self.nbytes > MAX_BYTES:
            raise QuantvizError(
                f"{self.rows:,} × {self.cols:,} weights take {self.nbytes / 1e9:,.1f} GB as float32; "
                f"a random tensor may take {MAX_BYTES // 10**9} GB, so choose fewer rows or columns."
            )
        if not 0 <= self.seed < 2**64:
            raise QuantvizError(f"seed={self.seed} is outside 0 to 2^64 - 1.")
        if not 0 <= self.outliers <= 1:
            raise QuantvizError(f"outliers={self.outliers} is not a share of the weights; give 0 to 1.")
        if not 1e-30 <= self.scale <= 1e20:
            raise QuantvizError(f"scale={self.scale} is no usable standard deviation; give 1e-30 to 1e20.")
        if not 0 < self.magnitude <= 1e9:
            raise QuantvizError(f"magnitude={self.magnitude} is no usable number of σ; give more than 0, at most 1e9.")
        if not 2 < self.df < math.inf:
            raise QuantvizError(f"df={self.df} gives student_t no standard deviation; give more than 2.")
        if self.df != 3 and self.distribution != "student_t":
            raise QuantvizError(f"df belongs to student_t; {self.distribution} has no degrees of freedom.")

    @property
    def nbytes(self) -> int:
        return 4 * self.rows * self.cols

    @property
    def ref(self) -> str:
        """The canonical words for this tensor: parameters in a fixed order, those at their default left out."""
        changed = [f for f in fields(self)[1:] if getattr(self, f.name) != f.default]
        query = "&".join(f"{f.name}={_number_text(getattr(self, f.name))}" for f in changed)
        return f"random:{self.distribution}" + (f"?{query}" if query else "")

    @classmethod
    def parse(cls, ref: str) -> SyntheticSpec:
        """The spec that `ref` describes; raises QuantvizError naming the word that is wrong."""
        distribution, _, query = ref.removeprefix("random:").partition("?")
        numbers = {f.name: f.type for f in fields(cls)[1:]}
        values: dict[str, int | float] = {}
        for word in query.split("&") if query else []:
            name, equals, text = word.partition("=")
            if name not in numbers:
                raise QuantvizError(
                    f"A random tensor has no parameter {name!r}; it has {', '.join(numbers)}, as in {_FORM}."
                    + did_you_mean(name, numbers)
                )
            if name in values:
                raise QuantvizError(f"{name} is given twice in {ref!r}; give it once.")
            values[name] = _number(name, text, whole=numbers[name] == "int")
        return cls(distribution, **values)


def _number(name: str, text: str, whole: bool) -> int | float:
    if whole:
        if (count := whole_number(text, least=-(10**30), most=10**30)) is None:
            raise QuantvizError(f"{name}={text[:80]} is no whole number; write it as in {_FORM}.")
        return count
    if (value := real_number(text)) is None:
        raise QuantvizError(f"{name}={text[:80]} is no number; write it as in {_FORM}.")
    return value


def _number_text(value: int | float) -> str:
    return repr(value).removesuffix(".0")


# Each distribution has standard deviation 1 and turns 64 random bits a weight, and where it
# needs them 64 more, into float64 weights.
Draw = Callable[[np.ndarray, Callable[[], np.ndarray], SyntheticSpec], np.ndarray]


def _normal(bits, more_bits, spec):
    """Φ⁻¹(u)"""
    return portable.normal_quantile(portable.uniform(bits))


def _laplace(bits, more_bits, spec):
    """±(-ln u)/√2"""
    return portable.with_random_sign(portable.log(portable.uniform(bits)) * -math.sqrt(0.5), bits)


def _student_t(bits, more_bits, spec):
    """±√(ν(u^(-2/ν) - 1)) · cos(πv/2) · √((ν-2)/ν), Bailey's polar method (1994)"""
    growth = portable.expm1(portable.log(portable.uniform(bits)) * (-2 / spec.df))
    radius = np.sqrt(growth * (spec.df - 2))
    return portable.with_random_sign(radius * portable.cos_quarter(portable.uniform(more_bits())), bits)


def _uniform(bits, more_bits, spec):
    """√3·(2u - 1)"""
    return (portable.uniform(bits) - 0.5) * math.sqrt(12)


def _bimodal(bits, more_bits, spec):
    """±(3 + Φ⁻¹(u))/√10: two normal humps at ±0.95σ, each 0.32σ wide"""
    hump = (portable.normal_quantile(portable.uniform(bits)) + 3) / math.sqrt(10)
    return portable.with_random_sign(hump, bits)


def _lognormal(bits, more_bits, spec):
    """±exp(Φ⁻¹(u) - 1): heavy-tailed on both sides of zero, as weights are"""
    size = portable.expm1(portable.normal_quantile(portable.uniform(bits)) - 1) + 1
    return portable.with_random_sign(size, bits)


DISTRIBUTIONS: dict[str, Draw] = {
    "normal": _normal,
    "laplace": _laplace,
    "student_t": _student_t,
    "uniform": _uniform,
    "bimodal": _bimodal,
    "lognormal": _lognormal,
}


def formula(distribution: str) -> str:
    """How a weight of unit standard deviation is made from uniform u, v in (0, 1)."""
    return DISTRIBUTIONS[distribution].__doc__ or ""


def _weights(spec: SyntheticSpec, start: int, stop: int) -> np.ndarray:
    """float64 weights [start, stop) in row-major order."""
    bits = portable.random_bits(portable.stream_key(spec.seed, 0), start, stop)

    def more_bits() -> np.ndarray:
        return portable.random_bits(portable.stream_key(spec.seed, 1), start, stop)

    weights = DISTRIBUTIONS[spec.distribution](bits, more_bits, spec)
    weights *= spec.scale
    if spec.outliers:
        chosen = _outliers(spec, start, stop) - start
        weights[chosen] = np.copysign(spec.magnitude * spec.scale, weights[chosen])
    return weights


def _outliers(spec: SyntheticSpec, start: int, stop: int) -> np.ndarray:
    """int64 positions of the outliers in [start, stop): one in each of round(share·size) stretches."""
    size = spec.rows * spec.cols
    count = round(spec.outliers * size)
    if not count:
        return np.zeros(0, np.int64)
    first, last = start * count // size, min(stop * count // size + 1, count)
    ends = np.arange(first, last + 1) * size // count  # the products stay below 2^62: MAX_BYTES
    u = portable.uniform(portable.random_bits(portable.stream_key(spec.seed, 2), first, last))
    at = ends[:-1] + (u * np.diff(ends)).astype(np.int64)
    return at[(at >= start) & (at < stop)]


def generate(spec: SyntheticSpec, start: int = 0, stop: int | None = None) -> np.ndarray:
    """float32 weights [start, stop) of `spec` in row-major order, made on all cores."""
    stop = spec.rows * spec.cols if stop is None else stop
    out = np.empty(stop - start, np.float32)

    def fill(first: int) -> None:
        last = min(first + _CHUNK, stop)
        out[first - start : last - start] = _weights(spec, first, last)

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(fill, range(start, stop, _CHUNK)))
    return out


class SyntheticReader:
    """One tensor, named `weight`, made when it is opened."""

    def __init__(self, spec: SyntheticSpec) -> None:
        self.spec = spec
        self.tensors = (TensorInfo("weight", (spec.rows, spec.cols), "float32", spec.nbytes),)

    def open(self, info: TensorInfo, rows: tuple[int, int] | None, progress: Progress | None) -> StoredTensor:
        part = select(info, rows)
        return StoredTensor(generate(self.spec, part.start, part.stop), "float32", part.shape, info.name)
