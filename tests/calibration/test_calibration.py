"""Calibrations: the second moment, the output's error from it, files, made-up inputs, and what is refused."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import numpy as np
import pytest

import quantviz as qv
from quantviz import Calibration, QuantvizError
from quantviz.calibration import moments
from quantviz.calibration.files import Calibrations
from quantviz.calibration.output_error import output_metrics, power, power_of, shares
from quantviz.calibration.synthetic import synthetic_inputs
from quantviz.cli.process import main
from quantviz.tensors import as_stored


def inputs(tokens: int = 300, cols: int = 600) -> np.ndarray:
    rng = np.random.default_rng(1)
    return (rng.standard_normal((tokens, 40)) @ rng.standard_normal((40, cols)) + 3).astype(np.float32)


def test_the_second_moment_is_the_mean_over_all_tokens_that_are_not_held_out() -> None:
    x = inputs()
    c = Calibration.of(x)
    used = x[:263].astype(float)
    assert (c.tokens, len(c.heldout), c.cols) == (263, 37, 600)
    assert np.allclose(c.moment, used.T @ used / 263, rtol=1e-6, atol=0)
    assert np.array_equal(c.moment, c.moment.T) and np.array_equal(c.moment.diagonal(), c.importance)
    assert c.mean_abs == pytest.approx(np.abs(used).mean(axis=0), rel=1e-6)
    assert np.array_equal(c.heldout, x[263:]) and len(c.inputs) == 256
    sums = moments.MomentSums(600)
    for part in np.array_split(x[:263], 5):
        sums.add(part)
    assert np.allclose(sums.means()[0], c.moment, rtol=1e-6, atol=0)


def test_the_error_of_the_output_is_that_of_the_product() -> None:
    x, w = inputs(cols=576), np.random.default_rng(2).standard_normal((40, 576), dtype=np.float32)
    c = Calibration.of(x)
    used, apart = x[: c.tokens].astype(float), c.heldout.astype(float)
    for key in ("int4-asym-b64", "q4_0", "int4-asym-b64:rotate=hadamard", "int4-asym-b64:solver=gptq"):
        e = np.asarray(qv.quantize(w, key, calibration=c).dequantize()).astype(float) - w
        r = qv.evaluate(w, key, calibration=c).metrics
        for name, x in (("output_relative_error", used), ("heldout_output_relative_error", apart)):
            assert r[name] == pytest.approx(np.linalg.norm(e @ x.T) / np.linalg.norm(w.astype(float) @ x.T), rel=1e-6)
        assert r["output_sqnr_db"] == pytest.approx(-20 * np.log10(r["output_relative_error"]), rel=1e-9)
    found = power(e.astype(np.float32), c)
    assert shares(found).sum() == pytest.approx(1)
    assert output_metrics(found, power_of(as_stored(w), c)).keys() <= qv.METRICS.keys()


def test_files_give_back_what_was_saved(tmp_path: Path) -> None:
    x = inputs(200, 48)
    c = Calibration.of(x, name="model.layers.0.mlp.down_proj.weight")
    path = tmp_path / "c.safetensors"
    Calibrations({c.name: c, "other": Calibration.of(x[:, :8], name="other")}).save(path)
    kept = Calibrations.load(path)
    assert list(kept) == [c.name, "other"] and c.name in kept and "third" not in kept
    for back in (kept[c.name], qv.load_calibration(path.read_bytes(), c.name, 48)):
        for name in ("moment", "importance", "mean_abs", "max_abs", "inputs", "heldout"):
            assert np.array_equal(getattr(back, name), getattr(c, name))
        assert (back.tokens, back.name) == (c.tokens, c.name)
    w = np.random.default_rng(0).standard_normal((16, 48), dtype=np.float32)
    for key in ("int4-asym-b16:solver=gptq,order=act", "int4-asym-b16:rotate=hadamard,solver=gptq"):
        mine, theirs = (qv.quantize(w, key, calibration=one).codes for one in (c, kept[c.name]))
        assert np.array_equal(mine, theirs)
    assert qv.load_importance(path, "other") == pytest.approx(kept["other"].importance, rel=1e-6)
    with pytest.raises(QuantvizError, match="There is no calibration of 'othr'. Did you mean other"):
        kept["othr"]
    with pytest.raises(QuantvizError, match="a row of other has 9 weights; give the calibration of that layer"):
        qv.load_calibration(path, "other", 9)
    np.save(tmp_path / "x.npy", np.asfortranarray(x))
    assert np.array_equal(qv.load_calibration(tmp_path / "x.npy").moment, Calibration.of(x).moment)
    np.save(tmp_path / "h.npy", c.importance)
    assert qv.load_calibration(tmp_path / "h.npy").moment is None


def table(**parts: np.ndarray) -> bytes:
    header, data = {}, b""
    for name, values in parts.items():
        raw = np.asarray(values, "<f4").tobytes()
        header[name.replace("__", ".")] = {
            "dtype": "F32", "shape": list(np.shape(values)), "data_offsets": [len(data), len(data) + len(raw)]
        }  # fmt: skip
        data += raw
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def test_damaged_files_are_refused_in_a_sentence() -> None:
    whole = {"a__in_sum2": np.ones(3), "a__counts": np.ones(1), "a__moment": np.eye(3)}
    assert qv.load_calibration(table(**whole)).cols == 3
    for change, said in (
        ({"a__moment": np.eye(4)}, "moment has the shape"),
        ({"a__moment": np.full((3, 3), np.nan)}, "holds NaN or infinity"),
        ({"a__moment": np.arange(9).reshape(3, 3)}, "is no second moment"),
        ({"a__moment": -np.eye(3)}, "is no second moment"),
        ({"a__heldout": np.ones((2, 4))}, "heldout has the shape"),
        ({"a__counts": np.zeros(1)}, "must be finite and not negative"),
        ({"a__in_sum2": np.ones((3, 1))}, "must be float32, one number an input"),
    ):
        with pytest.raises(QuantvizError, match=said):
            qv.load_calibration(table(**(whole | change)))
    for data in (b"", b"\x93NUMPY\x01\x00", table(**whole)[:-8], b"PK\x03\x04" + bytes(64)):
        with pytest.raises(QuantvizError):
            qv.load_calibration(data)


def test_inputs_that_are_none_are_refused() -> None:
    for x, said in (
        (np.ones(4), "give .tokens, in_features."),
        (np.ones((0, 4)), "with at least one of each"),
        (np.array([[1.0, 2.0], [np.nan, 1.0]]), "NaN or infinity, first at token 1"),
        (np.full((4, 2), 1e30), "beyond float32's largest number"),
        (np.array([["a"]]), "dtype"),
    ):
        with pytest.raises(QuantvizError, match=said):
            Calibration.of(x, heldout=0)
    with pytest.raises(QuantvizError, match="heldout=4 of 4 tokens leaves none"):
        Calibration.of(np.ones((4, 2)), heldout=4)


def test_memory_is_told_before_it_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(moments, "available", lambda device: 400 << 20)
    moments.check_room({"a": 4096, "b": 4096})
    with pytest.raises(QuantvizError, match=r"of 8 layers takes 604 MB of memory, and 419 MB may still be taken; .* 5"):
        moments.check_room({f"layer{i}": 4096 for i in range(8)})
    with pytest.raises(QuantvizError, match="narrower layers, or importance alone"):
        moments.check_room({"a": 14336})


def test_made_up_inputs_have_the_outliers_and_correlation_that_were_asked_for() -> None:
    x = synthetic_inputs(64, 4000, 7, outlier_share=1 / 16, outlier_magnitude=30, correlation=0.8)
    large = x.std(axis=0) > 15
    assert large.sum() == 4
    both = ~large[1:] & ~large[:-1]
    found = np.corrcoef(x.T)[np.arange(63), np.arange(1, 64)][both]
    assert found == pytest.approx(np.full(both.sum(), 0.8), abs=0.05)
    assert np.array_equal(x, synthetic_inputs(64, 4000, 7, 1 / 16, 30, 0.8)) and x.dtype == np.float32
    for wrong in ({"cols": 0}, {"cols": 8, "correlation": 1.0}, {"cols": 8, "outlier_share": 2.0}):
        with pytest.raises(QuantvizError):
            synthetic_inputs(**wrong)


def test_the_command_line_calibrates_and_evaluates(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out, tensor = str(tmp_path / "c.safetensors"), "model.layers.1.mlp.gate_proj.weight"
    arguments = ["calibrate", "demo", "--out", out, "--tokens", "1024", "--layers", "layers.1.mlp.(gate|up)_proj"]
    assert main(arguments) == 0
    printed = capsys.readouterr().out
    assert tensor in printed and "down_proj" not in printed
    assert list(Calibrations.load(out)) == [tensor, tensor.replace("gate", "up")]
    # Two windows are read: the last one is held out, and is none that quality scores.
    assert (Calibrations.load(out)[tensor].tokens, len(Calibrations.load(out)[tensor].heldout)) == (512, 512)
    keys = ["int4-asym-b64", "int4-asym-b64:solver=gptq"]
    assert main(["evaluate", "demo", tensor, *keys, "--calibration", out, "--json"]) == 0
    plain, solved = (r["metrics"] for r in json.loads(capsys.readouterr().out))
    assert solved["output_relative_error"] < plain["output_relative_error"]
    assert solved["heldout_output_relative_error"] < plain["heldout_output_relative_error"]
    assert solved["relative_l2_error"] > plain["relative_l2_error"]
    for wrong, said in (
        (["evaluate", "demo", tensor.replace("gate", "down"), keys[0], "--calibration", out], "has no importance for"),
        (["evaluate", "demo", tensor, keys[1]], "cannot be quantized without a calibration"),
        (["calibrate", "demo", "--out", out, "--layers", "nothing"], "No layer matches"),
        (["calibrate", "demo", "--out", out, "--layers", "("], "is no regular expression"),
    ):
        assert main(wrong) == 2
        assert said in capsys.readouterr().err
