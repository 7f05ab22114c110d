"""From tokens to logits, of the scored places alone, a few at a time.

A model's body gives a few hundred to a few thousand numbers for a place, its head as many logits as there are tokens.
So the body's output is kept, exactly as it came, and the head runs when its logits are needed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from ..text.windows import Window
from .loading import LanguageModel

if TYPE_CHECKING:
    import torch

CHUNK = 16 << 20  # bytes of float32 logits at a time
KEPT = 64 << 20  # bytes of float32 logits that are kept rather than computed again from the body's output
BATCH = 1024  # tokens that go through the model together
_PROBE = 8  # tokens


class Predictor:
    """Runs a model in two halves: `features` of scored places, then `logits` of some features.

    Where the halves together do not give what the whole gives (an architecture that goes another way), features are
    the logits themselves.
    """

    def __init__(self, opened: LanguageModel) -> None:
        import torch

        self.model, self.device = opened.model, opened.device
        self.body = getattr(self.model, self.model.base_model_prefix, None)
        self.halves = True
        probe = torch.arange(_PROBE)[None]
        whole = self.model(probe.to(self.device), use_cache=False).logits[0, :-1].float()
        self.vocabulary = whole.shape[-1]
        self.halves = self._agrees(probe, whole)

    def _agrees(self, probe: Any, whole: Any) -> bool:
        import torch

        if self.body is None or self.body is self.model:
            return False
        try:
            halves = self.logits(self.features(probe, _PROBE - 1))
        except Exception:  # an architecture that calls its body in its own way: the whole is used instead
            return False
        return halves.shape == whole.shape and torch.allclose(halves, whole, rtol=1e-3, atol=1e-3, equal_nan=True)

    def features(self, tokens: torch.Tensor, scored: int) -> torch.Tensor:
        """[windows · scored, features]: what predicts the last `scored` tokens of each row of tokens [windows, n]."""
        tokens = tokens.to(self.device)
        if self.halves:
            given = self.body(tokens, use_cache=False)[0][:, -scored - 1 : -1]
        else:
            given = self.model(tokens, use_cache=False).logits[:, -scored - 1 : -1]
        return given.reshape(-1, given.shape[-1])

    def logits(self, features: torch.Tensor) -> torch.Tensor:
        """float32 [places, vocabulary] from features [places, any]: what the model's own class makes of them."""
        if not self.halves:
            return features.float()
        import torch
        from transformers.modeling_outputs import BaseModelOutputWithPast

        given = BaseModelOutputWithPast(last_hidden_state=features[None])
        self.body.forward = lambda *_, **__: given  # the body has run already
        try:
            return (
                self.model(torch.zeros((1, 1), dtype=torch.long, device=self.device), use_cache=False).logits[0].float()
            )
        finally:
            del self.body.forward

    def chunks(self, places: int) -> Iterator[slice]:
        """Places in parts whose logits are small enough to be held several times over."""
        step = max(1, CHUNK // (4 * self.vocabulary))
        return (slice(at, min(at + step, places)) for at in range(0, places, step))


def read_tokens(tokens: torch.Tensor, windows: Sequence[Window], bos: int | None) -> torch.Tensor:
    """int64 [windows, n]: the tokens of windows of one shape.

    bos: put in the place of each window's first token, as llama.cpp does for a tokenizer that has one; None leaves
    the text as it is.
    """
    import torch

    rows = torch.stack([tokens[window.start : window.stop] for window in windows])
    if bos is not None:
        rows[:, 0] = bos
    return rows
