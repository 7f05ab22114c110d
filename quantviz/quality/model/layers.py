"""The layers of a model that can be quantized, and which of them a word or a pattern means."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from ...errors import QuantvizError, did_you_mean
from ...schemes import Scheme

if TYPE_CHECKING:
    import torch

WORDS = {
    "linear": "every linear layer but the output head",
    "embeddings": "the tables of embeddings",
    "head": "the output head",
}
DEFAULT_TARGETS = ("linear",)
ALL = "*"
_NAMES_SHOWN = 4


@dataclass(frozen=True, eq=False)
class Layer:
    """One tensor of weights: a matrix, or as many as a mixture has experts.

    name: of the tensor, as the Hub's files have it.  kinds: the words of WORDS that mean it.
    shape: [out_features, in_features] of a matrix.  transposed: whether it is kept as [in, out], as GPT-2 does.
    """

    name: str
    kinds: tuple[str, ...]
    parameter: torch.Tensor
    shape: tuple[int, int]
    matrices: int = 1
    transposed: bool = False

    @property
    def path(self) -> str:
        return self.name.removesuffix(".weight")

    @property
    def weights(self) -> int:
        return self.matrices * self.shape[0] * self.shape[1]

    def bits(self, scheme: Scheme) -> int:
        return self.matrices * scheme.bits_stored(self.shape)


def find_layers(model: Any) -> tuple[Layer, ...]:
    """All layers of a model in its own order; one that two modules share is there once."""
    from torch import nn
    from transformers.pytorch_utils import Conv1D

    head, found, seen = model.get_output_embeddings(), [], set()
    tied = {id(module.weight) for module in (head, model.get_input_embeddings()) if module is not None}
    tied = tied if len(tied) == 1 else set()

    def add(name: str, kinds: tuple[str, ...], weight: Any, transposed: bool = False) -> None:
        if id(weight) in seen:
            return
        seen.add(id(weight))
        out, cols = weight.shape[-2:][::-1] if transposed else weight.shape[-2:]
        experts = weight.shape[0] if weight.ndim == 3 else 1
        found.append(Layer(name, kinds, weight, (out, cols), experts, transposed))

    for path, module in model.named_modules():
        if isinstance(module, nn.Embedding) or module is head:
            both = ("embeddings", "head") if id(module.weight) in tied else None
            add(f"{path}.weight", both or (("head",) if module is head else ("embeddings",)), module.weight)
        elif isinstance(module, nn.Linear | Conv1D):
            add(f"{path}.weight", ("linear",), module.weight, isinstance(module, Conv1D))
        elif "expert" in type(module).__name__.lower():  # transformers keeps a mixture's matrices in one tensor
            for name, parameter in module.named_parameters(recurse=False):
                if parameter.ndim == 3:
                    add(f"{path}.{name}", ("linear",), parameter, getattr(module, "is_transposed", False))
    return tuple(found)


def matches(layer: Layer, pattern: str) -> bool:
    """Whether a pattern, such as `down_proj`, `layers.0` or `layers.*.mlp`, is a run of the parts of a layer's name."""
    return fnmatchcase(f".{layer.path}.", f"*.{pattern.strip('.')}.*")


def select(layers: Iterable[Layer], targets: Sequence[str]) -> tuple[Layer, ...]:
    """The layers that any of `targets` means, words of WORDS or patterns.

    Raises QuantvizError where one of them means none.
    """
    layers = tuple(layers)
    chosen = [set(_meant(layers, target)) for target in targets]
    if not chosen:
        raise QuantvizError(f"No layers are chosen; give {', '.join(WORDS)} or a pattern such as down_proj.")
    return tuple(layer for layer in layers if any(layer in some for some in chosen))


def _meant(layers: tuple[Layer, ...], target: str) -> list[Layer]:
    target = target.strip()
    found = [layer for layer in layers if (target in layer.kinds if target in WORDS else matches(layer, target))]
    if found and target:
        return found
    if target in WORDS:
        raise QuantvizError(f"This model has no layer that {target!r} means: {WORDS[target]}.")
    names = [layer.path for layer in layers]
    by_part: dict[str, str] = {}
    for name in names:
        by_part.setdefault(name.rpartition(".")[2], name)
    spread = list(by_part.values())[:_NAMES_SHOWN]
    parts = {part for name in names for part in name.split(".")}
    raise QuantvizError(
        f"No layer matches {target!r}; there are {len(names):,}, such as {', '.join(spread)}."
        f"{did_you_mean(target, parts) if target else ''}"
    )


@dataclass(frozen=True)
class Mixture:
    """What is done to which layers: one scheme for all targets, or a table of which the first match wins.

    >>> str(Mixture.parse("down_proj=int8-b32; *=int4-asym-b32"))
    'down_proj=int8-sym-b32;*=int4-asym-b32'
    >>> str(Mixture.parse("int4-b32:scale=fp16"))
    'int4-sym-b32'
    """

    rules: tuple[tuple[str, Scheme], ...]

    @classmethod
    def parse(cls, text: str | Scheme) -> Mixture:
        """Raises QuantvizError naming the part that is wrong."""
        head, equals, _ = text.partition("=") if isinstance(text, str) else ("", "", "")
        if not equals or ":" in head:
            return cls(((ALL, Scheme.parse(text)),))
        rules = []
        for rule in text.split(";"):
            pattern, equals, key = rule.partition("=")
            if not equals or not pattern.strip():
                raise QuantvizError(
                    f"{rule.strip()!r} is no rule of a table; write pattern=scheme;pattern=scheme, for example "
                    "down_proj=int8-sym-b32;*=int4-asym-b32."
                )
            rules.append((pattern.strip(), Scheme.parse(key.strip())))
        return cls(tuple(rules))

    @property
    def is_table(self) -> bool:
        return len(self.rules) > 1 or self.rules[0][0] != ALL

    def __str__(self) -> str:
        if not self.is_table:
            return self.rules[0][1].key
        return ";".join(f"{pattern}={scheme.key}" for pattern, scheme in self.rules)

    @property
    def key(self) -> str:
        return str(self)

    def assign(self, layers: Sequence[Layer], targets: Sequence[str]) -> dict[Layer, Scheme]:
        """The scheme of each layer that gets one; `*` stands for the layers of `targets`, a pattern for any it names.

        Raises QuantvizError for a pattern that names none, and where a scheme cannot apply to a layer's shape.
        """
        assigned: dict[Layer, Scheme] = {}
        for pattern, scheme in self.rules:
            for layer in select(layers, targets if pattern == ALL else (pattern,)):
                assigned.setdefault(layer, scheme)
        for layer, scheme in assigned.items():
            check_fits(layer, scheme)
        return {layer: assigned[layer] for layer in layers if layer in assigned}


def check_fits(layer: Layer, scheme: Scheme) -> None:
    """Raises QuantvizError, naming the layer, where a scheme cannot apply to its shape, or to what it is fed."""
    try:
        scheme.check_shape(*layer.shape)
    except QuantvizError as problem:
        raise QuantvizError(f"{layer.path}: {problem}") from None
    if scheme.act is None or (layer.kinds == ("linear",) and layer.matrices == 1):
        return
    why = "only linear layers have inputs that a runtime quantizes, not embeddings and the output head"
    if layer.matrices > 1:
        why = "its experts get their inputs inside their own module"
    raise QuantvizError(f"{layer.path} takes no act={scheme.act}: {why}; leave act= out for this layer.")


def distinct_mixtures(schemes: Iterable[str | Scheme | Mixture]) -> tuple[Mixture, ...]:
    """The schemes and tables, each once, in their order. Raises QuantvizError when there is none."""
    if isinstance(schemes, str | Scheme | Mixture):
        schemes = [schemes]
    found = tuple(dict.fromkeys(_parsed(schemes)))
    if not found:
        raise QuantvizError("A measurement needs at least one scheme, for example int4-asym-b32.")
    return found


def _parsed(schemes: Iterable[str | Scheme | Mixture]) -> Iterator[Mixture]:
    for scheme in schemes:
        yield scheme if isinstance(scheme, Mixture) else Mixture.parse(scheme)
