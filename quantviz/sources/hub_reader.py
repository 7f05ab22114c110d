"""Tensors of a Hub repository, of which only the bytes that are asked for travel."""

from __future__ import annotations

import re
import threading
from dataclasses import replace
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

from ..errors import MissingFile, QuantvizError
from ..tensors import StoredTensor
from .budget import Budget, Held
from .cache import Cache, key_of
from .gguf_entries import check_split, entries_of, is_gguf
from .gguf_header import GGUFHeader, read_header

# Asking for the model's description fails fast, so that a dead network is told at once.
from .hub import Hub, HubRef
from .json_text import JSON_FILES, MAX_CONFIG_BYTES, read_json_object
from .model import Decoders, Progress, TensorInfo, byte_range, element_type, select, tensor_of
from .ranged import RemoteFile, fetch, in_parallel
from .safetensors_header import LENGTH_BYTES, Entry, Header, header_length, parse_header, together, union

GGUF_PIECE = 1 << 20  # bytes of a GGUF header to ask for at a time: how long it is shows only in the reading
MAX_GGUF_HEADER = 96 << 20  # bytes; the largest tokenizers take some 20 million


class _Beginning:
    """A remote file from its first byte on, as far as it was asked for: what comes is kept, and comes once."""

    def __init__(self, file: RemoteFile, cancel: threading.Event) -> None:
        self.name, self.size = file.name, file.size
        self._file, self._cancel, self._begun = file, cancel, bytearray()

    def read(self, start: int, stop: int) -> bytes:
        if stop > MAX_GGUF_HEADER + GGUF_PIECE:
            raise QuantvizError(
                f"{self.name} claims a header of over {MAX_GGUF_HEADER:,} bytes, so it is damaged or no model."
            )
        if (have := len(self._begun)) < stop:
            until = min(max(stop, have + GGUF_PIECE), self.size)
            self._begun.extend(self._file.read(have, until, self._cancel))
        return bytes(self._begun[start:stop])


class HubReader:
    """The tensors of a repository's files, each fetched when it is opened, through the cache."""

    def __init__(self, hub: Hub, cache: Cache, decoders: Decoders | None = None) -> None:
        self._cache = cache
        self._scope = (hub.endpoint, hub.ref.repo)
        self._decoders = decoders
        self._budget = Budget()
        self.metadata: dict[str, object] = {}
        files, self._json = self._files(hub)
        self.pinned = hub.ref.at(hub.commit)
        told = re.fullmatch(r"[0-9a-f]{40}", hub.commit)  # else a branch, by a Hub that does not say at which commit
        self.revision = hub.commit if told else key_of(*sorted(file.etag for file in files))
        if is_gguf(files[0].name):
            entries = self._of_gguf(files)
        else:
            headers = in_parallel(self._header, files)
            entries = [header.entries for header in headers]
            self.metadata.update(together(headers))
        self._entries_by_name = union([(file.name, file, found) for file, found in zip(files, entries, strict=True)])
        self.tensors = tuple(replace(entry.info, name=name) for name, (_, entry) in self._entries_by_name.items())

    def _files(self, hub: Hub) -> tuple[list[RemoteFile], dict[str, bytes | None]]:
        """The files with the weights, and the content of JSON_FILES beside the first; None for one that is too long."""
        beside: dict[str, str] = {}

        def choose(listed: Any, where: str) -> list[str]:
            names = hub.names(listed, where)
            folder = PurePosixPath(names[0]).parent
            if not is_gguf(names[0]):  # which says itself what its tensors are
                beside.update({path: name for name in JSON_FILES if (path := str(folder / name)) in listed})
            return [*names, *beside]

        files = hub.files(choose)
        small = [file for file in files if file.name in beside]
        return [file for file in files if file.name not in beside], dict(
            zip((beside[file.name] for file in small), in_parallel(self._whole, small), strict=True)
        )

    def _whole(self, file: RemoteFile, cancel: threading.Event) -> bytes | None:
        """A small file's content, kept for the next time."""
        if file.size > MAX_CONFIG_BYTES:
            return None
        key = key_of(*self._scope, file.etag, file.name, "whole")
        content = self._cache.header(key)
        if content is None:
            content = file.read(0, file.size, cancel)
            self._cache.keep_header(key, content)
        return content

    def read_json(self, name: str) -> dict[str, Any]:
        """The object in one of JSON_FILES; raises MissingFile where there is none."""
        if name not in self._json:
            raise MissingFile(f"{self._scope[1]} has no {name} beside its weights.")
        content = self._json[name]
        if content is None:
            raise QuantvizError(f"{name} is larger than {MAX_CONFIG_BYTES:,} bytes, which none needs to be.")
        return read_json_object(content, f"{name} of {self._scope[1]}")

    def _header(self, file: RemoteFile, cancel: threading.Event) -> Header:
        key = key_of(*self._scope, file.etag, file.name)
        header = kept = self._cache.header(key)
        if header is None:
            first = file.read(0, min(LENGTH_BYTES, file.size), cancel)
            length = header_length(first, file.size, file.name)
            header = first + file.read(LENGTH_BYTES, LENGTH_BYTES + length, cancel)
        parsed = parse_header(header[LENGTH_BYTES:], file.size - len(header), file.name, self._budget)
        if kept is None:
            self._cache.keep_header(key, header)
        return parsed

    def _of_gguf(self, files: list[RemoteFile]) -> list[tuple[Entry, ...]]:
        headers = in_parallel(self._gguf_header, files)
        check_split({file.name: header for file, header in zip(files, headers, strict=True)})
        self.metadata = headers[0].metadata
        return [
            entries_of(header, file.size, file.name, self._decoders)
            for file, header in zip(files, headers, strict=True)
        ]

    def _gguf_header(self, file: RemoteFile, cancel: threading.Event) -> GGUFHeader:
        """Read as far as it goes; what was read beyond it is at most one piece."""
        key = key_of(*self._scope, file.etag, file.name)
        kept = self._cache.header(key)
        if kept is not None:
            return read_header(Held(file.name, kept), self._budget)
        beginning = _Beginning(file, cancel)
        header = read_header(beginning, self._budget)
        self._cache.keep_header(key, beginning.read(0, header.nbytes))
        return header

    def open(self, info: TensorInfo, rows: tuple[int, int] | None, progress: Progress | None) -> StoredTensor:
        """The tensor or its rows, read from the cache once the bytes that were missing have arrived."""
        part = select(info, rows)
        file, entry = self._entries_by_name[info.name]
        start, stop = byte_range(info, part)
        dtype = element_type(info)
        key = key_of(*self._scope, file.etag, file.name, entry.offset, info.nbytes)
        waiting = partial(progress, 0, stop - start) if progress else (lambda: None)
        with self._cache.span(key, info.nbytes, start, stop, waiting) as span:
            fetch(file, entry.offset, span, start, stop, progress)
            data = span.map(dtype, start, (stop - start) // dtype.itemsize)
        return tensor_of(data, info, part)


def open_hub(
    ref: str, token: str | bool | None = None, cache_dir: Path | None = None, decoders: Decoders | None = None
) -> HubReader:
    """The reader of `hf:org/name@revision:file`; see `quantviz.sources.open_model` for the arguments."""
    return HubReader(Hub(HubRef.parse(ref), token), Cache.default(cache_dir), decoders)
