"""Makes data/bitsandbytes.npz: pip install torch bitsandbytes; python -m tests.checkpoints.home.bitsandbytes"""

from __future__ import annotations

from itertools import product

import bitsandbytes as bnb
import torch
from bitsandbytes import functional as F
from bitsandbytes.backends.default.ops import _dequantize_4bit_compute
from bitsandbytes.backends.utils import _get_4bit_code

from tests.checkpoints.golden import Case, save
from tests.checkpoints.home.torch_tensors import stored, uneven

CONFIG = {"config.json": {"quantization_config": {"quant_method": "bitsandbytes", "load_in_4bit": True}}}
ROUNDED = {torch.float32: "float32", torch.float16: "float16", torch.bfloat16: "bfloat16"}
# Rows of whole blocks, rows that end inside a block, rows that end inside a byte, and experts.
SHAPES = [(24, 128), (20, 96), (7, 33), (3, 10, 64)]


def four_bits() -> list[Case]:
    """Every type, storage and nesting over awkward shapes."""
    cases = []
    for i, (shape, kind, nested) in enumerate(product(SHAPES, ("nf4", "fp4"), (False, True))):
        for blocksize, storage, dtype in ((64, torch.uint8, torch.bfloat16), (32, torch.bfloat16, torch.float16),
                                          (128, torch.float32, torch.float32)):  # fmt: skip
            w = uneven(*shape, seed=i).to(dtype)
            if (w.numel() + 1) // 2 % storage.itemsize:
                continue
            codes, state = F.quantize_4bit(
                w, blocksize=blocksize, compress_statistics=nested, quant_type=kind, quant_storage=storage
            )
            beside = state.as_dict(packed=True)
            tensors = {"l.weight": codes} | {f"l.weight.{name}": tensor for name, tensor in beside.items()}
            words = f"{kind} g{blocksize} {'nested ' * nested}{'x'.join(map(str, shape))} in {storage}"
            name = words.replace("torch.", "")
            read = _read(codes, F.QuantState.from_dict({**beside}, torch.device("cpu"))).float().numpy()
            cases.append(Case(name, "l.weight", stored(tensors), read, ROUNDED[dtype], CONFIG))
    return cases


def _read(codes: torch.Tensor, state: F.QuantState) -> torch.Tensor:
    """What the library reads. Its compiled kernel for processors takes rows to begin with a block of their own, where
    its GPU kernels, its quantizer and its plain implementation let blocks go on from row to row: that one is asked.
    """
    scales = state.absmax
    if state.nested:
        scales = F.dequantize_blockwise(scales, state.state2) + state.offset
    packed, levels = codes.view(torch.uint8).reshape(-1), _get_4bit_code(state.quant_type, "cpu")
    read = _dequantize_4bit_compute(packed, scales, levels, state.blocksize, state.shape, state.dtype)
    if state.shape[-1] % state.blocksize == 0:
        assert torch.equal(read, F.dequantize_4bit(codes, state))
    return read


def eight_bits() -> list[Case]:
    w = uneven(20, 33, seed=9)
    codes, scales, _ = F.int8_vectorwise_quant(w.half())
    read = F.int8_vectorwise_dequant(codes, scales).numpy()
    tensors = {"l.weight": codes, "l.SCB": scales}
    old = tensors | {"l.weight_format": torch.tensor(0, dtype=torch.uint8), "l.bias": torch.ones(20)}
    return [Case("int8", "l.weight", stored(tensors), read), Case("int8 with format", "l.weight", stored(old), read)]


if __name__ == "__main__":
    save("bitsandbytes", "bitsandbytes", bnb.__version__, four_bits() + eight_bits())
