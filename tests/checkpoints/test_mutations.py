"""Packed layers of every golden, changed at random: each is read, or refused in a sentence."""

from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import quantviz as qv
from quantviz.sources.safetensors_header import DTYPES
from tests.checkpoints.golden import Case, Tensors, files, load

ROUNDS = 12  # changes a format


def _shape(rng: np.random.Generator, size: int) -> tuple[int, ...]:
    """A random one of so many elements."""
    shape: list[int] = []
    while rng.random() < 0.7 and len(shape) < 3:
        divisors = [d for d in range(1, min(size, 300) + 1) if size % d == 0]
        shape.append(int(rng.choice(divisors)))
        size //= shape[-1]
    return (*shape, size)


def _changed(rng: np.random.Generator, tensors: Tensors) -> Tensors:
    """One tensor left out, shortened, of another type or shape, or of random bytes."""
    name = str(rng.choice(list(tensors)))
    dtype, shape, content = tensors[name]
    match int(rng.integers(5)):
        case 0:
            return {other: tensor for other, tensor in tensors.items() if other != name}
        case 1:
            size = max(1, len(content) * 8 // DTYPES[dtype][1] // 2)
            changed = dtype, (size,), content[: size * DTYPES[dtype][1] // 8]
        case 2:
            same = [other for other, (_, bits) in DTYPES.items() if bits == DTYPES[dtype][1]]
            changed = str(rng.choice(same)), shape, content
        case 3:
            changed = dtype, _shape(rng, int(np.prod(shape))), content
        case _:
            changed = dtype, shape, rng.bytes(len(content))
    return tensors | {name: changed}


def _mutated(rng: np.random.Generator, case: Case) -> Case:
    tensors = dict(case.tensors)
    for _ in range(int(rng.integers(1, 4))):
        if tensors:
            tensors = _changed(rng, tensors)
    config = case.config if rng.random() < 0.7 else {}
    metadata = case.metadata if rng.random() < 0.8 else {}
    return replace(case, tensors=tensors, config=config, metadata=metadata)


@pytest.mark.parametrize("file", files())
def test_a_layer_that_was_changed_is_read_or_refused_in_a_sentence(tmp_path: Path, file: str) -> None:
    rng, cases = np.random.default_rng(0), load(file)[2]
    for number in range(ROUNDS):
        case = _mutated(rng, cases[int(rng.integers(len(cases)))])
        model = qv.open_model(case.write(tmp_path / str(number)))
        for info in model.tensors:
            try:
                with warnings.catch_warnings(), np.errstate(all="ignore"):
                    warnings.simplefilter("ignore")
                    found = model.load(info.name)
                assert found.shape == info.shape and found.dtype == np.float32
            except qv.QuantvizError as refused:
                assert "\n" not in str(refused)
