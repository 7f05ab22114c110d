"""A process has a thousand file descriptors: what is open at once takes few, and what is dropped none."""

from __future__ import annotations

import gc
import os
from pathlib import Path

import numpy as np
import pytest

from quantviz import QuantvizError
from quantviz.sources import open_model
from tests.sources.builders import safetensors, weights

pytestmark = pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="counts in /proc")
FILE = safetensors({f"layers.{i}": weights(4, 64, i) for i in range(60)})
MOST = 24  # of a client's connections and the like


def descriptors() -> int:
    gc.collect()
    return len(os.listdir("/proc/self/fd"))


def test_many_tensors_of_the_hub_held_open(hub):
    hub.add_repo("org/name", {"model.safetensors": FILE})
    open_model("hf:org/name").load("layers.0")  # the client's connections stand from here on
    before = descriptors()
    held = [open_model("hf:org/name").open(f"layers.{i}") for i in range(60)]
    assert descriptors() - before < MOST
    assert all(np.array_equal(t.numpy(), weights(4, 64, i)) for i, t in enumerate(held))


def test_many_tensors_of_a_file_held_open(tmp_path):
    (tmp_path / "model.safetensors").write_bytes(FILE)
    model = open_model(tmp_path)
    before = descriptors()
    held = [model.open(f"layers.{i}") for i in range(60)]
    assert descriptors() - before <= 2
    del held, model
    assert descriptors() <= before


def test_what_is_refused_leaves_nothing_open(tmp_path, hub):
    hub.add_repo("org/name", {"model.safetensors": FILE[:-100]})
    (tmp_path / "model.safetensors").write_bytes(FILE[:-100])
    for ref in ("hf:org/name", tmp_path):
        with pytest.raises(QuantvizError):
            open_model(ref)
    before = descriptors()
    for _ in range(10):
        for ref in ("hf:org/name", tmp_path):
            with pytest.raises(QuantvizError):
                open_model(ref)
    assert descriptors() - before < MOST / 2
