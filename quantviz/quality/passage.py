"""A text as a model reads it: tokens, and the windows over them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..errors import QuantvizError
from .model.loading import LanguageModel
from .model.predicting import BATCH, read_tokens
from .results import Method
from .text.windows import Window, batches, windows_over

if TYPE_CHECKING:
    import torch

_CHARACTERS = 16  # a token, at most, where only the first tokens of a long text are wanted


@dataclass(frozen=True, eq=False)
class Passage:
    """Tokens, and the windows over them."""

    tokens: torch.Tensor  # int64
    context: int
    method: Method
    windows: tuple[Window, ...]
    bos: int | None

    @classmethod
    def of(cls, opened: LanguageModel, text: str, tokens: int | None, context: int, method: Method) -> Passage:
        """Raises QuantvizError for a text shorter than a window, and windows longer than the model reads."""
        if tokens is not None and tokens < 1:
            raise QuantvizError(f"tokens={tokens} leaves no text; give a whole number from {context} on.")
        if opened.longest is not None and context > opened.longest:
            raise QuantvizError(
                f"{opened.name} reads {opened.longest:,} tokens at a time; choose a context of {opened.longest:,} or "
                f"less, not {context:,}."
            )
        return cls.over(opened, encode_start(opened, text, tokens), context, method)

    @classmethod
    def over(cls, opened: LanguageModel, ids: Sequence[int], context: int, method: Method) -> Passage:
        """Of tokens."""
        import torch

        windows = windows_over(len(ids), context, method)
        return cls(torch.tensor(ids), context, method, windows, opened.bos if method == "llama.cpp" else None)

    @property
    def in_windows(self) -> torch.Tensor:
        """Those that lie in some window."""
        return self.tokens[: self.windows[-1].stop]

    @property
    def scored(self) -> int:
        return sum(window.scored for window in self.windows)

    def batches(self) -> list[tuple[Window, ...]]:
        return list(batches(self.windows, BATCH))

    def read(self, batch: Sequence[Window]) -> torch.Tensor:
        return read_tokens(self.tokens, batch, self.bos)

    def targets(self, batch: Sequence[Window]) -> torch.Tensor:
        """The tokens that are scored, window after window."""
        import torch

        return torch.cat([self.tokens[window.first : window.stop] for window in batch])


def encode_start(opened: LanguageModel, text: str, tokens: int | None) -> list[int]:
    """The first `tokens` tokens of a text, without encoding much more of a long one."""
    if tokens is None:
        return opened.encode(text)
    for part in (text[: _CHARACTERS * tokens], text):
        found = opened.encode(part)
        if len(found) > tokens or len(part) == len(text):  # one more, since a cut changes the last one
            break
    return found[:tokens]
