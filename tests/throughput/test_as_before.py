"""What is said, counted and refused of speed, for times that are made up, is what it was before."""

from __future__ import annotations

import itertools
from dataclasses import asdict, replace

import pytest

from quantviz.cli import throughput as command
from quantviz.throughput import PRESETS, Card, Finished, Measurement, Plan, Refused, Report, Waiting, claim, roofline
from quantviz.throughput import plan as plans
from quantviz.throughput.results import Doing, Spread
from quantviz.throughput.shapes import LARGEST, from_config, model_shape
from quantviz.throughput.timing import Contender, copies_for, with_times
from tests.recorded import interface, tried

CARD = Card(
    "cpu",
    "A processor",
    "cpu",
    64 * 10**9,
    32 * 10**9,
    32 << 20,
    8,
    None,
    {"python": "3"},
    40e9,
    Spread(0.1, 0.09, 0.2, 5),
    50e9,
    ("There is no GPU.",),
)
LINE = Measurement(
    "linear",
    "int4-sym-b64",
    (4096, 4096),
    1,
    "cpu",
    1e-3,
    0.9e-3,
    2e-3,
    5,
    1.6e10,
    20e9,
    0.5,
    None,
    1.5,
    True,
    9_000_000,
    None,
    None,
    "numba",
    1e-7,
    2.5,
    20.0,
)


def test_presets_ceilings_and_the_bytes_of_a_token(kept):
    for shape in PRESETS.values():
        kept(asdict(shape) | {"weights": shape.weights, "blocks": len(shape.block), "head": shape.head.weights})
        kept([roofline.bytes_per_token(shape, key, batch) for key in ("bf16", "int4-sym-b64") for batch in (1, 3)])
    for card in (
        None,
        CARD,
        replace(CARD, memory_bytes=10**9, read_bytes_per_s=None),
        replace(CARD, memory_bytes=None),
    ):
        kept([asdict(c) for c in roofline.ceilings(PRESETS["8b"], ("bf16", "q4_k", "int4-asym-b64"), card, 2)][:9])
    kept([asdict(device) for device in roofline.DEVICES])
    kept(roofline.without_ceiling(PRESETS["0.5b"], ("q4_k", "int4-sym-b64")))


CONFIG = {"model_type": "llama", "hidden_size": 64, "num_attention_heads": 8, "num_hidden_layers": 2, "vocab_size": 100}
CONFIGS = {
    "plain": {},
    "gpt2": {"model_type": "gpt2"},
    "sizes": {"intermediate_size": 100, "num_key_value_heads": 2},
    "head": {"head_dim": 32},
    "few": {"num_attention_heads": 100},
    "inner": {"text_config": {**CONFIG, "head_dim": 4}},
    "other names": {"hidden_size": None, "n_embd": 32, "num_hidden_layers": None, "n_layer": 1000, "n_inner": 7},
    "experts": {"num_experts": 2},
    "one expert": {"num_local_experts": 1},
    "unknown": {"model_type": "mamba"},
    "no type": {"model_type": None},
    "deep": {"num_hidden_layers": 1001},
    "none": {"vocab_size": None},
    "zero": {"hidden_size": 0},
    "largest": {"vocab_size": LARGEST},
    "larger": {"vocab_size": LARGEST + 1},
    "true": {"vocab_size": True},
    "text": {"vocab_size": "many"},
    "one": {"vocab_size": 1},
    "real": {"head_dim": 8.0},
}


@pytest.mark.parametrize("name", CONFIGS)
def test_the_layers_that_a_config_describes(name, kept):
    found = tried(from_config, CONFIG | CONFIGS[name], "a model")
    kept(found if isinstance(found, str) else asdict(found))


def test_models_shapes_and_plans(kept):
    kept([str(tried(model_shape, text))[:300] for text in ("8B", "0.5b", "8c", "nothing", "x" * 300)])
    texts = ("4096x14336", " 1 × 2 ", "1x", "x1", "0x0", "1234567890x1", "1x1x1", "999999999x1", "-1x1", "a" * 50)
    kept([tried(plans.parse_shape, text) for text in texts])
    for device, default in plans.DEFAULTS.items():
        kept({"device": device} | asdict(default))
    kept(
        [
            tried(plans._shape, shape)
            for shape in ((2, 3), (1, 1 << 24), (0, 1), (1, (1 << 24) + 1), (1,), (1, 2, 3), (1.0, 2), (True, 2))
        ]
    )
    kept([tried(plans._whole, n, "The batch", 4096) for n in (0, 1, 2, 4096, 4097, -1, 1.0, True, "1")])
    for given in (
        {"workloads": []},
        {"workloads": ["lineal"]},
        {"schemes": []},
        {"schemes": ["int8-sym-channel:act=int8-token"]},
        {"batch": 4097},
        {"rounds": 0},
        {"rounds": 1001},
        {"tensor": (0, 1)},
        {"layer": (1, 2, 3)},
        {"model": "8c"},
        {"device": "gpu"},
    ):
        kept(tried(Plan.make, **{"device": "cpu", **given}))
    chosen = Plan.make(
        "cpu", ["linear", "linear", "decode"], ["bf16", "BF16", "int4-sym-b64"], (3, 4), (5, 6), 7, "8b", 9, 0
    )
    kept(asdict(replace(chosen, model=None)) | {"title": chosen.title})


def of_speed(used: float, bandwidth: float = 50e9, **more) -> Measurement:
    return replace(LINE, bytes_per_s=used * bandwidth, **more)


def test_what_bounds_a_line(kept):
    cards = {
        "reading": CARD,
        "copying": replace(CARD, read_bytes_per_s=30e9),
        "alone": replace(CARD, read_bytes_per_s=None),
        "unknown": replace(CARD, read_bytes_per_s=None, copy_bytes_per_s=None),
    }
    for name, card in cards.items():
        best = roofline.best_bandwidth(card) or 1.0
        for used in (0.2, 0.3499, 0.35, 0.6999, 0.7, 1.3, 1.31) if name == "reading" else (0.3, 0.8):
            kept(
                {"card": name, "used": used}
                | {
                    f"{workload} {scheme} {batch} {products}": roofline.bound(
                        of_speed(used, best, workload=workload, scheme=scheme, batch=batch, products=products), card
                    )
                    for workload, scheme, batch, products in (
                        ("quantize", "int4-sym-b64", None, None),
                        ("dequantize", "bf16", None, None),
                        ("evaluate", "nf4-b64", None, None),
                        ("linear", "bf16", 1, None),
                        ("linear", "int4-sym-b64", 15, None),
                        ("linear", "int4-sym-b64", 16, None),
                        ("decode", "int4-sym-b64", 1, 50),
                        ("decode", "int4-sym-b64", 1, 51),
                        ("decode", "fp32", None, 10),
                    )
                }
            )
    for line in (replace(LINE, correct=False), replace(LINE, bytes_per_s=None), replace(LINE, median_s=None)):
        kept(roofline.bound(line, CARD))


TOKENS = {
    "bf16": (None, 50.0, 100.0),
    "fp16": (None, 120.0),
    "fp32": (None, 90.0, 200.0),
    "int8-sym-b64": (None, 149.9, 150.0, 410.0),
    "int4-sym-b64": (None, 201.0, 1234.5),
    "nf4-b64": (None, 99.0),
}


def test_every_verdict_on_the_claim(kept):
    found = {}
    for tokens in itertools.product(*TOKENS.values()):
        steps = [
            Measurement("decode", scheme, (8,), 1, "cuda", tokens_per_s=speed, correct=True, model="M")
            for scheme, speed in zip(TOKENS, tokens, strict=True)
            if speed
        ]
        verdict = claim.speed_verdict(steps)
        found.setdefault((verdict.state, len(verdict.rows)), []).append([verdict.sentence, verdict.holds])
        found.setdefault("all", []).extend(row.factor for row in verdict.rows)
    kept({str(key): [len(all_), *all_[:4]] for key, all_ in found.items() if key != "all"})
    kept([sum(found["all"]), len(found["all"])])
    steps = [
        Measurement("decode", s, (8,), 1, "cuda", 1.0, 0.9, 2.0, tokens_per_s=9.0, correct=True, model="M")
        for s in ("bf16", "int4-sym-b64")
    ]
    for device, least in itertools.product(("cuda", "cpu", "mps"), (0.9, 1 / 1.5, 0.66)):
        verdict = claim.speed_verdict([replace(steps[0], device=device), replace(steps[1], device=device, min_s=least)])
        kept([device, least, verdict.state, verdict.sentence, verdict.holds])


def test_a_report_takes_each_event(kept):
    report, waiting = Report(), Waiting(1, "One goes first.")
    other = replace(LINE, scheme="bf16", workload="decode", tokens_per_s=3.0)
    for event in (
        waiting,
        Doing("compiling", 1, 3),
        waiting,
        CARD,
        LINE,
        other,
        replace(LINE, median_s=2e-3, final=True),
        Refused("linear", "q4_k", "It does not fit."),
        waiting,
        Finished(1.5, True),
    ):
        report = report.take(event)
        kept(
            {
                "waiting": report.waiting and report.waiting.ahead,
                "doing": report.doing and report.doing.what,
                "finished": report.finished and report.finished.stopped,
                "keys": [m.key for m in report.measurements],
            }
        )
    kept(report.document())
    kept([m.scheme for m in report.of("linear")] + [report.measurements[0].unsteady])


def test_what_times_say(kept):
    copy, base, fast = (Contender(line, [], 8000) for line in (None, replace(LINE, scheme="bf16"), LINE))
    copy.times, base.times, fast.times = [0.05, 0.07], [0.3, 0.4, 0.6], [0.1, 0.2, 0.25, 0.4]
    for line in (
        fast.line,
        replace(fast.line, workload="decode", batch=3),
        replace(fast.line, workload="decode", batch=None),
    ):
        fast.line = line
        kept(asdict(with_times(fast, 1000, copy, [base, fast])))
    fp32 = replace(base, line=replace(LINE, scheme="fp32"), times=[0.5])
    kept(asdict(with_times(fast, 1000, None, [fp32, replace(base, times=[])])))
    kept([copies_for(n, 32 << 20) for n in (0, 1, 8 << 20, 33 << 20, (128 << 20) - 1, 128 << 20, 1 << 30)])


@pytest.mark.parametrize("workload", ["quantize", "linear", "decode"])
def test_what_is_printed(workload, kept, capsys):
    batch = None if workload == "quantize" else 2
    first = replace(
        LINE, workload=workload, batch=batch, notices=("A notice.",), products=12, model="M", tokens_per_s=7.5
    )
    report = Report(
        CARD,
        (
            first,
            replace(first, scheme="bf16", min_s=0.1e-3, speedup_over_bf16=None, sqnr_db=None),
            replace(
                first,
                scheme="nf4-b64",
                correct=False,
                median_s=None,
                bytes_per_s=None,
                speedup_over_bf16=None,
                relative_error=0.5,
            ),
        ),
    )
    command._print(report)
    kept(dict(enumerate(capsys.readouterr().out.splitlines())))
    command._print(Report())
    assert capsys.readouterr().out == ""
    refused = [Refused("linear", "q4_k", "Why."), Refused("decode", "q4_k", "Why."), Refused("linear", "a", "Else.")]
    kept(command._reasons(Report(refused=tuple(refused))))
    kept([tried(command._parse_shape, "--shape", text) for text in (None, "3x4", "3")])


def test_the_interface(kept):
    kept(interface("throughput"))
