"""What the visitor looks at: a source, a tensor of it or some of its rows, a scheme, and an importance."""

from __future__ import annotations

from dataclasses import dataclass, field

from quantviz.outliers import Edit
from quantviz.schemes import Scheme
from quantviz.sources import TensorInfo

DEMO_REF = "demo"
SMALL = 64  # weights of a tensor that Explore shows one by one, at its top
UPLOAD = "upload:"  # begins the reference of a file that the visitor uploaded


@dataclass(frozen=True)
class ModelRef:
    """A reference as one visitor may open it.

    ref: as links and snippets have it.  opens: what is opened, a private copy in the case of an upload.
    root: the only folder to open files from.  version: changes when the file does, or with time for the Hub.
    visitor: tells tokens apart without holding one, so that nobody is served what another's token opened.
    """

    ref: str
    opens: str
    root: str | None = None
    version: str = ""
    visitor: str = ""


@dataclass(frozen=True)
class TensorPart:
    """One tensor of a model, or some of its rows, perhaps edited: the key by which results are cached."""

    source: ModelRef
    tensor: str
    rows: tuple[int, int] | None = None
    edit: Edit | None = None


@dataclass(frozen=True, eq=False)
class Importance:
    """E[x²] of each input channel of one tensor, from a visitor's file.

    file: its name.  entry: which of an imatrix, "" for a .npy file.  values: float32 [cols].  digest: of the values.
    calibration: quantviz's Calibration of the layer's inputs, of which the values are a part; None where E[x²] is all.
    python: the expression that makes the calibration in a script.
    """

    file: str
    entry: str
    values: object
    digest: str
    calibration: object = None
    python: str = ""


@dataclass(frozen=True)
class View:
    """What a page shows. at and info are None until a tensor could be opened.

    importance: weighs the errors on the page; None without.
    """

    scheme: Scheme
    pinned: Scheme | None = None
    at: TensorPart | None = None
    info: TensorInfo | None = None
    token: str | bool | None = field(default=None, repr=False)
    importance: Importance | None = None

    @property
    def weighing(self) -> str | None:
        """The digest of the importance; None without one."""
        return self.importance and self.importance.digest

    @property
    def rows(self) -> int:
        """How many rows are selected."""
        start, stop = self.at.rows or (0, self.info.rows)
        return stop - start

    @property
    def weights(self) -> int:
        """How many weights are selected."""
        return self.rows * self.info.cols
