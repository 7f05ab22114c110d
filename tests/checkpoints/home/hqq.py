"""Makes tests/checkpoints/data/hqq.npz: pip install torch hqq; python -m tests.checkpoints.home.hqq

The library computes in compute_dtype; here its own function is given scales and zero points as float32.
"""

from __future__ import annotations

from importlib.metadata import version

import torch
from hqq.core.quantize import BaseQuantizeConfig, HQQLinear, Quantizer

from tests.checkpoints.golden import Case, save
from tests.checkpoints.home.torch_tensors import stored, uneven

CONFIG = {"config.json": {"quantization_config": {"quant_method": "hqq"}}}


def case(
    shape: tuple[int, int], bits: int, group: int | None, axis: int, dtype: torch.dtype, as_float: bool = False
) -> Case:
    linear = torch.nn.Linear(*shape[::-1], bias=False)
    linear.weight.data = uneven(*shape, seed=bits)
    config = BaseQuantizeConfig(nbits=bits, group_size=group, axis=axis, view_as_float=as_float)
    made = HQQLinear(linear, config, compute_dtype=dtype, device="cpu")
    tensors = {f"l.{name}": tensor for name, tensor in made.state_dict().items()}
    meta = {**made.meta, "scale": made.meta["scale"].float(), "zero": made.meta["zero"].float()}
    meta["compute_dtype"] = torch.float32
    read = Quantizer.dequantize(made.W_q.data, meta).numpy()
    name = f"int{bits} g{group} axis {axis} {shape[0]}x{shape[1]} {dtype}{' as float' * as_float}".replace("torch.", "")
    return Case(name, "l.weight", stored(tensors), read, config=CONFIG)


if __name__ == "__main__":
    cases = []
    for bits in (8, 4, 3, 2, 1):
        cases += [
            case((64, 96), bits, 64, 1, torch.float16),
            case((16, 80), bits, 32, 0, torch.bfloat16),
            case((40, 48), bits, None, 1, torch.float32),
            case((64, 96), bits, 16, 1, torch.bfloat16, as_float=True),
        ]
    cases.append(case((30, 48), 3, 40, 1, torch.float16))  # 36 groups that end inside rows
    cases.append(case((24, 40), 4, 24, 0, torch.float16, as_float=True))
    save("hqq", "hqq", version("hqq"), cases)
