"""The rules for one weight, as numba sees them."""
