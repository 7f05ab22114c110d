"""The libraries that the conformance tests compare with, imported without the noise they make."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from functools import cache
from types import ModuleType, SimpleNamespace

import ml_dtypes
import numpy as np

ML_DTYPES = {
    "fp16": np.float16,
    "bf16": ml_dtypes.bfloat16,
    "fp8_e4m3": ml_dtypes.float8_e4m3fn,
    "fp8_e5m2": ml_dtypes.float8_e5m2,
    "fp8_e4m3fnuz": ml_dtypes.float8_e4m3fnuz,
    "fp8_e5m2fnuz": ml_dtypes.float8_e5m2fnuz,
    "fp6_e3m2": ml_dtypes.float6_e3m2fn,
    "fp6_e2m3": ml_dtypes.float6_e2m3fn,
    "fp4_e2m1": ml_dtypes.float4_e2m1fn,
}


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
