"""Published files: their blocks, beside the original, and the mixes that llama.cpp makes."""

from .beside import against, pair_up, sentence
from .contents import contents
from .mixes import recipe
from .stored import field_rows, stored_block, weight_rows

__all__ = ["against", "contents", "field_rows", "pair_up", "recipe", "sentence", "stored_block", "weight_rows"]
