"""Perplexity, computed plainly: what the training reports, and what the tests compare the page's figures with."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import nn


@torch.no_grad()
def perplexity(model: nn.Module, tokens: torch.Tensor, context: int) -> float:
    """exp of the mean cross entropy over whole windows of `context` tokens, of which the second half is scored.

    As llama.cpp's perplexity tool has it: token i of a window is predicted from tokens 0 … i-1, and scored from the
    middle on. What is left after the last whole window is not used.
    """
    first = context // 2
    windows = tokens[: len(tokens) // context * context].view(-1, context)
    total = 0.0
    for window in windows.split(4):
        logits = model(window).logits[:, first - 1 : -1].float()
        total += F.cross_entropy(logits.flatten(0, 1), window[:, first:].flatten(), reduction="sum").item()
    return math.exp(total / (len(windows) * (context - first)))
