"""The Hub on loopback: as much of its HTTP API as pushing and loading policies and datasets uses.

`huggingface_hub` is led here by its own client factory, in this process (`leads_here`) or in another
(`environment`). HF_ENDPOINT alone would not do: cards are validated at huggingface.co in any case.
Repositories live in memory; a commit is whole or nothing, as on the Hub. Uploads larger than a part
(multipart) and Xet are refused in words.
"""

import base64
import contextlib
import hashlib
import json
import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import httpx
import pytest
import yaml
from huggingface_hub import constants, set_client_factory
from huggingface_hub.utils._http import default_client_factory

USER, TOKEN = "user", "hf_of_these_tests"
KINDS = {"models": "", "datasets": "datasets/"}
# What the Hub keeps outside of git; the real one also decides by size and content.
LARGE = (".safetensors", ".parquet", ".mp4", ".bin", ".png")
LARGEST_PART = 1 << 30


@dataclass(frozen=True)
class Blob:
    """One file of a commit."""

    content: bytes
    large: bool

    @property
    def etag(self) -> str:
        """SHA-256 of a large file; git's SHA-1 of any other."""
        if self.large:
            return hashlib.sha256(self.content).hexdigest()
        return hashlib.sha1(b"blob %d\0" % len(self.content) + self.content).hexdigest()


@dataclass
class Repo:
    """A repository: its commits, oldest first, and its tags."""

    private: bool = False
    commits: list[tuple[str, str, dict[str, Blob]]] = field(default_factory=list)
    tags: dict[str, str] = field(default_factory=dict)

    def commit(self, message: str, files: dict[str, Blob]) -> str:
        """Add a commit with these files and no other; returns its id."""
        parts = [f"{len(self.commits)} {message}", *(f"{name} {files[name].etag}" for name in sorted(files))]
        oid = hashlib.sha1("\n".join(parts).encode()).hexdigest()
        self.commits.append((oid, message, files))
        return oid

    @property
    def files(self) -> dict[str, Blob]:
        """Those of the last commit."""
        return self.commits[-1][2]

    def at(self, revision: str) -> tuple[str, dict[str, Blob]] | None:
        """Id and files of a branch, tag or commit."""
        wanted = self.commits[-1][0] if revision == "main" else self.tags.get(revision, revision)
        return next(((oid, files) for oid, _, files in self.commits if oid == wanted), None)


class Hub:
    """The server; `repos` is what it holds, under `models/user/name` and `datasets/user/name`.

    `fault(method, path)` may name an HTTP status, or 0 to hang up, for a request that is to fail.
    """

    def __init__(self) -> None:
        self.repos: dict[str, Repo] = {}
        self.objects: dict[str, bytes] = {}
        self.requests: list[tuple[str, str]] = []
        self.fault: Callable[[str, str], int | None] = lambda method, path: None
        self.lock = threading.Lock()
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"hub": self}))
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def endpoint(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.server.server_address[1]}"

    def model(self, repo_id: str) -> Repo:
        """A model's repository, which exists."""
        return self.repos[f"models/{repo_id}"]

    def put(self, repo_id: str, files: dict[str, bytes], message: str = "put here") -> None:
        """Commit files to a model as they are, whatever their names: what a hostile author may do."""
        repo = self.repos.setdefault(f"models/{repo_id}", Repo())
        if not repo.commits:
            repo.commit("initial commit", {})
        blobs = {name: Blob(content, name.endswith(LARGE)) for name, content in files.items()}
        repo.commit(message, repo.files | blobs)

    @contextlib.contextmanager
    def leads_here(self) -> Iterator[None]:
        """Within this process every request of `huggingface_hub` comes here, offline mode or not."""
        lead_to(self.endpoint)
        try:
            yield
        finally:
            set_client_factory(default_client_factory)

    def environment(self, folder: Path) -> dict[str, str]:
        """Variables of another Python process, with a cache of its own, that lead it here."""
        folder.mkdir(parents=True, exist_ok=True)
        support = str(Path(__file__).parent)
        (folder / "sitecustomize.py").write_text(
            f"import sys\nsys.path.append({support!r})\n"
            f"import hub_server\nhub_server.lead_to({self.endpoint!r})\n"
        )
        return {
            "PYTHONPATH": str(folder),
            "HF_HUB_OFFLINE": "0",
            "HF_HOME": str(folder / "huggingface"),
            "HF_LEROBOT_HOME": str(folder / "lerobot"),
            "HF_TOKEN": TOKEN,
        }

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


def lead_to(endpoint: str) -> None:
    """From here on every request of `huggingface_hub` goes there, and nothing to huggingface.co."""
    set_client_factory(lambda: httpx.Client(transport=_ToLoopback(endpoint), follow_redirects=True))


def empty_cache(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """From here on downloads go to this folder, as on a machine that has none yet."""
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(folder))


class _ToLoopback(httpx.HTTPTransport):
    """Sends what is meant for huggingface.co to this server, and nothing anywhere else."""

    def __init__(self, endpoint: str) -> None:
        super().__init__()
        self.target = httpx.URL(endpoint)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        assert request.url.host == "huggingface.co", f"a request to {request.url}"
        url = request.url.copy_with(scheme="http", host=self.target.host, port=self.target.port)
        # The header `host` stays, so that the server's links lead back through here.
        led = httpx.Request(
            request.method, url, headers=request.headers, stream=request.stream, extensions=request.extensions
        )
        return super().handle_request(led)


class _RefusedError(Exception):
    """An answer other than 200: status, words, and the code that `huggingface_hub` understands."""

    def __init__(self, status: int, words: str, code: str = "", **more: str) -> None:
        self.status, self.words, self.code, self.more = status, words, code, more


class _Handler(BaseHTTPRequestHandler):
    hub: Hub
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None:
        pass

    def do_GET(self) -> None:
        self._serve()

    do_HEAD = do_POST = do_PUT = do_DELETE = do_GET

    def _serve(self) -> None:
        url = urlsplit(self.path)
        self.query = parse_qs(url.query)
        path = unquote(url.path).strip("/")
        # Read in any case, or the next request on this connection begins in the middle of this one.
        self.body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.hub.requests.append((self.command, path))
        status = self.hub.fault(self.command, path)
        if status == 0:
            self.close_connection = True
            self.connection.close()
            return
        try:
            if status:
                raise _RefusedError(status, "this request was to fail")
            with self.hub.lock:
                content, headers = self._answer(path)
            self._send(200, content, headers)
        except _RefusedError as refused:
            headers = {"X-Error-Message": refused.words} | (
                {"X-Error-Code": refused.code} if refused.code else {}
            )
            self._send(refused.status, json.dumps({"error": refused.words} | refused.more).encode(), headers)

    def _send(self, status: int, content: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in ({"Content-Length": str(len(content))} | headers).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    # Which request is which.

    def _answer(self, path: str) -> tuple[bytes, dict[str, str]]:
        routes: list[tuple[str, str, Callable[..., Any]]] = [
            ("GET", r"api/whoami-v2", self._whoami),
            ("POST", r"api/validate-yaml", self._validate_card),
            ("POST", r"api/repos/create", self._create),
            ("POST", r"api/(models|datasets)/([^/]+/[^/]+)/preupload/(.+)", self._preupload),
            ("POST", r"(datasets/)?([^/]+/[^/]+)\.git/info/lfs/objects/batch", self._batch),
            ("PUT", r"lfs/([0-9a-f]{64})", self._upload),
            ("POST", r"api/(models|datasets)/([^/]+/[^/]+)/commit/(.+)", self._commit),
            ("GET", r"api/(models|datasets)/([^/]+/[^/]+)/refs", self._refs),
            ("POST", r"api/(models|datasets)/([^/]+/[^/]+)/tag/(.+)", self._tag),
            ("DELETE", r"api/(models|datasets)/([^/]+/[^/]+)/tag/(.+)", self._untag),
            ("GET", r"api/(models|datasets)/([^/]+/[^/]+)/tree/([^/]+)(?:/.*)?", self._tree),
            ("GET", r"api/(models|datasets)/([^/]+/[^/]+)(?:/revision/(.+))?", self._info),
            ("GET|HEAD", r"(datasets/)?([^/]+/[^/]+)/resolve/([^/]+)/(.+)", self._resolve),
        ]
        for methods, pattern, answer in routes:
            if self.command in methods.split("|") and (match := re.fullmatch(pattern, path)):
                found = answer(*match.groups())
                return found if isinstance(found, tuple) else (json.dumps(found).encode(), {})
        raise _RefusedError(404, f"this server knows no {self.command} {path}")

    @property
    def _base(self) -> str:
        host = self.headers["Host"]
        return f"{'http' if host.startswith('127.') else 'https'}://{host}"

    def _require_token(self) -> None:
        if self.headers.get("Authorization") != f"Bearer {TOKEN}":
            raise _RefusedError(401, "Invalid credentials in Authorization header")

    def _repo(self, kind: str, repo_id: str) -> Repo:
        repo = self.hub.repos.get(f"{kind}/{repo_id}")
        known = self.headers.get("Authorization") == f"Bearer {TOKEN}"
        if repo is None or (repo.private and not known):
            # As the Hub does: strangers do not learn which private repositories exist.
            raise _RefusedError(404 if known else 401, "Repository not found", "RepoNotFound")
        return repo

    def _at(self, kind: str, repo_id: str, revision: str) -> tuple[str, dict[str, Blob]]:
        found = self._repo(kind, repo_id).at(revision)
        if found is None:
            raise _RefusedError(404, f"Invalid rev id: {revision}", "RevisionNotFound")
        return found

    # Writing.

    def _whoami(self) -> Any:
        self._require_token()
        return {"type": "user", "name": USER, "orgs": [], "auth": {"type": "access_token"}}

    def _validate_card(self) -> Any:
        content = json.loads(self.body)["content"]
        match = re.match(r"---\r?\n(.*?)\r?\n---", content, re.DOTALL)
        try:
            metadata = yaml.safe_load(match[1]) if match else {}
            assert isinstance(metadata, dict), "no mapping"
        except (yaml.YAMLError, AssertionError) as error:
            raise _RefusedError(400, " ".join(f"Invalid metadata in README.md: {error}".split())) from error
        return {"errors": [], "warnings": []}

    def _create(self) -> Any:
        self._require_token()
        wanted = json.loads(self.body)
        owner = wanted.get("organization") or USER
        if owner != USER:
            raise _RefusedError(403, f"You don't have the rights to create a repo under {owner}")
        kind, repo_id = f"{wanted.get('type') or 'model'}s", f"{owner}/{wanted['name']}"
        url = f"{self._base}/{KINDS[kind]}{repo_id}"
        if f"{kind}/{repo_id}" in self.hub.repos:
            raise _RefusedError(409, "You already created this repo", url=url)
        repo = self.hub.repos[f"{kind}/{repo_id}"] = Repo(private=wanted.get("visibility") == "private")
        repo.commit("initial commit", {".gitattributes": Blob(b"*.safetensors filter=lfs\n", False)})
        return {"url": url, "name": repo_id, "id": repo_id}

    def _preupload(self, kind: str, repo_id: str, revision: str) -> Any:
        self._require_token()
        _, files = self._at(kind, repo_id, revision)
        return {
            "files": [
                {
                    "path": file["path"],
                    "uploadMode": "lfs" if file["path"].endswith(LARGE) else "regular",
                    "shouldIgnore": False,
                    "oid": files[file["path"]].etag if file["path"] in files else None,
                }
                for file in json.loads(self.body)["files"]
            ]
        }

    def _batch(self, prefix: str | None, repo_id: str) -> Any:
        self._require_token()
        self._repo((prefix or "models/").rstrip("/"), repo_id)
        wanted = json.loads(self.body)
        if "basic" not in wanted["transfers"]:
            raise _RefusedError(422, f"this server takes basic uploads, not {wanted['transfers']}")
        objects = []
        for item in wanted["objects"]:
            entry = {"oid": item["oid"], "size": item["size"]}
            if item["size"] > LARGEST_PART:
                entry["error"] = {"code": 413, "message": "this server takes no multipart uploads"}
            elif item["oid"] not in self.hub.objects:
                entry["actions"] = {"upload": {"href": f"{self._base}/lfs/{item['oid']}"}}
            objects.append(entry)
        return {"transfer": "basic", "objects": objects}

    def _upload(self, oid: str) -> Any:
        if hashlib.sha256(self.body).hexdigest() != oid:
            raise _RefusedError(400, "the content is not what was announced")
        self.hub.objects[oid] = self.body
        return {}

    def _commit(self, kind: str, repo_id: str, revision: str) -> Any:
        self._require_token()
        repo = self._repo(kind, repo_id)
        if revision != "main":
            raise _RefusedError(422, f"this server commits to main, not to {revision}")
        lines = [json.loads(line) for line in self.body.splitlines()]
        files = dict(repo.files)
        message = ""
        for line in lines:
            value = line["value"]
            if line["key"] == "header":
                message = value["summary"]
                continue
            path = value["path"]
            if path.startswith("/") or {"", ".", ".."} & set(path.split("/")):
                raise _RefusedError(400, f"Invalid path: {path}")
            if line["key"] == "file":
                files[path] = Blob(base64.b64decode(value["content"]), False)
            elif line["key"] == "lfsFile":
                if value["oid"] not in self.hub.objects:
                    raise _RefusedError(
                        400, f"Your push was rejected because an LFS pointer of {path} has no file"
                    )
                files[path] = Blob(self.hub.objects[value["oid"]], True)
            elif line["key"] == "deletedFile":
                del files[path]
            else:
                raise _RefusedError(422, f"this server knows no operation {line['key']}")
        oid = repo.commit(message, files)
        url = f"{self._base}/{KINDS[kind]}{repo_id}/commit/{oid}"
        return {"success": True, "commitOid": oid, "commitUrl": url}

    def _tag(self, kind: str, repo_id: str, revision: str) -> Any:
        self._require_token()
        repo, name = self._repo(kind, repo_id), json.loads(self.body)["tag"]
        if name in repo.tags:
            raise _RefusedError(409, "Tag reference exists already")
        repo.tags[name] = self._at(kind, repo_id, revision)[0]
        return {}

    def _untag(self, kind: str, repo_id: str, name: str) -> Any:
        self._require_token()
        if self._repo(kind, repo_id).tags.pop(name, None) is None:
            raise _RefusedError(404, f"there is no tag {name}", "RevisionNotFound")
        return {}

    # Reading.

    def _refs(self, kind: str, repo_id: str) -> Any:
        repo = self._repo(kind, repo_id)
        tags = [
            {"name": name, "ref": f"refs/tags/{name}", "targetCommit": oid} for name, oid in repo.tags.items()
        ]
        main = {"name": "main", "ref": "refs/heads/main", "targetCommit": repo.commits[-1][0]}
        return {"branches": [main], "tags": tags, "converts": []}

    def _info(self, kind: str, repo_id: str, revision: str | None) -> Any:
        repo = self._repo(kind, repo_id)
        oid, files = self._at(kind, repo_id, revision or "main")
        names = [{"rfilename": name} for name in sorted(files)]
        about = {
            "private": repo.private,
            "gated": False,
            "disabled": False,
            "downloads": 0,
            "likes": 0,
            "tags": [],
        }
        return {"_id": oid[:24], "id": repo_id, "modelId": repo_id, "sha": oid, "siblings": names} | about

    def _tree(self, kind: str, repo_id: str, revision: str) -> Any:
        _, files = self._at(kind, repo_id, revision)
        entries = []
        for name, blob in sorted(files.items()):
            entry = {"type": "file", "path": name, "size": len(blob.content), "oid": blob.etag}
            if blob.large:
                entry["lfs"] = {"oid": blob.etag, "size": len(blob.content), "pointerSize": 134}
            entries.append(entry)
        return entries

    def _resolve(
        self, prefix: str | None, repo_id: str, revision: str, name: str
    ) -> tuple[bytes, dict[str, str]]:
        oid, files = self._at((prefix or "models/").rstrip("/"), repo_id, revision)
        if name not in files:
            # The commit goes along: it is remembered that this file is absent from it.
            raise _RefusedError(404, f"Entry not found: {name}", "EntryNotFound")
        blob = files[name]
        headers = {"X-Repo-Commit": oid, "ETag": f'"{blob.etag}"', "Accept-Ranges": "none"}
        if blob.large:
            headers |= {"X-Linked-Etag": f'"{blob.etag}"', "X-Linked-Size": str(len(blob.content))}
        return blob.content, headers
