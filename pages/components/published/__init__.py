"""The parts of the page GGUF files."""
