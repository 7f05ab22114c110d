"""What a terminal is told."""

CLEARED = "\r\x1b[K"  # a line, empty again
