"""The parts of the page Learn: its chapters, a module each."""
