"""Cheap grades held against the dear one: ranks as SciPy has them, intervals that hold, tensors matched by meaning."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from quantviz.errors import QuantvizError
from quantviz.quality.passage import Passage
from quantviz.quality.scoring import ratio_of_sums
from quantviz.quality.session import open_session, text_of
from quantviz.schemes import Scheme
from quantviz.sensitivity import GRADES, agreement
from quantviz.sensitivity.agreement import interval, spearman
from quantviz.sensitivity.trials import Trials
from tests.sensitivity.made_up import TENSORS, WEIGHTS, sensitivity_frame, sensitivity_row, sweep_frame


def random_kl(seed: int = 1) -> dict[str, float]:
    return dict(zip(TENSORS, np.random.default_rng(seed).random(len(TENSORS)).tolist(), strict=True))


def test_rank_correlations_are_scipys() -> None:
    random = np.random.default_rng(0)
    for count in (2, 3, 10, 100):
        x, y = random.integers(0, 12, count).astype(float), random.standard_normal(count)
        y[: count // 2] = x[: count // 2]
        assert spearman(x, y) == pytest.approx(stats.spearmanr(x, y).statistic, abs=1e-14)
    assert math.isnan(spearman(np.ones(4), np.arange(4.0))) and math.isnan(spearman(np.ones(1), np.ones(1)))


def test_intervals_cover_the_true_correlation() -> None:
    random, true = np.random.default_rng(3), 0.7
    expected = 6 / math.pi * math.asin(true / 2)  # Spearman's rho of a bivariate normal
    hits, draws, count = 0, 1000, 28
    for _ in range(draws):
        x, e = random.standard_normal((2, count))
        low, high = interval(spearman(x, true * x + math.sqrt(1 - true**2) * e), count)
        hits += low < expected < high
    assert 0.92 < hits / draws < 0.98
    assert interval(1.0, 10) == (1.0, 1.0) and all(map(math.isnan, interval(0.5, 3)))


def test_grades_come_from_the_sums_and_sqnr_ranks_as_the_relative_error_does() -> None:
    sweep, kl = sweep_frame(), random_kl()
    found = agreement(sweep, sensitivity_frame(kl))
    points, by = found.points.set_index("unit"), found.correlations.set_index("grade")
    assert found.by == "tensor" and found.left_out == 0 and list(by.index) == list(GRADES)
    first, row = points.loc[TENSORS[0]], sweep.iloc[0]
    share = row["squared_error"] / row["squared"]
    assert first["relative_l2_error"] == math.sqrt(share) and first["sqnr_db"] == -10 * math.log10(share)
    assert first["relative_error_by_size"] == WEIGHTS * share and first["role"] == "attention q"
    assert by.loc["squared_error", "spearman"] == pytest.approx(
        stats.spearmanr(sweep["squared_error"], list(kl.values())).statistic, abs=1e-14
    )
    assert by.loc["sqnr_db", "spearman"] == pytest.approx(by.loc["relative_l2_error", "spearman"], abs=1e-14)
    assert (by["low"] < by["spearman"]).all() and (by["spearman"] < by["high"]).all()
    without = agreement(sweep_frame(weighted=False), sensitivity_frame(kl)).correlations
    assert "weighted_squared_error" not in set(without["grade"])


def test_tensors_are_matched_whoever_named_them() -> None:
    names = {"blk.0.attn_q.weight": "model.layers.0.self_attn.q_proj.weight",
             "model.layers.0.mlp.up_proj.weight": "blk.0.ffn_up.weight"}  # fmt: skip
    found = agreement(sweep_frame(list(names)), sensitivity_frame(dict.fromkeys(names.values(), 1.0)))
    assert sorted(found.points["unit"]) == sorted(names.values())


def test_experts_and_fused_tensors_take_the_sums_of_their_parts() -> None:
    experts = [f"model.layers.0.mlp.experts.{n}.{p}_proj.weight" for n in range(2) for p in ("gate", "up")]
    downs = [f"model.layers.0.mlp.experts.down_proj[{n}]" for n in range(2)]
    sweep = sweep_frame([*experts, *downs])
    fused, down = "model.layers.0.mlp.experts.gate_up_proj", "model.layers.0.mlp.experts.down_proj"
    dear = pd.DataFrame([
        sensitivity_row(fused, 1.0, weights=4 * WEIGHTS), sensitivity_row(down, 2.0, weights=2 * WEIGHTS)
    ])  # fmt: skip
    points = agreement(sweep, dear).points.set_index("unit")
    assert points.loc[fused, "squared_error"] == pytest.approx(sweep["squared_error"][:4].sum(), rel=1e-15)
    assert points.loc[down, "squared_error"] == pytest.approx(sweep["squared_error"][4:].sum(), rel=1e-15)
    partial = agreement(sweep.iloc[1:], dear)  # an expert that was not swept
    assert list(partial.points["unit"]) == [down] and partial.left_out == 1


def test_roles_layers_and_several_schemes() -> None:
    schemes = ("int4-sym-b32", "int8-sym-b32")
    sweep = sweep_frame(schemes=schemes)
    rows = [
        sensitivity_row(f"layer {n}", n + 1.0, scheme, by="layer", weights=5 * WEIGHTS, tensors=5)
        for n in range(4) for scheme in schemes
    ]  # fmt: skip
    found = agreement(sweep, pd.DataFrame(rows))
    own = sweep[sweep["scheme"] == schemes[1]]["squared_error"][:5]
    (point,) = found.points.query("unit == 'layer 0' and scheme == 'int8-sym-b32'").to_dict("records")
    assert point["squared_error"] == pytest.approx(own.sum(), rel=1e-15)
    assert list(found.correlations["scheme"].unique()) == [*schemes, ""]
    assert set(found.correlations.query("scheme == ''")["units"]) == {8}


def test_what_cannot_be_compared_is_told() -> None:
    dear = sensitivity_frame(random_kl())
    with pytest.raises(QuantvizError, match="sweep lacks squared"):
        agreement(sweep_frame().drop(columns=["squared"]), dear)
    with pytest.raises(QuantvizError, match="sensitivity lacks by, unit"):
        agreement(sweep_frame(), sweep_frame())
    with pytest.raises(QuantvizError, match="share no unit"):
        agreement(sweep_frame(["other.weight"]), dear)
    with pytest.raises(QuantvizError, match="2 kinds of unit"):
        agreement(sweep_frame(), pd.concat([dear, sensitivity_frame({"mlp up": 1.0}, by="role")]))


def test_standard_errors_agree_with_the_spread_over_disjoint_texts() -> None:
    """128 windows as 32 texts of 4: the errors each text gives by itself, against how far the texts differ."""
    with open_session("demo", None, ("layers.3.mlp.down_proj",), device="cpu") as session:
        trials = Trials(session, Passage.of(session.opened, text_of(None), 4096, 32, "llama.cpp"))
        last = session.layers[-1]
        assert last.name.endswith("layers.3.mlp.down_proj.weight")
        trial = trials.run({last: Scheme.parse("int4-sym-b32")})
    texts = [ratio_of_sums(trial.kl[at : at + 4], trial.places[at : at + 4]) for at in range(0, 128, 4)]
    means, errors = map(np.array, zip(*texts, strict=True))
    assert 0.45 < means.var(ddof=1) / np.square(errors).mean() < 1.95  # 1 give or take 3.3 of its standard errors
    assert trial.kl_se > trial.figures.kl_mean_se  # which takes neighbouring tokens for independent


def test_errors_hold_where_tokens_of_a_window_are_alike_and_windows_differ_in_length() -> None:
    random, hits, draws, windows = np.random.default_rng(5), 0, 1000, 40
    for _ in range(draws):
        places = random.integers(20, 60, windows)
        sums = [(random.standard_normal() + random.standard_normal(n) + 3).sum() for n in places]
        mean, error = ratio_of_sums(np.array(sums), places)
        hits += abs(mean - 3) < 1.96 * error
    assert 0.92 < hits / draws < 0.97
