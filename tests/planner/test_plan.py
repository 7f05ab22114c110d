"""Plans: damages, budgets, rules, what they are held against, and every sentence for bad input."""

from __future__ import annotations

import json
from collections.abc import Iterator

import numpy as np
import pandas as pd
import pytest

import quantviz as qv
from quantviz import throughput
from quantviz.errors import QuantvizError
from quantviz.planner import Rules, Times, parse_size, plan
from quantviz.planner.damage import damages, grades_of
from quantviz.planner.milliseconds import measure

from .frames import demo, frame_of, made_up, row
from .plans import TENSORS

SCHEMES = ("int2-asym-b32", "int4-sym-b32", "int8-sym-b32")
HEADS = {"model.embed_tokens.weight": (512, 256), "lm_head.weight": (512, 256)}


def schemes(made, part: str = "") -> dict[str, str]:
    return {line.tensor: line.scheme for line in made.lines if part in line.tensor}


def sum_kl(frame: pd.DataFrame, by: str, units: dict[str, float], scheme: str = "int4-sym-b32") -> pd.DataFrame:
    return pd.DataFrame({"by": by, "unit": list(units), "scheme": scheme, "kl_mean": list(units.values())})


# -- damage --------------------------------------------------------------------------------------


def test_error_of_the_weights_is_relative_and_counts_each_weight() -> None:
    frame = frame_of(
        [row("a.weight", (4, 8), s, e, squared=64.0) for s, e in zip(SCHEMES, (8.0, 2.0, 0.0), strict=True)]
    )
    assert damages(frame, "weights").tolist() == [4.0, 1.0, 0.0]
    nothing = frame_of([row("a.weight", (4, 8), "int4-sym-b32", 0.0, squared=0.0)])  # all weights are 0
    assert damages(nothing, "weights").tolist() == [0.0]


def test_error_of_outputs_is_that_of_weights_where_all_inputs_are_alike() -> None:
    alike = row("a.weight", (4, 8), "int4-sym-b32", 2.0, squared=64.0, weighted_squared_error=6.0, importance=3.0 * 32)
    worse = alike | {"tensor": "b.weight", "weighted_squared_error": 12.0}
    unseen = row("c.weight", (4, 8), "int4-sym-b32", 2.0, squared=64.0)
    assert damages(frame_of([alike, worse, unseen]), "output").tolist() == [1.0, 2.0, 1.0]
    with pytest.raises(QuantvizError, match="without importance"):
        damages(frame_of([unseen]), "output")


def test_error_of_outputs_over_a_calibration_is_that_held_out_and_of_weights_where_nothing_is_known() -> None:
    told = row("a.weight", (4, 8), "int4-sym-b32", 2.0, squared=64.0, output_relative_error=0.5)
    apart = told | {"tensor": "b.weight", "heldout_output_relative_error": 0.25}
    acting = apart | {"tensor": "c.weight", "joint_output_relative_error": 1.0}
    unseen = row("d.weight", (4, 8), "int4-sym-b32", 2.0, squared=64.0)
    frame = frame_of([told, apart, acting, unseen])
    assert damages(frame, "calibrated").tolist() == [8.0, 2.0, 32.0, 1.0]
    assert grades_of(frame) == ("weights", "calibrated") and grades_of(frame_of([unseen])) == ("weights",)
    assert plan(frame, bits=6, damage="calibrated").damage == 43.0
    with pytest.raises(QuantvizError, match="without a calibration"):
        damages(frame_of([unseen]), "calibrated")


def test_the_head_counts_as_all_layers() -> None:
    names = ("model.embed_tokens.weight", "model.layers.0.mlp.up_proj.weight", "model.layers.0.mlp.down_proj.weight")
    tied = frame_of([row(name, (4, 8), "int4-sym-b32", 2.0, squared=64.0) for name in names])
    assert damages(tied, "weights").tolist() == [2.0, 1.0, 1.0]
    apart = frame_of([*tied.to_dict("records"), row("lm_head.weight", (2, 8), "int4-sym-b32", 1.0, squared=32.0)])
    assert damages(apart, "weights").tolist() == [1.0, 1.0, 1.0, 2.0]
    assert damages(apart[apart["role"] == "head"], "weights").tolist() == [0.5]  # nothing to count as


def test_kl_is_shared_out_and_carried_over_by_the_squared_error() -> None:
    names = ("model.layers.0.mlp.up_proj.weight", "model.layers.0.mlp.down_proj.weight")
    frame = frame_of([
        row(name, (4, 8), s, error * times, squared=32.0)
        for name, error in zip(names, (1.0, 3.0), strict=True) for s, times in zip(SCHEMES, (16, 1, 0.25), strict=True)
    ])  # fmt: skip
    by_tensor = damages(frame, "kl", sum_kl(frame, "tensor", {names[0]: 0.01, "blk.0.ffn_down.weight": 0.02}))
    np.testing.assert_allclose(by_tensor, [0.16, 0.01, 0.0025, 0.32, 0.02, 0.005])
    by_layer = damages(frame, "kl", sum_kl(frame, "layer", {"layer 0": 0.04}))
    np.testing.assert_allclose(by_layer, [0.16, 0.01, 0.0025, 0.48, 0.03, 0.0075])
    by_role = damages(frame, "kl", sum_kl(frame, "role", {"mlp up": 0.01}))
    assert np.isnan(by_role[3:]).all() and by_role[1] == pytest.approx(0.01)
    with pytest.raises(QuantvizError, match="no sensitivity for model.layers.0.mlp.down_proj.weight"):
        plan(frame, bits=5, damage="kl", sensitivity=sum_kl(frame, "role", {"mlp up": 0.01}))
    with pytest.raises(QuantvizError, match="--sensitivity FILE"):
        plan(frame, bits=5, damage="kl")
    with pytest.raises(QuantvizError, match="share no unit"):
        plan(frame, bits=5, damage="kl", sensitivity=sum_kl(frame, "role", {"head": 0.01}))


# -- budgets -------------------------------------------------------------------------------------


def test_sizes_are_of_1000_or_1024() -> None:
    assert [parse_size(t) for t in ("4.2GB", "1 GiB", "7kB", "12b")] == [4.2e9, 2.0**30, 7000.0, 12.0]
    for wrong in ("", "4.2", "GB", "4 apples", "-1GB", "1e9B"):
        with pytest.raises(QuantvizError, match="is no size"):
            parse_size(wrong)


def test_a_budget_is_kept_and_what_is_impossible_is_said() -> None:
    frame = made_up(TENSORS, SCHEMES)
    for bits in (3.0, 4.5, 6.2, 8.5):
        made = plan(frame, bits=bits)
        assert made.bits_per_weight <= bits
        assert made.damage == pytest.approx(sum(line.damage for line in made.lines))
        assert made.solution.gap < 1e-3
    assert plan(frame, bits=4.5).nbytes == plan(frame, bits=4.5).bits / 8
    for wrong, message in (
        ({"bits": 2.5}, "2.5 bits per weight is below the smallest plan .* 2.5625 bits per weight"),
        ({"bits": 9}, "above the largest plan .* 8.5 bits per weight"), ({"bits": 0}, "buys nothing"),
        ({"nbytes": "10kB"}, "below the smallest"), ({}, "needs one budget"),
        ({"bits": 4, "ms": 3}, "needs one budget"),
        ({"bits": float("nan")}, "buys nothing"),
    ):  # fmt: skip
        with pytest.raises(QuantvizError, match=message):
            plan(frame, **wrong)


def test_a_size_counts_the_rest_of_the_file_where_the_model_is_known() -> None:
    model, frame = qv.open_model("demo"), demo(("int4-sym-b32", "int8-sym-b32"))
    rest = sum(info.nbytes for info in model.tensors if len(info.shape) == 1)
    made = plan(frame, nbytes="2.5MB", model=model)
    assert made.rest == rest and made.nbytes <= 2.5e6 and made.nbytes == made.bits / 8 + rest
    assert made.others == ()
    alone = plan(frame, nbytes=2.5e6)
    assert alone.rest is None and "the size counts the tensors of the sweep alone" in alone.notices[-1]


def test_milliseconds_count_what_is_multiplied() -> None:
    frame = made_up(TENSORS | HEADS, SCHEMES)
    shapes = {(r, c) for r, c in frame[["rows", "cols"]].itertuples(index=False)}
    speed = {"int2-asym-b32": 1e-9, "int4-sym-b32": 2e-9}
    times = Times({(r, c, s): r * c * per for r, c in shapes for s, per in speed.items()},
                  {(r, c, "int8-sym-b32"): "No kernel multiplies it." for r, c in shapes})  # fmt: skip
    multiplied = sum(r * c for name, (r, c) in (TENSORS | HEADS).items() if "embed" not in name)
    made = plan(frame, ms=1.5e-6 * multiplied, times=times)
    assert made.milliseconds <= 1.5e-6 * multiplied * (1 + 1e-12)
    assert set(schemes(made, "layers").values()) == {"int2-asym-b32", "int4-sym-b32"}
    assert schemes(made, "embed") == {"model.embed_tokens.weight": "int8-sym-b32"}  # looked up, which takes no time
    assert "Not to be chosen by time: int8-sym-b32. No kernel multiplies it." in made.notices
    with pytest.raises(QuantvizError, match="below the smallest plan"):
        plan(frame, ms=0.9e-6 * multiplied, times=times)
    with pytest.raises(QuantvizError, match="no kernel here multiplies"):
        plan(frame, ms=1, times=times, rules=Rules(allow=("int8-sym-b32",)))
    tied = frame[frame["tensor"] != "lm_head.weight"]  # then the embedding does the head's work
    with pytest.raises(QuantvizError, match="above the largest plan"):
        plan(tied, ms=2.1e-6 * multiplied, times=times)
    with pytest.raises(QuantvizError, match="stays bfloat16, and how fast that is multiplied here is unknown"):
        plan(frame, ms=1, times=times, rules=Rules(keep=("lm_head",)))


def test_times_are_those_of_the_linear_workload(monkeypatch: pytest.MonkeyPatch) -> None:
    asked, told = [], []

    def timed(work: throughput.Plan) -> Iterator[throughput.Event]:
        asked.append((work.device, work.workloads, work.schemes, work.layer, work.batch, work.bandwidth))
        yield throughput.Doing("linear: packing and checking int4-sym-b32", 0, 2)
        yield throughput.Refused("linear", "q4_0", "No kernel.")
        yield throughput.Doing("linear: measuring", 0, work.rounds)
        yield throughput.Measurement("linear", "int4-sym-b32", work.layer, 1, "cpu", median_s=work.layer[0] / 1e6)

    monkeypatch.setattr(throughput, "run", timed)
    schemes = ("int4-sym-b32", "q4_0")
    found = measure([(64, 128), (128, 64), (64, 128)], schemes, "cpu", lambda *said: told.append(said))
    assert asked == [("cpu", ("linear",), schemes, shape, 1, False) for shape in ((64, 128), (128, 64))]
    assert found.seconds == {(64, 128, "int4-sym-b32"): 64e-6, (128, 64, "int4-sym-b32"): 128e-6}
    assert found.refused == {(64, 128, "q4_0"): "No kernel.", (128, 64, "q4_0"): "No kernel."}
    assert told[0] == ("timing layers of 64 × 128", 0, 12) and told[-1] == ("timing layers of 128 × 64", 7, 12)


def test_what_progress_raises_stops_the_timing() -> None:
    def stop(what: str, done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        measure([(64, 128)], ("int4-sym-b32",), "cpu", stop)


def test_a_token_meets_some_experts_of_a_layer() -> None:
    experts = {f"model.layers.0.mlp.experts.{e}.{p}_proj.weight": (64, 64) for e in range(4) for p in ("up", "down")}
    frame = made_up(experts, ("int4-sym-b32", "int8-sym-b32"))
    times = Times({(64, 64, "int4-sym-b32"): 1e-3, (64, 64, "int8-sym-b32"): 2e-3})

    class Model:
        ref, tensors, config, packed_as, metadata = (
            "a mixture",
            (),
            {"num_experts_per_tok": 2, "num_experts": 4},
            (),
            {},
        )

    assert plan(frame, ms=8.0, times=times).milliseconds == pytest.approx(8.0)
    made = plan(frame, ms=8.0, times=times, model=Model())
    assert set(schemes(made).values()) == {"int8-sym-b32"} and made.milliseconds == pytest.approx(8.0)
    assert any("2 of 4 experts" in notice for notice in made.notices)


# -- rules ---------------------------------------------------------------------------------------


def test_tensors_that_share_get_one_scheme() -> None:
    frame = made_up(TENSORS, SCHEMES, seed=3)
    free = plan(frame, bits=5)
    made = plan(frame, bits=5, rules=Rules(share=("qkv", "gate-up")))
    for layer in range(3):
        for parts in (("q_proj", "k_proj", "v_proj"), ("gate_proj", "up_proj")):
            given = {s for name, s in schemes(made, f"layers.{layer}.").items() if any(p in name for p in parts)}
            assert len(given) == 1
    assert made.damage >= free.damage and made.bits_per_weight <= 5
    assert len(set(schemes(plan(frame, bits=5, rules=Rules(share=("o_proj", "layers.0.mlp"))), "o_proj").values())) == 1


def test_experts_of_a_layer_share_and_those_in_one_tensor_always_do() -> None:
    experts = {f"model.layers.{i}.mlp.experts.{e}.{p}_proj.weight": (64, 64)
               for i in range(2) for e in range(4) for p in ("up", "down")}  # fmt: skip
    made = plan(made_up(experts, SCHEMES, seed=1), bits=4.5, rules=Rules(share=("experts",)))
    assert all(len(set(schemes(made, f"layers.{i}.").values())) == 1 for i in range(2))
    assert len(set(schemes(plan(made_up(experts, SCHEMES, seed=1), bits=4.5), "layers.0.").values())) > 1
    stacked = {
        f"blk.{i}.ffn_{p}_exps.weight[{e}]": (64, 64) for i in range(2) for e in range(4) for p in ("up", "down")
    }
    made = plan(made_up(stacked, SCHEMES, seed=1), bits=4.5)
    for i, p in ((0, "up"), (1, "down")):
        assert len(set(schemes(made, f"blk.{i}.ffn_{p}_exps").values())) == 1


def test_kept_tensors_count_as_they_are_stored() -> None:
    made = plan(made_up(TENSORS, SCHEMES), bits=8, rules=Rules(keep=("layers.1.mlp", "q_proj")))
    kept = [line for line in made.lines if not line.scheme]
    assert len(kept) == 3 + 3 and all(line.bits == 16 * line.weights and line.damage == 0 for line in kept)


def test_allowed_schemes_alone_are_chosen() -> None:
    made = plan(made_up(TENSORS, SCHEMES), bits=6, rules=Rules(allow=("int8-sym-b32:scale=fp16", "int4-b32")))
    assert set(schemes(made).values()) == {"int4-sym-b32", "int8-sym-b32"}


def test_a_floor_binds_embeddings_and_head_alone() -> None:
    frame = made_up(TENSORS | HEADS, SCHEMES)
    assert plan(frame, bits=8, rules=Rules(keep=("embed_tokens", "lm_head"))).notices == ()
    for floor in (4, "4.5", "int4-sym-b32"):
        made = plan(frame, bits=4, rules=Rules(floor=floor))
        assert "int2-asym-b32" not in {s for name, s in schemes(made).items() if name in HEADS}
        assert "int2-asym-b32" in schemes(made).values() and made.notices == ()
        assert made.uniform[0].name == "int2-asym-b32"  # its embeddings at the floor
    with pytest.raises(QuantvizError, match="For lm_head.weight no scheme is left"):
        plan(frame, bits=4, rules=Rules(floor=9))


def test_rules_that_mean_nothing_are_refused() -> None:
    frame = made_up(TENSORS, SCHEMES)
    for rules, message in (
        (Rules(allow=("int5-sym-b32",)), "no figures for int5-sym-b32; it has int2"),
        (Rules(allow=("int44",)), "is no scheme"),
        (Rules(keep=("down_prj",)), "No tensor of the sweep matches 'down_prj'.*Did you mean down_proj"),
        (Rules(keep=("",)), "No tensor of the sweep matches ''"),
        (Rules(share=("qvk",)), "The groups are qkv, gate-up, experts. Did you mean qkv"),
        (Rules(floor="int44"), "is no scheme"),
    ):
        with pytest.raises(QuantvizError, match=message):
            plan(frame, bits=5, rules=rules if "floor" not in message else rules)
            plan(made_up(TENSORS | HEADS, SCHEMES), bits=5, rules=rules)
    with pytest.raises(QuantvizError, match="no damage 'weight'.*Did you mean weights"):
        plan(frame, bits=5, damage="weight")


def test_refused_rows_are_no_options() -> None:
    frame = made_up(TENSORS, SCHEMES)
    refused = (frame["scheme"] == "int2-asym-b32") & frame["tensor"].str.contains("up_proj")
    frame.loc[refused, "refused"] = "its rows are too short."
    made = plan(frame, bits=4)
    assert "int2-asym-b32" not in schemes(made, "up_proj").values()
    assert "int2-asym-b32" not in [a.name for a in made.uniform]
    frame.loc[frame["tensor"].str.contains("0.mlp.up_proj"), "refused"] = "holds NaN."
    with pytest.raises(QuantvizError, match=r"For model.layers.0.mlp.up_proj.weight no scheme is left.*holds NaN"):
        plan(frame, bits=4)
    assert plan(frame, bits=4.5, rules=Rules(keep=("layers.0.mlp.up_proj",))).lines


def test_a_group_without_a_common_scheme_is_named() -> None:
    frame = made_up(TENSORS, ("int4-sym-b32", "int8-sym-b32"))
    for part, scheme in (("0.mlp.up_proj", "int4-sym-b32"), ("0.mlp.gate_proj", "int8-sym-b32")):
        frame.loc[frame["tensor"].str.contains(part) & (frame["scheme"] == scheme), "refused"] = "no."
    with pytest.raises(QuantvizError, match="No scheme fits all of .*gate_proj.*up_proj"):
        plan(frame, bits=6, rules=Rules(share=("gate-up",)))


def test_tables_that_are_no_sweep_are_refused() -> None:
    frame = made_up(TENSORS, SCHEMES)
    for wrong, message in (
        (pd.DataFrame({"a": [1]}), "no sweep's table"), (frame.drop(columns="bits"), "no column bits"),
        (frame.iloc[:0], "holds no tensor"), (pd.concat([frame, frame]), "twice"),
    ):  # fmt: skip
        with pytest.raises(QuantvizError, match=message):
            plan(wrong, bits=4)


# -- what it is held against ---------------------------------------------------------------------


def test_a_plan_is_never_worse_than_the_best_uniform_scheme() -> None:
    frame = made_up(TENSORS, SCHEMES)
    for bits in (3.1, 4.5, 7.0):
        made = plan(frame, bits=bits)
        best = made.best_uniform
        assert best.cost <= bits * made.weights and made.damage <= best.damage * (1 + 1e-9)
        assert made.gain(best) == pytest.approx(1 - made.damage / best.damage)
    assert [a.name for a in made.uniform] == list(SCHEMES)


def test_mixes_of_llama_cpp_are_there_where_their_types_were_swept() -> None:
    model = qv.open_model("demo")
    names = {info.name: info.shape for info in model.tensors if len(info.shape) == 2}
    frame = made_up(names, ("q4_0", "q4_k", "q6_k"))
    made = plan(frame, bits=5.2, model=model)
    found = {a.name: a for a in made.mixes}
    assert {"q4_k_m", "q4_0", "q6_k"} <= set(found)
    expected = qv.published.mixes.recipe(model, "q4_k_m")
    assert found["q4_k_m"].bits == 8 * sum(line.nbytes for line in expected.lines if len(line.shape) == 2)
    assert made.best_mix.cost <= 5.2 * made.weights and made.damage <= made.best_mix.damage
    few = plan(demo(("int4-sym-b32", "int8-sym-b32")), bits=5, model=model)
    assert few.mixes == () and "q4_k_m" in few.notices[-1]


def test_a_plan_is_one_json_document() -> None:
    made = plan(made_up(TENSORS, SCHEMES), bits=5)
    document = json.loads(json.dumps(made.record(), allow_nan=False))
    assert document["bits_per_weight"] <= 5 and len(document["tensors"]) == len(TENSORS)
    assert document["best_uniform"]["name"] == "int4-sym-b32" and document["gap"] < 1e-3
    assert set(made.frame["tensor"]) == set(TENSORS) and (made.points["damage"].diff().dropna() < 0).all()
