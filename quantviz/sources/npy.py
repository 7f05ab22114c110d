"""NumPy's .npy files, memory-mapped."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np

from ..errors import QuantvizError
from ..tensors import StoredTensor, as_stored
from .files import WHY_NO_PICKLE, map_file
from .model import Progress, TensorInfo, select

NPY_MAGIC = b"\x93NUMPY"


class NpyReader:
    """The one array of a .npy file, named after the file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._dtype, self._fortran, shape, self._offset = _read_header(path)
        nbytes = math.prod(shape) * self._dtype.itemsize
        self.tensors = (TensorInfo(path.stem, shape, self._dtype.name, nbytes),)

    def open(self, info: TensorInfo, rows: tuple[int, int] | None, progress: Progress | None) -> StoredTensor:
        """The array or some of its rows. Column-major and big-endian files are copied in row-major order."""
        part = select(info, rows)
        if self._fortran and len(info.shape) > 1:
            columns = map_file(self._path, self._dtype, self._offset, info.shape, "F")
            array = columns.reshape(info.rows, info.cols)[part.start // info.cols : part.stop // info.cols]
        else:
            start = self._offset + part.start * self._dtype.itemsize
            array = map_file(self._path, self._dtype, start, (part.stop - part.start,))
        return replace(as_stored(np.asarray(array)), shape=part.shape, name=info.name)


def _read_header(path: Path) -> tuple[np.dtype, bool, tuple[int, ...], int]:
    """(dtype, column-major?, shape, first byte of the data), checked against the file's size."""
    where = path.name
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(0)
            magic = file.read(len(NPY_MAGIC))
            if magic[:2] == b"PK":
                raise QuantvizError(f"{where} is an .npz archive; save one array with numpy.save.")
            if magic != NPY_MAGIC:
                raise QuantvizError(f"{where} is no .npy file: it does not begin as one; save it with numpy.save.")
            file.seek(0)
            version = np.lib.format.read_magic(file)
            read = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
            if version not in read:
                raise QuantvizError(f"{where} has .npy version {version[0]}.{version[1]}; 1.0 and 2.0 hold weights.")
            shape, fortran, dtype = read[version](file)
            offset = file.tell()
    except OSError as problem:
        raise QuantvizError(f"{where} cannot be read: {(problem.strerror or str(problem)).lower()}.") from None
    except QuantvizError:
        raise
    except Exception:  # numpy evaluates the header as a Python literal: many types of error say "damaged"
        raise QuantvizError(f"{where} has a damaged .npy header.") from None
    if dtype.hasobject:
        raise QuantvizError(f"{where} holds Python objects, which are pickled; {WHY_NO_PICKLE}. Save plain numbers.")
    if not all(0 <= n < 2**63 for n in shape) or math.prod(shape) * dtype.itemsize >= 2**63:
        raise QuantvizError(f"{where} has the impossible shape {list(shape)}.")
    if math.prod(shape) * dtype.itemsize > size - offset:
        raise QuantvizError(
            f"{where} is truncated: {list(shape)} of {dtype.name} take {math.prod(shape) * dtype.itemsize:,} bytes, "
            f"and {size - offset:,} are there."
        )
    return dtype, fortran, tuple(int(n) for n in shape), offset
