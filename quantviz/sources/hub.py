"""Models of the Hugging Face Hub: the list of tensors from the files' headers, then only the bytes asked for."""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, TypeVar

os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")  # read at its import: nothing but the model is asked for

import httpx2
from huggingface_hub import HfApi, constants, get_hf_file_metadata, hf_hub_url
from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalTokenNotFoundError, OfflineModeIsEnabled
from huggingface_hub.utils import build_hf_headers, get_session, validate_repo_id

from ..errors import MissingFile, QuantvizError
from .gguf_entries import is_gguf
from .json_text import MAX_BYTES
from .parts import chosen_files, shards_of
from .ranged import RemoteFile, in_parallel
from .retry import MAY_PASS, Interrupted, Patience, network_reason, passing_trouble, persist

# Asking for the model's description fails fast, so that a dead network is told at once.
ASKING = Patience(attempts=3, timeout=10)
READING = Patience()

Result = TypeVar("Result")


@dataclass(frozen=True)
class HubRef:
    """`hf:org/name@revision:part`; revision None is the main branch.

    file: a file or folder of the repository, or what tells a file apart, such as Q4_K_M or fp16; None for the model's
    safetensors, or the only GGUF. No repository's name, branch or tag holds a colon, so this is never in doubt.
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
                f"{ref[:200]!r} names no Hub repository; write hf:org/name, hf:org/name@revision or hf:org/name:PART."
            ) from None
        if at and (not re.fullmatch(r"[\w./+-]{1,200}", revision) or ".." in revision):
            raise QuantvizError(f"{revision[:200]!r} is no revision; give a branch, a tag or a commit after the @.")
        if colon and not file.strip():
            raise QuantvizError(
                f"{ref[:200]!r} names no file after the colon; give a file or folder, or leave out the colon."
            )
        return cls(repo, revision or None, file.strip() or None)

    def at(self, commit: str) -> str:
        """The reference of the same at one commit."""
        return f"hf:{self.repo}@{commit}" + (f":{self.file}" if self.file else "")


class Hub:
    """One repository at one commit, as one person may see it. commit: once its files were listed."""

    def __init__(self, ref: HubRef, token: str | bool | None) -> None:
        self.ref = ref
        self.endpoint = (os.environ.get("HF_ENDPOINT") or constants.ENDPOINT).rstrip("/")
        self.headers = _headers(token)
        self.commit = ""

    def files(self, choose: Callable[[Any, str], list[str]] | None = None) -> list[RemoteFile]:
        """The files that hold the model's weights, or those that `choose` names, if this person may read them."""
        api = HfApi(endpoint=self.endpoint, token=False, headers=self.headers, library_name="quantviz")
        repo, revision = self.ref.repo, self.ref.revision

        def described() -> tuple[Any, dict[str, Any]]:
            info = api.model_info(repo, revision=revision, files_metadata=True, timeout=ASKING.timeout)
            return info, _listed((file.rfilename, file) for file in info.siblings or ())

        info, listed = self._ask(described)
        commit = self.commit = info.sha or revision or constants.DEFAULT_REVISION
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
        return chosen_files(listed, self.ref.file, where, self._shards, f"hf:{where}:{{}}")

    def _shards(self, index: str) -> set[str]:
        return shards_of(self.small_file(index, MAX_BYTES), index)

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
