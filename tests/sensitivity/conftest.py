"""A model small enough to be measured unit by unit, and how the tests measure it."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from quantviz.sensitivity import sensitivity
from tests.quality.conftest import llama as llama

SCHEME = "int4-sym-b32"
SMALL = {"tokens": 256, "context": 64, "device": "cpu"}


@pytest.fixture(scope="session")
def by_tensor(llama: Path) -> pd.DataFrame:
    return measured(llama)


def measured(ref: object, schemes: object = SCHEME, by: str = "tensor", **more: object) -> pd.DataFrame:
    return pd.concat(sensitivity(str(ref), schemes, by, **(SMALL | more)), ignore_index=True)
