"""The roofline: how many tokens a second memory allows, computed from bandwidth and bytes; and what bounds a workload.

To write one token a model reads all its weights once, so tokens/s cannot exceed bandwidth over bytes. The ceiling
leaves out all else that is read: activations, which are few, and the cache of keys and values, which grows with the
context and may outweigh the weights in a long one. So a measurement stays below it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ..errors import QuantvizError
from ..schemes import Scheme
from ..text.wording import share, size
from .multiply import CASTS
from .results import MULTIPLIES, Card, Measurement
from .shapes import ModelShape


@dataclass(frozen=True)
class Device:
    """A device by its data sheet. bytes_per_s: of its memory, as the maker states it.  source: where that stands."""

    name: str
    bytes_per_s: float
    memory_bytes: int
    source: str


def _device(name: str, gigabytes_per_s: float, gigabytes: int, source: str) -> Device:
    return Device(name, gigabytes_per_s * 1e9, gigabytes * 10**9, source)


_NVIDIA, _IMAGES = "https://www.nvidia.com/en-us", "https://images.nvidia.com/aem-dam/Solutions/geforce"
_APPLE = "https://www.apple.com/newsroom"
# fmt: off
DEVICES = (
    _device("B200", 8000, 180, f"{_NVIDIA}/data-center/dgx-b200/"),
    _device("MI300X", 5300, 192, "https://www.amd.com/en/products/accelerators/instinct/mi300/mi300x.html"),
    _device("H200", 4800, 141, f"{_NVIDIA}/data-center/h200/"),
    _device("H100 SXM", 3350, 80, f"{_NVIDIA}/data-center/h100/"),
    _device("A100 80 GB SXM", 2039, 80, f"{_NVIDIA}/data-center/a100/"),
    _device("RTX 5090", 1792, 32, f"{_IMAGES}/blackwell/nvidia-rtx-blackwell-gpu-architecture.pdf"),
    _device("RTX 4090", 1008, 24, f"{_IMAGES}/ada/nvidia-ada-gpu-architecture.pdf"),
    _device("M4 Max", 546, 128, f"{_APPLE}/2024/10/apple-introduces-m4-pro-and-m4-max/"),
    _device("M1 Max", 400, 64,
            f"{_APPLE}/2021/10/introducing-m1-pro-and-m1-max-the-most-powerful-chips-apple-has-ever-built/"),
    _device("L4", 300, 24, f"{_NVIDIA}/data-center/l4/"),
)
# fmt: on


@dataclass(frozen=True)
class Ceiling:
    """Tokens a second that a device's memory allows; always computed.

    measured: whether the bandwidth was, as it is for the device of a run; else it is the data sheet's.
    fits: whether the model's linear layers fit its memory at all; None where that is not known.
    """

    device: str
    scheme: str
    tokens_per_s: float
    bytes_per_token: float
    bytes_per_s: float
    fits: bool | None
    measured: bool
    source: str


def bytes_per_token(model: ModelShape, scheme: str | Scheme, batch: int = 1) -> float:
    """Bytes of weights that are read for one token: all of them, shared by the tokens of a batch.

    Raises QuantvizError for a scheme that cannot be applied to some layer.

    >>> from quantviz.throughput import PRESETS
    >>> [round(bytes_per_token(PRESETS["8b"], key) / 1e9, 1) for key in ("bf16", "int4-sym-b64")]
    [15.0, 4.0]
    """
    s = Scheme.parse(scheme)
    for layer in model.layers:
        s.check_shape(layer.rows, layer.cols)
    bits = sum(s.bits_stored((layer.rows, layer.cols)) * layer.count for layer in model.layers)
    return bits / 8 / batch


def without_ceiling(model: ModelShape, schemes: Iterable[str]) -> dict[str, str]:
    """The schemes that cannot be applied to some layer of a model, and why."""
    found = {}
    for key in schemes:
        try:
            bytes_per_token(model, key)
        except QuantvizError as problem:
            found[key] = str(problem)
    return found


def ceilings(model: ModelShape, schemes: Iterable[str], card: Card | None = None, batch: int = 1) -> list[Ceiling]:
    """A ceiling a device and scheme; this device first, once its bandwidth is measured.

    A scheme's bytes are those it stores; what a kernel pads beside them makes it slower than its ceiling. Schemes that
    `without_ceiling` names are left out.
    """
    keys = dict.fromkeys(Scheme.parse(s).key for s in schemes)
    keys = [key for key in keys if key not in without_ceiling(model, keys)]
    here = best_bandwidth(card) if card else None
    rows: list[tuple[str, float, int | None, bool, str]] = []
    if card and here:
        rows.append((card.name, here, card.memory_bytes, True, "measured in this run"))
    rows += [(d.name, d.bytes_per_s, d.memory_bytes, False, d.source) for d in DEVICES]
    taken, found = {key: bytes_per_token(model, key, batch) for key in keys}, []
    for name, bandwidth, memory, measured, source in rows:
        for key, each in taken.items():
            fits = None if memory is None else each * batch <= memory
            found.append(Ceiling(name, key, bandwidth / each, each, bandwidth, fits, measured, source))
    return found


def best_bandwidth(card: Card) -> float | None:
    """The larger of what was copied and what was read a second: a step that multiplies only reads."""
    return max((b for b in (card.copy_bytes_per_s, card.read_bytes_per_s) if b), default=None)


# -- what bounds a workload --------------------------------------------------------------------

MEMORY_BOUND = 0.7  # share of the bandwidth above which memory is what limits
CACHED = 1.3  # share of the bandwidth that memory alone cannot give, drift between two measurements allowed
BOTH = 0.35  # and below which it is not
SHORT = 20e-6  # seconds a layer: what it takes to start a kernel is then no small part
_MANY_TOKENS = 16  # a weight read once is then multiplied so often that arithmetic counts


def bound(m: Measurement, card: Card) -> str:
    """What bounds a measured line, in one sentence."""
    if m.correct is False:
        return "Its result failed the check, so no time stands."
    bandwidth = best_bandwidth(card)
    if m.bytes_per_s is None or m.median_s is None or not bandwidth:
        return "Not measured yet."
    used = m.bytes_per_s / bandwidth
    how = "reading" if bandwidth == card.read_bytes_per_s else "copying"
    moved = f"{size(m.bytes_per_s)}/s, {share(used)} of the {size(bandwidth)}/s that memory gives in {how}"
    if used > CACHED:
        return f"A cache serves part of it: it moves {moved}; only a larger shape would show its memory."
    if used >= MEMORY_BOUND:
        if m.workload in MULTIPLIES:
            return f"Memory bounds it: it moves {moved}, so only fewer bits a weight would make it faster."
        return f"Memory bounds it: it moves {moved}."
    if m.workload in MULTIPLIES and (m.batch or 1) >= _MANY_TOKENS:
        return f"Arithmetic bounds it: {m.batch} tokens use each weight that is read, and it moves {moved}."
    if m.products and m.median_s / m.products < SHORT:
        return f"Starting its layers bounds it: each takes less than {SHORT * 1e6:.0f} µs, and it moves {moved}."
    reason = _work(m)
    if used >= BOTH:
        return f"Memory and arithmetic bound it together: it moves {moved}; {reason} takes the rest."
    return f"Arithmetic bounds it, not memory: it moves {moved}; {reason} takes the time."


def _work(m: Measurement) -> str:
    """What a processor does with each weight, beside moving it."""
    if m.workload in MULTIPLIES:
        return "the product itself" if m.scheme in CASTS else "unpacking and multiplying"
    return {
        "quantize": "turning weights into codes", "dequantize": "turning codes into weights",
        "evaluate": "rounding and adding up errors",
    }[m.workload]  # fmt: skip
