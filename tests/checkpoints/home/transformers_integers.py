"""Makes data/bitnet.npz and data/gemma.npz: pip install torch transformers; then

python -m tests.checkpoints.home.transformers_integers
"""

from __future__ import annotations

import torch
import transformers
from transformers.integrations import bitnet, gemma_quant

from tests.checkpoints.golden import Case, save
from tests.checkpoints.home.torch_tensors import stored, uneven


def ternary(out: int, cols: int, multiplies: bool, dtype: torch.dtype) -> Case:
    """The layer's output for each unit vector, of the weights that the library unpacks."""
    w = uneven(out, cols, seed=out)
    mean = w.abs().mean()
    codes = (w / mean).round().clamp(-1, 1)
    packed = bitnet.pack_weights(codes.clone())
    scale = (mean if multiplies else 1 / mean).reshape(1).to(dtype)
    unpacked = bitnet.unpack_weights._torchdynamo_orig_callable(packed, torch.float32)
    assert torch.equal(unpacked, codes)
    read = unpacked * scale.float() if multiplies else unpacked / scale.float()
    said = {"quant_method": "bitnet", "linear_class": "autobitlinear" if multiplies else "bitlinear"}
    return Case(
        f"ternary {out}x{cols} {'multiplied' if multiplies else 'divided'}", "l.weight",
        stored({"l.weight": packed, "l.weight_scale": scale, "l.bias": torch.ones(out)}), read.numpy(),
        config={"config.json": {"quantization_config": said}},
    )  # fmt: skip


def _pack(codes: torch.Tensor, bits: int) -> torch.Tensor:
    """The inverse of the library's own unpacking; it has none."""
    if bits == 8:
        return codes.to(torch.int8)
    each = (codes + 2 ** (bits - 1)).to(torch.uint8).reshape(codes.shape[0], -1, 8 // bits)
    return sum(each[..., i] << (bits * i) for i in range(8 // bits)).to(torch.uint8)


def rows(out: int, cols: int, bits: int, embedding: bool = False, groups: int = 1) -> Case:
    w = uneven(out, cols, seed=bits)
    top = 2 ** (bits - 1)
    scale = w.reshape(out, groups, -1).abs().amax(2) / top
    codes = (w / scale.repeat_interleave(cols // groups, 1)).round().clamp(-top, top - 1)
    packed = _pack(codes, bits)
    if embedding:
        made = gemma_quant.QuantizedEmbedding(out, cols, torch.float32, num_bits=bits)
        read = made._dequantize_weights(packed, scale)
        tensors = {"l.embedding_quantized": packed, "l.embedding_scale": scale}
    else:
        made = gemma_quant.QuantizedLinear(cols, out, num_bits=bits)
        made.weight.data, made.weight_scale.data = packed, scale
        read = made._dequantize_weights()
        tensors = {"l.weight": packed, "l.weight_scale": scale, "l.input_activation_scale": torch.tensor(0.1),
                   "l.output_activation_scale": torch.tensor(0.2)}  # fmt: skip
    said = {"quant_method": "gemma", "num_bits": 4, "module_quant_configs": {"^l$": {"num_bits": bits}}}
    name = f"int{bits} {out}x{cols}{' embedding' * embedding} {groups}"
    config = {"config.json": {"quantization_config": said}}
    return Case(name, "l.weight", stored(tensors), read.detach().numpy(), config=config)


if __name__ == "__main__":
    save("bitnet", "transformers", transformers.__version__, [
        ternary(24, 33, False, torch.bfloat16), ternary(64, 96, False, torch.float32),
        ternary(24, 40, True, torch.bfloat16), ternary(12, 8, True, torch.float32),
    ])  # fmt: skip
    save("gemma", "transformers", transformers.__version__, [
        rows(20, 32, 2), rows(33, 96, 4), rows(30, 96, 2, True), rows(31, 64, 4, True), rows(9, 40, 8, True),
        rows(24, 64, 4, True, 2), rows(24, 64, 8, True, 4),
    ])  # fmt: skip
