"""The bits that each layer of a model takes in its file, under whatever names the file has its tensors."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from ...checkpoints.names import NameMap, layers_of, name_map
from ...errors import QuantvizError

# Projections that transformers keeps in one tensor, and files in several.
_TOGETHER = {"gate_up_proj": ("gate_proj", "up_proj"), "qkv_proj": ("q_proj", "k_proj", "v_proj")}


@dataclass(frozen=True)
class StoredSizes:
    """sizes: name of a tensor in the file -> its weights, and the bits they take.
    names: leads from transformers' names to those of a GGUF file; None where the file has the same.
    """

    sizes: Mapping[str, tuple[int, int]]
    names: NameMap | None = None

    @classmethod
    def of_gguf(cls, sizes: Mapping[str, tuple[int, int]], architecture: object) -> StoredSizes:
        try:
            return cls(sizes, name_map(str(architecture), layers_of(sizes)))
        except QuantvizError:  # an architecture without names
            return cls(sizes)

    @property
    def weights(self) -> int:
        return sum(weights for weights, _ in self.sizes.values())

    @property
    def bits(self) -> int:
        return sum(bits for _, bits in self.sizes.values())

    def bits_of(self, name: str, weights: int) -> float:
        """Bits that a tensor of the model takes, by the tensors of the file that hold it.

        Where no name leads to any, by those whose names begin like its own, such as the experts of one layer.

        >>> StoredSizes({"a.0.w1": (8, 40), "a.0.w2": (8, 40), "b": (8, 64)}).bits_of("a.experts", 16)
        80.0
        """
        found = [self.sizes[each] for each in self._in_file(name)] or self._beside(name)
        return weights * sum(bits for _, bits in found) / sum(size for size, _ in found)

    def _in_file(self, name: str) -> list[str]:
        stem, _, last = name.removesuffix(".weight").rpartition(".")
        parts = [f"{stem}.{part}.weight" for part in _TOGETHER.get(last, ())]
        for wanted in ([name], [f"{name}.weight"], parts):
            places = [next((at for at in self._spelled(each) if at in self.sizes), None) for each in wanted]
            if places and None not in places:
                return places
        return []

    def _spelled(self, name: str) -> Iterator[str]:
        yield name
        if self.names is None:
            return
        if place := self.names.place(name):
            yield place.name
            if place.name == "output.weight":  # one matrix for both ends
                yield "token_embd.weight"

    def _beside(self, name: str) -> list[tuple[int, int]]:
        place = self.names.place(name) if self.names else None
        parts = (place.name if place else name).split(".")
        shared = {other: _alike(parts, other.split(".")) for other in self.sizes}
        most = max(shared.values(), default=0)
        return [self.sizes[other] for other, count in shared.items() if count == most]


def _alike(one: list[str], other: list[str]) -> int:
    """How many leading parts two names share."""
    count = 0
    for a, b in zip(one, other, strict=False):
        if a != b:
            break
        count += 1
    return count
