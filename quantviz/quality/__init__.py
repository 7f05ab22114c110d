"""What quantization does to a language model."""
