"""What is quantized alone: one tensor, all tensors of one role, or all of one layer."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, get_args

from ..checkpoints.names.fused import canonical
from ..checkpoints.names.roles import role
from ..errors import QuantvizError, did_you_mean
from ..quality.model.layers import Layer

By = Literal["tensor", "role", "layer"]
BY: tuple[By, ...] = get_args(By)
_IN_LAYER = re.compile(r"blk\.([0-9]+)\.")


@dataclass(frozen=True, eq=False)
class Unit:
    """Tensors that are quantized together while all others are as stored."""

    name: str
    layers: tuple[Layer, ...]

    @property
    def weights(self) -> int:
        return sum(layer.weights for layer in self.layers)


def unit_of(tensor: str, by: By) -> str:
    """The name of the unit that a tensor belongs to, whoever named the tensor.

    >>> unit_of("model.layers.3.mlp.up_proj.weight", "role"), unit_of("blk.3.ffn_up.weight", "layer")
    ('mlp up', 'layer 3')
    >>> unit_of("lm_head.weight", "layer"), unit_of("lm_head.weight", "tensor")
    ('head', 'lm_head.weight')
    """
    if by == "tensor":
        return tensor
    found = _IN_LAYER.match(canonical(tensor).name) if by == "layer" else None
    return f"layer {int(found[1])}" if found else role(tensor)


def check_by(by: str) -> None:
    """Raises QuantvizError for what models are not divided by."""
    if by not in BY:
        raise QuantvizError(f"by={by!r} divides no model; choose {', '.join(BY)}.{did_you_mean(str(by), BY)}")


def units(layers: Iterable[Layer], by: By) -> tuple[Unit, ...]:
    """The units of a model, in its own order; every layer is in one."""
    found: dict[str, list[Layer]] = {}
    for layer in layers:
        found.setdefault(unit_of(layer.name, by), []).append(layer)
    return tuple(Unit(name, tuple(together)) for name, together in found.items())
