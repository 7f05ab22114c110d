"""What config.json says of bits, groups and rotations, for all layers or for some, held against one layer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

# Where settings of single layers stand: GPTQModel's and auto-round's, by name or pattern.
_OVERRIDES = ("dynamic", "extra_config")
_ROTATIONS = ("rotation_config", "spinquant_config")  # auto-round, algorithms/transforms
_MOST = 10_000  # overrides that are looked at
BITS, GROUP = ("bits", "w_bit"), ("group_size", "q_group_size")


def claims(settings: Mapping[str, Any], names: tuple[str, ...]) -> tuple[int, ...]:
    """The numbers that config.json gives under any of `names`, each once: those for all layers first.

    >>> claims({"bits": 4, "dynamic": {"+:.*down.*": {"bits": 8}}}, BITS)
    (4, 8)
    """
    found = (place.get(name) for place in islice(_places(settings), _MOST) for name in names)
    return tuple(dict.fromkeys(number for number in found if type(number) is int))


def _places(settings: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield settings
    for key in _OVERRIDES:
        overrides = settings.get(key)
        for each in overrides.values() if isinstance(overrides, Mapping) else ():
            if isinstance(each, Mapping):
                yield each


def group_width(inputs: int, groups: int, said: tuple[int, ...]) -> int:
    """How many inputs share a scale where `groups` of them follow each other; 0 where nothing tells.

    said: the lengths that config.json gives, -1 for a whole row. What does not fit the shapes counts for nothing.
    """
    for width in said:
        width = inputs if width == -1 else width
        if width > 0 and -(-inputs // width) == groups:
            return width
    return 0 if inputs % groups else inputs // groups


def told(settings: Mapping[str, Any], bits: int, width: int, inputs: int) -> tuple[str, ...]:
    """A sentence for each number of config.json that the shapes deny, and for a rotation.

    width: of a group, 0 where nothing tells.  inputs: of a row.
    """
    notices = [
        f"config.json says that inputs are rotated ({name}): these weights are those of the rotated model."
        for name in _ROTATIONS
        if settings.get(name)
    ]
    said = claims(settings, BITS)
    if said and bits not in said:
        notices.append(f"config.json says {_either(said)} bits, and the shapes are those of {bits}: they decide.")
    said = claims(settings, GROUP)
    if width and said and width not in said and not (width >= inputs and (-1 in said or max(said) >= inputs)):
        notices.append(
            f"config.json says groups of {_either(said)}, and the shapes are those of groups of {width}: they decide."
        )
    return tuple(notices)


def _either(numbers: tuple[int, ...]) -> str:
    return " or ".join(f"{number:,}" for number in numbers[:4])
