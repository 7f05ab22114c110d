"""torchao: tensors of its own kinds, taken apart into plain ones; the file's metadata say which kind each is.

| kind | `_weight_qdata` | `_weight_scale` | further |
|---|---|---|---|
| Float8Tensor | float8 [out, in] | float32 [out / a, in / b] or one | |
| Int8Tensor | int8 [out, in] | float [out, 1] or one | `_zero_point` as the scale, or none |
| IntxUnpackedToInt8Tensor | int8 [out, in] | float [out, in / g] | `_zero_point` int8 |
| Int4Tensor | uint8 [out, in / 2] | float [in / g, out] | `_zero_point` float: the value of code 0 |
| MXTensor | float8 [out, in], or uint8 [out, in / 2] | E8M0 [out, in / 32] | |
| NVFP4Tensor | uint8 [out, in / 2] | float8_e4m3fn [out, in / 16] | `_per_tensor_scale` float32, multiplied |

All may have an axis of experts before. Codes of 4 bits lie lowest first; those of Int4Tensor are signed. Scales may lie
"swizzled", in the tiles of 128 × 4 that a GPU's matrix unit wants. Where the metadata are lost, int8 and float8 with
plain scales are known by their types. Rules: torchao, quantization/quantize_/workflows and prototype/mx_formats;
Int4Tensor's in fbgemm_gpu, int4_row_quantize_zp.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from ...errors import QuantvizError
from ...sources import TensorInfo
from ...sources.json_text import read_json_object
from ...tensors.float8 import FLOAT8, float8_values
from ..layer import Arrays, Found, Layer, PackedField, Part, Unpacked, Unreadable
from .bits import pairs
from .levels import e2m1, e4m3, e8m0

HOME = "torchao"
_FLOATS = ("float32", "bfloat16", "float16")
_OF_INPUTS = (
    "This layer multiplies its inputs by its act_pre_scale before they meet the weight, as after AWQ or SmoothQuant; "
    "the weight is shown as it is stored, without that."
)
_LONGEST = 1 << 16  # characters of what is said of one tensor
_BESIDE = ("scale", "zero_point", "per_tensor_scale")  # what a weight cannot do without, where it has it
_SIGNED4 = np.concatenate([np.arange(8), np.arange(-8, 0)]).astype(np.float32)  # two's complement


@dataclass(frozen=True)
class _Grid:
    """How scales lie. height, width: weights that share one.  swizzled: whether in tiles of 128 × 4."""

    rows: int
    cols: int
    height: int
    width: int
    swizzled: bool = False

    @property
    def stored(self) -> int:
        """Scales there are, with what fills up the last tiles."""
        down, across = -(-self.rows // self.height), self.cols // self.width
        return 512 * -(-down // 128) * -(-across // 4) if self.swizzled else down * across


def layer(found: Found) -> Layer:
    """How to read one of torchao's tensors."""
    kind, said = _kind(found)
    codes, scale = found.codes, found.beside.get("_scale")
    if scale is None or len(codes.shape) not in (2, 3):
        raise Unreadable("its scales are not there, or it is no matrix")
    notices = (_OF_INPUTS,) if "_act_pre_scale" in found.beside else ()
    match kind:
        case "Float8Tensor" | "Int8Tensor" | "IntxUnpackedToInt8Tensor":
            return replace(_bytes(found, kind, scale), notices=notices)
        case "Int4Tensor":
            return replace(_int4(found, scale), notices=notices)
        case "MXTensor" | "NVFP4Tensor":
            return replace(_microscaled(found, kind, scale, said), notices=notices)
    why = f"quantviz does not read torchao's {kind}" if kind else "nothing says which of torchao's kinds it is"
    raise Unreadable(why)


def _kind(found: Found) -> tuple[str, Mapping[str, Any]]:
    """What the metadata say of a tensor: its kind, "" where it cannot be told, and its attributes."""
    module, _, attribute = found.codes.name.rpartition(".safetensors:")[2].removesuffix("_qdata").rpartition("._")
    text = found.metadata.get(f"{module}.{attribute}")
    if text is None:
        scale = found.beside.get("_scale")
        plain = scale is not None and scale.dtype in _FLOATS
        kinds = {"int8": "Int8Tensor", **dict.fromkeys(FLOAT8, "Float8Tensor")}
        return (kinds.get(found.codes.dtype, "") if plain else ""), {}
    if not isinstance(text, str) or len(text) > _LONGEST:
        raise Unreadable(f"what the file's metadata say of it is longer than {_LONGEST:,} characters")
    try:
        said = read_json_object(text.encode(), "What the metadata say of it")
    except (QuantvizError, UnicodeEncodeError) as problem:
        raise Unreadable(f"what the file's metadata say of it cannot be read: {str(problem).rstrip('.')}") from None
    parts = said.get("_tensor_data_names")
    if missing := [
        name for name in _BESIDE if isinstance(parts, list) and name in parts and f"_{name}" not in found.beside
    ]:
        raise Unreadable(f"the file's metadata name its {missing[0]}, which is not there")
    kind, attributes = said.get("_type"), said.get("_data")
    known = isinstance(kind, str) and kind.isidentifier() and len(kind) <= 60
    return kind if known else "", attributes if isinstance(attributes, Mapping) else {}


def _grid(codes: TensorInfo, cols: int, scale: TensorInfo) -> _Grid:
    """From the shape of plain scales: one, or as many axes as the weight. Raises Unreadable."""
    shape, shared = (*codes.shape[:-1], cols), scale.shape
    if scale.size == 1:
        return _Grid(codes.rows, cols, codes.rows, cols)
    fits = len(shared) == len(shape) and shared[:-2] == shape[:-2]
    if not fits or any(n % m for n, m in zip(shape[-2:], shared[-2:], strict=True)):
        raise Unreadable(f"its scales {list(shared)} do not fit its shape {list(shape)}")
    return _Grid(codes.rows, cols, shape[-2] // shared[-2], cols // shared[-1])


def _shared(info: TensorInfo, grid: _Grid) -> Part:
    """Numbers that lie as the scales do."""
    if grid.swizzled:
        return Part(replace(info, shape=(grid.stored,)))
    down = -(-grid.rows // grid.height)
    return Part(replace(info, shape=(down, grid.cols // grid.width)), every=grid.height)


def _groups(grid: _Grid) -> str:
    if grid.height == grid.rows > 1 and grid.width == grid.cols:
        return "tensor"
    if grid.height > 1:
        return f"b{grid.height}x{grid.width}"
    return "channel" if grid.width == grid.cols else f"g{grid.width}"


def _spread(shared: np.ndarray, grid: _Grid, first: int, last: int) -> np.ndarray:
    """A row of them for each of the rows [first, last)."""
    if grid.height == 1:
        return shared
    return np.repeat(shared, grid.height, axis=0)[first % grid.height :][: last - first]


def _bytes(found: Found, kind: str, scale: TensorInfo) -> Layer:
    codes, zeros = found.codes, found.beside.get("_zero_point")
    whole = kind != "Float8Tensor"
    if scale.dtype not in _FLOATS or (codes.dtype != "int8" if whole else codes.dtype not in FLOAT8):
        raise Unreadable(f"its codes of {codes.dtype} or scales of {scale.dtype} are not those of torchao's {kind}")
    if (
        whole
        and zeros is not None
        and (zeros.size != scale.size or zeros.dtype not in (*_FLOATS, "int8", "I32", "I64"))
    ):
        raise Unreadable(f"its {zeros.size:,} zero points of {zeros.dtype} do not fit its {scale.size:,} scales")
    grid = _grid(codes, codes.shape[-1], scale)
    parts = {"qdata": Part(replace(codes, shape=(codes.rows, grid.cols)), 1), "scale": _shared(scale, grid)}
    if zeros is not None:
        parts["zero_point"] = _shared(zeros, grid)
    levels = np.arange(-128, 128, dtype=np.float32) if whole else float8_values(codes.dtype)
    name = {"Float8Tensor": codes.dtype.removesuffix("fn").replace("float8", "fp8"), "Int8Tensor": "int8"}.get(kind)
    fields = (
        PackedField("qdata", codes.dtype, "[out, in]", "a code a weight"),
        PackedField("scale", "float32", "[out, groups]", "a scale for each group"),
        *((PackedField("zero_point", "int8", "[out, groups]", "what is taken off each code"),) if whole else ()),
    )
    return Layer(
        codes.shape, f"torchao {name or 'integers in int8'} {_groups(grid)}", parts,
        partial(_unpack_bytes, grid, None if whole else levels), levels, -128 if whole else 0, fields=fields, home=HOME,
        rule="weight = (code − zero point) × scale" if whole else "weight = FP8 number × scale",
    )  # fmt: skip


def _unpack_bytes(grid: _Grid, levels: np.ndarray | None, arrays: Arrays, first: int, last: int) -> Unpacked:
    codes, scales = arrays["qdata"], _spread(arrays["scale"], grid, first, last)
    zeros = arrays.get("zero_point")
    return Unpacked(
        codes, scales, None if zeros is None else _spread(zeros, grid, first, last).astype(np.float32),
        width=grid.width, numbers=None if levels is None else levels[codes],
    )  # fmt: skip


def _int4(found: Found, scale: TensorInfo) -> Layer:
    codes, zeros = found.codes, found.beside.get("_zero_point")
    cols, (*before, out) = 2 * codes.shape[-1], codes.shape[:-1]
    groups = scale.shape[-2] if len(scale.shape) > 1 else 0
    if (
        zeros is None or zeros.shape != scale.shape or not {scale.dtype, zeros.dtype} <= set(_FLOATS)
        or codes.dtype not in ("uint8", "int8") or not groups or cols % groups
        or scale.shape != (*before, groups, out)
    ):  # fmt: skip
        raise Unreadable(f"its codes {list(codes.shape)}, scales {list(scale.shape)} and zero points do not fit")
    experts = math.prod(before)
    as_one = (experts, groups, out)
    parts = {
        "qdata": Part(replace(codes, dtype="uint8", shape=(codes.rows, codes.shape[-1])), 1),
        "scale": Part(replace(scale, shape=as_one)), "zero_point": Part(replace(zeros, shape=as_one)),
    }  # fmt: skip
    fields = (
        PackedField("qdata", "uint8", "[out, in / 2]", "two codes of a row, in two's complement", (0, 1)),
        PackedField("scale", "bfloat16", "[in / g, out]", "a scale for each group"),
        PackedField("zero_point", "bfloat16", "[in / g, out]", "the weight that code 0 stands for"),
    )
    return Layer(
        (*codes.shape[:-1], cols), f"torchao int4 g{cols // groups}", parts, partial(_unpack_int4, out, cols // groups),
        _SIGNED4, fields=fields, rule="weight = code × scale + zero point", home=HOME,
    )  # fmt: skip


def _unpack_int4(out: int, width: int, arrays: Arrays, first: int, last: int) -> Unpacked:
    codes, numbers = pairs(arrays["qdata"], _SIGNED4)
    expert, row = np.divmod(np.arange(first, last), out)
    return Unpacked(
        codes, arrays["scale"][expert, :, row], minima=arrays["zero_point"][expert, :, row], width=width,
        numbers=numbers,
    )  # fmt: skip


def _microscaled(found: Found, kind: str, scale: TensorInfo, said: Mapping[str, Any]) -> Layer:
    codes, whole = found.codes, found.beside.get("_per_tensor_scale")
    nvidia = kind == "NVFP4Tensor"
    width, swizzled = said.get("block_size", 16 if nvidia else 32), said.get("is_swizzled_scales", False)
    narrow = codes.dtype not in FLOAT8
    cols = codes.shape[-1] * (2 if narrow and codes.dtype != "F4" else 1)
    scales = ("float8_e4m3fn", "uint8") if nvidia else ("F8_E8M0", "uint8")
    if (nvidia and not narrow) or codes.dtype not in ("uint8", "F4", *FLOAT8) or scale.dtype not in scales:
        raise Unreadable(f"its codes of {codes.dtype} or scales of {scale.dtype} are not those of torchao's {kind}")
    if narrow and not nvidia and "float4" not in str(said.get("elem_dtype")):
        raise Unreadable("its codes are of another kind than FP8 and FP4, such as FP6")
    if type(width) is not int or width < 1 or cols % width or type(swizzled) is not bool:
        raise Unreadable("the file's metadata give no length of a block that divides its rows")
    grid = _Grid(codes.rows, cols, 1, width, swizzled)
    if scale.size != grid.stored or (whole is not None and (whole.size != 1 or whole.dtype != "float32")):
        raise Unreadable(f"its scales {list(scale.shape)} do not fit its {codes.rows:,} rows of {cols:,} weights")
    parts = {
        "qdata": Part(replace(codes, dtype="uint8", shape=(codes.rows, codes.nbytes // codes.rows)), 1),
        "scale": _shared(replace(scale, dtype="uint8"), grid),
    }
    twice = nvidia and whole is not None
    if twice:
        parts["per_tensor_scale"] = Part(replace(whole, shape=(1,)))
    levels = e2m1() if narrow else float8_values(codes.dtype)
    element = "nvfp4" if nvidia else f"mx{'fp4' if narrow else codes.dtype.removesuffix('fn').replace('float8', 'fp8')}"
    fields = (
        PackedField("qdata", "uint8" if narrow else codes.dtype, f"[out, in{' / 2' * narrow}]", "codes of a row",
                    (0, 1) if narrow else ()),
        PackedField("scale", "float8_e4m3fn" if nvidia else "E8M0", f"[out, in / {width}]", "a scale for each block"),
        *((PackedField("per_tensor_scale", "float32", "[]", "what all scales are multiplied by"),) if twice else ()),
    )  # fmt: skip
    return Layer(
        (*codes.shape[:-1], cols), f"torchao {element} g{width}{' swizzled' if swizzled else ''}", parts,
        partial(_unpack_microscaled, grid, levels, nvidia), levels, fields=fields, home=HOME,
        rule=f"weight = small float × scale of its block{' × scale of the tensor' if twice else ''}",
        largest_scale=448.0 if nvidia and whole is None else None,
    )  # fmt: skip


def _unpack_microscaled(
    grid: _Grid, levels: np.ndarray, nvidia: bool, arrays: Arrays, first: int, last: int
) -> Unpacked:
    packed, stored = arrays["qdata"], arrays["scale"]
    codes, numbers = pairs(packed, levels) if len(levels) == 16 else (packed, levels[packed])
    if grid.swizzled:
        stored = stored[_swizzled(np.arange(first, last)[:, None], np.arange(grid.cols // grid.width), grid)]
    scales = (e4m3() if nvidia else e8m0())[stored]
    if "per_tensor_scale" in arrays:
        with np.errstate(over="ignore"):  # whoever reads weights refuses those that are not finite
            scales = arrays["per_tensor_scale"] * scales
    return Unpacked(codes, scales, width=grid.width, numbers=numbers, stored={"scale": stored})


def _swizzled(row: np.ndarray, col: np.ndarray, grid: _Grid) -> np.ndarray:
    """Where the scale of a row and column lies: in tiles of 128 × 4, in which row r comes with rows r ± 32."""
    tiles_across = -(-(grid.cols // grid.width) // 4)
    tile = row // 128 * tiles_across + col // 4
    return tile * 512 + row % 32 * 16 + row % 128 // 32 * 4 + col % 4
