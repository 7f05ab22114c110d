"""Makes tests/checkpoints/data/mlx.npz: pip install mlx mlx-cpu (Linux) torch; python -m tests.checkpoints.home.mlx

Scales and minima are given to `mlx.core.dequantize` as float32, so that it computes in float32.
"""

from __future__ import annotations

from importlib.metadata import version

import mlx.core as mx
import numpy as np

from tests.checkpoints.golden import Case, Tensors, save
from tests.checkpoints.home.torch_tensors import uneven

_NAMES = {mx.float32: "F32", mx.float16: "F16", mx.bfloat16: "BF16", mx.uint8: "U8", mx.uint32: "U32"}


def stored(arrays: dict[str, mx.array]) -> Tensors:
    found = {}
    for name, x in arrays.items():
        raw = x.view(mx.uint16) if x.dtype == mx.bfloat16 else x
        found[name] = (_NAMES[x.dtype], tuple(x.shape), np.array(raw).tobytes())
    return found


def integers(
    shape: tuple[int, ...], bits: int, width: int, dtype: mx.Dtype, minima: str = "biases", per_layer: bool = False
) -> Case:
    w = mx.array(uneven(*shape, seed=bits * width).numpy()).astype(dtype)
    codes, scales, least = mx.quantize(w, group_size=width, bits=bits)
    read = mx.dequantize(codes, scales.astype(mx.float32), least.astype(mx.float32), group_size=width, bits=bits)
    said = {"group_size": width, "bits": bits}
    settings = {"group_size": 64, "bits": 7, "model.l": said} if per_layer else said
    if minima == "qbiases":
        config = {"quantization_config": {"quant_method": "metal", **settings}}
    else:
        config = {"quantization": settings, "quantization_config": settings}
    name = f"int{bits} g{width} {'x'.join(map(str, shape))} {minima}{' per layer' * per_layer}"
    tensors = {"model.l.weight": codes, "model.l.scales": scales, f"model.l.{minima}": least}
    return Case(name, "model.l.weight", stored(tensors), np.array(read), config={"config.json": config})


def floats(shape: tuple[int, ...], mode: str) -> Case:
    codes, scales = mx.quantize(mx.array(uneven(*shape, seed=5).numpy()), mode=mode)
    read = np.array(mx.dequantize(codes, scales, mode=mode, dtype=mx.float32))
    tensors = {"model.l.weight": codes, "model.l.scales": scales}
    return Case(f"{mode} {'x'.join(map(str, shape))}", "model.l.weight", stored(tensors), read)


if __name__ == "__main__":
    cases = [
        integers((12, 256), bits, width, dtype)
        for bits in (1, 2, 3, 4, 5, 6, 8)
        for width, dtype in ((32, mx.bfloat16), (64, mx.float16), (128, mx.float32))
    ]
    cases += [integers((3, 10, 96), bits, 32, mx.bfloat16) for bits in (3, 4, 6)]
    cases += [integers((12, 128), bits, 64, mx.bfloat16, "qbiases") for bits in (2, 4, 8)]
    cases += [integers((12, 128), 8, 32, mx.bfloat16, per_layer=True)]
    cases += [floats(shape, mode) for mode in ("mxfp4", "mxfp8", "nvfp4") for shape in ((12, 96), (3, 5, 64))]
    save("mlx", "mlx", version("mlx"), cases)
