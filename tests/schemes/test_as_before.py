"""Every ready-made scheme in numbers, every option where it applies and where it does not: as before."""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable

import numpy as np
import pytest

from quantviz.schemes import OPTIONS, Scheme, hadamard, nested
from quantviz.schemes.granularity import Granularity
from quantviz.schemes.nearby import quantities
from quantviz.schemes.options import MX_RULES
from quantviz.schemes.presets import PRESETS, preset
from quantviz.schemes.ready_made import catalogue
from quantviz.schemes.rules import LARGEST_STEPS, power_choice
from quantviz.schemes.scheme import KINDS
from tests.checkpoints.in_memory import told
from tests.recorded import tried

SHAPES = ((1, 1), (3, 40), (2, 3, 256), (300, 512), (8, 4, 3, 3), (128, 1023))
WRONG = ("", " ", "int5", "int99", "q4_q", "int4-b", "int4-sym-b0", "int4-sym-b64-x", "nf4-sym", "mxfp4-b16", "nf4b64",
         "int4:scale", "int4:scale=", "int4:scale=fp32,scale=fp32", "int4:sclae=fp32", "q4_k-b64",
         "fp16-asym")  # fmt: skip


def heads() -> list[str]:
    """What keys may begin with: each format, integers under each symmetry."""
    ends = {name: ("", "-sym-channel", "-asym-b64", "-offset-b32") if name.startswith("int") else
            ("", "-channel", "-b128x128") for name in KINDS}  # fmt: skip
    keys = [f"{name}{end}" for name in KINDS for end in ends[name]]
    return [key for key in keys if isinstance(tried(Scheme.parse, key), Scheme)]


HEADS = heads()


def numbers(scheme: Scheme) -> str:
    """All that follows from a scheme's key."""
    stored = [f"{scheme.bits_stored(s) if not isinstance(tried(scheme.bits_stored, s), str) else '-'}" for s in SHAPES]
    how = scheme.how
    return (
        f"{how.name} {how.element} {how.scaling} {how.step:g} {scheme.code_range} {scheme.code_dtype} "
        f"{scheme.stored_scale} {scheme.needs_tensor_maximum:d}{scheme.transforms:d}{scheme.needs_importance:d}"
        f"{scheme.uses_data:d} {scheme.overhead_bits} {' '.join(stored)}"
        f"{f' {scheme.largest_step:g}' if how.element in ('integers', 'floats') else ''}"
    )


def options_of(head: str) -> list[str]:
    """Keys of a head with each option as it may be written, and with what that needs beside it."""
    return [f"{head}:{f'{option.needs},' if '=' in option.needs else ''}{text}" for option in OPTIONS.values()
            for text in option.written if "=" in text]  # fmt: skip


@pytest.mark.parametrize("head", HEADS)
def test_a_scheme_with_each_option(head: str, kept: Callable) -> None:
    """Of sentences that are alike but for a number, one is kept and a sum of all."""
    made, refused = {}, {}
    for key in (head, *options_of(head), f"{head}:keep=3%", f"{head}:clip=99.9", f"{head}:double=1,scale=bf16",
                f"{head}:solver=hqq,edge=1", f"{head}:tensor=none,sixes=4", f"{head}:range=full,clip=mse"):  # fmt: skip
        scheme = tried(Scheme.parse, key)
        if isinstance(scheme, Scheme):
            made[scheme.key] = numbers(scheme)
        else:
            refused.setdefault(re.sub("[a-z0-9_]+=[^ ,;:]+", "", scheme), []).append(scheme)
    kept([next(iter(made.items()), ()), zlib.crc32(repr(made).encode()), zlib.crc32(repr(refused).encode())])


@pytest.mark.parametrize("option", OPTIONS.values(), ids=OPTIONS)
def test_where_an_option_does_not_apply(option: object, kept: Callable) -> None:
    beside = f"{option.needs}," if "=" in option.needs else ""
    said: dict[str, list[str]] = {}
    for head in HEADS:
        scheme = tried(Scheme.parse, f"{head}:{beside}{option.written[0]}")
        if isinstance(scheme, str):
            said.setdefault(scheme.replace(head, "X"), []).append(head)
    kept({text: f"{len(heads)}: {', '.join(heads[:3])}" for text, heads in list(said.items())[-6:]})
    kept(zlib.crc32(repr(said).encode()))
    kept("".join(f"{Scheme.parse(head).takes(option):d}" for head in HEADS))


def test_what_is_no_scheme(kept: Callable) -> None:
    kept({key: str(tried(Scheme.parse, key)) for key in WRONG})
    texts = ("b1", "b0", "b999999999", "b9999999999", "b2x3", "2x3", "B64")
    kept({text: str(tried(Granularity.parse, text)) for text in texts})


def test_every_ready_made_scheme(kept: Callable) -> None:
    each = [f"{key} {numbers(Scheme.parse(key))}" for key in catalogue()]
    kept([each[::40], len(each), zlib.crc32(repr(each).encode())])
    kept({name: [len(preset(name, shape)) for shape in SHAPES] for name in PRESETS})
    kept([LARGEST_STEPS, {f"{key} {rule}": power_choice(Scheme.parse(f"{key}:rule={rule}"))
                          for rule in MX_RULES for key in ("mxfp4", "mxint8", "mxfp8_e5m2")}])  # fmt: skip


@pytest.mark.parametrize("key", ["int4-sym-b64", "int8-asym-tensor", "int3-offset-channel:clip=99.9", "nf4-b64", "q4_k",
                                 "q5_0", "q4_1", "iq4_nl", "mxfp4", "fp8_e4m3-channel", "fp16", "int4-sym-b48:clip=mse",
                                 "fp8_e4m3-b128x128", "int4-asym-b64:solver=gptq", "ternary-b128"])  # fmt: skip
def test_what_can_be_turned(key: str, kept: Callable) -> None:
    for cols in (16, 64, 4096):
        found = [
            [q.name, [f"{step} {scheme}" for step, scheme in q.steps]] for q in quantities(Scheme.parse(key), cols)
        ]
        kept([found, zlib.crc32(repr(found).encode())])


@pytest.mark.parametrize("key", ["int4-sym-b64", "int4-sym-b128x128", "int4-sym-tensor", "q4_k", "q4_k:pad=1",
                                 "int4-sym-b64:rotate=hadamard", "mxfp4", "fp16"])  # fmt: skip
def test_shapes_that_a_scheme_meets(key: str, kept: Callable) -> None:
    scheme = Scheme.parse(key)
    kept([[tried(scheme.check_shape, *shape), scheme.shape_notices(*shape)]
          for shape in ((1, 1), (4, 63), (4, 64), (64, 256), (127, 128), (128, 129), (300, 255))])  # fmt: skip


def test_groups_of_a_shape(kept: Callable) -> None:
    for text in ("tensor", "channel", "b64", "b3x5"):
        g = Granularity.parse(text)
        kept([[g.within(*shape), g.grid(*shape), told(g.sizes(*shape))] for shape in ((1, 1), (6, 64), (7, 150))])


def test_orders_of_rotations_and_their_matrices(kept: Callable) -> None:
    found = [tried(hadamard.order, n) for n in (*range(1, 200), 1148, 2864, 4 * 667, 8 * 333, 11008, 14336, 1 << 20)]
    kept([zlib.crc32(repr(found).encode()), found[-6:], found[88:96]])
    for m in (1, 2, 4, 12, 20, 28, 36, 52, 76, 100):
        made = tried(hadamard.matrix, m)
        kept(made if isinstance(made, str) else told(made))
    kept([told(hadamard.signs(1000)), told(hadamard.signs(64, 3)), float(hadamard.scale(48))])


def test_scales_that_are_quantized_themselves(kept: Callable) -> None:
    rng = np.random.default_rng(0)
    for size in (1, 255, 256, 257, 1000):  # codes as floats: their last step depends on how a processor adds up
        n = nested.nest(rng.random((1, size), np.float32))
        kept(
            [
                told(n.codes.astype(np.float32)),
                told(n.absmax2),
                float(n.offset),
                told(n.restored),
                nested.nested_bits(size),
            ]
        )
    kept([told(nested.nest(np.zeros(300, np.float32)).codes), told(nested.dynamic_map())])
