"""A small fast Intacct for measuring clients: its answers are prepared in advance, so that it does not limit them.

    python benchmarks/server.py

It prints its port, answers tokens, models, queries of accounts by key, creates and updates like the sandbox
(``check_server.py`` compares the two), and stops when its standard input ends. ``POST /bench`` changes
:class:`Settings` and resets the counters; ``GET /bench`` returns them.
"""

from __future__ import annotations

import asyncio
import json
import resource
import socket
import sys
import time
from email.utils import formatdate
from urllib.parse import parse_qs, urlsplit

import msgspec
from served import Refused, Served

from intacct_provider.sandbox.api.model import describe
from intacct_provider.sandbox.errors import ApiError, invalid
from intacct_provider.sandbox.identity import Identity
from intacct_provider.sandbox.objects.catalog import BUILT_IN

BASE = "/ia/api/v1"
REASONS = {
    200: "OK",
    201: "Created",
    400: "Bad Request",
    401: "Unauthorized",
    404: "Not Found",
    429: "Too Many",
}


class Settings(msgspec.Struct, forbid_unknown_fields=True):
    """How the server behaves.

    :param rows: number of accounts.
    :param latency: seconds before each answer.
    :param row_cost: additional seconds for each row of the answer.
    :param concurrency: calls in flight before one is refused; Intacct's first tier allows 6.
    :param refuse: numbers of the query calls, from 1, that are answered with 429.
    :param cut: those whose answer is cut off in the middle.
    :param expire: those at which every token issued so far expires.
    :param delete: those after which ``delete_keys`` are deleted.
    """

    rows: int = 1000
    latency: float = 0.0
    row_cost: float = 0.0
    concurrency: int = 6
    refuse: tuple[int, ...] = ()
    cut: tuple[int, ...] = ()
    expire: tuple[int, ...] = ()
    delete: tuple[int, ...] = ()
    delete_keys: tuple[int, ...] = ()


class Counters(msgspec.Struct):
    """Counters since the last change of the settings."""

    calls: int = 0
    queries: int = 0
    tokens: int = 0
    billed: int = 0
    rows: int = 0
    connections: int = 0
    most_in_flight: int = 0
    refused: int = 0
    created: int = 0
    seconds: float = 0.0
    cpu_seconds: float = 0.0


class Server:
    """The state shared by all connections."""

    def __init__(self) -> None:
        self.settings = Settings()
        self.served = Served(self.settings.rows)
        self.counted = Counters()
        self.identity = Identity()
        self.in_flight = 0
        self.tokens: set[str] = set()
        self.ended: set[str] = set()
        self.issued = 0
        self.known: set[object] = set()
        self.answered: dict[str, tuple[int, bytes]] = {}
        self._begun, self._cpu = time.perf_counter(), _cpu()

    def change(self, body: bytes) -> None:
        """Apply new settings and reset the counters."""
        self.settings = msgspec.json.decode(body, type=Settings)
        self.served.resize(self.settings.rows)
        self.counted = Counters()
        self.known.clear()
        self.answered.clear()
        self._begun, self._cpu = time.perf_counter(), _cpu()

    def stats(self) -> bytes:
        """Return the counters; the CPU share shows that the server was mostly idle."""
        self.counted.seconds = time.perf_counter() - self._begun
        self.counted.cpu_seconds = _cpu() - self._cpu
        return msgspec.json.encode(self.counted)

    async def answer(self, connection: object, request: Request) -> tuple[int, list[bytes], str]:
        """Return the status, the parts of the body, and the fault: empty, or ``cut``."""
        if request.path == "/bench":
            if request.method == "POST":
                self.change(request.body)
            return 200, [self.stats()], ""
        counted, settings = self.counted, self.settings
        counted.calls += 1
        if connection not in self.known:
            self.known.add(connection)
            counted.connections += 1
        self.in_flight += 1
        counted.most_in_flight = max(counted.most_in_flight, self.in_flight)
        try:
            if self.in_flight > settings.concurrency:
                counted.refused += 1
                return _error_answer(ApiError(429, "GW-0010", "Too many calls in flight", shape="gateway"))
            return await self._carry_out(request)
        except ApiError as refusal:
            return _error_answer(refusal)
        except Refused as refusal:
            return _error_answer(invalid(str(refusal)))
        finally:
            self.in_flight -= 1

    async def _carry_out(self, request: Request) -> tuple[int, list[bytes], str]:
        path, settings = request.path.removeprefix(BASE), self.settings
        if path == "/oauth2/token":
            await asyncio.sleep(settings.latency)
            return 200, [self._token(request)], ""
        fate = self._next_fault() if path == "/services/core/query" else ""
        self._check(request.authorization)
        if fate == "refuse":
            self.counted.refused += 1
            raise ApiError(429, "GW-0010", "Planned by the benchmark", shape="gateway")
        status, parts, rows, billed = self._reply(request, path)
        if settings.latency or settings.row_cost:
            await asyncio.sleep(settings.latency + settings.row_cost * rows)
        else:
            await asyncio.sleep(0)
        if not fate:
            self.counted.rows += rows
            self.counted.billed += billed
        return status, parts, fate

    def _check(self, authorization: str) -> None:
        kind, _, token = authorization.partition(" ")
        if kind.lower() != "bearer" or not token:
            raise ApiError(
                401, "GW-0034", "The Authorization header must be of the form Bearer <token>", shape="gateway"
            )
        if token not in self.tokens:
            if token in self.ended:
                raise ApiError(401, "GW-0040", "Expired token", shape="gateway")
            raise ApiError(400, "invalidRequest", "The token is not valid", error_id="REST-1206")

    def _next_fault(self) -> str:
        """Count a query, and return the fault that is planned for it."""
        self.counted.queries += 1
        number, settings = self.counted.queries, self.settings
        if number in settings.expire:
            self.ended |= self.tokens
            self.tokens.clear()
        if number - 1 in settings.delete:
            self.served.delete(settings.delete_keys)
        return "refuse" if number in settings.refuse else "cut" if number in settings.cut else ""

    def _token(self, request: Request) -> bytes:
        form = {name: values[0] for name, values in parse_qs(request.body.decode()).items()}
        given = (form.get("client_id"), form.get("client_secret"))
        if given != (self.identity.client_id, self.identity.client_secret):
            raise ApiError(401, "invalid_client", "Unknown client", shape="gateway")
        self.issued += 1
        self.counted.tokens += 1
        token = f"token-{self.issued}"
        self.tokens.add(token)
        kinds = {"token_type": "Bearer", "access_token": token, "refresh_token": token, "expires_in": 43200}
        return json.dumps(kinds).encode()

    def _reply(self, request: Request, path: str) -> tuple[int, list[bytes], int, int]:
        """Return the status, the body, the number of its rows, and the billed transactions."""
        if path == "/services/core/query":
            parts, rows = self.served.query(request.body)
            return 200, parts, rows, 1
        if path == "/services/core/model":
            names = {name: values[0] for name, values in parse_qs(request.query).items()}
            return 200, [json.dumps(describe(names, BUILT_IN)).encode()], 0, 1
        if path.startswith("/objects/") and request.method in ("POST", "PATCH"):
            return self._write(request, path.removeprefix("/objects/"))
        raise ApiError(404, "notFound", "Nothing is here", shape="top")

    def _write(self, request: Request, name: str) -> tuple[int, list[bytes], int, int]:
        if request.idempotency_key in self.answered:
            return *self.answered[request.idempotency_key], 0, 0  # type: ignore[return-value]
        body, written = self.served.write(request.method, name, request.body)
        self.counted.created += written if request.method == "POST" else 0
        status = 201 if request.method == "POST" else 200
        if request.idempotency_key:
            self.answered[request.idempotency_key] = (status, [body])  # type: ignore[assignment]
        return status, [body], 0, written


class Request:
    """The parts of a request that the server uses."""

    __slots__ = ("authorization", "body", "close", "idempotency_key", "method", "path", "query")

    def __init__(self, head: bytes, body: bytes) -> None:
        line, *lines = head.decode("latin-1").split("\r\n")
        self.method, target, _ = line.split(" ", 2)
        parts = urlsplit(target)
        self.path, self.query, self.body = parts.path, parts.query, body
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        self.authorization = headers.get("authorization", "")
        self.idempotency_key = headers.get("idempotency-key", "")
        self.close = headers.get("connection", "").lower() == "close"


async def serve(server: Server, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Serve the requests of one connection."""
    connection = object()
    writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    writer.transport.set_write_buffer_limits(high=1 << 23)  # type: ignore[attr-defined]
    try:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            length = 0
            for line in head.split(b"\r\n"):
                if line[:15].lower() == b"content-length:":
                    length = int(line[15:])
            request = Request(head[:-4], await reader.readexactly(length) if length else b"")
            status, parts, fate = await server.answer(connection, request)
            size = sum(map(len, parts))
            writer.write(_head(server, status, size, close=request.close))
            if fate == "cut":
                writer.write(b"".join(parts)[: size // 2])
                return
            for part in parts:
                writer.write(part)
            await writer.drain()
            if request.close:
                return
    except (asyncio.IncompleteReadError, ConnectionError):
        return
    finally:
        writer.close()


def _head(server: Server, status: int, size: int, *, close: bool) -> bytes:
    """Return the head of an answer: Intacct's usual headers, and when to retry."""
    limit = server.settings.concurrency
    left = max(0, limit - server.in_flight - 1)
    again = "Retry-After: 1\r\nX-IA-Throttle-Limit-Retry-After: 1\r\n" if status == 429 else ""
    end = "Connection: close\r\n" if close else ""
    return (
        f"HTTP/1.1 {status} {REASONS.get(status, 'Other')}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {size}\r\nDate: {formatdate(usegmt=True)}\r\nX-IA-Throttle-Limit: {limit}\r\n"
        f"X-IA-Throttle-Limit-Remaining: {left}\r\n{again}{end}\r\n"
    ).encode()


def _error_answer(error: ApiError) -> tuple[int, list[bytes], str]:
    return error.status, [json.dumps(error.body()).encode()], ""


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


async def main() -> None:
    """Serve on a free port until standard input ends."""
    server = Server()
    listener = await asyncio.start_server(
        lambda reader, writer: serve(server, reader, writer), "127.0.0.1", 0, limit=1 << 23, backlog=2048
    )
    print(listener.sockets[0].getsockname()[1], flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    listener.close()


if __name__ == "__main__":
    asyncio.run(main())
