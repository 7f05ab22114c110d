"""Plans, recipes and their words, for sweeps that are made up, are what they were before."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from quantviz.cli import main
from quantviz.cli import plan as command
from quantviz.planner import Rules, Times, parse_size, plan
from quantviz.planner import rules as ruling
from quantviz.planner.budget import UNITS, Budget, budget_of
from quantviz.planner.damage import GRADES, damages
from quantviz.planner.front import front
from quantviz.planner.milliseconds import seconds_of
from quantviz.planner.solve import solve
from quantviz.planner.table import options, table
from tests.recorded import interface, tried

from .frames import frame_of, made_up, row
from .plans import TENSORS

SCHEMES = ("int2-asym-b32", "int4-sym-b32", "int8-sym-b32")
HEADS = {"model.embed_tokens.weight": (512, 256), "lm_head.weight": (512, 256)}
EXPERTS = {
    f"model.layers.{i}.mlp.experts.{e}.{part}_proj.weight": (64, 256)
    for i in range(2)
    for e in range(3)
    for part in ("up", "gate")
}
STACKED = {f"blk.0.ffn_up_exps.weight[{e}]": (64, 256) for e in range(3)} | {"blk.0.attn_q.weight": (256, 256)}


def told(made) -> dict | str:
    """A plan, without the seconds that it took."""
    if isinstance(made, str):
        return made
    record = made.record() | {"columns": list(made.frame)}
    lines = [[line["scheme"], line["bits"], line["damage"], line["seconds"]] for line in record.pop("tensors")]
    record["lines"] = {str(i): line for i, line in enumerate(lines[:8])}
    del record["seconds"]
    return record


RULES = {
    "none": Rules(),
    "allow": Rules(allow=SCHEMES[:2]),
    "one": Rules(allow=SCHEMES[1:2]),
    "keep": Rules(keep=("down_proj", "layers.0.self_attn")),
    "share": Rules(share=("qkv", "gate-up")),
    "pattern": Rules(share=("self_attn", "layers.1")),
    "experts": Rules(share=("experts",)),
    "floor": Rules(floor=4),
    "floor of a scheme": Rules(floor="int8-sym-b32"),
    "floor of text": Rules(floor="4.5"),
    "all": Rules(keep=("embed_tokens",), share=("qkv", "experts"), floor="int4-sym-b32"),
}


@pytest.mark.parametrize("name", RULES)
def test_plans_under_every_rule(name, kept):
    frame = made_up(TENSORS | HEADS | EXPERTS, SCHEMES)
    for budget in ({"bits": 5}, {"nbytes": "1.5MB"}):
        kept(told(tried(plan, frame, rules=RULES[name], **budget)))
    one = plan(frame, bits=8.5 if name not in ("allow", "one") else 4.5) if "keep" not in name else None
    kept(one and [one.gain(a) for a in one.uniform] + [one.best_uniform and one.best_uniform.name])


def test_which_tensors_share_a_scheme(kept):
    for names in (
        TENSORS | HEADS | EXPERTS,
        STACKED,
        {
            "blk.1.ffn_up_shexp.weight": (32, 32),
            "blk.1.ffn_gate.weight": (32, 32),
            "blk.1.ffn_up.weight": (32, 32),
            "other.weight": (32, 32),
        },
    ):
        tensors = table(made_up(names, SCHEMES[:1]), "weights").tensors
        nothing = np.zeros(len(tensors), bool)
        for share in ((), ("qkv",), ("gate-up",), ("experts",), ("qkv", "gate-up", "experts")):
            kept(dict(zip(tensors["tensor"], Rules(share=share).items(tensors, nothing).tolist(), strict=True)))
    kept(
        [
            ruling.means(pattern, "model.layers.0.mlp.down_proj.weight")
            for pattern in (
                "layers.0",
                "layers.*",
                "down",
                "down_proj",
                ".mlp.",
                "proj",
                "*",
                "model",
                "weight",
                "layers.0.mlp.down_proj",
            )
        ]
    )


def test_damages_of_every_grade(kept):
    frame = frame_of(
        row(
            name,
            shape,
            scheme,
            error,
            squared=squared,
            weighted_squared_error=weighted,
            importance=importance,
            joint_output_relative_error=joint,
            output_relative_error=own,
        )
        for at, (name, shape) in enumerate((TENSORS | HEADS).items())
        for scheme, error, squared, weighted, importance, joint, own in (
            ("int2-asym-b32", 8.0 + at, 64.0, 3.0 * at, 50.0, np.nan, 0.5),
            ("int4-sym-b32", 1.0, 64.0 + at, np.nan, np.nan, 0.1, 0.4),
            ("int8-sym-b32", 0.0, 64.0, 0.0, 9.0, np.nan, np.nan),
            ("int6-sym-b32", 1.0, 0.0, 1.0, 0.0, np.nan, np.nan),
        )
    )
    for grade in GRADES:
        kept(tried(damages, frame, grade))
    kept(tried(damages, frame, "wights"))
    names = list(TENSORS)

    for by, units in (
        ("tensor", names[:9]),
        ("layer", ["layer 0", "layer 1", "layer 2"]),
        ("role", ["mlp up", "mlp down"]),
    ):
        for schemes in (SCHEMES[:1], SCHEMES[1:]):
            rows = [
                {"by": by, "unit": unit, "scheme": s, "kl_mean": 0.01 * (at + 1) * (0.5 if s == SCHEMES[1] else 2)}
                for at, unit in enumerate(units)
                for s in schemes
            ]
            found = tried(damages, made_up(TENSORS, SCHEMES), "kl", pd.DataFrame(rows))
            kept(
                found
                if isinstance(found, str)
                else {
                    "known": int((~np.isnan(found)).sum()),
                    "sum": float(np.nansum(found)),
                    "some": found[:12],
                    "rest": found[12:24],
                }
            )


def test_budgets(kept):
    kept([tried(parse_size, f"{number}{unit}") for unit in (*UNITS, "mb", "kib", "q") for number in ("1.5", "20 ")])
    for budget in (
        Budget("bits", 4.5, 1000),
        Budget("size", 5e6, 1000, 300),
        Budget("ms", 2.5, 1000),
        Budget("bits", 0, 9),
    ):
        for least, most in ((0.0, 1e9), (0.002, 0.003), (1e10, 1e11), (4500.0, 4500.0), (0.0025, 0.0025), (0.0, 0.0)):
            kept([budget.cost, budget.text(), budget.text(1234.5), tried(budget.check, least, most)])
    for given in (
        (4.5, None, None),
        (None, "5MB", None),
        (None, 5e6, None),
        (None, None, 3),
        (1, 2, None),
        (None,) * 3,
    ):
        kept(str(tried(budget_of, *given, 1000, 77)))


def test_milliseconds(kept):
    frame = made_up(TENSORS | HEADS | EXPERTS, SCHEMES)
    shapes = {(r, c) for r, c in frame[["rows", "cols"]].itertuples(index=False)}
    speed = {"int2-asym-b32": 1e-9, "int4-sym-b32": 2e-9, "bf16": 8e-9}
    times = Times(
        {(r, c, s): r * c * per for r, c in shapes for s, per in speed.items()},
        {(256, 256, "int8-sym-b32"): "Nothing multiplies it.", (64, 256, "int8-sym-b32"): "Nothing multiplies it."},
    )

    class Model:
        def __init__(self, **config):
            self.config = config

    t = table(frame, "weights")
    for rules in (Rules(), Rules(keep=("down_proj",)), Rules(allow=SCHEMES[:2])):
        for model in (
            None,
            Model(num_experts_per_tok=2, num_experts=8),
            Model(text_config={"top_k": 1, "n_routed_experts": 4}),
            Model(num_experts_per_tok=0, num_experts=8),
            Model(num_experts_per_tok=True, num_experts=8),
        ):
            seconds, said = seconds_of(t, times, rules, model)
            kept([np.nan_to_num(seconds, nan=-1.0).sum(axis=0), *said])
    for ms in (3.0, 4.0, 9.0):
        kept(told(tried(plan, frame, ms=ms, times=times, rules=Rules(keep=("down_proj",)))))


def test_the_front_and_the_solution(kept):
    rng = np.random.default_rng(5)
    cost = rng.integers(1, 40, (12, 5)).astype(float) * 8
    damage = 100 / cost * rng.uniform(0.5, 2, cost.shape)
    cost[2, 1:], damage[2, 1:], cost[5, 2], damage[5, 2] = np.nan, np.nan, np.nan, np.nan
    for scale in (1.0, np.pi):
        curve = front(cost * scale, damage)
        kept([curve.cost, curve.damage, curve.start, curve.item, curve.option])
        least, most = np.nanmin(cost, axis=1).sum() * scale, np.nanmax(cost, axis=1).sum() * scale
        for budget in np.linspace(least, most, 7):
            found = solve(cost * scale, damage, budget)
            kept(
                [
                    found.choice if scale == 1 else 0,
                    found.cost,
                    found.damage,
                    found.bound,
                    found.greedy,
                    found.gap,
                    curve.price(budget),
                    curve.bound(budget),
                    curve.steps_within(budget),
                    curve.filled(budget),
                ]
            )


def test_what_the_options_leave(kept):
    frame = made_up(TENSORS | HEADS, SCHEMES)
    for name, rules in RULES.items():
        t = table(frame, "weights")
        o = tried(options, t, rules, "weights")
        kept(
            o
            if isinstance(o, str)
            else {
                "rules": name,
                "item": o.item,
                "kept": o.kept,
                "bits": np.nansum(o.bits, axis=0),
                "names": o.names,
                "none": np.isnan(o.cost).sum(axis=0),
                "damage": np.nansum(o.damage, axis=0),
                "shape": t.shape(1),
            }
        )


ASKED = {
    "bits": ["--bits", "5"],
    "size": ["--size", "500kB"],
    "keep": ["--bits", "6", "--keep", "down_proj"],
    "recipe": ["--bits", "6", "--export", "quantviz"],
    "json": ["--bits", "5", "--json"],
    "few": ["--bits", "1"],
    "floor": ["--bits", "6", "--floor", "8"],
    "share": ["--bits", "5", "--share", "qkv,layers.0"],
    "kl": ["--bits", "5", "--damage", "kl"],
    "output": ["--bits", "5", "--damage", "output"],
}


@pytest.mark.parametrize("name", ASKED)
def test_the_command(name, kept, monkeypatch, capsys):
    frame = made_up(TENSORS | HEADS, SCHEMES)
    monkeypatch.setattr(command, "_read_sweep", lambda path: (frame, "/not/there"))
    status = main(["plan", "x.parquet", *ASKED[name]])
    said = capsys.readouterr()
    lines = {i: line for i, line in enumerate(said.out.splitlines()) if '"seconds"' not in line}
    kept([status, said.err, dict(list(lines.items())[:45])])


def test_the_interface(kept):
    kept(interface("planner"))
