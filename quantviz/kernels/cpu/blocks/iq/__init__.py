"""GGUF's iq types."""
