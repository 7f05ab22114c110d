"""Many visitors at once: `python -m tests.load --help`. The suite runs a small part of it, on a cold server."""
