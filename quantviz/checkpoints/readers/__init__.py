"""The readers of packed formats: an explicit table, by the names that `packed.FORMATS` gives them."""

from __future__ import annotations

from collections.abc import Mapping

from ..layer import Reads
from . import (
    aqlm,
    awq,
    bitnet,
    bitsandbytes,
    compressed_integers,
    eetq,
    exl3,
    fp4,
    fp8,
    gemma,
    gptq,
    hqq,
    int8,
    mlx,
    modelopt_int4,
    modelopt_stacked,
    quanto,
    quark,
    refused,
    torchao,
)

READERS: Mapping[str, Reads] = {
    # integers in words
    "GPTQ": gptq.layer,
    "AWQ": awq.layer,
    "compressed-tensors packed integers": compressed_integers.layer,
    "ModelOpt int4 AWQ": modelopt_int4.layer,
    "Quark int4": quark.layer,
    "MLX affine": mlx.layer,
    "HQQ": hqq.layer,
    # integers and levels in bytes
    "bitsandbytes nf4": bitsandbytes.layer,
    "bitsandbytes fp4": bitsandbytes.layer,
    "bitsandbytes 4-bit": bitsandbytes.layer,
    "bitsandbytes int8": bitsandbytes.layer,
    "int8 with scales": int8.layer,
    "BitNet's packed ternary": bitnet.layer,
    "packed integers with a scale a row": gemma.layer,
    # small floats
    "compressed-tensors nvfp4": fp4.layer,
    "compressed-tensors mxfp4": fp4.layer,
    "ModelOpt NVFP4": fp4.layer,
    "ModelOpt NVFP4, stacked experts": modelopt_stacked.layer,
    "NVFP4": fp4.layer,
    "MXFP4": fp4.layer,
    "MXFP4 (DeepSeek V4)": fp4.layer,
    "MLX mxfp4, mxfp8 or nvfp4": mlx.layer,
    "MXFP8": fp8.layer,
    "block FP8": fp8.layer,
    "block FP8 (DeepSeek V4)": fp8.layer,
    "FP8 with one scale a tensor": fp8.layer,
    "FP8 with scales": fp8.layer,
    "ComfyUI's scaled FP8": fp8.layer,
    # codebooks, trellises, and what libraries keep in a tensor of their own
    "AQLM": aqlm.layer,
    "EXL3": exl3.layer,
    "quanto": quanto.layer,
    "torchao": torchao.layer,
    # told by name, with what a reader would need
    "EETQ": eetq.layer,
    **dict.fromkeys(refused.NAMES, refused.layer),
}
