"""One tensor under one scheme, many schemes compared, two tensors: the errors, and what is said of them."""

from ..kernels import check_importance, default_engine
from ..kernels.common import Progress
from .tensor import Evaluation, describe, evaluate

__all__ = ["Evaluation", "Progress", "check_importance", "default_engine", "describe", "evaluate"]
