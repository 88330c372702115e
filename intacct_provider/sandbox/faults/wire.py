"""Faults on the wire: responses that are changed, cut off or never sent, and connections that break."""

from __future__ import annotations

import asyncio
import gzip
import socket
import struct
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from http.client import responses
from typing import TYPE_CHECKING, Any

import msgspec

from intacct_provider.sandbox import errors
from intacct_provider.sandbox.faults.error_forms import vary_errors
from intacct_provider.sandbox.faults.plan import Ending, Fault, Faults

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

LOST_PAGE = b"<!DOCTYPE html><html><head><title>Sage Intacct</title></head><body>Please wait.</body></html>"
BEGINNING = b'{"ia::result":['
"""The beginning of a response that is cut off, if the call is not carried out."""


@dataclass(slots=True)
class BufferedResponse:
    """A complete response that is not sent yet.

    :param headers: by lower-case name, without ``content-length``.
    """

    status: int
    body: bytes
    headers: dict[str, str] = field(default_factory=lambda: {"content-type": "application/json"})

    def set_headers(self, headers: Mapping[str, str]) -> None:
        """Replace headers; the case of their names does not matter."""
        self.headers |= {name.lower(): value for name, value in headers.items()}

    async def send(self, send: Send) -> None:
        """Send the response."""
        bare = self.status == 204  # HTTP allows no body
        fields = {} if bare else {"content-length": str(len(self.body)), **self.headers}
        raw = [(name.lower().encode(), value.encode()) for name, value in fields.items()]
        await send({"type": "http.response.start", "status": self.status, "headers": raw})
        await send({"type": "http.response.body", "body": b"" if bare else self.body})


async def capture_response(app: ASGIApp, scope: Scope, receive: Receive) -> BufferedResponse:
    """Carry out a call, and return its response instead of sending it."""
    response = BufferedResponse(500, b"", {})

    async def keep(message: Message) -> None:
        if message["type"] == "http.response.start":
            response.status = message["status"]
            response.headers = {name.decode(): value.decode("latin-1") for name, value in message["headers"]}
            response.headers.pop("content-length", None)
        else:
            response.body += message.get("body", b"")

    await app(scope, receive, keep)
    return response


def build_response(fault: Fault, faults: Faults) -> BufferedResponse:
    """Return the response that a fault describes, which replaces the real one if there is one."""
    if fault.kind == "html":
        response = BufferedResponse(fault.status or 200, LOST_PAGE, {"content-type": "text/html"})
    elif fault.kind == "cut" and fault.body is None:
        response = BufferedResponse(fault.status or 200, BEGINNING + b" " * (1000 - len(BEGINNING)))
    else:
        status = fault.status or (503 if fault.kind == "status" else 200)
        response = BufferedResponse(status, _encode_body(fault.body, status, faults))
    response.set_headers(fault.headers)
    return response


def _encode_body(given: Any, status: int, faults: Faults) -> bytes:
    """Return the body of a fault, by default the gateway's error for the status."""
    if isinstance(given, bytes):
        return given
    if isinstance(given, str):
        return given.encode()
    if given is not None:
        return msgspec.json.encode(given)
    code = "GW-0010" if status == 429 else "GW-0001"
    error = errors.gateway(status, code, "Planned by the sandbox")
    return msgspec.json.encode(vary_errors(error.body(), faults))


def alter(response: BufferedResponse, fault: Fault, last_page: bytes) -> None:
    """Change a real response as a fault describes.

    :param last_page: body of the response to the previous query.
    """
    response.status = fault.status or response.status
    response.set_headers(fault.headers)
    if fault.count or fault.repeat or fault.drop:
        page = msgspec.json.decode(response.body)
        if "ia::meta" in page and "pageSize" in page["ia::meta"]:
            previous = msgspec.json.decode(last_page)["ia::result"] if last_page else []
            _repeat_rows(page, previous, fault.repeat)
            _change_count(page["ia::meta"], fault.count)
            if fault.drop:
                del page["ia::result"][fault.drop - 1 : fault.drop]
            response.body = msgspec.json.encode(page)


def _repeat_rows(page: dict[str, Any], before: list[Any], count: int) -> None:
    rows = [*(before[-count:] if count else ()), *page["ia::result"]]
    page["ia::result"] = rows[: page["ia::meta"]["pageSize"]]


def _change_count(meta: dict[str, Any], count: int) -> None:
    """Add to ``totalCount``; ``next`` follows from it."""
    meta["totalCount"] = max(0, meta["totalCount"] + count)
    following = meta["start"] + meta["pageSize"]
    meta["next"] = following if following <= meta["totalCount"] else None


def compress(response: BufferedResponse, scope: Scope) -> None:
    """Compress a response, if the client accepts that."""
    accepted = dict(scope["headers"]).get(b"accept-encoding", b"")
    if b"gzip" in accepted and response.body:
        response.body = gzip.compress(response.body, 6, mtime=0)
        response.set_headers({"Content-Encoding": "gzip"})


async def cut(
    response: BufferedResponse,
    fault: Fault,
    headers: Iterable[tuple[bytes, bytes]],
    send: Send,
    receive: Receive,
) -> None:
    """Send the beginning of a response and end the connection, around the server, which sends complete responses only.

    :param headers: the headers of every response.
    """
    size = len(response.body)
    part = response.body[: size // 2 if fault.at is None else fault.at]
    head = [(name.encode(), value.encode()) for name, value in response.headers.items()]
    if fault.framing == "length" and "content-length" not in response.headers:
        head.append((b"content-length", b"%d" % size))
    elif fault.framing == "chunked":
        head.append((b"transfer-encoding", b"chunked"))
        last = b"0\r\n\r\n" if fault.at is not None and fault.at > size else b""
        part = b"%x\r\n%b\r\n%b" % (len(part), part, last) if part else last
    elif fault.framing == "close":
        head.append((b"connection", b"close"))
    lines = [f"HTTP/1.1 {response.status} {responses.get(response.status, '')}".encode()]
    lines += [name + b": " + value for name, value in (*head, *headers)]
    connection = _connection(send)
    connection.transport.set_write_buffer_limits(0)
    connection.transport.write(b"\r\n".join([*lines, b"", part]))
    await connection.flow.drain()  # bytes still buffered when the connection ends would never arrive
    await hang_up(send, receive, fault.ending)


async def drain(receive: Receive) -> None:
    """Read the body to its end, so that a client that is still sending gets the response and not a broken pipe."""
    while (await receive()).get("more_body"):
        pass


async def hang(receive: Receive, seconds: float) -> None:
    """Send nothing until the time is over or the client disconnects."""
    with suppress(TimeoutError):
        await asyncio.wait_for(receive(), seconds)


async def hang_up(send: Send, receive: Receive, ending: Ending = "reset") -> None:
    """End the connection, unless the client has ended it; ASGI has no message for that."""
    transport = _connection(send).transport
    if transport.is_closing():
        return
    if ending == "reset":
        peer = transport.get_extra_info("socket")
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()
    else:
        transport.close()
    while (await receive())["type"] != "http.disconnect":
        pass  # uvicorn must see the disconnect before it notices the missing response


def _connection(send: Send) -> Any:
    """Return uvicorn's object for the connection, which has ``transport`` and ``flow``."""
    return send.__self__  # type: ignore[attr-defined]
