"""Bits of a whole model: each layer counts with what its own tensors take in the file, never with an average."""

from __future__ import annotations

import gguf
import pytest

from quantviz.quality.measure import measure_quality
from quantviz.quality.model.stored_sizes import StoredSizes
from tests.quality.models import as_gguf


def types(name: str) -> str | None:
    """Layers and embedding in different types, norms in float32, as llama-quantize leaves them."""
    if name == "token_embd.weight":
        return "Q8_0"
    if "norm" in name:
        return None
    return "Q5_0" if "ffn_down" in name else "Q4_1"


@pytest.mark.parametrize("scheme", ["int8-sym-b32", "q4_0", "down_proj=int8-sym-b32;*=int4-sym-b32"])
def test_bits_of_a_quantized_gguf_file_are_those_of_its_tensors(llama, tmp_path, scheme: str) -> None:
    path = as_gguf(llama, tmp_path / "mixed.gguf", types)
    *_, result = measure_quality(str(path), [scheme], tokens=128, context=128)
    rest = weights = quantized = 0
    for tensor in gguf.GGUFReader(path).tensors:
        weights += int(tensor.n_elements)
        if tensor.name.startswith("blk.") and "norm" not in tensor.name:
            quantized += int(tensor.n_elements)
        else:
            rest += 8 * int(tensor.n_bytes)
    assert result.model_bits_per_weight == pytest.approx(
        (rest + result.bits_per_weight * quantized) / weights, rel=1e-12
    )


def test_names_lead_from_a_model_to_its_file() -> None:
    sizes = {
        "token_embd.weight": (640, 8 * 680), "blk.0.attn_q.weight": (64, 4 * 64),
        "blk.0.ffn_gate_exps.weight": (256, 2 * 256),
        "blk.0.ffn_up_exps.weight": (256, 3 * 256), "blk.0.ffn_down_exps.weight": (256, 6 * 256),
    }  # fmt: skip
    found = StoredSizes.of_gguf(sizes, "qwen3moe")
    assert found.bits_of("model.layers.0.self_attn.q_proj.weight", 64) == 4 * 64
    assert found.bits_of("model.layers.0.mlp.experts.gate_up_proj", 512) == 5 * 256
    assert found.bits_of("model.layers.0.mlp.experts.down_proj", 256) == 6 * 256
    assert found.bits_of("lm_head.weight", 640) == 8 * 680  # the embedding serves as the head
    assert found.bits == sum(bits for _, bits in sizes.values()) and found.weights == 640 + 64 + 3 * 256


def test_experts_that_a_folder_keeps_apart_are_counted_by_their_layer() -> None:
    sizes = {"model.embed_tokens.weight": (64, 64 * 32)} | {
        f"model.layers.{layer}.mlp.experts.{n}.{part}.weight": (8, 8 * (16 if layer else 8))
        for layer in (0, 1) for n in (0, 1) for part in ("gate_proj", "up_proj", "down_proj")
    }  # fmt: skip
    found = StoredSizes(sizes)
    assert found.bits_of("model.layers.0.mlp.experts.gate_up_proj", 32) == 32 * 8
    assert found.bits_of("model.layers.1.mlp.experts.down_proj", 16) == 16 * 16


def test_an_architecture_without_names_is_no_obstacle() -> None:
    found = StoredSizes.of_gguf({"blk.0.attn_q.weight": (64, 320), "blk.1.attn_q.weight": (64, 512)}, "unheard-of")
    assert found.bits_of("blk.0.attn_q.weight", 64) == 320
