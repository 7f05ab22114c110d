"""A picture as a tensor: `picture:` is the one that quantviz draws itself, `picture:PATH` a PNG, JPEG or WebP file.

A pixel's brightness 0 to 255 becomes brightness / 255 - 0.5, so that the numbers lie around zero, as weights do: black
is -0.5, white 0.5, and middle grey nearly 0.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import QuantvizError
from ..tensors import StoredTensor
from ..text.wording import size
from .drawn_picture import drawn_picture
from .files import PICTURE_ENDINGS, home_path
from .model import Progress, TensorInfo, select
from .opened import OpenFile, SeenFile, open_regular

PREFIX = "picture:"
NAME = "picture"  # of the tensor
MAX_FILE = 64 << 20  # bytes
MAX_PIXELS = 1 << 24  # of 4 bytes each as a tensor; a small file can claim any number
_KINDS = ["PNG", "JPEG", "WEBP"]  # what is tried: Pillow's other readers are never reached
_TURNS_SIDEWAYS = {5, 6, 7, 8}  # values of EXIF's orientation


def is_picture(ref: str) -> bool:
    """Whether a reference or path is that of a picture.

    >>> is_picture("picture:"), is_picture("upload:Cat.JPG"), is_picture("demo")
    (True, True, False)
    """
    return ref.startswith(PREFIX) or ref.lower().endswith(PICTURE_ENDINGS)


class PictureReader:
    """One tensor [rows, columns] of pixels, called `picture`. path: None for the picture that is drawn here."""

    def __init__(self, path: Path | None = None) -> None:
        if path is None:
            self._file, shape = None, self._own.shape
        else:
            file = open_regular(path)
            self._file, shape = SeenFile(path, file), _shape(file)
        self.tensors = (TensorInfo(NAME, shape, "float32", 4 * shape[0] * shape[1]),)

    @cached_property
    def _own(self) -> np.ndarray:
        return drawn_picture()

    def open(self, info: TensorInfo, rows: tuple[int, int] | None, progress: Progress | None) -> StoredTensor:
        part = select(info, rows)
        grey = self._own if self._file is None else _grey(self._file.open())
        weights = as_weights(grey).reshape(-1)
        return StoredTensor(weights[part.start : part.stop], "float32", part.shape, info.name)


def open_picture(ref: str, gate: Callable[[Path], Path]) -> PictureReader:
    """The file that `picture:PATH` names, whatever its ending. gate: gives the path as it may be read, links followed.

    Raises QuantvizError for what is no picture.
    """
    path = home_path(ref.removeprefix(PREFIX).strip())
    return PictureReader(gate(path))


def as_weights(grey: np.ndarray) -> np.ndarray:
    """float32 -0.5 to 0.5 of uint8 brightness."""
    return grey.astype(np.float32) / np.float32(255) - np.float32(0.5)


def as_grey(weights: np.ndarray) -> np.ndarray:
    """The uint8 brightness nearest to each weight; what lies beyond black or white is black or white."""
    return np.rint((np.clip(weights, -0.5, 0.5) + 0.5) * 255).astype(np.uint8)


def _shape(file: OpenFile) -> tuple[int, int]:
    """(rows, columns), from the header alone."""
    picture = _opened(file)
    width, height = picture.size
    if width * height > MAX_PIXELS:
        raise QuantvizError(
            f"{file.name} has {width:,} × {height:,} pixels; quantviz takes up to {MAX_PIXELS:,}, so make it smaller."
        )
    return (width, height) if _orientation(picture, file.name) in _TURNS_SIDEWAYS else (height, width)


def _opened(file: OpenFile) -> Any:
    """The picture, of which only the header is read so far."""
    from PIL import Image

    if file.size > MAX_FILE:
        raise QuantvizError(f"{file.name} takes {size(file.size)}; a picture may take {size(MAX_FILE)}.")
    try:
        return Image.open(io.BytesIO(file.read(0, file.size)), formats=_KINDS)
    except QuantvizError:
        raise
    except Exception:  # a hostile header raises whatever it likes
        raise QuantvizError(f"{file.name} is no PNG, JPEG or WebP picture that can be read; save it as one.") from None


def _orientation(picture: Any, name: str) -> int:
    try:
        return picture.getexif().get(0x0112, 1)
    except Exception:
        raise _damaged(name) from None


def _grey(file: OpenFile) -> np.ndarray:
    """uint8 [rows, columns]: luminance 0.299 R + 0.587 G + 0.114 B as Pillow rounds it; what is clear is white."""
    from PIL import Image, ImageOps

    shape, picture = _shape(file), _opened(file)
    try:
        upright = ImageOps.exif_transpose(picture)
        if upright.mode.startswith("I"):  # 16 bits a pixel, of which Pillow would clip all but the lowest 255 values
            grey = (np.asarray(upright).astype(np.int64).clip(0, 65535) * 255 + 32767) // 65535
            return grey.astype(np.uint8)
        if upright.has_transparency_data:
            clear = upright.convert("RGBA")
            upright = Image.alpha_composite(Image.new("RGBA", clear.size, "white"), clear)
        grey = np.asarray(upright.convert("L"))
    except Exception:  # of damaged pixels, whatever the decoder raises
        raise _damaged(file.name) from None
    if grey.shape != shape:
        raise _damaged(file.name)
    return grey


def _damaged(name: str) -> QuantvizError:
    return QuantvizError(f"{name} is a damaged picture; save it again, as PNG for example.")
