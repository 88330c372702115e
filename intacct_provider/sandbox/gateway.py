"""The gateway in front of the API: logs calls, limits the calls in flight, and applies planned faults."""

from __future__ import annotations

import asyncio
import random
import time
from email.utils import format_datetime
from typing import TYPE_CHECKING

import msgspec
from starlette.concurrency import run_in_threadpool

from intacct_provider.sandbox import errors
from intacct_provider.sandbox.faults import wire
from intacct_provider.sandbox.faults.error_forms import vary_errors
from intacct_provider.sandbox.faults.plan import Fault
from intacct_provider.sandbox.faults.wire import BufferedResponse
from intacct_provider.sandbox.state import CALL, Call, State

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

BASE = "/ia/api/v1"
QUERY = "/services/core/query"


class Gateway:
    """Wraps the API: limits calls in flight as Sage's performance tiers do, and applies faults."""

    def __init__(self, app: ASGIApp, state: State) -> None:
        self.app = app
        self.state = state
        self._last_page = b""
        self._in_flight = 0
        self._clients: set[tuple[str, int]] = set()
        # The same waits in every run; no secret depends on them.
        self._random = random.Random(1)  # noqa: S311

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one call."""
        begun = time.perf_counter()
        call = scope[CALL] = self._log_call(scope)
        self._in_flight += 1
        self.state.most_in_flight = max(self.state.most_in_flight, self._in_flight)
        try:
            await self._serve(call, scope, receive, send)
        finally:
            self._in_flight -= 1
            call.seconds = time.perf_counter() - begun

    def _log_call(self, scope: Scope) -> Call:
        headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
        call = Call(
            scope["method"],
            path := scope["path"].removeprefix(BASE),
            name=path.removeprefix("/"),
            query=scope["query_string"].decode("latin-1"),
            idempotency_key=headers.get(b"idempotency-key"),
            entity=headers.get(b"x-ia-api-param-entity") or None,
            begun=self.state.store.now(),
            fault="variant" if self.state.faults.variants else None,
        )
        self.state.calls.append(call)
        client = scope.get("client")
        if client is not None and client not in self._clients:
            self._clients.add(client)
            self.state.connections += 1
        return call

    async def _serve(self, call: Call, scope: Scope, receive: Receive, send: Send) -> None:
        faults = self.state.faults

        async def send_logged(message: Message) -> None:
            if message["type"] == "http.response.start":
                call.status = message["status"]
                message["headers"] = [*message.get("headers", ()), *self._headers()]
                if faults.row_cost:
                    await asyncio.sleep(faults.row_cost * call.rows)
            await send(message)

        if self._in_flight > self.state.concurrency:
            await self._reject(receive, send_logged)
        elif (fault := faults.take(call.method, call.path)) is not None:
            call.fault = fault.kind
            await self._fail(fault, call, scope, receive, send_logged, send)
        else:
            await self._forward(scope, receive, send_logged)

    async def _reject(self, receive: Receive, send: Send) -> None:
        """Return 429, because too many calls are in flight."""
        text = "The limit on concurrent API calls of this application is exceeded"
        retry = {"Retry-After": "1", "X-IA-Throttle-Limit-Retry-After": "1"}
        error = errors.gateway(429, "GW-0010", text, retry)
        await wire.drain(receive)
        response = BufferedResponse(
            error.status, msgspec.json.encode(vary_errors(error.body(), self.state.faults))
        )
        response.set_headers(error.headers)
        await response.send(send)

    async def _forward(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a call to the API, and keep the last page of a query for faults that repeat its rows."""

        async def send_kept(message: Message) -> None:
            if scope[CALL].path == QUERY and message["type"] == "http.response.body":
                self._last_page = message.get("body", b"")
            await send(message)

        faults = self.state.faults
        await asyncio.sleep(faults.latency + faults.jitter * self._random.random())
        await self.app(scope, receive, send_kept)

    async def _fail(
        self, fault: Fault, call: Call, scope: Scope, receive: Receive, send_logged: Send, send: Send
    ) -> None:
        """Apply a fault to a call.

        :param send_logged: sends a response like any other.
        :param send: writes to the connection itself.
        """
        if fault.kind == "expire":
            await run_in_threadpool(self.state.expire_tokens)
            await self._forward(scope, receive, send_logged)
            return
        response, last_page = wire.build_response(fault, self.state.faults), self._last_page
        if fault.carried_out:
            real = await wire.capture_response(self._forward, scope, receive)
            call.status = real.status
            if fault.kind in ("alter", "cut"):
                response = real
                wire.alter(response, fault, last_page)
        else:
            await wire.drain(receive)
        if fault.gzip:
            wire.compress(response, scope)
        if fault.kind in ("status", "html", "alter"):
            await response.send(send_logged)
        elif fault.kind == "cut":
            call.status = response.status
            await wire.cut(response, fault, self._headers(), send, receive)
        else:
            if fault.kind == "hang":
                await wire.hang(receive, fault.seconds)
            await wire.hang_up(send, receive)

    def _headers(self) -> list[tuple[bytes, bytes]]:
        """Return the headers of every response: the server's time, and how many more calls may be in flight."""
        company = max(self.state.tier.company, self.state.concurrency)
        limits = ((b"x-ia-throttle-limit", self.state.concurrency), (b"x-ia-tenant-throttle-limit", company))
        now = format_datetime(self.state.store.now(), usegmt=True)
        headers = [(b"date", now.encode())]
        if self.state.faults.varies("no-throttle-headers"):
            return headers
        for name, limit in limits:
            headers.append((name, b"%d" % limit))
            headers.append((name + b"-remaining", b"%d" % max(0, limit - self._in_flight)))
        return headers
