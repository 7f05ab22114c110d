"""A sweep that comes from a stranger is read, or refused in a sentence."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import quantviz as qv
from quantviz.errors import QuantvizError
from quantviz.sweep import reading
from tests.sweep.test_sweep import SCHEMES, folder, swept


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    where = tmp_path_factory.mktemp("made")
    swept(folder(where / "m"), out=where / "o.parquet")
    return where / "o.parquet"


def changed(made: Path, tmp_path: Path) -> Path:
    out = tmp_path / f"{len(list(tmp_path.iterdir()))}.parquet"
    shutil.copytree(made, out)
    return out


def test_what_is_no_sweep_is_refused(made: Path, tmp_path: Path, monkeypatch) -> None:
    def refused(path: Path, said: str) -> None:
        with pytest.raises(QuantvizError, match=said):
            qv.load_sweep(path)

    refused(tmp_path / "nothing", "is not there")
    (tmp_path / "empty").mkdir()
    refused(tmp_path / "empty", "is no sweep")
    pd.DataFrame({"a": [1]}).to_parquet(tmp_path / "one.parquet")
    refused(tmp_path / "one.parquet", "is a file, and no sweep")
    spec = json.loads((made / "_sweep.json").read_text())
    for damage in (
        b"", b"{", b"[]", b'{"quantviz": "sweep"}', json.dumps({**spec, "quantviz": "plan"}).encode(),
        json.dumps({**spec, "targets": [1]}).encode(), json.dumps({**spec, "spec": {}}).encode(),
        json.dumps({**spec, "spec": {**spec["spec"], "seed": "0"}}).encode(),
        json.dumps({**spec, "spec": {**spec["spec"], "schemes": "q4_0"}}).encode(),
    ):  # fmt: skip
        out = changed(made, tmp_path)
        (out / "_sweep.json").write_bytes(damage)
        refused(out, "is no sweep")
    part = pq.read_table(made / "part-000001.parquet")
    for table, said in (
        (part.drop_columns(["scheme"]), "no column scheme"),
        (part.set_column(0, "tensor", pa.array([1] * len(part))), "no column tensor of type string"),
        (part.set_column(9, "scheme", pa.array([None] * len(part), pa.string())), "lacks the scheme"),
    ):
        out = changed(made, tmp_path)
        pq.write_table(table, out / "part-000002.parquet")
        refused(out, said)
    content = (made / "part-000001.parquet").read_bytes()
    for damage in (b"", b"PAR1", content[:-20], content[: len(content) // 2], b"\0" * 1000):
        out = changed(made, tmp_path)
        (out / "part-000001.parquet").write_bytes(damage)
        refused(out, "damaged, or no Parquet file")
    monkeypatch.setattr(reading, "_MAX_ROWS", len(part) - 1)
    refused(made, "more rows than any sweep has")


def test_columns_of_other_versions_are_no_hindrance(made: Path, tmp_path: Path) -> None:
    out = changed(made, tmp_path)
    part = pq.read_table(made / "part-000001.parquet")
    newer = part.drop_columns(["se_mse"]).append_column("new_metric", pa.array([0.5] * len(part)))
    pq.write_table(newer, out / "part-000001.parquet")
    pq.write_table(part, out / "part-000002.parquet")  # once more
    found = qv.load_sweep(out)
    pd.testing.assert_frame_equal(found.frame, qv.load_sweep(made).frame)
    assert found.complete and found.spec.schemes == tuple(SCHEMES)
