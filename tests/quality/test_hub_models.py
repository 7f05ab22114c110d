"""A language model of the Hub: what travels, what is kept, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from quantviz.errors import QuantvizError
from quantviz.quality.measure import measure_quality

SMALL = {"tokens": 256, "context": 128}
REF = "hf:someone/model"


def files_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_it_gives_what_the_folder_does_and_travels_once(hub, llama) -> None:
    files = files_of(llama) | {"modeling_mine.py": b"raise SystemExit", "README.md": b"# a model"}
    hub.add_repo("someone/model", files)
    told: list[tuple[str, int, int]] = []
    (found,) = (
        r for r in measure_quality(REF, ["int4-b32"], progress=lambda *s: told.append(s), **SMALL) if r.complete
    )
    (local,) = (r for r in measure_quality(str(llama), ["int4-b32"], **SMALL) if r.complete)
    assert (found.base_perplexity, found.kl_mean) == (local.base_perplexity, local.kl_mean) and found.ref == REF
    assert any(what == "reading the model" and done == total > 100_000 for what, done, total in told)
    assert not any("modeling_mine" in request.path or "README" in request.path for request in hub.requests)
    hub.forget()
    next(measure_quality(REF, ["int4-b32"], **SMALL))
    assert hub.file_bytes == 0


def test_a_model_of_which_no_weights_or_no_configuration_can_be_read(hub, llama) -> None:
    files = files_of(llama)
    hub.add_repo("someone/pickled", {"config.json": files["config.json"], "pytorch_model.bin": b"x"})
    hub.add_repo("someone/bare", {"model.safetensors": files["model.safetensors"]})
    hub.add_repo("someone/mute", {name: data for name, data in files.items() if "tokenizer" not in name})
    for name, says in (
        ("pickled", "pickle"), ("bare", "has no config.json"), ("mute", "has no tokenizer"), ("none", "no repository"),
    ):  # fmt: skip
        with pytest.raises(QuantvizError, match=says):
            next(measure_quality(f"hf:someone/{name}", ["int8"], **SMALL))
