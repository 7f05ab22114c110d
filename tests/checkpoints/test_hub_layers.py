"""Of a quantized model on the Hub, only the bytes of the layer that is asked for travel."""

from __future__ import annotations

import numpy as np
import pytest

import quantviz as qv
from tests.checkpoints.golden import load
from tests.checkpoints.packing import gptq, write_gptq

FAR = "model.layers.1.mlp.down_proj"


def test_a_layer_takes_its_own_bytes_and_no_more(hub, tmp_path) -> None:
    rng = np.random.default_rng(0)
    layers = {name: rng.standard_normal((512, 1024), np.float32) for name in ("model.layers.0.mlp.down_proj", FAR)}
    folder = write_gptq(tmp_path, layers)
    hub.add_repo("org/packed", {path.name: path.read_bytes() for path in folder.iterdir()})
    model = qv.open_model("hf:org/packed")
    before, info = hub.file_bytes, model.info(f"{FAR}.weight")
    weights = model.load(info.name)
    assert np.array_equal(weights, gptq(layers[FAR])[1])
    assert hub.file_bytes - before <= 1.01 * info.nbytes
    again = hub.file_bytes
    assert np.array_equal(model.load(info.name, rows=(5, 9)), weights[5:9]) and hub.file_bytes == again, "kept"


@pytest.mark.parametrize("file", ["mlx", "compressed_tensors", "fp8", "bitsandbytes"])
def test_rows_that_lie_apart_travel_alone(hub, tmp_path, file) -> None:
    case = load(file)[2][0]
    folder = case.write(tmp_path)
    hub.add_repo(f"org/{file}", {path.name: path.read_bytes() for path in folder.iterdir()})
    model, local = qv.open_model(f"hf:org/{file}"), qv.open_model(folder)
    before, info = hub.file_bytes, model.info(case.weight)
    assert np.array_equal(model.load(case.weight, rows=(1, 3)), local.load(case.weight, rows=(1, 3)))
    assert hub.file_bytes - before <= info.nbytes
