"""How fast plans are made, which damage goes with the KL divergence, and what plans gain.

    python -m tests.benchmarks.planner [--pays]

--pays      measures, on the demo model, each tensor alone under three schemes, and plans beside uniform schemes and
            q4_k_m at their sizes, for each grade of damage (some ten minutes on two cores)

What plans go by (importance, calibrations, the KL divergence of each tensor alone) is from the second half of the
demo's book, what they are held against from the first. A difference of KL divergences is paired over its windows, and
so is its standard error.
"""

from __future__ import annotations

import argparse
import os
import sys
import time

import numpy as np
import pandas as pd

import quantviz as qv
from quantviz.checkpoints.names.fused import canonical
from quantviz.planner import Rules, plan, recipe
from quantviz.quality.model.activations import collect_activations
from quantviz.quality.model.layers import Mixture
from quantviz.quality.passage import Passage
from quantviz.quality.scoring import ratio_of_sums
from quantviz.quality.session import open_session
from quantviz.quality.text.texts import calibration_text, demo_text
from quantviz.sensitivity.trials import Trial, Trials
from tests.planner.frames import frame_of, made_up, row

SHAPES = {
    "self_attn.q_proj": (4096, 4096), "self_attn.k_proj": (1024, 4096), "self_attn.v_proj": (1024, 4096),
    "self_attn.o_proj": (4096, 4096), "mlp.gate_proj": (14336, 4096), "mlp.up_proj": (14336, 4096),
    "mlp.down_proj": (4096, 14336),
}  # fmt: skip
MANY = tuple(f"int{bits}-{sym}-b{g}" for bits in (2, 3, 4, 6, 8) for sym in ("sym", "asym") for g in (32, 128))
SCHEMES = ("int2-asym-b32", "int3-sym-b32", "int3-asym-b64", "int4-sym-b32", "int4-asym-b64", "int5-sym-b32",
           "int6-sym-b32", "int8-sym-b32", "q3_k", "q4_k", "q5_k", "q6_k")  # fmt: skip
ALONE = ("int2-asym-b32", "int3-sym-b32", "int4-sym-b32")
CHEAP = ("weights", "output", "calibrated")
KINDS = (*((grade, None) for grade in (*CHEAP, "kl")), *((grade, "q6_k") for grade in CHEAP))  # grade, floor
TOKENS = 4096  # of the text that plans go by
SCORED = 13_824  # the first half of the book: 27 windows


def timing(budgets: tuple[float, ...] = (2.6, 3.1, 3.7, 4.5, 5.37, 6.2, 7.4), tensors: int = 300) -> None:
    """Models of 300 tensors under 20 schemes: seconds of a whole plan, the gap, and how far greedy is from it."""
    names = {
        f"model.layers.{i}.{part}.weight": shape for i in range(-(-tensors // 7)) for part, shape in SHAPES.items()
    }
    names = dict(list(names.items())[:tensors])
    print(f"{tensors} tensors x 20 schemes\nbits  rules         seconds  proven gap  greedy above")
    for rules in (Rules(), Rules(share=("qkv", "gate-up"))):
        for seed, bits in enumerate(budgets):
            frame = made_up(names, MANY, seed)
            began = time.perf_counter()
            made = plan(frame, bits=bits, rules=rules)
            took = time.perf_counter() - began
            above = made.solution.greedy / made.damage - 1
            print(f"{bits:<5} {','.join(rules.share) or '-':<13} {took:7.2f}  {made.solution.gap:10.1e}  {above:.1e}")


def known() -> dict[str, np.ndarray]:
    """Importance of the linear layers, by tensor."""
    acts = collect_activations("demo", calibration_text(), tokens=TOKENS, samples=1)
    return {name: acts.importance(name) for name in acts.sums}


def swept(importance: dict[str, np.ndarray]) -> pd.DataFrame:
    """The demo model's matrices under SCHEMES, with importance and with calibrations where there are such."""
    model, fed, rows = qv.open_model("demo"), qv.calibrate("demo", tokens=TOKENS), []
    for info in model.tensors:
        if len(info.shape) != 2:
            continue
        w = model.open(info.name)
        for s in SCHEMES:
            e = qv.evaluate(
                w, s, importance.get(info.name), detail="metrics",
                calibration=fed[info.name] if info.name in importance else None,
            )  # fmt: skip
            weighed = ("weighted_squared_error", "importance") if info.name in importance else ()
            others = {name: getattr(e.sums, name) for name in ("squared", *weighed)} | e.metrics
            rows.append(row(info.name, info.shape, e.scheme, e.sums.squared_error, w.stored_as, **others))
    return frame_of(rows)


def alone() -> pd.DataFrame:
    """What each tensor does alone."""
    found = qv.sensitivity("demo", ALONE, "tensor", text=calibration_text(), tokens=TOKENS)
    return pd.concat(list(found), ignore_index=True)


def divergence(tables: list[str], importance: dict[str, np.ndarray]) -> dict[str, Trial]:
    """The demo model under each table, over the first half of its book."""
    found = {}
    with open_session("demo", None, importance=importance) as session:
        trials = Trials(session, Passage.of(session.opened, demo_text(), SCORED, 512, "llama.cpp"))
        for table in tables:
            made = trials.run(Mixture.parse(table).assign(session.layers, session.targets), table)
            assert isinstance(made, Trial), made.reason
            found[table] = made
            print(".", end="", file=sys.stderr, flush=True)
    return found


def definitions(frame: pd.DataFrame, felt: pd.DataFrame) -> None:
    """How well what can be made of the sums goes with the KL divergence of single tensors."""
    d = felt[["unit", "scheme", "kl_mean"]].merge(frame, left_on=["unit", "scheme"], right_on=["tensor", "scheme"])
    relative = d.squared_error / d.squared
    weighted = d.weighted_squared_error
    candidates = {
        "Σe²": d.squared_error, "Σe²/n": d.squared_error / d.weights, "Σe²/Σx²": relative,
        "√n·Σe²/Σx²": np.sqrt(d.weights) * relative, "n·Σe²/Σx²": d.weights * relative, "Σh·e²": weighted,
        "n·Σh·e²/(mean(h)·Σx²)": d.weights * weighted / (d.importance / d.weights * d.squared),
        "n·‖Ex‖²/‖Wx‖²": d.weights * d.heldout_output_relative_error**2,
    }  # fmt: skip
    linear = weighted.notna()
    print("\nspread of ln(KL / damage), rank correlation: 28 linear layers x 3 schemes | with the embedding")
    for name, value in candidates.items():
        said = []
        for rows in (linear, value.notna()):
            logs = np.log(d.kl_mean[rows]), np.log(value[rows])
            said.append(f"{np.std(logs[0] - logs[1]):.2f} {logs[0].corr(logs[1], method='spearman'):.3f}")
        print(f"{name:<24} {said[0]} | {said[1] if not value.isna().any() else '-'}")


def held_against(frame: pd.DataFrame) -> dict[str, tuple[str, float]]:
    """Name -> the table of quality, and its bits a weight: two uniform schemes and llama.cpp's mix."""
    mix = qv.published.mixes.recipe(qv.open_model("demo"), "q4_k_m")
    spelled = {line.name: line.kind for line in mix.lines}
    names = frame["tensor"].unique()
    mixed = ";".join(f"{name.removesuffix('.weight')}={spelled[canonical(name).name]}" for name in names)
    weights = frame.drop_duplicates("tensor")["weights"].sum()
    found = {
        s: (f"model={s}", frame[frame["scheme"] == s]["bits"].sum() / weights) for s in ("int3-sym-b32", "int4-sym-b32")
    }
    bits = 8 * sum(line.nbytes for line in mix.lines if len(line.shape) == 2)
    return found | {"q4_k_m": (mixed, bits / weights)}


def pays(frame: pd.DataFrame, felt: pd.DataFrame, importance: dict[str, np.ndarray]) -> None:
    """Measured KL divergence of plans beside uniform schemes and q4_k_m of the same size, the embedding included."""
    held = held_against(frame)
    plans = {
        (at, grade, floor): plan(frame, bits=bits, damage=grade, sensitivity=felt, rules=Rules(floor=floor))
        for at, (_, bits) in held.items() for grade, floor in KINDS
    }  # fmt: skip
    tables = {key: recipe(made, "quantviz").text.strip() for key, made in plans.items()}
    got = divergence(list(dict.fromkeys([*(table for table, _ in held.values()), *tables.values()])), importance)
    weights = plans["q4_k_m", "kl", None].weights
    print("\nsize of      bits/weight  MB      damage      floor  KL divergence      less what it is held against")
    for at, (table, bits) in held.items():
        base = got[table]
        size = f"{bits:<12.4f} {bits * weights / 8e6:.4f}"
        print(f"{at:<12} {size} {'-':<18} {base.figures.kl_mean:.5f} ± {base.kl_se:.5f}")
        for grade, floor in KINDS:
            made, result = plans[at, grade, floor], got[tables[at, grade, floor]]
            less, error = ratio_of_sums(result.kl - base.kl, base.places)
            size = f"{made.bits_per_weight:<12.4f} {made.bits / 8e6:.4f}"
            ratio = result.figures.kl_mean / base.figures.kl_mean
            print(f"{'':<12} {size} {grade:<11} {floor or '-':<6} {result.figures.kl_mean:.5f} ± {result.kl_se:.5f}  "
                  f"{less:+.5f} ± {error:.5f} (×{ratio:.3f})", flush=True)  # fmt: skip


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--pays", action="store_true")
    asked = options.parse_args()
    print(f"{os.cpu_count()} processors; load {os.getloadavg()[0]:.1f}")
    timing()
    if asked.pays:
        importance = known()
        frame, felt = swept(importance), alone()
        definitions(frame, felt)
        pays(frame, felt, importance)


if __name__ == "__main__":
    main()
