"""GGUF's k-quants."""
