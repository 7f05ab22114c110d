"""A figure as bytes for a browser: its arrays in binary, each once, and the rest as JSON."""

from __future__ import annotations

import json
import math
import zlib
from typing import Any

import numpy as np
import plotly.graph_objects as go

REFERENCE = "$"
ALIGNED = 8  # bytes: every array begins at a multiple of this
STEPS = 255  # of a heat map's colours: a screen shows no more shades
NEAR = 1e-4  # of the mean distance between numbers: what float32 may move one of them by
# The kinds of array a browser has, by NumPy's names; others are widened to one of them, or written as JSON.
KINDS = {"f4", "f8", "i1", "u1", "i2", "u2", "i4", "u4"}


def to_bytes(fig: go.Figure, **facts: Any) -> bytes:
    """The figure, and what else a browser is told of it.

    4 bytes: how many follow; and by zlib: 4 bytes, the length of the JSON; the JSON {"data", "layout", **facts}; then
    the arrays. All lengths and numbers are little-endian.
    Where an array stood, the JSON has {"$": [kind, offset, length]}, with "columns" where it has two dimensions: no
    property of Plotly has that name.
    The offset counts from the end of the JSON, filled up with spaces to a multiple of 8 bytes. A heat map whose values
    are not shown on hovering is sent in 255 steps: {"from": zmin, "step": …} beside its array of whole numbers.
    Numbers that JSON has no word for are null: Plotly leaves a gap.
    """
    arrays = _Arrays()
    told = {"data": [arrays.of(_in_steps(trace)) for trace in fig._data], "layout": arrays.of(_drawn(fig)), **facts}
    head = json.dumps(told, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()
    head += b" " * (-(4 + len(head)) % ALIGNED)
    # At level 1: two thirds of the bytes go in a fifth of a millisecond; the last few would take ten times as long.
    whole = len(head).to_bytes(4, "little") + head + b"".join(arrays.parts)
    return len(whole).to_bytes(4, "little") + zlib.compress(whole, 1)


def from_bytes(sent: bytes) -> dict[str, Any]:
    """What `to_bytes` was given, as a browser reads it: arrays as NumPy arrays.

    >>> fig = go.Figure(go.Scatter(y=np.float32([1, 2])), {"template": "none"})
    >>> from_bytes(to_bytes(fig, alt="a line"))
    {'data': [{'y': array([1., 2.], dtype=float32), 'type': 'scatter'}], 'layout': {}, 'alt': 'a line'}
    """
    sent = zlib.decompress(sent[4:])
    start = 4 + int.from_bytes(sent[:4], "little")

    def read(found: dict) -> Any:
        if REFERENCE not in found:
            return found
        kind, offset, length = found[REFERENCE]
        array = np.frombuffer(sent, f"<{kind}", length, start + offset)
        if "step" in found:
            array = (found["from"] + found["step"] * array).astype(np.float32)
        return array.reshape(-1, found["columns"]) if "columns" in found else array

    return json.loads(sent[4:start], object_hook=read)


def _drawn(fig: go.Figure) -> dict:
    """The layout without what the page has of its own (a theme), and what is no part of the drawing."""
    return {name: value for name, value in fig._layout.items() if name not in ("template", "meta")}


def _in_steps(trace: dict) -> dict:
    """A heat map whose colours alone are seen, ready to be sent in steps."""
    z = trace.get("z")
    if trace.get("type") != "heatmap" or trace.get("hoverinfo") != "skip" or not isinstance(z, np.ndarray):
        return trace
    low, high = trace.get("zmin"), trace.get("zmax")
    if low is None or high is None or not low < high or not np.isfinite(z).all():
        return trace
    step = (high - low) / STEPS
    return trace | {"z": _Stepped(np.rint((np.clip(z, low, high) - low) / step).astype(np.uint8), low, step)}


class _Stepped:
    def __init__(self, steps: np.ndarray, low: float, step: float) -> None:
        self.steps, self.low, self.step = steps, low, step


class _Arrays:
    """Collects the arrays of a figure, each once however often it is used."""

    def __init__(self) -> None:
        self.parts: list[bytes] = []
        self._length = 0
        self._known: dict[tuple[str, bytes], int] = {}

    def of(self, value: Any) -> Any:
        """`value` with a reference in place of every array."""
        if isinstance(value, str) or value is None or isinstance(value, bool):
            return value
        if isinstance(value, dict):
            return {name: self.of(inner) for name, inner in value.items()}
        if isinstance(value, list | tuple):
            return [self.of(inner) for inner in value]
        if isinstance(value, np.ndarray):
            return self._array(value)
        if isinstance(value, _Stepped):
            return self._array(value.steps) | {"from": value.low, "step": value.step}
        if isinstance(value, np.generic):
            value = value.item()
        return None if isinstance(value, float) and not math.isfinite(value) else value

    def _array(self, array: np.ndarray) -> Any:
        array = _narrowed(array)
        if array.dtype.str[1:] not in KINDS or not 1 <= array.ndim <= 2 or not array.size:
            return self.of(array.tolist())
        data = np.ascontiguousarray(array, array.dtype.newbyteorder("<")).tobytes()
        kind = array.dtype.str[1:]
        if (kind, data) not in self._known:
            self._known[kind, data] = self._length
            data_and_gap = data + b"\0" * (-len(data) % ALIGNED)
            self.parts.append(data_and_gap)
            self._length += len(data_and_gap)
        found = {REFERENCE: [kind, self._known[kind, data], array.size]}
        return found if array.ndim == 1 else found | {"columns": array.shape[1]}


def _narrowed(array: np.ndarray) -> np.ndarray:
    """In as few bytes as the eye needs: float32 where that moves no number by more than NEAR, whole numbers exactly."""
    if array.dtype.kind in "iu" and array.size:
        low, high = int(array.min()), int(array.max())
        for kind in ("u1", "i1", "u2", "i2", "i4", "u4"):
            limits = np.iinfo(kind)
            if limits.min <= low and high <= limits.max:
                return array.astype(kind)
        return array.astype(np.float64)
    if array.dtype == np.float16:
        return array.astype(np.float32)
    if array.dtype == np.float64 and array.size and np.isfinite(array).all():
        with np.errstate(over="ignore"):
            small = array.astype(np.float32)
        if np.abs(small - array).max() <= NEAR * np.ptp(array) / array.size:
            return small
    return array
