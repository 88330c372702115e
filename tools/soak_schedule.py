"""The faults in one schedule of the soak, which depend on its seed only."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Any

QUERY = "/services/core/query"
OBJECTS = "/objects"
TOKEN = "/oauth2/token"  # noqa: S105
HTML = {"Content-Type": "text/html"}
GZIP = {"Content-Encoding": "gzip"}
#: All errors with which Intacct reports that a token has expired.
REFUSED_TOKENS: tuple[dict[str, Any], ...] = (
    {"status": 401, "body": {"error": {"code": "GW-0040", "message": "Expired token"}}},
    {"status": 401, "body": ""},
    {
        "status": 400,
        "body": {"ia::result": {"ia::error": {"code": "invalidRequest", "errorId": "REST-1206"}}},
    },
    {"status": 400, "body": {"error": {"code": "REST-2102", "message": "Invalid token"}}},
    {"status": 200, "body": {"ia::error": {"code": "invalidRequest", "errorId": "REST-2102"}}},
)
NO_ANSWERS: tuple[dict[str, Any], ...] = (
    {"body": b""},
    {"body": b'{"ia::result":{"key":"1","id":"\xff\xfe"}}'},
    {"body": b"[" * 50_000 + b"]" * 50_000},
    {"body": b'{"ia::result":[]}', "headers": GZIP},
)
#: The weight of each kind of fault.
WEIGHTS = {
    "overload": 6,
    "reset": 4,
    "cut": 5,
    "hang": 2,
    "expire": 3,
    "refused token": 2,
    "no answer": 2,
    "altered": 3,
    "page": 3,
    "web page": 1,
    "redirection": 1,
}
#: Faults that end an attempt at once, or if they occur twice in a row.
SELDOM = frozenset({"hang", "expire", "refused token", "web page", "redirection"})


@dataclass(frozen=True, slots=True)
class Schedule:
    """One schedule.

    :param seed: that of everything random: of the faults, of the server's pauses and of the client's.
    :param habits: how the server is all the time; members of the sandbox's ``Faults``.
    :param reading: calls that fail while records are read; members of its ``Fault``.
    :param writing: calls that fail while records are written.
    :param order_by: of the read; None for the order of keys.
    :param timeout: seconds that the client waits for an answer.
    """

    seed: int
    page_size: int
    order_by: list[dict[str, str]] | None
    timeout: float
    habits: dict[str, Any] = field(default_factory=dict)
    reading: list[dict[str, Any]] = field(default_factory=list)
    writing: list[dict[str, Any]] = field(default_factory=list)

    def __str__(self) -> str:
        """Return the schedule as lines, with long bodies truncated."""
        lines = [f"seed {self.seed}, page_size {self.page_size}, order_by {self.order_by}, {self.habits}"]
        for name, faults in (("reading", self.reading), ("writing", self.writing)):
            for fault in faults:
                lines.append(
                    f"{name}: " + ", ".join(f"{key}={str(value)[:60]}" for key, value in fault.items())
                )
        return "\n".join(lines)


def draw(seed: int) -> Schedule:
    """Return the schedule of a seed."""
    rng = random.Random(seed)  # noqa: S311
    habits = {
        "churn": rng.choice((0, 1, 5, 25)),
        "clock_skew": rng.choice((0.0, 0.0, -300.0, 300.0)),
        "jitter": rng.choice((0.0, 0.0, 0.002)),
        "max_size": rng.choice((4000, 4000, 4000, 1500)),
        "clamp": rng.random() < 0.5,
        "text_keys": rng.random() < 0.05,
        "key_filter": rng.random() > 0.05,
    }
    return Schedule(
        seed=seed,
        page_size=rng.choice((4000, 4000, 2500, 2000)),
        order_by=[{"id": "asc"}] if rng.random() < 0.1 else None,
        # Only a silent server reaches this timeout, unless the machine is very busy.
        timeout=1.0,
        habits=habits,
        reading=[_fault(rng, QUERY) for _ in range(rng.randint(1, 4))],
        writing=[_fault(rng, OBJECTS) for _ in range(rng.randint(2, 6))],
    )


def _fault(rng: random.Random, path: str) -> dict[str, Any]:
    """Return a fault for calls to a path, to the token endpoint, or to any path."""
    [kind] = rng.choices([*WEIGHTS], [*WEIGHTS.values()])
    made = _KINDS[kind](rng)
    made["path"] = path if kind == "refused token" else rng.choice((path, path, None, TOKEN))
    if path == OBJECTS and made["path"] == OBJECTS:
        made["method"] = rng.choice((None, "POST", "PATCH", "DELETE"))
    # The writes of a schedule take about 30 calls, a read in pages of 4,000 takes 6.
    made["skip"] = rng.choice((0, rng.randint(0, 6), rng.randint(0, 30)))
    if kind in SELDOM:
        made["times"] = 1
    elif rng.random() < 0.3:
        made |= {"every": rng.randint(3, 9), "times": 0}
    else:
        made["times"] = rng.randint(1, 3)
    return made


def _overload(rng: random.Random) -> dict[str, Any]:
    made: dict[str, Any] = {
        "kind": "status",
        "status": rng.choice((429, 429, 500, 502, 503, 504)),
        "done": _done(rng),
    }
    if made["status"] == 429:
        made["done"] = False  # this answer means that nothing was done
    if rng.random() < 0.4:
        made |= {"body": "<html>Bad Gateway</html>", "headers": HTML}
    elif rng.random() < 0.2:
        made["body"] = b""
    name = rng.choice(("Retry-After", "X-IA-Throttle-Limit-Retry-After", "X-IA-Hour-Rate-Limit-Retry-After"))
    if rng.random() < 0.5:
        made["headers"] = {**made.get("headers", {}), name: rng.choice(("0", "0.01", "0.02"))}
    return made


def _reset(rng: random.Random) -> dict[str, Any]:
    return {"kind": "reset", "done": _done(rng)}


def _cut(rng: random.Random) -> dict[str, Any]:
    return {
        "kind": "cut",
        "done": rng.random() < 0.8,
        "at": rng.choice((0, rng.randint(0, 200), rng.randint(0, 100_000), 10**9, None)),
        "framing": rng.choice(("length", "chunked", "close")),
        "ending": rng.choice(("close", "reset")),
        "gzip": rng.random() < 0.3,
    }


def _hang(rng: random.Random) -> dict[str, Any]:
    """Return a hang; most are ended by the server, the others by the client's timeout."""
    return {
        "kind": "hang",
        "done": _done(rng),
        "times": 1,
        "seconds": rng.choice((0.01, 0.01, 0.01, 0.05, 30.0)),
    }


def _expire(_rng: random.Random) -> dict[str, Any]:
    return {"kind": "expire"}


def _refused_token(rng: random.Random) -> dict[str, Any]:
    return {"kind": "status", **rng.choice(REFUSED_TOKENS)}


def _no_answer(rng: random.Random) -> dict[str, Any]:
    return {"kind": "status", "status": 200, "done": _done(rng), **rng.choice(NO_ANSWERS)}


def _altered(rng: random.Random) -> dict[str, Any]:
    return {"kind": "alter", "gzip": rng.random() < 0.7, "status": rng.choice((None, 200, 207))}


def _page(rng: random.Random) -> dict[str, Any]:
    """Return a fault that changes pages only."""
    return {"kind": "alter", **rng.choice(({"count": -1}, {"count": 1}, {"repeat": 1}, {"repeat": 40}))}


def _web_page(rng: random.Random) -> dict[str, Any]:
    return {"kind": "html", "done": _done(rng)}


def _redirection(rng: random.Random) -> dict[str, Any]:
    headers = {**HTML, "Location": "http://localhost:9/elsewhere"}
    return {"kind": "status", "status": rng.choice((301, 302, 307, 308)), "body": b"", "headers": headers}


def _done(rng: random.Random) -> bool:
    return rng.random() < 0.6


_KINDS = {
    "overload": _overload,
    "reset": _reset,
    "cut": _cut,
    "hang": _hang,
    "expire": _expire,
    "refused token": _refused_token,
    "no answer": _no_answer,
    "altered": _altered,
    "page": _page,
    "web page": _web_page,
    "redirection": _redirection,
}
