"""Makes data/gptq.npz: layers that auto-round and GPTQModel pack, and what they read back.

    pip install --no-deps auto-round==0.16.1 datasets py-cpuinfo psutil     # beside torch and transformers
    python -m tests.checkpoints.home.gptq GPTQMODEL

GPTQMODEL: the folder gptqmodel of the unpacked source archive gptqmodel-7.7.0.tar.gz, of which one file is run, and
of autoawq 0.2.7.post3's wheel the folder awq, for layers that AutoAWQ repacks in GPTQ's order, as a second argument.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import torch
from auto_round_extension.torch import qlinear_torch, qlinear_torch_zp

from tests.checkpoints.golden import Case, Tensors, save

NAME = "model.layers.0.self_attn.q_proj"


def tensors_of(parts: dict[str, torch.Tensor], name: str = NAME) -> Tensors:
    spelled = {torch.int32: "I32", torch.float16: "F16", torch.bfloat16: "BF16"}
    return {
        f"{name}.{part}": (spelled[x.dtype], tuple(x.shape), x.contiguous().view(torch.uint8).numpy().tobytes())
        for part, x in parts.items()
    }


def file_of(path: Path) -> ModuleType:
    """One file of a library, run without what else the library imports."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def config(**settings: object) -> dict:
    return {"config.json": {"quantization_config": settings}}


def asymmetric(rows: int, cols: int, bits: int, group: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """(weights, scales, zero points from 1 on), the last two [rows, groups]: each row about a centre of its own."""
    weights = torch.randn(rows, cols) * 0.1 + torch.randn(rows, 1) * 0.1
    groups = -(-cols // group)
    padded = torch.nn.functional.pad(weights, (0, groups * group - cols)).reshape(rows, groups, group)
    low, high = padded.amin(-1).clamp(max=-1e-3), padded.amax(-1).clamp(min=1e-3)
    scales = ((high - low) / (2**bits - 1)).half().float()
    return weights, scales, (-low / scales).round().clamp(1, 2**bits - 1)


def auto_round(rows: int, cols: int, bits: int, group: int, less_one: bool, order: bool = False, bias: bool = False):
    """A layer that auto-round packed, and the weights that its forward multiplies by."""
    home = qlinear_torch_zp if less_one else qlinear_torch
    home.get_packing_device = lambda device=None: torch.device("cpu")
    width = cols if group == -1 else group
    weights, scales, zeros = asymmetric(rows, cols, bits, width)
    linear = torch.nn.Linear(cols, rows, bias=bias)
    linear.weight.data = weights
    layer = home.QuantLinear(bits, group, cols, rows, bias, g_idx=order)
    layer.device = torch.device("cpu")
    if cols % width:  # auto-round packs whole groups alone: the last is shorter in what it reads
        layer.qweight = torch.randint(-(2**31), 2**31 - 1, layer.qweight.shape, dtype=torch.int32)
        packed = qlinear_torch.pack_bitstream(zeros.t().int() - int(less_one), bits, dim=1)
        layer.qzeros, layer.scales = packed, scales.t().half().contiguous()
    else:
        layer.pack(linear, scales, zeros)
    if order:
        layer.g_idx = layer.g_idx[torch.randperm(cols)]
    parts = {name: getattr(layer, name) for name in ("qweight", "qzeros", "scales")}
    parts |= {"g_idx": layer.g_idx} if order else {}
    bias_of, layer.bias = layer.bias, None
    expected = layer(torch.eye(cols, dtype=torch.float16)).t().contiguous().numpy()
    return tensors_of(parts | ({"bias": bias_of.detach()} if bias else {})), expected


def planar(home: ModuleType, rows: int, cols: int, bits: int, group: int) -> tuple[Tensors, np.ndarray]:
    """A layer in words that GPTQModel packed, read with its own unpacking and the line that follows it there."""
    _, scales, zeros = asymmetric(rows, cols, bits, group)
    codes = torch.randint(0, 2**bits, (cols, rows), dtype=torch.int32)
    g_idx = (torch.arange(cols, dtype=torch.int32) // group)[torch.randperm(cols)]
    parts = {
        "qweight": home.planar_pack_rows(codes, bits),
        "qzeros": home.planar_pack_cols(zeros.t().int().contiguous(), bits),
        "scales": scales.t().half().contiguous(),
        "g_idx": g_idx,
    }
    found = home.planar_unpack_rows(parts["qweight"], bits)
    offsets = home.planar_unpack_cols(parts["qzeros"], bits).reshape(parts["scales"].shape)
    weights = parts["scales"][g_idx.long()] * (found - offsets[g_idx.long()])
    return tensors_of(parts), weights.t().contiguous().numpy()


def exllama(home: ModuleType, rows: int, cols: int, group: int) -> tuple[Tensors, np.ndarray]:
    """A layer of AutoAWQ, repacked by itself in GPTQ's order."""
    qweight = torch.randint(-(2**31), 2**31 - 1, (cols, rows // 8), dtype=torch.int32)
    zeros = torch.randint(1, 16, (cols // group, rows), dtype=torch.int32)
    shifts = 4 * torch.tensor(home.AWQ_REVERSE_ORDER, dtype=torch.int32)
    qzeros = (zeros.reshape(-1, rows // 8, 8) << shifts).sum(-1).to(torch.int32)
    scales = (torch.rand(cols // group, rows) * 0.02).half()
    expected = home.dequantize_gemm(qweight, qzeros, scales, 4, group).t().contiguous().numpy()
    words, packed = home.unpack_reorder_pack(qweight, qzeros, 4)
    return tensors_of({"qweight": words, "qzeros": packed, "scales": scales}), expected


def main() -> None:
    torch.manual_seed(0)
    cases = []

    def add(name: str, made: tuple[Tensors, np.ndarray], **settings: object) -> None:
        cases.append(Case(name, f"{NAME}.weight", made[0], made[1], "float16", config(**settings)))

    for bits in range(2, 9):
        said = {"quant_method": "auto-round", "bits": bits, "group_size": 32, "packing_format": "auto_round:auto_gptq"}
        add(f"auto-round-less-one-{bits}", auto_round(32, 96, bits, 32, True), **said)
        said |= {"packing_format": "auto_round" if bits % 2 else "auto_round:gptqmodel", "sym": False}
        add(f"auto-round-{bits}", auto_round(32, 64, bits, 32, False, bias=bits == 4), **said)
    for bits in (2, 3, 4, 8):
        said = {"quant_method": "gptq", "bits": bits, "group_size": 32, "desc_act": True, "checkpoint_format": "gptq"}
        add(f"v1-act-order-{bits}", auto_round(32, 160, bits, 32, True, order=True), **said)
        said["checkpoint_format"] = "gptq_v2"
        add(f"v2-act-order-{bits}", auto_round(32, 96, bits, 32, False, order=True), **said)
    said = {"quant_method": "gptq", "bits": 4, "group_size": -1, "desc_act": False}
    add("v1-channel", auto_round(32, 128, 4, -1, True), **said)
    add("v1-short-group", auto_round(32, 160, 4, 64, True, order=True), **(said | {"group_size": 64}))
    dynamic = {"+:.*q_proj.*": {"bits": 8, "group_size": 16}, "-:.*k_proj.*": {}}
    add("v1-dynamic", auto_round(32, 128, 8, 16, True), **(said | {"group_size": 128, "dynamic": dynamic}))
    cases.append(Case("no-config", f"{NAME}.weight", *auto_round(32, 128, 3, 32, True), "float16"))
    home = file_of(Path(sys.argv[1]) / "utils" / "planar_packing.py")
    for bits in range(2, 9):
        said = {"quant_method": "gptq", "bits": bits, "group_size": 32, "desc_act": True, "checkpoint_format": "gptq_p"}
        add(f"planar-{bits}", planar(home, 32, 96, bits, 32), **said)
    home = file_of(Path(sys.argv[2]) / "utils" / "packing_utils.py")
    add("exllama-order", exllama(home, 32, 96, 32), quant_method="awq", bits=4, group_size=32, version="exllama")
    save("gptq", "auto-round, GPTQModel and AutoAWQ", "0.16.1, 7.7.0 and 0.2.7.post3", cases)


if __name__ == "__main__":
    main()
