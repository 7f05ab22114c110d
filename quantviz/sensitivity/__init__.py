"""The dear grade of damage: what a model's own predictions lose when one part of it alone is quantized."""
