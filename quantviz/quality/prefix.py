"""The part of a network before the first layer that changes, run once for all that changes after it.

Where one decoder layer of thirty differs from the stored model, all before it give what they always gave. So the
hidden states that enter one layer are kept for the whole passage, and the layers before it are left out: the model's
own code runs, with those layers giving back what is kept. The figures are the same to the last bit.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from ..machine.memory import available
from .model.layers import Layer
from .reading import Reading

if TYPE_CHECKING:
    import torch

_SHARE = 4  # hidden states may take a quarter of the memory that is free
_PROBE = 8  # tokens


class Prefix:
    """The hidden states that enter decoder layer `depth`, of every batch of a passage.

    `advance` runs the layers up to another depth, as they are then. Made, as all of this, within
    `inference` and while the model has its own weights. Where a model's layers cannot be told, do not run one after
    the other or hand on more than hidden states, or where those would not fit in memory, depth stays 0, and every
    layer runs each time.
    """

    def __init__(self, reading: Reading) -> None:
        self.depth, self.reading = 0, reading
        self._entries: list[Any] = []  # a batch each: what the layer before `depth` gave
        self.path, self.blocks = _decoder_layers(reading)
        self.count = len(self.blocks)
        if self.blocks and not (self._agrees() and self._fits()):
            self.blocks = ()

    def depth_of(self, layer: Layer) -> int:
        """How many decoder layers come before all that these weights have a part in."""
        names = [
            name
            for name, parameter in self.reading.opened.model.named_parameters(remove_duplicate=False)
            if parameter is layer.parameter
        ]
        places = [self._place_of(name, layer) or 0 for name in names]
        return min(places, default=0) if self.blocks else 0

    def place_of(self, layer: Layer) -> int | None:
        """The number of the decoder layer that a layer of this name lies in, their count for the output head; None
        for other parts, of which nobody knows where they come in, and where decoder layers cannot be told.
        """
        return self._place_of(layer.name, layer)

    def _place_of(self, name: str, layer: Layer) -> int | None:
        if self.path and name.startswith(self.path + "."):
            return int(name[len(self.path) + 1 :].partition(".")[0])
        body = self.path.partition(".")[0]
        return self.count if self.path and "head" in layer.kinds and not name.startswith(f"{body}.") else None

    def features(self, number: int) -> torch.Tensor:
        """`Reading.features`, with the first `depth` decoder layers left out."""
        with self.left_out(number):
            return self.reading.features(number)

    def advance(self, depth: int, told: Callable[[int, int], None] | None = None) -> None:
        """Keeps what enters decoder layer `depth` from now on."""
        if depth <= self.depth:
            return
        found = []
        for number in range(len(self.reading.batches)):
            found.append(self._leaving(depth, lambda number=number: self.features(number)))
            if self._entries:
                self._entries[number] = None  # so that there is hardly more than one layer's at a time
            if told:
                told(number + 1, len(self.reading.batches))
        self.depth, self._entries = depth, found

    def run_next(self, told: Callable[[int, int], None] | None = None) -> None:
        """Decoder layer `depth` runs on what enters it, for those who listen to its parts; nothing is kept."""
        for number in range(len(self.reading.batches)):
            self._leaving(self.depth + 1, lambda number=number: self.features(number))
            if told:
                told(number + 1, len(self.reading.batches))

    def left_out(self, number: int) -> contextlib.AbstractContextManager[None]:
        """A context in which the first `depth` decoder layers give what they gave for a batch, without running."""
        return self._leaving_out(self._entries[number] if self.depth else None, self.depth)

    def forget(self) -> None:
        """Every layer runs again."""
        self.depth, self._entries = 0, []

    def _leaving(self, depth: int, run: Callable[[], Any]) -> Any:
        """What decoder layer `depth` - 1 gives while `run` runs; the layers behind it do not."""
        given: list[Any] = []
        hook = self.blocks[depth - 1].register_forward_hook(lambda _module, _arguments, output: given.append(output))
        try:
            with replaced(self.blocks[depth:], lambda *_, **__: given[-1]):
                run()
        finally:
            hook.remove()
        return given[-1]

    def _leaving_out(self, entry: Any, depth: int) -> contextlib.AbstractContextManager[None]:
        return replaced(self.blocks[:depth], lambda *_, **__: entry)

    def _agrees(self) -> bool:
        """Whether leaving out the first layers, however many, changes no bit for a few tokens."""
        import torch

        predictor, probe = self.reading.predictor, torch.arange(_PROBE)[None]
        run = lambda: predictor.features(probe, _PROBE - 1)  # noqa: E731
        try:
            whole = run()
            for depth in range(1, len(self.blocks) + 1):
                entry = self._leaving(depth, run)
                with self._leaving_out(entry, depth):
                    if not torch.equal(run(), whole):
                        return False
            self._bytes = _nbytes(entry) / _PROBE
        except Exception:  # layers that call each other in a way of their own: all of them run each time
            return False
        return True

    def _fits(self) -> bool:
        tokens = sum(window.length for window in self.reading.passage.windows)
        free = available(self.reading.opened.device)
        return free is None or _SHARE * tokens * self._bytes <= free


def _decoder_layers(reading: Reading) -> tuple[str, Sequence[Any]]:
    """The path of the list of decoder layers in the model, and the layers; nothing where it cannot be told."""
    from torch import nn

    model = reading.opened.model
    count = getattr(model.config.get_text_config(), "num_hidden_layers", None)
    lists = [
        (path, tuple(module))
        for path, module in model.named_modules()
        if isinstance(module, nn.ModuleList) and len(module) == count and path.startswith(f"{model.base_model_prefix}.")
    ]
    outermost = [(path, found) for path, found in lists if not any(path.startswith(f"{other}.") for other, _ in lists)]
    return outermost[0] if len(outermost) == 1 else ("", ())


def _nbytes(output: Any) -> int:
    """Of a tensor or a tuple of them."""
    return sum(map(_nbytes, output)) if isinstance(output, tuple) else output.nbytes


@contextlib.contextmanager
def replaced(blocks: Sequence[Any], forward: Callable[..., Any]) -> Iterator[None]:
    """A context in which modules give what `forward` does."""
    for block in blocks:
        block.forward = forward
    try:
        yield
    finally:
        for block in blocks:
            block.__dict__.pop("forward", None)
