"""The packed formats of published checkpoints, each by the tensors it consists of. Data, and nothing is decoded here.

A format is known by the tensor that holds its codes and by what lies beside it: names are those that the format's own
writer gives. Where two formats share names, dtypes or shapes tell them apart. The first line that fits wins.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from ..sources import TensorInfo

Companions = Mapping[str, TensorInfo]  # by the suffix that they are looked up with
Fits = Callable[[TensorInfo, Companions], bool]

FLOAT8 = ("float8_e4m3fn", "float8_e5m2", "F8_E4M3FNUZ", "F8_E5M2FNUZ")
E8M0 = ("uint8", "F8_E8M0")
INTEGERS = ("uint8", "int8", "I16", "U16", "I32", "U32", "I64", "U64")
# What codes may be stored as; anything else, such as float16, is a weight as it is.
CODES = (*FLOAT8, *INTEGERS, "F4", "F6_E2M3", "F6_E3M2")
ANY: tuple[str, ...] = ()


@dataclass(frozen=True)
class PackedFormat:
    """One line of the table.

    name: as its users call it.  codes: how the name of the tensor with its codes ends; "" for a weight's own name.
    dtypes: what that tensor is stored as, any where empty.
    beside: what must lie beside it, suffix -> dtypes. A suffix follows the name without `codes`, or that name without
    `.weight`.  more: what may lie there too.  fits: where shapes decide.
    methods: what config.json calls it.
    """

    name: str
    codes: str = ""
    dtypes: tuple[str, ...] = CODES
    beside: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    more: tuple[str, ...] = ()
    fits: Fits = lambda codes, beside: True
    methods: tuple[str, ...] = ()


# -- shapes that tell formats of the same names apart -------------------------------------------


def _one(suffix: str) -> Fits:
    """A single scale for the whole tensor."""
    return lambda codes, beside: beside[suffix].size == 1


def _a_row(suffix: str) -> Fits:
    return lambda codes, beside: beside[suffix].size == codes.rows


def _rows_in_pairs(codes: TensorInfo, beside: Companions) -> bool:
    """Two rows of weights in one of bytes."""
    scale = beside["_scale"].shape
    return len(codes.shape) > 1 and scale[:-1] == (*codes.shape[:-2], 2 * codes.shape[-2])


def _outputs_in_words(codes: TensorInfo, beside: Companions) -> bool:
    """Eight outputs of an input in a word of 32 bits, beside scales of every output."""
    scale = beside["_scale"].shape
    return len(codes.shape) == len(scale) == 2 and -(-scale[1] // 8) == codes.shape[1] and scale[0] <= codes.shape[0]


def _inputs_in_words(codes: TensorInfo, beside: Companions) -> bool:
    """Eight inputs of an output in a word of 32 bits, beside a scale of every output or of all."""
    return len(codes.shape) == 2 and beside["_scale"].shape in ((), (1,), codes.shape[:1])


def _packed_inputs(codes: TensorInfo, beside: Companions) -> bool:
    """GPTQ packs the inputs of a column, so that scales and codes have a column an output."""
    return codes.cols == beside[".scales"].cols


def _packed_outputs(codes: TensorInfo, beside: Companions) -> bool:
    """AWQ packs the outputs of an input, or with its gemv layout eight inputs of a row, in words of 32 bits."""
    scales = beside[".scales"]
    packed = any(-(-scales.cols * bits // 32) == codes.cols for bits in range(2, 9))
    return (packed and codes.rows >= scales.rows) or codes.rows == scales.rows


# -- the table -----------------------------------------------------------------------------------

_BNB = (".quant_map", ".nested_absmax", ".nested_quant_map", ".quant_state.bitsandbytes__nf4",
        ".quant_state.bitsandbytes__fp4")  # fmt: skip
_BNB_METHODS = ("bitsandbytes", "bitsandbytes_4bit", "bitsandbytes_8bit")
_CT, _MODELOPT = ("compressed-tensors",), ("modelopt", "modelopt_fp4", "nvfp4")
_GPTQ = (".qzeros", ".scales", ".g_idx", ".hadamard_matrix")

FORMATS: tuple[PackedFormat, ...] = (
    # trellises and codebooks
    PackedFormat("QTIP", ".trellis", INTEGERS, {".SU": ANY}, (".SV", ".rcp", ".tlut", ".tp_rank"), methods=("qtip",)),
    PackedFormat("EXL3", ".trellis", INTEGERS, more=(".suh", ".svh", ".su", ".sv", ".mcg", ".mul1"), methods=("exl3",)),
    PackedFormat("EXL2", ".q_weight", INTEGERS, more=(
        ".q_groups", ".q_group_map", ".q_invperm", ".q_perm", ".q_scale", ".q_scale_max"), methods=("exl2",)),
    PackedFormat("AQLM", ".codes", INTEGERS, {".codebooks": ANY}, (".scales",), methods=("aqlm",)),
    PackedFormat("QuIP#", ".Qidxs", INTEGERS, more=(
        ".SU", ".SV", ".Wscale", ".codebook_id", ".A", ".B", ".scaleWH", ".fuse_scales", ".ocs_dupe_inds", ".rcp"),
        methods=("quip",)),
    *(PackedFormat("VPTQ", ".indices", INTEGERS, {centroids: ANY}, (
        ".centroids", ".res_indices", ".res_centroids.weight", ".res_centroids", ".outlier_indices",
        ".outlier_centroids.weight", ".outlier_centroids", ".weight_scale", ".weight_bias", ".perm", ".invert_perm"),
        methods=("vptq",)) for centroids in (".centroids.weight", ".centroids")),
    PackedFormat("SpQR", ".dense_weights", INTEGERS, more=(".row_offsets", ".col_vals", ".in_perm"), methods=("spqr",)),
    PackedFormat("HIGGS", "", INTEGERS, {".tables": ANY}, (".tables2", ".scales"), methods=("higgs",)),
    # bitsandbytes keeps its codes in whatever type it is told to
    PackedFormat("bitsandbytes nf4", "", ANY, {".absmax": ANY, ".quant_state.bitsandbytes__nf4": ANY}, _BNB,
                 methods=_BNB_METHODS),
    PackedFormat("bitsandbytes fp4", "", ANY, {".absmax": ANY, ".quant_state.bitsandbytes__fp4": ANY}, _BNB,
                 methods=_BNB_METHODS),
    *(PackedFormat("bitsandbytes 4-bit", "", ANY, {part: ANY}, _BNB, methods=_BNB_METHODS)
      for part in (".absmax", *_BNB)),  # where others are missing: codes kept as floats look like weights
    PackedFormat("bitsandbytes int8", "", INTEGERS, {".SCB": ANY}, (".weight_format", ".CB"), methods=_BNB_METHODS),
    PackedFormat("HQQ", ".W_q", ANY, more=(
        ".scale", ".zero", ".nbits", ".group_size", ".axis", ".shape", ".packing", ".unpack_view_dtype",
        ".view_as_float", ".compute_dtype", ".channel_wise", ".optimize", ".round_zero", ".quant_scale", ".quant_zero",
        ".encoded_state_dict", ".stores_quant_config", ".offload_meta", ".quant_config", ".meta", ".scale_q",
        ".zero_q", ".meta_scale", ".meta_zero"), methods=("hqq",)),
    # integers in 32-bit words
    PackedFormat("SVDQuant (Nunchaku)", ".qweight", INTEGERS, {".wscales": ANY}, (
        ".wzeros", ".wtscale", ".wcscales", ".smooth_factor", ".smooth_factor_orig", ".proj_down", ".proj_up",
        ".lora_down", ".lora_up"), methods=("svdquant",)),
    PackedFormat("GPTQ", ".qweight", INTEGERS, {".g_idx": ANY}, (*_GPTQ, ".scales_and_zeros", ".perm"),
                 methods=("gptq", "auto-round", "autoround")),
    PackedFormat("FP-Quant", ".qweight", ("uint8",), {".scales": ANY}, (
        ".dqweight", ".weight_global_scale", ".act_global_scale", ".forward_hadamard_matrix",
        ".backward_hadamard_matrix"), methods=("fp_quant",)),
    PackedFormat("AWQ gemv_fast or llm-awq", ".qweight", ("I16",), {".scales": ANY}, (".qzeros", ".scaled_zeros"),
                 methods=("awq",)),
    PackedFormat("GPTQ", ".qweight", INTEGERS, {".scales": ANY}, _GPTQ, _packed_inputs,
                 methods=("gptq", "auto-round", "autoround")),
    PackedFormat("AWQ", ".qweight", INTEGERS, {".scales": ANY}, _GPTQ, _packed_outputs, methods=("awq", "auto-round")),
    PackedFormat("GPTQ or AWQ", ".qweight", INTEGERS, {".scales": ANY}, _GPTQ, methods=("gptq", "awq", "auto-round")),
    PackedFormat("Marlin", ".B", INTEGERS, {".s": ANY}, (".workspace",), methods=("marlin", "gptq")),
    *(PackedFormat("MLX affine", "", ("U32",), {".scales": ANY, biases: ANY}, methods=("mlx", "metal"))
      for biases in (".biases", ".qbiases")),
    PackedFormat("MLX mxfp4, mxfp8 or nvfp4", "", ("U32",), {".scales": ANY}, methods=("mlx", "metal")),
    # compressed-tensors
    PackedFormat("compressed-tensors nvfp4", "_packed", ("uint8",), {"_global_scale": ANY}, ("_scale",), methods=_CT),
    PackedFormat("compressed-tensors mxfp4", "_packed", ("uint8",), {"_scale": E8M0}, methods=_CT),
    PackedFormat("compressed-tensors Marlin 2:4", "_packed", INTEGERS, {".scale_packed": ANY}, (".meta",), methods=_CT),
    PackedFormat("compressed-tensors packed integers", "_packed", INTEGERS, more=(
        "_scale", "_zero_point", "_shape", "_g_idx", "_global_scale"), methods=_CT),
    PackedFormat("compressed-tensors 2:4 or sparse", ".compressed", ANY, {".bitmask": ANY}, (
        ".shape", ".row_offsets", "_scale", "_zero_point"), methods=_CT),
    # libraries that keep a tensor of their own kind
    *(PackedFormat("quanto", codes, ANY, {"._scale": ANY}, ("._shift", "._zeropoint"), methods=("quanto",))
      for codes in ("._data._data", "._data")),
    PackedFormat("quanto", "._data", CODES, more=("._shift", "._zeropoint"), methods=("quanto",)),
    PackedFormat("torchao", "_qdata", ANY, {"_scale": ANY}, (
        "_zero_point", "_scale_and_zero", "_act_pre_scale", "_per_tensor_scale", "_act_per_tensor_scale",
        "_act_quant_scale", "_act_quant_zero_point"),
        methods=("torchao",)),
    PackedFormat("torchao", "_qdata", CODES, more=("_scale_and_zero", "_zero_point"), methods=("torchao",)),
    # four bits, two to a byte
    PackedFormat("MXFP4", "_blocks", ("uint8",), {"_scales": ANY}, methods=("mxfp4",)),
    PackedFormat("ModelOpt NVFP4, stacked experts", "", ("uint8",), {
        "_weight_scale": ("float8_e4m3fn",), "_weight_scale_2": ANY}, ("_input_scale",), methods=_MODELOPT),
    PackedFormat("ModelOpt int4 AWQ", "", ("uint8", "int8"), {"_scale": ANY, "_scale_2": ANY}, fits=_rows_in_pairs,
                 methods=_MODELOPT),
    PackedFormat("ModelOpt NVFP4", "", ("uint8", "F4"), {"_scale_2": ANY}, ("_scale",), methods=_MODELOPT),
    PackedFormat("MXFP4", "", ("uint8", "int8", "F4"), {"_scale": E8M0}, methods=("mxfp4", "modelopt", "quark")),
    PackedFormat("MXFP4 (DeepSeek V4)", "", ("uint8", "int8", "F4"), {".scale": ("F8_E8M0",)}, methods=("fp8",)),
    PackedFormat("NVFP4", "", ("uint8", "F4"), {"_scale": FLOAT8}, methods=_MODELOPT),
    PackedFormat("BitNet's packed ternary", "", ("uint8",), {"_scale": ANY}, fits=_one("_scale"), methods=("bitnet",)),
    PackedFormat("ModelOpt int4 AWQ", "", ("uint8", "int8"), {"_scale": ANY}, fits=_rows_in_pairs, methods=_MODELOPT),
    PackedFormat("packed integers with a scale a row", "", ("uint8",), {"_scale": ANY}, fits=_a_row("_scale"),
                 methods=("gemma",)),
    PackedFormat("packed integers with a scale a row", ".embedding_quantized", INTEGERS, {".embedding_scale": ANY},
                 methods=("gemma",)),
    # eight bits
    PackedFormat("MXFP8", "", FLOAT8, {"_scale": E8M0}, methods=("mxfp8", "modelopt", *_CT)),
    PackedFormat("FP8 with one scale a tensor", "", FLOAT8, {"_scale_inv": ANY}, ("_activation_scale",),
                 _one("_scale_inv"), methods=("fp8",)),
    PackedFormat("block FP8", "", FLOAT8, {"_scale_inv": ANY}, methods=("fp8", "mxfp8")),
    PackedFormat("block FP8 (DeepSeek V4)", "", FLOAT8, {".scale": ANY}, methods=("fp8",)),
    PackedFormat("FP8 with one scale a tensor", "", FLOAT8, {"_scale": ANY}, fits=_one("_scale"),
                 methods=("fp8", "modelopt", "quark", *_CT)),
    PackedFormat("FP8 with scales", "", FLOAT8, {"_scale": ANY},
                 methods=("fp8", "fbgemm_fp8", "modelopt", "quark", *_CT)),
    PackedFormat("ComfyUI's scaled FP8", "", FLOAT8, {".scale_weight": ANY}, (".scale_input",)),
    PackedFormat("EETQ", "", INTEGERS, {".weight_scales": ANY}, methods=("eetq",)),
    PackedFormat("TensorRT-LLM", "", CODES, {".weights_scaling_factor": ANY}, (
        ".activation_scaling_factor", ".prequant_scaling_factor", ".alpha", ".zero", ".weights_block_scaling_factor")),
    PackedFormat("TensorRT-LLM", "", CODES, {".per_channel_scale": ANY}, (".zero", ".prequant_scaling_factor")),
    PackedFormat("int8 with scales", "", ("int8",), {"_scale": ANY}, ("_zero_point",),
                 methods=("modelopt", "quark", *_CT)),
    PackedFormat("Quark int4", "", ("I32",), {"_scale": ANY}, ("_zero_point",), _outputs_in_words, methods=("quark",)),
    PackedFormat("Quark int4", "", ("I32",), {"_scale": ANY, "_zero_point": ("I32",)}, fits=_inputs_in_words,
                 methods=("quark",)),
    # of no writer that is known
    *(PackedFormat("codes with scales of an unknown format", "", CODES, {scale: ANY}, (
        "_zero_point", ".zero_point", ".zeros", ".zero", ".biases", ".qzeros", ".mins", "_min", ".g_idx"))
      for scale in ("_scale", ".scale", "_scales", ".scales", "_scaler", "_absmax", ".scale_weight", "_scale_2")),
)  # fmt: skip

# What belongs to the inputs of a layer rather than its weights, beside any of the formats above.
OF_INPUTS = (".input_scale", ".input_scale_inv", ".input_global_scale", ".input_zero_point", ".input_scale_ub",
             ".activation_scale", ".activation_scale_inv", "_activation_scale", ".output_scale", ".pre_quant_scale",
             ".input_activation_scale", ".output_activation_scale", ".comfy_quant", ".scale_input", ".smooth_scale",
             ".svdquant_lora_a", ".svdquant_lora_b")  # fmt: skip
# What belongs to the cache of keys and values, or to the whole file, in a model that is packed.
OF_THE_MODEL = ("k_scale", "v_scale", "q_scale", "kv_scale", "prob_scale", "prob_output_scale",
                "kv_cache_scaling_factor", "scaled_fp8")  # fmt: skip
