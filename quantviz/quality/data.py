"""How a measurement of a language model uses data: which text is read for it, and what is made of that."""

from __future__ import annotations

from dataclasses import dataclass

from ..block_types import BlockType
from ..errors import QuantvizError
from ..schemes import Scheme
from ..schemes.options import DATA_SOLVERS
from .text.texts import calibration_text, decode, identity

CALIBRATION_TOKENS = 4096
HALF_OF_DEMO = "the second half of the demo model's test book"


@dataclass(frozen=True)
class Calibrating:
    """What the layers' inputs are taken from, for schemes that use them: solver=gptq, solver=awq, and an imatrix.

    text: what the model reads for it, as a string or a file's bytes; None is the second half of the demo's test book.
    No part of it is ever scored.  tokens: at most so many of it; None takes all.  context: tokens in a window; None
    for as many as the measurement has.
    propagate: whether a layer's inputs come through what was quantized before it, one transformer block after the
    other, as GPTQ's authors have it; else those of the model as it is stored, as AWQ's authors have it. It is a
    setting of the measurement, since to a layer by itself, which is all that a scheme's key tells of, it means nothing.
    imatrix: whether block types and clip=mse search by E[x²] of the model as it is stored, as llama.cpp's imatrix has
    it. Without, block types that cannot do without are refused.
    """

    text: str | bytes | None = None
    tokens: int | None = CALIBRATION_TOKENS
    context: int | None = None
    propagate: bool = True
    imatrix: bool = False

    def __post_init__(self) -> None:
        if self.tokens is not None and self.tokens < 1:
            raise QuantvizError(f"tokens={self.tokens} leaves nothing to calibrate on; give a whole number from 1.")

    @property
    def content(self) -> str:
        """The text itself."""
        if self.text is None:
            return calibration_text()
        return decode(self.text, "The calibration text") if isinstance(self.text, bytes) else self.text

    @property
    def identity(self) -> str:
        """Which text it is, in words."""
        return HALF_OF_DEMO if self.text is None else identity(self.text)

    def searches(self, scheme: Scheme) -> bool:
        """Whether a scheme searches by an imatrix that is collected for it."""
        takes = scheme.fmt.uses_importance if isinstance(scheme.fmt, BlockType) else scheme.clip == "mse"
        return self.imatrix and takes

    def uses(self, scheme: Scheme) -> str:
        """What of the inputs a scheme uses: "gptq", "awq", "smooth" or "imatrix"; "" where nothing.

        >>> [Calibrating(imatrix=True).uses(Scheme.parse(key)) for key in ("int4:solver=awq", "int4", "q4_k")]
        ['awq', '', 'imatrix']
        """
        if scheme.uses_data:
            return scheme.solver if scheme.solver in DATA_SOLVERS else "smooth"
        return "imatrix" if self.searches(scheme) else ""
