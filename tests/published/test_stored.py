"""A stored tensor taken apart says what its bytes say."""

from __future__ import annotations

import sys

import numpy as np
import pytest

import quantviz as qv
from quantviz.block_types import BLOCK_TYPES, unpack
from quantviz.errors import QuantvizError
from quantviz.kernels.block_rows import dequantize_rows
from quantviz.published.beside import against, pair_up, sentence
from quantviz.published.contents import Contents, contents, contents_sentence
from quantviz.published.plain import EQUAL
from quantviz.published.stored import field_rows, group_rows, kind_of, stored_block, weight_rows
from quantviz.text.wording import MINUS, number
from tests.checkpoints.golden import load
from tests.published import packing
from tests.sources.builders import weights
from tests.sources.gguf_builder import write

W = weights(6, 512)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    kinds = sorted(set(BLOCK_TYPES) - {"q2_0"})  # which the gguf package does not write yet
    path = tmp_path_factory.mktemp("g") / "m.gguf"
    tensors = {kind: (W, kind) for kind in kinds} | {f"wide {kind}": (weights(1, 1536), kind) for kind in kinds}
    return qv.open_model(write(path, tensors | {"plain": (W, "f16")}))


@pytest.mark.parametrize("name", sorted(set(BLOCK_TYPES) - {"q2_0"}))
def test_every_type_block_by_block(model, name):
    tensor = model.open(name)
    kind = BLOCK_TYPES[name]
    values = dequantize_rows(name, tensor.blocks().reshape(6, -1), 512)
    b = stored_block(tensor, 4, 512 // kind.block - 1)
    assert np.array_equal(weight_rows(b)["value"], values[4, b.first_col :])
    assert weight_rows(b)["column"] == list(range(512 - kind.block, 512))
    fields = field_rows(b)
    assert bytes.fromhex("".join(fields["content"])) == b.data.tobytes() and len(b.data) == kind.nbytes
    groups = group_rows(b)
    assert len(set(map(len, groups.values()))) == 1 and len(groups["scale"]) == kind.groups
    assert ("minimum" in groups) == (b.parts.minima is not None)


@pytest.mark.parametrize("name", sorted(set(BLOCK_TYPES) - {"q2_0"}))
def test_every_group_names_the_columns_that_its_scale_multiplies(model, name):
    b = stored_block(model.open("wide " + name), 0, 1024 // BLOCK_TYPES[name].block)  # whose columns have a comma
    groups, weights_of = group_rows(b), weight_rows(b)
    spans = [tuple(int(c.replace(",", "")) for c in text.split("–")) for text in groups["columns"]]
    assert [c for first, last in spans for c in range(first, last + 1)] == weights_of["column"]
    assert groups["columns"][0].startswith("1,024–")
    factor = getattr(b.parts, "factor", 1.0)
    for i, (first, last) in enumerate(spans):
        minimum = groups["minimum"][i] if "minimum" in groups else 0.0
        inside = slice(first - b.first_col, last + 1 - b.first_col)
        values = np.array(weights_of["stands for"][inside]) * groups["scale"][i] * factor + minimum
        assert np.allclose(values, weights_of["value"][inside], rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("name", sorted(set(BLOCK_TYPES) - {"q2_0"}))
def test_every_field_says_where_its_bytes_are(model, name):
    fields = field_rows(stored_block(model.open(name), 0, 0))
    places = []
    for text, content in zip(fields["bytes"], fields["content"], strict=True):
        first, dash, last = text.partition("–")
        assert bool(dash) == (len(bytes.fromhex(content)) > 1), "one byte is one place, not a span"
        places += range(int(first), int(last or first) + 1)
    assert places == list(range(BLOCK_TYPES[name].nbytes))


@pytest.mark.parametrize("name", sorted(set(BLOCK_TYPES) - {"q2_0"}))
def test_counts_are_those_of_all_blocks(model, name):
    seen = []
    c = contents(model.open(name), lambda done, total: seen.append((done, total)))
    every = unpack(name, np.array(model.open(name).data), 512)
    assert c.counts.sum() == W.size and seen[-1] == (2 * W.size, 2 * W.size)
    codes, counts = np.unique(every.codes, return_counts=True)
    assert dict(zip(c.codes[c.counts > 0], c.counts[c.counts > 0], strict=True)) == dict(
        zip(codes, counts, strict=True)
    )
    assert c.scales.counts.sum() == every.scales.size == c.groups
    assert (c.minima is None) == (every.minima is None)
    assert c.scales.lo <= every.scales.min() and every.scales.max() <= c.scales.hi
    assert c.zero_scales == (every.scales == 0).sum()
    assert f"{c.groups:,} groups" in contents_sentence(c)


def test_the_arithmetic_is_spelled_out(tmp_path):
    w = np.tile(np.linspace(0.5, 2.05, 32, dtype=np.float32), (1, 1))
    tensor = qv.open_model(write(tmp_path / "m.gguf", {"w": (w, "q4_1")})).open("w")
    rows = weight_rows(stored_block(tensor, 0, 0))
    assert rows["arithmetic"][0] == "0 × 0.1033 + 0.5" and rows["code"][-1] == 15
    assert group_rows(stored_block(tensor, 0, 0))["columns"] == ["0–31"]
    below = qv.open_model(write(tmp_path / "n.gguf", {"w": (-w, "q4_1")})).open("w")
    assert weight_rows(stored_block(below, 0, 0))["arithmetic"][-1].endswith(" × 0.1033 − 2.051".replace("−", "-"))


def test_what_has_no_blocks_and_blocks_that_are_not_there(model):
    plain = model.open("plain")
    assert kind_of(plain) is None
    with pytest.raises(QuantvizError, match="stored as float16, weight by weight"):
        contents(plain)
    with pytest.raises(QuantvizError, match=r"no block \(0, 2\); this tensor has 6 × 2 blocks"):
        stored_block(model.open("q4_k"), 0, 2)


def test_zero_scales_and_broken_ones(tmp_path):
    w = W.copy()
    w[3:] = 0
    tensor = qv.open_model(write(tmp_path / "m.gguf", {"w": (w, "q8_0")})).open("w")
    c = contents(tensor)
    assert c.zero_scales == 3 * 16 and "48 scales are 0" in contents_sentence(c)
    path = tmp_path / "m.gguf"
    content = bytearray(path.read_bytes())
    content[-34:-32] = b"\x00\x7c"  # the last block's scale: infinity
    path.write_bytes(content)
    with pytest.raises(QuantvizError, match="no finite numbers"):
        contents(qv.open_model(path).open("w"))


def made_up(kind: str, counts: list[int], groups: int, zero_scales: int) -> Contents:
    numbers = np.full(len(counts), np.nan, np.float32)
    numbers[: len(BLOCK_TYPES[kind].numbers)] = BLOCK_TYPES[kind].numbers
    return Contents(
        kind, BLOCK_TYPES[kind].group, np.arange(len(counts)), numbers, np.array(counts), None, None, None, zero_scales,
        groups,
    )  # fmt: skip


ALL_USED = [2] * 16
SENTENCES = [
    (ALL_USED, 1, 0, "1 group of 32 weights has a scale of its own; the codes hold 4 of their 4 bits of information."),
    (ALL_USED, 2, 0, "2 groups of 32 weights have a scale of their own; the codes hold 4 of their 4 bits"),
    (ALL_USED, 3000, 1, "3,000 groups of 32 weights have a scale of their own; "),
    (ALL_USED, 2, 1, "; 1 scale is 0, which makes all weights of the group alike."),
    (ALL_USED, 2, 2, "; 2 scales are 0, which makes all weights of the group alike."),
    ([0] + [2] * 15, 2, 0, "; 1 of 16 codes is not used at all."),
    ([2] * 4 + [0] * 12, 2, 1, "; 1 scale is 0, which makes all weights of the group alike; 12 of 16 codes are not"),
    ([2] * 4 + [0] * 12, 2, 0, "the codes hold 2 of their 4 bits of information"),
]


@pytest.mark.parametrize("counts, groups, zero_scales, part", SENTENCES)
def test_what_stands_out_is_said(counts, groups, zero_scales, part):
    text = contents_sentence(made_up("q4_0", counts, groups, zero_scales))
    assert part in text
    assert ("are 0" in text or "is 0" in text) == (zero_scales > 0) and ("used" in text) == (0 in counts)


def test_codes_that_stand_for_nothing_are_not_missed():
    numbers = BLOCK_TYPES["iq2_s"].numbers
    c = made_up("iq2_s", [0 if np.isnan(n) else 5 for n in numbers], 1, 0)
    assert np.isnan(numbers).sum() == 2 and c.unused == 0
    assert "2.58 of their 2.58 bits" in contents_sentence(c) and "used" not in contents_sentence(c)


def test_bitsandbytes_int8_is_plain_rounding_with_its_arithmetic(tmp_path):
    w, name = weights(24, 40), "model.layers.0.mlp.up_proj.weight"
    largest = np.abs(w).max(axis=1)
    codes = np.rint(w * (127 / largest[:, None])).astype(np.int8)
    original = packing.model(tmp_path / "original", {name: w})
    file = packing.model(tmp_path / "file", {name: codes, name.replace("weight", "SCB"): largest})
    a = against(original, file, pair_up(original, file).pairs[0])
    assert a.plain.verdict == EQUAL and a.plain.scheme == "int8-sym-channel:scale=fp32"
    assert "This is plain rounding in bitsandbytes int8 channel: its scales are the largest weight / 127" in sentence(a)
    rows = weight_rows(stored_block(file.open(name), 3, 0))
    assert rows["arithmetic"][0] == f"{codes[3, 0]} × {number(float(largest[3]) / 127)}".replace(MINUS, "-")


@pytest.mark.parametrize("file, begin, told", [
    ("bitsandbytes", "int8", "20 groups of 33 weights have"),
    ("bitnet", "ternary 64x96", "1 group of 64 × 96 weights has"),
    ("compressed_tensors_fp8", "tensor", "1 group of 50 × 96 weights has"),
    ("compressed_tensors_int8", "block asym float32", "12 groups of 16 × 32 weights have"),
    ("fp8", "tiles torch.float32", "2 groups of 128 × 24 weights have"),
    ("fp8", "experts (3, 1, 1)", "3 groups of 48 × 64 weights have"),
    ("aqlm", "2x6-4x4", "8 groups of 4 × 64 weights have"),
    ("exl3", "3-plain", "128 groups of 128 weights have"),
    ("gptq", "auto-round-4", "64 groups of 32 weights have"),
    ("quanto", "qint8 20x33", "20 groups of 33 weights have"),
    ("hqq", "int4 g32 axis 0", "40 groups of 32 weights have"),
])  # fmt: skip
def test_a_scale_that_rows_share_is_counted_once(tmp_path, monkeypatch, file, begin, told):
    case = next(case for case in load(file)[2] if case.name.startswith(begin))
    tensor = qv.open_model(case.write(tmp_path)).open(case.weight)
    whole = contents(tensor)
    assert contents_sentence(whole).startswith(f"{told} a scale of")
    assert whole.scales.counts.sum() == whole.groups and (whole.zeros is None or whole.zeros.counts.sum() > 0)
    monkeypatch.setattr(sys.modules[contents.__module__], "_PIECE", 1)  # row by row
    assert np.array_equal(contents(tensor).scales.counts, whole.scales.counts)
