"""Published files: their blocks, beside the original, and the mixes that llama.cpp makes."""
