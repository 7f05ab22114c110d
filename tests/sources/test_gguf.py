"""GGUF files on disk: what the gguf package writes is listed and read, what is damaged is refused in a sentence."""

from __future__ import annotations

import struct
from pathlib import Path

import gguf
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import quantviz as qv
from quantviz import outliers
from quantviz.block_types import BLOCK_TYPES
from quantviz.errors import QuantvizError
from quantviz.kernels.block_rows import dequantize_rows, quantize_rows
from quantviz.sources import open_model as open_without_kernels
from quantviz.sources.budget import Held
from quantviz.sources.gguf_header import read_header
from quantviz.sources.gguf_types import GIVEN_UP, NUMBERS, TYPES
from quantviz.sources.opened import FileArray
from tests.sources.builders import weights
from tests.sources.gguf_builder import demo, write

W = weights(6, 512)


def refused(path: Path | str, *words: str) -> str:
    with pytest.raises(QuantvizError) as caught:
        qv.open_model(path)
    said = str(caught.value)
    assert all(word in said for word in words), said
    assert "\n" not in said and len(said) < 400
    return said


def test_the_type_table_is_the_packages():
    for there in gguf.GGMLQuantizationType:
        kind = TYPES[there.value]
        if kind.packed:
            assert kind.dtype.removeprefix("gguf_").upper() == there.name
        if kind.dtype != "q8_1":  # never stored: its size there is another's
            assert gguf.GGML_QUANT_SIZES[there] == (kind.block, kind.nbytes)
    newer = set(TYPES) - {there.value for there in gguf.GGMLQuantizationType}
    assert newer <= {NUMBERS["q2_0"]}
    assert not set(GIVEN_UP) & set(TYPES)


def test_every_block_type_has_its_number_and_no_other_has_it():
    assert len(TYPES) == len(NUMBERS)
    assert {kind.dtype for kind in TYPES.values() if kind.packed} - set(BLOCK_TYPES) == {"q8_1", "q8_k"}
    for name, kind in BLOCK_TYPES.items():
        stored = TYPES[NUMBERS[name]]
        assert (stored.dtype, stored.block, stored.nbytes) == (name, kind.block, kind.nbytes)
    assert (TYPES[NUMBERS["q8_1"]].nbytes, TYPES[NUMBERS["q8_k"]].nbytes) == (36, 292)  # as ggml's C has them


@pytest.mark.parametrize("dtype", sorted(set(BLOCK_TYPES) - {"q2_0"}))
def test_every_block_type_opens_and_reads_as_its_own_bytes(tmp_path, dtype):
    model = qv.open_model(write(tmp_path / "m.gguf", {"w": (W, dtype)}))
    info = model.info("w")
    kind = BLOCK_TYPES[dtype]
    assert (info.shape, info.dtype, info.nbytes) == ((6, 512), dtype, 6 * kind.row_bytes(512))
    assert info.bits_per_weight == kind.bits_per_weight
    stored = model.open("w")
    expected = dequantize_rows(dtype, stored.blocks().reshape(6, -1), 512)
    assert np.array_equal(stored.numpy(), expected)
    assert np.array_equal(model.load("w", rows=(2, 4)), expected[2:4])
    for start, stop in ((0, 1), (5, 700), (511, 513), (3000, 3072), (40, 40), (3072, None)):
        assert np.array_equal(stored.read(start, stop), expected.reshape(-1)[start:stop])
    assert stored.row_range(1, 3).nbytes == 2 * kind.row_bytes(512)
    assert np.array_equal(stored.row_range(1, 3).numpy(), expected[1:3])


@pytest.mark.parametrize("dtype", ["q4_0", "q4_1", "q5_0", "q5_1", "q8_0", "tq1_0", "tq2_0"])
def test_values_are_those_the_package_reads(tmp_path, dtype):
    path = write(tmp_path / "m.gguf", {"w": (W, dtype)})
    tensor = gguf.GGUFReader(path).tensors[0]
    theirs = gguf.quants.dequantize(tensor.data, tensor.tensor_type)
    assert np.array_equal(qv.open_model(path).load("w"), theirs.reshape(W.shape))


@pytest.mark.parametrize("dtype, ours", [("f32", "float32"), ("f16", "float16"), ("bf16", "bfloat16")])
def test_plain_floats_and_three_axes(tmp_path, dtype, ours):
    experts = weights(4, 96).reshape(2, 2, 96)
    model = qv.open_model(write(tmp_path / "m.gguf", {"w": (experts, dtype), "b": (W[0], "f32")}))
    assert (model.info("w").shape, model.info("w").dtype) == ((2, 2, 96), ours)
    tolerance = {"f32": 0, "f16": 2**-11, "bf16": 2**-8}[dtype]
    assert np.allclose(model.load("w"), experts, rtol=tolerance, atol=1e-7 * (dtype != "f32"))
    assert np.array_equal(model.load("b"), W[0])


def test_doubles_bytes_and_whole_numbers(tmp_path):
    writer = gguf.GGUFWriter(tmp_path / "m.gguf", "llama")
    writer.add_tensor("d", W.astype(np.float64))
    writer.add_tensor("i8", np.arange(-4, 4, dtype=np.int8)[None])
    writer.add_tensor("i32", np.arange(8, dtype=np.int32))
    from tests.sources.gguf_builder import close

    model = qv.open_model(close(writer, tmp_path / "m.gguf"))
    assert np.array_equal(model.load("d"), W)
    assert model.load("i8").tolist() == [list(range(-4, 4))]
    assert model.info("i32").dtype == "I32"
    with pytest.raises(QuantvizError, match="holds integers, no weights"):
        model.load("i32")


def test_a_packed_tensor_is_evaluated_in_pieces_like_any_other(tmp_path):
    path = write(tmp_path / "m.gguf", {"w": (weights(300, 1024), "q4_k")})
    stored = qv.open_model(path).open("w")
    assert isinstance(stored.data, FileArray)
    for key in ("int4-sym-b64", "int4-sym-b48", "nf4-b64", "int8-sym-channel:rotate=hadamard"):
        ours, plain = qv.evaluate(stored, key), qv.evaluate(stored.numpy(), key)
        compared = {"compression_ratio"}
        assert {k: v for k, v in ours.metrics.items() if k not in compared} == {
            k: v for k, v in plain.metrics.items() if k not in compared
        }
        assert ours.metrics["compression_ratio"] == pytest.approx(4.5 / ours.metrics["bits_per_weight"])
        assert ours.dtype == "q4_k"


def test_outliers_are_put_into_a_packed_tensor_as_float32(tmp_path):
    stored = qv.open_model(write(tmp_path / "m.gguf", {"w": (W, "q4_k")})).open("w")
    edited = outliers.apply(stored, outliers.Injection(count=3, magnitude=30), qv.describe(stored))
    assert edited.dtype == "float32" and int((stored.numpy() != edited.numpy()).sum()) == 3
    assert qv.evaluate(edited, "q4_k").metrics["sqnr_db"] > 0


def test_nvfp4_is_read_with_the_scale_that_the_file_keeps_beside_it(tmp_path):
    experts = weights(6, 128).reshape(3, 2, 128)
    tensors = {"a.weight": (W, "gguf_nvfp4"), "a.scale": (np.array([2.5], np.float32), "f32"),
               "b.weight": (experts, "gguf_nvfp4"), "b.scale": (np.array([1, 2, 4], np.float32), "f32"),
               "c.weight": (W, "gguf_nvfp4")}  # fmt: skip
    model = qv.open_model(write(tmp_path / "m.gguf", tensors))
    plain = model.load("c.weight")
    assert np.array_equal(model.load("a.weight"), plain * np.float32(2.5))
    assert np.array_equal(model.open("a.weight").read(500, 1100), (plain * np.float32(2.5)).reshape(-1)[500:1100])
    stack = model.load("b.weight").reshape(6, 128)
    bare = dequantize_rows("gguf_nvfp4", model.open("b.weight").blocks().reshape(6, -1), 128)
    assert np.array_equal(stack, bare * np.repeat(np.array([1, 2, 4], np.float32), 2)[:, None])
    assert np.array_equal(model.load("b.weight", rows=(3, 5)), stack[3:5])
    assert np.array_equal(model.open("b.weight").row_range(3, 5).numpy(), stack[3:5])


def test_without_kernels_a_file_is_listed_and_not_decoded(tmp_path):
    model = open_without_kernels(write(tmp_path / "m.gguf", {"w": (W, "q4_0"), "v": (W, "f16")}))
    assert [t.dtype for t in model.tensors] == ["float16", "q4_0"]
    assert model.load("v").shape == W.shape
    with pytest.raises(QuantvizError, match="q4_0"):
        model.load("w")


def test_the_demo_model_and_its_metadata(tmp_path):
    model = qv.open_model(demo(tmp_path / "demo.gguf"))
    assert model.metadata["general.architecture"] == "llama" and model.metadata["llama.block_count"] == 4
    assert len(model.tensors) == len(qv.open_model("demo").tensors)
    original = qv.open_model("demo").load("model.layers.0.mlp.down_proj.weight")
    stored = model.load("blk.0.ffn_down.weight")
    assert np.abs(stored - original).max() < np.abs(original).max() / 200


# -- split files and folders ---------------------------------------------------------------------


@pytest.fixture
def split(tmp_path) -> list[Path]:
    tensors = {f"t{i}": (weights(2, 64, i), "q8_0") for i in range(3)}
    write(tmp_path / "m.gguf", tensors, split_max_tensors=1)
    return sorted(tmp_path.glob("*.gguf"))


def test_a_split_opens_by_any_of_its_parts(split):
    assert [path.name for path in split] == [f"m-{i:05d}-of-00003.gguf" for i in (1, 2, 3)]
    for path in (*split, split[0].parent):
        assert [t.name for t in qv.open_model(path).tensors] == ["t0", "t1", "t2"]
    assert qv.open_model(split[2]).load("t0").shape == (2, 64)
    assert qv.open_model(split[1].name, root=split[1].parent).load("t2").shape == (2, 64)


def test_a_missing_part_is_named(split):
    split[1].unlink()
    refused(split[0], "lacks the part m-00002-of-00003.gguf", "all 3")
    refused(split[0].parent, "m-00002-of-00003.gguf")
    split[2].unlink()
    refused(split[0], "m-00002-of-00003.gguf and 1 more")


def test_a_part_under_another_name_says_what_it_is(split, tmp_path):
    alone = split[1].rename(tmp_path / "alone.gguf")
    refused(alone, "part 2 of 3", "NAME-00001-of-0000N.gguf")
    (tmp_path / "other").mkdir()
    swapped = [tmp_path / "other" / f"m-{i:05d}-of-00002.gguf" for i in (1, 2)]
    for path, source in zip(swapped, (split[2], split[0]), strict=True):
        path.write_bytes(source.read_bytes())
    refused(swapped[0], "says that it is part 3 of 3")


def test_a_folder_with_several_models_asks_for_one(tmp_path):
    for name in ("a-Q4_K_M.gguf", "a-Q8_0.gguf", "mmproj-a.gguf"):
        write(tmp_path / name, {"w": (W, "q8_0")})
    refused(tmp_path, "2 GGUF files", "a-Q4_K_M.gguf, a-Q8_0.gguf", "name one")
    (tmp_path / "a-Q8_0.gguf").unlink()
    assert qv.open_model(tmp_path).info("w").dtype == "q8_0"


def test_a_gate_holds_for_every_part(split, tmp_path):
    inside = tmp_path / "inside"
    inside.mkdir()
    first = split[0].rename(inside / split[0].name)
    for path in split[1:]:
        (inside / path.name).symlink_to(path)
    with pytest.raises(QuantvizError, match="outside the folder"):
        qv.open_model(first.name, root=inside)


# -- damaged files -------------------------------------------------------------------------------


def head(version: int = 3, tensors: int = 0, values: int = 0) -> bytes:
    return b"GGUF" + struct.pack("<IQQ", version, tensors, values)


def text(word: bytes) -> bytes:
    return struct.pack("<Q", len(word)) + word


def line(shape: tuple[int, ...] = (64,), kind: int = 0, offset: int = 0, name: bytes = b"w") -> bytes:
    return text(name) + struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape, kind, offset)


def padded(header: bytes, data: int = 256) -> bytes:
    return header + bytes(-len(header) % 32) + bytes(data)


@pytest.mark.parametrize(
    "content, words",
    [
        (b"", ("is empty",)),
        (b"GG", ("no GGUF file",)),
        (b"ggml" + bytes(60), ("no GGUF file",)),
        (head(1), ("version 1",)),
        (head(4), ("version 4",)),
        (b"GGUF" + struct.pack(">IQQ", 3, 1, 1), ("big-endian", "gguf-convert-endian")),
        (head(3, 1 << 60), ("over 65,536 tensors",)),
        (head(3, 0, 1 << 60), ("over 65,536 tensors",)),
        (head(3, 1 << 16), ("goes on after",)),
        (head(3, 0, 1) + struct.pack("<Q", 1 << 60), ("a name in it",)),
        (head(3, 0, 1) + text(b"k") + struct.pack("<IQ", 8, 1 << 60), ("goes on after",)),
        (head(3, 0, 1) + text(b"k") + struct.pack("<IIQ", 9, 4, 1 << 60), ("goes on after",)),
        (head(3, 0, 1) + text(b"k") + struct.pack("<IIQ", 9, 8, 1 << 60), ("an array in it",)),
        (head(3, 0, 1) + text(b"k") + struct.pack("<I", 77), ("unknown type 77",)),
        (head(3, 0, 1) + text(b"general.alignment") + struct.pack("<II", 4, 0), ("alignment is 0",)),
        (head(3, 0, 1) + text(b"general.alignment") + struct.pack("<II", 4, 12), ("alignment is 12",)),
        (head(3, 0, 1) + text(b"general.alignment") + struct.pack("<Ii", 5, 32), ("value of type 5",)),
        (head(3, 0, 2) + 2 * (text(b"k") + struct.pack("<II", 4, 1)), ("'k' twice",)),
        (padded(head(3, 1) + line((64,), 0, 8)), ("no multiple of its alignment",)),
        (padded(head(3, 1) + line((64,), 0, 1 << 40)), ("should end at byte",)),
        (padded(head(3, 1) + line((64,), 0, 0), 255), ("truncated",)),
        (padded(head(3, 1) + line((1 << 32, 1 << 32))), ("impossible shape",)),
        (padded(head(3, 1) + line((1 << 40,))), ("should end at byte",)),
        (padded(head(3, 1) + line((2, 2, 2, 2, 2))), ("5 axes",)),
        (padded(head(3, 1) + line((33,), 2)), ("rows of 33", "32")),
        (padded(head(3, 2) + line() + line()), ("twice",)),
        (padded(head(3, 2) + line() + line(name=b"v")), ("overlap",)),
    ],
)
def test_damaged_files_are_one_sentence(tmp_path, content, words):
    path = tmp_path / "m.gguf"
    path.write_bytes(content)
    refused(path, "m.gguf", *words)


def test_a_split_that_is_too_long(tmp_path):
    path = tmp_path / "m-00001-of-99999.gguf"
    path.write_bytes(head())
    refused(path, "99,999")


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> bytes:
    return write(tmp_path_factory.mktemp("g") / "m.gguf", {"a": (W, "q4_k"), "b": (W, "f16")}).read_bytes()


def test_every_truncation_is_refused(tmp_path, whole):
    path = tmp_path / "m.gguf"
    header = read_header(Held("m", whole)).nbytes
    for stop in (*range(0, header, 7), *range(header, len(whole), 499), len(whole) - 1):
        path.write_bytes(whole[:stop])
        refused(path)


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_noise_in_a_header_is_refused_or_read(tmp_path_factory, whole, data):
    content = bytearray(whole)
    end = read_header(Held("m", whole)).nbytes
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, end - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.getbasetemp() / "noise.gguf"
    path.write_bytes(content)
    try:
        for info in qv.open_model(path).tensors:
            assert info.nbytes <= len(content)
    except QuantvizError as problem:
        assert "\n" not in str(problem) and len(str(problem)) < 400


def test_the_bytes_quantviz_writes_are_what_the_package_stores(tmp_path):
    path = write(tmp_path / "m.gguf", {"w": (W, "q5_1")})
    assert qv.open_model(path).open("w").blocks().tobytes() == quantize_rows("q5_1", W).tobytes()


# -- what cannot be read costs nothing else ------------------------------------------------------


def valued(kind: int, value: bytes) -> bytes:
    """A file with the value `k` of this kind before the tensor `w`, 64 float32 zeros."""
    return padded(head(3, 1, 1) + text(b"k") + struct.pack("<I", kind) + value + line())


DEEP = 9 * struct.pack("<IQ", 9, 1) + struct.pack("<IQ", 0, 0)


@pytest.mark.parametrize(
    "content, known",
    [
        (valued(8, text(b"caf\xe9")), None),
        (valued(8, struct.pack("<Q", 5 << 20) + bytes(5 << 20)), None),
        (valued(9, struct.pack("<IQ", 8, 2) + text(b"\xff") + text(b"a")), None),
        (valued(9, struct.pack("<IQ", 9, 2) + 2 * (struct.pack("<IQ", 5, 1) + bytes(4))), None),
        (valued(9, struct.pack("<IQ", 8, 300_000) + 300_000 * text(b"word")), None),
        (valued(4, struct.pack("<I", 7)), 7),
        (padded(head(3, 2, 0) + line() + line((2, 256), 156, 256, b"x"), 1000), None),
        (padded(head(3, 2, 0) + line() + line((2, 256), 36, 256, b"x"), 1000), None),
        (padded(head(3, 2, 0) + line() + line((0,), 0, 256, b"\xff\xfe")), None),
    ],
)
def test_one_detail_that_cannot_be_read_leaves_the_rest(tmp_path, content, known):
    path = tmp_path / "m.gguf"
    path.write_bytes(content)
    model = qv.open_model(path)
    assert model.load("w").tolist() == [0] * 64 and model.metadata.get("k") == known
    if "x" in {info.name for info in model.tensors}:
        assert model.info("x").dtype.startswith("ggml type") and not model.info("x").holds_weights
        with pytest.raises(QuantvizError, match="'x' is stored as ggml type"):
            model.load("x")


def test_arrays_in_arrays_have_an_end(tmp_path):
    path = tmp_path / "m.gguf"
    path.write_bytes(valued(9, DEEP))
    refused(path, "deep inside of others")


@pytest.mark.parametrize("alignment", [8, 24, 40, 4096])
def test_alignments_that_are_multiples_of_eight(tmp_path, alignment):
    header = head(3, 1, 1) + text(b"general.alignment") + struct.pack("<II", 4, alignment) + line()
    path = tmp_path / "m.gguf"
    path.write_bytes(header + bytes(-len(header) % alignment) + np.arange(64, dtype="<f4").tobytes())
    assert qv.open_model(path).load("w").tolist() == list(range(64))
