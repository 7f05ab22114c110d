"""What a hostile model's folder can do to transformers: nothing, it sees copies that were bounded first."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

import quantviz as qv
from quantviz.quality.blame import blamed
from quantviz.quality.model import companions
from quantviz.quality.model.parts import open_parts
from quantviz.sources.demo import FOLDER
from tests.sources.gguf_builder import demo


@pytest.fixture
def folder(tmp_path) -> Path:
    return shutil.copytree(FOLDER, tmp_path / "m", ignore=shutil.ignore_patterns("*.gz", "training*"))


def configured(folder: Path, **changes) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def refused(ref: object, says: str) -> None:
    with pytest.raises(qv.QuantvizError, match=says) as caught, open_parts(str(ref)):
        pass
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 2000


@pytest.mark.parametrize("name", [name for name in companions.COMPANIONS])
@pytest.mark.parametrize("kind", ["pipe", "folder", "device"])
def test_every_companion_must_be_a_file(folder, name, kind):
    (folder / name).unlink(missing_ok=True)
    if kind == "pipe":
        os.mkfifo(folder / name)
    elif kind == "folder":
        (folder / name).mkdir()
    else:
        (folder / name).symlink_to("/dev/zero")
    refused(folder, f"{name} is a {kind}, no file")


@pytest.mark.parametrize("name", [name for name in companions.COMPANIONS])
def test_every_companion_is_bounded(folder, name):
    with (folder / name).open("ab") as file:
        file.truncate(10**10)
    refused(folder, f"{name} is larger than")


def test_labels_are_left_out(folder):
    configured(folder, id2label={str(i): f"LABEL_{i}" for i in range(100_000)}, num_labels=10**12)
    with open_parts(str(folder)) as parts:
        said = json.loads((parts.folder / "config.json").read_bytes())
    assert not {"id2label", "num_labels"} & said.keys() and said["model_type"] == "llama"


@pytest.mark.parametrize(
    "changes",
    [
        {"num_hidden_layers": 10**8}, {"head_dim": 2**40}, {"vocab_size": 10**15}, {"max_position_embeddings": 10**12},
        {"text_config": {"num_hidden_layers": 10**6}}, {"num_experts": 10**6}, {"hidden_size": -(10**9)},
        {"rope_parameters": {"original_max_position_embeddings": 10**10}}, {"layers_block_type": [10**9]},
    ],
)  # fmt: skip
def test_sizes_that_no_model_has(folder, changes):
    configured(folder, **changes)
    refused(folder, "config.json: .* is .*and up to")


@pytest.mark.parametrize("changes", [{"rope_theta": 10**11}, {"total_parameters": 10**12}, {"seed": 2**60}])
def test_large_numbers_that_size_nothing(folder, changes):
    configured(folder, **changes)
    with open_parts(str(folder)) as parts:
        assert changes.items() <= json.loads((parts.folder / "config.json").read_bytes()).items()


def test_of_a_gguf_file_the_header_alone_is_copied(tmp_path):
    path = demo(tmp_path / "m.gguf", otherwise="f16")
    with open_parts(str(path)) as parts:
        copy = (parts.folder / parts.gguf).read_bytes()
        header = parts.header.nbytes
        assert len(copy) == path.stat().st_size and copy[:header] == path.read_bytes()[:header]
        assert not np.frombuffer(copy, np.uint8)[parts.header.nbytes :].any()


def test_a_panic_is_a_sentence_and_a_stop_is_none():
    class PanicException(BaseException):
        pass

    with pytest.raises(qv.QuantvizError, match="m cannot be opened, its tokenizer is at fault: index out of bounds."):
        with blamed("m", "its tokenizer"):
            raise PanicException("index out of bounds")
    with pytest.raises(KeyboardInterrupt), blamed("m", "its tokenizer"):
        raise KeyboardInterrupt
