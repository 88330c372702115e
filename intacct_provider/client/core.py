"""What every call of a client goes through: its connections, its entity and its bill."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Self

from intacct_provider.client.auth import CredentialStore
from intacct_provider.client.config import IntacctConfig
from intacct_provider.client.retry import RetryPolicy
from intacct_provider.client.transport import ENTITY_HEADER, Reply, Request, Transport


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
        self._billed = 0
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
        return self._transport.send(replace(request, headers={**self._entity, **(request.headers or {})}))

    def _bill(self, transactions: int) -> None:
        with self._lock:
            self._billed += transactions
