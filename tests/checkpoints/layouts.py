"""One layer in each packed format, by the names, dtypes and shapes that its own writer gives, and no more than that."""

from __future__ import annotations

from dataclasses import dataclass

Tensors = dict[str, tuple[str, tuple[int, ...]]]  # name -> (dtype as safetensors spells it, shape)
OUT, IN = 256, 128  # of every layer below


@dataclass(frozen=True)
class Example:
    """name: what the sentence must say.  tensors: the first holds the codes, all others belong to them.
    decoded: whether quantviz reads it.
    """

    name: str
    tensors: Tensors
    method: str = ""
    decoded: bool = False


def _gptq(g_idx: bool) -> Tensors:
    found = {"l.qweight": ("I32", (IN // 8, OUT)), "l.qzeros": ("I32", (4, OUT // 8)), "l.scales": ("F16", (4, OUT))}
    return found | ({"l.g_idx": ("I32", (IN,))} if g_idx else {})


_BNB = {"l.weight": ("U8", (OUT * IN // 2, 1)), "l.weight.absmax": ("U8", (512,)),
        "l.weight.quant_map": ("F32", (16,)), "l.weight.nested_absmax": ("F32", (2,)),
        "l.weight.nested_quant_map": ("F32", (256,))}  # fmt: skip
_STATE = "l.weight.quant_state.bitsandbytes__"

ALL = (
    Example("GPTQ", _gptq(True), "gptq", True),
    Example("GPTQ", _gptq(False), "auto-round", True),
    Example("AWQ", {"l.qweight": ("I32", (IN, OUT // 8)), "l.qzeros": ("I32", (4, OUT // 8)),
                    "l.scales": ("F16", (4, OUT))}, "awq", True),
    Example("AWQ", {"l.qweight": ("I32", (OUT, IN // 8)), "l.qzeros": ("I32", (OUT, 1)), "l.scales": ("F16", (OUT, 8))},
            "awq", True),
    Example("AWQ gemv_fast or llm-awq", {"l.qweight": ("I16", (OUT // 4, IN)), "l.qzeros": ("F16", (8, OUT)),
                                         "l.scales": ("F16", (8, OUT))}, "awq"),
    Example("compressed-tensors packed integers", {
        "l.weight_packed": ("I32", (OUT, IN // 8)), "l.weight_scale": ("BF16", (OUT, 4)),
        "l.weight_zero_point": ("I32", (OUT // 8, 4)), "l.weight_shape": ("I64", (2,)),
        "l.weight_g_idx": ("I32", (IN,))}, "compressed-tensors", True),
    Example("compressed-tensors nvfp4", {
        "l.weight_packed": ("U8", (OUT, IN // 2)), "l.weight_scale": ("F8_E4M3", (OUT, IN // 16)),
        "l.weight_global_scale": ("F32", (1,)), "l.input_global_scale": ("F32", (1,))}, "compressed-tensors", True),
    Example("compressed-tensors mxfp4", {
        "l.weight_packed": ("U8", (OUT, IN // 2)), "l.weight_scale": ("U8", (OUT, IN // 32))},
            "compressed-tensors", True),
    Example("FP8 with one scale a tensor", {"l.weight": ("F8_E4M3", (OUT, IN)), "l.weight_scale": ("F32", (1,)),
                                            "l.input_scale": ("F32", (1,))}, "compressed-tensors", True),
    Example("FP8 with one scale a tensor", {"l.weight": ("F8_E4M3", (OUT, IN)), "l.weight_scale": ("F32", ()),
                                            "l.input_scale": ("F32", ()), "l.k_scale": ("F32", (1,))},
            "modelopt", True),
    Example("FP8 with scales", {"l.weight": ("F8_E4M3", (OUT, IN)), "l.weight_scale": ("F32", (OUT, 1)),
                                "l.input_scale_ub": ("F32", (1,))}, "fbgemm_fp8", True),
    Example("FP8 with scales", {"l.experts.gate_up_proj": ("F8_E4M3", (2, IN, OUT)),
                                "l.experts.gate_up_proj_scale": ("F32", (2, 1, OUT))}, "fbgemm_fp8", True),
    Example("int8 with scales", {"l.weight": ("I8", (OUT, IN)), "l.weight_scale": ("F32", (OUT, 1)),
                                 "l.weight_zero_point": ("I8", (OUT, 1))}, "compressed-tensors", True),
    Example("MXFP8", {"l.weight": ("F8_E4M3", (OUT, IN)), "l.weight_scale": ("U8", (OUT, IN // 32))}, "mxfp8", True),
    Example("block FP8", {"l.weight": ("F8_E4M3", (OUT, IN)), "l.weight_scale_inv": ("F32", (2, 1))}, "fp8", True),
    Example("block FP8", {"l.weight": ("F8_E4M3", (OUT, IN)), "l.weight_scale_inv": ("BF16", (2, 1))}, "fp8",
            True),
    Example("block FP8", {"l.experts.down_proj": ("F8_E4M3", (2, OUT, IN)),
                          "l.experts.down_proj_scale_inv": ("F32", (2, 2, 1))}, "fp8", True),
    Example("FP8 with one scale a tensor", {"l.weight": ("F8_E4M3", (OUT, IN)), "l.weight_scale_inv": ("BF16", ()),
                                            "l.activation_scale": ("BF16", ())}, "fp8", True),
    Example("block FP8 (DeepSeek V4)", {"l.weight": ("F8_E4M3", (OUT, IN)), "l.scale": ("F8_E8M0", (2, 1))},
            "fp8", True),
    Example("MXFP4 (DeepSeek V4)", {"l.weight": ("I8", (OUT, IN // 2)), "l.scale": ("F8_E8M0", (OUT, IN // 32))},
            "fp8", True),
    Example("ComfyUI's scaled FP8", {"l.weight": ("F8_E4M3", (OUT, IN)), "l.scale_weight": ("F32", ()),
                                     "l.scale_input": ("F32", (1,)), "scaled_fp8": ("F8_E4M3", (2,))}, decoded=True),
    Example("ModelOpt NVFP4", {"l.weight": ("U8", (OUT, IN // 2)), "l.weight_scale": ("F8_E4M3", (OUT, IN // 16)),
                               "l.weight_scale_2": ("F32", ()), "l.input_scale": ("F32", ())}, "modelopt", True),
    Example("Quark int4", {"l.weight": ("I32", (IN, OUT // 8)), "l.weight_scale": ("BF16", (IN // 32, OUT)),
                           "l.weight_zero_point": ("I32", (IN // 32, OUT // 8))}, "quark", True),
    Example("ModelOpt NVFP4, stacked experts", {
        "l.experts.down_proj": ("U8", (2, IN // 2, OUT)),
        "l.experts.down_proj_weight_scale": ("F8_E4M3", (2, IN // 16, OUT)),
        "l.experts.down_proj_weight_scale_2": ("F32", ()), "l.experts.down_proj_input_scale": ("F32", ())},
        "modelopt", True),
    Example("ModelOpt int4 AWQ", {"l.weight": ("U8", (OUT // 2, IN)), "l.weight_scale": ("BF16", (OUT, 1)),
                                  "l.pre_quant_scale": ("BF16", (IN,))}, "modelopt", True),
    Example("MXFP4", {"l.weight": ("U8", (OUT, IN // 2)), "l.weight_scale": ("U8", (OUT, IN // 32))}, "modelopt", True),
    Example("MXFP4", {"l.experts.down_proj_blocks": ("U8", (2, OUT, IN // 32, 16)),
                      "l.experts.down_proj_scales": ("U8", (2, OUT, IN // 32))}, "mxfp4", True),
    Example("bitsandbytes nf4", _BNB | {_STATE + "nf4": ("U8", (100,))}, "bitsandbytes", True),
    Example("bitsandbytes fp4", _BNB | {_STATE + "fp4": ("U8", (100,))}, "bitsandbytes", True),
    Example("bitsandbytes nf4", {"l.weight": ("BF16", (OUT * IN // 4, 1)), "l.weight.absmax": ("F32", (512,)),
                                 _STATE + "nf4": ("U8", (100,))}, "bitsandbytes", True),
    Example("bitsandbytes int8", {"l.weight": ("I8", (OUT, IN)), "l.SCB": ("F32", (OUT,)),
                                  "l.weight_format": ("U8", ())}, "bitsandbytes", True),
    Example("HQQ", {"l.W_q": ("U8", (OUT, 64)), "l.scale": ("F16", (2 * OUT, 1)), "l.zero": ("F16", (2 * OUT, 1)),
                    "l.nbits": ("I32", ()), "l.shape": ("I64", (2,)), "l.packing": ("U8", (7,))}, "hqq", True),
    Example("MLX affine", {"l.weight": ("U32", (OUT, IN // 8)), "l.scales": ("BF16", (OUT, 2)),
                           "l.biases": ("BF16", (OUT, 2))}, "mlx", True),
    Example("MLX affine", {"l.weight": ("U32", (OUT, IN // 8)), "l.scales": ("BF16", (OUT, 2)),
                           "l.qbiases": ("BF16", (OUT, 2))}, "metal", True),
    Example("MLX mxfp4, mxfp8 or nvfp4", {"l.weight": ("U32", (OUT, IN // 8)), "l.scales": ("U8", (OUT, 4))}, "mlx",
            True),
    Example("EXL3", {"l.trellis": ("I16", (IN // 16, OUT // 16, 64)), "l.suh": ("F16", (IN,)), "l.svh": ("F16", (OUT,)),
                     "l.mcg": ("I32", ())}, "exl3", True),
    Example("EXL2", {"l.q_weight": ("I32", (64, OUT)), "l.q_groups": ("I16", (8,)), "l.q_invperm": ("I32", (IN,)),
                     "l.q_scale": ("I32", (4, OUT // 8)), "l.q_scale_max": ("F16", (4,))}, "exl2"),
    Example("AQLM", {"l.codes": ("I8", (OUT, IN // 8, 1)), "l.codebooks": ("F16", (1, 256, 1, 8)),
                     "l.scales": ("F16", (OUT, 1, 1, 1))}, "aqlm", True),
    Example("QuIP#", {"l.Qidxs": ("I16", (OUT, IN // 8)), "l.SU": ("F16", (IN,)), "l.SV": ("F16", (OUT,)),
                      "l.Wscale": ("F32", ()), "l.codebook_id": ("I64", ())}, "quip"),
    Example("VPTQ", {"l.indices": ("I32", (1, OUT, 8)), "l.centroids.weight": ("F16", (1, 2048)),
                     "l.res_indices": ("I32", (1, 4)), "l.weight_scale": ("F16", (IN,)), "l.perm": ("I16", (IN,))},
            "vptq"),
    Example("SpQR", {"l.dense_weights": ("I64", (64,)), "l.row_offsets": ("I32", (OUT + 1,)),
                     "l.col_vals": ("I32", (9,)), "l.in_perm": ("U16", (IN,))}, "spqr"),
    Example("HIGGS", {"l.weight": ("I16", (16, OUT)), "l.scales": ("F16", (OUT, 1)), "l.tables": ("F16", (256,)),
                      "l.tables2": ("F16", (256, 2))}, "higgs"),
    Example("FP-Quant", {"l.qweight": ("U8", (OUT, IN // 2)), "l.scales": ("U8", (OUT, 4)),
                         "l.forward_hadamard_matrix": ("BF16", (32, 32))}, "fp_quant"),
    Example("quanto", {"l.weight._data": ("I8", (OUT, IN)), "l.weight._scale": ("F32", (OUT, 1)),
                       "l.input_scale": ("F32", ()), "l.output_scale": ("F32", ())}, "quanto", True),
    Example("quanto", {"l.weight._data._data": ("U8", (OUT // 2, IN)), "l.weight._scale": ("BF16", (OUT, 1)),
                       "l.weight._shift": ("BF16", (OUT, 1))}, "quanto", True),
    Example("torchao", {"l._weight_qdata": ("F8_E4M3", (OUT, IN)), "l._weight_scale": ("F32", (OUT, 1))}, "torchao",
            True),
    Example("torchao", {"l._weight_qdata": ("I32", (OUT, IN // 8)), "l._weight_scale_and_zero": ("BF16", (4, OUT, 2))},
            "torchao"),
    Example("BitNet's packed ternary", {"l.weight": ("U8", (OUT // 4, IN)), "l.weight_scale": ("BF16", (1,))},
            "bitnet", True),
    Example("packed integers with a scale a row", {"l.weight": ("U8", (OUT, IN // 2)),
                                                   "l.weight_scale": ("F32", (OUT, 1)),
                                                   "l.input_activation_scale": ("F32", ())}, "gemma", True),
    Example("packed integers with a scale a row", {"e.embedding_quantized": ("U8", (OUT, IN // 4)),
                                                   "e.embedding_scale": ("F32", (OUT, 1))}, "gemma", True),
    Example("EETQ", {"l.weight": ("I8", (IN, OUT)), "l.weight_scales": ("F16", (OUT,))}, "eetq"),
    Example("SVDQuant", {"l.qweight": ("I8", (OUT, IN // 2)), "l.wscales": ("BF16", (2, OUT)),
                         "l.smooth_factor": ("BF16", (IN,)), "l.proj_down": ("BF16", (IN, 32))}),
    Example("Marlin", {"l.B": ("I32", (IN // 16, OUT * 2)), "l.s": ("F16", (1, OUT))}, "marlin"),
    Example("TensorRT-LLM", {"l.weight": ("F8_E4M3", (OUT, IN)), "l.weights_scaling_factor": ("F32", (1,)),
                             "l.activation_scaling_factor": ("F32", (1,))}),
    Example("compressed-tensors 2:4 or sparse", {"l.weight.compressed": ("BF16", (OUT, IN // 2)),
                                                 "l.weight.bitmask": ("U8", (OUT, IN // 8)),
                                                 "l.weight.shape": ("I64", (2,))}, "compressed-tensors"),
    Example("an unknown format", {"l.weight": ("I8", (OUT, IN)), "l.scales": ("F32", (OUT,))}),
    Example("an unknown format", {"l.weight": ("U8", (OUT, IN)), "l.weight_scaler": ("F32", (OUT,)),
                                  "l.weight_zero_point": ("F32", (OUT,))}),
    Example("an unknown format", {"l.weight": ("U8", (OUT, IN // 2))}),
    Example("an unknown format", {"l.weight": ("I8", (OUT, IN))}, "somebody-s"),
)  # fmt: skip
EXAMPLES = tuple(example for example in ALL if not example.decoded)


def example_of(name: str) -> Example:
    """The first of that format that is not decoded."""
    return next(example for example in EXAMPLES if example.name == name)
