"""Whole passes over a tensor: describe, measure, quantize, dequantize."""
