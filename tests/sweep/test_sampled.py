"""A sampled sweep: of a repository only the bands travel, and the same seed gives the same rows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import quantviz as qv
from quantviz.errors import QuantvizError
from tests.sources.builders import safetensors, weights
from tests.sources.conftest import hub  # noqa: F401
from tests.sweep.test_sweep import NAME, SCHEMES, swept


def test_of_a_repository_only_the_sample_travels(hub, tmp_path: Path) -> None:  # noqa: F811
    tensors = {NAME.format(i): weights(1200, 256, i) for i in range(5)}
    content = safetensors(tensors)
    hub.add_repo("org/name", {"model.safetensors": content})
    hub.forget()
    out = tmp_path / "o.parquet"
    frame = swept("hf:org/name", out=out, sample="1%", seed=3)
    assert hub.file_bytes <= 0.016 * len(content)
    assert (frame.refused == "").all() and np.allclose(frame.share, 0.01)
    for row in frame.itertuples():
        exact = qv.evaluate(tensors[row.tensor], row.scheme, detail="metrics").metrics
        assert row.se_mse > 0 and abs(row.mse - exact["mse"]) < 6 * row.se_mse
        assert row.squared_error == pytest.approx(row.mse * row.weights) and row.weights == 1200 * 256
        assert np.isnan(row.se_bits_per_weight) and row.bits == exact["bits_per_weight"] * row.weights
    again = swept("hf:org/name", out=out, sample="1.0 %", seed=3, resume=True)
    pd.testing.assert_frame_equal(again, frame)
    for options, said in (
        ({"sample": "2%"}, "sample 1%, and not 2%"),
        ({"sample": "1%", "seed": 4}, "seed 3, and not 4"),
    ):
        with pytest.raises(QuantvizError, match=said):
            swept("hf:org/name", out=out, resume=True, **options)
    with pytest.raises(QuantvizError, match="is no sample"):
        qv.sweep("hf:org/name", SCHEMES, sample="all")
