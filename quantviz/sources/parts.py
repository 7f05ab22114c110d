"""Which files of a repository or folder are meant by a part of it: a file, a folder, a variant, or none for the model.

A pipeline such as diffusers' keeps each model in a folder of its own; many keep the same weights twice, as
`model.safetensors` and `model.fp16.safetensors`. Which shards belong together is what an index.json says.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable
from pathlib import PurePosixPath

from ..errors import QuantvizError, did_you_mean
from .files import MAX_FILES, SHARD, WHY_NO_PICKLE, is_pickle, weight_files
from .gguf_entries import choose as choose_gguf
from .gguf_entries import is_gguf
from .json_text import read_json_object
from .model import SeveralFiles

SAFETENSORS, INDEX = ".safetensors", ".safetensors.index.json"
PIPELINE = "model_index.json"  # of a pipeline, whose models lie in folders
_SHOWN = 8
# The files that the weight_map of an index names, by the name of the index.
ReadIndex = Callable[[str], Collection[str]]


def chosen_files(
    names: Iterable[str], part: str | None, where: str, read_index: ReadIndex, example: str = "{}"
) -> list[str]:
    """The files that hold the weights of `part` of what is in `where`; of the whole for None.

    names: paths with /.  part: a file, an index, a folder, or a word that tells files apart, such as fp16 or
    consolidated; a folder and such a word too, as in unet/fp16.  example: how to name a part; `{}` stands for it.
    Raises QuantvizError for a part that is not there, and SeveralFiles for a pipeline of which none is named.

    >>> chosen_files(["a/x.safetensors", "a/x.fp16.safetensors", "b/y.safetensors"], "a", "org/name", set)
    ['a/x.safetensors']
    >>> chosen_files(["a/x.safetensors", "a/x.fp16.safetensors", "b/y.safetensors"], "a/fp16", "org/name", set)
    ['a/x.fp16.safetensors']
    """
    names = sorted(names)
    part = part.strip().rstrip("/") if part else None
    if not part:
        _refuse_pipeline(names, where, example)
        return _of_folder(names, "", None, where, read_index, example)
    if part in names:
        return _one(names, part, where, read_index)
    folder, word = _folder_of(names, part)
    if folder is None and is_gguf(part):
        return choose_gguf(names, part, where, example)
    if folder is None and not any(_has(word, n) for n in names if n.endswith(SAFETENSORS)):
        if any(map(is_gguf, names)):
            return choose_gguf(names, part, where, example)
        raise QuantvizError(_not_there(names, part, where))
    return _of_folder(names, folder or "", word, where, read_index, example)


def _one(names: list[str], part: str, where: str, read_index: ReadIndex) -> list[str]:
    if part.endswith(INDEX):
        return _by_index(names, part, where, read_index)
    if is_gguf(part):
        return choose_gguf(names, part, where)
    if part.endswith(SAFETENSORS):
        return [part]
    why = WHY_NO_PICKLE if is_pickle(part) else "it holds no weights"
    raise QuantvizError(f"{part[:200]} of {where} cannot be opened: {why}; name a .safetensors, a .gguf or a folder.")


def _folder_of(names: list[str], part: str) -> tuple[str | None, str | None]:
    """(the folder, the word that is left): None for what the part has none of."""
    if any(name.startswith(f"{part}/") for name in names):
        return f"{part}/", None
    before, slash, word = part.rpartition("/")
    if slash and any(name.startswith(f"{before}/") for name in names):
        return f"{before}/", word
    return None, part


def _of_folder(
    names: list[str], folder: str, word: str | None, where: str, read_index: ReadIndex, example: str
) -> list[str]:
    inside = [name for name in names if name.startswith(folder)]
    tensors = [name for name in inside if name.endswith(SAFETENSORS)]
    place = f"{where}, folder {folder.rstrip('/')}," if folder else where
    if not tensors and any(map(is_gguf, inside)):
        return choose_gguf(inside, word, place, example)
    if word:
        inside = [name for name in inside if _has(word, name)]
        if not any(name.endswith(SAFETENSORS) for name in inside):
            raise QuantvizError(_not_there([name[len(folder) :] for name in tensors], word, place))
    else:
        inside = _without_variants(inside)
    found = [folder + name for name in weight_files((name[len(folder) :] for name in inside), place, False)]
    stems = {match[1] if (match := SHARD.fullmatch(name)) else name for name in found}
    levels = {PurePosixPath(name).parent for name in found}
    indices = [n for n in inside if n.endswith(INDEX) and {PurePosixPath(n).parent} == levels]
    if len(stems) > 1 and indices:
        return _by_index(names, min(indices, key=len), where, read_index)
    return [folder + name for name in weight_files((name[len(folder) :] for name in inside), place)]


def _by_index(names: list[str], index: str, where: str, read_index: ReadIndex) -> list[str]:
    """The shards that an index names, all in its folder or below."""
    folder, there = PurePosixPath(index).parent, set(names)
    shards = sorted({str(folder / shard) for shard in read_index(index)})
    missing = [shard for shard in shards if shard not in there or not shard.endswith(SAFETENSORS)]
    if missing or not shards:
        lacks = f"names {missing[0][:200]!r}, which {where} does not have" if missing else "names no files"
        alone = " To open one shard alone, give its own name." if missing else ""
        raise QuantvizError(f"{index} {lacks}; all shards are needed.{alone}")
    if len(shards) > MAX_FILES:
        raise QuantvizError(f"{index} names {len(shards):,} files; quantviz reads up to {MAX_FILES:,}.")
    return shards


def shards_of(content: bytes, what: str) -> set[str]:
    """The files that an index names. Raises QuantvizError for one that is none."""
    return set(weight_map_of(content, what).values())


def weight_map_of(content: bytes, what: str) -> dict[str, str]:
    """The file of each tensor, as an index says. Raises QuantvizError for one that is none."""
    weight_map = read_json_object(content, what).get("weight_map")
    if not isinstance(weight_map, dict) or not all(isinstance(shard, str) for shard in weight_map.values()):
        raise QuantvizError(f"{what} has no weight_map of tensor names to file names, so it is no safetensors index.")
    return weight_map


def _without_variants(names: list[str]) -> list[str]:
    """Without the second copies of weights that are there as they are: x.fp16.safetensors beside x.safetensors."""
    plain = {_stem(name) for name in names if name.endswith((SAFETENSORS, INDEX))}
    return [name for name in names if not name.endswith((SAFETENSORS, INDEX)) or not _is_variant(_stem(name), plain)]


def _is_variant(stem: str, plain: Collection[str]) -> bool:
    before, dot, _ = stem.rpartition(".")
    return bool(dot) and before in plain


def _stem(name: str) -> str:
    """
    >>> _stem("unet/x.fp16-00001-of-00002.safetensors"), _stem("x.safetensors.index.fp16.json")
    ('unet/x.fp16', 'x.safetensors.index.fp16.json')
    """
    match = SHARD.fullmatch(name)
    return match[1] if match else name.removesuffix(INDEX).removesuffix(SAFETENSORS)


def _has(word: str | None, name: str) -> bool:
    """Whether a file's name has the word for one of its parts."""
    if not word:
        return True
    return bool(re.search(rf"(?<![A-Za-z0-9_]){re.escape(word)}(?![A-Za-z0-9_])", PurePosixPath(name).name, re.I))


def _refuse_pipeline(names: list[str], where: str, example: str) -> None:
    """A pipeline holds several models, none of which is the whole."""
    tensors = [name for name in names if name.endswith(SAFETENSORS)]
    if PIPELINE not in names or any("/" not in name for name in tensors):
        return
    folders = sorted({name.partition("/")[0] for name in tensors})
    if len(folders) > 1:
        raise SeveralFiles(
            f"{where} is a pipeline of several models: {', '.join(folders[:_SHOWN])}; name one, for example "
            f"{example.format(folders[0])}.",
            tuple(folders),
        )


def _not_there(names: list[str], part: str, where: str) -> str:
    tensors = [name for name in names if name.endswith(SAFETENSORS)]
    folders = sorted({name.rpartition("/")[0] for name in tensors if "/" in name})
    files = [name for name in tensors if "/" not in name]
    have = [*folders, *files][:_SHOWN]
    near = did_you_mean(part, [*folders, *tensors])
    return f"{where} has no file, folder or variant {part[:200]!r}; it has {', '.join(have) or 'no weights'}.{near}"
