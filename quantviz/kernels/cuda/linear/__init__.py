"""A linear layer with quantized weights on a GPU."""
