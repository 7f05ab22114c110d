"""Which files of a folder or repository hold its weights, and which paths may be read."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from ..errors import QuantvizError
from ..text.numbers import whole_number

PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle", ".joblib")
SINGLE = "model.safetensors"
SINGLE_TENSORS = ("random:", "values:", "picture:")  # begin references of one tensor that belongs to no model
TEXT_ENDINGS = (".csv", ".txt")
PICTURE_ENDINGS = (".png", ".jpg", ".jpeg", ".webp")
MAX_FILES = 2000
MAX_LISTED = 100_000  # files of a folder that are looked at
SHARD = re.compile(r"(.*)-([0-9]+)-of-([0-9]+)\.safetensors")

WHY_NO_PICKLE = "a pickle can run any code while it is read, so quantviz refuses it"


def spelled(name: str) -> str:
    """A file's name as text: bytes in it that are no UTF-8 are written out, so that it can be shown and sent.

    >>> spelled("caf\\udce9.npy")
    'caf\\\\xe9.npy'
    """
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def is_pickle(name: str) -> bool:
    return name.lower().endswith(PICKLES)


def allowed_path(path: str | Path, root: str | Path) -> Path:
    """`path` with every link followed, if it then lies in folder `root`; relative paths start there.

    Raises QuantvizError otherwise.
    """
    base = _resolved(Path(root), path)
    real = _resolved(base / path, path)
    if not real.is_relative_to(base):
        raise QuantvizError(f"{str(path)[:200]!r} lies outside the folder this app may read; choose a file inside it.")
    return real


def home_path(text: str | Path) -> Path:
    """A path with `~` and `~name` replaced by that person's folder; as it is where there is no such person."""
    return Path(os.path.expanduser(text))  # Path.expanduser raises RuntimeError instead


def _resolved(path: Path, named: str | Path) -> Path:
    try:
        return path.resolve()
    except (OSError, ValueError, RuntimeError):  # too long, a null byte, links in a circle
        raise QuantvizError(f"{str(named)[:200]!r} is no usable path.") from None


def weight_files(names: Iterable[str], where: str, complete: bool = True) -> list[str]:
    """Those of the files `names` (paths with /) that hold the weights of the model in `where`.

    model.safetensors, or the complete set model-00001-of-0000N.safetensors, or else every
    safetensors file at the highest level that has any. Raises QuantvizError where there is
    none, saying why pickles are no substitute, and where a shard of a set is missing; not with complete=False.
    """
    names = sorted(names)
    tensors = [name for name in names if name.endswith(".safetensors")]
    if not tensors:
        _refuse(names, where)
    if SINGLE in tensors:
        return [SINGLE]
    top = min(len(PurePosixPath(name).parts) for name in tensors)
    tensors = [name for name in tensors if len(PurePosixPath(name).parts) == top]
    shards = [name for name in tensors if (match := SHARD.fullmatch(name)) and match[1] == "model"]
    chosen = shards or tensors
    if len(chosen) > MAX_FILES:
        raise QuantvizError(f"{where} has {len(chosen):,} safetensors files; quantviz reads up to {MAX_FILES:,}.")
    if complete:
        _check_complete(chosen, where)
    return chosen


def _check_complete(names: list[str], where: str) -> None:
    sets: dict[tuple[str, str], set[int]] = {}
    for name in names:
        if match := SHARD.fullmatch(name):
            number = whole_number(match[2])
            sets.setdefault((match[1], match[3]), set()).add(-1 if number is None else number)
    for (stem, written), present in sets.items():
        total = whole_number(written, most=MAX_FILES)
        if total is None:
            raise QuantvizError(f"{where} has shards of {written[:40]} files; quantviz reads up to {MAX_FILES:,}.")
        if len(present) < total:
            first = next(i for i in range(1, total + 1) if i not in present)
            missing = f"{stem}-{first:0{len(written)}d}-of-{written}.safetensors"
            raise QuantvizError(f"{where} lacks the shard {missing}; all {total} are needed.")


def _refuse(names: list[str], where: str) -> None:
    pickles = [name for name in names if is_pickle(name)]
    if pickles:
        raise QuantvizError(
            f"{where} has no safetensors or GGUF file, only pickled weights such as {pickles[0]}; {WHY_NO_PICKLE}. "
            "Choose a model or revision that ships safetensors."
        )
    raise QuantvizError(f"{where} has no safetensors and no GGUF file; choose a model that ships one.")
