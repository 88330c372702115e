"""Faults of the network and of the server, in one declarative form.

The command line, the environment, the control address and tests use the same names::

    {"latency": 0.2, "clamp": true, "max_size": 500, "fail": [{"status": 429, "every": 7}]}
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from copy import copy
from fnmatch import fnmatchcase
from http.client import responses
from typing import Any, Literal, TypeAlias, get_args

import msgspec

from intacct_provider.sandbox.faults.variants import list_settings
from intacct_provider.sandbox.nearest import find_nearest

FaultKind = Literal["status", "alter", "cut", "reset", "html", "hang", "after", "expire"]
Framing = Literal["length", "chunked", "close"]
Ending = Literal["close", "reset"]
Rotation = Literal["single-use", "reusable", "silent"]

_CHOICES = {"kind": FaultKind, "framing": Framing, "ending": Ending, "rotation": Rotation}
_LOCK = threading.Lock()


class Fault(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Which calls fail, and how. A call that fails is not carried out, unless the fault says so.

    :param kind: ``status`` responds with ``status``, ``headers`` and ``body``; ``html`` responds 200 with a web
        page; ``alter`` carries out the call and changes its response; ``cut`` ends in the middle of a response;
        ``reset`` drops the connection at once; ``hang`` sends nothing for ``seconds``, then drops it; ``after``
        carries out the call, then drops the connection instead of responding; ``expire`` expires every access
        token before the call is handled.
    :param done: carry out the call first; the fault then replaces its response, or the rest of it.
    :param times: how many calls fail, 0 for no limit; the default is 1, or no limit if ``every`` is set.
    :param every: every n-th matching call fails: with 7 the 7th, the 14th and so on.
    :param skip: how many matching calls succeed first, for a failure in the middle of a series.
    :param passed: how many calls have matched since the last failure; set by the sandbox.
    :param path: below ``/ia/api/v1``, including all paths below it; ``*`` matches anything; ``None`` for any path.
    :param method: ``POST`` and so on; ``None`` for any.
    :param status: status of the response; by default 503 for the kind ``status``, else the real one.
    :param headers: headers of the response, which replace real ones.
    :param body: text, or a value to encode as JSON; the gateway's usual error by default.
    :param seconds: duration of a ``hang``.
    :param at: bytes of the body before a ``cut``; ``None`` for half of the body. With more bytes than the body
        has, all of it is sent before the connection ends.
    :param framing: how a ``cut`` response declares its length: ``length`` by Content-Length, ``chunked`` by a last
        chunk, ``close`` not at all, so that the end of the connection looks like the end of the response.
    :param ending: how a ``cut`` ends the connection: ``close`` or ``reset``.
    :param count: number to add to ``totalCount`` in the response to a query.
    :param repeat: how many rows of the previous page to repeat; they push others off the page.
    :param drop: position of a row, from 1, to remove from a page of a query; the counts still include it.
    :param gzip: compress the response, if the client accepts that.
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
        _check_minimum("times", self.times, 0)
        _check_minimum("every", self.every, 1)
        for name in ("skip", "seconds", "repeat", "drop"):
            _check_minimum(name, getattr(self, name), 0)
        if self.at is not None:
            _check_minimum("at", self.at, 0)
        if self.status is not None and not 200 <= self.status <= 599:
            raise ValueError(f"status must be an HTTP status from 200 to 599, not {self.status}")
        if self.path is not None and not self.path.startswith(("/", "*")):
            raise ValueError(f'path must start with /, as in "/objects", not {self.path!r}')

    @property
    def carried_out(self) -> bool:
        """Whether the call is carried out although it fails."""
        return self.done or self.kind in ("alter", "after")

    def matches(self, method: str, path: str) -> bool:
        """Whether the fault applies to a call, by its method and path."""
        below = self.path is None or fnmatchcase(path, self.path) or fnmatchcase(path, f"{self.path}/*")
        return below and (self.method is None or method == self.method.upper())

    def __str__(self) -> str:
        """Return a short description of the fault and of the calls that it applies to."""
        status = 503 if self.status is None else self.status
        what = f"{status} {responses.get(status, '')}".rstrip() if self.kind == "status" else self.kind
        what += f" at {self.at}" if self.kind == "cut" and self.at is not None else ""
        what += ", done" if self.done else ""
        which = f"{self.method or 'any method'} on {self.path or 'any path'}"
        often = f"one in {self.every}" if self.every > 1 else "each"
        return f"{what}: {which}, {often}, {f'{self.times} left' if self.times else 'no limit'}"


class Faults(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """How the sandbox misbehaves. Everything is off by default.

    :param latency: seconds that every call waits before it is carried out.
    :param jitter: the maximum of additional random seconds; the same sequence in every run.
    :param row_cost: additional seconds for each row of a response.
    :param concurrency: calls in flight before 429; ``None`` for the limit of the tier.
    :param max_size: largest page of a query; Sage documents 4,000.
    :param clamp: reduce a larger ``size`` to ``max_size`` silently, instead of rejecting it with 400.
    :param text_keys: sort and compare keys as text (``"10" < "9"``).
    :param key_filter: ``False`` rejects filters on ``key`` with REST-1106.
    :param denied: objects that the user may not query; the response is 403.
    :param unordered: return a query without ``orderBy`` in a different order on every call.
    :param churn: after every page of a query but the last, delete this many records that nothing refers to, and
        add as many.
    :param token_life: seconds until an access token expires.
    :param rotation: of refresh tokens: ``single-use`` issues a new one and ends the old one, ``reusable`` issues a
        new one and keeps the old one valid, ``silent`` issues none and keeps the old one valid.
    :param clock_skew: seconds that the server's clock is ahead; negative for behind.
    :param job_seconds: how long a bulk job stays in each state except ``processing``.
    :param job_rate: records that a bulk job processes per second.
    :param variants: names of :data:`~intacct_provider.sandbox.faults.variants.VARIANTS`. A setting that is not its
        default wins over theirs.
    :param fail: calls that fail; the first fault that matches a call is applied.
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
    variants: list[str] = []
    fail: list[Fault] = []

    def __post_init__(self) -> None:
        for name in ("latency", "jitter", "row_cost", "churn", "token_life", "job_seconds"):
            _check_minimum(name, getattr(self, name), 0)
        _check_minimum("max_size", self.max_size, 1)
        if self.concurrency is not None:
            _check_minimum("concurrency", self.concurrency, 1)
        for name in self.denied:
            if "/" not in name:
                raise ValueError(f"denied names objects such as 'company-config/user', not {name!r}")
        defaults = dict(zip(self.__struct_fields__, self.__struct_defaults__, strict=True))
        for name, value in list_settings(self.variants).items():
            if getattr(self, name) == defaults[name]:
                setattr(self, name, value)
        if self.job_rate <= 0:
            raise ValueError("job_rate must be more than 0")

    def varies(self, name: str) -> bool:
        """Whether a variant is on."""
        return name in self.variants

    def replace(self, other: Faults) -> None:
        """Copy all settings from another object, in place, so that they apply from the next call on."""
        with _LOCK:
            for name in self.__struct_fields__:
                setattr(self, name, getattr(other, name))
            self.fail = [copy(fault) for fault in other.fail]  # faults count down in this copy

    def plan(self, fault: Fault) -> None:
        """Add a fault after those already planned."""
        with _LOCK:
            self.fail.append(fault)

    def take(self, method: str, path: str) -> Fault | None:
        """Return the fault that applies to this call, if any, and count it down."""
        with _LOCK:
            return next((one for one in self.fail if one.matches(method, path) and self._hits(one)), None)

    def _hits(self, fault: Fault) -> bool:
        """Count a matching call, and return whether it fails; if not, the next fault may still apply."""
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
        """Return the settings that are not the default, as in JSON."""
        defaults = msgspec.to_builtins(Faults())
        return {name: value for name, value in msgspec.to_builtins(self).items() if value != defaults[name]}


FaultsLike: TypeAlias = Faults | Mapping[str, Any] | str
"""Faults, a mapping of their attributes, or the text of a JSON object."""


def read_faults(given: FaultsLike, base: Faults | None = None) -> Faults:
    """Return validated faults.

    :param base: values for the names that are not given; everything off by default.
    :raises ValueError: names the wrong attribute, its value and the nearest known one.
    """
    if isinstance(given, Faults):
        return given
    if isinstance(given, str):
        try:
            given = msgspec.json.decode(given)
        except msgspec.DecodeError as error:
            raise ValueError(f'faults must be a JSON object such as {{"latency": 0.2}}: {error}') from None
    if not isinstance(given, Mapping):
        raise ValueError(f'faults must be an object such as {{"latency": 0.2}}, not {given!r}')
    _check_names(given, Faults, "faults")
    for fault in given.get("fail", ()):
        if isinstance(fault, Mapping):
            _check_names(fault, Fault, "fail")
    kept = msgspec.to_builtins(base) if base is not None else {}
    if base is not None and "variants" in given:
        kept = {name: value for name, value in kept.items() if name not in list_settings(base.variants)}
    try:
        return msgspec.convert({**kept, **given}, Faults)
    except msgspec.ValidationError as error:
        raise ValueError(f"faults: {error}") from None


def _check_names(given: Mapping[str, Any], struct: type[msgspec.Struct], where: str) -> None:
    for name in given:
        if name not in struct.__struct_fields__:
            near = find_nearest(name, struct.__struct_fields__)
            raise ValueError(f"{where}: {name!r} is unknown; did you mean {near!r}?")
    for name, choice in _CHOICES.items():
        if name in given and given[name] not in get_args(choice):
            raise ValueError(f"{name} must be one of {', '.join(get_args(choice))}, not {given[name]!r}")


def _check_minimum(name: str, value: float, least: int) -> None:
    if value < least:
        raise ValueError(f"{name} must be at least {least}, not {value}")
