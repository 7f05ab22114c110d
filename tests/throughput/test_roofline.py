"""Ceilings are bandwidth over bytes; what bounds a line follows from how much of the bandwidth it uses."""

from __future__ import annotations

from dataclasses import replace

import pytest

from quantviz.errors import QuantvizError
from quantviz.throughput import PRESETS, Card, Measurement
from quantviz.throughput.roofline import DEVICES, bound, bytes_per_token, ceilings, without_ceiling

CARD = Card(
    "cpu", "A CPU", "cpu", 8 << 30, 8 << 30, 32 << 20, 2, None, {}, copy_bytes_per_s=20e9, read_bytes_per_s=40e9
)
STEP = Measurement(
    "decode", "int4-sym-b64", (7_500_000_000,), 1, "cpu", 0.1, 0.1, 0.1, 9, 75e9, 36e9, 1.8, 10.0, 3.0, True,
    model="Llama 3.1 8B", products=129,
)  # fmt: skip


def test_every_named_device_is_there_with_its_source() -> None:
    names = " ".join(d.name for d in DEVICES)
    for name in ("H100", "H200", "B200", "A100", "RTX 4090", "RTX 5090", "L4", "MI300X", "M1 Max", "M4 Max"):
        assert name in names
    assert all(d.source.startswith("https://") and d.bytes_per_s > 1e11 and d.memory_bytes > 1e10 for d in DEVICES)


def test_bytes_a_token() -> None:
    model = PRESETS["8b"]
    assert bytes_per_token(model, "bf16") == 2 * model.weights
    assert bytes_per_token(model, "int4-sym-b64") == model.weights * 4.25 / 8
    assert bytes_per_token(model, "bf16", batch=4) == model.weights / 2


def test_a_scheme_that_a_model_cannot_have_has_no_ceiling() -> None:
    """The rows of 896 weights are no multiple of q4_k's 256."""
    model = PRESETS["0.5b"]
    with pytest.raises(QuantvizError, match="multiple of 256"):
        bytes_per_token(model, "q4_k")
    assert {c.scheme for c in ceilings(model, ["bf16", "q4_k", "q4_0"])} == {"bf16", "q4_0"}
    assert list(without_ceiling(model, ["bf16", "q4_k"])) == ["q4_k"] and bytes_per_token(model, "q4_k:pad=1") > 0


def test_the_articles_model_on_an_h100() -> None:
    """3.35 TB/s over 2 bytes a weight of 9.24 billion: 181 tokens a second in bf16, more in fewer bits."""
    h100 = {
        c.scheme: c for c in ceilings(PRESETS["9b"], ["bf16", "int8-sym-b32", "int4-asym-b64"]) if "H100" in c.device
    }
    assert h100["bf16"].tokens_per_s == pytest.approx(3.35e12 / (2 * 9.24e9), rel=0.01)
    assert h100["bf16"].tokens_per_s < h100["int8-sym-b32"].tokens_per_s < h100["int4-asym-b64"].tokens_per_s
    assert not h100["bf16"].measured and h100["bf16"].fits


def test_this_device_comes_first_with_what_was_measured() -> None:
    rows = ceilings(PRESETS["8b"], ["bf16", "int4-sym-b64"], CARD)
    assert [(c.device, c.measured) for c in rows[:3]] == [("A CPU", True), ("A CPU", True), (DEVICES[0].name, False)]
    assert rows[0].tokens_per_s == pytest.approx(40e9 / (2 * PRESETS["8b"].weights)) and rows[0].fits is False
    assert rows[1].fits is True and len(rows) == 2 * (len(DEVICES) + 1)
    unmeasured = replace(CARD, copy_bytes_per_s=None, read_bytes_per_s=None)
    assert all(not c.measured for c in ceilings(PRESETS["8b"], ["bf16"], unmeasured))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({}, "Memory bounds it: it moves 36 GB/s, 90% of the 40 GB/s that memory gives in reading, so only fewer bits"),
        ({"bytes_per_s": 20e9}, "Memory and arithmetic bound it together: .*unpacking and multiplying takes the rest"),
        ({"bytes_per_s": 4e9}, "Arithmetic bounds it, not memory: it moves 4 GB/s, 10%.*unpacking and multiplying"),
        ({"bytes_per_s": 4e9, "scheme": "bf16"}, "the product itself takes the time"),
        ({"bytes_per_s": 80e9}, "A cache serves part of it: it moves 80 GB/s, 200%"),
        ({"bytes_per_s": 4e9, "batch": 32}, "Arithmetic bounds it: 32 tokens use each weight"),
        ({"bytes_per_s": 4e9, "median_s": 1e-3}, "Starting its layers bounds it: each takes less than 20 µs"),
        ({"correct": False}, "failed the check, so no time stands"),
        ({"median_s": None, "bytes_per_s": None}, "Not measured yet"),
        ({"workload": "quantize", "products": None}, "Memory bounds it: it moves 36 GB/s, 90%[^,]*$"),
        ({"workload": "quantize", "products": None, "bytes_per_s": 4e9}, "turning weights into codes takes the time"),
        ({"workload": "dequantize", "products": None, "bytes_per_s": 4e9}, "turning codes into weights"),
        ({"workload": "evaluate", "products": None, "bytes_per_s": 20e9}, "adding up errors takes the rest"),
    ],
)
def test_what_bounds_a_line(change: dict, said: str) -> None:
    import re

    sentence = bound(replace(STEP, **change), CARD)
    assert re.search(said, sentence) and sentence.endswith(".") and sentence.count(". ") == 0
