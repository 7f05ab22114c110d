"""Every weight matrix of a model under every scheme: one row a tensor and scheme, kept as it comes.

`quantviz.sweep` is this folder, and what it is called for: `qv.sweep(ref, schemes)` is `run.sweep`. Python makes every
folder an attribute of the one above it as soon as anything in it is imported, so a function of that name would be
there or not, depending on what was imported before.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any, Unpack

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import pandas as pd

    from .run import Options


class _Callable(ModuleType):
    def __call__(
        self, ref: Any, schemes: Iterable[Any], out: Any = None, **options: Unpack[Options]
    ) -> Iterator[pd.DataFrame]:
        """See `quantviz.sweep.run.sweep`."""
        from .run import sweep

        return sweep(ref, schemes, out, **options)


sys.modules[__name__].__class__ = _Callable
