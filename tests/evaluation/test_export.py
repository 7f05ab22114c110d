"""Evaluations as JSON and CSV lose nothing and hold nothing that a strict reader refuses."""

from __future__ import annotations

import csv
import io
import json

import numpy as np
import pytest

import quantviz as qv
from quantviz.evaluation.export import evaluation_dict, metrics_table
from quantviz.metrics import METRICS
from quantviz.text.spreadsheets import csv_text

X = np.random.default_rng(0).standard_normal((6, 96), dtype=np.float32)


@pytest.fixture(scope="module")
def evaluation() -> qv.Evaluation:
    return qv.evaluate(X, "int4-asym-b32")


def test_a_dictionary_is_strict_json_and_complete(evaluation: qv.Evaluation) -> None:
    d = json.loads(json.dumps(evaluation_dict(evaluation), allow_nan=False))
    assert (d["scheme"], d["shape"], d["dtype"]) == ("int4-asym-b32", [6, 96], "float32")
    assert d["metrics"] == evaluation.metrics
    assert d["code_counts"] == evaluation.code_counts.tolist()
    assert d["histograms"]["error"]["counts"] == evaluation.histograms["error"].counts.tolist()
    assert d["statistics"]["crest_factor"] == evaluation.statistics.crest_factor
    assert len(d["statistics"]["largest_index"]) == len(evaluation.statistics.largest_index)


def test_block_errors_come_as_asked(evaluation: qv.Evaluation) -> None:
    summary = evaluation_dict(evaluation)["block_errors"]
    assert summary["shape"] == [6, 3] and "values" not in summary
    assert summary["min"] <= summary["median"] <= summary["max"]
    assert np.array_equal(
        np.float32(evaluation_dict(evaluation, "full")["block_errors"]["values"]), evaluation.block_errors
    )
    assert evaluation_dict(evaluation, "none")["block_errors"] is None


def test_undefined_and_infinite_become_null() -> None:
    d = evaluation_dict(qv.evaluate(np.zeros((2, 32), np.float32), "fp16"))
    assert d["metrics"]["sqnr_db"] is None and d["statistics"]["crest_factor"] is None
    assert evaluation_dict(qv.evaluate(X, "fp32"))["metrics"]["sqnr_db"] is None
    json.dumps(d, allow_nan=False)


def test_detail_metrics_exports_what_there_is() -> None:
    d = evaluation_dict(qv.evaluate(X, "mxfp4", detail="metrics"))
    assert d["histograms"] is d["statistics"] is d["code_counts"] is d["block_errors"] is None
    assert d["metrics"]["sqnr_db"] > 0


def test_csv_has_a_row_a_metric(evaluation: qv.Evaluation) -> None:
    rows = list(csv.DictReader(io.StringIO(csv_text(*metrics_table(evaluation)))))
    assert [row["metric"] for row in rows] == list(evaluation.metrics)
    for row in rows:
        assert float(row["value"]) == evaluation.metrics[row["metric"]]
        assert (row["unit"], row["direction"]) == (METRICS[row["metric"]].unit, METRICS[row["metric"]].direction)
    empty = csv_text(*metrics_table(qv.evaluate(np.zeros((2, 32), np.float32), "fp16")))
    assert "\nsqnr_db,,dB,higher\n" in empty
