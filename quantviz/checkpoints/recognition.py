"""Which tensors of a model hold codes rather than weights, and which belong to such codes."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

from ..errors import QuantvizError
from ..sources import TensorInfo
from ..sources.model import SCALED_APART, Packed
from ..text.printable import LONGEST_NAME, printable
from .declared import Declared
from .layer import Layer, Unreadable
from .packed import FLOAT8, FORMATS, INTEGERS, OF_INPUTS, OF_THE_MODEL, PackedFormat

INSTEAD = "open the model it was quantized from"
_WEIGHT, _SCALE = ".weight", ".scale"
_LAYER = re.compile(r"weight$|proj|experts|codes|packed|linear|dense")
_WHOLE_FILE = ".safetensors:"  # what stands before a name that two files of a model have
# Words of a name -> what such a tensor holds, the first that is found.
_PARTS = (
    (("scale_and_zero", "scales_and_zeros"), "the scales and zero points"),
    (("scale", "absmax", "scb", ".suh", ".svh", ".su", ".sv", "factor", ".alpha", ".s"), "the scales"),
    (("zero", "shift", "bias", "mins", "_min"), "the zero points"),
    (("map", "codebook", "centroid", "table", "tlut"), "the levels"),
    (("idx", "perm", "indices", "groups", "bitmask", "offsets"), "the places"),
    (("shape", "quant_state", "format", "nbits", "group_size", "axis"), "the description"),
)


# How to read the codes of a format with what lies beside them, by suffix; raises Unreadable, None where none is known.
Read = Callable[[TensorInfo, PackedFormat, Mapping[str, TensorInfo]], Layer | None]


def _nothing(codes: TensorInfo, form: PackedFormat, beside: Mapping[str, TensorInfo]) -> None:
    return None


@dataclass(frozen=True)
class Decodable:
    """A weight that can be read. name: of the weight.  layer: how.  nbytes: of all tensors that belong to it.
    notice: where config.json says otherwise; "" where it does not.
    """

    name: str
    layer: Layer
    nbytes: int
    notice: str = ""


@dataclass(frozen=True)
class Recognised:
    """packed: what each tensor is that holds no weights as it is.  decoded: by the tensor with its codes, each weight
    that can be read.  notice: for all others, "" where nothing is odd.
    """

    packed: Mapping[str, Packed]
    decoded: Mapping[str, Decodable]
    notice: str = ""


def recognise(tensors: Iterable[TensorInfo], said: Declared | None, read: Read = _nothing) -> Recognised:
    """What the tensors are, by their names, dtypes and shapes; where `said` contradicts them, they decide.

    read: how to read the codes of a format.
    """
    infos = {info.name: info for info in tensors}
    codes: dict[str, PackedFormat] = {}
    companions: dict[str, tuple[TensorInfo, PackedFormat]] = {}
    decoded: dict[str, Decodable] = {}
    why: dict[str, str] = {}
    possible = _possible(infos)
    for name, info in infos.items() if possible else ():
        if found := _format_of(name, info, infos, possible):
            form, beside = found
            codes[name] = form
            companions.update((other.name, (info, form)) for other in beside.values())
            try:
                layer = read(info, form, beside)
            except Unreadable as problem:
                layer, why[name] = None, str(problem)
            if layer:
                nbytes = info.nbytes + sum(other.nbytes for other in beside.values())
                decoded[name] = Decodable(_weight_name(name, form, infos), layer, nbytes, _otherwise(form, said))
    scaled = any(form.dtypes == FLOAT8 for form in codes.values()) or bool(said and _has_scales(said))
    packed = {}
    for name, info in infos.items():
        if name in decoded:
            continue
        if name in codes:
            packed[name] = _codes(info, codes[name], said, why.get(name, ""))
        elif name in companions:
            owner, form = companions[name]
            packed[name] = _companion(info, owner, form, decoded.get(owner.name))
        elif codes and name.rpartition(".")[2] in OF_THE_MODEL:
            packed[name] = _of_the_model(info)
        elif info.dtype in FLOAT8 and scaled:
            packed[name] = _without_scale(info)
        elif (info.dtype in ("uint8", "int8") and (codes or said or "." in name)) or (said and _is_words(info)):
            packed[name] = _integers(info)
        elif info.name.endswith(_SCALE) and _scaled_block_type(info, infos):
            packed[name] = _second_scale(info)
    plain = not decoded and not any(p.codes for p in packed.values())
    return Recognised(packed, decoded, _contradiction(said) if said and plain else "")


def packed_formats(tensors: Iterable[TensorInfo]) -> tuple[str, ...]:
    """The formats in which weights lie as codes among these, each once."""
    return tuple(dict.fromkeys(p.format for p in recognise(tensors, None).packed.values() if p.codes))


def refuse_packed(formats: tuple[str, ...], ref: str, what: str) -> None:
    """Raises QuantvizError where a model holds codes of `formats`; `what` of it cannot be told then."""
    if formats:
        raise QuantvizError(
            f"{printable(ref, LONGEST_NAME)} is quantized already ({', '.join(formats)}) and its codes are not "
            f"weights, so {what} cannot be told; {INSTEAD}."
        )


# -- formats -------------------------------------------------------------------------------------


def _possible(infos: Mapping[str, TensorInfo]) -> tuple[PackedFormat, ...]:
    """The formats of which every kind of name is there, each with what else of it is there.

    Of a model without codes there are none, so that nothing is looked up for its tensors, however many it has.
    """
    names = "".join(f"{name}\n" for name in infos)
    suffixes = {suffix for form in FORMATS for suffix in (form.codes, *form.beside, *form.more)}
    there = {suffix for suffix in (*suffixes, *OF_INPUTS) if f"{suffix}\n" in names}
    return tuple(
        replace(form, more=tuple(suffix for suffix in (*form.more, *OF_INPUTS) if suffix in there))
        for form in FORMATS
        if form.codes in there and form.beside.keys() <= there
    )


def _format_of(
    name: str, info: TensorInfo, infos: Mapping[str, TensorInfo], possible: tuple[PackedFormat, ...]
) -> tuple[PackedFormat, Mapping[str, TensorInfo]] | None:
    """The format whose codes a tensor holds, and what belongs to them, by suffix."""
    for form in possible:
        if not name.endswith(form.codes) or (form.dtypes and info.dtype not in form.dtypes):
            continue
        bases = _bases(name.removesuffix(form.codes) if form.codes else name)
        beside = {suffix: place for suffix in form.beside if (place := _there(bases, suffix, infos, name))}
        if len(beside) < len(form.beside):
            continue
        found = {suffix: infos[place] for suffix, place in beside.items()}
        if any(form.beside[s] and other.dtype not in form.beside[s] for s, other in found.items()):
            continue
        if form.fits(info, found):
            more = {suffix: infos[place] for suffix in form.more if (place := _there(bases, suffix, infos, name))}
            return form, found | more
    return None


def _bases(name: str) -> tuple[str, ...]:
    """What the names of companions begin with: the weight's own name or its module's, in its own file or in any."""
    names = (name, name.removesuffix(_WEIGHT))
    return tuple(dict.fromkeys((*names, *map(plain_name, names))))


def _there(bases: tuple[str, ...], suffix: str, infos: Mapping[str, TensorInfo], owner: str) -> str | None:
    return next((base + suffix for base in bases if base + suffix in infos and base + suffix != owner), None)


def _weight_name(name: str, form: PackedFormat, infos: Mapping[str, TensorInfo]) -> str:
    """What a weight is called in its model: `x.weight` for the codes x.qweight, x.weight_packed or x._weight_qdata."""
    base = name.removesuffix(form.codes) if form.codes else name
    if form.codes.startswith(".") and not base.endswith(_WEIGHT):
        base += _WEIGHT
    if form.codes == "_qdata":  # torchao puts an underscore before the attribute's name
        base = re.sub(r"\._(?=[^.]+$)", ".", base)
    return name if base in infos and base != name else base


def _has_scales(said: Declared) -> bool:
    """Whether a model of that method has scales beside its FP8 numbers."""
    return any(form.dtypes == FLOAT8 and said.method in form.methods for form in FORMATS)


# -- sentences -----------------------------------------------------------------------------------


def _codes(info: TensorInfo, form: PackedFormat, said: Declared | None, why: str) -> Packed:
    """why: it cannot be read, where a reader said so."""
    odd = f" ({said.where} says {said.method}, and its tensors are {form.name}'s)" if _differs(form, said) else ""
    maker = f" ({said.method})" if _is_known(said) and not odd and _says_more(said.method, form.name) else ""
    why = (
        f"{_quoted(info)} is stored as {form.name}{maker}: its {info.dtype} elements are codes, not weights, and "
        f"{why or 'quantviz does not decode them'}{odd}; {INSTEAD}."
    )
    return Packed(form.name, True, why)


def _is_known(said: Declared | None) -> bool:
    return said is not None and any(said.method in form.methods for form in FORMATS)


def _differs(form: PackedFormat, said: Declared | None) -> bool:
    """Whether config.json names the method of another format."""
    return _is_known(said) and bool(form.methods) and said.method not in form.methods


def _otherwise(form: PackedFormat, said: Declared | None) -> str:
    if not _differs(form, said):
        return ""
    return (
        f"{said.where} says that the model is quantized by {said.method}, and this layer's tensors are {form.name}'s: "
        "they decide."
    )


def _says_more(method: str, name: str) -> bool:
    """Whether the method's name adds anything to the format's."""
    return not any(word in name.lower() for word in method.lower().replace("-", "_").split("_"))


def _companion(info: TensorInfo, owner: TensorInfo, form: PackedFormat, decoded: Decodable | None) -> Packed:
    last = info.name.lower().rpartition(".")
    what = next((words for keys, words in _PARTS if any(k in last[1] + last[2] for k in keys)), "a part")
    whose = repr(printable(decoded.name if decoded else owner.name, LONGEST_NAME))
    why = f"{_quoted(info)} holds {what} of {whose}, which is stored as {form.name}, and no weights"
    return Packed(form.name, False, f"{why}; {'choose that tensor, which has it already' if decoded else INSTEAD}.")


def _of_the_model(info: TensorInfo) -> Packed:
    why = f"{_quoted(info)} belongs to a quantized model's cache or codes and holds no weights; {INSTEAD}."
    return Packed("scales of a quantized model", False, why)


def _without_scale(info: TensorInfo) -> Packed:
    return Packed(
        "FP8 without its scale",
        True,
        f"{_quoted(info)} is stored as FP8 in a model that is quantized to FP8 with scales, and its own scale is not "
        f"there: these are codes, not weights; {INSTEAD}, or all files of this one.",
    )


def _integers(info: TensorInfo) -> Packed:
    """Integers that nothing says how to read: in a layer, they are codes or a mask."""
    return Packed(
        "integers of an unknown format",
        len(info.shape) > 1 and bool(_LAYER.search(info.name)),
        f"{_quoted(info)} is stored as {info.dtype}: integers in a model are codes or a mask, not weights, and nothing "
        f"beside them says what they stand for; {INSTEAD}, or choose another tensor.",
    )


def _is_words(info: TensorInfo) -> bool:
    """A matrix of longer integers: codes whose scales are lost, in a model that says that it is quantized."""
    return info.dtype in INTEGERS and len(info.shape) > 1


def _scaled_block_type(info: TensorInfo, infos: Mapping[str, TensorInfo]) -> bool:
    owner = infos.get(info.name.removesuffix(_SCALE) + _WEIGHT)
    return owner is not None and owner.packing is not None and owner.dtype == SCALED_APART


def _second_scale(info: TensorInfo) -> Packed:
    owner = printable(info.name.removesuffix(_SCALE) + _WEIGHT, LONGEST_NAME)
    why = f"{_quoted(info)} holds the second scale of {owner!r}, whose weights have it already; choose that tensor."
    return Packed(SCALED_APART, False, why)


def _contradiction(said: Declared) -> str:
    return (
        f"{said.where} says that the model is quantized ({said.method}), and none of its tensors holds codes: it is "
        "taken as it is stored."
    )


def _quoted(info: TensorInfo) -> str:
    return repr(printable(info.name, LONGEST_NAME))


def plain_name(name: str) -> str:
    """Without the file that stands before a name which two files of a model have."""
    return name.rpartition(_WHOLE_FILE)[2]
