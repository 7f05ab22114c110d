"""What to measure on a language model, and the results that the server holds."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from quantviz.errors import QuantvizError
from quantviz.evaluation.comparison import Refusal
from quantviz.quality.data import CALIBRATION_TOKENS, Calibrating
from quantviz.quality.model.layers import Mixture
from quantviz.quality.model.parts import FORMS
from quantviz.quality.results import Method, QualityResult
from quantviz.sources.files import SINGLE_TENSORS

from ..selection import DEMO_REF, ModelRef
from ..shared.access import files_root
from ..work import cached
from ..work.bounded import BoundedCache

Found = QualityResult | Refusal

TEXTS = 256 << 20  # bytes of visitors' texts that the server keeps
_texts: BoundedCache[str] = BoundedCache(TEXTS, lambda text: 4 * len(text))
_found: BoundedCache[Found] = BoundedCache(20_000, lambda _: 1)


@dataclass(frozen=True)
class Text:
    """The text to measure on. digest: of a visitor's text; "" for the demo's own."""

    digest: str = ""

    @property
    def content(self) -> str | None:
        """None for the demo's own text."""
        return _texts.peek(self.digest) if self.digest else None


def keep_text(content: str) -> Text:
    """Keeps a visitor's text on the server, by its fingerprint, so that a reload or a link finds it again."""
    digest = hashlib.blake2b(content.encode(), digest_size=12).hexdigest()
    _texts.put(digest, content)
    return Text(digest)


@dataclass(frozen=True)
class Data:
    """What schemes that use data are calibrated on, and how: see `quantviz.Calibrating`."""

    text: Text = Text()
    tokens: int | None = CALIBRATION_TOKENS
    propagate: bool = True
    imatrix: bool = False

    def calibrating(self, context: int) -> Calibrating:
        return Calibrating(self.text.content, self.tokens, context, self.propagate, self.imatrix)

    def used_by(self, scheme: str) -> bool:
        """Whether a scheme, or a part of a table, uses any of it."""
        uses = Calibrating(imatrix=self.imatrix).uses
        return any(uses(part) for _, part in Mixture.parse(scheme).rules)


@dataclass(frozen=True)
class Ask:
    """A model, a text and how to measure: all that a result depends on besides its scheme."""

    source: ModelRef
    text: Text
    tokens: int | None
    context: int
    method: Method
    targets: tuple[str, ...]
    data: Data = Data()
    token: str | bool | None = field(default=None, compare=False, repr=False)

    @property
    def is_demo(self) -> bool:
        return self.source.ref == DEMO_REF

    @property
    def opening(self) -> dict:
        """How quantviz.quality opens the model."""
        return {"token": self.token, "root": self.source.root}

    @property
    def measuring(self) -> dict:
        """How quantviz.quality reads the text."""
        return {"text": self.text.content, "tokens": self.tokens, "context": self.context}

    @property
    def calibrating(self) -> Calibrating:
        return self.data.calibrating(self.context)

    def under(self, scheme: str) -> Ask:
        """All that the result of a scheme depends on."""
        return self if self.data.used_by(scheme) else replace(self, data=Data())


def source_of(ref: str, token: str | bool | None) -> ModelRef:
    """The model as this visitor may open it. One of the Hub has no version, since a measurement may take hours."""
    if ref.startswith(SINGLE_TENSORS):
        raise QuantvizError(f"{ref[:80]!r} is a single tensor, no language model; give {FORMS}.")
    is_file = ref != DEMO_REF and not ref.startswith("hf:")
    source = cached.source_of(ref, ref, files_root() if is_file else None, token)
    return replace(source, version="") if ref.startswith("hf:") else source


def found(ask: Ask, scheme: str) -> Found | None:
    """The result of a scheme so far, perhaps of some windows only; None where there is none."""
    return _found.peek((ask.under(scheme), scheme))


def keep(ask: Ask, scheme: str, result: Found) -> None:
    _found.put((ask.under(scheme), scheme), result)


def is_complete(result: Found | None) -> bool:
    return result is not None and (isinstance(result, Refusal) or result.complete)


def missing(ask: Ask, schemes: tuple[str, ...]) -> tuple[str, ...]:
    """The schemes without a complete result."""
    return tuple(scheme for scheme in schemes if not is_complete(found(ask, scheme)))


def results(ask: Ask, schemes: tuple[str, ...]) -> Iterator[QualityResult]:
    """The results so far, in the order of the schemes."""
    for scheme in schemes:
        result = found(ask, scheme)
        if isinstance(result, QualityResult) and result.windows:
            yield result


def refusals(ask: Ask, schemes: tuple[str, ...]) -> Iterator[Refusal]:
    for scheme in schemes:
        result = found(ask, scheme)
        if isinstance(result, Refusal):
            yield result
