"""What can be made to go wrong: faults of the network and of the server, in one declarative form.

The same names serve the command line, the environment, the control address and tests::

    {"latency": 0.2, "clamp": true, "max_size": 500, "fail": [{"status": 429, "every": 7}]}
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from copy import copy
from difflib import get_close_matches
from fnmatch import fnmatchcase
from http.client import responses
from typing import Any, Literal, TypeAlias, get_args

import msgspec

FaultKind = Literal["status", "alter", "cut", "reset", "html", "hang", "after", "expire"]
Framing = Literal["length", "chunked", "close"]
Ending = Literal["close", "reset"]
Rotation = Literal["single-use", "reusable", "silent"]

_CHOICES = {"kind": FaultKind, "framing": Framing, "ending": Ending, "rotation": Rotation}
_LOCK = threading.Lock()


class Fault(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Which calls fail, and how; nothing of such a call is carried out, unless it says so.

    :param kind: ``status`` answers with ``status``, ``headers`` and ``body``; ``html`` with 200 and a
        page; ``alter`` carries the call out and changes its answer; ``cut`` ends in the middle of an answer;
        ``reset`` drops the connection at once; ``hang`` says nothing for ``seconds`` and drops it then;
        ``after`` carries the call out, then drops the connection instead of answering; ``expire`` ends every
        access token before the call is looked at
    :param done: carry the call out first; then the fault takes the place of its answer, or of the rest of it
    :param times: how many calls fail, 0 for no end; 1 by default, or no end when ``every`` is given
    :param every: one in so many matching calls fails: 7 hits the 7th, the 14th and so on
    :param skip: let so many matching calls pass before, to fail in the middle of something
    :param passed: how many have passed since the last one that failed; the sandbox counts it
    :param path: below ``/ia/api/v1``; covers every path under it; ``*`` stands for anything;
        ``None`` for any path
    :param method: ``POST`` and so on; ``None`` for any
    :param status: of the answer; ``None`` for 503 with ``status``, else for the one it has anyway
    :param headers: of the answer; they replace its own
    :param body: text, or what becomes JSON; the gateway's usual error when not given
    :param seconds: how long a ``hang`` lasts
    :param at: bytes of the body that arrive before a ``cut``; ``None`` for half of them, and more than there are
        for all of the answer, after which the connection ends
    :param framing: how an answer that is cut tells where it ends: ``length`` by its Content-Length, ``chunked``
        by a last chunk, ``close`` not at all, so that the end of the connection is taken for its end
    :param ending: what ends the connection of a ``cut``: ``close`` in an orderly way, or ``reset``
    :param count: is added to the ``totalCount`` of the answer to a query
    :param repeat: so many rows of the page that was answered before come again, and move those behind them
    :param drop: position of a row, from 1, that is missing from the page of a query; every count includes it
    :param gzip: compress the answer, if the client takes that
    """

    kind: FaultKind = "status"
    done: bool = False
    times: int | None = None
    every: int = 1
    skip: int = 0
    passed: int = 0
    path: str | None = None
    method: str | None = None
    status: int | None = None
    headers: dict[str, str] = {}
    body: Any = None
    seconds: float = 30.0
    at: int | None = None
    framing: Framing = "length"
    ending: Ending = "close"
    count: int = 0
    repeat: int = 0
    drop: int = 0
    gzip: bool = False

    def __post_init__(self) -> None:
        if self.times is None:
            self.times = 1 if self.every == 1 else 0
        _at_least("times", self.times, 0)
        _at_least("every", self.every, 1)
        for name in ("skip", "seconds", "repeat", "drop"):
            _at_least(name, getattr(self, name), 0)
        if self.at is not None:
            _at_least("at", self.at, 0)
        if self.status is not None and not 200 <= self.status <= 599:
            raise ValueError(f"status must be an HTTP status from 200 to 599, not {self.status}")
        if self.path is not None and not self.path.startswith(("/", "*")):
            raise ValueError(f'path must start with /, as in "/objects", not {self.path!r}')

    @property
    def carried_out(self) -> bool:
        """Whether the call does what it would do without the fault."""
        return self.done or self.kind in ("alter", "after")

    def matches(self, method: str, path: str) -> bool:
        """Whether a call is meant: its method, and its path or any path below."""
        below = self.path is None or fnmatchcase(path, self.path) or fnmatchcase(path, f"{self.path}/*")
        return below and (self.method is None or method == self.method.upper())

    def __str__(self) -> str:
        """Say in a few words what happens to whom."""
        status = 503 if self.status is None else self.status
        what = f"{status} {responses.get(status, '')}".rstrip() if self.kind == "status" else self.kind
        what += f" at {self.at}" if self.kind == "cut" and self.at is not None else ""
        what += ", done" if self.done else ""
        whom = f"{self.method or 'any method'} on {self.path or 'any path'}"
        often = f"one in {self.every}" if self.every > 1 else "each"
        return f"{what}: {whom}, {often}, {f'{self.times} left' if self.times else 'no end'}"


class Faults(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """How the sandbox misbehaves. Everything is off by default.

    :param latency: seconds that every call waits before it is carried out
    :param jitter: up to so many seconds more, evenly spread; the same in every run
    :param row_cost: seconds that every row of an answer takes on top
    :param concurrency: calls in flight before 429; ``None`` for what the tier allows
    :param max_size: largest page of a query; Sage documents 4,000
    :param clamp: serve a larger ``size`` as ``max_size`` silently instead of refusing it with 400
    :param text_keys: let keys sort and compare as text (``"10" < "9"``)
    :param key_filter: ``False`` refuses a filter on ``key`` with REST-1106
    :param denied: objects that the user may not query: they answer 403
    :param unordered: give a query without ``orderBy`` another order on every call
    :param churn: after every page of a query that is not the last, delete so many records that nothing
        refers to and add as many
    :param token_life: seconds until an access token expires
    :param rotation: of refresh tokens: ``single-use`` answers a new one and ends the old one, ``reusable``
        answers a new one and keeps the old one good, ``silent`` answers none and keeps the old one good
    :param clock_skew: seconds by which the server's clock is ahead; negative for behind
    :param job_seconds: how long a bulk job stays in each state but ``processing``
    :param job_rate: records that a bulk job processes in a second
    :param fail: single calls that fail; the first that matches a call hits it
    """

    latency: float = 0.0
    jitter: float = 0.0
    row_cost: float = 0.0
    concurrency: int | None = None
    max_size: int = 4000
    clamp: bool = False
    text_keys: bool = False
    key_filter: bool = True
    denied: list[str] = []
    unordered: bool = False
    churn: int = 0
    token_life: float = 43200.0
    rotation: Rotation = "single-use"
    clock_skew: float = 0.0
    job_seconds: float = 1.0
    job_rate: float = 500.0
    fail: list[Fault] = []

    def __post_init__(self) -> None:
        for name in ("latency", "jitter", "row_cost", "churn", "token_life", "job_seconds"):
            _at_least(name, getattr(self, name), 0)
        _at_least("max_size", self.max_size, 1)
        if self.concurrency is not None:
            _at_least("concurrency", self.concurrency, 1)
        for name in self.denied:
            if "/" not in name:
                raise ValueError(f"denied names objects such as 'company-config/user', not {name!r}")
        if self.job_rate <= 0:
            raise ValueError("job_rate must be more than 0")

    def replace(self, other: Faults) -> None:
        """Take over everything from another; whoever holds this one sees it from the next call on."""
        with _LOCK:
            for name in self.__struct_fields__:
                setattr(self, name, getattr(other, name))
            self.fail = [copy(fault) for fault in other.fail]  # counting down is this one's own matter

    def plan(self, fault: Fault) -> None:
        """Add a fault behind those that are planned."""
        with _LOCK:
            self.fail.append(fault)

    def take(self, method: str, path: str) -> Fault | None:
        """Return the fault that hits this call, if any, and count it down."""
        with _LOCK:
            return next((one for one in self.fail if one.matches(method, path) and self._hits(one)), None)

    def _hits(self, fault: Fault) -> bool:
        """Count a call that the fault matches; one that it lets pass may still meet the next fault."""
        if fault.skip:
            fault.skip -= 1
            return False
        fault.passed = (fault.passed + 1) % fault.every
        if fault.passed:
            return False
        if fault.times:
            fault.times -= 1
            if not fault.times:
                self.fail.remove(fault)
        return True

    def changed(self) -> dict[str, Any]:
        """Return what differs from the normal, as JSON has it."""
        normal, now = msgspec.to_builtins(Faults()), msgspec.to_builtins(self)
        return {name: value for name, value in now.items() if value != normal[name]}


FaultsLike: TypeAlias = Faults | Mapping[str, Any] | str
"""Faults as themselves, as a mapping, or as the text of a JSON object."""


def read_faults(given: FaultsLike, base: Faults | None = None) -> Faults:
    """Return checked faults.

    :param base: what holds for the names that are not given; everything off by default
    :raises ValueError: names the wrong member, its value and the nearest known one
    """
    if isinstance(given, Faults):
        return given
    if isinstance(given, str):
        try:
            given = msgspec.json.decode(given)
        except msgspec.DecodeError as wrong:
            raise ValueError(f'faults must be a JSON object such as {{"latency": 0.2}}: {wrong}') from None
    if not isinstance(given, Mapping):
        raise ValueError(f'faults must be an object such as {{"latency": 0.2}}, not {given!r}')
    _known(given, Faults, "faults")
    for fault in given.get("fail", ()):
        if isinstance(fault, Mapping):
            _known(fault, Fault, "fail")
    kept = msgspec.to_builtins(base) if base is not None else {}
    try:
        return msgspec.convert({**kept, **given}, Faults)
    except msgspec.ValidationError as wrong:
        raise ValueError(f"faults: {wrong}") from None


def _known(given: Mapping[str, Any], struct: type[msgspec.Struct], where: str) -> None:
    for name in given:
        if name not in struct.__struct_fields__:
            near = get_close_matches(str(name), struct.__struct_fields__, n=1, cutoff=0.0)[0]
            raise ValueError(f"{where}: {name!r} is not known; did you mean {near!r}?")
    for name, choice in _CHOICES.items():
        if name in given and given[name] not in get_args(choice):
            raise ValueError(f"{name} must be one of {', '.join(get_args(choice))}, not {given[name]!r}")


def _at_least(name: str, value: float, least: int) -> None:
    if value < least:
        raise ValueError(f"{name} must be at least {least}, not {value}")
