"""A linear layer with quantized weights on the CPU."""
