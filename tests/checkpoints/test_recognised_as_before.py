"""What every tensor of a packed model is told to be, and how a plain one is shown: as before."""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable

import numpy as np
import pytest

from quantviz.checkpoints import understood
from quantviz.checkpoints.axes import Architecture, layout
from quantviz.checkpoints.declared import declared
from quantviz.checkpoints.recognition import packed_formats, recognise, refuse_packed
from quantviz.checkpoints.turned import Turn, TurnedElements
from quantviz.errors import QuantvizError
from quantviz.sources import TensorInfo
from quantviz.sources.model import Model
from quantviz.sources.safetensors_header import DTYPES
from quantviz.tensors import Packing
from tests.checkpoints.golden import Case
from tests.checkpoints.in_memory import opened, seen, told
from tests.checkpoints.layouts import ALL, IN, OUT, Example, Tensors
from tests.checkpoints.test_recognition import PLAIN, marks, names


class Listing:
    """A model that is only a list, of no bytes."""

    def __init__(self, tensors: Tensors) -> None:
        self.metadata: dict[str, str] = {}
        self.tensors = tuple(info_of(name, *tensor) for name, tensor in tensors.items())


def info_of(name: str, dtype: str, shape: tuple[int, ...]) -> TensorInfo:
    ours, bits = DTYPES[dtype]
    return TensorInfo(name, shape, ours, int(np.prod(shape)) * bits // 8)


METHODS = ({"quant_method": "gptq"}, {"quant_method": "somebody-s"}, {"load_in_4bit": True})
CONFIGS = ({}, {"quantization": {"bits": 4}}, *({"quantization_config": method} for method in METHODS))
MORE: Tensors = {"l.input_scale": ("F32", ()), "l.k_scale": ("F32", (1,)), "k_scale": ("F32", (1,)),
                 "m.weight": ("F8_E4M3", (OUT, IN)), "m.mask": ("U8", (4, 4)), "mask": ("U8", (4, 4)),
                 "n.proj": ("I32", (4, 4)), "n.ids": ("I32", (4,))}  # fmt: skip


@pytest.mark.parametrize("example", ALL, ids=names)
def test_what_each_tensor_is_said_to_be(example: Example, kept: Callable) -> None:
    """One by one they are told with its own config.json; with others, all in a sum."""
    sums = []
    for config in (marks(example), *CONFIGS):
        said = declared({"config.json": config})
        infos = [info_of(name, *tensor) for name, tensor in (example.tensors | PLAIN | MORE).items()]
        found = recognise(infos, said)
        each = {name: [p.format, p.codes, p.why] for name, p in found.packed.items()}
        sums.append(zlib.crc32(repr([each, found.notice, packed_formats(infos)]).encode()))
        if len(sums) == 1:
            kept({name: why for name, (_, _, why) in each.items() if name in example.tensors})
    kept(sums)


@pytest.mark.parametrize("example", [one for one in ALL if one.decoded], ids=names)
def test_what_each_is_decoded_to(example: Example, kept: Callable) -> None:
    """Of any bytes, and of a scale that is a number."""
    rng = np.random.default_rng(0)
    tensors = {}
    for name, (dtype, shape) in example.tensors.items():
        size = int(np.prod(shape)) * DTYPES[dtype][1] // 8
        raw = rng.standard_normal(size // 4, np.float32).tobytes() if dtype == "F32" else rng.bytes(size)
        if dtype in ("F16", "BF16", "F8_E4M3", "F8_E8M0"):
            raw = rng.integers(0x30, 0x40, size, np.uint8).tobytes()
        tensors[name] = dtype, shape, raw
    model = opened(Case("any", "", tensors, np.empty(0), config={"config.json": marks(example)}))
    for info in model.tensors:
        if info.decoded:
            try:
                stored = model.open(info.name)
                kept(seen(stored))
                for first, last in ((0, 1), (1, 2), (stored.rows // 2 - 1, stored.rows)):
                    kept(told(stored.row_range(first, last).numpy()))
            except QuantvizError as refused:
                kept(str(refused))
    kept([info.name for info in model.tensors])


def test_what_is_told_of_models_without_codes(kept: Callable) -> None:
    for config in CONFIGS:
        for tensors in (
            PLAIN,
            MORE,
            {"m.mask": MORE["m.mask"]},
            {"m.weight": MORE["m.weight"]},
            {"n.proj": MORE["n.proj"]},
        ):
            found = recognise([info_of(n, *t) for n, t in tensors.items()], declared({"config.json": config}))
            kept([found.notice, {name: p.why for name, p in found.packed.items()}])
    blocks = Packing("gguf_nvfp4", 64, 36)
    of_blocks = [TensorInfo("a.weight", (2, 64), "gguf_nvfp4", 72, blocks), info_of("a.scale", "F32", (1,)),
                 TensorInfo("b.weight", (2, 64), "q4_0", 72, Packing("q4_0", 32, 18)), info_of("b.scale", "F32", (1,)),
                 info_of("c.scale", "F32", (1,))]  # fmt: skip
    kept({name: [p.format, p.codes, p.why] for name, p in recognise(of_blocks, None).packed.items()})
    refuse_packed((), "a", "b")
    with pytest.raises(QuantvizError) as refused:
        refuse_packed(("one", "two"), "model", "its size")
    kept(str(refused.value))


@pytest.mark.parametrize("files", [
    {"config.json": {"compression_config": {"quant_method": "x"}}}, {"config.json": {"quantization": 4}},
    {"config.json": {"text_config": {"quantization_config": {"quant_method": " "}}}}, {"hf_quant_config.json": {}},
    {"hf_quant_config.json": {"quantization": {"quant_algo": "FP8"}}},
    {"hf_quant_config.json": {"quantization": {"x": 1}}},
    {"hf_quant_config.json": {"quantization": "FP8"}}, {"quantize_config.json": {"bits": 4}},
    {"quantize_config.json": {"bits": 0}}, {"quant_config.json": {"w_bit": 4}}, {"quant_config.json": {"bits": 4}},
    {"config.json": {"quantization_config": {"load_in_8bit": True}}},
    {"config.json": {"quantization_config": {"load_in_8bit": 1}}},
])  # fmt: skip
def test_what_files_declare(files: dict, kept: Callable) -> None:
    found = declared(files)
    kept(found and [found.method, found.where, dict(found.settings)])


# -- axes -------------------------------------------------------------------------------------------

KINDS = (None, "llama", "gpt2", "gpt_oss", "dbrx", "convbert", "csm", "recurrent_gemma", "xlnet", "funnel", "vits",
         "squeezebert", "sam", "beit", "dpt", "eomt", "ernie4_5_moe_vl")  # fmt: skip
NAMES = (
    "h.0.attn.c_attn.weight", "x.kernel", "experts.gate_up_proj", "experts.down_proj", "mlp.experts.w2_weight",
    "experts.mlp.w2", "codebooks_head.weight", "intermediate.dense.weight", "rg_lru.input_gate_weight",
    "mlp.gate.weight",
    "rel_attn.q", "rel_attn.o", "x.r_kernel", "x.deconv.weight", "upsampler.0.weight", "fpn1.0.weight", "conv1.weight",
    "reassemble_stage.layers.0.resize.weight", "upscale_conv1.weight", "upscale_block.block.0.conv1.weight",
    "x.weight",
)  # fmt: skip
SIZES = ((6,), (64, 48), (48, 64), (8, 64, 48), (8, 48, 64), (64, 1, 3), (1, 2, 3, 4), (6, 1, 3, 4), (0, 4))


@pytest.mark.parametrize("kind", KINDS)
def test_which_axis_is_the_input(kind: str | None, kept: Callable) -> None:
    sums = {}
    for sizes in ({}, {"hidden_size": 48}, {"text_config": {"d_model": 64, "moe_num_experts": 8}}):
        model = Architecture(({"model_type": kind} if kind else {}) | sizes)
        for name in NAMES:
            found = [layout(name, info_of(name, "F32", shape), model) for shape in SIZES]
            told_of = [[o.shape, o.input_axes, o.turn, re.sub("[0-9]", "0", o.notice)[:60]] for o in found]
            sums[name] = zlib.crc32(f"{sums.get(name)} {[*map(repr, told_of)]} {[o.notice for o in found]}".encode())
    kept(sums)


def test_how_deep_a_config_is_looked_at(kept: Callable) -> None:
    config: dict = {"model_type": "kind 9"}
    for n in range(8, -1, -1):
        config = {"model_type": f"kind {n}", "inner": config, "hidden_size": n, "x": True}
    model = Architecture(config)
    kept([sorted(model.kinds), sorted(model.numbers("hidden_size")), sorted(model.numbers("x"))])


@pytest.mark.parametrize("turn", [Turn(1, 3, 5), Turn(3, 4, 2), Turn(4, 2, 300), Turn(3, 2, 3, 4), Turn(5, 1, 1)])
def test_elements_turned(turn: Turn, kept: Callable) -> None:
    rows, cols = turn.stored
    stored = np.arange(rows * cols, dtype=np.float32)
    elements = TurnedElements(stored, turn)
    each = turn.a * turn.b * turn.tail
    assert (len(elements), elements.size, elements.nbytes) == (stored.size, stored.size, 4 * stored.size)
    expected = stored.reshape(turn.matrices, turn.a, turn.b, turn.tail).swapaxes(1, 2).reshape(-1)
    for start, stop in (
        (0, None),
        (1, each),
        (each - 1, each + 1),
        (each, 2 * each),
        (3, 3),
        (2, -1),
        (-3, None),
        (5, 2),
    ):
        part = elements[start:stop]
        assert np.array_equal(np.asarray(part), expected[start:stop]) and len(part) == len(expected[start:stop])
        assert np.array_equal(np.asarray(part[1:]), expected[start:stop][1:])
    assert np.asarray(elements, np.float64).dtype == np.float64
    kept(told(np.asarray(elements)))
    with pytest.raises(ValueError, match="one after the other"):
        elements[::2]


def test_a_model_is_shown_in_its_order(kept: Callable) -> None:
    tensors: Tensors = {f"model.layers.{n}.mlp.experts.down_proj": ("F32", (2, 4, 6)) for n in (10, 2)}
    tensors |= {"model.layers.2.self_attn.c_attn.weight": ("F32", (4, 6))}
    for config in ({"model_type": "gpt_oss"}, {"model_type": "gpt2"}, {}):
        shown = understood(Model("model", Listing(tensors), lambda _, config=config: config))
        kept([[info.name, info.shape, info.input_axes, info.notices] for info in shown.tensors])
