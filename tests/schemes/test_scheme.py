"""Keys: one canonical text for each scheme, errors that say what would be right, and bits counted by hand."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

import quantviz as qv
from quantviz import QuantvizError, Scheme
from quantviz.block_types import BLOCK_TYPES, BlockType
from quantviz.formats import BlockFormat, FloatFormat, IntFormat
from quantviz.schemes import CHANNEL, KINDS, SCALE_TYPES, SYMMETRIES, TENSOR, Granularity


@pytest.mark.parametrize("key", qv.catalogue())
def test_catalogue_keys_are_canonical(key: str) -> None:
    scheme = Scheme.parse(key)
    assert str(scheme) == scheme.key == key
    assert Scheme.parse(scheme) is scheme


def test_the_catalogue_holds_no_scheme_twice_and_every_format() -> None:
    keys = qv.catalogue()
    assert len(set(keys)) == len(keys) == len({Scheme.parse(key) for key in keys})
    assert {Scheme.parse(key).format for key in keys} == set(KINDS)


granularities = st.one_of(
    st.sampled_from([TENSOR, CHANNEL]), st.builds(Granularity, st.integers(1, 999), st.integers(1, 99999))
)


@st.composite
def schemes(draw: st.DrawFn) -> Scheme:
    """Any scheme that can be made from parts, with each part given or left to its default."""
    f = KINDS[draw(st.sampled_from(sorted(KINDS)))]
    symmetry = draw(st.sampled_from([None, *SYMMETRIES])) if isinstance(f, IntFormat) else None
    fixed = isinstance(f, BlockFormat | BlockType)
    granularity = None if fixed else draw(st.none() | granularities)
    has_scale = not fixed and not (isinstance(f, FloatFormat) and granularity is None)
    scale = draw(st.sampled_from([None, *SCALE_TYPES])) if has_scale else None
    options = {
        "scale": scale,
        "clip": draw(st.sampled_from([None, "absmax", "mse", "99.9"])),
        "rotate": draw(st.sampled_from([None, "none", "hadamard"])),
        "keep": draw(st.sampled_from([None, "0", "0.1%", 12.5])),
        "solver": draw(st.sampled_from([None, "hqq"])),
        "double": draw(st.sampled_from([None, False, True])),
        "pad": draw(st.sampled_from([None, False, True])),
    }
    try:
        return Scheme.make(f.name, symmetry, granularity, **options)
    except QuantvizError:
        return Scheme.make(f.name, symmetry, granularity, scale=scale)


@given(schemes())
def test_a_key_gives_its_scheme_back(scheme: Scheme) -> None:
    assert Scheme.parse(scheme.key) == scheme
    assert Scheme.parse(f"  {scheme.key.upper()} ") == scheme
    assert hash(Scheme.parse(scheme.key)) == hash(scheme)


@given(schemes(), schemes())
def test_equal_schemes_have_equal_keys_and_others_other_keys(a: Scheme, b: Scheme) -> None:
    assert (a == b) == (a.key == b.key)


@pytest.mark.parametrize(
    ("written", "canonical"),
    [
        ("int4", "int4-sym-tensor"),
        ("int4-b64", "int4-sym-b64"),
        ("int4-asym", "int4-asym-tensor"),
        ("int4-asym-b64:scale=fp16", "int4-asym-b64"),
        ("int4-asym-b64:scale=fp32", "int4-asym-b64:scale=fp32"),
        ("int4-sym-b1x64", "int4-sym-b64"),
        ("nf4", "nf4-b64"),
        ("nf4-b64:scale=fp32", "nf4-b64"),
        ("fp8_e4m3-b128x128:scale=fp32", "fp8_e4m3-b128x128"),
        ("fp8_e4m3", "fp8_e4m3"),
        ("ternary", "ternary-tensor"),
        ("ternary-channel:scale=fp16", "ternary-channel"),
        ("mxfp4-b32", "mxfp4"),
        ("nvfp4-b16", "nvfp4"),
        ("Q4_K-b256", "q4_k"),
        ("q4_k:pad=0", "q4_k"),
        ("q4_0:pad=1", "q4_0:pad=1"),
    ],
)
def test_defaults_are_left_out(written: str, canonical: str) -> None:
    assert str(Scheme.parse(written)) == canonical


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("", "A scheme key is needed"),
        ("   ", "A scheme key is needed"),
        ("itn4-sym-b64", "Did you mean int4-sym-b64"),
        ("int9-sym-b64", "there is no format 'int9'"),
        ("nf4b64", "nf4-b64"),
        ("q4", "there is no format 'q4'"),
        ("int4-asim-b64", "'asim' is no granularity"),
        ("int4-sym-64", "Did you mean int4-sym-b64"),
        ("int4-sym-b0", "'b0' is no granularity"),
        ("int4-sym-b064", "'b064' is no granularity"),
        ("int4-sym-b64x", "'b64x' is no granularity"),
        ("int4-sym-b9999999999", "is no granularity"),
        ("int4-b64-sym", "'sym' is left over"),
        ("int4-sym-b64-b32", "'b32' is left over"),
        ("nf4-asym-b64", "nf4 has no symmetry to choose"),
        ("fp16-sym", "fp16 has no symmetry"),
        ("int4-sym-b64:scale=fp8", "scale=fp8 is no scale type; choose fp32, fp16 or bf16"),
        ("int4-sym-b64:scale", "'scale' is no option"),
        ("int4-sym-b64:scale=", "'scale=' is no option"),
        ("int4-sym-b64:clop=mse", "'clop=mse' is no option"),
        ("int4-sym-b64:", "'' is no option"),
        ("int4-sym-b64:scale=fp32,scale=fp16", "the option 'scale' stands there twice"),
        ("bf16:scale=fp32", "bf16 takes no scale option: a plain cast has no scale"),
        ("mxfp4:scale=fp32", "mxfp4 takes no scale option"),
        ("mxfp4-b64", "mxfp4 is defined on blocks of 32"),
        ("nvfp4-tensor", "nvfp4 is defined on blocks of 16"),
        ("q4_k-b64", "q4_k is defined on blocks of 256"),
        ("q4_k_m", "Did you mean q4_k"),
        ("q4_0-sym", "q4_0 has no symmetry to choose"),
        ("q4_0:scale=fp32", "q4_0 takes no scale option"),
        ("q4_k:rotate=hadamard", "q4_k takes no rotate option: the runtime that reads a block type"),
        ("q8_0:keep=1%", "q8_0 takes no keep option"),
        ("iq4_nl:clip=mse", "iq4_nl takes no clip option"),
        ("q4_0:pad=2", "pad=2 is neither 0 nor 1"),
        ("int4-sym-b64:pad=1", "int4-sym-b64 takes no pad=1: only block types"),
    ],
)
def test_a_wrong_key_is_answered_in_one_sentence(key: str, said: str) -> None:
    with pytest.raises(QuantvizError) as caught:
        Scheme.parse(key)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 300


@pytest.mark.parametrize("name", BLOCK_TYPES)
def test_a_block_type_is_counted_to_the_bit(name: str) -> None:
    kind, scheme = BLOCK_TYPES[name], Scheme.parse(name)
    assert scheme.bits_per_weight((4096, 4096)) == kind.bits_per_weight
    assert scheme.overhead_bits + kind.block * kind.bits == 8 * kind.nbytes
    assert scheme.needs_importance == (name in ("iq2_xs", "iq2_xxs", "iq1_s", "iq1_m"))


@given(st.text(max_size=40) | st.text(alphabet="int4symab-:=x,scalefp32", max_size=30))
def test_no_text_raises_anything_but_a_sentence(text: str) -> None:
    try:
        scheme = Scheme.parse(text)
    except QuantvizError as error:
        assert str(error)
    else:
        assert Scheme.parse(scheme.key) == scheme


@pytest.mark.parametrize(
    ("key", "shape", "bits"),
    [
        ("fp32", (4, 6), 24 * 32),
        ("fp6_e3m2", (4, 6), 24 * 6),
        ("int4-sym-tensor", (4, 6), 24 * 4 + 16),
        ("int4-sym-tensor:scale=fp32", (4, 6), 24 * 4 + 32),
        ("int4-sym-channel", (4, 6), 24 * 4 + 4 * 16),
        ("int4-asym-channel", (4, 6), 24 * 4 + 4 * (16 + 4)),  # a zero point takes the code's own bits
        ("int3-asym-channel:scale=fp32", (4, 6), 24 * 3 + 4 * (32 + 3)),
        ("int4-offset-channel", (4, 6), 24 * 4 + 4 * (16 + 16)),  # a minimum is stored as the scale is
        ("int4-sym-b4", (4, 6), 24 * 4 + 4 * 2 * 16),  # ragged: a row of 6 takes two blocks of 4
        ("int4-sym-b4", (6,), 6 * 4 + 2 * 16),
        ("int8-sym-b4", (2, 2, 6), 24 * 8 + 4 * 2 * 16),
        ("fp8_e4m3-b128x128", (256, 256), 65536 * 8 + 4 * 32),
        ("fp8_e4m3-b128x128", (257, 129), 257 * 129 * 8 + 3 * 2 * 32),
        ("nf4-b64", (1, 128), 128 * 4 + 2 * 32),
        ("ternary-channel", (4, 6), 24 * 2 + 4 * 16),
        ("int1-sym-b32", (1, 64), 64 + 2 * 16),
        ("mxfp4", (1, 64), 64 * 4 + 2 * 8),
        ("mxfp6_e2m3", (1, 65), 65 * 6 + 3 * 8),
        ("nvfp4", (2, 32), 64 * 4 + 4 * 8 + 32),  # and one float32 a tensor
        ("q4_0", (2, 64), 4 * 18 * 8),
        ("q4_k", (3, 512), 6 * 144 * 8),
        ("q4_k:pad=1", (3, 300), 6 * 144 * 8),  # 212 zeros a row, stored as weights are
        ("q8_0:pad=1", (1,), 34 * 8),
    ],
)
def test_every_bit_is_counted(key: str, shape: tuple[int, ...], bits: int) -> None:
    scheme = Scheme.parse(key)
    count = 1
    for n in shape:
        count *= n
    assert scheme.bits_stored(shape) == bits
    assert scheme.bits_per_weight(shape) == bits / count


@pytest.mark.parametrize(
    ("key", "rows", "cols", "said"),
    [
        (
            "q4_k",
            4,
            300,
            "of 256, and this tensor's have 300 weights; q4_k:pad=1 fills each up with 212 zeros",
        ),
        ("q4_0", 4, 16, "multiple of 32, and this tensor's have 16 weights; q4_0:pad=1"),
    ],
)
def test_rows_that_a_block_type_cannot_store_are_refused(key: str, rows: int, cols: int, said: str) -> None:
    with pytest.raises(QuantvizError, match=said):
        Scheme.parse(key).check_shape(rows, cols)


@pytest.mark.parametrize(
    ("key", "rows", "cols", "said"),
    [
        ("int4-sym-b64", 4, 32, ("Rows of 32 weights are shorter than a block of 64: each row is one block.",)),
        ("int4-sym-b64", 4, 1, ("Rows of 1 weight are shorter than a block of 64: each row is one block.",)),
        ("mxfp4", 4, 31, ("Rows of 31 weights are shorter than a block of 32: each row is one block.",)),
        (
            "fp8_e4m3-b128x128", 64, 256,
            ("A tile of 128 × 128 is larger than this tensor of 64 × 256 weights: tiles are cut to 64 × 128.",),
        ),
        ("int4-sym-b64", 4, 64, ()), ("int4-sym-b64", 4, 65, ()), ("int4-sym-tensor", 1, 1, ()),
        ("int4-sym-channel", 1, 1, ()), ("fp16", 1, 1, ()), ("q4_k:pad=1", 1, 1, ()),
    ],
)  # fmt: skip
def test_a_block_larger_than_the_tensor_is_cut_and_it_says_so(key: str, rows: int, cols: int, said: tuple) -> None:
    scheme = Scheme.parse(key)
    scheme.check_shape(rows, cols)
    assert scheme.shape_notices(rows, cols) == said


def test_bits_of_rows_that_a_block_type_refuses_are_refused() -> None:
    """A figure for a scheme that cannot be applied would be taken for one that can."""
    with pytest.raises(QuantvizError, match="multiple of 256"):
        Scheme.parse("q4_k").bits_per_weight((4, 300))
    assert Scheme.parse("q4_k:pad=1").bits_per_weight((4, 300)) == 4.5 * 512 / 300
    assert Scheme.parse("q4_k").bits_per_weight((4, 512)) == 4.5


@pytest.mark.parametrize(
    ("key", "transforms"),
    [("int4-sym-b64", False), ("q4_0", False), ("int4-sym-b64:keep=1%", True), ("int4-sym-b64:rotate=hadamard", True),
     ("int4-sym-b64:keep=1%,rotate=hadamard", True)],
)  # fmt: skip
def test_what_is_quantized_is_the_weights_unless_they_are_rotated_or_kept_apart(key, transforms):
    assert Scheme.parse(key).transforms is transforms
