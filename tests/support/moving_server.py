"""An Intacct of our own over HTTP, whose records move while they are read, and which contradicts itself when asked to.

It shares no code with the provider or the sandbox, and is fast enough for a million records: pages are cut out of
sorted lists of keys. Calls sleep in threads, so that many can be in flight.
"""

import json
import secrets
import socketserver
import sys
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from email.utils import formatdate
from urllib.parse import parse_qs, urlsplit

import moving_query
from moving_company import CREATED, MODIFIED, OBJECT, Company

BASE = "/ia/api/v1"
REASONS = {200: "OK", 400: "Bad Request", 401: "Unauthorized", 404: "Not Found"}
#: What an answer to a query can say that is not so.
LIES = (
    "empty and nothing counted", "empty although counted", "empty without a count", "next although all are counted",
    "no next", "previous page again", "shifted", "start ignored", "hidden rows", "hidden end", "doubled row",
    "count too low", "count too high", "count is zero", "no count", "other page size",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Lie:
    """A false answer.

    :param kind: one of :data:`LIES`.
    :param at: number of the query that gets it, from 1.
    :param times: how many queries get it; 0 for all from there on.
    """

    kind: str
    at: int
    times: int = 1

    def concerns(self, number):
        """Whether the query of a number gets it."""
        return number >= self.at and (self.times == 0 or number < self.at + self.times)


@dataclass(frozen=True, slots=True)
class Behavior:
    """How a server behaves.

    :param kind: of the changes, one of :data:`moving_company.KINDS`.
    :param per_request: changes after each query.
    :param per_second: changes per second.
    :param latency: seconds that each call takes.
    :param lies: false answers.
    :param token_uses: requests that a token is good for; None for any number.
    :param one_token: whether a new token ends the user's others.
    :param stolen: after how many requests another process of the same user gets a token, each time.
    :param cap: rows that a page has at most, whatever was asked for; the answer says so.
    :param most: queries after which it rejects every other one, so that a read without an end ends.
    """

    kind: str | None = None
    per_request: int = 0
    per_second: float = 0
    latency: float = 0.0
    lies: tuple[Lie, ...] = ()
    token_uses: int | None = None
    one_token: bool = False
    stolen: int | None = None
    cap: int | None = None
    most: int = 10**9


@dataclass(slots=True)
class Counters:
    """What was asked for since the behavior was changed."""

    queries: int = 0
    models: int = 0
    tokens: int = 0
    refused: int = 0
    rows: int = 0
    log: list = field(default_factory=list)

    @property
    def calls(self):
        """The billed calls."""
        return self.queries + self.models


class MovingServer(socketserver.ThreadingTCPServer):
    """Serves a company on a free port, for the duration of a ``with`` block."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, company=None, behavior=None):
        super().__init__(("127.0.0.1", 0), _Connection)
        self.company = Company(0) if company is None else company
        self.lock = threading.Lock()
        self.tokens = {}
        self.connections = set()
        self.errors = []
        self.secret = secrets.token_urlsafe()
        self.url = f"http://127.0.0.1:{self.server_address[1]}{BASE}"
        self.behave(behavior or Behavior())

    def __enter__(self):
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_):
        self.shutdown()
        self.server_close()
        if self.errors:
            raise self.errors[0]
        for connection in list(self.connections):
            with suppress(OSError):
                connection.shutdown(2)

    def behave(self, behavior):
        """Change how the server behaves, and count from zero."""
        with self.lock:
            self.behavior = behavior
            self.counted = Counters()
            self._begun, self._happened = time.monotonic(), 0
            self._last_rows = {}

    def handle_error(self, request, client_address):
        """Remember what is wrong with the server itself; connections that clients ended are not."""
        error = sys.exc_info()[1]
        if not isinstance(error, OSError):
            self.errors.append(error)

    def connection(self, **extra):
        """Return an Airflow connection, as text."""
        host, port = self.server_address
        extra = {"company_id": f"Moving-{port}", "user_id": "reader", **extra}
        return json.dumps(
            {
                "conn_type": "intacct",
                "host": f"http://{host}:{port}{BASE}",
                "login": "moving",
                "password": self.secret,
                "extra": extra,
            }
        )

    # --- answers

    def respond(self, method, target, body, authorization):
        """Return the status and the content of an answer."""
        parts = urlsplit(target)
        path, latency = parts.path.removeprefix(BASE), self.behavior.latency
        time.sleep(latency / 2)
        with self.lock:
            status, content = self._respond(method, path, parts.query, body, authorization)
        time.sleep(latency / 2)
        return status, content

    def _respond(self, method, path, query, body, authorization):
        self._move_on()
        if path == "/oauth2/token":
            return 200, self._issue(body)
        if not self._accepts(authorization):
            self.counted.refused += 1
            return 401, json.dumps({"error": {"code": "GW-0040", "message": "Expired token"}}).encode()
        if path == "/services/core/model":
            self.counted.models += 1
            return 200, json.dumps(describe(parse_qs(query).get("name", [""])[0])).encode()
        if path != "/services/core/query" or method != "POST":
            return 404, _error("notFound", f"There is no {path}")
        try:
            return 200, self._query(json.loads(body))
        except moving_query.RefusedError as refusal:
            return 400, _error("invalidRequest", str(refusal))

    def _move_on(self):
        """Let happen what should have happened by now."""
        behavior = self.behavior
        due = int((time.monotonic() - self._begun) * behavior.per_second)
        if due > self._happened:
            self.company.happen(behavior.kind, due - self._happened)
            self._happened = due

    def _query(self, body):
        counted, behavior = self.counted, self.behavior
        counted.queries += 1
        if counted.queries > behavior.most:
            raise moving_query.RefusedError(f"This read has taken {behavior.most} queries: it has no end")
        if behavior.cap:
            body["size"] = min(body.get("size", 100), behavior.cap)
        rows, meta = moving_query.answer(self.company, body)
        if behavior.per_request:
            self.company.happen(behavior.kind, behavior.per_request)
        told = [lie for lie in behavior.lies if lie.concerns(counted.queries)]
        for lie in told:
            rows, meta = self._lie(lie.kind, body, rows, meta)
        if not any(":" in name for name in body["fields"]):
            self._last_rows[tuple(body["fields"])] = rows
        counted.rows += len(rows)
        if len(counted.log) < 2000:
            counted.log.append((body, len(rows), meta, [lie.kind for lie in told]))
        return ('{"ia::result":[' + ",".join(rows) + '],"ia::meta":' + json.dumps(meta) + "}").encode()

    def _lie(self, kind, body, rows, meta):
        if any(":" in name for name in body["fields"]):
            return _lie_of_count(kind, rows, meta)
        return getattr(self, "_" + kind.replace(" ", "_"))(body, rows, dict(meta))

    def _empty_and_nothing_counted(self, _body, _rows, meta):
        return [], meta | {"totalCount": 0, "next": None}

    def _empty_although_counted(self, _body, _rows, meta):
        return [], meta

    def _empty_without_a_count(self, _body, _rows, meta):
        return [], meta | {"totalCount": None, "next": None}

    def _next_although_all_are_counted(self, body, rows, meta):
        return rows, meta | {"totalCount": len(rows), "next": meta["start"] + meta["pageSize"]}

    def _no_next(self, _body, rows, meta):
        return rows, meta | {"next": None}

    def _previous_page_again(self, body, rows, meta):
        return self._last_rows.get(tuple(body["fields"]), rows), meta

    def _shifted(self, body, _rows, _meta):
        # Rows and count of one moment: with those of two, one page could agree with itself.
        return moving_query.answer(self.company, body, shift=3)

    def _start_ignored(self, body, rows, meta):
        return moving_query.answer(self.company, {**body, "start": 1})[0], meta

    def _hidden_rows(self, _body, rows, meta):
        return rows[: len(rows) // 2] + rows[len(rows) // 2 + 2 :], meta

    def _hidden_end(self, _body, rows, meta):
        return rows[:-2], meta

    def _doubled_row(self, _body, rows, meta):
        return rows[:1] + rows, meta

    def _count_too_low(self, _body, rows, meta):
        return rows, meta | {"totalCount": max(0, meta["totalCount"] - 2)}

    def _count_too_high(self, _body, rows, meta):
        return rows, meta | {"totalCount": meta["totalCount"] + 2}

    def _count_is_zero(self, _body, rows, meta):
        return rows, meta | {"totalCount": 0}

    def _no_count(self, _body, rows, meta):
        return rows, {name: value for name, value in meta.items() if name != "totalCount"}

    def _other_page_size(self, _body, rows, meta):
        return rows, meta | {"pageSize": meta["pageSize"] * 2}

    # --- tokens

    def _issue(self, body):
        user = parse_qs(body.decode()).get("username", [""])[0]
        if self.behavior.one_token:
            self._end_tokens(user)
        token = secrets.token_urlsafe(8)
        self.tokens[token] = [user, self.behavior.token_uses]
        self.counted.tokens += 1
        return json.dumps({"token_type": "Bearer", "access_token": token, "expires_in": 43200}).encode()

    def _end_tokens(self, user):
        self.tokens = {token: found for token, found in self.tokens.items() if found[0] != user}

    def _accepts(self, authorization):
        token = authorization.partition(" ")[2]
        found = self.tokens.get(token)
        if found is None:
            return False
        if found[1] is not None:
            found[1] -= 1
            if found[1] <= 0:
                del self.tokens[token]
        every = self.behavior.stolen
        if every and self.counted.calls % every == every - 1:
            self._end_tokens(found[0])
        return True


def _lie_of_count(kind, rows, meta):
    """Lie about an answer that has one row of aggregates."""
    if kind.startswith(("empty", "hidden")):
        return [], meta | ({"totalCount": 0} if kind == "empty and nothing counted" else {})
    if not kind.startswith("count"):
        return rows, meta
    row = json.loads(rows[0])
    count = int(row.get("count:key", 0))
    row["count:key"] = str({"count too low": max(0, count - 2), "count too high": count + 2}.get(kind, 0))
    return [json.dumps(row)], meta


def describe(name):
    """Answer the model service, which describes an unknown object by an empty list."""
    if name != OBJECT:
        return {"ia::result": []}
    fixed = {"type": "string", "mutable": False, "nullable": False, "readOnly": True, "writeOnly": False}
    text = {**fixed, "mutable": True, "readOnly": False}
    fields = {
        "key": fixed,
        "id": {**text, "mutable": False},
        "name": text,
        "status": {**text, "enum": ["active", "inactive"], "default": "active"},
        "totalDue": {**fixed, "format": "decimal-precision-2"},
    }
    stamps = {name.partition(".")[2]: {**fixed, "format": "date-time"} for name in (CREATED, MODIFIED)}
    model = {"fields": fields, "groups": {"audit": {"fields": stamps}}, "refs": [], "lists": []}
    model |= {"httpMethods": "GET, POST, PATCH, DELETE", "type": "rootObject", "idempotenceSupported": True}
    return {"ia::result": model, "ia::meta": {"totalCount": 1, "totalSuccess": 1, "totalError": 0}}


def _error(code, message):
    return json.dumps({"ia::result": {"ia::error": {"code": code, "message": message}}}).encode()


class _Connection(socketserver.StreamRequestHandler):
    """One connection and the requests on it."""

    disable_nagle_algorithm = True

    def handle(self):
        self.server.connections.add(self.connection)
        try:
            while self._serve_one():
                pass
        except OSError:
            pass
        finally:
            self.server.connections.discard(self.connection)

    def _serve_one(self):
        line = self.rfile.readline()
        if not line.strip():
            return False
        method, target, _ = line.decode("latin-1").split(" ", 2)
        headers = {}
        while (line := self.rfile.readline().strip()) != b"":
            name, _, value = line.decode("latin-1").partition(":")
            headers[name.lower()] = value.strip()
        body = self.rfile.read(int(headers.get("content-length", 0)))
        status, content = self.server.respond(method, target, body, headers.get("authorization", ""))
        head = (
            f"HTTP/1.1 {status} {REASONS[status]}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(content)}\r\nDate: {formatdate(usegmt=True)}\r\n\r\n"
        )
        self.wfile.write(head.encode() + content)
        return headers.get("connection", "").lower() != "close"
