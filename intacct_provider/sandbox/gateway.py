"""What stands before the API: the record of calls, the limit on calls in flight, and planned faults."""

from __future__ import annotations

import asyncio
import random
import time
from email.utils import format_datetime
from typing import TYPE_CHECKING

import msgspec
from starlette.concurrency import run_in_threadpool

from intacct_provider.sandbox import errors
from intacct_provider.sandbox.auth import Tokens
from intacct_provider.sandbox.faults import wire
from intacct_provider.sandbox.faults.plan import Fault
from intacct_provider.sandbox.faults.wire import Whole
from intacct_provider.sandbox.state import CALL, Call, State

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

BASE = "/ia/api/v1"
QUERY = "/services/core/query"


class Gateway:
    """Wraps the API: limits the calls in flight, as Sage's performance tiers do, and carries out faults."""

    def __init__(self, app: ASGIApp, state: State, tokens: Tokens) -> None:
        self.app = app
        self.state = state
        self.tokens = tokens
        self._page = b""
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
            await wire.drain(receive)
            refusal = Whole(busy.status, msgspec.json.encode(busy.body()))
            refusal.set(busy.headers)
            await refusal.send(noted)
        elif (fault := faults.take(call.method, call.path)) is not None:
            call.fault = fault.kind
            await self._fail(fault, call, scope, receive, noted, send)
        else:
            await self._carry_out(scope, receive, noted)

    async def _carry_out(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Carry a call out; of queries, the last page is kept for a fault that lets its rows come again."""

        async def kept(message: Message) -> None:
            if scope[CALL].path == QUERY and message["type"] == "http.response.body":
                self._page = message.get("body", b"")
            await send(message)

        faults = self.state.faults
        await asyncio.sleep(faults.latency + faults.jitter * self._random.random())
        await self.app(scope, receive, kept)

    async def _fail(
        self, fault: Fault, call: Call, scope: Scope, receive: Receive, noted: Send, send: Send
    ) -> None:
        """Let a call meet a fault.

        :param noted: sends an answer as every other
        :param send: leads to the connection itself
        """
        if fault.kind == "expire":
            await run_in_threadpool(self._expire_tokens)
            await self._carry_out(scope, receive, noted)
            return
        answer, before = wire.planned(fault), self._page
        if fault.carried_out:
            own = await wire.carried_out(self._carry_out, scope, receive)
            call.status = own.status
            if fault.kind in ("alter", "cut"):
                answer = own
                wire.alter(answer, fault, before)
        else:
            await wire.drain(receive)
        if fault.gzip:
            wire.compress(answer, scope)
        if fault.kind in ("status", "html", "alter"):
            await answer.send(noted)
        elif fault.kind == "cut":
            call.status = answer.status
            await wire.cut(answer, fault, self._headers(), send, receive)
        else:
            if fault.kind == "hang":
                await wire.hang(receive, fault.seconds)
            await wire.hang_up(send, receive)

    def _expire_tokens(self) -> None:
        with self.state.store.transaction() as conn:
            self.tokens.expire(conn)

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
