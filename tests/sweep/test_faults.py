"""Processes that are killed, schedulers that are not there, sources that change."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType

import pandas as pd
import pytest

import quantviz as qv
from quantviz.errors import QuantvizError
from quantviz.sweep import engine, run, worker
from tests.sources.builders import safetensors, weights
from tests.sources.conftest import hub  # noqa: F401
from tests.sources.fake_hub import Fault
from tests.sweep.test_sweep import NAME, SCHEMES, folder, swept

ROOT = Path(__file__).parent.parent.parent
SLOWLY = """
import sys, time
import quantviz as qv
from quantviz.sweep import run
run.FLUSHED = 0.0
for frame in qv.sweep(sys.argv[1], ["int4-sym-b32"], sys.argv[2], detail="metrics"):
    print(frame.tensor[0], flush=True)
    time.sleep(60 if frame.tensor[0] == "model.layers.2.self_attn.q_proj.weight" else 0)
"""


def test_killed_in_the_middle_and_resumed(tmp_path: Path) -> None:
    ref, out = folder(tmp_path / "m", layers=6), tmp_path / "o.parquet"
    with subprocess.Popen(
        [sys.executable, "-c", SLOWLY, ref, str(out)], stdout=subprocess.PIPE, text=True, cwd=ROOT
    ) as process:
        told = []
        while told[-1:] != [NAME.format(2)]:  # after which it waits
            told.append(process.stdout.readline().strip())
            assert told[-1], "it has ended"
        process.send_signal(signal.SIGKILL)
    (out / "_writing-1-ab").write_bytes(b"half a part")
    kept = qv.load_sweep(out)
    assert list(kept.frame.tensor) == told and not kept.complete
    frame = swept(ref, ["int4-sym-b32"], out, resume=True)
    assert list(frame.tensor[: len(told)]) == told and sorted(frame.tensor) == [NAME.format(i) for i in range(6)]
    assert qv.load_sweep(out).complete and "_writing-1-ab" not in os.listdir(out)


def test_two_workers_one_of_which_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Worker processes run the main module anew; tests of pages in this process leave the app there.
    monkeypatch.setitem(sys.modules, "__main__", ModuleType("__main__"))
    ref = folder(tmp_path / "m", layers=8)
    with engine.connected(2, None) as client:
        plan = run._planned(ref, SCHEMES, {"detail": "metrics", "workers": 2})
        items = ((target, None, ()) for target in plan.targets)
        found, killed = {}, False
        for target, rows in engine.results(client, plan.job, items, lambda: None):
            found[target.name] = rows
            if not killed:
                os.kill(next(iter(client.run(os.getpid).values())), signal.SIGKILL)
                killed = True
    assert len(found) == 8
    expected = swept(ref).set_index(["tensor", "scheme"])
    for name, rows in found.items():
        for row in rows:
            assert row["refused"] == "" and row["mse"] == expected.loc[(name, row["scheme"])].mse


def test_a_scheduler_that_does_not_answer_is_told_at_once(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(engine, "CONNECTING", 0.5)
    began = time.monotonic()
    for address in ("tcp://127.0.0.1:9", "nonsense://x", "127.0.0.1:9"):
        with pytest.raises(QuantvizError, match="No Dask scheduler answers at"):
            swept(folder(tmp_path / "m"), scheduler=address)
    assert time.monotonic() - began < 8


def test_a_running_cluster_is_used_and_its_end_is_told(tmp_path: Path, monkeypatch) -> None:
    from distributed import LocalCluster

    ref, out = folder(tmp_path / "m", layers=8), tmp_path / "o.parquet"
    monkeypatch.setattr(run, "FLUSHED", 0.0)
    monkeypatch.setattr(engine, "CONNECTING", 1.0)
    here = {"processes": False, "protocol": "tcp://", "host": "127.0.0.1", "dashboard_address": None}
    with LocalCluster(**here, n_workers=1, threads_per_worker=1, silence_logs=50) as cluster:
        frame = swept(ref, scheduler=cluster.scheduler_address)
        frames = qv.sweep(ref, SCHEMES, out, scheduler=cluster.scheduler_address, detail="metrics")
        next(frames)
    with pytest.raises(QuantvizError, match="connection to the scheduler was lost .* go on with resume"):
        list(frames)
    pd.testing.assert_frame_equal(ordered(frame), ordered(swept(ref)))
    assert not qv.load_sweep(out).complete
    pd.testing.assert_frame_equal(ordered(swept(ref, out=out, resume=True)), ordered(frame))
    with LocalCluster(**here, n_workers=0, silence_logs=50) as cluster:
        with pytest.raises(QuantvizError, match="has no workers"):
            swept(ref, scheduler=cluster.scheduler_address)


def test_a_running_cluster_without_workers_is_not_waited_for(tmp_path: Path, monkeypatch) -> None:
    from distributed import LocalCluster

    monkeypatch.setattr(engine, "_COUNTED", 0.05)
    monkeypatch.setattr(engine, "_ALONE", 0.3)
    monkeypatch.setattr(engine, "_COMING", 0.1)
    here = {"processes": False, "protocol": "tcp://", "host": "127.0.0.1", "dashboard_address": None}
    plan = run._planned(folder(tmp_path / "m", layers=64), SCHEMES, {"detail": "metrics"})
    with LocalCluster(**here, n_workers=1, threads_per_worker=1, silence_logs=50) as cluster:
        with engine.connected(None, cluster.scheduler_address) as client:
            items = ((target, None, ()) for target in plan.targets)
            rows = engine.results(client, plan.job, items, lambda: None)
            next(rows)
            cluster.scale(0)
            with pytest.raises(QuantvizError, match="has had no workers for 0.3 s; what is complete is kept"):
                list(rows)


def test_work_that_a_scheduler_drops_is_given_to_it_again(tmp_path: Path) -> None:
    from distributed import Future

    plan = run._planned(folder(tmp_path / "m", layers=8), SCHEMES, {"detail": "metrics"})
    with engine.connected(None, None) as client:
        found = {}
        for target, rows in engine.results(client, plan.job, ((each, None, ()) for each in plan.targets), lambda: None):
            if not found:
                client.cancel([Future(key, client) for key in list(client.futures)])
            found[target.name] = [row["refused"] for row in rows]
    assert found == {NAME.format(i): ["", ""] for i in range(8)}


def ordered(frame: pd.DataFrame) -> pd.DataFrame:
    """In an order of its own, without what differs from run to run."""
    return frame.drop(columns="seconds").sort_values(["tensor", "scheme"], ignore_index=True)


def test_workers_of_another_quantviz_are_refused(tmp_path: Path) -> None:
    with pytest.raises(QuantvizError, match="b has 9.9 and c has none that sweeps; install"):
        engine.check_versions({"a": qv.__version__, "b": "9.9", "c": ModuleNotFoundError("quantviz")})
    plan = run._planned(folder(tmp_path / "m"), SCHEMES, {})
    from dataclasses import replace

    ended = worker.run(replace(plan.job, version="9.9"), plan.targets[0])
    assert "install the same" in ended.reason


def test_a_file_that_changes_while_it_is_swept_ends_the_sweep(tmp_path: Path, monkeypatch) -> None:
    ref, out = folder(tmp_path / "m", layers=8), tmp_path / "o.parquet"
    monkeypatch.setattr(run, "FLUSHED", 0.0)
    frames = qv.sweep(ref, SCHEMES, out, detail="metrics")
    next(frames)
    time.sleep(0.02)
    folder(tmp_path / "m", {NAME.format(i): weights(8, 64, i + 20) for i in range(8)})
    with pytest.raises(QuantvizError, match="no longer what it was when the sweep began"):
        list(frames)
    kept = qv.load_sweep(out)
    assert not kept.complete and set(kept.frame.refused) == {""}


def test_a_repository_that_changes_while_it_is_swept(hub, tmp_path: Path, monkeypatch) -> None:  # noqa: F811
    def files(seed: int) -> dict[str, bytes]:
        return {"model.safetensors": safetensors({NAME.format(i): weights(8, 64, seed + i) for i in range(8)})}

    hub.add_repo("org/name", files(0))
    out = tmp_path / "o.parquet"
    monkeypatch.setattr(run, "FLUSHED", 0.0)
    frames = qv.sweep("hf:org/name", SCHEMES, out, detail="metrics")
    first = next(frames)
    assert first.revision[0] == hub.repos["org/name"].sha and first.ref[0] == "hf:org/name"
    hub.add_repo("org/name", files(20))  # this Hub forgets what was there, as one does whose history is rewritten
    hub.faults.append(Fault("cdn", "change", times=1000))
    with pytest.raises(QuantvizError, match="no revision"):
        list(frames)
    hub.faults.clear()
    kept = qv.load_sweep(out)
    assert not kept.complete and set(kept.frame.refused) == {""}
    with pytest.raises(QuantvizError, match="revision of the source"):
        swept("hf:org/name", out=out, resume=True)
    assert len(swept("hf:org/name")) == 16
