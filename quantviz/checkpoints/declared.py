"""What a checkpoint's own JSON files say of how it is quantized. They may be wrong: the tensors decide."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..sources.json_text import JSON_FILES
from ..text.printable import printable

CONFIG, MODELOPT, OLD_GPTQ, OLD_AWQ = JSON_FILES

# Where config.json speaks of it, and the method it means where it names none. MLX's key comes first: its converters
# leave the other as it was in the model they began with, or write the same under it without a method.
_KEYS = {"quantization": "mlx", "quantization_config": "a method without a name",
         "compression_config": "compressed-tensors"}  # fmt: skip

Files = Mapping[str, Mapping[str, Any]]  # the objects of those that are there, by file name


@dataclass(frozen=True)
class Declared:
    """method: as the file spells it, such as gptq.  where: the file.  settings: all that it says of it."""

    method: str
    where: str
    settings: Mapping[str, Any] = field(default_factory=dict, repr=False)


def declared(files: Files) -> Declared | None:
    """The method that the files name first; None where none does.

    >>> declared({"config.json": {"text_config": {"quantization_config": {"quant_method": "awq"}}}})
    Declared(method='awq', where='config.json')
    """
    config = files.get(CONFIG, {})
    for place in (config, *(part for part in config.values() if isinstance(part, Mapping))):
        for key, otherwise in _KEYS.items():
            if said := place.get(key):
                return Declared(_method(said, otherwise), CONFIG, _object(said))
    if said := files.get(MODELOPT, {}).get("quantization"):
        algorithm = said.get("quant_algo") if isinstance(said, Mapping) else None
        return Declared("modelopt", MODELOPT, _object(said)) if algorithm else None
    if files.get(OLD_GPTQ, {}).get("bits"):
        return Declared("gptq", OLD_GPTQ, files[OLD_GPTQ])
    if files.get(OLD_AWQ, {}).get("w_bit"):
        return Declared("awq", OLD_AWQ, files[OLD_AWQ])
    return None


def _object(said: Any) -> Mapping[str, Any]:
    return said if isinstance(said, Mapping) else {}


def _method(said: Any, otherwise: str) -> str:
    if not isinstance(said, Mapping):
        return otherwise
    for flag, method in (("load_in_4bit", "bitsandbytes_4bit"), ("load_in_8bit", "bitsandbytes_8bit")):
        if said.get(flag) is True:
            return method
    method = said.get("quant_method")
    return printable(method, 40).strip() if isinstance(method, str) and method.strip() else otherwise
