"""Several files of one model beside the original: sizes, errors by role, types, and where each is best."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

import quantviz as qv
from quantviz.cli import main
from quantviz.published.several import as_json, differences, many
from tests.published.packing import layer, model
from tests.sources.builders import weights
from tests.sources.gguf_builder import write

L = "model.layers.0."
NAMES = {f"{L}self_attn.q_proj.weight": "attn_q", f"{L}self_attn.o_proj.weight": "attn_output",
         f"{L}mlp.down_proj.weight": "ffn_down"}  # fmt: skip
HEAD, NORM = "lm_head.weight", f"{L}input_layernorm.weight"


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """An original, its GPTQ, a GGUF whose down_proj is finer and whose q_proj is coarser, and itself."""
    folder = tmp_path_factory.mktemp("many")
    w = {name: weights(64, 64, i) for i, name in enumerate((*NAMES, HEAD))} | {NORM: np.ones(64, np.float32)}
    packed = {NORM: w[NORM], HEAD: w[HEAD]}
    for name in NAMES:
        packed |= layer(name, w[name])
    kinds = {"attn_q": "q4_0", "attn_output": "q8_0", "ffn_down": "f32"}
    blocks = {f"blk.0.{n}.weight": (w[name], kinds[n]) for name, n in NAMES.items()}
    blocks |= {"output.weight": (w[HEAD], "q8_0"), "blk.0.attn_norm.weight": (w[NORM], "f32")}
    return w, model(folder / "a", w), [model(folder / "b", packed), qv.open_model(write(folder / "m.gguf", blocks))]


def test_sizes_and_errors_are_those_of_the_tensors(models):
    w, original, files = models
    found = many(original, files)
    gptq, gguf = found.files
    assert gptq.nbytes == sum(t.nbytes for t in files[0].reader._reader.tensors)
    assert gptq.nbytes == 3 * (64 * 64 // 2 + 2 * 64 // 2 + 2 * 64 * 2 + 4 * 64) + 4 * (64 * 64 + 64)
    assert gptq.bits_over_all == 8 * gptq.nbytes / (4 * 64 * 64 + 64)
    each = [files[0].info(name).bits_per_weight for name in NAMES]
    assert gptq.bits_per_weight == pytest.approx((sum(each) + 32) / 4)
    for f, file in zip(found.files, files, strict=True):
        for name, short in NAMES.items():
            role = {"attn_q": "attention q", "attn_output": "attention o", "ffn_down": "mlp down"}[short]
            made = file.load(name if file is files[0] else f"blk.0.{short}.weight").astype(np.float64)
            error = np.sqrt(np.square(made - w[name]).sum() / np.square(w[name], dtype=np.float64).sum())
            assert f.roles[role].relative == pytest.approx(error, rel=1e-6)
    errors = sum(loss.error for loss in gguf.roles.values())
    assert gguf.total.relative == pytest.approx(math.sqrt(errors / sum(x.signal for x in gguf.roles.values())))


def test_types_what_is_finer_and_where_each_is_best(models):
    _, original, files = models
    found = many(original, files)
    gptq, gguf = found.files
    assert gptq.main == "GPTQ int4 g32" and gptq.finer == (HEAD,)
    assert gguf.main == "q8_0" and gguf.finer == (f"{L}mlp.down_proj.weight",)
    assert found.difference(0, 1)[HEAD] == ("fp32", "q8_0") and NORM not in found.difference(0, 1)
    assert found.best == {"attention q": found.best["attention q"], "attention o": 1, "mlp down": 1, "head": 0}
    q = [f.roles["attention q"].relative for f in found.files]
    assert found.best["attention q"] == q.index(min(q))
    told = differences(found)
    assert f"keeps {HEAD} finer than its GPTQ int4 g32" in told[0]
    assert told[-1].endswith("store 4 tensors as other types, 1 as the same.")


def test_one_type_for_all_keeps_nothing_finer_and_one_file_is_best_nowhere(models):
    _, original, _ = models
    found = many(original, [original])
    assert found.files[0].finer == () and found.best == {} and differences(found) == []
    assert found.files[0].total.relative == 0
    assert many(original, [original, original]).best == {}, "files that err alike are none the better"


def test_a_tensor_that_cannot_be_compared_is_told_and_left_out(models, tmp_path):
    w, original, _ = models
    broken = model(tmp_path, w | {f"{L}mlp.down_proj.weight": weights(8, 64)})
    (f,) = many(original, [broken]).files
    assert [name for name, _ in f.refused] == [f"{L}mlp.down_proj.weight"] and "mlp down" not in f.roles


def test_the_command_line(models, capsys):
    _, original, files = models
    refs = [str(m.ref) for m in (original, *files)]
    assert main(["against", *refs]) == 0
    out = capsys.readouterr().out
    assert "bits per weight" in out and "mlp down" in out and "finer than its GPTQ int4 g32" in out
    assert main(["against", *refs, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document == as_json(many(original, files)) and len(document["files"]) == 2
    assert document["best"]["mlp down"] == refs[2] and len(document["differences"]) == 1
    assert main(["against", *refs[:2], f"{L}mlp.down_proj.weight"]) == 0
    assert "This is plain rounding in GPTQ int4 g32" in capsys.readouterr().out
    assert main(["against", *refs[:2]]) == 0 and "plain rounding" in capsys.readouterr().out
    assert main(["against", *refs, "--importance", "x.npy"]) == 2
    assert main(["against", *refs, "/no/such/file"]) == 2
