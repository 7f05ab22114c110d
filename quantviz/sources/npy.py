"""NumPy's .npy files."""

from __future__ import annotations

import io
import math
import warnings
from pathlib import Path

import numpy as np

from ..errors import QuantvizError
from ..tensors import StoredTensor
from .column_major import ColumnMajor
from .files import WHY_NO_PICKLE, spelled
from .model import Progress, TensorInfo, select
from .opened import FileArray, OpenFile, SeenFile, open_regular, revision_of

NPY_MAGIC = b"\x93NUMPY"
MAX_HEADER = 1 << 14  # bytes; what NumPy writes for plain numbers takes 128, and it reads no more than 10,000

# Python 2 wrote whole numbers as 64L. NumPy reads that and warns that it takes longer, which helps nobody here.
warnings.filterwarnings("ignore", "Reading `.npy` or `.npz` file required additional header parsing", UserWarning)


class NpyReader:
    """The one array of a .npy file, named after the file."""

    def __init__(self, path: Path) -> None:
        file = open_regular(path)
        self._file = SeenFile(path, file)
        self._dtype, self._fortran, shape, self._offset = _read_header(file)
        nbytes = math.prod(shape) * self._dtype.itemsize
        self.tensors = (TensorInfo(spelled(path.stem), shape, self._dtype.name, nbytes),)

    @property
    def revision(self) -> str:
        return revision_of([self._file])

    def open(self, info: TensorInfo, rows: tuple[int, int] | None, progress: Progress | None) -> StoredTensor:
        """The array or some of its rows, in row-major order and the machine's byte order as it is read."""
        part = select(info, rows)
        everything = FileArray(self._file.open(), self._dtype, self._offset, info.size)
        by_column = self._fortran and len(info.shape) > 1
        data = ColumnMajor(everything, info.shape) if by_column else everything
        return StoredTensor(data[part.start : part.stop], info.dtype, part.shape, info.name)


def _read_header(file: OpenFile) -> tuple[np.dtype, bool, tuple[int, ...], int]:
    """(dtype, column-major?, shape, first byte of the data), checked against the file's size."""
    where, size, beginning = file.name, file.size, file.read(0, MAX_HEADER)
    if beginning[:2] == b"PK":
        raise QuantvizError(f"{where} is an .npz archive; save one array with numpy.save.")
    if not beginning.startswith(NPY_MAGIC):
        raise QuantvizError(f"{where} is no .npy file: it does not begin as one; save it with numpy.save.")
    shape, fortran, dtype, offset = parse_npy_header(beginning, where)
    if dtype.hasobject:
        raise QuantvizError(f"{where} holds Python objects, which are pickled; {WHY_NO_PICKLE}. Save plain numbers.")
    if not all(type(n) is int and 0 <= n < 2**63 for n in shape) or math.prod(shape) * dtype.itemsize >= 2**63:
        raise QuantvizError(f"{where} has the impossible shape {list(shape)}.")
    if math.prod(shape) * dtype.itemsize > size - offset:
        raise QuantvizError(
            f"{where} is truncated: {list(shape)} of {dtype.name} take {math.prod(shape) * dtype.itemsize:,} bytes, "
            f"and {size - offset:,} are there."
        )
    return dtype, fortran, tuple(int(n) for n in shape), offset


def parse_npy_header(beginning: bytes, where: str) -> tuple[tuple[int, ...], bool, np.dtype, int]:
    """(shape, column-major?, dtype, first byte of the data) from the first bytes of a file."""
    stream = io.BytesIO(beginning[:MAX_HEADER])
    try:
        version = np.lib.format.read_magic(stream)
        read = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
        if version not in read:
            raise QuantvizError(f"{where} has .npy version {version[0]}.{version[1]}; 1.0 and 2.0 hold weights.")
        shape, fortran, dtype = read[version](stream)
    except QuantvizError:
        raise
    except Exception:  # numpy evaluates the header as a Python literal: many types of error say "damaged"
        raise QuantvizError(f"{where} has a damaged .npy header.") from None
    return shape, fortran, dtype, stream.tell()
