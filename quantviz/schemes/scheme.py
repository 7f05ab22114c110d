"""Schemes: format + symmetry + granularity + options, with one canonical text key.

The key is the identifier of a scheme everywhere: argument, URL value, cache key, test id.

>>> str(Scheme.parse("int4-asym-b64:scale=fp16"))    # fp16 is the default, so it is left out
'int4-asym-b64'
>>> Scheme.parse("nf4-b64").bits_per_weight((4096, 4096))
4.5
"""

from __future__ import annotations

import math
from dataclasses import dataclass, make_dataclass, replace
from functools import cached_property
from typing import Any

from ..block_types import BLOCK_TYPES, BlockType
from ..errors import QuantvizError, did_you_mean
from ..formats import FORMATS, BlockFormat, CodebookFormat, Format, IntFormat, TernaryFormat
from ..tensors import rows_and_cols
from ..text.wording import plural
from . import hadamard
from .granularity import TENSOR, Granularity
from .nested import NESTED_BITS, nested_bits
from .options import DATA_SOLVERS, OPTIONS, SCALE_TYPES, Option, check_options, parse_options, read_option
from .ready_made import INTEGERS, SYMMETRIES, catalogue
from .rules import Rule, dtype_of, element_of, rule_of

# What a key may begin with: the formats, and GGUF's block types.
KINDS: dict[str, Format | BlockType] = {**FORMATS, **BLOCK_TYPES}

_Parts = make_dataclass("_Parts", [
    ("format", str), ("symmetry", str | None, None), ("granularity", Granularity | None, None),
    *((option.field, Any, option.default) for option in OPTIONS.values()),
], frozen=True)  # fmt: skip
_OPTIONS_TEXT = "\n    ".join(f"{option.field}: {option.what}" for option in OPTIONS.values())


@dataclass(frozen=True)
class Scheme(_Parts):
    __doc__ = f"""One way to quantize a tensor. Build it with `Scheme.parse`; equal schemes have equal keys.

    format: name of a format or block type.  symmetry: sym, asym or offset for integers, else None.
    granularity: None for a plain cast.  The rest are options; scale is None where there are none or the format
    fixes it, keep is in percent.
    {_OPTIONS_TEXT}
    """

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
        if name not in KINDS:
            nearest = did_you_mean(head, catalogue()) or did_you_mean(name, KINDS)
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
        return cls.make(name, symmetry, granularity, **parse_options(key, options))

    @classmethod
    def make(
        cls,
        format: str,
        symmetry: str | None = None,
        granularity: Granularity | None = None,
        **options: Any,
    ) -> Scheme:
        """A checked scheme, with what the format leaves open filled in by its defaults.

        options: as in a key, texts or values; None stands for the default.
        """
        if format not in KINDS:
            known = did_you_mean(format, KINDS) or f" Known: {', '.join(KINDS)}."
            raise QuantvizError(f"There is no format {format!r}.{known}")
        f = KINDS[format]
        if isinstance(f, IntFormat):
            symmetry, granularity = symmetry or "sym", granularity or TENSOR
        elif symmetry:
            raise QuantvizError(
                f"{format} has no symmetry to choose, so {symmetry!r} does not apply; only {INTEGERS[-1]} to "
                f"{INTEGERS[0]} have."
            )
        if isinstance(f, TernaryFormat):
            granularity = granularity or TENSOR
        elif isinstance(f, CodebookFormat):
            granularity = granularity or Granularity(1, 64)
        elif isinstance(f, BlockFormat | BlockType):
            if granularity not in (None, Granularity(1, f.block)):
                raise QuantvizError(
                    f"{format} is defined on blocks of {f.block}, so {granularity} does not apply; write {format}."
                )
            granularity = Granularity(1, f.block)
        defaults = {option.field: option.default_for(f, granularity) for option in OPTIONS.values()}
        read = {name: read_option(name, value) for name, value in options.items() if value is not None}
        read = {OPTIONS[name].field: value for name, value in read.items()}
        scheme = cls(format, symmetry, granularity, **(defaults | read))
        check_options(scheme)
        return scheme

    @cached_property
    def key(self) -> str:
        fixed = isinstance(self.fmt, BlockFormat | BlockType)
        parts = [self.format, self.symmetry, None if fixed else self.granularity]
        head = "-".join(str(part) for part in parts if part is not None)
        options = [f"{name}={OPTIONS[name].write(value)}" for name, value in self.options.items()]
        return f"{head}:{','.join(options)}" if options else head

    @property
    def options(self) -> dict[str, Any]:
        """Those that do not hold their default, in the order of keys."""
        return {
            name: getattr(self, option.field) for name, option in OPTIONS.items()
            if getattr(self, option.field) != option.default_for(self.fmt, self.granularity)
        }  # fmt: skip

    def takes(self, option: Option) -> bool:
        """Whether an option can be chosen for the format, symmetry and granularity, whatever else is chosen but what
        it needs beside it."""
        needed = option.needs.partition("=")[0]
        if needed and needed not in self.options:
            return False
        beside = f"{needed}={OPTIONS[needed].write(self.options[needed])}," if needed else ""
        try:
            return bool(Scheme.parse(f"{self.key.partition(':')[0]}:{beside}{option.written[0]}"))
        except QuantvizError:
            return False

    def __str__(self) -> str:
        return self.key

    # -- what it means -------------------------------------------------------------------------

    @property
    def fmt(self) -> Format | BlockType:
        """The format or block type itself, as data."""
        return KINDS[self.format]

    @cached_property
    def how(self) -> Rule:
        """The rule as data: an element under a scaling."""
        return rule_of(self.fmt, self.symmetry, self.granularity is not None, self.tensor != "none", self.edge)

    @property
    def rule(self) -> str:
        """The name of the rule: see `rules.RULES`."""
        return self.how.name

    @cached_property
    def code_range(self) -> tuple[int, int]:
        """Smallest and largest code, both inclusive; bit patterns for float formats."""
        return self.how.code_range(self.fmt, self.range == "full")

    @property
    def code_dtype(self) -> str:
        """Name of the smallest dtype that holds every code; of a zero point, which is a code, too."""
        return dtype_of(*self.code_range)

    @property
    def stored_scale(self) -> str:
        """The type that scales are rounded to: fp32, fp16, bf16, or e4m3 where NVFP4's stand alone."""
        alone = isinstance(self.fmt, BlockFormat) and self.rule == "scaled"
        return "e4m3" if alone else self.scale or "fp32"

    @cached_property
    def largest_step(self) -> float:
        """What the largest magnitude of a group is brought to: the largest value, of whole numbers half their range."""
        if self.how.element == "integers":
            first, last = self.code_range
            return (last - first) / 2
        return element_of(self.fmt).max

    @property
    def needs_tensor_maximum(self) -> bool:
        """Whether a scale depends on the whole tensor, so that it must be read once before."""
        return self.granularity == TENSOR or self.rule == "nvfp4"

    @property
    def transforms(self) -> bool:
        """Whether what is quantized is not the weights themselves: rotated, or without those kept apart."""
        return self.rotate != "none" or self.keep > 0

    @property
    def overhead_bits(self) -> int:
        """Bits stored a group beside the codes: scale (as stored), and zero point or minimum."""
        if self.granularity is None:
            return 0
        if isinstance(self.fmt, BlockType):
            return 8 * self.fmt.nbytes - self.fmt.block * self.fmt.bits
        if isinstance(self.fmt, BlockFormat):
            return 8
        bits = NESTED_BITS if self.double else SCALE_TYPES[self.scale]
        return bits + {"asym": self.fmt.bits, "offset": bits}.get(self.symmetry, 0)

    def bits_stored(self, shape: tuple[int, ...]) -> int:
        """Bits that a tensor of `shape` takes: codes, scales, zero points or minima, tensor scale.

        Raises QuantvizError for a block type whose blocks do not divide the rows, unless pad=1 fills them up.
        """
        rows, cols = rows_and_cols(shape)
        if isinstance(self.fmt, BlockType):
            self._check_blocks(cols)
            return rows * self.fmt.padded(cols) // self.fmt.block * self.fmt.nbytes * 8
        bits = rows * cols * self.fmt.bits
        if self.granularity is not None:
            groups = math.prod(self.granularity.grid(rows, cols))
            bits += groups * self.overhead_bits
            if self.double:
                bits += nested_bits(groups) - groups * NESTED_BITS
        bits += self.kept(rows * cols) * KEPT_BITS
        return bits + (32 if self.rule == "nvfp4" else 0)

    def kept(self, size: int) -> int:
        """How many of `size` weights are kept in 16 bit beside the codes."""
        return round(size * self.keep / 100)

    def bits_per_weight(self, shape: tuple[int, ...]) -> float:
        return self.bits_stored(shape) / math.prod(shape)

    def check_shape(self, rows: int, cols: int) -> None:
        """Refuses rows that a block type cannot store, and rows that cannot be rotated."""
        if isinstance(self.fmt, BlockType):
            return self._check_blocks(cols)
        if self.rotate == "hadamard":
            hadamard.order(cols)

    def shape_notices(self, rows: int, cols: int) -> tuple[str, ...]:
        """What a reader should know of groups that are cut to the size of a [rows, cols] tensor; nothing of others."""
        g = self.granularity
        if g is None or isinstance(self.fmt, BlockType) or (g.rows <= rows and g.cols <= cols):
            return ()
        if g.rows <= 1:
            return (f"Rows of {plural(cols, 'weight')} are shorter than a block of {g.cols:,}: each row is one block.",)
        return (
            f"A tile of {g.rows:,} × {g.cols:,} is larger than this tensor of {rows:,} × {cols:,} weights: "
            f"tiles are cut to {' × '.join(f'{n:,}' for n in g.within(rows, cols))}.",
        )

    def _check_blocks(self, cols: int) -> None:
        padded = self.fmt.padded(cols)
        if padded != cols and not self.pad:
            there, more = plural(cols, "weight"), plural(padded - cols, "zero")
            raise QuantvizError(
                f"{self} needs rows whose length is a multiple of {self.fmt.block}, and this tensor's have {there}; "
                f"{self.format}:pad=1 fills each up with {more}, which are counted."
            )

    @property
    def needs_importance(self) -> bool:
        """Whether a tensor cannot be quantized without importance of its input channels."""
        return isinstance(self.fmt, BlockType) and self.fmt.needs_importance

    @property
    def uses_data(self) -> bool:
        """Whether a tensor cannot be quantized without a calibration: what its inputs are."""
        return self.solver in DATA_SOLVERS or self.smooth is not None

    @property
    def without_data(self) -> Scheme:
        """The same scheme rounded to nearest."""
        if not self.uses_data:
            return self
        return replace(self, **{o: OPTIONS[o].default for o in ("solver", "damp", "order", "smooth")})

    def check_importance_given(self, given: bool, calibrated: bool = False) -> None:
        """Refuses a block type that demands importance, and a solver that looks at data, where there is none."""
        if self.needs_importance and not given:
            raise QuantvizError(
                f"{self} cannot be quantized without importance: give one number an input channel, E[x²], as an "
                "imatrix holds them."
            )
        if self.uses_data and not calibrated:
            what = f"solver={self.solver}" if self.solver in DATA_SOLVERS else f"smooth={self.options['smooth']:g}"
            raise QuantvizError(
                f"{self} cannot be quantized without a calibration: {what} looks at the layer's inputs. "
                "Give them under “Inputs of the layer” on a page, in Python by quantviz.calibrate or Calibration.of."
            )


KEPT_BITS = 16 + 32  # a weight kept apart: float16 and the index of its place
