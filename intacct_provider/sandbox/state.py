"""The shared state of a running sandbox: the company, its tokens, the calls so far and their cost."""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType

from intacct_provider.sandbox.auth import Tokens
from intacct_provider.sandbox.faults.plan import Faults
from intacct_provider.sandbox.identity import Identity
from intacct_provider.sandbox.store import Store

CALL = "intacct.call"
"""The key of the :class:`Call` in the ASGI scope of a request."""
MAX_CALLS = 100_000
"""Older calls are dropped, so that the memory of a sandbox that runs for weeks is bounded."""


@dataclass(frozen=True, slots=True)
class Tier:
    """What one of Sage's performance tiers allows.

    :param monthly: billed API transactions in a month before Sage charges extra; nothing is rejected.
    :param application: calls in flight of one application.
    :param company: calls in flight of the whole company.
    :param jobs: bulk jobs that run at the same time; others wait in the queue.
    """

    monthly: int
    application: int
    company: int
    jobs: int


TIERS: Mapping[int, Tier] = MappingProxyType(
    {
        1: Tier(100_000, 6, 8, 1),
        2: Tier(250_000, 8, 10, 2),
        3: Tier(1_000_000, 12, 15, 3),
        4: Tier(2_500_000, 15, 20, 4),
    }
)


@dataclass(slots=True)
class Call:
    """One call to the sandbox; its body and its token are never kept.

    :param path: below ``/ia/api/v1``.
    :param name: the object of the call, or the service, such as ``services/core/model``.
    :param status: status of the response; 0 if the connection was dropped before there was one.
    :param transactions: what Intacct would have billed for it.
    :param entity: id of the entity in which it ran, by header or token; ``None`` for the top level.
    :param caller: the user of its token, as ``user@company``.
    :param rows: records in the response to a query.
    :param begun: when it arrived.
    :param seconds: until the last byte of the response was handed to the network.
    :param fault: the kind of the planned fault that it met; ``variant`` if the sandbox has variants.
    """

    method: str
    path: str
    name: str = ""
    status: int = 0
    transactions: int = 0
    query: str = ""
    idempotency_key: str | None = None
    entity: str | None = None
    caller: str | None = None
    rows: int = 0
    begun: datetime | None = None
    seconds: float = 0.0
    fault: str | None = None


class Ledger:
    """What Intacct would have billed since the start, by object and caller."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._entries: Counter[tuple[str, str]] = Counter()

    def add(self, name: str, caller: str, transactions: int) -> None:
        """Bill a call or a record of a job; ``name`` is an object or a service."""
        if transactions:
            with self._lock:
                self._entries[name, caller] += transactions

    def entries(self) -> dict[tuple[str, str], int]:
        """Return the transactions by object and caller, the most expensive first."""
        with self._lock:
            return dict(self._entries.most_common())

    @property
    def total(self) -> int:
        """All transactions."""
        return sum(self.entries().values())


@dataclass(slots=True)
class State:
    """One running sandbox.

    :param most_in_flight: the most calls in flight at the same time.
    :param connections: how many connections clients have opened.
    """

    store: Store
    identity: Identity
    faults: Faults
    tier: Tier
    tokens: Tokens = field(init=False)
    ledger: Ledger = field(default_factory=Ledger)
    calls: deque[Call] = field(default_factory=lambda: deque(maxlen=MAX_CALLS))
    most_in_flight: int = 0
    connections: int = 0

    def __post_init__(self) -> None:
        self.tokens = Tokens(self.identity, self.faults)

    @property
    def concurrency(self) -> int:
        """Calls in flight that one application may have."""
        return self.faults.concurrency or self.tier.application

    def expire_tokens(self) -> None:
        """Let every access token issued so far expire; refresh tokens stay valid."""
        with self.store.transaction() as conn:
            self.tokens.expire_access_tokens(conn)
