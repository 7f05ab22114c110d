"""Sets of schemes to compare: by size, and as runtimes serve models by default, each with its source."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ..block_types import BlockType
from ..errors import QuantvizError, did_you_mean
from ..formats import BlockFormat
from .scheme import Scheme, catalogue


@dataclass(frozen=True)
class Served:
    """How a runtime stores weights by default.

    name: what the runtime calls it.  scheme: the nearest key.  source: the page or file that says so.
    note: where the runtime's own arithmetic differs from the scheme's; "" where the rule is the same.
    """

    runtime: str
    name: str
    scheme: str
    source: str
    note: str = ""


_VLLM_FP8 = "https://docs.vllm.ai/en/stable/features/quantization/fp8/"
_COMPRESSED = (
    "https://github.com/vllm-project/compressed-tensors/blob/main/src/compressed_tensors/quantization/quant_scheme.py"
)
_TENSORRT = "https://nvidia.github.io/TensorRT-LLM/reference/precision.html"
_MLX = "https://ml-explore.github.io/mlx/build/html/python/_autosummary/mlx.core.quantize.html"
_LLAMA = "https://github.com/ggml-org/llama.cpp/blob/master/tools/quantize/README.md"
_TUNED = "The weights are often tuned by GPTQ first."

SERVED = (
    Served("vLLM", "--quantization fp8", "fp8_e4m3-tensor", _VLLM_FP8),
    Served("vLLM", "FP8_DYNAMIC", "fp8_e4m3-channel", _COMPRESSED),
    Served("vLLM", "FP8_BLOCK", "fp8_e4m3-b128x128", _COMPRESSED),
    Served("vLLM", "W4A16", "int4-sym-b128:range=full", _COMPRESSED, _TUNED),
    Served("vLLM", "--quantization bitsandbytes", "nf4-b64:double=1",
           "https://github.com/vllm-project/vllm/blob/main/vllm/model_executor/model_loader/bitsandbytes_loader.py"),
    Served("TensorRT-LLM", "FP8 per tensor", "fp8_e4m3-tensor", _TENSORRT),
    Served("TensorRT-LLM", "NVFP4", "nvfp4", "https://nvidia.github.io/TensorRT-LLM/features/quantization.html"),
    Served("TensorRT-LLM", "INT8 weight only", "int8-sym-channel", _TENSORRT),
    Served("TensorRT-LLM", "W4A16 AWQ", "int4-sym-b128", _TENSORRT,
           "AWQ scales input channels by their importance before it rounds."),
    Served("MLX", "affine, 4 bits, groups of 64", "int4-offset-b64:scale=bf16,edge=1", _MLX,
           "MLX makes codes by the float32 scale and rounds it to the model's type after; here before."),
    Served("MLX", "mxfp4", "mxfp4:rule=rceil", _MLX),
    Served("llama.cpp", "Q4_K_M, most tensors", "q4_k", _LLAMA, "A mix: some tensors get q6_k, small ones stay float."),
    Served("llama.cpp", "Q4_K_M, the tensors that matter most", "q6_k", _LLAMA,
           "Half of the value and down projections, and the output."),
    Served("llama.cpp", "Q8_0", "q8_0", _LLAMA),
    Served("llama.cpp", "Q4_0", "q4_0", _LLAMA, "Some processors read it repacked; the values are the same."),
    Served("llama.cpp", "MXFP4_MOE, experts", "gguf_mxfp4", _LLAMA),
)  # fmt: skip

UNDER = 5.0  # bits per weight
_GRANULARITIES_UNDER = ("b128", "b64", "b32")

FOUR_BITS, EIGHT_BITS, FEW_BITS, AS_SERVED = "4-bit formats", "8-bit formats", "everything under 5 bits", "as served"
BY_INPUTS = "by the layer's inputs"

_FIXED = {
    FOUR_BITS: (
        "int4-sym-b64", "int4-asym-b64", "int4-offset-b64", "fp4_e2m1-b64", "nf4-b64", "bnb_fp4-b64", "mxfp4", "nvfp4",
        "q4_0", "q4_1", "q4_k", "iq4_nl", "iq4_xs", "gguf_mxfp4", "gguf_nvfp4",
    ),
    EIGHT_BITS: (
        "int8-sym-channel", "int8-sym-b64", "int8-asym-b64", "int8-offset-b64", "fp8_e4m3", "fp8_e4m3-tensor",
        "fp8_e4m3-channel", "fp8_e4m3-b128x128", "fp8_e5m2-channel", "mxfp8_e4m3", "mxfp8_e5m2", "mxint8", "q8_0",
    ),
    BY_INPUTS: tuple(
        key for bits in (3, 4) for key in (
            f"int{bits}-asym-b64", f"int{bits}-asym-b64:solver=gptq", f"int{bits}-asym-b64:solver=gptq,order=act",
            f"int{bits}-asym-b64:solver=awq", f"int{bits}-asym-b64:rotate=hadamard", f"q{bits}_k",
        )
    ),
    AS_SERVED: tuple(dict.fromkeys(s.scheme for s in SERVED)),
}  # fmt: skip

# Name -> what it holds, in the order in which they are offered.
PRESETS = {
    FOUR_BITS: "Every 4-bit format and block type: blocks of 64, or the block its specification fixes.",
    EIGHT_BITS: "Integers, FP8, MX and q8_0 in 8 bits, from one scale a tensor to one a block.",
    FEW_BITS: "Every format and symmetry in blocks of 128, 64 and 32, or the block its specification fixes, and every "
    "block type that can do without importance, that takes less than 5 bits a weight in all.",
    BY_INPUTS: "Round to nearest beside GPTQ, AWQ, rotation and the k-quants at 3 and 4 bits. GPTQ and AWQ need a "
    "calibration, which the box of the layer's inputs gives.",
    AS_SERVED: "How vLLM, TensorRT-LLM, MLX and llama.cpp store weights by default, as near as schemes come.",
}


def preset(name: str, shape: tuple[int, ...]) -> tuple[str, ...]:
    """The scheme keys of a preset, for a tensor of `shape`.

    >>> preset("4-bit formats", (4096, 4096))[:2]
    ('int4-sym-b64', 'int4-asym-b64')
    """
    if name not in PRESETS:
        raise QuantvizError(
            f"There is no preset {name!r}; there are {', '.join(PRESETS)}.{did_you_mean(name, PRESETS)}"
        )
    return _few_bits(shape) if name == FEW_BITS else _FIXED[name]


def _few_bits(shape: tuple[int, ...]) -> tuple[str, ...]:
    if not math.prod(shape):
        return ()
    schemes = (Scheme.parse(key) for key in catalogue())
    return tuple(s.key for s in schemes if _is_offered(s) and _bits(s, shape) < UNDER)


def _bits(scheme: Scheme, shape: tuple[int, ...]) -> float:
    """Bits a weight; of a block type those of its blocks, whether or not they divide these rows."""
    return scheme.fmt.bits_per_weight if isinstance(scheme.fmt, BlockType) else scheme.bits_per_weight(shape)


def _is_offered(scheme: Scheme) -> bool:
    if isinstance(scheme.fmt, BlockType):
        return not scheme.needs_importance
    return isinstance(scheme.fmt, BlockFormat) or str(scheme.granularity) in _GRANULARITIES_UNDER
