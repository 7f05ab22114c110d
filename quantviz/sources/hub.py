"""Models of the Hugging Face Hub: the list of tensors from the files' headers, then only the bytes asked for."""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")  # read at its import: nothing but the model is asked for

import httpx2
from huggingface_hub import HfApi, constants, get_hf_file_metadata, hf_hub_url
from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalTokenNotFoundError, OfflineModeIsEnabled
from huggingface_hub.utils import build_hf_headers, get_session, validate_repo_id

from ..errors import MissingFile, QuantvizError
from ..tensors import StoredTensor
from .budget import Budget, Held
from .cache import Cache, key_of
from .files import weight_files
from .gguf_entries import check_split, entries_of, is_gguf
from .gguf_entries import choose as choose_gguf
from .gguf_header import GGUFHeader, read_header
from .json_text import JSON_FILES, MAX_CONFIG_BYTES
from .model import Decoders, Progress, TensorInfo, byte_range, element_type, select, tensor_of
from .ranged import RemoteFile, fetch, in_parallel
from .retry import MAY_PASS, Interrupted, Patience, network_reason, passing_trouble, persist
from .safetensors_header import LENGTH_BYTES, Entry, header_length, parse_header, read_json_object, union

# Asking for the model's description fails fast, so that a dead network is told at once.
ASKING = Patience(attempts=3, timeout=10)
READING = Patience()
GGUF_PIECE = 1 << 20  # bytes of a GGUF header to ask for at a time: how long it is shows only in the reading
MAX_GGUF_HEADER = 96 << 20  # bytes; the largest tokenizers take some 20 million

Result = TypeVar("Result")


@dataclass(frozen=True)
class HubRef:
    """`hf:org/name@revision:file`; revision None is the main branch.

    file: of a GGUF model, its name or what tells it apart, such as Q4_K_M; None for the model's safetensors, or the
    only GGUF. No repository's name, branch or tag holds a colon, so this is never in doubt.
    """

    repo: str
    revision: str | None = None
    file: str | None = None

    @classmethod
    def parse(cls, ref: str) -> HubRef:
        named, colon, file = ref.removeprefix("hf:").strip().partition(":")
        repo, at, revision = named.partition("@")
        if not colon and is_gguf(named) and named.count("/") > 1 and not at:  # hf:org/name/folder/file.gguf
            repo, file = "/".join(named.split("/")[:2]), named.split("/", 2)[2]
        try:
            validate_repo_id(repo)
        except HFValidationError:
            raise QuantvizError(
                f"{ref[:200]!r} names no Hub repository; write hf:org/name, hf:org/name@revision or "
                "hf:org/name:FILE.gguf."
            ) from None
        if at and (not re.fullmatch(r"[\w./+-]{1,200}", revision) or ".." in revision):
            raise QuantvizError(f"{revision[:200]!r} is no revision; give a branch, a tag or a commit after the @.")
        if colon and not file.strip():
            raise QuantvizError(f"{ref[:200]!r} names no file after the colon; give a .gguf, or leave out the colon.")
        return cls(repo, revision or None, file.strip() or None)


class Hub:
    """One repository at one commit, as one person may see it."""

    def __init__(self, ref: HubRef, token: str | bool | None) -> None:
        self.ref = ref
        self.endpoint = (os.environ.get("HF_ENDPOINT") or constants.ENDPOINT).rstrip("/")
        self.headers = _headers(token)

    def files(self, choose: Callable[[Any, str], list[str]] | None = None) -> list[RemoteFile]:
        """The files that hold the model's weights, or those that `choose` names, if this person may read them."""
        api = HfApi(endpoint=self.endpoint, token=False, headers=self.headers, library_name="quantviz")
        repo, revision = self.ref.repo, self.ref.revision

        def described() -> tuple[Any, dict[str, Any]]:
            info = api.model_info(repo, revision=revision, files_metadata=True, timeout=ASKING.timeout)
            return info, _listed((file.rfilename, file) for file in info.siblings or ())

        info, listed = self._ask(described)
        commit = info.sha or revision or constants.DEFAULT_REVISION
        if not listed:
            tree = self._ask(lambda: list(api.list_repo_tree(repo, recursive=True, revision=commit)))
            listed = self._ask(lambda: _listed((file.path, file) for file in tree if hasattr(file, "size")))
        where = repo + (f"@{revision}" if revision else "")
        names = (choose or self.names)(listed, where)
        if names and (info.gated or info.private):  # what the cache holds must not open for those it is closed to
            self._file_facts(names[0], commit)
        return in_parallel(lambda name, _: self._remote(name, commit, listed[name]), names)

    def names(self, listed: dict[str, Any], where: str) -> list[str]:
        """Those of the repository's files that the reference asks for."""
        only_gguf = any(map(is_gguf, listed)) and not any(name.endswith(".safetensors") for name in listed)
        if self.ref.file or only_gguf:
            return choose_gguf(listed, self.ref.file, where, f"hf:{where}:{{}}")
        return weight_files(listed, where)

    def small_file(self, name: str, limit: int) -> bytes:
        """A file that holds no weights, whole. Raises QuantvizError where there is none, or more than `limit` bytes."""
        revision = self.ref.revision or constants.DEFAULT_REVISION
        etag, size = self._file_facts(name, revision)
        if size > limit:
            raise QuantvizError(
                f"{name} of {self.ref.repo} has {size:,} bytes, where {limit:,} are more than it needs."
            )
        url = self._url(name, revision)
        file = RemoteFile(get_session, url, self.headers, size, etag, name, self._refuse_file(name), READING)
        return file.read(0, size, threading.Event())

    def _remote(self, name: str, commit: str, listed: Any) -> RemoteFile:
        etag, size = (listed.lfs.sha256 if listed.lfs else listed.blob_id), listed.size
        if not etag or size is None:
            etag, size = self._file_facts(name, commit)
        return RemoteFile(
            get_session, self._url(name, commit), self.headers, size, etag, name, self._refuse_file(name), READING
        )

    def _url(self, name: str, commit: str) -> str:
        return hf_hub_url(self.ref.repo, name, revision=commit, endpoint=self.endpoint)

    def _file_facts(self, name: str, commit: str) -> tuple[str, int]:
        """(ETag, size) of a file, by a HEAD request that is refused where reading would be."""
        url = self._url(name, commit)
        facts = self._ask(
            lambda: get_hf_file_metadata(
                url, token=False, headers=self.headers, timeout=ASKING.timeout, endpoint=self.endpoint
            ),
            name,
        )
        if not facts.etag or facts.size is None:
            raise QuantvizError(f"{self.endpoint} does not tell the size and ETag of {name}, so it is no usable Hub.")
        return facts.etag, facts.size

    def _ask(self, call: Callable[[], Result], file: str | None = None) -> Result:
        """A call of huggingface_hub with our patience and our sentences."""

        def once() -> Result:
            try:
                return call()
            except HfHubHTTPError as problem:
                status, headers = problem.response.status_code, problem.response.headers
                raise (passing_trouble(status, headers) or self._refusal(status, headers, file)) from None
            except OfflineModeIsEnabled:
                raise QuantvizError(
                    "HF_HUB_OFFLINE is set, so the Hub is not asked; unset it, or open a file."
                ) from None
            except MAY_PASS as problem:
                raise Interrupted(network_reason(problem)) from None
            except (httpx2.HTTPError, httpx2.InvalidURL, ValueError, KeyError, TypeError, AttributeError):
                raise QuantvizError(
                    f"{self.endpoint} gave an answer about {self.ref.repo} that is not the Hub's; check HF_ENDPOINT."
                ) from None

        return persist(once, ASKING, f"The Hub at {self.endpoint} cannot be read")

    def _refuse_file(self, name: str) -> Callable[[int, Any], None]:
        def refuse(status: int, headers: Any) -> None:
            raise self._refusal(status, headers, name)

        return refuse

    def _refusal(self, status: int, headers: Any, file: str | None) -> QuantvizError:
        """The sentence for an answer that no retry will change."""
        repo, revision = self.ref.repo, self.ref.revision
        code, message = headers.get("X-Error-Code"), headers.get("X-Error-Message", "")
        has_token = "authorization" in self.headers
        if code == "GatedRepo":
            how = (
                f"its terms must be accepted at {self.endpoint}/{repo} by the account the token belongs to"
                if has_token
                else f"accept its terms at {self.endpoint}/{repo} and set a token of that account (HF_TOKEN)"
            )
            return QuantvizError(f"{repo} is gated: {how}.")
        if code == "RevisionNotFound":
            return QuantvizError(
                f"{repo} has no revision {revision!r}; give a branch, tag or commit it has, or leave out @{revision}."
            )
        if code == "EntryNotFound" or (status == 404 and file):
            return MissingFile(f"{repo} has no file {file}; open the model again to see what it has now.")
        if status == 401 and has_token and (code is None or message.startswith("Invalid")):
            return QuantvizError("The Hub does not accept the token; make a new one in its settings, or use none.")
        if code == "RepoNotFound" or status in (401, 404):
            how = "what the token may read" if has_token else "set a token if it is private"
            name = "the name and the revision" if revision and code is None else "the name"
            return QuantvizError(f"The Hub has no repository {repo!r} that is open to you; check {name}, or {how}.")
        if status == 403:
            return QuantvizError(f"The Hub refuses access to {repo} (403); check what the token may read.")
        return QuantvizError(f"The Hub answered {status} for {file or repo}, which no retry will change.")


def _listed(files: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """Files by name. Raises TypeError where the answer has something else where a name, a size or a hash should be."""
    found = dict(files)
    for name, file in found.items():
        etag = file.lfs.sha256 if file.lfs else file.blob_id
        size_fits = file.size is None or (type(file.size) is int and 0 <= file.size < 2**63)
        if not isinstance(name, str) or not isinstance(etag, str | None) or not size_fits:
            raise TypeError(name)
    return found


def _headers(token: str | bool | None) -> dict[str, str]:
    """Headers for the Hub; the token, found fit to be a header, stays in them."""
    if isinstance(token, str):
        token = token.strip() or False
    try:
        headers = build_hf_headers(token=token, library_name="quantviz")
    except LocalTokenNotFoundError:
        raise QuantvizError("No token is saved on this machine; set HF_TOKEN or run `hf auth login`.") from None
    value = headers.get("authorization", "Bearer x").removeprefix("Bearer ")
    if not re.fullmatch(r"[!-~]{1,1000}", value):
        raise QuantvizError("The token has characters that no token has; copy it again.")
    return headers


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
        if is_gguf(files[0].name):
            entries = self._of_gguf(files)
        else:
            entries = in_parallel(self._entries, files)
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

    def _entries(self, file: RemoteFile, cancel: threading.Event) -> tuple[Entry, ...]:
        key = key_of(*self._scope, file.etag, file.name)
        header = kept = self._cache.header(key)
        if header is None:
            first = file.read(0, min(LENGTH_BYTES, file.size), cancel)
            length = header_length(first, file.size, file.name)
            header = first + file.read(LENGTH_BYTES, LENGTH_BYTES + length, cancel)
        entries = parse_header(header[LENGTH_BYTES:], file.size - len(header), file.name, self._budget)
        if kept is None:
            self._cache.keep_header(key, header)
        return entries

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
