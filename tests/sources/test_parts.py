"""A part of a repository or folder: a file, a folder, a variant, the shards of an index, and what is no part."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from quantviz.errors import QuantvizError
from quantviz.sources import SeveralFiles, open_model
from quantviz.sources.parts import chosen_files
from tests.sources.builders import safetensors, weights


def index(*shards: str) -> bytes:
    return json.dumps({"weight_map": {f"t{i}": shard for i, shard in enumerate(shards)}}).encode()


def one(number: int) -> bytes:
    return safetensors({f"t{number}": weights(2, 3, number)})


PIPELINE = {
    "model_index.json": b"{}",
    "transformer/config.json": b'{"hidden_size": 7}',
    "transformer/diffusion_pytorch_model-00001-of-00002.safetensors": one(0),
    "transformer/diffusion_pytorch_model-00002-of-00002.safetensors": one(1),
    "transformer/diffusion_pytorch_model.safetensors.index.json": index(
        "diffusion_pytorch_model-00001-of-00002.safetensors", "diffusion_pytorch_model-00002-of-00002.safetensors"
    ),
    "vae/diffusion_pytorch_model.safetensors": one(2),
    "vae/diffusion_pytorch_model.fp16.safetensors": one(3),
    "vae/notes.txt": b"",
    "unet/model.bin": b"",
}
MISTRAL = {
    "a.safetensors": one(0), "b.safetensors": one(1), "consolidated.safetensors": one(2), "stray.safetensors": one(3),
    "weights.safetensors.index.json": index("a.safetensors", "b.safetensors"), "config.json": b"{}",
}  # fmt: skip


@pytest.mark.parametrize("files, part, tensors", [
    (PIPELINE, "transformer", ["t0", "t1"]), (PIPELINE, "transformer/", ["t0", "t1"]), (PIPELINE, "vae", ["t2"]),
    (PIPELINE, "vae/fp16", ["t3"]), (PIPELINE, "fp16", ["t3"]),
    (PIPELINE, "vae/diffusion_pytorch_model.fp16.safetensors", ["t3"]),
    (PIPELINE, "transformer/diffusion_pytorch_model.safetensors.index.json", ["t0", "t1"]),
    (PIPELINE, "transformer/diffusion_pytorch_model-00002-of-00002.safetensors", ["t1"]),
    (MISTRAL, "", ["t0", "t1"]), (MISTRAL, "consolidated", ["t2"]), (MISTRAL, "stray.safetensors", ["t3"]),
])  # fmt: skip
def test_a_part_of_a_repository(hub, files, part, tensors):
    hub.add_repo("org/name", files)
    model = open_model("hf:org/name" + f":{part}" * bool(part))
    assert [t.name for t in model.tensors] == tensors
    assert np.array_equal(model.load(tensors[0]), weights(2, 3, int(tensors[0][1])))


def test_the_config_of_a_part_lies_beside_it(hub):
    hub.add_repo("org/name", PIPELINE, revisions=("main", "v1"))
    assert open_model("hf:org/name@v1:transformer").config == {"hidden_size": 7}
    assert open_model("hf:org/name:vae").config == {}


@pytest.mark.parametrize("part, words", [
    ("text_encoder", "has no file, folder or variant 'text_encoder'; it has transformer, vae"),
    ("vae/fp32", "has no file, folder or variant 'fp32'"), ("transformers", "Did you mean transformer"),
    ("vae/notes.txt", "it holds no weights"), ("unet/model.bin", "a pickle can run any code"), ("unet", "pickled"),
    ("../secret", "has no file, folder or variant"),
])  # fmt: skip
def test_what_is_no_part_is_refused_in_a_sentence(hub, part, words):
    hub.add_repo("org/name", PIPELINE)
    with pytest.raises(QuantvizError) as caught:
        open_model(f"hf:org/name:{part}")
    assert words in str(caught.value) and "\n" not in str(caught.value) and len(str(caught.value)) < 400


def test_a_pipeline_asks_which_of_its_models_is_meant(hub, tmp_path):
    hub.add_repo("org/name", PIPELINE)
    with pytest.raises(
        SeveralFiles, match="pipeline of several models: transformer, vae.*hf:org/name:transformer"
    ) as e:
        open_model("hf:org/name")
    assert e.value.names == ("transformer", "vae")
    folder = write(tmp_path, PIPELINE)
    with pytest.raises(SeveralFiles, match="pipeline of several models"):
        open_model(folder)
    assert [t.name for t in open_model(folder / "transformer").tensors] == ["t0", "t1"]
    assert [t.name for t in open_model(folder / "vae").tensors] == ["t2"]
    (folder / "model_index.json").unlink()  # without it, all that lies one level down belongs together
    assert len(open_model(folder).tensors) == 3


def write(folder: Path, files: dict[str, bytes]) -> Path:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def test_a_folder_goes_by_its_index_too(tmp_path):
    assert [t.name for t in open_model(write(tmp_path, MISTRAL)).tensors] == ["t0", "t1"]
    (tmp_path / "weights.safetensors.index.json").unlink()
    assert [t.name for t in open_model(tmp_path).tensors] == ["t0", "t1", "t2", "t3"]


@pytest.mark.parametrize("content, words", [
    (index("a.safetensors", "c.safetensors"), "names 'c.safetensors', which"), (b"{}", "no weight_map"),
    (index("../a.safetensors"), "which"), (index(), "names no files"), (b"[", "no well-formed JSON"),
])  # fmt: skip
def test_an_index_that_lies_is_refused(hub, tmp_path, content, words):
    files = MISTRAL | {"weights.safetensors.index.json": content}
    hub.add_repo("org/name", files)
    for ref in ("hf:org/name", write(tmp_path, files)):
        with pytest.raises(QuantvizError, match=words):
            open_model(ref)


def test_variants_in_shards_are_told_apart():
    names = [f"unet/x{v}-0000{i}-of-00002.safetensors" for v in ("", ".fp16") for i in (1, 2)]
    assert chosen_files(names, "unet", "org/name", set) == names[:2]
    assert chosen_files(names, "unet/fp16", "org/name", set) == names[2:]
    with pytest.raises(QuantvizError, match="lacks the shard"):
        chosen_files(names[:1], "unet", "org/name", set)
