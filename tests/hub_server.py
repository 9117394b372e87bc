"""A small Hub on 127.0.0.1: enough of the protocol for the real clients to push a dataset and to load it."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from typing import Any
from urllib.parse import unquote, urlsplit

TOKEN = "hf_of_the_local_hub"
LFS = (".parquet", ".sqlite")


@dataclass
class Repo:
    private: bool
    commits: list[dict[str, bytes]] = field(default_factory=lambda: [{}])
    """The files after each commit; the first is the empty repository."""
    summaries: list[str] = field(default_factory=list)

    @property
    def head(self) -> str:
        return hashlib.sha1(str(len(self.commits)).encode()).hexdigest()

    def files(self, revision: str) -> dict[str, bytes] | None:
        """The files at a revision; None when there is no such revision."""
        numbers = {hashlib.sha1(str(n + 1).encode()).hexdigest(): n for n in range(len(self.commits))}
        return self.commits[-1 if revision == "main" else numbers[revision]] if revision in {"main", *numbers} else None


@dataclass
class Hub:
    url: str = ""
    repos: dict[str, Repo] = field(default_factory=dict)
    objects: dict[str, bytes] = field(default_factory=dict)
    """What was uploaded by LFS, by its SHA-256."""
    calls: list[str] = field(default_factory=list)
    """`METHOD path` of every request."""
    fail: dict[str, tuple[int, str]] = field(default_factory=dict)
    """A part of a call -> the status and message it is answered with instead."""
    fault: tuple[str | int, str] | None = None
    """A part of a call, or its number from 0, and what becomes of the first such call: a status, `dropped` before it
    did anything, or `lost`: it is done, and its answer does not arrive. None after that."""


@contextmanager
def serving() -> Iterator[Hub]:
    """Run a Hub while the block runs."""
    hub = Hub()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"hub": hub}))
    server.daemon_threads = True
    hub.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def client(url: str) -> Iterator[None]:
    """Let the client know this Hub alone. Its constants are read from the environment at import."""
    import pytest
    from huggingface_hub import constants

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(constants, "ENDPOINT", url)
        patch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", url + "/{repo_id}/resolve/{revision}/{filename}")
        patch.setattr(constants, "HF_HUB_OFFLINE", False)
        patch.setattr(constants, "HF_HUB_DISABLE_XET", True)
        patch.setattr(constants, "HF_TOKEN_PATH", "no-token")
        patch.setattr(constants, "HF_STORED_TOKENS_PATH", "no-tokens")
        patch.setenv("HF_TOKEN", TOKEN)
        yield


class _Handler(BaseHTTPRequestHandler):
    hub: Hub
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def do_GET(self) -> None:
        self._route()

    do_HEAD = do_POST = do_PUT = do_GET

    def _route(self) -> None:
        path = unquote(urlsplit(self.path).path)
        call = f"{self.command} {path}"
        number = len(self.hub.calls)
        self.hub.calls.append(call)
        self.body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if "chunked" in self.headers.get("Transfer-Encoding", ""):
            self.body = self._chunks()
        for part, (status, message) in self.hub.fail.items():
            if part in call:
                return self._json({"error": message}, status)
        if self.hub.fault is not None:
            where, kind = self.hub.fault
            if where == number or (isinstance(where, str) and where in call):
                self.hub.fault = None
                return self._faulty(call, kind)
        return self._answer(call)

    def _faulty(self, call: str, kind: str) -> None:
        if kind.isdecimal():
            return self._json({"error": "not now"}, int(kind), **{"Retry-After": "0"})
        if kind == "lost":
            self.wfile = BytesIO()
            self._answer(call)
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)
        return None

    def _answer(self, call: str) -> None:
        for pattern, handle in _ROUTES:
            if found := re.fullmatch(pattern, call):
                return handle(self, *found.groups())
        return self._json({"error": "no such page"}, 404)

    def _chunks(self) -> bytes:
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def _json(self, value: Any, status: int = 200, **headers: str) -> None:
        self._send(json.dumps(value).encode(), status, {"Content-Type": "application/json"} | headers)

    def _send(self, body: bytes, status: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    @property
    def _may(self) -> bool:
        return self.headers.get("Authorization") == f"Bearer {TOKEN}"

    def _repo(self, name: str) -> Repo | None:
        """The repository if the caller may see it; else the Hub's answer is sent."""
        repo = self.hub.repos.get(name)
        if repo is None or (repo.private and not self._may):
            self._json({"error": "Repository not found"}, 404, **{"X-Error-Code": "RepoNotFound"})
            return None
        return repo

    def _files(self, name: str, revision: str) -> tuple[Repo, dict[str, bytes]] | None:
        repo = self._repo(name)
        files = repo.files(revision) if repo else None
        if repo and files is None:
            self._json({"error": "Invalid rev id"}, 404, **{"X-Error-Code": "RevisionNotFound"})
        return (repo, files) if repo and files is not None else None

    def create(self) -> None:
        if not self._may:
            return self._json({"error": "Invalid username or password."}, 401)
        asked = json.loads(self.body)
        name = f"{asked['organization']}/{asked['name']}"
        status = 409 if name in self.hub.repos else 200
        private = asked.get("private") or asked.get("visibility") == "private"
        self.hub.repos.setdefault(name, Repo(bool(private)))
        return self._json({"url": f"{self.hub.url}/datasets/{name}", "id": name}, status)

    def info(self, name: str, revision: str | None = None) -> None:
        if found := self._files(name, revision or "main"):
            repo, files = found
            siblings = [{"rfilename": path} for path in sorted(files)]
            facts = {"_id": name, "id": name, "author": name.split("/")[0], "sha": repo.head, "tags": []}
            more = {"private": repo.private, "gated": False, "disabled": False, "downloads": 0, "likes": 0}
            self._json({**facts, **more, "siblings": siblings})

    def validate(self) -> None:
        self._json({"errors": [], "warnings": []})

    def preupload(self, name: str) -> None:
        if repo := self._repo(name):
            files = []
            for file in json.loads(self.body)["files"]:
                path, old = file["path"], repo.commits[-1].get(file["path"])
                entry = {"path": path, "uploadMode": "lfs" if path.endswith(LFS) else "regular", "shouldIgnore": False}
                files.append(entry if old is None else entry | {"oid": _oid(path, old)})
            self._json({"files": files})

    def batch(self, name: str) -> None:
        if self._repo(name):
            objects = []
            for entry in json.loads(self.body)["objects"]:
                wanted = {"upload": {"href": f"{self.hub.url}/lfs/{entry['oid']}"}}
                objects.append(entry if entry["oid"] in self.hub.objects else entry | {"actions": wanted})
            self._json({"transfer": "basic", "objects": objects})

    def put(self, oid: str) -> None:
        if hashlib.sha256(self.body).hexdigest() != oid:
            return self._json({"error": "the content is not what was announced"}, 400)
        self.hub.objects[oid] = self.body
        return self._json({})

    def commit(self, name: str) -> None:
        repo = self._repo(name)
        if repo is None:
            return None
        if not self._may:
            return self._json({"error": "You may not write here"}, 403)
        files = dict(repo.commits[-1])
        for line in self.body.splitlines():
            item = json.loads(line)
            value = item["value"]
            if item["key"] == "header":
                if value.get("parentCommit", repo.head) != repo.head:
                    return self._json({"error": "A commit has happened since. Please refresh and try again."}, 412)
                repo.summaries.append(value["summary"])
            elif item["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif item["key"] == "lfsFile":
                files[value["path"]] = self.hub.objects[value["oid"]]
            else:
                del files[value["path"]]
        repo.commits.append(files)
        url = f"{self.hub.url}/datasets/{name}/commit/{repo.head}"
        return self._json({"success": True, "commitOid": repo.head, "commitUrl": url})

    def tree(self, name: str, revision: str, folder: str | None) -> None:
        if found := self._files(name, revision):
            start = f"{folder.strip('/')}/" if folder and folder.strip("/") else ""
            self._json([_entry(path, data) for path, data in sorted(found[1].items()) if path.startswith(start)])

    def paths_info(self, name: str, revision: str) -> None:
        if found := self._files(name, revision):
            if "json" in self.headers.get("Content-Type", ""):
                asked = json.loads(self.body)["paths"]
            else:
                asked = [unquote(pair[6:]) for pair in self.body.decode().split("&") if pair.startswith("paths=")]
            self._json([_entry(path, found[1][path]) for path in asked if path in found[1]])

    def resolve(self, name: str, revision: str, path: str) -> None:
        found = self._files(name, revision)
        if found is None:
            return None
        repo, files = found
        if path not in files:
            return self._json({"error": "Entry not found"}, 404, **{"X-Error-Code": "EntryNotFound"})
        data = files[path]
        headers = {"X-Repo-Commit": repo.head, "ETag": f'"{_oid(path, data)}"', "Accept-Ranges": "bytes"}
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        if asked is None:
            return self._send(data, 200, headers)
        first, last = int(asked[1]), min(int(asked[2] or len(data)), len(data) - 1)
        headers["Content-Range"] = f"bytes {first}-{last}/{len(data)}"
        return self._send(data[first : last + 1], 206, headers)


def _oid(path: str, data: bytes) -> str:
    """SHA-256 of LFS files, Git's own hash of the others."""
    if path.endswith(LFS):
        return hashlib.sha256(data).hexdigest()
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


def _entry(path: str, data: bytes) -> dict[str, Any]:
    entry: dict[str, Any] = {"type": "file", "path": path, "size": len(data), "oid": _oid(path, data)}
    if path.endswith(LFS):
        entry["lfs"] = {"oid": _oid(path, data), "size": len(data), "pointerSize": 130}
    return entry


_NAME = r"([^/]+/[^/]+?)"
_ROUTES = [
    (r"POST /api/repos/create", _Handler.create),
    (r"POST /api/validate-yaml", _Handler.validate),
    (rf"POST /api/datasets/{_NAME}/preupload/main", _Handler.preupload),
    (rf"POST /datasets/{_NAME}\.git/info/lfs/objects/batch", _Handler.batch),
    (r"PUT /lfs/(\w+)", _Handler.put),
    (rf"POST /api/datasets/{_NAME}/commit/main", _Handler.commit),
    (rf"GET /api/datasets/{_NAME}/tree/([^/]+)(/.*)?", _Handler.tree),
    (rf"POST /api/datasets/{_NAME}/paths-info/([^/]+)", _Handler.paths_info),
    (rf"(?:GET|HEAD) /datasets/{_NAME}/resolve/([^/]+)/(.+)", _Handler.resolve),
    (rf"GET /api/datasets/{_NAME}(?:/revision/([^/]+))?", _Handler.info),
]
