"""What flows into layers: against hooks of one's own, in files and back, and what it is good for."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from safetensors.numpy import load as load_safetensors
from transformers import AutoModelForCausalLM, AutoTokenizer

import quantviz as qv
from quantviz.calibration.importance import importance_names, load_importance
from quantviz.errors import QuantvizError
from quantviz.evaluation.comparison import Refusal
from quantviz.quality.model.activations import Activations, collect_activations, output_errors
from quantviz.quality.text.texts import demo_text
from quantviz.sources.demo import FOLDER
from tests.calibration.test_importance import imatrix

NAME = "model.layers.1.mlp.down_proj.weight"


@pytest.fixture(scope="module")
def found(llama) -> Activations:
    return collect_activations(str(llama), tokens=600, context=128, samples=50)


@pytest.fixture(scope="module")
def inputs(llama) -> np.ndarray:
    """All that flows into one layer, [tokens, channels]."""
    model = AutoModelForCausalLM.from_pretrained(llama, dtype=torch.float32).eval()
    ids = torch.tensor(AutoTokenizer.from_pretrained(FOLDER)(demo_text())["input_ids"][:512]).view(-1, 128)
    seen = []
    model.model.layers[1].mlp.down_proj.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    with torch.inference_mode():
        model(ids)
    return seen[0].flatten(0, 1).double().numpy()


def test_mean_squares_and_a_sample_spread_over_the_text(found, inputs) -> None:
    assert len(found.layers) == 14 and found.counts[NAME] == 512  # whole windows
    np.testing.assert_allclose(found.importance(NAME), np.square(inputs).mean(0), rtol=1e-4)
    sample = found.inputs[NAME]
    assert sample.shape == (50, 96) and sample.dtype == np.float32
    np.testing.assert_allclose(sample, inputs[::10][:50], rtol=1e-3, atol=1e-5)
    with pytest.raises(QuantvizError, match="no activations for 'down_proj'"):
        found.importance("down_proj")


def test_the_data_of_a_file_are_aligned() -> None:
    for length in range(1, 9):
        name = "w" * length
        file = Activations({name: np.ones(3, np.float32)}, {name: 1}, {}).to_bytes()
        assert int.from_bytes(file[:8], "little") % 8 == 0


def test_as_safetensors_and_back(found, tmp_path) -> None:
    found.save(tmp_path / "activations.safetensors")
    theirs = load_safetensors((tmp_path / "activations.safetensors").read_bytes())
    assert len(theirs) == 3 * 14 and np.array_equal(theirs[NAME + ".in_sum2"], found.sums[NAME])
    for source in (tmp_path / "activations.safetensors", found.to_bytes()):
        back = Activations.read(source)
        assert (back.layers, back.counts) == (found.layers, found.counts)
        assert all(np.array_equal(back.sums[name], found.sums[name]) for name in found.layers)
        assert all(np.array_equal(back.inputs[name], found.inputs[name]) for name in found.layers)
        assert importance_names(source) == found.layers
        assert np.array_equal(load_importance(source, NAME, 96), found.importance(NAME))
    weights = np.random.default_rng(0).standard_normal((8, 96), dtype=np.float32)
    assert "weighted_mse" in qv.evaluate(weights, "int4-sym-b32", importance=found.importance(NAME)).metrics


def test_an_imatrix_of_llama_cpp_is_read(tmp_path) -> None:
    path = imatrix(tmp_path / "i.gguf")
    read = Activations.read(path)
    seen = [name for name in importance_names(path) if "blk.1.attn_q" not in name]  # through that one nothing flowed
    assert list(read.layers) == seen and not read.inputs
    assert np.array_equal(read.importance(seen[0]), load_importance(path, seen[0]))
    own = "model.layers.0.self_attn.q_proj.weight"
    assert np.array_equal(read.importance(own), load_importance(path, own))


@pytest.mark.parametrize("content", [b"", b"x" * 100, b"\x02\0\0\0\0\0\0\0{}", b"GGUF"])
def test_files_that_hold_none(content, tmp_path) -> None:
    (tmp_path / "file").write_bytes(content)
    for source in (content, tmp_path / "file"):
        with pytest.raises(QuantvizError):
            Activations.read(source)


def test_the_error_of_what_comes_out_beside_that_of_the_weights(llama, found, inputs) -> None:
    errors = {error.layer + ".weight": error for error in output_errors(str(llama), "int3-asym-b32", found)}
    assert tuple(errors) == found.layers
    w = qv.open_model(llama).load(NAME).astype(np.float64)
    rounded = qv.quantize(w.astype(np.float32), "int3-asym-b32").dequantize()
    x = inputs[::10][:50]
    assert errors[NAME].weight_error == pytest.approx(np.linalg.norm(rounded - w) / np.linalg.norm(w), rel=1e-4)
    out = np.linalg.norm(x @ (rounded - w).T) / np.linalg.norm(x @ w.T)
    assert errors[NAME].output_error == pytest.approx(out, rel=1e-3)
    assert errors[NAME].bits_per_weight == qv.Scheme.parse("int3-asym-b32").bits_per_weight((64, 96))
    assert {e.output_error for e in output_errors(str(llama), "fp32", found)} == {0.0}
    assert isinstance(next(output_errors(str(llama), "q4_k", found)), Refusal)


def test_what_cannot_be_used(llama, found) -> None:
    with pytest.raises(QuantvizError, match="hold no sample"):
        next(output_errors(str(llama), "int4", Activations(found.sums, found.counts, {})))
    wrong = Activations(found.sums, found.counts, {NAME: np.ones((3, 7), np.float32)})
    with pytest.raises(QuantvizError, match="have 7 channels, and the layer takes 96; they are another model's"):
        next(output_errors(str(llama), "int4", wrong))
    with pytest.raises(QuantvizError, match="keeps no inputs"):
        collect_activations(str(llama), samples=0)
