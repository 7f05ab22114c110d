"""The parts of the page Number formats."""
