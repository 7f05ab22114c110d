"""What config.json says of weights in the words of compressed-tensors and ModelOpt; whatever is malformed says nothing.

Which layers a group of a scheme is for is said by names and regular expressions, which are not believed: what is said
is compared with the tensors of a layer, and only what all groups agree on can contradict them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Claim:
    """Of one group of layers. bits, width: 0 where nothing is said; width is that of a group along the inputs."""

    bits: int = 0
    width: int = 0
    symmetric: bool = True
    in_order: bool = True
    block: tuple[int, int] | None = None


def claims(settings: Mapping[str, Any]) -> tuple[Claim, ...]:
    """What config_groups of compressed-tensors says, a claim a group.

    >>> claims({"config_groups": {"group_0": {"weights": {"num_bits": 4, "group_size": 32, "symmetric": False}}}})
    (Claim(bits=4, width=32, symmetric=False, in_order=True, block=None),)
    """
    return tuple(
        Claim(
            _count(said.get("num_bits")), _count(said.get("group_size")), said.get("symmetric") is not False,
            said.get("actorder") not in (True, "group"), _pair(said.get("block_structure")),
        )
        for said in _weights(settings)
    )  # fmt: skip


def says_asymmetric(settings: Mapping[str, Any]) -> bool:
    """Whether every group is said to have zero points."""
    found = claims(settings)
    return bool(found) and not any(claim.symmetric for claim in found)


def says_ordered(settings: Mapping[str, Any]) -> bool:
    """Whether every group is said to have its inputs in an order of their own."""
    found = claims(settings)
    return bool(found) and not any(claim.in_order for claim in found)


def block_structures(settings: Mapping[str, Any]) -> list[tuple[int, int]]:
    """The tiles that any group is said to have, (height, width)."""
    return [claim.block for claim in claims(settings) if claim.block]


def group_size(settings: Mapping[str, Any]) -> int:
    """ModelOpt's group_size; 0 where none is said."""
    return _count(settings.get("group_size"))


def _weights(settings: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    groups = settings.get("config_groups")
    for group in list(groups.values())[:64] if isinstance(groups, Mapping) else ():
        said = group.get("weights") if isinstance(group, Mapping) else None
        if isinstance(said, Mapping):
            yield said


def _count(said: Any) -> int:
    return said if type(said) is int and 0 < said < 2**31 else 0


def _pair(said: Any) -> tuple[int, int] | None:
    sides = tuple(map(_count, said)) if isinstance(said, list) and len(said) == 2 else ()
    return sides if sides and all(sides) else None
