"""What every call of a client goes through: its connections, its entity and its bill."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Self

from intacct_provider.client.config import IntacctConfig
from intacct_provider.client.http.auth import CredentialStore
from intacct_provider.client.http.retry import RetryPolicy
from intacct_provider.client.http.transport import ENTITY_HEADER, Reply, Request, Transport


class ClientCore:
    """The part of :class:`~intacct_provider.client.client.IntacctClient` that knows no objects."""

    def __init__(
        self,
        config: IntacctConfig,
        *,
        store: CredentialStore | None = None,
        on_secret: Callable[[str], None] | None = None,
        retry: RetryPolicy | None = None,
    ) -> None:
        self.config = config
        self._transport = Transport(config, store=store, on_secret=on_secret, retry=retry)
        self._entity = {ENTITY_HEADER: config.entity_id} if config.entity_id else {}
        #: Told before each call how many transactions there will be with it; raises to prevent it.
        self.before_call: Callable[[int], None] | None = None
        self._billed = 0
        self._begun = 0
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections. Tokens are never revoked: that would end every session of the user."""
        self._transport.close()

    @property
    def transactions(self) -> int:
        """Billed API transactions so far: each read that was answered, each record that was written."""
        return self._billed

    def _send(self, request: Request) -> Reply:
        self._begin()
        reply = None
        try:
            reply = self._transport.send(
                replace(request, headers={**self._entity, **(request.headers or {})})
            )
            return reply
        finally:
            # What Intacct refused, or never answered, is not billed.
            if reply is None or reply.status >= 400:
                with self._lock:
                    self._begun -= 1

    def _begin(self) -> None:
        """Count a call before it is sent, since other threads have calls under way that will be billed."""
        with self._lock:
            # A write may have been billed as many.
            begun = max(self._begun, self._billed) + 1
            if self.before_call is not None:
                self.before_call(begun)
            self._begun = begun

    def _bill(self, transactions: int) -> None:
        with self._lock:
            self._billed += transactions
