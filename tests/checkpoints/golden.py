"""Layers that the libraries themselves packed, and what they read back from them: one compressed file a format.

Made by the scripts in tests/checkpoints/home, which need these libraries; the tests need none of them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from tests.sources.builders import with_header

DATA = Path(__file__).parent / "data"
Tensors = dict[str, tuple[str, tuple[int, ...], bytes]]  # name -> (dtype as safetensors spells it, shape, bytes)


@dataclass(frozen=True)
class Case:
    """One packed layer. weight: its name as quantviz lists it.  config: what lies beside it, by file name.

    expected: what the library reads back, [out, in] or [experts, out, in], in its own dtype: float32, float16, or
    bfloat16 as float32.  rounded: float32, float16 or bfloat16, the type in which the library gives it, to which
    quantviz's float32 is rounded before the two are compared.  metadata: of the safetensors file.
    """

    name: str
    weight: str
    tensors: Tensors
    expected: np.ndarray
    rounded: str = "float32"
    config: Mapping[str, Any] = field(default_factory=dict)
    metadata: Mapping[str, str] = field(default_factory=dict)

    def write(self, folder: Path) -> Path:
        """As a model's folder."""
        header: dict[str, Any] = {"__metadata__": dict(self.metadata)} if self.metadata else {}
        at, data = 0, []
        for name, (dtype, shape, content) in self.tensors.items():
            header[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [at, at + len(content)]}
            at += len(content)
            data.append(content)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "model.safetensors").write_bytes(with_header(header, b"".join(data)))
        for file, content in self.config.items():
            (folder / file).write_text(json.dumps(content))
        return folder

    @property
    def nbytes(self) -> int:
        """Of all its tensors but a bias, which is a tensor of its own."""
        return sum(len(content) for name, (_, _, content) in self.tensors.items() if not name.endswith(".bias"))


def save(file: str, library: str, version: str, cases: list[Case]) -> None:
    """Writes data/FILE.npz. library, version: what made and read the layers; a case's name is unique in its file."""
    arrays, told = {}, []
    for i, case in enumerate(cases):
        arrays[f"{i}"] = case.expected
        tensors = {}
        for j, (name, (dtype, shape, content)) in enumerate(case.tensors.items()):
            arrays[f"{i}.{j}"] = np.frombuffer(content, np.uint8)
            tensors[name] = [dtype, list(shape)]
        told.append(
            {"name": case.name, "weight": case.weight, "tensors": tensors, "rounded": case.rounded,
             "config": dict(case.config), "metadata": dict(case.metadata)}
        )  # fmt: skip
    about = json.dumps({"library": library, "version": version, "cases": told})
    DATA.mkdir(exist_ok=True)
    np.savez_compressed(DATA / f"{file}.npz", about=np.frombuffer(about.encode(), np.uint8), **arrays)


@cache
def load(file: str) -> tuple[str, str, tuple[Case, ...]]:
    """(library, version, cases) of data/FILE.npz."""
    with np.load(DATA / f"{file}.npz") as kept:
        about = json.loads(kept["about"].tobytes())
        cases = []
        for i, told in enumerate(about["cases"]):
            tensors = {
                name: (dtype, tuple(shape), kept[f"{i}.{j}"].tobytes())
                for j, (name, (dtype, shape)) in enumerate(told["tensors"].items())
            }
            cases.append(
                Case(told["name"], told["weight"], tensors, kept[f"{i}"], told["rounded"], told["config"],
                     told["metadata"])
            )  # fmt: skip
    return about["library"], about["version"], tuple(cases)


def files() -> list[str]:
    return sorted(path.stem for path in DATA.glob("*.npz"))
