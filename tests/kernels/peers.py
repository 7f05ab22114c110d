"""The libraries that the conformance tests compare with, imported without the noise they make."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from functools import cache
from types import ModuleType, SimpleNamespace


@contextlib.contextmanager
def _quietly():
    """Neither warnings nor log lines nor prints: torchao and bitsandbytes report every optional part they lack."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


@cache
def torchao() -> SimpleNamespace:
    with _quietly():
        from torchao.prototype.mx_formats import kernels, mx_tensor, nvfp4_tensor
        from torchao.quantization import quant_primitives as affine
    return SimpleNamespace(affine=affine, mx=mx_tensor, nvfp4=nvfp4_tensor, unpack_uint4=kernels.unpack_uint4)


@cache
def bitsandbytes() -> ModuleType:
    with _quietly():
        import bitsandbytes.functional as functional
    return functional
