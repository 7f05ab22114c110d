"""Modules that several threads would import at once are imported once, one thread at a time.

Python lets a thread have a module that another is still importing, where waiting would be a deadlock;
and Plotly looks for pandas among the loaded modules without waiting at all. Twenty visitors who arrived at a server
that had just started ran into both.
"""

from __future__ import annotations

import gc
import pkgutil
import sys
import threading
from functools import cache
from importlib import import_module
from pathlib import Path

from .absence import keep_together

FIRST = (
    "pandas", "pyarrow", "plotly.graph_objects", "quantviz.kernels.cpu", "quantviz.evaluation.comparison",
    "quantviz.figures",
)  # fmt: skip
LANGUAGE_MODELS = ("torch", "transformers", "quantviz.kernels.reference")
SWEEPS = ("scipy.optimize", "distributed", "pyarrow.parquet", "quantviz.sweep.run")
HUB = ("huggingface_hub", "httpx2", "quantviz.sources.hub")
_COMPONENTS = str(Path(__file__).parents[1])
_lock = threading.RLock()


@cache  # every run of the app asks for it
def import_first() -> None:
    """Imports what every page needs; visitors who arrive meanwhile wait."""
    with _lock:
        keep_together()  # before there are many threads
        from quantviz.evaluation import default_engine

    device = ("torch", "triton", "quantviz.kernels.cuda") if default_engine() == "cuda" else ()
    import_each(*FIRST, *device)
    with _lock:
        import_each(*(part.name for part in pkgutil.walk_packages([_COMPONENTS], "pages.components.")))


def import_each(*names: str) -> None:
    """Imports the modules, unless another thread is at it: then waits until it has.

    What they are made of stays for good. Python's collector would go through these half a million objects again and
    again, 0.4 s at a time in which nobody gets an answer: it leaves them out.
    """
    with _lock:
        new = any(name not in sys.modules for name in names)
        if new:
            gc.disable()
        try:
            for name in names:
                import_module(name)
        finally:
            if new:
                gc.freeze()
                gc.enable()
