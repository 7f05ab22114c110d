"""A Hugging Face Hub on loopback: the protocol the real client speaks, with failures on demand.

Two servers, as in life: the Hub, which knows repositories and tokens and redirects large
files, and a "CDN" of another origin, which has the bytes. Both count what they send.

    hub = FakeHub.start()
    hub.add_repo("org/name", {"model.safetensors": data})
    os.environ["HF_ENDPOINT"] = hub.url
    hub.faults.append(Fault("cdn", "truncate", after=1000))
"""

from __future__ import annotations

import hashlib
import json
import re
import sys
import threading
import time
from dataclasses import dataclass, field
from functools import lru_cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit


@lru_cache(maxsize=64)
def digest(algorithm: str, data: bytes) -> str:
    return hashlib.new(algorithm, data).hexdigest()


@dataclass
class Fault:
    """What goes wrong with the next `times` requests that match.

    server: "api", "resolve" or "cdn". kind: "status" (answer `status` with `headers`), "drop"
    (close without a word), "truncate" (close after `after` bytes of the body), "stall" (pause
    `seconds` after `after` bytes), "slow" (pause `seconds` before answering), "no_range"
    (200 with the whole file), "change" (another ETag), "gzip" (claims an encoding).
    """

    server: str
    kind: str
    times: int = 1
    path: str = ""
    status: int = 500
    headers: dict[str, str] = field(default_factory=dict)
    after: int = 0
    seconds: float = 0.0


@dataclass
class Repo:
    files: dict[str, bytes]
    gated: bool = False
    private: bool = False
    tokens: frozenset[str] = frozenset()  # those that may read a gated or private repository
    revisions: tuple[str, ...] = ("main",)
    details: bool = True  # whether the description tells sizes and hashes

    @property
    def sha(self) -> str:
        content = sorted((name, digest("sha1", data)) for name, data in self.files.items())
        return digest("sha1", repr(content).encode())


@dataclass(frozen=True)
class Request:
    server: str
    method: str
    path: str
    range: str
    authorization: str
    if_range: str


class FakeHub:
    def __init__(self) -> None:
        self.repos: dict[str, Repo] = {}
        self.blobs: dict[str, bytes] = {}
        self.faults: list[Fault] = []
        self.requests: list[Request] = []
        self.file_bytes = 0  # bytes of bodies of files sent
        self.same_origin = False  # redirect large files to the Hub's own origin
        self.lock = threading.Lock()
        self._servers = [_Server(("127.0.0.1", 0), _handler(self, kind)) for kind in ("hub", "cdn")]
        for server in self._servers:
            threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        self.url, self.cdn_url = (f"http://127.0.0.1:{server.server_port}" for server in self._servers)

    @classmethod
    def start(cls) -> FakeHub:
        return cls()

    def stop(self) -> None:
        for server in self._servers:
            server.shutdown()
            server.server_close()

    def add_repo(self, name: str, files: dict[str, bytes], **settings) -> Repo:
        repo = self.repos[name] = Repo(dict(files), **settings)
        for data in files.values():
            self.blobs[digest("sha256", data)] = data
        return repo

    def forget(self) -> None:
        """Start counting anew."""
        with self.lock:
            self.requests.clear()
            self.file_bytes = 0

    def take_fault(self, server: str, path: str) -> Fault | None:
        with self.lock:
            for fault in self.faults:
                if fault.server == server and fault.path in path and fault.times > 0:
                    fault.times -= 1
                    return fault
        return None


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address) -> None:
        """A client that hangs up is no error of the server's."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


def _handler(hub: FakeHub, kind: str) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = 0

        def log_message(self, *args) -> None:
            pass

        def do_HEAD(self) -> None:
            self.do_GET()

        def do_GET(self) -> None:
            try:
                self.answer()
            except (BrokenPipeError, ConnectionResetError):
                self.close_connection = True

        def answer(self) -> None:
            path = unquote(urlsplit(self.path).path)
            server = "cdn" if path.startswith("/blob/") else "api" if path.startswith("/api/") else "resolve"
            get = self.headers.get
            seen = Request(server, self.command, path, get("Range", ""), get("Authorization", ""), get("If-Range", ""))
            with hub.lock:
                hub.requests.append(seen)
            fault = hub.take_fault(server, path)
            if fault and fault.kind == "drop":
                self.close_connection = True
                return
            if fault and fault.kind == "slow":
                time.sleep(fault.seconds)
            if fault and fault.kind == "status":
                return self.reply(fault.status, b"", fault.headers)
            if server == "cdn":
                blob = path.removeprefix("/blob/")
                return self.send_file(hub.blobs[blob], f'"cdn-{blob[:16]}"', fault)
            if server == "api":
                match = re.fullmatch(r"/api/models/(.+?)(?:/(revision|tree)/(.+))?", path)
                repo = self.admitted(match[1], match[3]) if match else self.error(404, "")
                if repo and match[2] == "tree":
                    self.reply_json([self.describe(n, b) | {"type": "file", "path": n} for n, b in repo.files.items()])
                elif repo:
                    self.reply_json(self.model_info(match[1], repo))
                return None
            match = re.fullmatch(r"/(.+?)/resolve/([^/]+)/(.+)", path)
            repo = self.admitted(match[1], match[2], file=match[3]) if match else self.error(404, "RepoNotFound")
            if repo:
                self.resolve(repo, match[3], fault)
            return None

        def admitted(self, name: str, revision: str | None, file: str | None = None) -> Repo | None:
            repo = hub.repos.get(name)
            token = self.headers.get("Authorization", "").removeprefix("Bearer ")
            if token and not token.startswith("hf_"):
                return self.error(401, "", "Invalid credentials in Authorization header")
            if repo is None or (repo.private and token not in repo.tokens):
                return self.error(404 if token else 401, "RepoNotFound")
            if revision is not None and revision not in (*repo.revisions, repo.sha):
                return self.error(404, "RevisionNotFound")
            if file is not None and repo.gated and token not in repo.tokens:
                return self.error(403 if token else 401, "GatedRepo")
            if file is not None and file not in repo.files:
                return self.error(404, "EntryNotFound")
            return repo

        def describe(self, name: str, data: bytes) -> dict:
            facts = {"size": len(data), "oid": digest("sha1", data)}
            if name.endswith((".safetensors", ".gguf")):
                facts["lfs"] = {"oid": digest("sha256", data), "size": len(data), "pointerSize": 130}
            return facts

        def model_info(self, name: str, repo: Repo) -> dict:
            siblings = []
            for file, data in repo.files.items():
                facts = self.describe(file, data) if repo.details else {}
                if "lfs" in facts:
                    facts["lfs"]["sha256"] = facts["lfs"].pop("oid")
                if "oid" in facts:
                    facts["blobId"] = facts.pop("oid")
                siblings.append({"rfilename": file, **facts})
            return {
                "id": name, "modelId": name, "sha": repo.sha, "private": repo.private,
                "gated": "manual" if repo.gated else False, "tags": [], "downloads": 0, "siblings": siblings,
            }  # fmt: skip

        def resolve(self, repo: Repo, name: str, fault: Fault | None) -> None:
            data = repo.files[name]
            facts = self.describe(name, data)
            if "lfs" not in facts:
                return self.send_file(data, f'"{facts["oid"]}"', fault, {"X-Repo-Commit": repo.sha})
            sha256 = facts["lfs"]["oid"]
            base = hub.url if hub.same_origin else hub.cdn_url
            return self.reply(
                302,
                b"",
                {
                    "Location": f"{base}/blob/{sha256}",
                    "X-Repo-Commit": repo.sha,
                    "X-Linked-ETag": f'"{sha256}"',
                    "X-Linked-Size": str(len(data)),
                },
            )

        def send_file(self, data: bytes, etag: str, fault: Fault | None, headers: dict | None = None) -> None:
            headers = {"ETag": etag, "Accept-Ranges": "bytes", **(headers or {})}
            kind = fault.kind if fault else ""
            if kind == "change":
                etag = headers["ETag"] = '"another"'
            if kind == "gzip":
                headers["Content-Encoding"] = "gzip"
            match = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
            condition = self.headers.get("If-Range")
            status, body = 200, data
            if match and kind != "no_range" and condition in (None, etag):
                first, last = int(match[1]), min(int(match[2]), len(data) - 1)
                if first > last:
                    return self.reply(416, b"", {"Content-Range": f"bytes */{len(data)}"})
                status, body = 206, data[first : last + 1]
                headers["Content-Range"] = f"bytes {first}-{last}/{len(data)}"
            return self.reply(status, body, headers, fault if kind in ("truncate", "stall") else None, count=True)

        def reply(self, status: int, body: bytes, headers: dict, fault: Fault | None = None, count: bool = False):
            self.send_response(status)
            for name, value in {"Content-Length": str(len(body)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command == "HEAD":
                return
            cut = len(body) if fault is None else min(fault.after, len(body))
            for start in range(0, cut, 1 << 16):
                part = body[start : min(start + (1 << 16), cut)]
                if count:  # before it travels: whoever has it may look at the count at once
                    with hub.lock:
                        hub.file_bytes += len(part)
                self.wfile.write(part)
            if fault is not None:
                time.sleep(fault.seconds)
                self.close_connection = True

        def reply_json(self, value: object) -> None:
            self.reply(200, json.dumps(value).encode(), {"Content-Type": "application/json"})

        def error(self, status: int, code: str, message: str = "") -> None:
            headers = {"X-Error-Code": code} if code else {}
            self.reply(status, b"", headers | ({"X-Error-Message": message} if message else {}))

    Handler.__name__ = f"{kind.title()}Handler"
    return Handler
