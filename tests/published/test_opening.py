"""What converters cut, fuse, pad, turn and shift is undone and said; and a rotation is told from another model."""

from __future__ import annotations

import numpy as np
import pytest

import quantviz as qv
from quantviz.cli import main
from quantviz.errors import QuantvizError
from quantviz.published.beside import against, opened, pair_up, sentence, whole
from tests.published.packing import layer, model
from tests.sources.builders import weights
from tests.sources.gguf_builder import write

AT, MLP = "model.layers.0.self_attn.", "model.layers.0.mlp."
Q, K, V = (f"{AT}{n}_proj.weight" for n in "qkv")
QKV, GATE, UP = f"{AT}qkv_proj.weight", f"{MLP}gate_proj.weight", f"{MLP}up_proj.weight"


def pairs_of(original, file) -> dict[str, np.ndarray]:
    """By the file's name and part, whether what is compared is the same."""
    found = {}
    for pair in pair_up(original, file).pairs:
        o = opened(original, file, pair)
        assert np.array_equal(o.original.read(), o.file.read()), pair
        found[pair] = o
    return found


@pytest.fixture(scope="module")
def split() -> dict[str, np.ndarray]:
    return {Q: weights(64, 32, 1), K: weights(32, 32, 2), V: weights(32, 32, 3), GATE: weights(48, 32, 4),
            UP: weights(48, 32, 5)}  # fmt: skip


@pytest.mark.parametrize("how", ["one after the other", "head by head"])
@pytest.mark.parametrize("in_original", [True, False])
def test_queries_keys_and_values_in_one(split, tmp_path, how, in_original):
    parts = [split[n] for n in (Q, K, V)]
    if how == "head by head":
        qkv = np.concatenate([p.reshape(2, -1, 32) for p in parts], axis=1).reshape(-1, 32)
    else:
        qkv = np.concatenate(parts)
    config = {"num_key_value_heads": 2}
    apart = model(tmp_path / "a", {n: split[n] for n in (Q, K, V)}, config)
    fused = model(tmp_path / "b", {QKV: qkv}, config)
    found = pairs_of(*((fused, apart) if in_original else (apart, fused)))
    assert sorted(p.fused.number for p in found) == [0, 1, 2]
    assert all(how in o.changes[0] and QKV in o.changes[0] for o in found.values())
    a = against(*((fused, apart) if in_original else (apart, fused)), list(found)[1], detail="metrics")
    assert "keeps it with others in" in sentence(a) and a.evaluation.metrics["max_abs_error"] == 0


def test_one_of_several_is_named_by_its_number(split, tmp_path, capsys):
    apart = model(tmp_path / "a", {n: split[n] for n in (Q, K, V)})
    fused = model(tmp_path / "b", {QKV: np.concatenate([split[n] for n in (Q, K, V)])})
    found = pair_up(fused, apart)
    assert {p.label for p in found.pairs} == {f"{QKV}[{i}]" for i in range(3)}
    assert [found.of(f"{QKV}[{i}]").place.name for i in range(3)] == [Q, K, V] and found.of(K).label == f"{QKV}[1]"
    with pytest.raises(QuantvizError, match="no counterpart"):
        found.of(f"{QKV}[3]")
    assert main(["against", str(fused.ref), str(apart.ref), f"{QKV}[2]"]) == 0
    assert f"{QKV}[2]" in (out := capsys.readouterr().out) and V in out


def test_one_that_is_no_part_of_it_is_refused(split, tmp_path):
    apart = model(tmp_path / "a", {n: split[n] for n in (Q, K, V)})
    fused = model(tmp_path / "b", {QKV: weights(130, 32)})
    assert all("do not belong together" in found[1] for found in whole(apart, fused))


@pytest.mark.parametrize("how", ["one after the other", "row by row in turn"])
def test_gate_and_up_of_stacked_experts(tmp_path, how):
    gate, up = weights(3 * 24, 32, 1).reshape(3, 24, 32), weights(3 * 24, 32, 2).reshape(3, 24, 32)
    both = np.concatenate([gate, up], axis=1)
    if how == "row by row in turn":  # as gpt-oss has them
        both = np.stack([gate, up], axis=2).reshape(3, 48, 32)
    name = "model.layers.0.mlp.experts.gate_up_proj"
    original = model(tmp_path / "a", {name: both}, {"hidden_size": 32})
    stacked = {"blk.0.ffn_gate_exps.weight": (gate, "f32"), "blk.0.ffn_up_exps.weight": (up, "f32")}
    found = pairs_of(original, qv.open_model(write(tmp_path / "m.gguf", stacked, arch="qwen3moe")))
    assert len(found) == 2 and all(how in o.changes[0] for o in found.values())
    each = {
        f"model.layers.0.mlp.experts.{e}.{n}_proj.weight": w[e]
        for n, w in (("gate", gate), ("up", up))
        for e in range(3)
    }
    found = pairs_of(original, model(tmp_path / "b", each))
    assert len(found) == 6 and {p.original_expert for p in found} == {0, 1, 2}
    found = pairs_of(model(tmp_path / "c", each), original)
    assert len(found) == 6 and {p.place.expert for p in found} == {0, 1, 2}


def test_experts_stacked_on_either_side_and_other_names(tmp_path):
    down = weights(3 * 16, 24).reshape(3, 16, 24)
    stack = model(tmp_path / "a", {"model.language_model.layers.0.mlp.experts.down_proj": down}, {"hidden_size": 16})
    each = model(tmp_path / "b", {f"model.layers.0.mlp.experts.{e}.down_proj.weight": down[e] for e in range(3)})
    assert [p.original_expert for p in pairs_of(stack, each)] == [0, 1, 2]
    assert [p.place.expert for p in pairs_of(each, stack)] == [0, 1, 2]


def test_a_padded_vocabulary_is_compared_as_far_as_both_have_it(tmp_path):
    w = weights(100, 32)
    padded = np.concatenate([w, np.zeros((28, 32), np.float32)])
    names = "model.embed_tokens.weight", Q
    small, large = (model(tmp_path / str(len(x)), {names[0]: x, names[1]: x}) for x in (w, padded))
    for original, file, longer in ((small, large, "file"), (large, small, "original")):
        found = pair_up(original, file)
        a = against(original, file, found.of(names[0]), detail="metrics")
        assert a.evaluation.shape[0] == 100 and a.evaluation.metrics["max_abs_error"] == 0
        assert f"The {longer}'s vocabulary is padded by 28 rows; the first 100" in sentence(a)
        with pytest.raises(QuantvizError, match=r"of the original has the shape .* of the file .*another model"):
            against(original, file, found.of(names[1]))


def test_what_is_undone_stands_under_the_table_of_the_command_line(tmp_path, capsys):
    w = weights(100, 32)
    name = "model.embed_tokens.weight"
    small, large = (model(tmp_path / str(len(x)), {name: x}) for x in (w, np.concatenate([w, w[:28]])))
    assert main(["against", str(small.ref), str(large.ref)]) == 0
    assert f"\n\n{name}: The file's vocabulary is padded by 28 rows" in capsys.readouterr().out


@pytest.mark.parametrize("shape", [(24, 40), (32, 32)])
def test_a_transpose_is_seen_by_its_shape_or_by_looking(tmp_path, shape):
    w = weights(*shape)
    original = model(tmp_path / "a", {UP: w})
    file = model(tmp_path / "b", {UP: np.ascontiguousarray(w.T)})
    a = against(original, file, pair_up(original, file).pairs[0], detail="metrics")
    assert a.evaluation.metrics["max_abs_error"] == 0 and "keeps it transposed" in sentence(a)
    a = against(original, original, pair_up(original, original).pairs[0], detail="metrics")
    assert "transposed" not in sentence(a)


NORM, TINY = "model.layers.0.input_layernorm.weight", np.random.default_rng(0).uniform(-0.5, 0.5, 64).astype(np.float32)


@pytest.mark.parametrize("kind, arch", [("gemma2", "gemma2"), ("qwen3_next", "qwen3next"), ("nemotron", "nemotron")])
def test_norms_stored_less_one_are_known(tmp_path, kind, arch):
    original = model(tmp_path / "a", {NORM: TINY}, {"model_type": kind})
    for name, values, said in (("a", TINY + 1, True), ("b", TINY, False)):
        path = write(tmp_path / f"{name}.gguf", {"blk.0.attn_norm.weight": (values, "f32")}, arch=arch)
        file = qv.open_model(path)
        a = against(original, file, pair_up(original, file).pairs[0], detail="metrics")
        assert "stores its norms less one" in sentence(a)
        assert (a.evaluation.metrics["max_abs_error"] < 1e-6) == said


@pytest.mark.parametrize("shift, said", [(1, "larger by 1;"), (-0.25, "smaller by 0.25;"), (0, "")])
def test_a_constant_difference_is_found_where_none_is_known(tmp_path, shift, said):
    original = model(tmp_path / "a", {NORM: TINY})
    file = model(tmp_path / "b", {NORM: TINY + np.float32(shift)})
    a = against(original, file, pair_up(original, file).pairs[0], detail="metrics")
    assert a.evaluation.metrics["max_abs_error"] < 1e-6
    assert (said in sentence(a)) if said else "every number" not in sentence(a).lower()
    noisy = model(tmp_path / "c", {NORM: TINY + np.float32(shift) + weights(1, 64)[0]})
    a = against(original, noisy, pair_up(original, noisy).pairs[0], detail="metrics")
    assert "Every number" not in sentence(a)


def test_minus_exp_is_found(tmp_path):
    original = model(tmp_path / "a", {"a.A_log": TINY})
    for values, said in ((-np.exp(TINY), True), (TINY * 2, False)):
        file = model(tmp_path / str(said), {"a.A_log": values})
        a = against(original, file, pair_up(original, file).pairs[0], detail="metrics")
        assert ("−exp" in sentence(a)) == said


# -- rotations --------------------------------------------------------------------------------------


def rotated(kind: str) -> tuple[np.ndarray, np.ndarray]:
    w = weights(96, 64) @ np.diag(np.linspace(0.2, 3, 64)).astype(np.float32)
    turn, other = (np.linalg.qr(weights(n, n, 7))[0].astype(np.float32) for n in (64, 96))
    return w, w @ turn if kind == "inputs" else other @ w if kind == "outputs" else other @ w @ turn


@pytest.mark.parametrize("kind", ["inputs", "outputs", "both"])
def test_rotations_are_told(tmp_path, kind):
    w, turned = rotated(kind)
    original, file = model(tmp_path / "a", {UP: w}), model(tmp_path / "b", layer(UP, turned))
    a = against(original, file, pair_up(original, file).pairs[0], detail="metrics")
    assert abs(a.evaluation.metrics["cosine_similarity"]) < 0.1
    said = sentence(a)
    if kind == "both":
        assert a.rotation.of == "" and "Both are of one size, so a rotation on both sides" in said
    else:
        assert (
            a.rotation.of == kind
            and f"the {kind} were rotated" in said
            and "only the error of the layer's output" in said
        )


def test_what_is_no_rotation_is_not_called_one(tmp_path):
    w, _ = rotated("inputs")
    original = model(tmp_path / "a", {UP: w})
    for number, other in enumerate((weights(96, 64, 9), 5 * w[::-1], w)):
        file = model(tmp_path / f"b{number}", layer(UP, np.ascontiguousarray(other)))
        a = against(original, file, pair_up(original, file).pairs[0], detail="metrics")
        assert "were rotated" not in sentence(a) and not (a.rotation and a.rotation.of)


def test_an_adapter_is_told_as_such(tmp_path):
    original = model(tmp_path / "a", {Q: weights(32, 32)})
    adapter = model(tmp_path / "b", {f"base_model.{AT}q_proj.lora_{n}.weight": weights(8, 32) for n in "AB"})
    with pytest.raises(QuantvizError, match=r"is an adapter \(LoRA\)"):
        pair_up(original, adapter)
    merged = model(tmp_path / "c", {Q: weights(32, 32), f"{AT}q_proj.lora_A.weight": weights(8, 32)})
    assert len(pair_up(original, merged).pairs) == 1
