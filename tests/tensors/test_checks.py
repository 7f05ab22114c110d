"""What is no number is refused with how many there are and where the first is."""

from __future__ import annotations

import numpy as np
import pytest

import quantviz as qv
from quantviz.errors import QuantvizError
from quantviz.tensors import StoredTensor, refuse_non_finite


def stored(name: str, *, nan: tuple = (), infinite: tuple = ()) -> StoredTensor:
    w = np.ones((3, 4), np.float32)
    for places, value in ((nan, np.nan), (infinite, -np.inf)):
        for place in places:
            w[place] = value
    return StoredTensor(w.reshape(-1), "float32", w.shape, name)


@pytest.mark.parametrize("chunk", [1, 5, 100])
@pytest.mark.parametrize(("name", "nan", "infinite", "said"), [
    ("layer.weight", [(2, 1)], [], "layer.weight holds 1 NaN value, the first at [2, 1]; "),
    ("", [], [(1, 3), (0, 2)], "The tensor holds 2 infinite values, the first at [0, 2]; "),
    ("w", [(1, 0)], [(2, 3)], "w holds 1 NaN and 1 infinite values, the first at [1, 0]; "),
])  # fmt: skip
def test_what_is_no_number_is_counted_and_the_first_is_named(name, nan, infinite, said, chunk) -> None:
    with pytest.raises(QuantvizError) as refused:
        refuse_non_finite(stored(name, nan=nan, infinite=infinite), chunk)
    assert str(refused.value).startswith(said)


def test_finite_weights_pass() -> None:
    assert refuse_non_finite(stored("w")) is None


@pytest.mark.parametrize("detail", ["metrics", "full"])
def test_each_engine_says_so_whatever_is_asked(engine: str, detail: str) -> None:
    w = np.ones((3, 64), np.float32)
    for value, what in ((np.nan, "1 NaN value"), (np.inf, "1 infinite value")):
        w[2, 5] = value
        with pytest.raises(QuantvizError, match=rf"holds {what}, the first at \[2, 5\]"):
            qv.evaluate(w, "int4-sym-b32", device=engine, detail=detail)
        with pytest.raises(QuantvizError, match=rf"holds {what}, the first at \[2, 5\]"):
            qv.quantize(w, "int4-sym-b32", engine=engine)
