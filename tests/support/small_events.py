"""What can happen at a call: records come and go, the answer lies, or there is none. To add one, add a line."""

from dataclasses import dataclass

import requests
from small_world import STAMP, error
from urllib3.exceptions import MaxRetryError, NewConnectionError

# --- what others do to the records before the call is answered; with a key: to which one

CHANGES = {
    "come": lambda company, _key: company.add(),
    "come backdated": lambda company, _key: company.add(backdated=True),
    "come from the future": lambda company, _key: company.add(**{STAMP: "2099-12-31T00:00:00Z"}),
    "go": lambda company, key: company.remove(key),
    "change": lambda company, key: company.set(key, totalDue="99.00"),
    "leave": lambda company, key: company.set(key, status="inactive"),
    "enter": lambda company, key: company.set(key, status="active"),
    "enter unstamped": lambda company, key: company.set_unstamped(key, status="active"),
    # What a sync protects, and what it has in scope.
    "protect": lambda company, key: company.set(key, totalDue="77.00"),
    "move out": lambda company, key: company.set(key, totalDue="55.00"),
    "move first": lambda company, key: company.set(key, name=f"!{key}"),
    "move last": lambda company, key: company.set(key, name=f"~{key}"),
}
WITHOUT_KEY = {"come", "come backdated", "come from the future"}

# --- what is wrong with an answer


@dataclass(frozen=True)
class Answer:
    """The true answer to a query, to be bent.

    :param ask: returns the true rows of the same query with other parts.
    """

    body: dict
    rows: list
    meta: dict
    ask: object

    def but(self, rows=None, **meta):
        return {"ia::result": self.rows if rows is None else rows, "ia::meta": self.meta | meta}

    # What one lie has left out, another can still bend.

    @property
    def total(self):
        return self.meta["totalCount"] or 0

    @property
    def start(self):
        return self.body.get("start", 1)

    @property
    def size(self):
        return self.meta["pageSize"] or self.body.get("size", 100)

    def without(self, place):
        return self.rows[:place] + self.rows[place + 1 :]

    def unfiltered(self):
        """Return the first page of everything, as if the key asked for were not looked at."""
        kept = [one for one in self.body.get("filters", ()) if "key" not in next(iter(one.values()))]
        return self.ask(filters=kept, filterExpression="and", start=1)

    def recount(self, by):
        return [
            {k: str(max(0, int(v) + by)) if k.startswith("count:") else v for k, v in row.items()}
            for row in self.rows
        ]


LIES = {
    "empty": lambda a: a.but([], totalCount=0, next=None),
    "empty but counted": lambda a: a.but([]),
    "no list of rows": lambda a: {"ia::result": None, "ia::meta": a.meta},
    "first row missing": lambda a: a.but(a.rows[1:]),
    "middle row missing": lambda a: a.but(a.without(len(a.rows) // 2)),
    "last row missing": lambda a: a.but(a.rows[:-1]),
    "middle row hidden": lambda a: a.but(a.without(len(a.rows) // 2), totalCount=max(0, a.total - 1)),
    "last row hidden": lambda a: a.but(a.rows[:-1], totalCount=max(0, a.total - 1)),
    "last row twice": lambda a: a.but(a.rows + a.rows[-1:]),
    "first row for the second": lambda a: a.but(a.rows[:1] * 2 + a.rows[2:] if a.rows[1:] else a.rows),
    "shifted on": lambda a: a.but(a.ask(start=a.start + 1)),
    "shifted back": lambda a: a.but(a.ask(start=max(1, a.start - 1))),
    "start ignored": lambda a: a.but(a.ask(start=1)),
    "start capped": lambda a: a.but(a.ask(start=min(3, a.start))),
    "capped": lambda a: a.but(a.rows[:1], next=a.start + 1 if a.rows[1:] else a.meta["next"]),
    "capped, own rows counted": lambda a: a.but(
        a.rows[:1], totalCount=len(a.rows[:1]), next=a.start + 1 if a.rows[1:] else a.meta["next"]
    ),
    "key ignored": lambda a: a.but(a.unfiltered()),
    "next page instead": lambda a: a.but(a.ask(start=a.start + a.size)),
    "order reversed": lambda a: a.but(a.rows[::-1]),
    "one more counted": lambda a: a.but(a.recount(1), totalCount=a.total + 1),
    "one less counted": lambda a: a.but(a.recount(-1), totalCount=max(0, a.total - 1)),
    "nothing counted": lambda a: a.but(a.recount(-99), totalCount=0),
    "own rows counted": lambda a: a.but(totalCount=len(a.rows)),
    "count missing": lambda a: a.but(totalCount=None),
    "next missing": lambda a: a.but(next=None),
    "next given": lambda a: a.but(next=a.start + a.size),
    "page size larger": lambda a: a.but(pageSize=a.size + 1),
    "page size smaller": lambda a: a.but(pageSize=max(1, a.size - 1)),
    "page size missing": lambda a: a.but(pageSize=None),
}
#: When said from some call on, these say the same as a company that has fewer records: no reader could know.
CONSISTENT = {"empty", "middle row hidden", "last row hidden"}

# --- what is wrong with the answer to a write: takes the results, returns status and results


def _but_first(results, **other):
    return [{**results[0], **other}, *results[1:]] if results else results


_REFUSED = {"code": "invalidRequest", "message": "No"}
WRITE_LIES = {
    "results reversed": lambda status, results: (status, results[::-1]),
    "result missing": lambda status, results: (status, results[:-1]),
    "result too many": lambda status, results: (status, results + results[-1:]),
    "first result twice": lambda status, results: (status, results[:1] * 2 + results[2:]),
    "first one is another's": lambda status, results: (status, _but_first(results, key="99", id="C99")),
    "first one without key": lambda status, results: (status, _but_first(results, key=None)),
    "first one without name": lambda status, results: (status, _but_first(results, key=None, id=None)),
    "first one refused": lambda _status, results: (
        207,
        _but_first(results, **{"ia::error": _REFUSED, "ia::status": 400}),
    ),
    "no results": lambda status, _results: (status, []),
}

# --- why there is no answer; each returns status, body and headers, or raises

#: A write that is accepted and not done.
ACCEPTED = "accepted only"
#: Stands for the headers of an answer that breaks off in its middle.
CUT = {"broken": "off"}
LOCKED = "409 in progress"


def _late(world, _carry_out):
    world.clock.sleep(world.timeout)
    raise requests.ReadTimeout("timed out")


def _broken(_world, _carry_out):
    raise requests.ConnectionError("broke off")


def _unreached(_world, _carry_out):
    raise requests.ConnectionError(MaxRetryError(None, "/", NewConnectionError(None, "refused")))


def _done(failure):
    """Return the same failure, but after the request was carried out."""

    def done(world, carry_out):
        carry_out()
        return failure(world, carry_out)

    return done


def _locked(world, carry_out):
    """Lose the answer, and refuse the next request under the same key because this one is still being carried out."""
    carry_out()
    if world.keyed:
        world.plan(world.calls, LOCKED)
    raise requests.ConnectionError("broke off")


def _refused(_world, _carry_out):
    """Refuse a token that is good."""
    return 401, error(401, "Invalid token", "tokenInvalid"), {}


def _dead(world, _carry_out):
    world.dead.add(world.token)
    return 401, error(401, "Invalid token", "tokenInvalid"), {}


def _dead_twice(world, carry_out):
    """Refuse the token that comes in its place, too, as if another process had ended it meanwhile."""
    world.plan(world.calls, "token dead")
    return _dead(world, carry_out)


def _accepted(world, carry_out):
    """Say that a write is done, and do nothing, also when the same request comes again."""
    company = world.company
    before = {**company.records}, [*company.written]
    status, content, _replayed = carry_out()
    company.records, company.written = before
    return status, content, {}


def _for_one_request(world, carry_out):
    """Let no token be good for more than one request from here on."""
    world.token_uses = 1
    return _dead(world, carry_out)


FAILURES = {
    "unreached": _unreached,
    "late": _late,
    "lost": _done(_broken),
    "late but done": _done(_late),
    "cut": lambda _world, carry_out: (*carry_out()[:2], CUT),
    "token dead": _dead,
    "401 but done": _done(_refused),
    "token dead twice": _dead_twice,
    "tokens for one request": _for_one_request,
    "429": lambda *_: (429, error(429, "Too many requests", errorId="GW-0010"), {"Retry-After": "2"}),
    "503": lambda *_: (503, error(503, "Overloaded"), {}),
    "502 but done": _done(lambda *_: (502, error(502, "Bad gateway"), {})),
    ACCEPTED: _accepted,
    "locked": _locked,
    LOCKED: lambda *_: (409, error(409, "Idempotency key: a request with it is in progress"), {}),
    "killed before": lambda world, _carry_out: world.kill(),
    "killed after": _done(lambda world, _carry_out: world.kill()),
    "size refused": lambda *_: (400, error(400, "The value of size is too large", target="/size"), {}),
}
#: What passes when the call is made again; any read or keyed write must survive it.
TRANSIENT = {*FAILURES} - {"size refused", "409 in progress", "killed before", "killed after", ACCEPTED}
#: Those that mean something else for a write than for a read.
FOR_WRITES = {
    ACCEPTED,
    "killed before",
    "killed after",
    "lost",
    "late but done",
    "502 but done",
    "401 but done",
    "locked",
    "409 in progress",
}


@dataclass(frozen=True)
class At:
    """One event of a schedule.

    :param call: number of the call at which it happens, from 0.
    :param what: name of a change, a lie or a failure.
    :param key: the record that a change is about.
    :param on: whether the lie lasts from this call on.
    """

    call: int
    what: str
    key: int | None = None
    on: bool = False

    def __repr__(self):
        more = "" if self.key is None else f", {self.key}"
        return f'At({self.call}, "{self.what}"{more}{", on=True" if self.on else ""})'

    @property
    def kind(self):
        return "change" if self.what in CHANGES else "failure" if self.what in FAILURES else "lie"
