"""What stands before the API: the record of calls, the limit on calls in flight, and planned faults."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from intacct_provider.sandbox import errors
from intacct_provider.sandbox.faults import Fault, Faults

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

BASE = "/ia/api/v1"
CALL = "intacct.call"
LOST_PAGE = b"<!DOCTYPE html><html><head><title>Sage Intacct</title></head><body>Please wait.</body></html>"


@dataclass(slots=True)
class Call:
    """One call that reached the sandbox; never its body or its token.

    :param path: below ``/ia/api/v1``
    :param status: what the sandbox came to; 0 when the connection was dropped before that
    :param transactions: what Intacct would have billed for it
    :param entity: id of the entity in which it ran, by header or token; ``None`` for the top level
    """

    method: str
    path: str
    status: int = 0
    transactions: int = 0
    query: str = ""
    idempotency_key: str | None = None
    entity: str | None = None


class Gateway:
    """Wraps the API.

    :param concurrency: calls in flight; one more is answered 429, as Sage's performance tiers do
    """

    def __init__(self, app: ASGIApp, concurrency: int) -> None:
        self.app = app
        self.concurrency = concurrency
        self.latency = 0.0
        self.faults = Faults()
        self.calls: list[Call] = []
        self._in_flight = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one call."""
        if scope["type"] != "http":
            return
        call = scope[CALL] = read_call(scope)
        self.calls.append(call)
        self._in_flight += 1
        try:
            await self._serve(call, scope, receive, send)
        finally:
            self._in_flight -= 1

    async def _serve(self, call: Call, scope: Scope, receive: Receive, send: Send) -> None:
        async def noted(message: Message) -> None:
            if message["type"] == "http.response.start":
                call.status = message["status"]
                message["headers"] = [*message.get("headers", ()), *self._throttle_headers()]
            await send(message)

        if self._in_flight > self.concurrency:
            text = "The limit on concurrent API calls of this application is exceeded"
            busy = errors.gateway(429, "GW-0010", text, {"Retry-After": "1"})
            await drain(receive)
            await respond(noted, busy.status, msgspec.json.encode(busy.body()), busy.headers)
        elif (fault := self.faults.take(call.method, call.path)) is not None:
            await self._fail(fault, call, scope, receive, noted, send)
        else:
            await asyncio.sleep(self.latency)
            await self.app(scope, receive, noted)

    async def _fail(
        self, fault: Fault, call: Call, scope: Scope, receive: Receive, noted: Send, send: Send
    ) -> None:
        if fault.kind == "after":
            await self.app(scope, receive, only_status(call))
            await drop(send)
            return
        await drain(receive)
        if fault.kind == "status":
            await respond(noted, fault.status, fault_body(fault), fault.headers)
        elif fault.kind == "html":
            await respond(noted, 200, LOST_PAGE, {"Content-Type": "text/html", **fault.headers})
        elif fault.kind == "cut":
            headers = {"Content-Length": "1000", **fault.headers}
            await respond(noted, 200, b'{"ia::result":[', headers, more=True)
        else:
            if fault.kind == "hang":
                await hang(receive, fault.seconds)
            await drop(send)

    def _throttle_headers(self) -> list[tuple[bytes, bytes]]:
        left = max(0, self.concurrency - self._in_flight)
        return [
            (b"x-ia-throttle-limit", b"%d" % self.concurrency),
            (b"x-ia-throttle-limit-remaining", b"%d" % left),
        ]


def read_call(scope: Scope) -> Call:
    """Return the record of a call that has just begun."""
    headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
    return Call(
        scope["method"],
        scope["path"].removeprefix(BASE),
        query=scope["query_string"].decode("latin-1"),
        idempotency_key=headers.get(b"idempotency-key"),
        entity=headers.get(b"x-ia-api-param-entity") or None,
    )


async def respond(
    send: Send, status: int, body: bytes, headers: Mapping[str, str], *, more: bool = False
) -> None:
    """Answer without the API; ``more`` leaves the answer unfinished."""
    fields = {"Content-Type": "application/json", "Content-Length": str(len(body)), **headers}
    raw = [(name.lower().encode(), value.encode()) for name, value in fields.items()]
    await send({"type": "http.response.start", "status": status, "headers": raw})
    await send({"type": "http.response.body", "body": body, "more_body": more})


def fault_body(fault: Fault) -> bytes:
    """Return the given body, or the one with which the gateway reports that status."""
    if isinstance(fault.body, bytes):
        return fault.body
    if isinstance(fault.body, str):
        return fault.body.encode()
    if fault.body is not None:
        return msgspec.json.encode(fault.body)
    code = "GW-0010" if fault.status == 429 else "GW-0001"
    return msgspec.json.encode(errors.gateway(fault.status, code, "Planned by the sandbox").body())


def only_status(call: Call) -> Send:
    """Return a ``send`` that keeps the status of an answer and loses the rest."""

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            call.status = message["status"]

    return send


async def drain(receive: Receive) -> None:
    """Read the body, so that a client that is still sending sees the answer instead of a broken pipe."""
    while (await receive()).get("more_body"):
        pass


async def hang(receive: Receive, seconds: float) -> None:
    """Say nothing, until the time is over or the client has given up."""
    with suppress(TimeoutError):
        await asyncio.wait_for(receive(), seconds)


async def drop(send: Send) -> None:
    """Reset the connection; ASGI has no word for that, so this reaches for uvicorn's transport."""
    transport: Any = send.__self__.transport  # type: ignore[attr-defined]
    peer = transport.get_extra_info("socket")
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()
    await asyncio.sleep(0)  # uvicorn must hear of the end before it looks for the missing answer
