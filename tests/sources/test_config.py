"""A model's config.json: of a folder, of the Hub, of the demo model; data of hostile origin in every case."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import quantviz as qv
from quantviz.sources.config import read_config
from quantviz.sources.json_text import MAX_CONFIG_BYTES
from tests.sources.builders import safetensors, weights

CONFIG = {"model_type": "llama", "hidden_size": 64}


def test_the_demo_model_has_one() -> None:
    assert read_config("demo")["model_type"] == "llama"


def test_it_is_fetched_from_the_hub_alone(hub) -> None:
    hub.add_repo("org/name", {"model.safetensors": b"weights", "config.json": json.dumps(CONFIG).encode()})
    assert read_config("hf:org/name") == CONFIG
    assert {request.path.rpartition("/")[2] for request in hub.requests} == {"config.json"}
    assert all(request.server == "resolve" for request in hub.requests)


def test_what_the_hub_may_answer(hub) -> None:
    hub.add_repo("org/none", {"model.safetensors": b"weights"})
    hub.add_repo("org/huge", {"config.json": b" " * (MAX_CONFIG_BYTES + 1)})
    hub.add_repo("org/gated", {"config.json": b"{}"}, gated=True)
    for ref, said in (
        ("hf:org/none", "has no file config.json"),
        ("hf:org/huge", "more than it needs"),
        ("hf:org/gated", "is gated"),
        ("hf:org/missing", "no repository"),
        ("hf:not a repository", "names no Hub repository"),
    ):
        with pytest.raises(qv.QuantvizError, match=said) as caught:
            read_config(ref)
        assert "\n" not in str(caught.value)


def test_a_folder_and_a_file_inside_it(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(CONFIG))
    (tmp_path / "model.safetensors").touch()
    for path in (tmp_path, tmp_path / "model.safetensors", tmp_path / "config.json"):
        assert read_config(str(path)) == CONFIG


def test_folders_that_have_none_that_can_be_read(tmp_path: Path) -> None:
    with pytest.raises(qv.QuantvizError, match="There is no config.json at"):
        read_config(str(tmp_path))
    (tmp_path / "config.json").write_text("{broken")
    with pytest.raises(qv.QuantvizError, match="no well-formed JSON"):
        read_config(str(tmp_path))
    (tmp_path / "config.json").write_text("[1]")
    with pytest.raises(qv.QuantvizError, match="no JSON object"):
        read_config(str(tmp_path))
    with (tmp_path / "config.json").open("wb") as file:
        file.truncate((4 << 20) + 1)
    with pytest.raises(qv.QuantvizError, match="which none needs to be"):
        read_config(str(tmp_path))
    with pytest.raises(qv.QuantvizError, match="config.json"):
        read_config("\0")


def test_nothing_outside_the_folder_that_may_be_read(tmp_path: Path) -> None:
    inside, outside = tmp_path / "inside", tmp_path / "outside"
    for folder in (inside, outside):
        folder.mkdir()
    (outside / "config.json").write_text(json.dumps(CONFIG))
    with pytest.raises(qv.QuantvizError, match="lies outside"):
        read_config(str(outside), root=inside)
    (inside / "config.json").symlink_to(outside / "config.json")
    with pytest.raises(qv.QuantvizError, match="lies outside"):
        read_config(str(inside), root=inside)


def test_a_model_knows_its_own(hub, tmp_path: Path) -> None:
    content = safetensors({"w": weights(2, 4)})
    hub.add_repo("org/name", {"model.safetensors": content, "config.json": json.dumps(CONFIG).encode()})
    hub.add_repo("org/none", {"model.safetensors": content})
    (tmp_path / "model.safetensors").write_bytes(content)
    assert qv.open_model("hf:org/name").config == CONFIG
    assert qv.open_model("hf:org/none").config == qv.open_model(tmp_path).config == {}
    assert qv.open_model("random:normal?rows=2&cols=64").config == {}
    (tmp_path / "config.json").write_text(json.dumps(CONFIG))
    assert qv.open_model(tmp_path).config == qv.open_model(tmp_path / "model.safetensors").config == CONFIG
    (tmp_path / "config.json").write_text("{broken")
    with pytest.raises(qv.QuantvizError, match="no well-formed JSON"):
        qv.open_model(tmp_path).config  # noqa: B018
