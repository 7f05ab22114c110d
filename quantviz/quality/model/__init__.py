"""The language model: found, read, and its layers replaced."""
