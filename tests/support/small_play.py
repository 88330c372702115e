"""Lets a schedule of events meet a client, call by call."""

import itertools
import json
import os
import sys
import typing
from collections import Counter
from contextlib import contextmanager
from email.utils import formatdate
from functools import cache
from unittest.mock import patch

import structlog
from small_clock import CALL, Clock, Pool, in_small
from small_events import CHANGES, CUT, FAILURES, LIES, LOCKED, WRITE_LIES, Answer, At
from small_world import REPLAYED

from intacct_provider.client import IntacctClient, IntacctConfig
from intacct_provider.exceptions import IntacctError

if sys.version_info < (3, 12):
    # Protocols are asked for their members at each isinstance() of requests, a tenth of a schedule; later versions of
    # Python remember them.
    typing._get_protocol_attrs = cache(typing._get_protocol_attrs)
#: Tokens are cached for the whole process, so none may come twice.
_tokens = itertools.count(1)
PLACE = {
    "client_id": "app",
    "client_secret": "small-world",
    "company_id": "Small",
    "user_id": "ws",
    "base_url": "https://intacct.test/ia/api/v1",
}


class EndlessError(BaseException):
    """More calls than any sound read or write makes; no client can catch it by accident."""


class KilledError(BaseException):
    """The process ends here."""


class World:
    """One company, one schedule, and what came of their meeting.

    :param events: what happens at which call; calls for a token are not counted.
    :param most: calls after which this is endless.
    :ivar calls: those that reached the server so far.
    :ivar failed: those of them that got no answer, or were told to come again.
    :ivar reads: answers of 200 to reads.
    :ivar struck: events that made a difference.
    :ivar killed: whether the process of the client has ended; another one sets it back.
    """

    def __init__(self, company, events=(), *, pool="at once", most=200):
        self.company, self.most = company, most
        self.clock, self.pool = Clock(), Pool(pool)
        self.calls = self.failed = self.reads = 0
        self.killed = False
        self.struck = []
        self.dead = set()
        self.token_uses = None
        self._used = Counter()
        self._steady = []
        self.token, self.timeout, self.keyed = "", 60.0, False
        self.on_change = lambda: None
        self.endless = False
        self._planned, self._events = {}, {*events}
        for event in events:
            self._planned.setdefault(event.call, []).append(event)

    def plan(self, call, what):
        """Let something happen at a later call, because of what has happened."""
        self._planned.setdefault(call, []).append(At(call, what))

    def calm(self):
        """Let nothing more happen."""
        self._planned.clear()
        self._steady.clear()

    def kill(self):
        """End the process of the client, which sends nothing more."""
        self.killed = True
        raise KilledError("killed")

    def __enter__(self):
        self._inside = in_small(self.handle, self.clock, self.pool)
        self._inside.__enter__()
        return self

    def __exit__(self, *problem):
        return self._inside.__exit__(*problem)

    def handle(self, request, timeout):
        """Answer a request, or let what is planned happen to it; return status, headers and content."""
        if self.killed:
            raise KilledError("killed")
        self.clock.passed += CALL
        if request.url.endswith("/oauth2/token"):
            return (
                200,
                self._date(),
                json.dumps({"access_token": f"small-{next(_tokens)}", "expires_in": 43_200}).encode(),
            )
        self.timeout, self.token = timeout, request.headers["Authorization"]
        self.keyed = "Idempotency-Key" in request.headers
        status, content, headers = self._meet(self._count(), request)
        date = self._date()
        content = b"" if content is None else json.dumps(content).encode()
        if headers is not CUT:
            return status, date | headers, content
        return status, date | {"Content-Length": str(len(content) + 1)}, content[: len(content) // 2]

    def _date(self):
        return {"Date": formatdate(self.clock.time(), usegmt=True)}

    def _count(self):
        """Return what happens at this call."""
        self.calls += 1
        if self.calls > self.most:
            self.endless = True
            raise EndlessError(f"more than {self.most} calls")
        return self._planned.pop(self.calls - 1, [])

    def _meet(self, events, request):
        """Let events happen to a request; return status, body and headers."""
        multipart = "multipart" in request.headers.get("Content-Type", "")
        body = json.loads(request.body) if request.body and not multipart else request.body or None

        def carry_out():
            return self.company.answer(request.method, request.url, request.headers, body)

        if not self.keyed and any(event.what == LOCKED for event in events):
            # Only a request under the key meets the lock.
            events = [event for event in events if event.what != LOCKED]
            self.plan(self.calls, LOCKED)
        self._change(event for event in events if event.kind == "change")
        for event in events:
            if event.kind == "failure":
                self.failed += 1
                self.struck += [event] if event in self._events else []
                return FAILURES[event.what](self, carry_out)
        if self.token_uses and self._used[self.token] >= self.token_uses:
            self.dead.add(self.token)
        if self.token in self.dead:
            self.failed += 1
            return 401, {"error": {"code": "tokenInvalid", "message": "Invalid token"}}, {}
        self._used[self.token] += 1
        status, content, replayed = carry_out()
        query = request.url.endswith("/core/query")
        self.reads += status == 200 and (query or request.method == "GET")
        self._steady += [event for event in events if event.on]
        for lie in [*self._steady, *(event for event in events if event.kind == "lie" and not event.on)]:
            if query and lie.what in LIES:
                content = self._bend(lie, body, content)
            elif lie.what in WRITE_LIES and request.method != "GET" and not query:
                status, content = self._misreport(lie, status, content)
        return status, content, {REPLAYED: "2026-11-20T00:00:00Z"} if replayed else {}

    def _change(self, events):
        for event in events:
            before = {**self.company.records}
            CHANGES[event.what](self.company, event.key)
            if before != self.company.records:
                self.struck.append(event)
                self.on_change()

    def _bend(self, lie, body, true):
        """Return what a lie says in the place of a page."""

        def ask(**other):
            return self.company.query({**body, **other})["ia::result"]

        said = LIES[lie.what](Answer(body, true["ia::result"] or [], true["ia::meta"], ask))
        if said != true and lie not in self.struck:
            self.struck.append(lie)
        return said

    def _misreport(self, lie, status, true):
        """Return what a lie says in the place of the results of a write of many."""
        results = (true or {}).get("ia::result")
        if not isinstance(results, list):
            return status, true
        said, other = WRITE_LIES[lie.what](status, results)
        if other != results:
            self.struck.append(lie)
        return said, {**true, "ia::result": other}


def client_of(**changes):
    """Return a client of a small world."""
    return IntacctClient(IntacctConfig(**{**PLACE, **changes}))


def crash_of(errors):
    """Return the first error that no client may raise, in words, or nothing."""
    wrong = [err for err in errors if not isinstance(err, (IntacctError, KilledError, EndlessError))]
    return f"{type(wrong[0]).__name__}: {wrong[0]}" if wrong else ""


def outcome_of(work):
    """Return what work returns, or what it raised: an error of the provider, or anything else."""
    try:
        return work(), None
    except IntacctError as err:
        return None, err
    except Exception as err:
        # Operators raise what a retry cannot fix as Airflow's exception; all else is a crash, for the judge.
        return None, err.__cause__ if isinstance(err.__cause__, IntacctError) else err


def _drop(_logger, _name, _event):
    raise structlog.DropEvent


@contextmanager
def airflow_of(**extra):
    """Let operators find the small world, and say nothing."""
    connection = {
        "conn_type": "intacct",
        "host": PLACE["base_url"],
        "login": PLACE["client_id"],
        "password": PLACE["client_secret"],
        "extra": {"company_id": PLACE["company_id"], "user_id": PLACE["user_id"], **extra},
    }
    before = structlog.get_config()
    structlog.configure(processors=[_drop])
    try:
        with patch.dict(os.environ, {"AIRFLOW_CONN_INTACCT_DEFAULT": json.dumps(connection)}):
            yield
    finally:
        structlog.configure(**before)
