"""Norms that a model stores less one: their layer multiplies by 1 + weight, and a GGUF file holds that sum.

As llama.cpp's converter has it: conversion/gemma.py, nemotron.py, qwen.py (Qwen3-Next and what derives from it),
minimax.py. https://github.com/ggml-org/llama.cpp/tree/master/conversion
"""

from __future__ import annotations

import re

LESS_ONE = ("gemma", "gemma2", "gemma3", "gemma-embedding", "nemotron", "qwen3next", "qwen35", "qwen35moe",
            "minimax-m3")  # fmt: skip
_NORM = re.compile(r"(?:.*[._])?(?:[a-z_]*norm|norm[0-9]?)\.weight")
_PLAIN = re.compile(r"(?:.*\.)?(?:linear_attn\.norm|ssm_norm)\.weight")


def stored_less_one(name: str, architecture: str) -> bool:
    """Whether a Hugging Face model of this architecture keeps norm `name` less one.

    >>> stored_less_one("model.norm.weight", "gemma3"), stored_less_one("model.norm.weight", "llama")
    (True, False)
    >>> stored_less_one("model.layers.0.linear_attn.norm.weight", "qwen3next")
    False
    """
    return architecture in LESS_ONE and bool(_NORM.fullmatch(name)) and not _PLAIN.fullmatch(name)
