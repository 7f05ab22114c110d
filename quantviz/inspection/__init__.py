"""A block of a tensor, weight by weight: what was stored, what came back, and the arithmetic between."""

from .block import MAX_BLOCK_WEIGHTS, Block, inspect_block

__all__ = ["MAX_BLOCK_WEIGHTS", "Block", "inspect_block"]
