"""What people really store models in: a few formats, each in a sentence, with its bits and its error on a layer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ..evaluation import evaluate


@dataclass(frozen=True)
class Shipped:
    """scheme: its rule here; of what a method tunes, the plain rounding that it starts from. packed: what the table of
    packed formats calls its layout; "" where it is none.  who: where one meets it.
    """

    name: str
    scheme: str
    who: str
    idea: str
    packed: str = ""


SHIPPED = (
    Shipped("k-quants", "q4_k", "llama.cpp, Ollama, LM Studio: the files called Q4_K_M",
            "Groups of 32 weights share a scale and a minimum of 6 bits each; eight groups share two 16-bit numbers "
            "that those are multiples of. The important tensors of a model get more bits."),
    Shipped("NF4", "nf4-b64", "bitsandbytes, QLoRA",
            "Sixteen levels, placed where normally distributed weights have equal shares: dense near zero. A scale for "
            "64 weights, which may itself be stored in 8 bits."),
    Shipped("MXFP4", "mxfp4", "gpt-oss, the OCP standard, many chips",
            "Tiny floats of 4 bits; 32 of them share a power of two as their scale, in 8 bits: cheap to multiply."),
    Shipped("NVFP4", "nvfp4", "NVIDIA's Blackwell GPUs, TensorRT-LLM, vLLM",
            "The same tiny floats, 16 to a block, each block with a scale that is a float of 8 bits, and one for the "
            "whole tensor: finer than a power of two."),
    Shipped("GPTQ", "int4-asym-b128", "vLLM, transformers, ExLlama",
            "Integers in groups of 128. A method, not a format: weights are rounded one column after the other, and "
            "those to come take on the error of those before, as the layer's inputs weigh it.", "GPTQ int4 g32"),
    Shipped("AWQ", "int4-asym-b128", "vLLM, transformers",
            "Integers in groups of 128. Channels with large inputs are scaled up before rounding and their inputs "
            "down, so that they lose less.", "AWQ int4 g32"),
    Shipped("FP8", "fp8_e4m3-channel", "vLLM, DeepSeek, H100 and newer",
            "Floats of 8 bits with a scale a channel or a tile of 128 × 128: nearly the original, at half of 16 bits."),
)  # fmt: skip


@dataclass(frozen=True)
class Loss:
    """What plain rounding in a format costs a layer: bits a weight, ‖e‖/‖x‖, SQNR in dB."""

    name: str
    scheme: str
    bits: float
    relative_error: float
    sqnr_db: float


def losses(w: Any, shipped: Sequence[Shipped] = SHIPPED) -> list[Loss]:
    """Each format's plain rounding on a tensor."""
    found = []
    for item in shipped:
        m = evaluate(w, item.scheme, detail="metrics").metrics
        found.append(Loss(item.name, item.scheme, m["bits_per_weight"], m["relative_l2_error"], m["sqnr_db"]))
    return found
