"""Makes tests/checkpoints/data/torchao.npz: pip install torch torchao; python -m tests.checkpoints.home.torchao

Int4Tensor has no way back of its own: its case is read by the rule of fbgemm_gpu's int4_row_quantize_zp.
"""

from __future__ import annotations

import torch
import torchao
from torchao.prototype.mx_formats.mx_tensor import MXTensor
from torchao.prototype.mx_formats.nvfp4_tensor import NVFP4Tensor
from torchao.prototype.safetensors.safetensors_support import flatten_tensor_state_dict
from torchao.quantization import Float8Tensor, Int4Tensor, Int8Tensor, IntxUnpackedToInt8Tensor, MappingType
from torchao.quantization.granularity import PerBlock, PerRow, PerTensor

from tests.checkpoints.golden import Case, save
from tests.checkpoints.home.torch_tensors import stored, uneven

CONFIG = {"config.json": {"quantization_config": {"quant_method": "torchao"}}}


def case(name: str, made: torch.Tensor, read: torch.Tensor | None = None, told: bool = True) -> Case:
    tensors, metadata = flatten_tensor_state_dict({"l.weight": made, "l.bias": torch.ones(made.shape[-2])})
    read = made.dequantize() if read is None else read
    assert read.dtype == torch.float32
    return Case(name, "l.weight", stored(tensors), read.numpy(), config=CONFIG, metadata=metadata if told else {})


def int4(*shape: int, group: int, seed: int) -> Case:
    *before, out, cols = shape
    rng = torch.Generator().manual_seed(seed)
    codes = torch.randint(-8, 8, shape, generator=rng, dtype=torch.int8)
    packed = ((codes[..., 1::2] << 4) | (codes[..., ::2] & 15)).view(torch.uint8)
    scale, zero = (uneven(*before, cols // group, out, seed=seed + i).bfloat16() for i in (1, 2))
    made = Int4Tensor(packed, scale, zero, [1] * (len(shape) - 1) + [group], torch.Size(shape))
    spread = [x.float().transpose(-1, -2).repeat_interleave(group, -1) for x in (scale, zero)]
    return case(f"int4 {'x'.join(map(str, shape))} g{group}", made, codes.float() * spread[0] + spread[1])


def intx(bits: int, group: int, kind: MappingType) -> Case:
    made = IntxUnpackedToInt8Tensor.from_hp(
        uneven(20, 96, seed=bits), (1, group), getattr(torch, f"int{bits}"), mapping_type=kind
    )
    return case(f"int{bits} g{group} {kind.name}", made)


if __name__ == "__main__":
    w, tall, experts = uneven(24, 96, seed=1), uneven(130, 160, seed=2), uneven(3, 20, 64, seed=3)
    cases = []
    for name, x, how in (("row", w, PerRow()), ("tensor", w, PerTensor()), ("experts", experts, PerRow()),
                         ("block", w, PerBlock([8, 32]))):  # fmt: skip
        for dtype in (torch.float8_e4m3fn, torch.float8_e5m2) if name != "block" else (torch.float8_e4m3fn,):
            cases.append(case(f"{dtype} {name}", Float8Tensor.from_hp(x, dtype, how)))
    for kind in (MappingType.SYMMETRIC, MappingType.ASYMMETRIC):
        cases += [case(f"int8 row {kind.name}", Int8Tensor.from_hp(w, PerRow(), kind))]
        cases += [intx(bits, group, kind) for bits, group in ((2, 32), (3, 16), (4, 32), (5, 48), (6, 96), (8, 96))]
    cases.append(case("int8 tensor", Int8Tensor.from_hp(w, PerTensor())))
    cases.append(case("int8 without metadata", Int8Tensor.from_hp(w, PerRow()), told=False))
    cases.append(case("float8 without metadata", Float8Tensor.from_hp(w, granularity=PerRow()), told=False))
    cases += [int4(24, 96, group=32, seed=7), int4(3, 10, 64, group=64, seed=8)]
    for swizzled in (False, True):
        for x in (w, tall) if swizzled else (w, experts):
            name = f"{'x'.join(map(str, x.shape))}{' swizzled' * swizzled}"
            for dtype in (torch.float8_e4m3fn, torch.float8_e5m2, torch.float4_e2m1fn_x2):
                if dtype == torch.float4_e2m1fn_x2 or x is w:
                    cases.append(case(f"mx {dtype} {name}", MXTensor.to_mx(x, dtype, 32, is_swizzled_scales=swizzled)))
            for scale in (None, x.abs().max() / (448 * 6))[x is tall :]:
                made = NVFP4Tensor.to_nvfp4(x, per_tensor_scale=scale, is_swizzled_scales=swizzled)
                cases.append(case(f"nvfp4 {name} {'one scale' if scale is None else 'two scales'}", made))
    save("torchao", "torchao", torchao.__version__, cases)
