"""Made-up layers of every kind of code, zero point, minimum and scale: what is told of them, as before."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from itertools import product

import numpy as np
import pytest

from quantviz.checkpoints.decoded import Decoded
from quantviz.checkpoints.layer import Layer, Part, Unpacked
from quantviz.errors import QuantvizError
from quantviz.evaluation import evaluate
from quantviz.published import plain
from quantviz.published.contents import contents, contents_sentence
from quantviz.published.plain import beside_plain, plain_sentence
from quantviz.published.requantized import requantized
from quantviz.published.scale_rules import Extremes, asymmetric, from_the_far_end, of_levels, powers_of_two, symmetric
from quantviz.published.stored import group_rows, stored_block, weight_rows
from quantviz.published.views import Mapped, Rearranged, Scaled, Transposed, view
from quantviz.sources import TensorInfo
from quantviz.tensors import as_stored
from tests.checkpoints.in_memory import told
from tests.published.test_plain_kinds import BYTES, E2M1, FP8, NF4, TWOS, Elements
from tests.sources.builders import weights

FOUR, SIGNS = np.arange(16, dtype=np.float32), np.array([-1, 0, 1], np.float32)
W = weights(8, 64)
LEVELS = {"four": FOUR, "twos": TWOS, "bytes": BYTES, "e2m1": E2M1, "fp8": FP8, "nf4": NF4, "signs": SIGNS,
          "one bit": np.array([0, 1], np.float32), "odd": np.array([-3, -1, 0.5, 2], np.float32)}  # fmt: skip


@pytest.fixture(autouse=True)
def no_new_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    """Plain rounding by the engine that compiles nothing."""
    monkeypatch.setattr(plain, "evaluate", partial(evaluate, device="reference"))


def layer_of(levels: np.ndarray, scales: np.ndarray, dtype: str = "float32", every: int = 1, **parts) -> Decoded:
    """Random codes under these scales [8, groups]."""
    finite = np.flatnonzero(np.isfinite(levels))[: parts.pop("used", None)]
    place = np.random.default_rng(0).choice(finite, W.shape)
    made = Unpacked(place, scales.astype(np.float32), width=64 // scales.shape[1], numbers=levels[place], **parts)
    info = TensorInfo("s", scales.shape if scales.size > 1 else (1,), dtype, 4)
    layer = Layer(W.shape, "made up", {"scales": Part(info, every)}, lambda *_: None, levels, largest_scale=2.0)
    return Decoded(Elements(made), "float32", W.shape, "w", layer=layer, stored_bits=4.5)


def shared(*values: float, groups: int = 2) -> np.ndarray:
    return np.resize(np.array(values, np.float32), (8, groups))


ZEROS = {"none": None, "middle": shared(8), "nought": shared(0), "whole": shared(7, 8), "half": shared(7.5),
         "below": shared(-1, 0.5)}  # fmt: skip
SCALES = {"any": shared(0.01, 0.02), "powers": shared(0.5, 0.25), "small": shared(2.0**-127, 1),
          "least": shared(2.0**-128, 1), "large": shared(2.0**127, 1), "nought": shared(0, 0.5),
          "below": shared(-0.5, 0.25), "one": shared(0.3, groups=1), "limit": shared(2, 1.9)}  # fmt: skip


@pytest.mark.parametrize("levels", LEVELS)
def test_what_is_told_of_a_made_up_layer(levels: str, kept: Callable) -> None:
    for (zero, zeros), minima in product(ZEROS.items(), (None, shared(-0.5, 0.5))):
        if zero not in ("none", "middle", "half") and levels not in ("four", "bytes"):
            continue
        y = layer_of(LEVELS[levels], SCALES["any"], zeros=zeros, minima=minima)
        found, why = beside_plain(as_stored(W), y)
        kept([why, plain_sentence(found, "made up"), found.scheme, found.nearest])


@pytest.mark.parametrize("levels", ["four", "e2m1", "fp8", "nf4"])
@pytest.mark.parametrize("scales", SCALES)
def test_what_is_told_of_its_scales(levels: str, scales: str, kept: Callable) -> None:
    with np.errstate(all="ignore"):
        y = layer_of(LEVELS[levels], SCALES[scales])
        found, _ = beside_plain(as_stored(W), y)
        whole = contents(y)
    kept([found.elsewhere, found.scheme, found.rule, contents_sentence(whole), whole.saturated])


@pytest.mark.parametrize("name", ["", "w"])
def test_what_cannot_be_looked_at(name: str, kept: Callable) -> None:
    broken = replace(layer_of(FOUR, shared(np.inf, 1)), name=name)
    for refuses in (lambda: contents(broken), lambda: contents(replace(as_stored(W), name=name)),
                    lambda: stored_block(replace(as_stored(W), name=name), 0, 0)):  # fmt: skip
        with pytest.raises(QuantvizError) as refused:
            refuses()
        kept(str(refused.value))
    kept([beside_plain(as_stored(W), y)[1] for y in (as_stored(W), view(Mapped, broken, function=abs))])


def test_how_far_each_is(kept: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    y = layer_of(FOUR, SCALES["any"], zeros=shared(8))
    for piece in (1 << 18, 1, 100, 130):
        for module in ("contents", "survey", "requantized"):
            monkeypatch.setattr(sys.modules[f"quantviz.published.{module}"], "_PIECE", piece)
        done: list[tuple[int, int]] = []
        found = contents(y, lambda *now: done.append(now))  # noqa: B023
        kept([done[0], done[-1], len(done), sorted(done) == done, told(found.counts), told(found.scales.counts)])
        done.clear()
        again, _ = requantized(as_stored(W), as_stored(W.astype(np.float16)), None, lambda *now: done.append(now))  # noqa: B023
        kept([done[0], done[-1], len(done), again.equal, again.through, again.first])
        plainly, _ = beside_plain(as_stored(W), y)
        kept([plainly.nearest, plainly.mse])
        for rows in (1, 2, 8):
            tile = layer_of(FOUR, np.repeat(shared(0.01, 0.02, 0.03)[: 8 // rows], rows, axis=0), every=rows)
            whole = contents(tile)
            kept([whole.height, whole.groups, told(whole.scales.counts), beside_plain(as_stored(W), tile)[0].nearest])


@pytest.mark.parametrize("used", [1, 2, 3, 4, 6, 8, 9, 16])
def test_codes_within_fewer_bits(used: int, kept: Callable) -> None:
    for levels, zero in ((FOUR, 0), (FOUR, 8), (TWOS, 0), (FP8, 0)):
        found, _ = beside_plain(as_stored(W), layer_of(levels, SCALES["any"], zeros=shared(zero), used=used))
        kept(found.elsewhere)


@pytest.mark.parametrize("dtype, groups, every, stored", [
    ("uint8", 2, 1, ()), ("F8_E8M0", 2, 1, ()), ("uint8", 4, 1, ()), ("float16", 4, 1, ()), ("bfloat16", 1, 1, ()),
    ("float32", 1, 8, ()), ("float32", 2, 8, ()), ("float16", 2, 2, ()), ("float32", 2, 1, ("block scale",)),
    ("float32", 64, 1, ()), ("int8", 2, 1, ()),
])  # fmt: skip
def test_the_scheme_that_holds_as_many_scales(
    dtype: str, groups: int, every: int, stored: tuple, kept: Callable
) -> None:
    for levels in LEVELS.values():
        scales = shared(0.5, groups=groups)
        y = layer_of(levels, scales, dtype, every, stored=dict.fromkeys(stored, scales))
        found, _ = beside_plain(as_stored(W), y)
        kept([found.scheme, found.rule, found.nearest])


@pytest.mark.parametrize("zero", [-1.5, -1, -0.5, 0, 0.5, 1, 1.5])
def test_the_arithmetic_of_zero_points_and_minima(zero: float, kept: Callable) -> None:
    for parts in (
        {"zeros": shared(zero, 3)},
        {"minima": shared(zero, 3)},
        {"zeros": shared(zero), "minima": shared(zero)},
    ):
        y = layer_of(FOUR, SCALES["any"], stored={"a": shared(1, 2), "b": shared(4, groups=1)}, **parts)
        for group in (0, 1):
            block = stored_block(y, 3, group)
            kept([weight_rows(block)["arithmetic"][:2], group_rows(block)])
    columns = np.arange(64) % 2
    y = replace(y, data=Elements(replace(y.data.parts, columns=columns)))
    kept([group_rows(stored_block(y, 0, 1)), told(weight_rows(stored_block(y, 0, 1))["value"])])


def test_rules_of_scales(kept: Callable) -> None:
    low, high = np.array([-1, -0.3, 0.2, -4, -7.5, 0, -6.5]), np.array([0.5, 2, 3, -1, 7.6, 0.1, 5.9])
    extremes = Extremes(low, high)
    rules = [*symmetric(4), *symmetric(1), *asymmetric(3), from_the_far_end(2), from_the_far_end(1),
             *of_levels(6, True), *of_levels(6),
             *of_levels(448, True), *powers_of_two(6.0), *powers_of_two(448.0), *powers_of_two(57344.0)]  # fmt: skip
    for rule in rules:
        scale = rule.scale(extremes)
        near = [scale * factor for factor in (1, 1 + 2**-8, 1 - 2**-8, 1 + 2**-6, 1 + 2**-5, 1.5, 1.5 + 2**-6, 1.7)]
        kept([rule.name, rule.option, scale, ["".join(f"{x:d}" for x in rule.holds(n, extremes)) for n in near]])
    errors = ((1, 1), (1.0101, 1), (1.0099, 1), (0.98, 1), (1, np.nan))
    kept([plain.verdict_of(mse, other, same) for mse, other in errors for same in (False, True)])


def test_views(kept: Callable) -> None:
    x = as_stored(weights(12, 10))
    order = np.random.default_rng(1).permutation(12)
    shown = [view(Rearranged, x, order=order), view(Rearranged, x, (24, 5), order=np.arange(24)[::-1], line=5),
             view(Rearranged, x, (3, 10), order=np.array([0, 11, 5])), view(Transposed, x, (10, 12)),
             view(Scaled, x, columns=np.arange(10), by_row=np.arange(12)), view(Scaled, x, by_row=np.arange(12)),
             view(Mapped, x, function=lambda v: v + 1), view(Mapped, x, (120,), function=np.exp, line=10)]  # fmt: skip
    for v in shown:
        whole = v.read()
        for start, stop in ((0, None), (3, 17), (9, 11), (-5, None), (7, 7), (20, 90)):
            assert np.array_equal(v.read(start, stop), whole[start:stop])
        rows = whole.reshape(v.rows, v.cols)
        for first, last in ((0, 1), (v.rows - 1, v.rows), (v.rows // 2, v.rows)):
            part = v.row_range(first, last)
            assert np.array_equal(part.read(), rows[first:last].reshape(-1)) and part.shape == (last - first, v.cols)
            assert np.array_equal(part.row_range(part.rows - 1, part.rows).read(), rows[last - 1])
        kept([told(whole), v.shape, v.stored_as, v.bits_per_weight, v.nbytes])
