"""Where a language model's parts are: its configuration and tokenizer in a folder, its weights in a reader."""

from __future__ import annotations

import contextlib
import os
import re
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from ...errors import QuantvizError
from ...sources.files import SINGLE_TENSORS, WHY_NO_PICKLE, allowed_path, home_path, is_pickle
from ...sources.gguf_entries import entries_of
from ...sources.gguf_file import header_of
from ...sources.gguf_header import GGUFHeader
from ...sources.model import Reader
from ...sources.opened import OpenFile, open_regular, read_file
from .companions import COMPANIONS, CONFIG, MAX_COMPANION, MAX_CONFIG, lay_out, lay_out_header
from .stored_sizes import StoredSizes

Progress = Callable[[str, int, int], None]
"""progress(what, done, total), called now and then; what it raises stops the work."""

FORMS = "demo, hf:org/name, the folder of a model with config.json, or a .gguf file"
# Names of classes that hold a model's body alone, or a head for another task.
_OTHER_TASK = re.compile(
    r"(?<!LMHead)Model$|For(MaskedLM|PreTraining|\w+Classification|QuestionAnswering|MultipleChoice|CTC)$"
)


@dataclass(frozen=True)
class Parts:
    """folder: has config.json and the tokenizer's files, written for transformers.  reader: of the weights, None for
    GGUF.  gguf: name of a GGUF header in the folder, which then says all of it; file: which has the weights.
    name: for sentences.
    """

    ref: str
    name: str
    folder: Path
    reader: Reader | None = None
    gguf: str | None = None
    file: OpenFile | None = None
    header: GGUFHeader | None = None

    @property
    def tensors(self) -> int:
        """How many there are."""
        return len(self.reader.tensors if self.header is None else self.header.tensors)

    @cached_property
    def sizes(self) -> StoredSizes:
        """What each tensor takes as stored."""
        if self.reader is not None:
            return StoredSizes({info.name: (info.size, 8 * info.nbytes) for info in self.reader.tensors})
        header = self.header
        entries = entries_of(header, self.file.size, self.name, None)
        sizes = {entry.info.name: (entry.info.size, 8 * entry.info.nbytes) for entry in entries}
        return StoredSizes.of_gguf(sizes, header.metadata.get("general.architecture"))

    @property
    def stored(self) -> tuple[int, int, int]:
        """(weights, bytes they take as stored, weights of the largest tensor)."""
        sizes = self.sizes
        return sizes.weights, sizes.bits // 8, max((weights for weights, _ in sizes.sizes.values()), default=0)


def refuse_other_than_causal(config: Mapping[str, Any], name: str) -> None:
    """Raises QuantvizError where config.json names architectures of which none can predict the next token.

    An early check, without transformers and weights; opening the model checks the rest.
    """
    said = config.get("architectures")
    said = [text for text in said if isinstance(text, str)] if isinstance(said, list) else []
    if said and all(_OTHER_TASK.search(architecture) for architecture in said):
        raise QuantvizError(
            f"{name} is no causal language model but {said[0][:80]}; choose one whose architecture ends with "
            "ForCausalLM."
        )


@contextlib.contextmanager
def open_parts(
    ref: str,
    token: str | bool | None = None,
    root: str | os.PathLike[str] | None = None,
    cache_dir: str | os.PathLike[str] | None = None,
) -> Iterator[Parts]:
    """The parts of the model that `ref` names; temporary files are removed when the context ends.

    Arguments as `quantviz.open_model` has them. Raises QuantvizError with one sentence for whatever is wrong.
    """
    if ref == "demo":
        from ...sources.demo import FOLDER, open_demo

        yield Parts(ref, "The demo model", FOLDER, open_demo())
    elif ref.startswith("hf:"):
        with tempfile.TemporaryDirectory(prefix="quantviz-") as folder:
            yield _from_hub(ref, token, None if cache_dir is None else Path(cache_dir), Path(folder))
    elif ref.startswith(SINGLE_TENSORS):
        raise QuantvizError(f"{ref[:80]!r} is a single tensor, no language model; give {FORMS}.")
    elif not ref.strip():
        raise QuantvizError(f"The reference is empty; give {FORMS}.")
    else:
        with tempfile.TemporaryDirectory(prefix="quantviz-") as folder:
            gate = Path if root is None else partial(allowed_path, root=root)
            yield _from_path(home_path(ref), ref, gate, Path(folder))


def _from_path(path: Path, ref: str, gate: Callable[[Path], Path], folder: Path) -> Parts:
    if is_pickle(path.name):
        raise QuantvizError(f"{path.name} is a pickle-based file; {WHY_NO_PICKLE}. Choose safetensors.")
    real = gate(path)
    try:
        is_folder, is_file = real.is_dir(), real.is_file()
    except (OSError, ValueError):  # a name too long, a null byte
        is_folder = is_file = False
    if is_folder:
        from ...sources.folder import open_folder

        where = f"The folder {path.name or path}"
        if not os.path.lexists(real / CONFIG):
            raise QuantvizError(f"{where} has no {CONFIG}, so it is no model; give {FORMS}.")
        for name in COMPANIONS:
            if os.path.lexists(real / name):  # a link out of the folder that may be read is refused here
                most = MAX_CONFIG if name == CONFIG else MAX_COMPANION
                lay_out(folder, name, read_file(gate(real / name), most, f"{where}: {name}"), where)
        return Parts(ref, where, folder, open_folder(path, gate))
    if not is_file:
        raise QuantvizError(f"There is no file or folder {str(path)[:200]!r}; give {FORMS}.")
    if path.suffix.lower() == ".gguf":
        file = open_regular(real, path.name)
        header = header_of(file)
        return Parts(ref, path.name, folder, None, lay_out_header(folder, file, header), file, header)
    if path.suffix.lower() == ".safetensors" or path.name.endswith(".index.json"):
        raise QuantvizError(
            f"{path.name} holds weights alone; give its folder, which has config.json and a tokenizer too."
        )
    raise QuantvizError(f"{path.name} is no language model; give {FORMS}.")


def _from_hub(ref: str, token: str | bool | None, cache_dir: Path | None, folder: Path) -> Parts:
    """Configuration and tokenizer are written to `folder`; the weights stay in the cache, each fetched when opened."""
    from ...sources.cache import Cache, key_of
    from ...sources.hub import Hub, HubRef
    from ...sources.hub_reader import HubReader

    hub, cache = Hub(HubRef.parse(ref), token), Cache.default(cache_dir)
    if hub.ref.file:
        raise QuantvizError(
            f"{ref} names a file of a repository; give its safetensors as hf:{hub.ref.repo}, or download the .gguf and "
            "give its path."
        )
    files = hub.files(lambda listed, _: [name for name in COMPANIONS if name in listed])
    if CONFIG not in {file.name for file in files}:
        raise QuantvizError(f"{hub.ref.repo} has no config.json, so it is no model that transformers knows.")
    for file in files:
        if file.size > (MAX_CONFIG if file.name == CONFIG else MAX_COMPANION):
            raise QuantvizError(f"{hub.ref.repo}: {file.name} is larger than {MAX_COMPANION >> 20} MB.")
        key = key_of(hub.endpoint, hub.ref.repo, file.etag, file.name, "whole")
        content = cache.header(key)
        if content is None:
            content = file.read(0, file.size, threading.Event())
            cache.keep_header(key, content)
        lay_out(folder, file.name, content, hub.ref.repo)
    return Parts(ref, hub.ref.repo, folder, HubReader(hub, cache))
