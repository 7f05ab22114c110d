"""The Hub as it should be: what travels, what is kept, who may read."""

from __future__ import annotations

import logging

import numpy as np
import pytest

from quantviz.errors import QuantvizError
from quantviz.sources import hub as hub_module
from quantviz.sources import open_model
from quantviz.sources.config import read_config
from quantviz.sources.ranged import PIECE
from tests.sources.builders import safetensors, weights

BIG = weights(3000, 1024)  # 12 MB: three pieces
SHARDS = {
    "model-00001-of-00002.safetensors": safetensors({"big": BIG, "bias": weights(1, 5)}),
    "model-00002-of-00002.safetensors": safetensors({"small": weights(7, 9)}),
    "consolidated.safetensors": safetensors({"other": weights(1, 1)}),
    "model.safetensors.index.json": b"{}",
    "config.json": b"{}",
}


@pytest.fixture
def name(hub) -> str:
    hub.add_repo("org/name", SHARDS, revisions=("main", "v1.0", "refs/pr/1"))
    return "hf:org/name"


def refused(ref: str, words: str, **arguments) -> str:
    with pytest.raises(QuantvizError) as caught:
        open_model(ref, **arguments)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 300
    return str(caught.value)


def test_the_list_comes_from_the_headers_and_the_config_alone(hub, name):
    model = open_model(name)
    assert [info.name for info in model.tensors] == ["bias", "big", "small"]
    shards = [data for file, data in SHARDS.items() if file.startswith("model-")]
    headers = sum(8 + int.from_bytes(data[:8], "little") for data in shards)
    assert hub.file_bytes == headers + len(SHARDS["config.json"])


def test_a_tensor_moves_its_own_bytes_in_parallel_pieces(hub, name):
    model = open_model(name)
    hub.forget()
    seen: list[tuple[int, int]] = []
    stored = model.open("big", progress=lambda done, total: seen.append((done, total)))
    assert np.array_equal(stored.numpy(), BIG)
    assert hub.file_bytes == BIG.nbytes
    ranges = {request.range for request in hub.requests if request.server == "cdn"}
    assert len(ranges) == -(-BIG.nbytes // PIECE)
    assert seen[-1] == (BIG.nbytes, BIG.nbytes) and seen == sorted(seen)


def test_a_row_range_moves_those_rows_and_the_rest_only_the_rest(hub, name):
    model = open_model(name)
    hub.forget()
    assert np.array_equal(model.load("big", rows=(100, 130)), BIG[100:130])
    assert hub.file_bytes == 30 * 4096
    hub.forget()
    seen: list[tuple[int, int]] = []
    assert np.array_equal(model.load("big", rows=(110, 140), progress=lambda *p: seen.append(p)), BIG[110:140])
    assert hub.file_bytes == 10 * 4096
    assert seen[0][0] >= 20 * 4096 and seen[-1] == (30 * 4096, 30 * 4096)
    hub.forget()
    assert np.array_equal(model.load("big"), BIG)
    assert hub.file_bytes == BIG.nbytes - 40 * 4096


def test_a_second_open_moves_nothing(hub, name):
    open_model(name).load("big")
    hub.forget()
    assert np.array_equal(open_model(name).load("big"), BIG)
    assert hub.file_bytes == 0
    assert [request.server for request in hub.requests] == ["api"]  # what main is today, and whether one may


def test_a_cache_folder_may_be_given(hub, name, tmp_path):
    open_model(name, cache_dir=tmp_path / "elsewhere").load("small")
    assert list((tmp_path / "elsewhere" / "hub").iterdir()) and not (tmp_path / "cache").exists()


@pytest.mark.parametrize("revision", ["v1.0", "refs/pr/1", "sha"])
def test_revisions(hub, name, revision):
    revision = hub.repos["org/name"].sha if revision == "sha" else revision
    assert open_model(f"{name}@{revision}").load("small").shape == (7, 9)


def test_a_new_commit_is_seen(hub, name):
    open_model(name).load("small")
    hub.add_repo("org/name", {"model.safetensors": safetensors({"small": weights(7, 9, seed=5)})})
    assert np.array_equal(open_model(name).load("small"), weights(7, 9, seed=5))


def test_what_lies_beside_the_weights_is_of_the_revision_that_was_asked_for(hub, name):
    for revision, part in (("@v1.0", "/v1.0/"), ("", "/main/")):
        hub.forget()
        assert read_config(f"{name}{revision}") == {}
        asked = [request.path for request in hub.requests if "config.json" in request.path]
        assert asked and all(part in path for path in asked)


@pytest.mark.parametrize("same_origin", [False, True])
@pytest.mark.parametrize("details", [False, True])
def test_servers_that_tell_less_or_redirect_to_themselves(hub, same_origin, details):
    hub.same_origin = same_origin
    hub.add_repo("gpt", {"model.safetensors": safetensors({"w": BIG})}, details=details)
    assert np.array_equal(open_model("hf:gpt").load("w"), BIG)


def test_other_layouts(hub):
    one, two = safetensors({"w": weights(1, 2)}), safetensors({"w": weights(1, 3), "v": weights(2, 2)})
    hub.add_repo("org/pipe", {"unet/a.safetensors": one, "vae/b.safetensors": two, "deep/er/c.safetensors": one})
    assert [info.name for info in open_model("hf:org/pipe").tensors] == [
        "unet/a.safetensors:w",
        "v",
        "vae/b.safetensors:w",
    ]
    hub.add_repo("org/hole", {"model-00001-of-00003.safetensors": one, "model-00003-of-00003.safetensors": two})
    refused("hf:org/hole", "lacks the shard model-00002-of-00003.safetensors")


def test_gated_and_private_need_a_token_that_may(hub):
    data = {"model.safetensors": safetensors({"w": weights(4, 4)})}
    hub.add_repo("org/gated", data, gated=True, tokens=frozenset({"hf_good"}))
    hub.add_repo("org/private", data, private=True, tokens=frozenset({"hf_good"}))
    for repo in ("org/gated", "org/private"):
        assert open_model(f"hf:{repo}", token="hf_good").load("w").shape == (4, 4)
    # What is in the cache by now must not open for those who may not read it.
    assert "set a token of that account" in refused("hf:org/gated", "is gated: accept its terms at", token=False)
    refused("hf:org/gated", "terms must be accepted", token="hf_other")
    refused("hf:org/private", "set a token if it is private", token=False)
    refused("hf:org/private", "what the token may read", token="hf_other")
    refused("hf:org/private", "does not accept the token", token="wrong")


def test_the_machines_own_token_is_used_unless_refused(hub, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_mine")
    hub.add_repo("org/private", {"model.safetensors": safetensors({"w": BIG})}, private=True, tokens={"hf_mine"})
    assert open_model("hf:org/private").tensors
    refused("hf:org/private", "set a token if it is private", token=False)
    refused("hf:org/private", "set a token if it is private", token="")


def test_the_token_stays_with_the_hub(hub, tmp_path, caplog):
    """Not with the server that has the bytes, not in addresses, logs, messages or the cache."""
    caplog.set_level(logging.DEBUG)
    secret = "hf_secretsecretsecret"
    hub.add_repo("org/private", {"model.safetensors": safetensors({"w": BIG})}, private=True, tokens={secret})
    model = open_model("hf:org/private", token=secret)
    model.load("w")
    assert all((request.authorization == f"Bearer {secret}") == (request.server != "cdn") for request in hub.requests)
    assert not any(secret in request.path for request in hub.requests)
    assert secret not in caplog.text and secret not in repr(model)
    for path in (tmp_path / "cache" / "hub").iterdir():
        assert secret not in path.name and secret.encode() not in path.read_bytes()


@pytest.mark.parametrize("token", ["hf_a\nb", "hf_é", "hf a", "hf_\x00"])
def test_a_token_that_cannot_be_one_is_not_quoted(hub, token):
    assert token not in refused("hf:org/name", "The token has characters", token=token)


@pytest.mark.parametrize(
    "ref, words",
    [
        ("hf:org/nothing", "no repository 'org/nothing'"),
        ("hf:org/name@v2", "no revision 'v2'"),
        ("hf:", "names no Hub repository"),
        ("hf:a/b/c", "names no Hub repository"),
        ("hf:../../etc", "names no Hub repository"),
        ("hf:org/na me", "names no Hub repository"),
        ("hf:org/name@", "is no revision"),
        ("hf:org/name@../x", "is no revision"),
        ("hf:org/name@a b", "is no revision"),
        ("hf:org/pickles", "a pickle can run any code"),
        ("hf:org/empty", "no safetensors and no GGUF file"),
        ("hf:org/name:", "names no file"),
        ("hf:org/name:x.gguf", "it has none"),
    ],
)
def test_references_that_open_nothing(hub, name, ref, words):
    hub.add_repo("org/pickles", {"pytorch_model.bin": b"PK", "config.json": b"{}"})
    hub.add_repo("org/empty", {"README.md": b""})
    refused(ref, words)


def test_hostile_headers_are_refused(hub):
    hub.add_repo("org/bad", {"model.safetensors": (2**63).to_bytes(8, "little") + bytes(100)})
    refused("hf:org/bad", "claims a header of 9,223,372,036,854,775,808 bytes")
    assert hub.file_bytes == 8
    hub.add_repo("org/short", {"model.safetensors": b"abc"})
    refused("hf:org/short", "truncated")
    hub.add_repo("org/zero", {"model.safetensors": b""})
    refused("hf:org/zero", "truncated")


def test_offline_mode_is_said(hub, name, monkeypatch):
    monkeypatch.setattr(hub_module.constants, "HF_HUB_OFFLINE", True)
    refused(name, "HF_HUB_OFFLINE")


def test_a_server_that_is_no_hub(hub, monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", hub.cdn_url + "/blob")
    hub.blobs["api/models/org/name"] = b"<html>"
    refused("hf:org/name", "not the Hub's")
