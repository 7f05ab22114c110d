"""One tensor under one scheme, many schemes compared, two tensors: the errors, and what is said of them."""

from ..kernels import default_engine
from .tensor import Evaluation, describe, evaluate

__all__ = ["Evaluation", "default_engine", "describe", "evaluate"]
