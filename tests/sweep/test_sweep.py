"""A sweep says of every tensor what `evaluate` says, keeps it, and goes on where it stopped."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import quantviz as qv
from quantviz.calibration.importance import load_importance
from quantviz.errors import QuantvizError
from quantviz.metrics import METRICS
from quantviz.sweep import engine, run, worker
from quantviz.sweep.frame import COLUMNS
from tests.sources.builders import safetensors, weights

SCHEMES = ["int4-sym-b32", "q4_0"]
NAME = "model.layers.{}.self_attn.q_proj.weight"


def folder(path: Path, tensors: dict[str, np.ndarray] | None = None, layers: int = 3) -> str:
    """A model of a few small tensors."""
    path.mkdir(exist_ok=True)
    found = {NAME.format(i): weights(8, 64, i) for i in range(layers)} if tensors is None else tensors
    (path / "model.safetensors").write_bytes(safetensors(found))
    return str(path)


def swept(ref: str, schemes=SCHEMES, out=None, **options) -> pd.DataFrame:
    return pd.concat(list(qv.sweep(ref, schemes, out, **{"detail": "metrics", **options})), ignore_index=True)


def test_a_sweep_of_the_demo_model_is_evaluate_tensor_by_tensor(tmp_path: Path) -> None:
    out = tmp_path / "demo.parquet"
    began = []
    frame = swept("demo", out=out, detail="full", progress=lambda *done: began.append(done))
    model = qv.open_model("demo")
    matrices = [info for info in model.tensors if len(info.shape) == 2]
    assert list(frame.columns) == list(COLUMNS)
    assert set(frame.tensor) == {info.name for info in matrices} and len(frame) == 2 * len(matrices)
    for info in matrices:
        for key in SCHEMES:
            row = frame[(frame.tensor == info.name) & (frame.scheme == key)].iloc[0]
            expected = qv.evaluate(model.open(info.name), key)
            got = {name: row[name] for name in METRICS if name in expected.metrics}
            assert got == expected.metrics
            assert row.refused == "" and tuple(filter(None, row.notices.split("\n"))) == expected.notices
            assert row.bits == qv.Scheme.parse(key).bits_stored(info.shape) and row.weights == info.size
            assert row.squared_error == pytest.approx(row.mse * info.size, rel=1e-12)
    assert set(frame.role) == {
        "attention q", "attention k", "attention v", "attention o", "mlp gate", "mlp up", "mlp down", "embedding",
    }  # fmt: skip
    assert began[-1] == (sum(info.size for info in matrices),) * 2 and began == sorted(began)
    kept = qv.load_sweep(out)
    assert kept.complete and kept.spec.ref == "demo" and kept.spec.schemes == tuple(SCHEMES)
    pd.testing.assert_frame_equal(kept.frame, frame)
    plain = pd.read_parquet(out)  # as anyone reads it
    assert len(plain) == len(frame)


def test_experts_of_one_tensor_are_measured_one_by_one(tmp_path: Path) -> None:
    stack = np.stack([weights(8, 64, i) for i in range(3)])
    tensors = {"model.layers.4.mlp.experts.down_proj": stack, "model.layers.4.mlp.experts.down_proj_bias": stack[:, 0]}
    frame = swept(folder(tmp_path / "m", tensors)).sort_values("expert", kind="stable")
    assert list(frame.tensor[::2]) == [f"model.layers.4.mlp.experts.down_proj[{i}]" for i in range(3)]
    assert list(frame.expert[::2]) == [0, 1, 2] and set(frame.layer) == {4} and set(frame.role) == {"mlp down"}
    for i, row in frame[::2].reset_index().iterrows():
        assert row.mse == qv.evaluate(stack[i], row.scheme, detail="metrics").metrics["mse"]


def test_importance_is_added_where_the_file_has_it(tmp_path: Path) -> None:
    ref = folder(tmp_path / "m")
    file = tmp_path / "activations.safetensors"
    sums = {NAME.format(1) + ".in_sum2": np.arange(1, 65, dtype=np.float32),
            NAME.format(1) + ".counts": np.full(1, 4, np.float32)}  # fmt: skip
    file.write_bytes(safetensors(sums))
    frame = swept(ref, importance=file).set_index(["tensor", "scheme"])
    h = load_importance(file, NAME.format(1), 64)
    for key in SCHEMES:
        row = frame.loc[(NAME.format(1), key)]
        expected = qv.evaluate(weights(8, 64, 1), key, h, detail="metrics").metrics
        assert row.weighted_mse == expected["weighted_mse"] and row.mse == expected["mse"]
        assert row.importance == pytest.approx(8 * h.sum())
        assert row.weighted_squared_error == pytest.approx(row.weighted_mse * row.importance)
        other = frame.loc[(NAME.format(0), key)]
        assert "without importance" in other.notices and np.isnan(other.weighted_mse)
    with pytest.raises(QuantvizError, match="no imatrix"):
        qv.sweep(ref, SCHEMES, importance=Path(ref) / "model.safetensors")


def test_what_cannot_be_measured_is_a_row_with_its_reason(tmp_path: Path) -> None:
    bad = weights(8, 64)
    bad[2, 3] = np.nan
    tensors = {NAME.format(0): bad, NAME.format(1): weights(8, 64), NAME.format(2): weights(8, 48)}
    out = tmp_path / "o.parquet"
    frame = swept(folder(tmp_path / "m", tensors), out=out).set_index(["tensor", "scheme"])
    assert "1 NaN" in frame.loc[(NAME.format(0), "q4_0")].refused
    assert frame.loc[(NAME.format(1), "q4_0")].refused == ""
    assert "32" in frame.loc[(NAME.format(2), "q4_0")].refused  # of 48 columns, no blocks of 32
    assert frame.loc[(NAME.format(2), "int4-sym-b32")].refused == ""
    assert qv.load_sweep(out).complete


def test_resume_redoes_nothing_and_refuses_what_is_another_sweep(tmp_path: Path, monkeypatch) -> None:
    ref, out = folder(tmp_path / "m"), tmp_path / "o.parquet"
    monkeypatch.setattr(run, "FLUSHED", 0.0)
    frames = qv.sweep(ref, SCHEMES, out, detail="metrics")
    next(frames)
    frames.close()  # as a page does whose visitor leaves
    assert worker.LIVE == {}
    first = qv.load_sweep(out)
    assert not first.complete and 1 <= first.frame.tensor.nunique() < 3
    with pytest.raises(QuantvizError, match="exists already"):
        swept(ref, out=out)
    for options, said in (
        ({"schemes": ["q4_0"]}, "schemes int4-sym-b32, q4_0, and not q4_0"),
        ({"detail": "full"}, "detail metrics, and not full"),
        ({"tensors": "q_proj"}, r"pattern of names \(none\), and not q_proj"),
        ({"roles": ["attention q"]}, "roles"),
    ):
        with pytest.raises(QuantvizError, match=said):
            swept(ref, out=out, resume=True, **options)
    monkeypatch.setattr(run, "__version__", "9.9")
    monkeypatch.setattr(worker, "__version__", "9.9")
    with pytest.raises(QuantvizError, match="version of quantviz .*, and not 9.9"):
        swept(ref, out=out, resume=True)
    monkeypatch.undo()
    asked = []
    monkeypatch.setattr(worker, "measure", lambda *a, real=worker.measure, **k: (asked.append(1), real(*a, **k))[1])
    whole = swept(ref, SCHEMES[::-1], out=out, resume=True)  # the same schemes in another order
    assert len(asked) == 3 - first.frame.tensor.nunique()
    pd.testing.assert_frame_equal(whole[: len(first.frame)], first.frame)
    assert len(whole) == 6 and qv.load_sweep(out).complete
    folder(tmp_path / "m", {NAME.format(i): weights(8, 64, i + 7) for i in range(3)})
    with pytest.raises(QuantvizError, match="revision of the source"):
        swept(ref, out=out, resume=True)


def test_an_error_of_progress_stops_and_leaves_what_is_complete(tmp_path: Path) -> None:
    ref, out = folder(tmp_path / "m"), tmp_path / "o.parquet"

    class Enough(Exception):
        pass

    def progress(done: int, total: int) -> None:
        if done >= 512:
            raise Enough

    with pytest.raises(Enough):
        swept(ref, out=out, progress=progress)
    kept = qv.load_sweep(out)
    assert set(kept.frame.groupby("tensor").scheme.nunique()) == {2} and not kept.complete
    assert len(swept(ref, out=out, resume=True)) == 6


def test_one_writer_at_a_time(tmp_path: Path) -> None:
    ref, out = folder(tmp_path / "m"), tmp_path / "o.parquet"
    frames = qv.sweep(ref, SCHEMES, out, detail="metrics")
    next(frames)
    with pytest.raises(QuantvizError, match="written to by another"):
        swept(ref, out=out, resume=True)
    frames.close()
    assert len(swept(ref, out=out, resume=True)) == 6


def test_a_full_disk_is_a_sentence_and_what_is_there_stays(tmp_path: Path, monkeypatch) -> None:
    ref, out = folder(tmp_path / "m"), tmp_path / "o.parquet"
    monkeypatch.setattr(run, "FLUSHED", 0.0)
    real, calls = os.fsync, []

    def full(descriptor: int) -> None:
        calls.append(descriptor)
        if len(calls) > 4:  # the description, a part, and their folder each time
            raise OSError(28, "No space left on device")
        real(descriptor)

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(QuantvizError, match="the disk is full"):
        swept(ref, out=out)
    monkeypatch.undo()
    assert not [name for name in os.listdir(out) if name.startswith("_writing")]
    kept = qv.load_sweep(out)
    assert len(kept.frame) == 2 and not kept.complete
    assert len(swept(ref, out=out, resume=True)) == 6


def listening() -> int:
    """Sockets of this process on which somebody could connect."""
    own = set()
    for name in os.listdir("/proc/self/fd"):
        try:
            own.add(os.readlink(f"/proc/self/fd/{name}"))
        except OSError:
            continue
    lines = [
        line.split() for kind in ("tcp", "tcp6") for line in Path(f"/proc/self/net/{kind}").read_text().split("\n")[1:]
    ]
    return sum(f"socket:[{line[9]}]" in own for line in lines if line and line[3] == "0A")


@pytest.mark.skipif(not Path("/proc/self/net/tcp").exists(), reason="only Linux tells which sockets a process has")
def test_a_sweep_in_a_thread_opens_no_port_and_leaves_nothing(tmp_path: Path) -> None:
    ref, before, seen = folder(tmp_path / "m"), listening(), []
    threads = threading.active_count()

    def work() -> None:
        with engine.connected(None, None):
            seen.append(listening())
        seen.append(len(swept(ref)))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    import distributed

    assert seen == [before, 6]
    with pytest.raises(ValueError, match="No global client found"):
        distributed.get_client(timeout=0)
    assert threading.active_count() <= threads + 2 + worker.workers.THREADS  # pools that stay


def test_bad_input_is_told_before_anything_is_measured(tmp_path: Path) -> None:
    ref = folder(tmp_path / "m")
    file = tmp_path / "file"
    file.write_text("x")
    cases = (
        ({"tensors": "nothing"}, "match 'nothing'"), ({"tensors": "("}, "no regular expression"),
        ({"tensors": "x" * 2000}, "2,000 characters"), ({"roles": ["mlp dwn"]}, "Did you mean mlp down"),
        ({"roles": ["head"]}, "are head; their roles are attention q"), ({"detail": "all"}, "no detail 'all'"),
        ({"workers": 0}, "1 to 1,024"), ({"workers": 2, "scheduler": "tcp://x:1"}, "either"),
        ({"budget": 0}, "above 0"), ({"schemes": ["int99"]}, "int99"), ({"schemes": []}, "at least one scheme"),
        ({"scheduler": "tcp://127.0.0.1:1", "token": "hf_x"}, "does not travel"),
    )  # fmt: skip
    for options, said in cases:
        with pytest.raises(QuantvizError, match=said):
            qv.sweep(ref, **{"schemes": SCHEMES, **options})
    with pytest.raises(TypeError, match="unexpected keyword argument 'sheduler'"):
        qv.sweep(ref, SCHEMES, sheduler="x")
    with pytest.raises(QuantvizError, match="cannot be written"):
        swept(ref, out=file / "o.parquet")
    for path in (file, tmp_path / "m"):
        with pytest.raises(QuantvizError, match="no sweep"):
            swept(ref, out=path, resume=True)


def test_a_pattern_that_never_ends_is_given_up(monkeypatch) -> None:
    from quantviz.sweep import targets

    monkeypatch.setattr(targets, "_SECONDS", 0.5)
    with pytest.raises(QuantvizError, match="repetitions inside repetitions"):
        qv.sweep("demo", SCHEMES, tensors=r"(\w+\.?)+!")
