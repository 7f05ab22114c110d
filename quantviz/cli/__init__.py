"""The command line: `python -m quantviz tensors | schemes | evaluate | against | mix | quality | sweep | throughput`.

With --json, standard output is one JSON document and nothing else. Bad input exits 2 with one line on
standard error, an interruption 130, and a reader of the output who closes it 141.
"""

from .process import entry, main

__all__ = ["entry", "main"]
