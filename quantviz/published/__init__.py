"""Published files: their blocks, beside the original, several of one model, and the mixes that llama.cpp makes."""

from .beside import against, pair_up, sentence
from .contents import contents
from .mixes import recipe
from .several import differences, many
from .stored import field_rows, stored_block, weight_rows

__all__ = ["against", "contents", "differences", "field_rows", "many", "pair_up", "recipe", "sentence", "stored_block",
           "weight_rows"]  # fmt: skip
