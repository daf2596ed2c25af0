"""A web server on 127.0.0.1 that serves archives as badly as it is told to."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import NamedTuple

import pytest


class Request(NamedTuple):
    name: str
    headers: dict[str, str]


@dataclass
class ArchiveServer:
    """What it serves, how it misbehaves, and what it was asked."""

    port: int = 0
    files: dict[str, bytes] = field(default_factory=dict)
    statuses: dict[str, list[int]] = field(default_factory=dict)
    break_after: list[int] = field(default_factory=list)
    version: int = 1
    validator: str = "etag"
    content_type: str = "application/x-xz"
    ignores_range: bool = False
    ignores_if_range: bool = False
    range_shift: int = 0
    requests: list[Request] = field(default_factory=list)

    def url(self, name: str) -> str:
        return f"http://127.0.0.1:{self.port}/{name}"

    def offer(self, name: str, content: bytes) -> str:
        self.files[name] = content
        return self.url(name)

    @property
    def ranges(self) -> list[str | None]:
        return [request.headers["Range"] for request in self.requests]

    def validators(self) -> dict[str, str]:
        return {
            "etag": {"ETag": f'"{self.version}"'},
            "weak etag": {"ETag": f'W/"{self.version}"'},
            "modified": {"Last-Modified": f"Wed, 0{self.version} Sep 2021 10:00:00 GMT"},
            "none": {},
        }[self.validator]


class _Handler(BaseHTTPRequestHandler):
    state: ArchiveServer

    def do_GET(self) -> None:
        state, name = self.state, self.path.lstrip("/")
        state.requests.append(Request(name, {key: self.headers[key] for key in ("Range", "If-Range")}))
        statuses = state.statuses.get(name, [])
        if statuses or name not in state.files:
            return self._answer(statuses.pop(0) if statuses else 404, {}, b"")
        content = state.files[name]
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers["Range"] or "")
        if not asked or state.ignores_range or not self._is_same_version():
            return self._answer(200, {}, content)
        start = int(asked[1])
        if start >= len(content):
            return self._answer(416, {"Content-Range": f"bytes */{len(content)}"}, b"")
        start += state.range_shift
        place = f"bytes {start}-{len(content) - 1}/{len(content)}"
        return self._answer(206, {"Content-Range": place}, content[start:])

    def _is_same_version(self) -> bool:
        condition = self.headers["If-Range"]
        return condition is None or self.state.ignores_if_range or condition in self.state.validators().values()

    def _answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.send_response(status)
        common = {"Content-Type": self.state.content_type, "Content-Length": str(len(body))}
        for key, value in {**common, **self.state.validators(), **headers}.items():
            self.send_header(key, value)
        self.end_headers()
        is_cut = status in (200, 206) and self.state.break_after
        self.wfile.write(body[: self.state.break_after.pop(0)] if is_cut else body)

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[ArchiveServer]:
    monkeypatch.setenv("no_proxy", "*")
    state = ArchiveServer()
    handler = type("Handler", (_Handler,), {"state": state})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as http:
        state.port = http.server_port
        thread = Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield state
        http.shutdown()
        thread.join()
