"""The parts of the page Quality."""
