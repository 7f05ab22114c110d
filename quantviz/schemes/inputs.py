"""How a layer's inputs are quantized beside its weights: act=, as data, a row a way.

A row of inputs [tokens, in_features] is a token, as a row of weights is an output channel: so each way is a scheme, put
on the inputs. Scales come from the inputs at hand, anew each time ("dynamic"), and those of a token or of all tokens
are float32, as vLLM has them: the largest magnitude over 127 (dynamic_scaled_int8_quant, codes from -127 to 127) or
over 448 (dynamic_per_token_scaled_fp8_quant). NVFP4's scale of the tensor, too, is that of the inputs at hand, where
vLLM and TensorRT-LLM take one from calibration.
"""

from __future__ import annotations

INPUT_SCHEMES = {
    "int8-token": "int8-sym-channel:scale=fp32",
    "int8-tensor": "int8-sym-tensor:scale=fp32",
    "fp8_e4m3-token": "fp8_e4m3-channel",
    "fp8_e4m3-tensor": "fp8_e4m3-tensor",
    "mxfp8": "mxfp8_e4m3",
    "mxfp4": "mxfp4",
    "nvfp4": "nvfp4",
    "int4-token": "int4-sym-channel:scale=fp32",
}
_SHARED = {
    "token": "one scale a token", "tensor": "one scale for all tokens", "mxfp8": "blocks of 32 (OCP MX)",
    "mxfp4": "blocks of 32 (OCP MX)", "nvfp4": "blocks of 16",
}  # fmt: skip


def input_name(act: str | None) -> str:
    """What a way is called where one is chosen.

    >>> input_name("int8-token"), input_name(None)
    ('int8-token: one scale a token', 'none: as they come')
    """
    return "none: as they come" if act is None else f"{act}: {_SHARED[act.rpartition('-')[2]]}"
