"""GGUF files on the Hub: which one is meant, and that only the bytes asked for travel."""

from __future__ import annotations

import gguf
import numpy as np
import pytest

import quantviz as qv
from quantviz.errors import QuantvizError
from quantviz.sources import hub_reader
from tests.sources.builders import safetensors, weights
from tests.sources.gguf_builder import add, close, write

W = weights(4096, 1024)


@pytest.fixture
def file(tmp_path) -> bytes:
    """8 MB of tokenizer before the tensors, as real files have it."""
    writer = gguf.GGUFWriter(tmp_path / "big.gguf", "llama")
    writer.add_array("tokenizer.ggml.tokens", [f"{i:0500d}" for i in range(15_800)])
    add(writer, "w", W, "q4_k")
    add(writer, "norm", W[0], "f32")
    return close(writer, tmp_path / "big.gguf").read_bytes()


def small(path, seed: int = 0) -> bytes:
    return write(path / "s.gguf", {"w": (weights(2, 64, seed), "q8_0")}).read_bytes()


def refused(ref: str, *words: str) -> None:
    with pytest.raises(QuantvizError) as caught:
        qv.open_model(ref)
    assert all(word in str(caught.value) for word in words), str(caught.value)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 500


def test_the_header_is_read_as_far_as_it_goes_and_rows_move_alone(hub, file):
    hub.add_repo("org/name", {"model-Q4_K_M.gguf": file})
    model = qv.open_model("hf:org/name")
    header = hub.file_bytes
    assert 8e6 < header < 8.1e6 + hub_reader.GGUF_PIECE < len(file) and model.info("w").dtype == "q4_k"
    assert model.metadata["general.architecture"] == "llama"
    hub.forget()
    rows = model.load("w", rows=(10, 20))
    assert hub.file_bytes == 10 * 4 * 144
    hub.forget()
    assert np.array_equal(model.load("w")[10:20], rows)
    assert hub.file_bytes == 4086 * 4 * 144
    hub.forget()
    again = qv.open_model("hf:org/name")
    assert np.array_equal(again.load("w", rows=(10, 20)), rows) and hub.file_bytes == 0


def test_one_of_many_is_named_in_several_ways(hub, tmp_path):
    files = {f"m-{kind}.gguf": small(tmp_path, i) for i, kind in enumerate(("Q4_K_M", "Q4_K_S", "Q8_0"))}
    hub.add_repo("org/many", files | {"mmproj-f16.gguf": b"GGUF"}, revisions=("main", "refs/pr/1"))
    for ref in ("hf:org/many:Q8_0", "hf:org/many:q8_0", "hf:org/many:m-Q8_0.gguf", "hf:org/many@refs/pr/1:Q8_0",
                "hf:org/many/m-Q8_0.gguf"):  # fmt: skip
        assert np.allclose(qv.open_model(ref).load("w"), weights(2, 64, 2), atol=0.03)
    refused("hf:org/many", "3 GGUF files", "m-Q4_K_M.gguf", "for example hf:org/many:m-Q4_K_M.gguf")
    refused("hf:org/many:Q4_K", "no GGUF file 'Q4_K'")
    refused("hf:org/many:m", "3 GGUF files")
    refused("hf:org/many@v9:Q8_0", "no revision")


def test_safetensors_go_first_and_gguf_beside_them_by_name(hub, tmp_path):
    hub.add_repo("org/both", {"model.safetensors": safetensors({"a": weights(2, 3)}), "m.gguf": small(tmp_path)})
    assert [t.name for t in qv.open_model("hf:org/both").tensors] == ["a"]
    assert [t.name for t in qv.open_model("hf:org/both:m.gguf").tensors] == ["w"]


def test_a_split_in_a_folder_and_a_missing_part(hub, tmp_path):
    write(tmp_path / "m.gguf", {f"t{i}": (weights(2, 64, i), "q8_0") for i in range(3)}, split_max_tensors=1)
    parts = {f"Q8_0/{path.name}": path.read_bytes() for path in sorted(tmp_path.glob("*.gguf"))}
    hub.add_repo("org/split", parts)
    for ref in ("hf:org/split", "hf:org/split:Q8_0", "hf:org/split:Q8_0/m-00002-of-00003.gguf"):
        model = qv.open_model(ref)
        assert [t.name for t in model.tensors] == ["t0", "t1", "t2"]
    assert np.allclose(model.load("t2"), weights(2, 64, 2), atol=0.03)
    hub.add_repo("org/split", {name: data for name, data in parts.items() if "00002" not in name})
    refused("hf:org/split", "lacks the part Q8_0/m-00002-of-00003.gguf")


def test_hostile_headers_move_little(hub, monkeypatch):
    hub.add_repo("org/bad", {"m.gguf": b"GGUF" + (3).to_bytes(4, "little") + bytes(5_000_000)})
    assert qv.open_model("hf:org/bad").tensors == ()
    assert hub.file_bytes <= hub_reader.GGUF_PIECE
    hub.add_repo("org/bad", {"m.gguf": b"GGUF" + (3).to_bytes(4, "little") + b"\xff" * 5_000_000})
    refused("hf:org/bad", "over 65,536 tensors")
    monkeypatch.setattr(hub_reader, "MAX_GGUF_HEADER", 1000)
    key = (1).to_bytes(8, "little") + b"k" + (9).to_bytes(4, "little") + (0).to_bytes(4, "little")
    start = b"GGUF" + (3).to_bytes(4, "little") + bytes(8) + (1).to_bytes(8, "little")
    hub.add_repo("org/bad", {"m.gguf": start + key + (4_000_000).to_bytes(8, "little") + bytes(5_000_000)})
    refused("hf:org/bad", "header of over 1,000 bytes")
