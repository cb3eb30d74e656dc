"""A small hub on 127.0.0.1: repositories of one commit, as the client of the real one asks for them."""

import hashlib
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

COMMIT = "0123456789abcdef0123456789abcdef01234567"
LARGE = (".safetensors", ".bin")  # kept by LFS, which knows their SHA-256


def blob_id(content: bytes) -> str:
    return hashlib.sha1(f"blob {len(content)}\0".encode() + content).hexdigest()


@dataclass
class Hub:
    """`repositories`: ORG/NAME to files. `asked`: method and path of each request so far."""

    repositories: dict[str, Mapping[str, bytes]]
    address: str = ""
    asked: list[str] = field(default_factory=list)

    def described(self, name: str) -> dict[str, object]:
        files = self.repositories[name]
        siblings = [
            {"rfilename": path, "size": len(raw), "blobId": blob_id(raw)}
            | ({"lfs": _pointer(raw)} if path.endswith(LARGE) else {})
            for path, raw in files.items()
        ]
        return {"id": name, "modelId": name, "sha": COMMIT, "private": False, "siblings": siblings}

    def tree(self, name: str) -> list[dict[str, object]]:
        return [
            {"type": "file", "path": path, "size": len(raw), "oid": blob_id(raw)}
            | (
                {"lfs": {**_pointer(raw), "oid": hashlib.sha256(raw).hexdigest()}}
                if path.endswith(LARGE)
                else {}
            )
            for path, raw in self.repositories[name].items()
        ]


def _pointer(content: bytes) -> dict[str, object]:
    return {"sha256": hashlib.sha256(content).hexdigest(), "size": len(content), "pointerSize": 134}


@contextmanager
def running(repositories: Mapping[str, Mapping[str, bytes]]) -> Iterator[Hub]:
    hub = Hub(dict(repositories))
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"hub": hub}))
    hub.address = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    hub: Hub

    def do_HEAD(self) -> None:
        self.answer()

    def do_GET(self) -> None:
        self.answer()

    def answer(self) -> None:
        path = unquote(urlsplit(self.path).path)
        self.hub.asked.append(f"{self.command} {path}")
        parts = path.strip("/").split("/")
        if parts[:2] == ["api", "models"]:
            self.describe("/".join(parts[2:4]), parts[4:])
        elif parts[2:3] == ["resolve"]:
            self.give("/".join(parts[:2]), parts[3], "/".join(parts[4:]))
        else:
            self.reply(404, b"")

    def describe(self, name: str, rest: list[str]) -> None:
        if name not in self.hub.repositories:
            self.reply(404, b"", {"X-Error-Code": "RepoNotFound"})
        elif rest[1:2] not in ([], ["main"], [COMMIT]):
            self.reply(404, b"", {"X-Error-Code": "RevisionNotFound"})
        else:
            found = self.hub.tree(name) if rest[:1] == ["tree"] else self.hub.described(name)
            self.reply(200, json.dumps(found).encode(), {"Content-Type": "application/json"})

    def give(self, name: str, revision: str, path: str) -> None:
        content = self.hub.repositories.get(name, {}).get(path)
        if content is None or revision != COMMIT:
            self.reply(404, b"", {"X-Error-Code": "EntryNotFound"})
            return
        etag = _pointer(content)["sha256"] if path.endswith(LARGE) else blob_id(content)
        self.reply(200, content, {"ETag": f'"{etag}"', "X-Repo-Commit": COMMIT})

    def reply(self, status: int, content: bytes, headers: Mapping[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {**(headers or {}), "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """A test's output is the test's."""
