"""Importance files: what numpy and llama.cpp's own writer make is read; what is hostile is refused in one sentence."""

from __future__ import annotations

import io
import struct
import warnings
from pathlib import Path

import gguf
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import quantviz as qv
from quantviz.calibration.importance import importance_names, llama_name, load_importance, of_rows, unseen_experts
from quantviz.outliers.attribution import attribute

COLS = 8
HF = "model.layers.0.self_attn.q_proj.weight"
ENTRIES = {
    "blk.0.attn_q.weight": (np.arange(1, COLS + 1)[None], [2]),
    "blk.0.ffn_up_exps.weight": (np.arange(1, 2 * COLS + 1).reshape(2, COLS), [4, 8]),
    "blk.1.attn_q.weight": (np.ones((1, COLS)), [0]),
}


def imatrix(path: Path, entries: dict = ENTRIES) -> Path:
    """As llama-imatrix writes it, through the gguf package."""
    writer = gguf.GGUFWriter(path, "")
    writer.add_type("imatrix")
    writer.add_array("imatrix.datasets", ["wiki.train.raw"])
    writer.add_uint32("imatrix.chunk_count", 10)
    for name, (sums, counts) in entries.items():
        writer.add_tensor(f"{name}.in_sum2", np.asarray(sums, np.float32))
        writer.add_tensor(f"{name}.counts", np.asarray(counts, np.float32)[:, None])
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def npy(array) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=True)
    return buffer.getvalue()


@pytest.fixture
def file(tmp_path) -> Path:
    return imatrix(tmp_path / "imatrix.gguf")


def test_an_imatrix_gives_mean_squares_by_either_name(file):
    expected = np.arange(1, COLS + 1, dtype=np.float32) / 2
    for name in ("blk.0.attn_q.weight", HF):
        for source in (file, str(file), file.read_bytes()):
            values = load_importance(source, name, COLS)
            assert values.dtype == np.float32
            np.testing.assert_array_equal(values, expected)


def test_experts_have_their_own(file):
    assert importance_names(file)[1:3] == ("blk.0.ffn_up_exps.weight[0]", "blk.0.ffn_up_exps.weight[1]")
    values = load_importance(file, "model.layers.0.mlp.experts.1.up_proj.weight", COLS)
    np.testing.assert_array_equal(values, np.arange(COLS + 1, 2 * COLS + 1, dtype=np.float32) / 8)


def test_an_entry_that_is_not_there_says_which_are(file):
    with pytest.raises(qv.QuantvizError, match=r"no importance for 'blk.9.attn_q.weight'; it has blk.0.attn_q.weight"):
        load_importance(file, "blk.9.attn_q.weight", COLS)
    with pytest.raises(qv.QuantvizError, match="no token"):
        load_importance(file, "blk.1.attn_q.weight", COLS)
    with pytest.raises(qv.QuantvizError, match="has 8 values, and a row of this tensor 16"):
        load_importance(file, HF, 16)


@pytest.mark.parametrize(
    ("name", "ours"),
    [
        ("model.layers.12.mlp.down_proj.weight", "blk.12.ffn_down.weight"),
        ("model.layers.3.self_attn.o_proj.weight", "blk.3.attn_output.weight"),
        ("transformer.h.5.attn.c_attn.weight", "blk.5.attn_qkv.weight"),
        ("encoder.layer.0.attention.self.query.weight", "blk.0.attn_q.weight"),
        ("model.language_model.layers.1.mlp.gate_proj.weight", "blk.1.ffn_gate.weight"),
        ("model.layers.0.block_sparse_moe.experts.3.w2.weight", "blk.0.ffn_down_exps.weight[3]"),
        ("lm_head.weight", "output.weight"),
        ("weight", None),
        ("model.layers.0.input_layernorm.weight", "blk.0.attn_norm.weight"),
    ],
)
def test_names_of_hugging_face(name, ours):
    assert llama_name(name) == ours


def test_names_agree_with_llama_cpps_own_table():
    table = gguf.get_tensor_name_map(gguf.MODEL_ARCH.LLAMA, 4)
    for part in ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj", "mlp.gate_proj",
                 "mlp.up_proj", "mlp.down_proj"):  # fmt: skip
        name = f"model.layers.2.{part}"
        assert llama_name(f"{name}.weight") == f"{table.get_name(name)}.weight"


@pytest.mark.parametrize("dtype", ["<f4", "<f8", ">f4", "<f2", "i4"])
def test_npy_of_any_real_type(dtype, tmp_path):
    values = np.arange(1, COLS + 1).astype(dtype)
    np.save(tmp_path / "h.npy", values)
    for source in (tmp_path / "h.npy", npy(values)):
        read = load_importance(source, cols=COLS)
        assert read.dtype == np.float32
        np.testing.assert_array_equal(read, np.arange(1, COLS + 1, dtype=np.float32))
    assert importance_names(tmp_path / "h.npy") == ()


@pytest.mark.parametrize(
    ("array", "says"),
    [
        (np.ones((3, COLS)), "one axis"),
        (np.ones(COLS + 1), "9 values"),
        (-np.ones(COLS), "not negative"),
        (np.zeros(COLS), "not zero everywhere"),
        (np.full(COLS, np.nan), "finite"),
        (np.full(COLS, 1e300), "float32's range"),
        (np.ones(COLS, complex), "real numbers"),
        (np.array(["a"] * COLS), "real numbers"),
        (np.array([{}] * COLS, object), "real numbers"),
    ],
)
def test_npy_that_cannot_be_importance(array, says):
    with pytest.raises(qv.QuantvizError, match=says):
        load_importance(npy(array), cols=COLS)


def test_npy_that_claims_more_than_it_holds_allocates_nothing():
    whole = npy(np.ones(COLS))
    with pytest.raises(qv.QuantvizError, match="truncated"):
        load_importance(whole.replace(b"(8,)", b"(8000000000000,)").replace(b" " * 12, b"", 1), cols=None)
    with pytest.raises(qv.QuantvizError, match="truncated"):
        load_importance(whole[:-1], cols=COLS)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "is empty"),
        (b"PK\x03\x04rest", "archive"),
        (struct.pack("<ii", 2, 19) + b"blk.0.attn_q.weight", "older kind"),
        (b"GGUF", "damaged"),
        (b"GGUF" + struct.pack("<I", 1), "version 1"),
        (b"GGUF" + struct.pack("<IQQ", 3, 1 << 60, 0), "over 65,536 tensors"),
        (b"GGUF" + struct.pack("<IQQ", 3, 1, 0), "goes on after"),
        (b"GGUF" + struct.pack("<IQQ", 3, 0, 0), "no imatrix"),
        (b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + struct.pack("<Q", 1 << 62), "bytes"),
    ],
)
def test_hostile_files(content, says):
    with pytest.raises(qv.QuantvizError, match=says):
        load_importance(content, "blk.0.attn_q.weight", COLS)


def test_a_file_that_is_not_there_and_an_empty_one(tmp_path):
    with pytest.raises(qv.QuantvizError, match="nowhere.npy cannot be read"):
        load_importance(tmp_path / "nowhere.npy")
    (tmp_path / "empty.npy").touch()
    with pytest.raises(qv.QuantvizError, match="is empty"):
        load_importance(tmp_path / "empty.npy")


def test_every_truncation_and_flipped_byte_is_refused_or_read(tmp_path):
    whole = imatrix(tmp_path / "i.gguf").read_bytes()
    for stop in range(len(whole)):
        _refused_or_read(whole[:stop])


@given(st.data())
def test_noise_is_refused_or_read(data):
    whole = bytearray(_WHOLE)
    for _ in range(data.draw(st.integers(1, 4))):
        whole[data.draw(st.integers(4, len(whole) - 1))] = data.draw(st.integers(0, 255))
    _refused_or_read(bytes(whole))


def _refused_or_read(content: bytes) -> None:
    try:
        assert load_importance(content, HF, COLS).shape == (COLS,)
    except qv.QuantvizError as problem:
        assert len(str(problem)) < 600


def _content() -> bytes:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        return imatrix(Path(folder, "i.gguf")).read_bytes()


_WHOLE = _content()


def test_importance_weights_the_error_of_a_channel():
    w = np.random.default_rng(0).standard_normal((16, 64), dtype=np.float32)
    h = np.zeros(64, np.float32)
    h[5] = 2
    error = qv.quantize(w, "int4-sym-b32").dequantize() - w
    weighted = qv.evaluate(w, "int4-sym-b32", importance=load_importance(npy(h))).metrics["weighted_mse"]
    assert weighted == pytest.approx(np.square(error[:, 5], dtype=np.float64).mean(), rel=1e-5)


# -- experts that lie in one tensor ---------------------------------------------------------------

EXPERTS, ROWS, WIDE = 3, 8, 256
GROUPED = "blk.0.ffn_up_exps.weight"


@pytest.fixture
def experts(tmp_path):
    """Three experts in one tensor, and an imatrix in which no token reached the second."""
    rng = np.random.default_rng(5)
    sums = rng.random((EXPERTS, WIDE)).astype(np.float32)
    path = imatrix(tmp_path / "experts.gguf", {GROUPED: (sums, [4, 0, 2])})
    return rng.standard_normal((EXPERTS, ROWS, WIDE)).astype(np.float32), path, sums / np.array([[4], [1], [2]])


def test_all_experts_of_a_tensor_and_one_that_no_token_reached(experts):
    _, path, means = experts
    means[1] = 1  # as llama-quantize has it
    np.testing.assert_allclose(load_importance(path, GROUPED, WIDE), means, rtol=1e-6)
    for name in (f"{GROUPED}[1]", "model.layers.0.mlp.experts.1.up_proj.weight"):
        np.testing.assert_array_equal(load_importance(path, name, WIDE), np.ones(WIDE))
    for name in ("model.layers.0.mlp.experts.up_proj", "model.layers.0.mlp.experts.gate_up_proj"):
        assert load_importance(path, name, WIDE).shape == (EXPERTS, WIDE)
    assert unseen_experts(path) == unseen_experts(path, GROUPED) == (f"{GROUPED}[1]",)
    assert unseen_experts(path, f"{GROUPED}[0]") == unseen_experts(path, "something else") == ()


@pytest.mark.parametrize(
    "key", ["iq2_xxs", "q4_k", "q4_0", "tq2_0", "int4-sym-b32:clip=mse", "int4-asym-channel", "nf4-b64"]
)
def test_experts_are_measured_with_their_own(experts, key):
    x, path, _ = experts
    h = load_importance(path, GROUPED, WIDE)
    whole, parts = qv.evaluate(x, key, h), [qv.evaluate(x[i], key, h[i]) for i in range(EXPERTS)]
    for name in ("mse", "mean_abs_error", "bits_per_weight"):
        assert whole.metrics[name] == pytest.approx(np.mean([p.metrics[name] for p in parts]))
    weighted = sum(p.metrics["weighted_mse"] * h[i].sum() for i, p in enumerate(parts)) / h.sum()
    assert whole.metrics["weighted_mse"] == pytest.approx(weighted)
    np.testing.assert_array_equal(whole.block_errors, np.concatenate([p.block_errors for p in parts]))
    assert whole.histograms["dequantized"].counts.sum() == x.size
    reference = qv.evaluate(x, key, h, device="reference", detail="metrics").metrics["weighted_mse"]
    assert whole.metrics["weighted_mse"] == pytest.approx(reference, rel=1e-5)


def test_one_scale_for_all_experts(experts):
    x, path, _ = experts
    h = load_importance(path, GROUPED, WIDE)
    plain, weighed = (qv.evaluate(x, "int4-sym-tensor", given) for given in (None, h))
    assert weighed.metrics["mse"] == pytest.approx(plain.metrics["mse"]) and weighed.block_errors.shape == (1, 1)
    assert "weighted_mse" in weighed.metrics
    searched = qv.evaluate(x, "int4-sym-tensor:clip=mse", h)
    assert searched.metrics == qv.evaluate(x, "int4-sym-tensor:clip=mse").metrics
    assert "chosen over several experts" in searched.notices[-1]


def test_a_block_and_an_attribution_take_the_experts_own(experts):
    x, path, _ = experts
    h = load_importance(path, GROUPED, WIDE)
    own, given = qv.inspect_block(x[2], "q4_k", 1, 0, importance=h[2]), qv.inspect_block(x, "q4_k", 17, 0, importance=h)
    np.testing.assert_array_equal(own.dequantized, given.dequantized)
    whole = attribute(x, "int4-sym-b32:clip=mse", importance=h)
    alone = attribute(x[2], "int4-sym-b32:clip=mse", importance=h[2])
    np.testing.assert_allclose(whole.rows.squared_error[-ROWS:], alone.rows.squared_error)


def test_rows_of_one_expert_or_of_whole_ones(experts):
    _, path, _ = experts
    h = load_importance(path, GROUPED, WIDE)
    rows = EXPERTS * ROWS
    np.testing.assert_array_equal(of_rows(h, rows, (9, 15)), h[1])
    np.testing.assert_array_equal(of_rows(h, rows, (8, 24)), h[1:])
    assert of_rows(h, rows, None) is h and of_rows(h[0], rows, (3, 20)) is not None
    with pytest.raises(qv.QuantvizError, match="Rows 3:20 cut through experts of 8 rows"):
        of_rows(h, rows, (3, 20))
    with pytest.raises(qv.QuantvizError, match="give one a column"):
        qv.evaluate(np.ones((7, WIDE), np.float32), "q4_k", h)


@pytest.mark.parametrize("bits", [0x7FA00000, 0x7F800000], ids=["NaN that signals", "infinity"])
def test_sums_that_are_no_numbers_are_refused_without_a_warning(tmp_path, bits):
    sums = np.full((1, COLS), bits, np.uint32).view(np.float32)
    path = imatrix(tmp_path / "imatrix.gguf", {"blk.0.attn_q.weight": (sums, [0.5])})
    with pytest.raises(qv.QuantvizError, match="must be finite"), warnings.catch_warnings():
        warnings.simplefilter("error")
        load_importance(path, HF, COLS)
