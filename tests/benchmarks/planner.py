"""How fast plans are made, which damage goes with the KL divergence, and what plans gain.

    python -m tests.benchmarks.planner [--pays]

--pays      measures, on the demo model, each tensor alone under three schemes, and plans beside uniform schemes and
            q4_k_m at their sizes, for each grade of damage (some ten minutes on two cores)
"""

from __future__ import annotations

import argparse
import os
import sys
import time

import numpy as np
import pandas as pd

import quantviz as qv
from quantviz.planner import Rules, plan, recipe
from quantviz.quality.model.activations import collect_activations
from tests.planner.frames import frame_of, made_up, measured

SHAPES = {
    "self_attn.q_proj": (4096, 4096), "self_attn.k_proj": (1024, 4096), "self_attn.v_proj": (1024, 4096),
    "self_attn.o_proj": (4096, 4096), "mlp.gate_proj": (14336, 4096), "mlp.up_proj": (14336, 4096),
    "mlp.down_proj": (4096, 14336),
}  # fmt: skip
MANY = tuple(f"int{bits}-{sym}-b{g}" for bits in (2, 3, 4, 6, 8) for sym in ("sym", "asym") for g in (32, 128))
SCHEMES = ("int2-asym-b32", "int3-sym-b32", "int3-asym-b64", "int4-sym-b32", "int4-asym-b64", "int5-sym-b32",
           "int6-sym-b32", "int8-sym-b32", "q3_k", "q4_k", "q5_k", "q6_k")  # fmt: skip
ALONE = ("int2-asym-b32", "int3-sym-b32", "int4-sym-b32")
KINDS = (("weights", None), ("output", None), ("kl", None), ("weights", "q6_k"), ("output", "q6_k"))  # grade, floor
TOKENS = 4096


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


def swept() -> pd.DataFrame:
    model = qv.open_model("demo")
    names = [info.name for info in model.tensors if len(info.shape) == 2]
    acts = collect_activations("demo", tokens=TOKENS)
    known = {name: acts.importance(name) if name in acts.sums else None for name in names}
    return frame_of(measured(name, model.open(name), s, known[name]) for name in names for s in SCHEMES)


def divergence(tables: list[str]) -> dict[str, tuple[float, float]]:
    """KL divergence and its standard error where the result tells one."""
    found = {}
    for result in qv.measure_quality("demo", tables, tokens=TOKENS):
        if result.complete:
            found[result.scheme] = result
            print(".", end="", file=sys.stderr, flush=True)
    return found


def alone(frame: pd.DataFrame) -> pd.DataFrame:
    """What each tensor does alone, as a sensitivity's frame."""
    tables = {f"{name.removesuffix('.weight')}={s}": (name, s) for name in frame["tensor"].unique() for s in ALONE}
    got = divergence(list(tables))
    return pd.DataFrame(
        {"by": "tensor", "unit": name, "scheme": s, "kl_mean": got[key].kl_mean} for key, (name, s) in tables.items()
    )


def definitions(frame: pd.DataFrame, felt: pd.DataFrame) -> None:
    """How well what can be made of the sums goes with the KL divergence of single tensors."""
    d = felt.merge(frame, left_on=["unit", "scheme"], right_on=["tensor", "scheme"])
    relative = d.squared_error / d.squared
    weighted = d.weighted_squared_error
    candidates = {
        "Σe²": d.squared_error, "Σe²/n": d.squared_error / d.weights, "Σe²/Σx²": relative,
        "√n·Σe²/Σx²": np.sqrt(d.weights) * relative, "n·Σe²/Σx²": d.weights * relative, "Σh·e²": weighted,
        "n·Σh·e²/(mean(h)·Σx²)": d.weights * weighted / (d.importance / d.weights * d.squared),
    }  # fmt: skip
    linear = weighted.notna()
    print("\nspread of ln(KL / damage), rank correlation: 28 linear layers x 3 schemes | with the embedding")
    for name, value in candidates.items():
        said = []
        for rows in (linear, value.notna()):
            logs = np.log(d.kl_mean[rows]), np.log(value[rows])
            said.append(f"{np.std(logs[0] - logs[1]):.2f} {logs[0].corr(logs[1], method='spearman'):.3f}")
        print(f"{name:<24} {said[0]} | {said[1] if not value.isna().any() else '-'}")


def pays(frame: pd.DataFrame, felt: pd.DataFrame) -> None:
    """Measured KL divergence of plans beside uniform schemes and q4_k_m of the same size, the embedding included."""
    model = qv.open_model("demo")
    mix = qv.published.mixes.recipe(model, "q4_k_m")
    spelled = {line.name: line.kind for line in mix.lines}
    names = frame["tensor"].unique()
    from quantviz.checkpoints.names.fused import canonical

    mixed = ";".join(f"{name.removesuffix('.weight')}={spelled[canonical(name).name]}" for name in names)
    held = {"int3-sym-b32": "model=int3-sym-b32", "int4-sym-b32": "model=int4-sym-b32", "q4_k_m": mixed}
    weights = frame.drop_duplicates("tensor")["weights"].sum()
    bits = {s: frame[frame["scheme"] == s]["bits"].sum() / weights for s in ("int3-sym-b32", "int4-sym-b32")}
    bits["q4_k_m"] = 8 * sum(line.nbytes for line in mix.lines if len(line.shape) == 2) / weights
    plans = {
        (at, grade, floor): plan(
            frame, bits=bits[at], damage=grade, sensitivity=felt, model=model, rules=Rules(floor=floor)
        )
        for at in held for grade, floor in KINDS
    }  # fmt: skip
    tables = {key: recipe(made, "quantviz").text.strip() for key, made in plans.items()}
    got = divergence(list(dict.fromkeys([*held.values(), *tables.values()])))
    print("\nsize of        bits/weight  damage    floor   KL divergence      of the plan / of what it is held against")
    for at, table in held.items():
        base = got[table].kl_mean
        print(f"{at:<14} {bits[at]:<12.4f} -                {base:.5f}")
        for grade, floor in KINDS:
            made, result = plans[at, grade, floor], got[tables[at, grade, floor]]
            total = f"; summed damage {made.damage:.5f}" if grade == "kl" else ""
            head = f"{'':<14} {made.bits_per_weight:<12.4f} {grade:<9} {floor or '-':<6}"
            print(f"{head} {result.kl_mean:.5f}  {result.kl_mean / base:.3f}{total}")


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--pays", action="store_true")
    asked = options.parse_args()
    print(f"{os.cpu_count()} processors; load {os.getloadavg()[0]:.1f}")
    timing()
    if asked.pays:
        frame = swept()
        felt = alone(frame)
        definitions(frame, felt)
        pays(frame, felt)


if __name__ == "__main__":
    main()
