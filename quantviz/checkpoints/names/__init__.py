"""What the tensors of a model are called in GGUF, and how llama.cpp's converter changes them: one table for all."""

from __future__ import annotations

from .architectures import said_by
from .converting import Converted, converted, layers_in
from .counts import experts, sharing, text_part
from .table import NameMap, Place, architecture_of, guess_architecture, has_gguf_names, layers_of, llama_name, name_map

__all__ = ["Converted", "NameMap", "Place", "architecture_of", "converted", "experts", "guess_architecture",
           "has_gguf_names", "layers_in", "layers_of", "llama_name", "name_map", "said_by", "sharing",
           "text_part"]  # fmt: skip
