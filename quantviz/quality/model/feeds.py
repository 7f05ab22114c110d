"""What flows into a layer while a model reads: added up, and sampled."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from ...calibration.layer import HELD_OUT as ONE_OF
from ...calibration.layer import MOST_HELD_OUT, SAMPLE, Calibration
from ...calibration.moments import MomentSums
from .layers import Layer
from .loading import LanguageModel

if TYPE_CHECKING:
    import torch

_AT_ONCE = 1024  # rows of inputs
_PROBE = 4  # tokens


class Hooked(Protocol):
    """What listens to a module: a forward hook that runs before it."""

    def hook(self, module: Any, arguments: tuple, named: dict) -> None: ...


def watchable(model: Any, layers: Sequence[Layer]) -> list[tuple[Any, Layer]]:
    """Each layer that is a module's own weight and multiplies its input, with its module."""
    from torch import nn

    modules = dict(model.named_modules())
    pairs = [(modules.get(layer.path), layer) for layer in layers]
    return [(module, layer) for module, layer in pairs if module is not None and not isinstance(module, nn.Embedding)]


def input_of(arguments: tuple, named: dict, cols: int) -> torch.Tensor:
    """What a hook on a linear layer sees of its input: [tokens, cols]."""
    return (arguments[0] if arguments else next(iter(named.values()))).reshape(-1, cols)


@contextlib.contextmanager
def listening(pairs: Iterable[tuple[Any, Hooked]]) -> Iterator[None]:
    """A context in which each module tells its feed what it is given."""
    hooks = [module.register_forward_pre_hook(feed.hook, with_kwargs=True) for module, feed in pairs]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def windows_apart(windows: int) -> int:
    """How many of so many windows, the last ones, a calibration holds out: an eighth, and one where there are two."""
    return windows // ONE_OF or int(windows > 1)


class Feed:
    """The inputs of one layer: added up and sampled; once `apart` is set, only kept.

    every, every_apart: one input of so many is kept.
    """

    def __init__(self, cols: int, every: int, every_apart: int = 1) -> None:
        self.sums, self.apart = MomentSums(cols), False
        self._every = {False: every, True: every_apart}
        self._kept: dict[bool, list[np.ndarray]] = {False: [], True: []}
        self._seen = {False: 0, True: 0}

    @classmethod
    def of(cls, cols: int, tokens: int, tokens_apart: int) -> Feed:
        """For so many tokens."""
        return cls(cols, max(1, tokens // SAMPLE), max(1, tokens_apart // MOST_HELD_OUT))

    def hook(self, _module: Any, arguments: tuple, named: dict) -> None:
        x = input_of(arguments, named, self.sums.cols).float().cpu().numpy()
        if not self.apart:
            self.sums.add(x)
        self._kept[self.apart].append(x[-self._seen[self.apart] % self._every[self.apart] :: self._every[self.apart]])
        self._seen[self.apart] += len(x)

    def calibration(self, name: str = "") -> Calibration:
        """What was added up is given up: this can be done once."""
        return Calibration.summed(self.sums, self._rows(False, SAMPLE), self._rows(True, MOST_HELD_OUT), name)

    def _rows(self, apart: bool, most: int) -> np.ndarray:
        kept = self._kept[apart] or [np.empty((0, self.sums.cols), np.float32)]
        return np.concatenate(kept)[:most].copy()


class SquaresFeed:
    """Σx² of each input of a layer."""

    def __init__(self, cols: int) -> None:
        self.sums, self.tokens = np.zeros(cols), 0

    def hook(self, _module: Any, arguments: tuple, named: dict) -> None:
        x = input_of(arguments, named, len(self.sums))
        for at in range(0, len(x), _AT_ONCE):
            self.sums += x[at : at + _AT_ONCE].double().square().sum(0).cpu().numpy()
        self.tokens += len(x)

    def mean(self) -> np.ndarray:
        """E[x²], float32."""
        return (self.sums / self.tokens).astype(np.float32)


def same_inputs(opened: LanguageModel, modules: Mapping[Layer, Any]) -> dict[str, int]:
    """A number for each layer, by name, which those share that are given the very same inputs, as q, k and v are.

    Told from a few tokens. Layers that none of them reaches have no number. Within `inference`.
    """
    import torch

    seen: dict[tuple, tuple[int, Any]] = {}
    held, numbers = [], {}

    class Looking:
        def __init__(self, layer: Layer) -> None:
            self.layer = layer

        def hook(self, _module: Any, arguments: tuple, named: dict) -> None:
            x = input_of(arguments, named, self.layer.shape[1])
            key = x.data_ptr(), x.shape, x.stride()
            # What was seen is held, so that its place in memory is not given to another; its copy tells whether it
            # was written over.
            if key not in seen or not torch.equal(seen[key][1], x):
                held.append(x)
                seen[key] = len(held), x.clone()
            numbers[self.layer.name] = seen[key][0]

    probe = torch.arange(_PROBE)[None].to(opened.device)
    with listening((module, Looking(layer)) for layer, module in modules.items()):
        opened.model(probe, use_cache=False, logits_to_keep=1)
    return numbers
