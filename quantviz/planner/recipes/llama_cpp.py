"""A --tensor-type-file of llama-quantize.

Grammar: https://github.com/ggml-org/llama.cpp/blob/master/tools/quantize/quantize.cpp (parse_tensor_type, and the file
read word by word: `regex=type`, no comments) and src/llama-quant.cpp (std::regex_search on the tensor's name, the first
match wins).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...block_types import BLOCK_TYPES
from ...checkpoints.names.fused import canonical, parts_of
from ...errors import QuantvizError
from ...published.mixes import MIXES
from ...schemes import Scheme
from .base import Layer, Recipe, by_value, expressed, layers_of, most_common, patterns

if TYPE_CHECKING:
    from ..plan import Plan

TOOL, FILE_NAME = "llama.cpp", "tensor-types.txt"
WORKS = "GGUF's block types such as q4_k and q6_k, and fp32, fp16 and bf16"
_CASTS = {"fp32": "f32", "fp16": "f16", "bf16": "bf16"}
_STORED = {"float32": "f32", "float16": "f16", "bfloat16": "bf16"}


def write(plan: Plan) -> Recipe:
    """Names of Hugging Face's models are turned into GGUF's; a tensor that converters may join or split gets both."""
    layers = layers_of(plan, TOOL, gguf=True)
    values = expressed(layers, TOOL, ggml_type, WORKS)
    types: dict[str, str] = {}
    for layer in layers:
        said = values[layer.path] or _stored(layer)
        for name in _gguf_names(layer):
            if types.setdefault(name, said) != said:
                raise QuantvizError(
                    f"A GGUF file holds {layer.name} in {name} with others that have another type; plan with tensors "
                    "that share one (--share experts)."
                )
    lines = [f"{regex}={said}" for said, names in by_value(types) for regex in patterns(names)]
    return Recipe(TOOL, "\n".join(lines) + "\n", FILE_NAME, _notes(types, layers))


def ggml_type(scheme: Scheme) -> str | None:
    """ggml's name of a scheme, in lower case; None where ggml has none."""
    if scheme.format in BLOCK_TYPES and not scheme.options:
        return scheme.format.removeprefix("gguf_")
    return _CASTS.get(scheme.key)


def _stored(layer: Layer) -> str:
    known = _STORED.get(layer.stored_as) or (
        layer.stored_as.removeprefix("gguf_") if layer.stored_as in BLOCK_TYPES else ""
    )
    if not known:
        raise QuantvizError(f"{layer.name} stays as stored, as {layer.stored_as}, for which llama.cpp has no type.")
    return known


def _gguf_names(layer: Layer) -> tuple[str, ...]:
    name = canonical(layer.name).name
    if name == layer.name and not name.startswith(("blk.", "token_embd.", "output.")):
        raise QuantvizError(f"There is no name in a GGUF file that is known here for {layer.name}; leave it out.")
    return name, *parts_of(name)


def _notes(types: dict[str, str], layers: tuple[Layer, ...]) -> tuple[str, ...]:
    most = most_common(types)
    schemes = {layer.scheme for layer in layers if layer.scheme is not None}
    start = next((scheme.format for scheme in schemes if ggml_type(scheme) == most), "")
    base = next((mix.file_name for mix in MIXES.values() if mix.start == start), most.upper())
    own = "".join(
        f" --{option} {types[name]}"
        for name, option in (("token_embd.weight", "token-embedding-type"), ("output.weight", "output-tensor-type"))
        if name in types
    )
    matrix = " --imatrix imatrix.gguf" if any(scheme.needs_importance for scheme in schemes) else ""
    return (f"llama-quantize{matrix} --tensor-type-file {FILE_NAME}{own} model-BF16.gguf model.gguf {base}",)
