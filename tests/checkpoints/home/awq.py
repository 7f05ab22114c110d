"""Makes data/awq.npz: layers that AutoAWQ, auto-round and GPTQModel pack, and what they read back.

    pip install --no-deps auto-round==0.16.1 compressed-tensors==0.20.0 datasets py-cpuinfo psutil
    python -m tests.checkpoints.home.awq GPTQMODEL AWQ

GPTQMODEL: the folder gptqmodel of the unpacked source archive gptqmodel-7.7.0.tar.gz. AWQ: the folder awq of
autoawq 0.2.7.post3's wheel. Single files of both are run. No library reads gemv's order on a CPU: its layers are packed
by AutoAWQ, and what is expected is the codes that it was given, minus zero points, times its scales.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch
from auto_round.export.export_to_awq import utils as auto_round
from compressed_tensors.compressors.pack_quantized.helpers import unpack_from_int32
from compressed_tensors.entrypoints.convert.converters.autoawq import AutoAWQConverter

from tests.checkpoints.golden import Case, Tensors, save
from tests.checkpoints.home.gptq import NAME, asymmetric, config, file_of, tensors_of

Made = tuple[Tensors, np.ndarray]


def gemm(rows: int, cols: int, bits: int, group: int, bias: bool = False) -> Made:
    """Packed and read by auto-round; with 4 bits this is AutoAWQ's own layout."""
    auto_round.get_packing_device = lambda device=None: torch.device("cpu")
    width = cols if group == -1 else group
    weights, scales, zeros = asymmetric(rows, cols, bits, width)
    linear = torch.nn.Linear(cols, rows, bias=bias)
    linear.weight.data = weights
    made = auto_round.WQLinear_GEMM.from_linear(linear, bits, group, False, scales.t(), zeros.t())
    parts = {"qweight": made.qweight, "qzeros": made.qzeros, "scales": made.scales.contiguous()}
    found = auto_round.dequantize_gemm(made.qweight, made.qzeros, made.scales, bits, width)
    return tensors_of(parts | ({"bias": made.bias.detach()} if bias else {})), found.t().contiguous().numpy()


def packed(home, rows: int, cols: int, bits: int, group: int) -> Made:
    """Packed and read by the functions of a library's packing_utils."""
    _, scales, zeros = asymmetric(rows, cols, bits, group)
    codes = torch.randint(0, 2**bits, (cols, rows), dtype=torch.int32)
    qweight, qzeros = home.pack_awq(codes, zeros.t().int().contiguous(), bits)
    scales = scales.t().half().contiguous()
    found = home.dequantize_gemm(qweight, qzeros, scales, bits, group)
    return tensors_of({"qweight": qweight, "qzeros": qzeros, "scales": scales}), found.t().contiguous().numpy()


def words(home, rows: int, cols: int, group: int) -> Made:
    """Random words as AutoAWQ reads them, and compressed-tensors, which converts them, likewise."""
    qweight = torch.randint(-(2**31), 2**31 - 1, (cols, rows // 8), dtype=torch.int32)
    qzeros = torch.randint(-(2**31), 2**31 - 1, (cols // group, rows // 8), dtype=torch.int32)
    parts = {"qweight": qweight, "qzeros": qzeros, "scales": (torch.rand(cols // group, rows) * 0.02).half()}
    found = home.dequantize_gemm(qweight, qzeros, parts["scales"], 4, group).t().contiguous()
    made = AutoAWQConverter(group_size=group).process({f"l.{name}": x for name, x in parts.items()})
    codes = unpack_from_int32(made["l.weight_packed"], 4, torch.Size(made["l.weight_shape"].tolist()))
    zeros = unpack_from_int32(made["l.weight_zero_point"], 4, torch.Size((rows, cols // group)), packed_dim=0)
    spread = [x.repeat_interleave(group, 1) for x in (zeros, made["l.weight_scale"])]
    assert torch.equal((codes - spread[0]) * spread[1], found)
    return tensors_of(parts), found.numpy()


def gemv(home, rows: int, cols: int, group: int) -> Made:
    _, scales, zeros = asymmetric(rows, cols, 4, group)
    codes = torch.randint(0, 16, (rows, cols))
    weights = (codes - zeros.repeat_interleave(group, 1)) * scales.repeat_interleave(group, 1)
    linear = torch.nn.Linear(cols, rows, bias=False)
    linear.weight.data = weights
    made = home.WQLinear_GEMV.from_linear(linear, 4, group, False, scales, zeros)
    found = (codes - zeros.int().repeat_interleave(group, 1)) * scales.half().repeat_interleave(group, 1)
    return tensors_of({part: getattr(made, part) for part in ("qweight", "qzeros", "scales")}), found.numpy()


def main() -> None:
    torch.manual_seed(1)
    cases = []

    def add(name: str, made: Made, **settings: object) -> None:
        cases.append(Case(name, f"{NAME}.weight", *made, "float16", config(**settings)))

    for bits in (4, 5, 6, 7):
        said = {"quant_method": "auto-round", "bits": bits, "group_size": 32, "packing_format": "auto_round:auto_awq"}
        add(f"auto-round-{bits}", gemm(64, 96, bits, 32, bias=bits == 5), **said)
    said = {"quant_method": "awq", "bits": 4, "group_size": -1, "version": "gemm", "zero_point": True}
    add("channel", gemm(40, 64, 4, -1), **said)
    folder = Path(sys.argv[1]) / "quantization" / "awq" / "utils" / "packing_utils.py"
    for bits in range(2, 9):
        said |= {"bits": bits, "group_size": 16}
        add(f"gptqmodel-{bits}", packed(file_of(folder), 40 if bits != 3 else 64, 64, bits, 16), **said)
    sys.path.insert(0, str(Path(sys.argv[2]).parent))
    home = file_of(Path(sys.argv[2]) / "utils" / "packing_utils.py")
    said |= {"bits": 4, "group_size": 64}
    add("autoawq", words(home, 72, 128, 64), **said)
    cases.append(Case("no-config", f"{NAME}.weight", *words(home, 64, 64, 32), "float16"))
    rows = file_of(Path(sys.argv[2]) / "modules" / "linear" / "gemv.py")
    for group in (32, 64, 128):
        add(f"gemv-{group}", gemv(rows, 24, 384, group), **(said | {"group_size": group, "version": "gemv"}))
    cases.append(Case("gemv-no-config", f"{NAME}.weight", *gemv(rows, 8, 2048, 128), "float16"))
    save("awq", "AutoAWQ, auto-round, compressed-tensors and GPTQModel", "0.2.7.post3, 0.16.1, 0.20.0 and 7.7.0", cases)


if __name__ == "__main__":
    main()
