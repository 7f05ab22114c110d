"""Makes data/aqlm.npz: random codes and codebooks as aqlm decodes them.

    pip install --no-deps aqlm==1.1.7     # beside torch
    python -m tests.checkpoints.home.aqlm

Codes are as aqlm packs them. Codebooks and scales are stored as float16 and decoded in float32.
"""

from __future__ import annotations

import torch
from aqlm.utils import _dequantize_weight, pack_int_data, unpack_int_data

from tests.checkpoints.golden import Case, save
from tests.checkpoints.home.gptq import NAME, config

SPELLED = {torch.int8: "I8", torch.int16: "I16", torch.int32: "I32", torch.float16: "F16"}


def case(
    outputs: int, inputs: int, count: int, bits: int, height: int = 1, width: int = 8, grouped: bool = False
) -> Case:
    rows, groups = outputs // height, inputs // width
    codes = pack_int_data(torch.randint(0, 2**bits, (rows, groups, count)), bits)
    books = torch.randn(count, 2**bits, height, width).half()
    scales = (torch.rand(rows, groups if grouped else 1, 1, 1) * 0.02).half()
    expected = _dequantize_weight(unpack_int_data(codes, bits), books.float(), scales.float())
    tensors = {
        f"{NAME}.{part}": (SPELLED[x.dtype], tuple(x.shape), x.contiguous().view(torch.uint8).numpy().tobytes())
        for part, x in (("codes", codes), ("codebooks", books), ("scales", scales))
    }
    said = {"quant_method": "aqlm", "nbits_per_codebook": bits, "num_codebooks": count, "in_group_size": width}
    name = f"{count}x{bits}-{height}x{width}{'-grouped' if grouped else ''}"
    return Case(name, f"{NAME}.weight", tensors, expected.contiguous().numpy(), config=config(**said))


def main() -> None:
    torch.manual_seed(3)
    cases = [case(24, 64, 2, 8), case(40, 96, 1, 8), case(16, 64, 1, 12), case(24, 64, 3, 5, width=16),
             case(32, 64, 2, 6, height=4, width=4), case(24, 64, 2, 8, grouped=True)]  # fmt: skip
    save("aqlm", "aqlm", "1.1.7", cases)


if __name__ == "__main__":
    main()
