"""What can be made to go wrong: the faults of the network and of the server, and the limits of queries."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, get_args

FaultKind = Literal["status", "cut", "reset", "html", "hang", "after"]


@dataclass(slots=True)
class QueryOptions:
    """How the query service behaves where objects of the real one differ.

    :param max_size: largest page; Sage documents 4,000
    :param clamp: serve a larger ``size`` as ``max_size`` silently instead of refusing it with 400
    :param order: ``text`` makes keys sort and compare as text (``"10" < "9"``)
    :param key_filter: ``False`` refuses a filter on ``key`` with REST-1106
    """

    max_size: int = 4000
    clamp: bool = False
    order: Literal["native", "text"] = "native"
    key_filter: bool = True


@dataclass(slots=True)
class Fault:
    """One planned misfortune; see :meth:`intacct_provider.sandbox.server.Sandbox.fail`."""

    kind: FaultKind = "status"
    times: int = 1
    path: str | None = None
    method: str | None = None
    status: int = 503
    headers: Mapping[str, str] = field(default_factory=dict)
    body: object = None
    seconds: float = 30.0
    skip: int = 0

    def __post_init__(self) -> None:
        if self.kind not in get_args(FaultKind):
            raise ValueError(f"kind must be one of {', '.join(get_args(FaultKind))}, not {self.kind!r}")
        if self.times < 1:
            raise ValueError("times must be at least 1")
        if self.skip < 0:
            raise ValueError("skip must be at least 0")

    def matches(self, method: str, path: str) -> bool:
        """Whether a call is meant: its method, and its path or any path below."""
        below = self.path is None or path == self.path or path.startswith(self.path + "/")
        return below and (self.method is None or method == self.method.upper())


class Faults:
    """The planned faults, each used up by the calls that it hits; the oldest fitting one goes first."""

    def __init__(self) -> None:
        self._planned: list[Fault] = []
        self._lock = threading.Lock()

    def plan(self, fault: Fault) -> None:
        """Let the next ``fault.times`` calls that match it fail."""
        with self._lock:
            self._planned.append(fault)

    def take(self, method: str, path: str) -> Fault | None:
        """Return the fault that hits this call, if any, and count it down."""
        with self._lock:
            fault = next((one for one in self._planned if one.matches(method, path)), None)
            if fault is not None and fault.skip:
                fault.skip -= 1
                return None
            if fault is not None:
                fault.times -= 1
                if not fault.times:
                    self._planned.remove(fault)
            return fault

    def clear(self) -> None:
        """Forget every planned fault."""
        with self._lock:
            self._planned.clear()
