"""What a sweep reads, counts, estimates and says, for tables that are made up, is what it was before."""

from __future__ import annotations

import itertools
import math
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import quantviz as qv
from quantviz.errors import QuantvizError
from quantviz.metrics import METRICS
from quantviz.schemes import Scheme
from quantviz.sources.model import TensorInfo
from quantviz.sweep import families, several, summary, targets
from quantviz.sweep.bands import measure
from quantviz.sweep.dataset import _told
from quantviz.sweep.estimates import has_zero, interval
from quantviz.sweep.fed import _told as _told_of
from quantviz.sweep.ranges import cut, row_step
from quantviz.sweep.run import _planned
from quantviz.sweep.sampling import Sample, strata, tall_enough
from quantviz.sweep.totals import totals, worst
from quantviz.tensors import as_stored
from tests.recorded import interface, tried
from tests.sweep.made_up import frame, refused, row, small


def several_tensors():
    rows = []
    for at, scheme in enumerate(("a", "b", "c")):
        for layer in range(4):
            for role, factor in (("attention q", 1.0), ("mlp up", 2.0), ("mlp down", 3.0 if scheme == "b" else 0.5)):
                more = {"weighted_squared_error": 2.0 * layer, "importance": 5.0} if role != "mlp up" else {}
                rows.append(
                    row(
                        f"l{layer}.{role[-4:]}",
                        role,
                        layer,
                        scheme,
                        factor * (4 - at) / (1 + layer % 3),
                        100 * (1 + layer),
                        share=0.5 if layer == 2 else 1.0,
                        **more,
                    )
                )
    rows += [
        row("x", "head", None, "b", 0.0),
        refused("y", "head", None, "a", "No."),
        refused("z", "head", None, "a", "No."),
        refused("y", "head", None, "c", "Never c."),
        refused("x", "head", None, "a", "Else."),
    ]
    return frame(*rows)


FRAMES = {
    "small": small,
    "several": several_tensors,
    "one": lambda: frame(row("x", "mlp up", 3, "a", 1.0)),
    "exact": lambda: frame(row("x", "mlp up", 0, "a", 0.0), row("y", "mlp down", 1, "a", 0.0)),
}


@pytest.mark.parametrize("name", FRAMES)
def test_totals_cells_rankings_and_sentences(name, kept):
    table = FRAMES[name]()
    kept(totals(table).to_dict("list"))
    kept({scheme: rows["tensor"].tolist() for scheme, rows in worst(table, 3)})
    kept([summary.share_read(table), summary.metrics_of(table), summary.refusals(table)])
    for scheme in table["scheme"].unique():
        ranked = summary.ranking(table, scheme)
        kept(
            [
                summary.sentences(table, scheme),
                {c: ranked[c].tolist() for c in ("tensor", "error_share", "weights_share")},
            ]
        )
        for metric in (
            "relative_l2_error",
            "sqnr_db",
            "mse",
            "rmse",
            "weighted_mse",
            "bits_per_weight",
            "max_abs_error",
            "cosine_similarity",
        ):
            found = summary.cells(table, scheme, metric)
            kept([found.layers, found.roles, found.values])
    kept({f"{r}, {c}": names for (r, c), names in summary.cells(table, "a", "mse").tensors.items()})
    kept([summary.is_mean(metric) for metric in METRICS])


@pytest.mark.parametrize("name", FRAMES)
def test_what_is_said_of_several_tensors(name, kept):
    table = FRAMES[name]()
    for metric in ("sqnr_db", "relative_l2_error", "bits_per_weight", "code_entropy_bits", "nothing"):
        kept(several.sentences(table, metric))
        if metric in table:
            kept(several.best_of_each(table, metric))
            kept([several.gaps(table, metric, against).to_dict("list") for against in ("a", several.MEDIAN)])
    kept(several.reasons(table))
    sub = table[(table.scheme == "a") & (table.refused == "")]
    kept([several.sentences(sub, "sqnr_db"), several.sentences(sub[:1], "sqnr_db")])


def test_rows_of_a_tensor(kept):
    info = TensorInfo("t", (10, 4), "float32", 160)
    kept(
        [
            tried(several.rows_within, rows, info)
            for rows in (None, (0, 10), (0, 9), (1, 10), (3, 99), (9, 10), (10, 11), (0, 99))
        ]
    )


def test_samples(kept):
    kept(
        [
            str(tried(Sample.parse, text, 3))
            for text in ("1%", "100%", "100.5%", "0%", "0.5 %", "7", 1000, "1_000", "1,5", "-1", "", "a" * 99)
        ]
    )
    kept([Sample.parse("1%", seed).of(name).seed for seed in (0, 5) for name in ("", "a", "model.layers.0", "\ud800")])
    for rows, cols in ((8, 64), (13, 64), (24, 64), (100, 1000), (1024, 64), (4096, 256), (151_936, 64)):
        for text in ("0.1%", "1%", "10%", "95%", "100000"):
            found = strata(rows, cols, Sample.parse(text, 3))
            bands = [band for stratum in found for band in stratum.bands]
            kept(
                [
                    Sample.parse(text).rows(rows, cols),
                    len(found),
                    [s.of for s in found[:3]],
                    bands[:3],
                    bands[-2:],
                    sum(start for start, _ in bands),
                    sum(stop for _, stop in bands),
                ]
            )
    for rows, tall, text in ((34, 1, "95%"), (41, 2, "99%"), (69, 1, "95%"), (40, 1, "94%")):  # bands are few
        kept([[stratum.bands, stratum.of] for stratum in strata(rows, 64, Sample.parse(text), tall)])
    for tall in (2, 128):
        found = strata(4096, 64, Sample.parse("10%"), tall)
        kept([[s.bands, s.of] for s in found[:2]])


def test_schemes_that_are_not_sampled(kept):
    schemes = [
        Scheme.parse(key)
        for key in (
            "int4-sym-b32",
            "fp8_e4m3-b128x128",
            "int4-sym-b16x16",
            "int4-sym-b8x32",
            "nvfp4",
            "int4-sym-tensor",
            "int4-sym-b64:keep=1%",
            "nf4-b64:double=1",
            "nvfp4:tensor=none",
            "q4_0",
        )
    ]
    for rows, text in ((64, "50%"), (1024, "1%"), (1536, "25%"), (4096, "50%"), (100_000, "3%")):
        tall, why = tall_enough(rows, 256, Sample.parse(text), schemes)
        kept([tall, {scheme.key: reason for scheme, reason in why.items()}])
    kept(
        {
            key: has_zero(Scheme.parse(key))
            for key in (
                "int4-sym-b32",
                "int1-sym-b32",
                "int4-offset-b32",
                "q4_0",
                "q4_1",
                "q6_k",
                "iq4_nl",
                "nf4-b64",
                "int4-sym-b64:rotate=hadamard",
                "int4-offset-b32:edge=1",
            )
        }
    )
    kept([interval(20.0, 0.1), interval(-1.0, 2.0)])


@pytest.mark.parametrize("key", ["int4-sym-b32", "int4-asym-b64", "q4_0", "nf4-b64"])
def test_estimates(key, kept):
    w = np.random.default_rng(5).standard_normal((480, 128)).astype(np.float32)
    w[::7] *= 3
    for text, importance in (("10%", None), ("30%", np.linspace(0.1, 1, 128, dtype=np.float32))):
        kept(_one(w, key, text, importance))


def _one(w, key, text, importance):
    stored = as_stored(w)
    found = measure(lambda a, b: stored.row_range(a, b), w.shape, [key], importance, sample=Sample.parse(text))
    return [[m.scheme, m.metrics, m.errors, m.share, asdict(m.sums), list(m.notices)] for m in found]


def test_ranges(kept):
    schemes = [
        Scheme.parse(key)
        for key in (
            "int4-sym-b32",
            "q4_k",
            "fp8_e4m3-b128x128",
            "int4-sym-tensor",
            "int4-sym-b64:keep=1%",
            "nf4-b64:double=1",
            "int4-sym-tensor:clip=mse",
            "int8-sym-channel",
            "fp16",
            "nvfp4",
        )
    ]
    for (rows, cols), weighted in itertools.product(((64, 256), (4096, 256), (1000, 100), (300, 14336)), (False, True)):
        kept({scheme.key: row_step(scheme, rows, cols, weighted) for scheme in schemes})
        for budget in (0, 10**5, 10**6, 10**9):
            found = cut(rows, cols, schemes[:6], weighted, 2.0 * cols, budget)
            kept([len(found.ranges), found.ranges[:2], found.ranges[-1:], sorted(s.key for s in found.apart)])
    kept([list(cut(10, 4, schemes[3:5], False, 8.0, 20).ranges), cut(10, 4, schemes[:1], False, 0.0, 20).ranges])


NAMES = (
    "model.embed_tokens.weight",
    "model.layers.0.mlp.down_proj.weight",
    "model.layers.10.mlp.down_proj.weight",
    "blk.3.ffn_up_exps.weight",
    "model.layers.0.input_layernorm.weight",
    "model.layers.1.self_attn.q_proj.bias",
    "lm_head.weight",
    "transformer.h.2.attn.c_attn.weight",
)


def test_targets_of_models(kept):
    demo = qv.open_model("demo")
    kept([asdict(t) | {"weights": t.weights, "name": t.name} for t in targets.targets(demo)[:4]])
    for pattern, roles in (
        ("q_proj", ()),
        ("", ("mlp up", "attention k")),
        ("layers.[01].*down", ()),
        ("nothing", ()),
        ("(", ()),
        ("", ("mlp upp",)),
        ("q_proj", ("mlp up",)),
        ("a" * 1001, ()),
    ):
        found = tried(targets.targets, demo, pattern, roles)
        kept(found if isinstance(found, str) else [t.name for t in found])
    kept([targets.layer_span(name) for name in NAMES])
    kept([len(targets.matrices(demo)), targets.matrices(demo)[:3]])
    kept([[families.short(name), families.layer_of(name), families.own_layer(name)] for name in NAMES])
    kept(families.families(NAMES))
    for given in (["q_proj"], ["layers.1"], ["*.k_proj.*"], ["nothing"], ["model.norm.weight"], []):
        kept(tried(families.named, demo, given))


def test_nothing_measured_is_no_number(kept):
    kept([repr(summary.joined(metric, small()[:0])) for metric in ("mse", "sqnr_db", "max_abs_error")])
    assert math.isnan(summary.joined("mse", small()[:0]))


def test_what_the_system_says_of_a_folder(kept):
    system = OSError(28, "No space left on device"), OSError(13, "Permission denied"), OSError("Odd")
    for problem in (*system, ValueError("Embedded NUL")):
        with pytest.raises(QuantvizError) as refusal, _told(Path("x.parquet")):
            raise problem
        kept(str(refusal.value))


WRONG = (
    {"detail": "all"}, {"workers": 0}, {"workers": 1025}, {"workers": 2, "scheduler": "tcp://x:1"}, {"sample": "0%"},
    {"scheduler": "tcp://x:1", "token": "hf_x"}, {"roles": ["x"]}, {"tensors": "nothing"},
)  # fmt: skip


def test_what_is_told_before_a_sweep_begins(kept):
    for more in WRONG:
        with pytest.raises(QuantvizError) as refusal:
            _planned("demo", ["int4-sym-b32"], more)  # which begins nothing
        kept(str(refusal.value))


def test_progress_with_a_calibration(kept):
    told: list[list[int]] = []
    asked = SimpleNamespace(progress=lambda done, total: told.append([done, total]))
    for done, trials, weights in ((0, 1, 100), (1, 3, 64), (2, 3, 64)):
        for part, whole in ((0, 10), (5, 10), (10, 10), (0, 0)):
            _told_of(asked, done, trials, weights)(part, whole)
    kept({str(at): step for at, step in enumerate(told)})


def test_the_interface(kept):
    kept(interface("sweep"))
