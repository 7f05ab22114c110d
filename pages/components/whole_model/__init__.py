"""The parts of the page Whole model."""
