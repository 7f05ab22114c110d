"""What is found in every golden layer, and told of it beside an original: as before."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import pytest

from quantviz.errors import QuantvizError
from quantviz.evaluation import evaluate
from quantviz.published import plain
from quantviz.published.beside import against, against_dict, in_short, pair_up, sentence
from quantviz.published.contents import contents, contents_sentence
from quantviz.published.stored import field_rows, group_rows, groups_of, rows_a_scale, stored_block, weight_rows
from quantviz.tensors import StoredTensor
from tests.checkpoints.golden import files
from tests.checkpoints.in_memory import of_arrays, opened, told
from tests.checkpoints.test_as_before import kinds


def looked_at(tensor: StoredTensor) -> dict:
    """Its last group, spelled out, and what all of them hold."""
    last = stored_block(tensor, tensor.rows - 1, groups_of(tensor) - 1)
    weights = weight_rows(last)
    found = contents(tensor)
    return {
        "fields": field_rows(last).get("bytes", []), "groups": {k: v[-2:] for k, v in group_rows(last).items()},
        "weights": {key: [column[0], column[-1]] for key, column in weights.items()},
        "sentence": contents_sentence(found), "of": [found.group, found.height, found.zero_scales, found.saturated],
        "counts": [told(found.codes), told(found.counts), told(found.numbers)],
        "histograms": [h and [h.lo, h.hi, *told(h.counts)] for h in (found.scales, found.minima, found.zeros)],
    }  # fmt: skip


@pytest.mark.parametrize("file", sorted(set(files()) - {"exl3_more"}))
def test_what_a_layer_holds(file: str, kept: Callable) -> None:
    for case in kinds(file, of_bits=False):
        tensor = opened(case).open(case.weight)
        kept([looked_at(tensor), rows_a_scale(tensor)])
        with pytest.raises(QuantvizError) as refused:
            stored_block(tensor, 0, groups_of(tensor))
        kept(str(refused.value))


@pytest.mark.parametrize("file", sorted(set(files()) - {"exl3", "exl3_more"}))
def test_what_is_told_of_a_layer_beside_an_original(file: str, kept: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plain, "evaluate", partial(evaluate, device="reference"))  # which compiles no kernels
    for case in kinds(file, of_bits=False):
        model = opened(case)
        w = model.load(case.weight)
        noise = np.random.default_rng(0).standard_normal(w.shape, np.float32) * np.float32(f"{w.std():.2g}")
        for part in (0.02, 0.4):
            original = of_arrays({case.weight: w + np.float32(part) * noise})
            a = against(original, model, pair_up(original, model).of(case.weight), detail="metrics")
            kept([sentence(a), in_short(a), short(against_dict(a))])


def short(found: dict) -> dict:
    """The figures that tell whether any other is right."""
    metrics = found["metrics"]
    return {"plain": found["plain"], "why": found["why_not"], "rotation": found["rotation"],
            "metrics": {name: metrics[name] for name in ("mse", "bits_per_weight")}}  # fmt: skip
