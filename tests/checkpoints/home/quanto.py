"""Makes tests/checkpoints/data/quanto.npz: pip install torch optimum-quanto; python -m tests.checkpoints.home.quanto

Packed tensors are read with scales and shifts of float32, since the library computes in their type.
"""

from __future__ import annotations

from importlib.metadata import version

import torch
from optimum.quanto import MaxOptimizer, qfloat8_e4m3fn, qfloat8_e5m2, qint2, qint4, qint8, quantize_weight
from optimum.quanto.tensor.optimizers import AbsmaxOptimizer
from optimum.quanto.tensor.weights.qbits import WeightQBitsTensor

from tests.checkpoints.golden import Case, save
from tests.checkpoints.home.torch_tensors import stored, uneven

CONFIG = {"config.json": {"quantization_config": {"quant_method": "quanto", "weights": "int4"}}}
ROUNDED = {torch.float32: "float32", torch.float16: "float16", torch.bfloat16: "bfloat16"}


def case(shape, kind, dtype, group=None, whole_shift=False) -> Case:
    w = uneven(*shape, seed=shape[0]).to(dtype)
    name = f"{kind.name} {shape[0]}x{shape[1]} g{group} {dtype}{' whole shifts' * whole_shift}".replace("torch.", "")
    if kind.bits == 8:
        scale = AbsmaxOptimizer()(w, kind, axis=0)
        made = quantize_weight(w, kind, 0, scale, optimized=False)
        read, rounded = made.dequantize().float().numpy(), ROUNDED[dtype]
    else:
        scale, shift = MaxOptimizer()(w, kind, 0, group, zeropoint=whole_shift)
        made = quantize_weight(w, kind, 0, scale, shift, group, optimized=False)
        shift = made._shift if whole_shift else made._shift.float()
        size = made.shape if group is None else torch.Size([made.numel() // group, group])
        wide = WeightQBitsTensor(kind, 0, group, size, (size[1], 1), made._data, made._scale.float(), shift)
        read, rounded = wide.dequantize().numpy(), "float32"
    tensors: dict[str, torch.Tensor] = {}
    made.save_to_state_dict(tensors, "l.weight.", False)
    tensors |= {"l.input_scale": torch.tensor(1.0), "l.output_scale": torch.tensor(1.0)}
    return Case(name, "l.weight", stored(tensors), read, rounded, CONFIG)


if __name__ == "__main__":
    cases = [
        case(shape, kind, dtype)
        for kind in (qint8, qfloat8_e4m3fn, qfloat8_e5m2)
        for shape, dtype in (((20, 33), torch.float32), ((16, 40), torch.bfloat16), ((9, 24), torch.float16),
                             ((1, 40), torch.float32))
    ]  # fmt: skip
    for kind in (qint4, qint2):
        cases += [
            case((20, 256), kind, torch.bfloat16, 128),
            case((13, 96), kind, torch.float32, 32),
            case((13, 40), kind, torch.float16),
            case((12, 64), kind, torch.float32, 32, whole_shift=True),
        ]
    save("quanto", "optimum-quanto", version("optimum-quanto"), cases)
