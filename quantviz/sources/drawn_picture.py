"""The picture that comes with quantviz, made by it: what quantization does to a picture shows in each of its parts.

A sky whose shades hardly change shows banding, a bright sun on it is an outlier, ridges have edges, rings of ever
narrower waves fine detail, and a line of letters what stays readable. Only sums, products and square roots are used,
which every machine rounds alike, so the pixels are the same everywhere.
"""

from __future__ import annotations

import numpy as np

SIDE = 256  # pixels
# Seven rows of five pixels a letter, the leftmost the highest bit.
_LETTERS = {
    "q": (0, 0, 15, 17, 15, 1, 1), "u": (0, 0, 17, 17, 17, 19, 13), "a": (0, 0, 14, 1, 15, 17, 15),
    "n": (0, 0, 22, 25, 17, 17, 17), "t": (8, 8, 28, 8, 8, 9, 6), "v": (0, 0, 17, 17, 17, 10, 4),
    "i": (4, 0, 12, 4, 4, 4, 14), "z": (0, 0, 31, 2, 4, 8, 31), " ": (0,) * 7,
}  # fmt: skip


def drawn_picture() -> np.ndarray:
    """uint8 [256, 256] of brightness, 0 black and 255 white."""
    y, x = np.mgrid[0:SIDE, 0:SIDE].astype(np.float64)
    shade = 0.30 + 0.35 * y / 150  # the sky, brighter towards the horizon
    shade += 0.25 / (1 + ((x - 190) ** 2 + (y - 52) ** 2) / 900)
    _paint(shade, (x - 190) ** 2 + (y - 52) ** 2 < 18**2, 1.0)
    for middle, top, width, brightness in ((70, 92, 150, 0.42), (200, 112, 110, 0.33), (120, 134, 190, 0.22)):
        ridge = top + (x - middle) ** 2 / width + 3 * _wave(x / 23 + middle)
        _paint(shade, y > ridge, brightness + 0.10 * (y - top) / 100)
    ground = y > 168
    rings = _wave(((x - 40) ** 2 + (y - 262) ** 2) / 520)
    _paint(shade, ground, 0.28 + 0.16 * rings + 0.12 * (y - 168) / 88)
    _write(shade, "quantviz", 150, 186, 2, 0.96)
    _write(shade, "quantviz", 150, 212, 1, 0.90)
    return np.rint(np.clip(shade, 0, 1) * 255).astype(np.uint8)


def _wave(phase: np.ndarray) -> np.ndarray:
    """-1 to 1 and back once for each whole number of `phase`: a sine's look from two parabolas."""
    part = phase - np.floor(phase)
    half = np.where(part < 0.5, part, part - 0.5)
    return np.where(part < 0.5, 1, -1) * 16 * half * (0.5 - half)


def _paint(shade: np.ndarray, where: np.ndarray, brightness: np.ndarray | float) -> None:
    np.copyto(shade, brightness, where=where)


def _write(shade: np.ndarray, text: str, left: int, top: int, scale: int, brightness: float) -> None:
    for nth, letter in enumerate(text):
        rows = np.array(_LETTERS[letter])[:, None] >> np.arange(4, -1, -1) & 1
        dots = np.kron(rows, np.ones((scale, scale))) > 0
        at = left + nth * 6 * scale
        _paint(shade[top : top + 7 * scale, at : at + 5 * scale], dots, brightness)
