"""What all workloads need: weights to measure with, the device's engine, and a check of memory before its use."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import QuantvizError
from ..kernels.engines import verbs
from ..kernels.results import Quantized
from ..schemes import Scheme
from ..text.wording import size
from .devices import NAMES, engine_of, has_bf16, memory_of, torch_device
from .results import Card
from .timing import COLD

MOST_OF_FREE = 0.9  # share of the free memory that may be taken; allocators and compilers need the rest
SPREAD = np.float32(0.02)  # standard deviation of the weights, as in a layer of a language model
OUTLIERS, OUTLIER = 0.001, np.float32(20)  # share of weights that are this many times as large
_PERIOD = (1 << 22) - 3  # weights drawn; longer tensors repeat them, and a prime keeps rows from being alike


class TooLarge(QuantvizError):
    """More memory than there is."""


class Stopped(Exception):
    """The run was cancelled."""


@dataclass(frozen=True)
class Bench:
    """The device of a run. `card` as it was at the beginning."""

    device: str
    card: Card
    cancel: threading.Event

    def check(self) -> None:
        if self.cancel.is_set():
            raise Stopped

    @property
    def torch_device(self) -> str:
        return torch_device(self.device)

    @property
    def held_bytes(self) -> int:
        """How much of a model's weights is held, so that a step finds none of them in a cache.

        A GPU has room for more, which leaves its tables of addresses no easier than the whole model would.
        """
        most = 0 if self.device != "cuda" else (self.card.free_bytes or 0) // 32
        return max(COLD * self.card.cache_bytes, most)

    def ask(self, nbytes: int, what: str, fits: Callable[[int], str | None]) -> None:
        """Raises TooLarge if `nbytes` are not available now.

        fits: names what would fit in the bytes that are available; None for nothing.
        """
        free = memory_of(self.device)[1]
        if free is None or nbytes <= MOST_OF_FREE * free:
            return
        instead = fits(int(MOST_OF_FREE * free))
        raise TooLarge(
            f"{what} needs {size(nbytes)}, and of this {NAMES[self.device]}'s memory {size(free)} are free"
            f"{f'; {instead} would fit' if instead else ''}."
        )

    def host_weights(self, rows: int, cols: int) -> np.ndarray:
        """float32 [rows, cols] in the host's memory, the same on every run."""
        return np.resize(_drawn(), (rows, cols))

    def weights(self, rows: int, cols: int) -> Any:
        """The same as the engine takes them: float32 on the CPU, in 16 bit on a CUDA device."""
        host = self.host_weights(rows, cols)
        if self.device == "cpu":
            return host
        import torch

        return torch.from_numpy(host).to(self.torch_device, self.engine_dtype)

    @property
    def engine_dtype(self) -> Any:
        """Of the tensors that quantize and evaluate read."""
        import torch

        if self.device != "cuda":
            return torch.float32
        return torch.bfloat16 if has_bf16(self.device) else torch.float16

    @property
    def engine_itemsize(self) -> int:
        return 2 if self.device == "cuda" else 4

    # -- the engine ----------------------------------------------------------------------------

    def quantize(self, w: Any, scheme: Scheme) -> Quantized:
        return self._engine.quantize(self._engine.take(w), scheme)

    def dequantize(self, q: Quantized) -> Any:
        return self._engine.dequantize(q)

    def measure(self, w: Any, scheme: Scheme) -> Any:
        """The sums of one pass, which are what `evaluate` waits for."""
        return self._engine.measure(self._engine.take(w), scheme).sums

    @property
    def _engine(self) -> Any:
        return verbs(engine_of(self.device))

    def release(self) -> None:
        """Gives back what torch keeps of the device's memory, once nothing refers to it."""
        import gc

        import torch

        gc.collect()
        if self.device in ("cuda", "xpu", "mps"):
            module = getattr(torch, self.device)
            module.synchronize()
            module.empty_cache()


_pool: list[np.ndarray] = []


def _drawn() -> np.ndarray:
    if not _pool:
        rng = np.random.default_rng(0)
        w = rng.standard_normal(_PERIOD, dtype=np.float32) * SPREAD
        w[rng.random(_PERIOD, dtype=np.float32) < OUTLIERS] *= OUTLIER
        _pool.append(w)
    return _pool[0]


@contextlib.contextmanager
def device_errors(device: str, what: str) -> Iterator[None]:
    """A context that turns the device's errors into sentences: no memory left, a kernel that will not start."""
    try:
        yield
    except QuantvizError:
        raise
    except Exception as problem:
        if ran_out(problem):
            raise TooLarge(
                f"{what} ran out of memory on this {NAMES[device]}: something else took it meanwhile; "
                "close that, or choose a smaller shape."
            ) from None
        foreign = isinstance(problem, RuntimeError) or type(problem).__module__.partition(".")[0] == "triton"
        if torch_device(device) == "cpu" or not foreign:
            raise
        said = " ".join(str(problem).split())[:200].rstrip(".")
        raise QuantvizError(f"{what} failed on this {NAMES[device]}: {said}.") from None


def ran_out(problem: Exception) -> bool:
    """Whether an error says that memory ran out: Python's, NumPy's, torch's on the CPU or on a device."""
    if isinstance(problem, MemoryError) or type(problem).__name__ == "OutOfMemoryError":
        return True
    return isinstance(problem, RuntimeError) and (
        "can't allocate memory" in str(problem) or "out of memory" in str(problem).lower()
    )
