"""Presets: keys that exist, sizes that hold, a source for everything that is said of a runtime."""

from __future__ import annotations

import pytest

from quantviz import QuantvizError, Scheme
from quantviz.schemes.presets import AS_SERVED, EIGHT_BITS, FEW_BITS, FOUR_BITS, PRESETS, SERVED, UNDER, preset

SHAPE = (4096, 4096)


@pytest.mark.parametrize("name", PRESETS)
def test_keys_are_canonical_and_fit_an_ordinary_layer(name):
    keys = preset(name, SHAPE)
    assert 2 <= len(keys) <= 64 and len(set(keys)) == len(keys)  # few enough for one table
    for key in keys:
        assert Scheme.parse(key).key == key
        Scheme.parse(key).check_shape(*SHAPE)


@pytest.mark.parametrize(("name", "bits"), [(FOUR_BITS, 4), (EIGHT_BITS, 8)])
def test_sizes_are_what_the_name_says(name, bits):
    assert all(Scheme.parse(key).fmt.bits == bits for key in preset(name, SHAPE))


def test_under_five_bits_counts_everything_stored():
    assert all(Scheme.parse(key).bits_per_weight(SHAPE) < UNDER for key in preset(FEW_BITS, SHAPE))
    assert "int4-offset-b32" not in preset(FEW_BITS, SHAPE), "5 bits are not under 5"
    assert {"mxfp4", "q4_k", "iq3_s", "tq1_0"} <= set(preset(FEW_BITS, (512, 1024)))
    assert "iq1_s" not in preset(FEW_BITS, SHAPE), "it cannot be quantized without importance"
    # A row of one weight pays for a whole scale.
    assert len(preset(FEW_BITS, (4096, 1))) < len(preset(FEW_BITS, SHAPE))


def test_what_is_served_has_a_source_each():
    assert {s.runtime for s in SERVED} == {"vLLM", "TensorRT-LLM", "MLX", "llama.cpp"}
    assert all(s.source.startswith("https://") and s.name for s in SERVED)
    assert set(preset(AS_SERVED, SHAPE)) == {s.scheme for s in SERVED}


def test_an_unknown_preset_is_one_sentence():
    with pytest.raises(QuantvizError, match="4-bit formats"):
        preset("4-bit format", SHAPE)
