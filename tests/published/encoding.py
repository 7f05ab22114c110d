"""EXL3 and AQLM layers encoded by hand, in plain NumPy, and what comparing such files with an original gives."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import scipy.linalg

import quantviz as qv
from quantviz.checkpoints.readers.exl3 import Trellis
from quantviz.published.beside import against, pair_up
from quantviz.published.result import Against
from tests.checkpoints.golden import Case
from tests.published.packing import model
from tests.sources.builders import weights

NAME = "model.layers.0.mlp.down_proj.weight"
HADAMARD = scipy.linalg.hadamard(128) / np.sqrt(128)


def place(number: int) -> tuple[int, int]:
    """(input, output) of a tile that holds its number: ExLlamaV3's tensor_core_perm."""
    lane, at = divmod(number, 8)
    return lane % 4 * 2 + at % 2 + at // 2 % 2 * 8, lane // 4 + at // 4 * 8


PLACES = np.array([place(number) for number in range(256)])


def tiles_of(t: np.ndarray) -> np.ndarray:
    """[in / 16, out / 16, 256] of [in, out], each tile in its own order."""
    apart = t.reshape(t.shape[0] // 16, 16, -1, 16).swapaxes(1, 2)
    return apart[:, :, PLACES[:, 0], PLACES[:, 1]]


def transformed(w: np.ndarray, suh: np.ndarray, svh: np.ndarray) -> np.ndarray:
    """What ExLlamaV3's quantizer sees of [out, in]: [in, out]."""
    t = (w / svh[:, None] / suh).T.astype(np.float64)
    t = (HADAMARD @ t.reshape(-1, 128, t.shape[1])).reshape(t.shape)
    return (t.reshape(len(t), -1, 128) @ HADAMARD).reshape(t.shape)


def stream(states: np.ndarray, bits: int) -> np.ndarray:
    """int16 [..., 16 · bits] of states [..., 256]: the own bits of each, pairs of words swapped."""
    own = states.astype(np.int64)[..., None] >> np.arange(bits - 1, -1, -1) & 1
    words = np.packbits(own.astype(np.uint8).reshape(*states.shape[:-1], -1, 16), axis=-1).view(">u2")[..., 0]
    return words.reshape(*words.shape[:-1], -1, 2)[..., ::-1].reshape(words.shape).astype(np.uint16).view(np.int16)


def factors(w: np.ndarray, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """(suh, svh) with random signs, so that the numbers are spread as the codebook's are."""
    rng = np.random.default_rng(seed)
    suh = rng.choice([-1, 1], w.shape[1]) * np.sqrt(np.square(w).mean(axis=0)) / 1.24
    return suh.astype(np.float16), rng.choice([-1, 1], len(w)).astype(np.float16)


def exl3(name: str, states: np.ndarray, suh: np.ndarray, svh: np.ndarray, trellis: Trellis) -> dict[str, np.ndarray]:
    """The tensors of a layer of states [in / 16, out / 16, 256]."""
    base = name.removesuffix(".weight")
    marks = {f"{base}.{trellis.codebook}": np.zeros((), np.int32)} if trellis.codebook else {}
    return {f"{base}.trellis": stream(states, trellis.bits), f"{base}.suh": suh, f"{base}.svh": svh, **marks}


def searched_in_16_bits(x: np.ndarray, trellis: Trellis) -> np.ndarray:
    """uint16 [256]: the states that ExLlamaV3's quantize_tiles_kernel.cuh finds, whose sums are float16."""
    bits, kept = trellis.bits, 1 << 16 - trellis.bits
    numbers, x = trellis.numbers.astype(np.float16).astype(np.float32), x.astype(np.float16).astype(np.float32)

    def half(values: np.ndarray) -> np.ndarray:
        return values.astype(np.float16).astype(np.float32)

    def states(x: np.ndarray, end: int | None) -> list[int]:
        cost = np.zeros(kept, np.float32) if end is None else np.where(np.arange(kept) == end, 0, np.inf)
        edges = []
        for each in x:
            every = half(np.square(half(numbers - each)) + np.repeat(cost, 1 << bits)).reshape(1 << bits, kept)
            edges.append(every.argmin(axis=0))
            cost = every.min(axis=0)
        edge, found = int(cost.argmin()) if end is None else end, []
        for back in edges[::-1]:
            found.append(int(back[edge]) * kept + edge)
            edge = found[-1] >> bits
        return found[::-1]

    return np.array(states(x, states(np.roll(x, -128), None)[127] % kept), np.uint16)


def aqlm(name: str, codes: np.ndarray, books: np.ndarray, scales: np.ndarray) -> dict[str, np.ndarray]:
    """codes [rows, groups, codebooks]; books [codebooks, vectors, height, width]; scales [rows]."""
    base = name.removesuffix(".weight")
    return {
        f"{base}.codes": codes.astype(np.int16), f"{base}.codebooks": books.astype(np.float16),
        f"{base}.scales": scales.astype(np.float16).reshape(-1, 1, 1, 1),
    }  # fmt: skip


def compared(folder: Path, w: np.ndarray, tensors: dict[str, np.ndarray]) -> Against:
    """A file of these tensors, which hold the layer NAME, against an original whose weights are w."""
    original, file = model(folder / "a", {NAME: w}), model(folder / "b", tensors)
    return against(original, file, pair_up(original, file).of(NAME), detail="metrics")


def golden_compared(case: Case, folder: Path) -> Iterator[tuple[bool, Against]]:
    """A golden file against the very weights that are read from it (True), and against others nearby (False)."""
    file = qv.open_model(case.write(folder / "b"))
    w = file.load(case.weight)
    for name, noise in (("same", 0.0), ("other", 0.3)):
        moved = w + np.float32(noise) * w.std() * weights(*w.shape)
        original = model(folder / name, {case.weight: moved})
        yield not noise, against(original, file, pair_up(original, file).of(case.weight), detail="metrics")
