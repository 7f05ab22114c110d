"""How every golden layer is read, part by part, and how each is refused that was changed by a little: as before."""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import pytest

import quantviz as qv
from quantviz.checkpoints.recognition import INSTEAD
from quantviz.sources.safetensors_header import DTYPES
from tests.checkpoints.golden import Case, files, load
from tests.checkpoints.in_memory import opened, seen

ALIKE = {
    8: ("U8", "I8", "F8_E4M3", "F8_E8M0"), 16: ("F16", "BF16", "I16"), 32: ("F32", "I32", "U32"), 64: ("I64", "F64"),
}  # fmt: skip


def kinds(file: str, of_bits: bool) -> Iterator[Case]:
    """The first of each kind of layer in a file; of_bits: whether other bits are another kind."""
    before = set()
    for case in load(file)[2]:
        stored = opened(case).open(case.weight)
        bits = stored.stored_as.split()[1] if of_bits else "config.json" in case.config
        kind = tuple(f.part for f in stored.layer.fields), tuple(stored.layer.parts), bits
        if kind not in before:
            before.add(kind)
            yield case


@pytest.mark.parametrize("file", files())
def test_a_layer_is_read_part_by_part_as_before(file: str, kept: Callable) -> None:
    kept({case.name: seen(opened(case).open(case.weight)) for case in kinds(file, of_bits=True)})


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
        kept([
            f"{alike[0][0]} {zlib.crc32(repr(alike).encode()):x}: {', '.join(what for _, what in alike[:5])}"
            for alike in found.values()
        ])  # fmt: skip


def _last(name: str) -> str:
    return name.rpartition(".")[2]
