"""What the chapters of Learn compute: small tensors, each step of the arithmetic in the open."""
