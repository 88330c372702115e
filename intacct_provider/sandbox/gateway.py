"""What stands before the API: the record of calls, the limit on calls in flight, and planned faults."""

from __future__ import annotations

import asyncio
import random
import socket
import struct
import time
from collections.abc import Mapping
from contextlib import suppress
from email.utils import format_datetime
from typing import TYPE_CHECKING, Any

import msgspec

from intacct_provider.sandbox import errors
from intacct_provider.sandbox.faults import Fault
from intacct_provider.sandbox.state import CALL, Call, State

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

BASE = "/ia/api/v1"
LOST_PAGE = b"<!DOCTYPE html><html><head><title>Sage Intacct</title></head><body>Please wait.</body></html>"


class Gateway:
    """Wraps the API: limits the calls in flight, as Sage's performance tiers do, and carries out faults."""

    def __init__(self, app: ASGIApp, state: State) -> None:
        self.app = app
        self.state = state
        self._in_flight = 0
        self._clients: set[tuple[str, int]] = set()
        # The same waits in every run; nothing secret hangs on them.
        self._random = random.Random(1)  # noqa: S311

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one call."""
        begun = time.perf_counter()
        call = scope[CALL] = self._begin(scope)
        self._in_flight += 1
        self.state.most_in_flight = max(self.state.most_in_flight, self._in_flight)
        try:
            await self._serve(call, scope, receive, send)
        finally:
            self._in_flight -= 1
            call.seconds = time.perf_counter() - begun

    def _begin(self, scope: Scope) -> Call:
        """Note a call that has just begun."""
        headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
        call = Call(
            scope["method"],
            path := scope["path"].removeprefix(BASE),
            name=path.removeprefix("/"),
            query=scope["query_string"].decode("latin-1"),
            idempotency_key=headers.get(b"idempotency-key"),
            entity=headers.get(b"x-ia-api-param-entity") or None,
            begun=self.state.store.now(),
        )
        self.state.calls.append(call)
        client = scope.get("client")
        if client is not None and client not in self._clients:
            self._clients.add(client)
            self.state.connections += 1
        return call

    async def _serve(self, call: Call, scope: Scope, receive: Receive, send: Send) -> None:
        faults = self.state.faults

        async def noted(message: Message) -> None:
            if message["type"] == "http.response.start":
                call.status = message["status"]
                message["headers"] = [*message.get("headers", ()), *self._headers()]
                if faults.row_cost:
                    await asyncio.sleep(faults.row_cost * call.rows)
            await send(message)

        if self._in_flight > self.state.concurrency:
            text = "The limit on concurrent API calls of this application is exceeded"
            again = {"Retry-After": "1", "X-IA-Throttle-Limit-Retry-After": "1"}
            busy = errors.gateway(429, "GW-0010", text, again)
            await drain(receive)
            await respond(noted, busy.status, msgspec.json.encode(busy.body()), busy.headers)
        elif (fault := faults.take(call.method, call.path)) is not None:
            call.fault = fault.kind
            await self._fail(fault, call, scope, receive, noted, send)
        else:
            await asyncio.sleep(faults.latency + faults.jitter * self._random.random())
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

    def _headers(self) -> list[tuple[bytes, bytes]]:
        """Return what every answer carries: the server's time, and what is left of the calls in flight."""
        company = max(self.state.tier.company, self.state.concurrency)
        limits = ((b"x-ia-throttle-limit", self.state.concurrency), (b"x-ia-tenant-throttle-limit", company))
        now = format_datetime(self.state.store.now(), usegmt=True)
        headers = [(b"date", now.encode())]
        for name, limit in limits:
            headers.append((name, b"%d" % limit))
            headers.append((name + b"-remaining", b"%d" % max(0, limit - self._in_flight)))
        return headers


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
