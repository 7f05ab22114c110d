"""How many inputs a weight of compressed-tensors' packed integers has, of how many bits, and how they are packed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ...errors import QuantvizError
from ...sources import TensorInfo
from ..layer import Found, Unreadable
from .compressed_words import count
from .config_groups import claims


@dataclass(frozen=True)
class Sizes:
    """dense: whether codes go on from word to word.  said: the group that config.json says and shapes confirm, or 0.
    stated: weight_shape where it has not been read yet, and is to be compared.
    """

    inputs: int
    bits: int
    dense: bool
    said: int = 0
    stated: TensorInfo | None = None
    notices: tuple[str, ...] = ()


def sizes(found: Found) -> Sizes:
    """What the shapes allow. weight_shape is read where config.json's bits and group size are not confirmed by them.

    It is not read otherwise, since a model on the Hub would have to be asked for each of its layers. Raises Unreadable
    where shapes contradict each other.
    """
    stated, groups = found.beside.get("_shape"), _groups(found)
    for claim in claims(found.settings):
        if claim.bits and claim.width and groups > 1:
            for dense in _packings(found, groups * claim.width, claim.bits):
                return Sizes(groups * claim.width, claim.bits, dense, claim.width, stated)
    inputs = _stated(found) if stated else 0
    fits = list(_possible(found, inputs, groups))
    said = [claim.bits for claim in claims(found.settings) if claim.bits]
    for bits, dense, cols in fits:
        if bits in said:
            return Sizes(cols, bits, dense)
    even = [fit for fit in fits if 32 * found.codes.shape[-1] == fit[0] * fit[2]] or fits
    if len({fit[0] for fit in even}) != 1:
        raise Unreadable(_unclear(found, inputs, bool(fits)))
    bits, dense, cols = even[0]
    notice = (
        f"config.json says {' or '.join(map(str, sorted(set(said))))} bits, and the shapes are those of {bits}, which "
        "are taken."
    )
    return Sizes(cols, bits, dense, notices=(notice,) if said else ())


def _groups(found: Found) -> int:
    scales = found.beside["_scale"].shape
    return scales[-1] if len(scales) == len(found.codes.shape) else 1


def _packings(found: Found, inputs: int, bits: int) -> Iterator[bool]:
    """Whether codes are dense, for each way in which so many fill the words and zero points; dense first."""
    outputs, words = found.codes.shape[-2:]
    zeros = found.beside.get("_zero_point")
    for dense in (True, False):
        down = zeros is None or zeros.dtype == "int8" or zeros.shape[-2:-1] == (count(outputs, bits, dense),)
        if 1 <= bits <= 8 and inputs and words == count(inputs, bits, dense) and down:
            yield dense


def _possible(found: Found, inputs: int, groups: int) -> Iterator[tuple[int, bool, int]]:
    """(bits, dense, inputs) that fit; inputs: 0 where only words tell them."""
    words = found.codes.shape[-1]
    for bits in range(1, 9):
        dense_inputs = 32 * words // bits
        for cols in {inputs} if inputs else {dense_inputs, 32 // bits * words}:
            if cols % groups == 0:
                yield from ((bits, dense, cols) for dense in _packings(found, cols, bits))


def _stated(found: Found) -> int:
    """The inputs that weight_shape says."""
    info, codes = found.beside["_shape"], found.codes.shape
    if info.dtype not in ("I64", "I32") or info.shape != (len(codes),):
        raise Unreadable(f"its weight_shape is {info.dtype} {list(info.shape)}, where {len(codes)} integers would be")
    try:
        stated = tuple(int(n) for n in found.small("_shape"))
    except QuantvizError as problem:
        raise Unreadable(f"its weight_shape cannot be read: {problem}") from problem
    if stated[:-1] != codes[:-1] or not 0 < stated[-1] <= 32 * codes[-1]:
        raise Unreadable(f"its weight_shape says {list(stated)}, and its codes are {list(codes)}")
    return stated[-1]


def _unclear(found: Found, inputs: int, several: bool) -> str:
    what = f"{inputs:,} inputs" if inputs else "its shapes alone"
    codes, scales = list(found.codes.shape), list(found.beside["_scale"].shape)
    if several:
        return f"its codes {codes} and scales {scales} leave open, with {what}, how many bits a code has"
    return f"the shapes of its codes {codes} and scales {scales} contradict each other and {what}"
