"""Tensors that play the same part in every layer, and how several tensors of a model are named at once.

A family is named by its tensors' names with `*` for the number of the layer; `*` in a pattern stands for any text.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ..errors import QuantvizError, did_you_mean
from ..sources import Model
from .targets import layer_span, matrices

ANY = "*"


def family(name: str) -> str:
    """The name with `*` for its layer's number; the name itself where it is in no layer.

    >>> family("model.layers.12.self_attn.q_proj.weight"), family("blk.0.attn_q.weight"), family("lm_head.weight")
    ('model.layers.*.self_attn.q_proj.weight', 'blk.*.attn_q.weight', 'lm_head.weight')
    """
    at = layer_span(name)
    return name if at is None else f"{name[: at[0]]}{ANY}{name[at[1] :]}"


def layer_of(name: str) -> int | None:
    """The number of the layer that a tensor's name tells."""
    at = layer_span(name)
    return None if at is None else int(name[at[0] : at[1]])


def own_layer(name: str) -> str | None:
    """The pattern of all that is in the layer of a tensor.

    >>> own_layer("model.layers.12.self_attn.q_proj.weight"), own_layer("lm_head.weight")
    ('model.layers.12.*', None)
    """
    at = layer_span(name)
    return None if at is None else f"{name[: at[1]]}.{ANY}"


def families(names: Iterable[str]) -> dict[str, list[str]]:
    """Family -> its tensors, in the order of `names`; of those alone there are several of."""
    found: dict[str, list[str]] = {}
    for name in names:
        found.setdefault(family(name), []).append(name)
    return {pattern: members for pattern, members in found.items() if len(members) > 1}


def short(name: str) -> str:
    """What tells a tensor or a family apart from the others of a model.

    >>> short("model.layers.*.self_attn.q_proj.weight"), short("model.layers.3.mlp.up_proj.weight"), short("blk.*.x.y")
    ('self_attn.q_proj', 'layers.3.mlp.up_proj', 'x.y')
    """
    before, star, behind = name.partition(f".{ANY}.")
    return (behind if star and before else name).removesuffix(".weight").removeprefix("model.")


def fits(pattern: str, name: str) -> bool:
    """Whether a name is as the pattern says, every `*` of which stands for any text, also for none.

    >>> fits("a.*.c", "a.b.c"), fits("*c", "a.b.c"), fits("a.*", "b.a.c"), fits("a*a", "a")
    (True, True, False, False)
    """
    first, *rest = pattern.split(ANY)
    if not rest:
        return pattern == name
    last, at = rest.pop(), len(first)
    if not name.startswith(first) or not name.endswith(last) or at + len(last) > len(name):
        return False
    for part in rest:
        found = name.find(part, at, len(name) - len(last))
        if found < 0:
            return False
        at = found + len(part)
    return True


def resolved(model: Model, text: str) -> str:
    """A name or a pattern, as it is kept, for what a visitor wrote: a part of a name stands for all that have it.

    Raises QuantvizError where no weight matrix of the model is meant.
    """
    names, around = matrices(model), f"{ANY}{text}{ANY}"
    if any(text == info.name for info in model.tensors) or any(fits(text, name) for name in names):
        return text
    if any(fits(around, name) for name in names):
        return around
    raise QuantvizError(f"No weight matrix of {model.ref} is called {text!r}.{did_you_mean(text, names)}")


def folded(texts: Iterable[str]) -> list[str]:
    """Names and patterns without those that another of them stands for.

    >>> folded(["a.1.q", "a.*.q", "a.1.k", "a.2.q", "a.1.k"])
    ['a.*.q', 'a.1.k']
    """
    kept: list[str] = []
    for text in texts:
        if not any(fits(other, text) for other in kept):
            kept = [*(other for other in kept if not fits(text, other)), text]
    return kept


def named(model: Model, texts: Sequence[str]) -> list[str]:
    """The tensors that names and patterns mean, each once: family after family, in each by layer.

    Raises QuantvizError for a text that means none.

    >>> import quantviz as qv
    >>> [short(name) for name in named(qv.open_model("demo"), ["q_proj", "model.layers.1.self_attn.k_proj.weight"])[3:]]
    ['layers.3.self_attn.q_proj', 'layers.1.self_attn.k_proj']
    """
    patterns, known = [resolved(model, text) for text in texts], {info.name for info in model.tensors}
    wild = [pattern for pattern in patterns if pattern not in known]
    meant = {name for name in matrices(model) if any(fits(pattern, name) for pattern in wild)} | {*patterns}
    every = [info.name for info in model.tensors if info.name in meant]
    first = {pattern: place for place, pattern in reversed(list(enumerate(map(family, every))))}
    return sorted(every, key=lambda name: first[family(name)])
