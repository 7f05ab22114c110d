"""Makes data/exl3.npz and exl3_more.npz: random trellises as GPTQModel decodes them.

    python -m tests.checkpoints.home.exl3 GPTQMODEL      # needs torch

GPTQMODEL: the folder gptqmodel of the unpacked source archive gptqmodel-7.7.0.tar.gz, of which one file is run. How a
float32 sum over 128 numbers is rounded depends on the machine, so that the file's own code is run in float64, after a
check that its float32 comes as near as float32 can, and what it gives is rounded to float32 and then to float16.
"""

from __future__ import annotations

import importlib
import math
import sys
from types import ModuleType

import numpy as np
import torch

from tests.checkpoints.golden import Case, save
from tests.checkpoints.home.gptq import NAME, config

# What the file imports of its library, none of which takes part in decoding.
NEEDED = {
    "utils.cpu_features": {"has_avx512_bf16": lambda: False},
    "utils.env": {"env_flag": lambda *_, **__: False},
    "utils.logger": {"setup_logger": lambda: None},
    "utils.torch": {"TORCH_HAS_COMPILE": False, "torch_compile": None},
    "nn_modules.exllamav3": {"_EXL3_BUFFER_NAMES": ("trellis", "suh", "svh", "su", "sv", "mcg", "mul1", "bias"),
                             "_torch_dtype": None},
}  # fmt: skip


def home(folder: str) -> ModuleType:
    for name, path in (("gptqmodel", folder), ("gptqmodel.utils", folder + "/utils"),
                       ("gptqmodel.nn_modules", folder + "/nn_modules")):  # fmt: skip
        package = ModuleType(name)
        package.__path__ = [path]
        sys.modules[name] = package
    for name, content in NEEDED.items():
        module = ModuleType(f"gptqmodel.{name}")
        vars(module).update(content)
        sys.modules[module.__name__] = module
    return importlib.import_module("gptqmodel.nn_modules.exllamav3_torch")


def weights(library: ModuleType, inputs: int, outputs: int, parts: dict[str, torch.Tensor]) -> np.ndarray:
    """float16 [out, in]."""
    exact = library._hadamard_128("cpu", None).sign().double() / math.sqrt(128)

    class Exact(library.ExllamaV3TorchLinear):
        def _decode_inner_weight(self, *tiles: int) -> torch.Tensor:
            return super()._decode_inner_weight(*tiles).double()

    def made(kind: type) -> torch.Tensor:
        return kind.from_tensors(in_features=inputs, out_features=outputs, name="l", tensors=parts).get_weight_tensor()

    plain = made(library.ExllamaV3TorchLinear)
    of_float32, library._hadamard_128 = library._hadamard_128, lambda *_: exact
    kept, torch.Tensor.to = torch.Tensor.to, lambda x, *a, **k: x if x.dtype == torch.float64 else kept(x, *a, **k)
    found = made(Exact)
    torch.Tensor.to, library._hadamard_128 = kept, of_float32
    assert found.dtype == torch.float64 and (found - plain).abs().max() < 1e-6 * found.abs().max()
    return found.float().t().contiguous().half().numpy()


def case(library: ModuleType, bits: int, codebook: str, inputs: int = 128, outputs: int = 128, signs: bool = False):
    kinds = {"trellis": "I16", "suh": "F16", "svh": "F16", "su": "I16", "sv": "I16", "mcg": "I32", "mul1": "I32"}
    shape = inputs // 16, outputs // 16, 16 * bits
    parts = {"trellis": torch.randint(-(2**15), 2**15, shape, dtype=torch.int16)}
    for name, count in (("su", inputs), ("sv", outputs)):
        if signs:  # as ExLlamaV3's unpack_bf: bit i of a word is the sign of its i-th number, set for −1
            parts[name] = torch.randint(-(2**15), 2**15, (count // 16,), dtype=torch.int16)
            bits_of = (parts[name].int().unsqueeze(1) & 0xFFFF) >> torch.arange(16) & 1
            parts[name + "h"] = 1 - 2 * bits_of.flatten().half()
        else:
            parts[name + "h"] = (torch.randn(count) * 0.3).half()
    marks = {"mcg": 0xCBAC1FED, "mul1": 0x83DCD12D}
    if codebook:
        parts[codebook] = torch.tensor(marks[codebook] - 2**32, dtype=torch.int32)
    expected = weights(library, inputs, outputs, parts)
    stored = {part: x for part, x in parts.items() if not signs or part not in ("suh", "svh")}
    tensors = {
        f"{NAME}.{part}": (kinds[part], tuple(x.shape), x.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
        for part, x in stored.items()
    }
    name = f"{bits}-{codebook or 'plain'}{'-signs' if signs else ''}-{outputs}x{inputs}"
    return Case(name, f"{NAME}.weight", tensors, expected, "float16", config(quant_method="exl3", bits=float(bits)))


def main() -> None:
    torch.manual_seed(2)
    library = home(sys.argv[1])
    names = ("", "mcg", "mul1")
    first = [case(library, bits, names[bits % 3]) for bits in range(1, 7)]
    more = [case(library, 7, "mcg"), case(library, 8, ""), case(library, 2, "", signs=True),
            case(library, 3, "", 256, 128), case(library, 4, "mul1", 128, 256)]  # fmt: skip
    save("exl3", "GPTQModel", "7.7.0", first)
    save("exl3_more", "GPTQModel", "7.7.0", more)


if __name__ == "__main__":
    main()
