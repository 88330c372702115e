"""An Azure Blob service on loopback that copies after it has answered, as Azure may and Azurite never does."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from clouds import AZURE_ACCOUNT, Cloud, serve


class SlowAzure:
    """What it stores, and the copies that it has not finished.

    :ivar looks: how often a copy must be looked at before it ends.
    :ivar outcome: of every copy: ``success``, ``failed`` or ``aborted``.
    """

    def __init__(self) -> None:
        self.blobs: dict[str, bytes] = {}
        self.blocks: dict[str, bytes] = {}
        self.copies: dict[str, str] = {}
        self.looks, self.outcome = 2, "success"
        self._left: dict[str, int] = {}

    def begin_copy(self, source: str, target: str) -> None:
        """Begin a copy: until it ends the target is empty."""
        self.blobs[target], self.copies[target] = b"", "pending"
        self._left[target], self._source = self.looks, source

    def look_at(self, name: str) -> str | None:
        """Return the state of the copy to a blob."""
        if self.copies.get(name) == "pending":
            self._left[name] -= 1
            if self._left[name] < 0:
                self.copies[name] = self.outcome
                # If the source is gone by now, nothing can be copied.
                if self.outcome == "success" and self._source in self.blobs:
                    self.blobs[name] = self.blobs[self._source]
        return self.copies.get(name)


class _Handler(BaseHTTPRequestHandler):
    """Blobs in one piece or of blocks, copies, and what is known of them."""

    protocol_version = "HTTP/1.1"

    def do_PUT(self) -> None:
        content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        asked = parse_qs(urlsplit(self.path).query)
        if source := self.headers.get("x-ms-copy-source"):
            self._azure.begin_copy(_path(source), _path(self.path))
            return self._answer(202, x_ms_copy_id="1", x_ms_copy_status="pending")
        if asked.get("comp") == ["block"]:
            self._azure.blocks[asked["blockid"][0]] = content
        elif asked.get("comp") == ["blocklist"]:
            names = re.findall(r"<Latest>(.*?)</Latest>", content.decode())
            self._azure.blobs[_path(self.path)] = b"".join(self._azure.blocks[name] for name in names)
        else:
            self._azure.blobs[_path(self.path)] = content
        return self._answer(201)

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        name = _path(self.path)
        if name not in self._azure.blobs:
            return self._answer(404, x_ms_error_code="BlobNotFound")
        state = self._azure.look_at(name)
        copy = {"x_ms_copy_id": "1", "x_ms_copy_status": state} if state else {}
        return self._answer(200, self._azure.blobs[name], x_ms_blob_type="BlockBlob", **copy)

    def do_DELETE(self) -> None:
        self._azure.blobs.pop(_path(self.path), None)
        self._answer(202)

    def log_message(self, *_: Any) -> None:
        """Log nothing."""

    @property
    def _azure(self) -> SlowAzure:
        return self.server.azure

    def _answer(self, status: int, content: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        defaults = {"ETag": '"0x1"', "Last-Modified": "Mon, 30 Nov 2026 09:00:00 GMT"}
        for name, value in {**defaults, "Content-Length": str(len(content)), **named}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)


@contextmanager
def run_slow_azure() -> Iterator[tuple[SlowAzure, Cloud]]:
    """Run one, with a connection to it."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.azure = SlowAzure()
    with serve(server):
        cloud = Cloud("abfs", f"slow_azure_{server.server_port}", f"http://127.0.0.1:{server.server_port}")
        cloud.connect()
        yield server.azure, cloud


def _path(url: str) -> str:
    return unquote(urlsplit(url).path)


def blob_name(place: str) -> str:
    """Return the name of a blob in requests."""
    return f"/{AZURE_ACCOUNT}/{place}"
