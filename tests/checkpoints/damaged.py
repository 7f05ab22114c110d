"""Packed layers of the goldens with something changed, to see how they are told or refused."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import quantviz as qv
from tests.checkpoints.golden import Case, Tensors, load

BYTES = {"F32": 4, "F16": 2, "BF16": 2, "I64": 8, "I32": 4, "U32": 4}


def case_of(file: str, name: str) -> Case:
    """The case of that name, or the first whose name begins so."""
    return next(case for case in load(file)[2] if case.name.startswith(name))


def empty(dtype: str, *shape: int) -> tuple[str, tuple[int, ...], bytes]:
    """A tensor of zeros."""
    return dtype, shape, bytes(int(np.prod(shape)) * BYTES.get(dtype, 1))


def changed(
    case: Case, tensors: Tensors | None = None, without: tuple[str, ...] = (), config: Mapping[str, Any] | None = None,
    metadata: Mapping[str, str] | None = None,
) -> Case:  # fmt: skip
    """With some tensors put in their places, some left out, and another config.json or other metadata."""
    kept = {name: tensor for name, tensor in case.tensors.items() if not name.endswith(without or ("\0",))}
    return replace(
        case, tensors=kept | (tensors or {}), config=case.config if config is None else {"config.json": config},
        metadata=case.metadata if metadata is None else metadata,
    )  # fmt: skip


def refusal(folder: Path, case: Case) -> str:
    """The sentence with which its weight is refused, whether in its listing or when it is read."""
    model = qv.open_model(case.write(folder))
    weights = [info for info in model.tensors if info.holds_weights and info.decoded]
    codes = weights[0].name if weights else next(i.name for i in model.tensors if i.packed and i.packed.codes)
    with pytest.raises(qv.QuantvizError) as refused:
        model.load(codes)
    said = str(refused.value)
    assert "\n" not in said and len(said) < 700
    return said
