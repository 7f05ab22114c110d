"""Reads every golden layer and counts those that are what its library reads.

python -m tests.checkpoints.conformance writes the table that the page Number formats shows.
"""

from __future__ import annotations

import json
import re
import tempfile
from dataclasses import asdict
from pathlib import Path

import ml_dtypes
import numpy as np

import quantviz as qv
import quantviz.checkpoints
from quantviz.checkpoints.conformance import FILE, Conformance, PackedLayout
from quantviz.checkpoints.decoded import Decoded

from .golden import Case, files, load

TYPES = {"float32": np.float32, "float16": np.float16, "bfloat16": ml_dtypes.bfloat16}


def as_the_library(case: Case, values: np.ndarray) -> bool:
    """Whether weights are those the library read, in the type in which it gives them."""
    with np.errstate(over="ignore"):
        rounded = values.astype(TYPES[case.rounded]).astype(np.float32)
    return values.shape == case.expected.shape and np.array_equal(rounded, case.expected.astype(np.float32))


def found() -> list[Conformance]:
    """What holds now, format after format."""
    return [_of(file) for file in files()]


def _of(file: str) -> Conformance:
    library, version, cases = load(file)
    equal, layouts = 0, {}
    for case in cases:
        with tempfile.TemporaryDirectory() as folder:
            stored = qv.open_model(case.write(Path(folder))).open(case.weight)
            equal += as_the_library(case, stored.numpy())
        assert isinstance(stored, Decoded)
        layer = stored.layer
        kind = tuple((f.part, f.axes, f.order) for f in layer.fields), layer.rule
        layouts.setdefault(
            kind, PackedLayout(layer.stored_as, round(stored.bits_per_weight, 4), layer.rule, layer.fields)
        )
    words = next(iter(layouts.values())).stored_as.split()
    name = " ".join(words[: 2 if words[0] == "block" else 1])  # "block FP8" is one name
    return Conformance(name, _versions(library, version), len(cases), equal, tuple(layouts.values()))


def _versions(library: str, version: str) -> str:
    """Each library with its own version, where a file names several."""
    both = zip(*(re.split(r", | and ", text) for text in (library, version)), strict=True)
    return ", ".join(f"{name} {number}" for name, number in both)


def text() -> str:
    rows = [json.dumps(asdict(one)) for one in sorted(found(), key=lambda one: (one.format.lower(), one.library))]
    return "[\n" + ",\n".join(rows) + "\n]\n"


if __name__ == "__main__":
    (Path(quantviz.checkpoints.__file__).parent / FILE).write_text(text(), "utf-8")
