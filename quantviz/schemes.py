"""Schemes: format + symmetry + granularity + options, with one canonical text key.

The key is the identifier of a scheme everywhere: argument, URL value, cache key, test id.

>>> str(Scheme.parse("int4-asym-b64:scale=fp16"))    # fp16 is the default, so it is left out
'int4-asym-b64'
>>> Scheme.parse("nf4-b64").bits_per_weight((4096, 4096))
4.5
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from . import formats
from .errors import QuantvizError, did_you_mean
from .formats import BlockFormat, CodebookFormat, FloatFormat, Format, IntFormat, TernaryFormat

SYMMETRIES = ("sym", "asym", "offset")
SCALE_TYPES = {"fp32": 32, "fp16": 16, "bf16": 16}

# What turns a weight into a code. Engines implement one function a rule.
#   cast      nearest value of the format itself
#   sym       zero-centred integers            asym    integers with an integer zero point
#   offset    integers with a float minimum    sign    one bit: the sign, times the mean magnitude
#   ternary   BitNet's absmean                 scaled  cast of x / s
#   codebook  nearest level of x / absmax      mx      OCP MX, power-of-two scales
#   nvfp4     e4m3 scales under a tensor scale
Rule = Literal["cast", "sym", "asym", "offset", "sign", "ternary", "scaled", "codebook", "mx", "nvfp4"]


@dataclass(frozen=True)
class Granularity:
    """Which weights share a scale: a tile of rows × cols weights, 0 meaning "all there are"."""

    rows: int
    cols: int

    def __str__(self) -> str:
        if self == TENSOR:
            return "tensor"
        if self == CHANNEL:
            return "channel"
        return f"b{self.cols}" if self.rows == 1 else f"b{self.rows}x{self.cols}"

    @classmethod
    def parse(cls, text: str) -> Granularity:
        """From "tensor", "channel", "b64" or "b128x128"."""
        named = {"tensor": TENSOR, "channel": CHANNEL}.get(text)
        if named is not None:
            return named
        match = re.fullmatch(r"b([1-9]\d{0,8})(?:x([1-9]\d{0,8}))?", text)
        if not match:
            raise QuantvizError(
                f"{text!r} is no granularity; "
                "write tensor, channel, bN (for example b64) or bRxC (for example b128x128)."
            )
        first, second = match.groups()
        return cls(int(first), int(second)) if second else cls(1, int(first))

    def grid(self, rows: int, cols: int) -> tuple[int, int]:
        """How many groups a [rows, cols] tensor has along each axis; the last of a row may be shorter."""
        return math.ceil(rows / (self.rows or rows)), math.ceil(cols / (self.cols or cols))


TENSOR = Granularity(0, 0)
CHANNEL = Granularity(1, 0)


@dataclass(frozen=True)
class Scheme:
    """One way to quantize a tensor. Build it with `Scheme.parse`; equal schemes have equal keys.

    format: name of a format.  symmetry: sym, asym or offset for integers, else None.
    granularity: None for a plain cast.  scale: type in which scales (and minima) are stored, None where
    there are none or the format fixes it.
    """

    format: str
    symmetry: str | None = None
    granularity: Granularity | None = None
    scale: str | None = None

    # -- keys ----------------------------------------------------------------------------------

    @classmethod
    def parse(cls, key: str | Scheme) -> Scheme:
        """Scheme of a key such as "int4-asym-b64:scale=fp32".

        Raises QuantvizError with the part that is wrong and the nearest right one.
        """
        if isinstance(key, Scheme):
            return key
        if not isinstance(key, str) or not key.strip():
            raise QuantvizError("A scheme key is needed, for example int4-asym-b64.")
        head, *options = key.strip().lower().split(":")
        name, *parts = head.split("-")
        if name not in formats.FORMATS:
            nearest = did_you_mean(head, catalogue()) or did_you_mean(name, formats.FORMATS)
            raise QuantvizError(f"{key!r} is no scheme: there is no format {name!r}.{nearest}")
        symmetry = parts.pop(0) if parts and parts[0] in SYMMETRIES else None
        granularity = None
        if parts:
            try:
                granularity = Granularity.parse(parts.pop(0))
            except QuantvizError as error:
                raise QuantvizError(f"{key!r} is no scheme: {error}{did_you_mean(head, catalogue())}") from None
        if parts:
            raise QuantvizError(
                f"{key!r} is no scheme: {'-'.join(parts)!r} is left over after format, symmetry and granularity."
                f"{did_you_mean(head, catalogue())}"
            )
        return cls.make(name, symmetry, granularity, **_parse_options(key, options))

    @classmethod
    def make(
        cls,
        format: str,
        symmetry: str | None = None,
        granularity: Granularity | None = None,
        scale: str | None = None,
    ) -> Scheme:
        """A checked scheme, with what the format leaves open filled in by its defaults."""
        f = formats.get(format)
        if isinstance(f, IntFormat):
            symmetry, granularity = symmetry or "sym", granularity or TENSOR
        elif symmetry:
            raise QuantvizError(
                f"{format} has no symmetry to choose, so {symmetry!r} does not apply; only int1 to int8 have."
            )
        if isinstance(f, TernaryFormat):
            granularity = granularity or TENSOR
        elif isinstance(f, CodebookFormat):
            granularity = granularity or Granularity(1, 64)
        elif isinstance(f, BlockFormat):
            if granularity not in (None, Granularity(1, f.block)):
                raise QuantvizError(
                    f"{format} is defined on blocks of {f.block}, so {granularity} does not apply; write {format}."
                )
            granularity = Granularity(1, f.block)
        if scale is not None and scale not in SCALE_TYPES:
            raise QuantvizError(f"scale={scale} is no scale type; choose fp32, fp16 or bf16.")
        default = _default_scale(f, granularity)
        if default is None and scale is not None:
            why = "its specification fixes the scale" if isinstance(f, BlockFormat) else "a plain cast has no scale"
            raise QuantvizError(f"{format} takes no scale option: {why}.")
        return cls(format, symmetry, granularity, scale or default)

    @cached_property
    def key(self) -> str:
        fixed = isinstance(self.fmt, BlockFormat)
        parts = [self.format, self.symmetry, None if fixed else self.granularity]
        head = "-".join(str(part) for part in parts if part is not None)
        default = _default_scale(self.fmt, self.granularity)
        return head if self.scale == default else f"{head}:scale={self.scale}"

    def __str__(self) -> str:
        return self.key

    # -- what it means -------------------------------------------------------------------------

    @property
    def fmt(self) -> Format:
        """The format itself, as data."""
        return formats.FORMATS[self.format]

    @cached_property
    def rule(self) -> Rule:
        f = self.fmt
        if isinstance(f, FloatFormat):
            return "cast" if self.granularity is None else "scaled"
        if isinstance(f, CodebookFormat):
            return "codebook"
        if isinstance(f, TernaryFormat):
            return "ternary"
        if isinstance(f, BlockFormat):
            return "mx" if f.scale == "e8m0" else "nvfp4"
        if f.bits == 1 and self.symmetry == "sym":
            return "sign"
        return self.symmetry  # type: ignore[return-value]

    @property
    def code_range(self) -> tuple[int, int]:
        """Smallest and largest code, both inclusive; bit patterns for float formats."""
        f = self.fmt
        if self.rule in ("sign", "ternary"):
            return -1, 1
        if self.rule == "sym" or self.format == "mxint8":
            q = 127 if self.format == "mxint8" else f.max_symmetric
            return -q, q
        return 0, 2**f.bits - 1

    @property
    def needs_tensor_maximum(self) -> bool:
        """Whether a scale depends on the whole tensor, so that it must be read once before."""
        return self.granularity == TENSOR or self.rule == "nvfp4"

    @property
    def overhead_bits(self) -> int:
        """Bits stored a group beside the codes: scale, and zero point or minimum."""
        if self.granularity is None:
            return 0
        if isinstance(self.fmt, BlockFormat):
            return 8
        bits = SCALE_TYPES[self.scale]
        return bits + {"asym": self.fmt.bits, "offset": bits}.get(self.symmetry, 0)

    def bits_stored(self, shape: tuple[int, ...]) -> int:
        """Bits that a tensor of `shape` takes: codes, scales, zero points or minima, tensor scale."""
        cols = shape[-1]
        rows = math.prod(shape[:-1])
        bits = rows * cols * self.fmt.bits
        if self.granularity is not None:
            bits += math.prod(self.granularity.grid(rows, cols)) * self.overhead_bits
        return bits + (32 if self.rule == "nvfp4" else 0)

    def bits_per_weight(self, shape: tuple[int, ...]) -> float:
        return self.bits_stored(shape) / math.prod(shape)

    def check_shape(self, rows: int, cols: int) -> None:
        """Refuses a block or tile that is larger than the tensor it should divide."""
        g = self.granularity
        if g is not None and g.cols > cols:
            raise QuantvizError(
                f"{self} needs rows of at least {g.cols} weights, and this tensor's have {cols}; "
                f"choose a block of {cols} or less, channel or tensor."
            )
        if g is not None and g.rows > rows:
            raise QuantvizError(
                f"{self} needs at least {g.rows} rows, and this tensor has {rows}; choose a lower tile, or channel."
            )


def _default_scale(f: Format, granularity: Granularity | None) -> str | None:
    if granularity is None or isinstance(f, BlockFormat):
        return None
    return "fp16" if isinstance(f, IntFormat | TernaryFormat) else "fp32"


OPTIONS = ("scale",)


def _parse_options(key: str, texts: list[str]) -> dict[str, str]:
    options: dict[str, str] = {}
    for text in (t for part in texts for t in part.split(",")):
        name, equals, value = text.partition("=")
        if name not in OPTIONS or not equals or not value:
            raise QuantvizError(
                f"{key!r} is no scheme: {text!r} is no option; write scale=fp32, scale=fp16 or scale=bf16."
            )
        if name in options:
            raise QuantvizError(f"{key!r} is no scheme: the option {name!r} stands there twice.")
        options[name] = value
    return options


# The granularities offered, coarse to fine.
GRANULARITIES = ("tensor", "channel", "b256", "b128", "b64", "b32", "b16")
TILES = ("b128x128",)


def _catalogue() -> tuple[str, ...]:
    ints = [
        f"int{bits}-{symmetry}-{granularity}"
        for bits in range(8, 0, -1)
        for symmetry in SYMMETRIES
        for granularity in GRANULARITIES
    ]
    small_floats = ("fp8_e4m3", "fp8_e5m2", "fp6_e3m2", "fp6_e2m3", "fp4_e2m1")
    return (
        "fp32", "fp16", "bf16", *small_floats,
        *ints,
        *(f"{f}-{g}" for f in small_floats for g in (*GRANULARITIES, *TILES)),
        *(f"{f}-{g}" for f in ("nf4", "bnb_fp4") for g in ("b256", "b128", "b64", "b32", "b16")),
        *(f"ternary-{g}" for g in ("tensor", "channel", "b128", "b64")),
        "mxfp8_e4m3", "mxfp8_e5m2", "mxfp6_e3m2", "mxfp6_e2m3", "mxfp4", "mxint8", "nvfp4",
    )  # fmt: skip


_CATALOGUE = _catalogue()


def catalogue() -> tuple[str, ...]:
    """Every ready-made scheme key, in a teaching order: casts, integers, scaled floats, block formats."""
    return _CATALOGUE
