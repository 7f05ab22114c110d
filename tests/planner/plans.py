"""Plans to write recipes of: a small model of three layers under schemes that a tool has."""

from __future__ import annotations

from quantviz.planner import Plan, Rules, plan

from .frames import made_up

SHAPES = {
    "self_attn.q_proj": (256, 256), "self_attn.k_proj": (64, 256), "self_attn.v_proj": (64, 256),
    "self_attn.o_proj": (256, 256), "mlp.gate_proj": (768, 256), "mlp.up_proj": (768, 256), "mlp.down_proj": (256, 768),
}  # fmt: skip
TENSORS = {f"model.layers.{i}.{part}.weight": shape for i in range(3) for part, shape in SHAPES.items()}
KEPT = "layers.0.mlp.down_proj"
OF_TOOL = {
    "llama.cpp": ("q4_0", "q8_0", "q4_k", "q6_k"),
    "llm-compressor": ("int4-sym-b32:range=full", "int8-asym-channel", "nvfp4", "mxfp4", "fp8_e4m3-channel",
                       "fp8_e4m3-b128x128"),
    "mlx": (*(f"int{bits}:scale=bf16,edge=1".replace(":", f"-offset-b{64 if bits > 3 else 32}:") for bits in (3, 4, 8)),
            "mxfp4"),
    "torchao": ("int4-sym-b32:range=full", "int3-asym-b64", "int8-asym-channel", "fp8_e4m3-channel"),
    "autoround": ("int4-asym-b32", "int8-sym-b32:range=full", "int3-sym-channel:range=full"),
    "gptqmodel": ("int4-asym-b32", "int8-sym-b32:range=full", "int3-sym-channel:range=full"),
    "quantviz": ("int2-asym-b32", "int4-sym-b32", "int8-sym-b32"),
}  # fmt: skip


def plan_for(tool: str, bits: float = 6.5, rules: Rules = Rules(keep=(KEPT,)), seed: int = 0) -> Plan:  # noqa: B008
    """A plan that gives every scheme of the tool to some tensor, and keeps one as it is stored."""
    made = plan(made_up(TENSORS, OF_TOOL[tool], seed), bits=bits, rules=rules)
    assert len({line.scheme for line in made.lines}) > 2
    return made
