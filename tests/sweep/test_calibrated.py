"""A sweep with a calibration of each layer says what `evaluate` says with it."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

import quantviz as qv
from quantviz.calibration.files import save
from quantviz.errors import QuantvizError
from tests.sources.builders import weights
from tests.sweep.test_sweep import NAME, folder, swept

KEYS = ["int4-asym-b64", "int4-asym-b64:solver=gptq", "q4_0"]
COLS = 64


@pytest.fixture
def calibrated(tmp_path: Path) -> tuple[Path, Path, dict[str, qv.Calibration]]:
    """A model of three layers, and a file with the calibrations of two."""
    names = [NAME.format(i) for i in range(3)]
    ref = folder(tmp_path / "m", {name: weights(8, COLS, i) for i, name in enumerate(names)})
    random = np.random.default_rng(4)
    known = {name: qv.Calibration.of(random.standard_normal((200, COLS)).astype(np.float32)) for name in names[:2]}
    save(tmp_path / "c.safetensors", known)
    return ref, tmp_path / "c.safetensors", known


def test_every_figure_is_that_of_evaluate(calibrated, tmp_path: Path) -> None:
    ref, file, known = calibrated
    out = tmp_path / "o.parquet"
    frame, model = swept(ref, KEYS, out, calibration=file), qv.open_model(ref)
    assert len(frame) == 9
    for row in frame.itertuples():
        if row.tensor not in known:
            assert "the file has none for this tensor" in (row.notices or row.refused) or "gptq" in row.scheme
            assert math.isnan(row.output_relative_error)
            assert ("without a calibration" in row.refused) == ("gptq" in row.scheme)
            continue
        expected = qv.evaluate(model.open(row.tensor), row.scheme, detail="metrics", calibration=known[row.tensor])
        assert row.refused == "" and row.squared_error == expected.sums.squared_error
        for name in ("mse", "output_relative_error", "heldout_output_relative_error", "bits_per_weight"):
            assert getattr(row, name) == expected.metrics[name], (row.tensor, row.scheme, name)
    again = swept(ref, KEYS, out, calibration=file, resume=True)
    assert len(again) == 9
    with pytest.raises(QuantvizError, match="importance calibration .* and not"):
        swept(ref, KEYS, out, resume=True)
    small = swept(ref, KEYS[:1], calibration=file, budget=64)
    assert small.refused.str.contains("the whole tensor is in memory").sum() == 2


def test_what_does_not_go_together_and_files_without_calibrations_are_told(calibrated, tmp_path: Path) -> None:
    ref, file, _ = calibrated
    for other, said in (({"sample": "50%"}, "Give either a sample"), ({"importance": file}, "Give either importance")):
        with pytest.raises(QuantvizError, match=said):
            swept(ref, KEYS, calibration=file, **other)
    np.save(tmp_path / "x.npy", np.ones((4, COLS), np.float32))
    with pytest.raises(QuantvizError, match="has no layers by name"):
        swept(ref, KEYS, calibration=tmp_path / "x.npy")
