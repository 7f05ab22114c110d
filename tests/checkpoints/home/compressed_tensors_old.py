"""Makes data/compressed_tensors_old.npz: the packing before May 2026, and inputs in an order of their own.

pip install compressed-tensors==0.9.4 torch, then, from the root:
python -m tests.checkpoints.home.compressed_tensors_old
"""

from __future__ import annotations

from importlib.metadata import version

import torch
from compressed_tensors.compressors.quantized_compressors.pack_quantized import pack_to_int32, unpack_from_int32
from compressed_tensors.quantization import QuantizationArgs
from compressed_tensors.quantization.lifecycle.forward import dequantize, quantize

from tests.checkpoints.golden import Case, save
from tests.checkpoints.home.torch_tensors import case, uneven

GROUP = 32


def made(bits: int, sym: bool, ordered: bool = False, rows: int = 0, config: bool = True) -> Case:
    """rows: a multiple of the zero points in a word, which that version needs."""
    rows = rows or 32 // bits * 4
    w = uneven(rows, 160, seed=bits)
    args = QuantizationArgs(num_bits=bits, symmetric=sym, strategy="group", group_size=GROUP)
    order = torch.randperm(160, generator=torch.Generator().manual_seed(1)) // GROUP if ordered else None
    x = w[:, torch.argsort(order)] if ordered else w
    parts = x.reshape(rows, -1, GROUP)
    low, high = parts.amin(-1).clamp(max=0), parts.amax(-1).clamp(min=0)
    half = 2 ** (bits - 1)
    scale = ((high - low) / (2**bits - 1) if not sym else parts.abs().amax(-1) / (half - 0.5)).bfloat16().float()
    zero = None if sym else (-half - low / scale).round().clamp(-half, half - 1).to(torch.int8)
    q = quantize(w, scale, zero, args, dtype=torch.int8, g_idx=order)
    packed = pack_to_int32(q, bits)
    found = dequantize(unpack_from_int32(packed, bits, w.shape), scale, zero, args, g_idx=order)
    tensors = {"l.weight_packed": packed, "l.weight_scale": scale, "l.weight_shape": torch.tensor(w.shape)}
    if zero is not None:
        tensors["l.weight_zero_point"] = pack_to_int32(zero, bits, packed_dim=0)
    if ordered:
        tensors["l.weight_g_idx"] = order.int()
    said = {"num_bits": bits, "symmetric": sym, "group_size": GROUP, "actorder": "group" if ordered else None}
    about = {"quant_method": "compressed-tensors", "config_groups": {"group_0": {"weights": said}}}
    name = f"int{bits} {'sym' if sym else 'asym'}{' ordered' * ordered}{'' if config else ' without config'}"
    beside = {"config.json": {"quantization_config": about}} if config else {}
    return case(name, "l.weight", tensors, found, beside)


if __name__ == "__main__":
    cases = [made(bits, sym) for bits in (3, 5, 6, 7) for sym in (True, False)]
    cases += [made(3, True, config=False), made(4, False, config=False), made(5, False, config=False)]
    cases += [made(bits, sym, True) for bits in (4, 8) for sym in (True, False)]
    save("compressed_tensors_old", "compressed-tensors", version("compressed-tensors"), cases)
