"""Formats without a reader say what one would need."""

from __future__ import annotations

from pathlib import Path

import pytest

import quantviz as qv
from quantviz.checkpoints.packed import FORMATS
from quantviz.checkpoints.readers import refused
from tests.checkpoints.layouts import ALL, example_of
from tests.checkpoints.test_recognition import written

WITH_A_LAYER = [name for name in refused.NAMES if name in {example.name for example in ALL}]


@pytest.mark.parametrize("name", WITH_A_LAYER)
def test_a_format_that_is_not_read_says_why(tmp_path: Path, name: str) -> None:
    assert name in {form.name for form in FORMATS}
    codes, *_ = (example := example_of(name)).tensors
    with pytest.raises(qv.QuantvizError) as said:
        qv.open_model(written(tmp_path, example.tensors)).open(codes)
    told = str(said.value)
    assert f"is stored as {name}: " in told and "are codes, not weights, and quantviz does not decode them: " in told
    assert "\n" not in told and told.endswith("; open the model it was quantized from.")
