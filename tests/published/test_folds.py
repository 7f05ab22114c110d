"""Scales that a quantizer moved into neighbours are found and undone, and nothing else is."""

from __future__ import annotations

import numpy as np
import pytest

from quantviz.published.beside import against, pair_up, sentence
from tests.published.packing import layer, model

NORM, UP_NORM = "model.layers.0.input_layernorm.weight", "model.layers.0.post_attention_layernorm.weight"
AT, MLP = "model.layers.0.self_attn.", "model.layers.0.mlp."
WIDE, HIDDEN = 96, 128


@pytest.fixture(scope="module")
def weights() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    matrices = {f"{AT}{n}_proj.weight": (HIDDEN, HIDDEN) for n in "qkvo"}
    matrices |= {f"{MLP}{n}_proj.weight": (WIDE, HIDDEN) for n in ("gate", "up")} | {
        f"{MLP}down_proj.weight": (HIDDEN, WIDE)
    }
    made = {name: rng.standard_normal(shape).astype(np.float32) for name, shape in matrices.items()}
    norms = {name: rng.uniform(0.5, 1.5, HIDDEN).astype(np.float32) for name in (NORM, UP_NORM)}
    return made | norms


def scales(seed: int, n: int, most: float = 4) -> np.ndarray:
    return np.exp(np.random.default_rng(seed).uniform(-np.log(most), np.log(most), n)).astype(np.float32)


def as_awq(w: dict[str, np.ndarray], most: float = 4) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """AWQ's own folding: what each is multiplied by and what takes it back; (folded weights, the four scales)."""
    s = {"attn": scales(1, HIDDEN, most), "o": scales(2, HIDDEN, most), "mlp": scales(3, HIDDEN, most),
         "down": scales(4, WIDE, most)}  # fmt: skip
    made = dict(w)
    made[NORM], made[UP_NORM] = w[NORM] / s["attn"], w[UP_NORM] / s["mlp"]
    for n in "qkv":
        made[f"{AT}{n}_proj.weight"] = w[f"{AT}{n}_proj.weight"] * s["attn"]
    made[f"{AT}v_proj.weight"] = made[f"{AT}v_proj.weight"] / s["o"][:, None]
    made[f"{AT}o_proj.weight"] = w[f"{AT}o_proj.weight"] * s["o"]
    for n in ("gate", "up"):
        made[f"{MLP}{n}_proj.weight"] = w[f"{MLP}{n}_proj.weight"] * s["mlp"]
    made[f"{MLP}up_proj.weight"] = made[f"{MLP}up_proj.weight"] / s["down"][:, None]
    made[f"{MLP}down_proj.weight"] = w[f"{MLP}down_proj.weight"] * s["down"]
    return made, s


def quantized(w: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    found: dict[str, np.ndarray] = {}
    for name, values in w.items():
        found |= layer(name, values) if values.ndim == 2 else {name: values}
    return found


@pytest.fixture(scope="module")
def awq(weights, tmp_path_factory):
    folder = tmp_path_factory.mktemp("awq")
    made, s = as_awq(weights)
    return model(folder / "original", weights), model(folder / "awq", quantized(made)), s


@pytest.mark.parametrize("name, columns, rows", [
    ("self_attn.q_proj", "attn", None), ("self_attn.k_proj", "attn", None), ("self_attn.v_proj", "attn", "o"),
    ("self_attn.o_proj", "o", None), ("mlp.gate_proj", "mlp", None), ("mlp.up_proj", "mlp", "down"),
    ("mlp.down_proj", "down", None),
])  # fmt: skip
def test_what_awq_folded_is_found_in_its_neighbours_and_undone(awq, name, columns, rows):
    original, file, s = awq
    a = against(original, file, pair_up(original, file).of(f"model.layers.0.{name}.weight"), detail="metrics")
    assert a.fold.exact == (columns in ("attn", "mlp") and rows is None)
    assert a.fold.columns == pytest.approx(s[columns], rel=1e-5 if columns in ("attn", "mlp") else 0.3)
    assert (a.fold.by_row is None) == (rows is None)
    if rows:
        assert a.fold.by_row == pytest.approx(1 / s[rows], rel=0.4)
    assert a.fold.before > 0.7 and a.fold.after < 0.35
    assert a.evaluation.metrics["relative_l2_error"] == a.fold.after
    said = sentence(a)
    assert "Input channels were scaled by 0.2" in said and "instead of" in said
    assert ("output channels were scaled" in said) == bool(rows)
    if a.fold.exact:
        assert a.plain.verdict == "equal" and a.plain.scheme == "int4-asym-b32"
    else:  # what it was rounded from is not known well enough to say how
        assert a.plain is None and "known from rounded weights alone" in said


def test_what_was_not_scaled_is_left_alone(weights, tmp_path):
    original = model(tmp_path / "a", weights)
    file = model(tmp_path / "b", quantized(weights))
    for pair in pair_up(original, file).pairs:
        a = against(original, file, pair, detail="metrics")
        assert a.fold is None and "scaled" not in sentence(a)


def test_norms_of_another_training_are_no_fold(weights, tmp_path):
    other = dict(weights)
    other[NORM] = weights[NORM] * scales(9, HIDDEN)
    original, file = model(tmp_path / "a", weights), model(tmp_path / "b", quantized(other))
    a = against(original, file, pair_up(original, file).of(f"{AT}q_proj.weight"), detail="metrics")
    assert a.fold is None


def test_heads_that_share_values_are_led_from_v_to_o(tmp_path):
    rng, head = np.random.default_rng(5), 16
    s = scales(6, 2 * head)
    w = {f"{AT}v_proj.weight": rng.standard_normal((2 * head, 64)).astype(np.float32),
         f"{AT}o_proj.weight": rng.standard_normal((64, 4 * head)).astype(np.float32)}  # fmt: skip
    spread = np.repeat(s.reshape(2, head), 2, axis=0).reshape(-1)
    made = {
        f"{AT}v_proj.weight": w[f"{AT}v_proj.weight"] / s[:, None],
        f"{AT}o_proj.weight": w[f"{AT}o_proj.weight"] * spread,
    }
    config = {"num_key_value_heads": 2}
    original, file = model(tmp_path / "a", w, config), model(tmp_path / "b", quantized(made), config)
    o, v = (against(original, file, pair_up(original, file).of(f"{AT}{n}_proj.weight"), detail="metrics") for n in "ov")
    assert o.fold.columns == pytest.approx(spread, rel=0.3) and o.fold.after < 0.35 < o.fold.before
    assert v.fold.by_row == pytest.approx(1 / s, rel=0.3) and v.fold.after < 0.35


def test_what_multiplies_the_inputs_stands_beside_the_codes(weights, tmp_path):
    name, by = f"{AT}q_proj.weight", scales(7, HIDDEN)
    made = quantized({name: weights[name] / by})
    original = model(tmp_path / "a", {name: weights[name]})
    file = model(tmp_path / "b", made | {name.removesuffix("weight") + "pre_quant_scale": by})
    a = against(original, file, pair_up(original, file).of(name), detail="metrics")
    assert a.fold.columns == pytest.approx(1 / by, rel=1e-6) and a.fold.after < 0.35
    assert "pre_quant_scale, by which the layer's inputs are multiplied" in sentence(a)
    plain = model(tmp_path / "c", made)
    assert against(original, plain, pair_up(original, plain).of(name), detail="metrics").fold is None


def test_norms_stored_less_one_are_counted_with_it(tmp_path):
    """As Gemma keeps them: the layer multiplies by 1 + weight."""
    rng, s, name = np.random.default_rng(3), scales(8, HIDDEN), f"{AT}q_proj.weight"
    w, norm = (
        rng.standard_normal((HIDDEN, HIDDEN)).astype(np.float32),
        rng.uniform(-0.3, 0.3, HIDDEN).astype(np.float32),
    )
    folded = quantized({name: w * s, NORM: (1 + norm) / s - 1})
    for kind, found in (("gemma2", True), ("llama", False)):
        original = model(tmp_path / kind / "a", {name: w, NORM: norm}, {"model_type": kind})
        file = model(tmp_path / kind / "b", folded, {"model_type": kind})
        a = against(original, file, pair_up(original, file).of(name), detail="metrics")
        assert (a.fold is not None and a.fold.columns == pytest.approx(s, rel=1e-4)) == found
