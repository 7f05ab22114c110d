"""How each golden layer is refused, or read all the same, once it was changed by a little: as before."""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import quantviz as qv
from quantviz.checkpoints.recognition import INSTEAD
from quantviz.sources.safetensors_header import DTYPES
from tests.checkpoints.golden import Case, files
from tests.checkpoints.in_memory import opened
from tests.checkpoints.test_as_before import kinds

ALIKE = {
    8: ("U8", "I8", "F8_E4M3", "F8_E8M0"), 16: ("F16", "BF16", "I16"), 32: ("F32", "I32", "U32"), 64: ("I64", "F64"),
}  # fmt: skip


def changes(case: Case) -> Iterator[tuple[str, str, Case]]:
    """(tensor, what, case), a tensor lost, of another type, or with an axis that is longer, shorter, lost or new."""
    for name, (dtype, shape, raw) in case.tensors.items():
        yield name, "lost", replace(case, tensors={n: t for n, t in case.tensors.items() if n != name})
        bits = DTYPES[dtype][1]
        for other in ALIKE.get(bits, ()):
            if other != dtype:
                yield name, other, replace(case, tensors=case.tensors | {name: (other, shape, raw)})
        shapes = [(*shape[:i], n, *shape[i + 1 :]) for i, m in enumerate(shape) for n in (m - 1, m + 1, 2 * m, m // 2)]
        for other in dict.fromkeys((*shapes, (int(np.prod(shape)),), (*shape, 1), (1, *shape))):
            nbytes = int(np.prod(other)) * bits // 8
            if other != tuple(shape) and nbytes:
                content = (raw * 2 + bytes(nbytes))[:nbytes]
                what = "×".join(map(str, other))
                yield name, what, replace(case, tensors=case.tensors | {name: (dtype, other, content)})
    yield "config", "lost", replace(case, config={})
    yield "metadata", "lost", replace(case, metadata={})


def outcome(case: Case) -> str:
    """The sentence that refuses a layer, less what all of them say, or as what it is read."""
    model = opened(case)
    names = [info.name for info in model.tensors if info.decoded]
    codes = [info.name for info in model.tensors if info.packed and info.packed.codes]
    try:
        stored = model.open((names + codes or [model.tensors[0].name])[0])
        return f"read as {stored.stored_as} {list(stored.shape)} {' '.join(stored.notices)}"
    except qv.QuantvizError as refused:
        return str(refused).rpartition("weights, and ")[2].removesuffix(f"; {INSTEAD}.")


@pytest.mark.parametrize("file", files())
def test_a_layer_that_was_changed_by_a_little_is_read_or_refused_as_before(file: str, kept: Callable) -> None:
    """Sentences that differ in nothing but numbers are kept as one of them and a sum of all."""
    for case in kinds(file, of_bits=False):
        found: dict[str, list[tuple[str, str]]] = {}
        for tensor, what, other in changes(case):
            said = outcome(other)
            found.setdefault(re.sub("[0-9,]+", "0", said), []).append((said, f"{_last(tensor)} {what}"))
        kept({first: f"{sum_of(alike)}: {', '.join(what for _, what in alike[:5])}"
              for alike in found.values() for first, _ in alike[:1]})  # fmt: skip


def sum_of(told: list) -> str:
    """What changes with any part of it."""
    return f"{zlib.crc32(repr(told).encode()):x}"


def settings(said: Any) -> Iterator[tuple[str, Any]]:
    """What an object says with each of its parts lost or said otherwise, down to the last."""
    for key, value in said.items():
        yield f"{key} lost", {k: v for k, v in said.items() if k != key}
        others: tuple = (None, "other", 0)
        if isinstance(value, bool):
            others = (not value, None)
        elif isinstance(value, int):
            others = (value + 1, 2 * value, value // 2, 0, -1, str(value), [value], True)
        elif isinstance(value, list):
            others = (value[::-1], value[:-1], [*value, 1], [n + 1 if type(n) is int else n for n in value], "other")
        for other in others:
            yield f"{key} {other}", said | {key: other}
        if isinstance(value, dict):
            yield from ((f"{key}.{what}", said | {key: inner}) for what, inner in settings(value))


def said_otherwise(case: Case) -> Iterator[tuple[str, Case]]:
    """Its config.json, the file's metadata and what tensors hold as JSON, each changed by a little."""
    for file, content in case.config.items():
        for what, other in settings(content):
            yield what, replace(case, config={**case.config, file: other})
    for key, text in case.metadata.items():
        yield f"{key} lost", replace(case, metadata={k: v for k, v in case.metadata.items() if k != key})
        if text.startswith("{"):
            for what, other in settings(json.loads(text)):
                yield what, replace(case, metadata={**case.metadata, key: json.dumps(other)})
    for name, (dtype, _, raw) in case.tensors.items():
        if raw.startswith(b'{"'):
            for what, other in settings(json.loads(raw)):
                made = json.dumps(other).encode()
                yield what, replace(case, tensors=case.tensors | {name: (dtype, (len(made),), made)})


@pytest.mark.parametrize("file", files())
def test_a_layer_of_which_something_else_is_said_is_read_or_refused_as_before(file: str, kept: Callable) -> None:
    for case in kinds(file, of_bits=False):
        found: dict[str, list[tuple[str, str]]] = {}
        for what, other in said_otherwise(case):
            said = outcome(other)
            found.setdefault(re.sub("[0-9,]+", "0", said), []).append((said, what))
        kept({first: f"{sum_of(alike)}: {len(alike)}, {what}"
              for alike in found.values() for first, what in alike[:1]})  # fmt: skip


def _last(name: str) -> str:
    return name.rpartition(".")[2]
