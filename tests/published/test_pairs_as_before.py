"""What is undone between two models, and all that is told of it: as before."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from functools import partial
from itertools import product

import numpy as np
import pytest

from quantviz.errors import QuantvizError
from quantviz.evaluation import evaluate
from quantviz.published import plain, sentences
from quantviz.published.beside import against, against_dict, in_short, pair_up, sentence
from quantviz.published.folds import Fold
from quantviz.published.opening import AS_THEY_ARE, INTERLEAVED
from quantviz.published.plain import ALIKE, BETTER, EQUAL, WORSE, Plain
from quantviz.published.requantized import Requantized
from quantviz.published.rotation import Rotation, rotation
from quantviz.published.searched import Search, Searched
from quantviz.published.several import as_json, differences, many, rows, told_apart
from quantviz.sources import Model
from quantviz.tensors import as_stored
from tests.checkpoints.in_memory import of_arrays, told
from tests.published.packing import layer
from tests.published.test_folds import AT, HIDDEN, MLP, NORM, UP_NORM, as_awq, quantized, scales, weights  # noqa: F401

Arrays = dict[str, np.ndarray]
TINY = np.random.default_rng(0).uniform(-0.5, 0.5, 64).astype(np.float32)
LAYER = "model.layers.0."


@pytest.fixture(autouse=True)
def no_new_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    """Plain rounding by the engine that compiles nothing."""
    monkeypatch.setattr(plain, "evaluate", partial(evaluate, device="reference"))


def normal(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape, np.float32)


def compared(original: Model, file: Model) -> list:
    """All that is told of each pair."""
    pairs = pair_up(original, file)
    found = [[pairs.only_original, pairs.only_file, pairs.architecture]]
    for pair in pairs.pairs:
        try:
            a = against(original, file, pair, detail="metrics", pairs=pairs)
        except QuantvizError as refused:
            found.append([pair.label, str(refused)])
            continue
        said = against_dict(a)
        metrics = said.pop("metrics")
        del said["tensor"], said["shape"], said["dtype"], said["stored_as"]
        said |= {name: metrics[name] for name in ("mse", "relative_l2_error")}
        found.append([pair.label, sentence(a), {k: v for k, v in said.items() if v not in (None, [], "", AS_THEY_ARE)}])
    return found


# -- folds ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("most", [1.004, 1.2, 4])
def test_folds(weights: Arrays, kept: Callable, most: float) -> None:  # noqa: F811
    made, _ = as_awq(weights, most)
    kept([[one[0], one[-1].get("fold"), one[-1]["mse"]] for one in compared(
        of_arrays(weights), of_arrays(quantized(made)))[1:]])  # fmt: skip


@pytest.mark.parametrize("heads, shared, head", [(4, 2, 16), (4, 1, 16), (8, 2, 8), (4, 4, 16), (3, 2, 16), (0, 2, 16)])
def test_folds_of_shared_heads(heads: int, shared: int, head: int, kept: Callable) -> None:
    s = scales(6, shared * head)
    w = {f"{AT}v_proj.weight": normal(shared * head, 64), f"{AT}o_proj.weight": normal(64, 64, seed=1)}
    spread = np.resize(np.repeat(s.reshape(shared, head), max(64 // (shared * head), 1), axis=0).reshape(-1), 64)
    made = {f"{AT}v_proj.weight": w[f"{AT}v_proj.weight"] / s[:, None], f"{AT}o_proj.weight": w[f"{AT}o_proj.weight"]
            * spread}  # fmt: skip
    config = {"num_attention_heads": heads, "num_key_value_heads": shared}
    found = compared(of_arrays(w, config), of_arrays(quantized(made), config))
    kept([[one[0], one[-1].get("fold"), one[-1]["mse"]] for one in found[1:]])


@pytest.mark.parametrize("by", ["pre_quant_scale", "smooth_scale", "other"])
def test_what_multiplies_the_inputs(weights: Arrays, kept: Callable, by: str) -> None:  # noqa: F811
    name = f"{AT}q_proj.weight"
    for factors in (scales(7, HIDDEN), -scales(7, HIDDEN), scales(7, HIDDEN)[:-1]):
        made = quantized({name: weights[name] / np.resize(factors, HIDDEN)})
        file = of_arrays(made | {name.removesuffix("weight") + by: factors})
        kept(compared(of_arrays({name: weights[name]}), file))


# -- what converters do ------------------------------------------------------------------------------


def changes() -> Iterator[tuple[str, Arrays, Arrays, dict]]:
    """(what, tensors of the original, of the file, config)."""
    norm, head, up = f"{LAYER}input_layernorm.weight", "lm_head.weight", f"{MLP}up_proj.weight"
    for shift in (1.0, 1.0004, -1, 0.25, -0.25, 0.004, 0):
        yield f"shift {shift}", {norm: TINY}, {norm: TINY + np.float32(shift)}, {}
    yield "shift of one number", {norm: TINY[:1]}, {norm: TINY[:1] + 1}, {}
    yield "shift of a constant", {norm: TINY * 0}, {norm: TINY * 0 + 1}, {}
    yield "decay", {"a.A_log": TINY}, {"a.A_log": -np.exp(TINY)}, {}
    yield "rough decay", {"a.A_log": TINY}, {"a.A_log": -np.exp(TINY) * np.float32(1.008)}, {}
    yield "no decay", {"a.A_log": TINY}, {"a.A_log": -np.exp(TINY) * np.float32(1.05)}, {}
    for n in (24, 32):
        w = normal(32, n)
        yield f"turned {n}", {up: w}, {up: np.ascontiguousarray(w.T)}, {}
    yield "axis more", {norm: TINY}, {norm: TINY[None]}, {}
    yield "axis behind", {norm: TINY[:, None]}, {norm: TINY}, {}
    for more in (1, 28):
        w = normal(36 + more, 32)
        yield f"padded by {more}", {head: w, up: w}, {head: w[:36], up: w[:36]}, {}
    parts = [normal(64, 32), normal(32, 32, seed=1), normal(32, 32, seed=2)]
    apart = {f"{AT}{n}_proj.weight": p for n, p in zip("qkv", parts, strict=True)}
    by_head = np.concatenate([p.reshape(2, -1, 32) for p in parts], axis=1).reshape(-1, 32)
    for how, qkv in (("in turn", np.concatenate(parts)), ("by head", by_head), ("of other size", normal(130, 32))):
        fused = {f"{AT}qkv_proj.weight": qkv}
        yield f"{how}, file", apart, fused, {"num_key_value_heads": 2}
        yield f"{how}, original", fused, apart, {"num_key_value_heads": 2}
    gate, upper = normal(3, 24, 32), normal(3, 24, 32, seed=1)
    each = {f"{MLP}experts.{e}.{n}_proj.weight": w[e] for n, w in (("gate", gate), ("up", upper)) for e in range(3)}
    for both in (np.concatenate([gate, upper], axis=1), np.stack([gate, upper], axis=2).reshape(3, 48, 32)):
        yield "experts, original", {f"{MLP}experts.gate_up_proj": both}, each, {"hidden_size": 32}
        yield "experts, file", each, {f"{MLP}experts.gate_up_proj": both}, {"hidden_size": 32}
    yield "an expert too many", each, {f"{MLP}experts.gate_proj": gate[:2], f"{MLP}experts.up_proj": upper}, {}


@pytest.mark.parametrize("what, original, file, config", [pytest.param(*c, id=c[0]) for c in changes()])
def test_what_converters_change(what: str, original: Arrays, file: Arrays, config: dict, kept: Callable) -> None:
    kept(compared(of_arrays(original, config, "a"), of_arrays(file, config, "b")))


@pytest.mark.parametrize("heads", [1, 4, 6])
@pytest.mark.parametrize("name", ["attn_q", "attn_k", "attn_v"])
def test_rows_of_heads_interleaved(heads: int, name: str, kept: Callable) -> None:
    ours = f"{AT}{name[-1]}_proj."
    w = {f"{ours}weight": normal(48, 32), f"{ours}bias": normal(48, seed=1)}
    turned = {}
    for key, x in w.items():
        rows_of = x.reshape(heads, 2, -1, *x.shape[1:]).swapaxes(1, 2).reshape(x.shape)
        turned[f"blk.0.{name}.{key.rpartition('.')[2]}"] = rows_of
    said = {"general.architecture": "llama", "llama.attention.head_count": heads}
    kept(compared(of_arrays(w), of_arrays(turned, **said)))


# -- rotations ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(96, 64), (16400, 64), (3, 128), (1, 64), (64, 1)])
def test_rotations(shape: tuple[int, int], kept: Callable) -> None:
    w = normal(*shape) * np.linspace(0.2, 3, shape[1], dtype=np.float32)
    large = w.size > 1 << 20  # of which one rotation is enough
    for side in (1,) if large else (0, 1):
        n = min(shape[side], 96)
        turn = np.linalg.qr(normal(n, n, seed=7))[0].astype(np.float32)
        other = w.copy()
        if side:
            other[:, :n] = w[:, :n] @ turn
            other[:, n:] *= -1
        else:
            other[:n] = turn @ w[:n]
            other[n:] *= -1
        for factor in (1,) if large else (1, 1.24, 1.26, 0):
            for cosine in (0.05,) if large else (0.05, 0.2):
                found = rotation(as_stored(w), as_stored(other * np.float32(factor)), cosine)
                kept(found and [found.of, round(found.agreement, 3)])


# -- several ------------------------------------------------------------------------------------------


def test_several_files(kept: Callable) -> None:
    names = [f"{LAYER}{n}.weight" for n in ("self_attn.q_proj", "self_attn.o_proj", "mlp.down_proj", "mlp.up_proj",
                                            "mlp.gate_proj", "self_attn.k_proj", "self_attn.v_proj")]  # fmt: skip
    w = {name: normal(32, 64, seed=i) for i, name in enumerate(names)} | {NORM: TINY, "lm_head.weight": normal(64, 64)}
    packed = dict(w)
    for name in names[:3]:
        packed |= layer(name, w[name])
        del packed[name]
    half = {name: x.astype(np.float16) if name in names[2:] else x for name, x in w.items()}
    broken = half | {names[0]: normal(8, 64)} | {"extra": TINY}
    del broken[names[1]]
    original = of_arrays(w, ref="a")
    for files in ([], [packed], [packed, half], [packed, half, broken], [{NORM: TINY}]):
        models = [of_arrays(file, ref=f"file {i}") for i, file in enumerate(files)]
        found = many(original, models)
        kept([rows(found), differences(found), differences(found, [f"{i}" for i in range(len(files))]), as_json(found)])


def test_tensors_kept_finer(kept: Callable) -> None:
    w = {f"{LAYER}{n}.weight": normal(32, 64, seed=n) for n in range(12)}
    for count in (0, 1, 3, 4, 5):
        file = {name: x if n < count else x.astype(np.float16) for n, (name, x) in enumerate(w.items())}
        kept(differences(many(of_arrays(w, ref="a"), [of_arrays(file, ref="b")])))
    one = {name: x.astype(np.float16) if n else x for n, (name, x) in enumerate(w.items())}
    two = one | {f"{LAYER}3.weight": w[f"{LAYER}3.weight"]}
    said = differences(many(of_arrays(w, ref="a"), [of_arrays(one, ref="b"), of_arrays(two, ref="c")]))[-1]
    assert said == "b and c store 1 tensor as another type, 11 as the same."
    kept([told_apart(refs) for refs in (["/m/x"], ["/m/x", "/m/y"], ["/m/x", "/m/y", "/n/z"], ["hf:a/b", "hf:a/c"])])


# -- sentences ----------------------------------------------------------------------------------------


def test_sentences(kept: Callable) -> None:
    a = against(*[of_arrays({NORM: TINY})] * 2, pair_up(*[of_arrays({NORM: TINY})] * 2).pairs[0], detail="metrics")
    metrics = a.evaluation.metrics | {"cosine_similarity": 0.9}
    a = replace(a, evaluation=replace(a.evaluation, scheme="iq1_m", metrics=metrics))

    every = []

    def told_of(**changed: object) -> None:
        other = replace(a, **changed)
        every.append([sentence(other), in_short(other)])

    for equal, through, importance, scheme in product(
        (0, 7, 9), ("float32", "float16"), (False, True), ("q4_0", "iq1_m")
    ):
        again = Requantized("blocks", 9, equal, through, None, importance)
        told_of(requantized=again, evaluation=replace(a.evaluation, scheme=scheme))
    told_of(requantized=None, why_not="of this")
    for verdict, nearest, rule in product((EQUAL, BETTER, WORSE, ALIKE, ""), (50, 9996, 10000), ("", "the rule")):
        for scheme, mse in (("int4-sym-b32", 1.0), ("", 1.0), ("int4-sym-b32", 1.02)):
            told_of(plain=Plain(verdict, scheme, mse, 1.0, nearest, 10000, rule, ("Elsewhere.",) * (not rule)))
    search = Search("tiles", "books", " of it", "Worse.", "Other.")
    for verdict, nearest, units in product((EQUAL, BETTER, WORSE, ALIKE), (0, 5, 10), (3, 4)):
        told_of(plain=Searched(search, verdict, 1.0, 2.0, nearest, 10, units, 4))
    for of, order in product(("inputs", "outputs", ""), (AS_THEY_ARE, INTERLEAVED)):
        for cosine in (0.49, 0.51):
            low = replace(a.evaluation, metrics=metrics | {"cosine_similarity": cosine})
            told_of(rotation=Rotation(of, 0.987), order=order, evaluation=low, changes=("Changed.",))
    for columns, by_row in ((TINY, None), (None, TINY + 3), (TINY + 2, TINY + 1)):
        fold = Fold(columns, by_row, ("one takes it back", "two takes it back"), True, 0.5, 0.25)
        every.append(sentences.fold_sentence(fold))
        kept(told(fold.onto(as_stored(normal(64, 64))).read()))
    kept([every[::7], zlib.crc32(repr(every).encode())])


def test_requantized_files(kept: Callable) -> None:
    w = normal(40, 64)
    for change in (None, (0, 0), (39, 63), (7, 3)):
        for dtype in (np.float16, np.float32):
            made = w.astype(dtype)
            if change:
                made[change] *= 2
            a = against(
                *(models := (of_arrays({"w": w}), of_arrays({"w": made}))), pair_up(*models).pairs[0], detail="metrics"
            )
            kept([asdict(a.requantized), a.why_not])
