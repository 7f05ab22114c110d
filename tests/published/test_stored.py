"""A stored tensor taken apart says what its bytes say."""

from __future__ import annotations

import numpy as np
import pytest

import quantviz as qv
from quantviz.block_types import BLOCK_TYPES, unpack
from quantviz.errors import QuantvizError
from quantviz.kernels.block_rows import dequantize_rows
from quantviz.published.contents import contents, contents_sentence
from quantviz.published.stored import field_rows, group_rows, kind_of, stored_block, weight_rows
from tests.sources.builders import weights
from tests.sources.gguf_builder import write

W = weights(6, 512)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    kinds = sorted(set(BLOCK_TYPES) - {"q2_0"})  # which the gguf package does not write yet
    path = tmp_path_factory.mktemp("g") / "m.gguf"
    return qv.open_model(write(path, {kind: (W, kind) for kind in kinds} | {"plain": (W, "f16")}))


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
