"""What every call of a client uses: its connections, its entity, its idempotency keys and its billing counter."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from urllib.parse import unquote

from intacct_provider.client.config import IntacctConfig
from intacct_provider.client.forks import renew_after_fork
from intacct_provider.client.http.auth import CredentialStore
from intacct_provider.client.http.replies import read_server_time
from intacct_provider.client.http.retry import RetryPolicy
from intacct_provider.client.http.transport import ENTITY_HEADER, Reply, Request, Transport
from intacct_provider.client.idempotency import IdempotencyKeys
from intacct_provider.client.usage import OnUsage, Tally, Usage

_OBJECTS = "/objects/"


class _Here(threading.local):
    """What the current thread did last, and how much it was billed."""

    object_name = ""
    transactions = 0


class Session:
    """The connections to one company, or to one entity of it; it does not know about objects.

    Safe to share between threads. The parameters are those of
    :class:`~intacct_provider.client.client.IntacctClient`.
    """

    def __init__(
        self,
        config: IntacctConfig,
        *,
        store: CredentialStore | None = None,
        on_secret: Callable[[str], None] | None = None,
        retry: RetryPolicy | None = None,
        on_usage: OnUsage | None = None,
    ) -> None:
        self.config = config
        self.transport = Transport(config, store=store, on_secret=on_secret, retry=retry)
        self.idempotency = IdempotencyKeys()
        self.entity_headers = {ENTITY_HEADER: config.entity_id} if config.entity_id else {}
        #: Called before each call with how many transactions there will be including it; raises to prevent the call.
        self.before_call: Callable[[int], None] | None = None
        self.report = on_usage or (lambda _usage: None)
        self._here = _Here()
        self._billed = 0
        self._begun = 0
        self._lock = threading.Lock()
        self._headers: Mapping[str, str] = {}
        renew_after_fork(self)

    def renew_after_fork(self) -> None:
        """Forget the calls that other threads of the parent process have in flight."""
        self._lock, self._begun = threading.Lock(), self._billed

    @property
    def transactions(self) -> int:
        """Billed API transactions so far."""
        return self._billed

    @property
    def transactions_here(self) -> int:
        """Those of the calls that the current thread has made."""
        return self._here.transactions

    def server_time(self, seconds_before: float = 0.0) -> str | None:
        """Return when Intacct last responded, by its own clock, or so much earlier; None if unknown."""
        return read_server_time(self._headers, seconds_before)

    def close(self) -> None:
        """Close the connections."""
        self.transport.close()

    def send(self, request: Request) -> Reply:
        """Send a request in the client's entity and return the response, whatever its status. Bills nothing."""
        self._begin()
        reply, tally, started = None, Tally(), time.monotonic()
        self._here.object_name = name = request.object_name or _find_object(request.path)
        try:
            headers = {**self.entity_headers, **(request.headers or {})}
            reply = self.transport.send(replace(request, headers=headers, tally=tally))
            self._headers = reply.headers
            return reply
        finally:
            retries, seconds = max(0, tally.calls - 1), time.monotonic() - started
            self.report(Usage(name, tally.calls, retries, throttled=tally.throttled, seconds=seconds))
            # What Intacct rejected, or never answered, is not billed.
            if reply is None or reply.status >= 400:
                with self._lock:
                    self._begun -= 1

    def read(self, request: Request) -> Reply:
        """Send a read; one transaction if it is answered.

        :raises IntacctAPIError: if Intacct rejects it.
        """
        reply = self.send(request).raise_for_error()
        self.bill(1)
        return reply

    def bill(self, transactions: int) -> None:
        """Count transactions that Intacct bills for what the current thread sent last."""
        with self._lock:
            self._billed += transactions
        self._here.transactions += transactions
        self.report(Usage(self._here.object_name, transactions=transactions))

    def _begin(self) -> None:
        """Count a call before it is sent, since calls of other threads that are in flight will be billed, too."""
        with self._lock:
            # A write may have been billed as many.
            begun = max(self._begun, self._billed) + 1
            if self.before_call is not None:
                self.before_call(begun)
            self._begun = begun


def _find_object(path: str) -> str:
    """Return the object whose records a path leads to; ``""`` if it leads elsewhere."""
    if not path.startswith(_OBJECTS):
        return ""
    return unquote("/".join(path.removeprefix(_OBJECTS).split("/")[:2]))
