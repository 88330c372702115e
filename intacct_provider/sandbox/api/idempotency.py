"""Idempotency-Key: the response to a write is stored for 48 hours and repeated.

Sage documents that errors are stored too, and that a key with a different request is rejected with 409 for 60 days.
After 48 hours the same request under the same key is therefore carried out again. Overload and server errors are
not stored, since retrying those is what the key is for.

While a request under a key is in progress, others under the same key are rejected with 409. The text of that error is
not documented.
"""

from __future__ import annotations

import hashlib
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime

import msgspec

from intacct_provider.sandbox.api.messages import ApiResponse
from intacct_provider.sandbox.errors import ApiError, invalid

LIFE = 48 * 3600
KEY_LIFE = 60 * 86400
MAX_LENGTH = 256


@dataclass(frozen=True, slots=True)
class KeyLocks:
    """The keys of the requests in progress."""

    _held: set[str] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @contextmanager
    def hold(self, key: str | None) -> Iterator[None]:
        """Lock a key during the block; ``None`` locks nothing.

        :raises ApiError: 409 if another request holds the lock.
        """
        if key is None:
            yield
            return
        with self._lock:
            if key in self._held:
                raise ApiError(
                    409, "invalidRequest", "Another request with this Idempotency-Key is in progress"
                )
            self._held.add(key)
        try:
            yield
        finally:
            with self._lock:
                self._held.discard(key)


def fingerprint(*parts: str | bytes | None) -> str:
    """Return a digest that identifies a request: of its method, path, entity, atomicity and body."""
    digest = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part or b""
        digest.update(b"%d:" % len(data) + data)
    return digest.hexdigest()


def run_once(
    conn: sqlite3.Connection, key: str | None, request: str, now: datetime, write: Callable[[], ApiResponse]
) -> ApiResponse:
    """Carry out a write under a key, or repeat its response; a repeated response is not billed.

    The response is stored in the transaction of the write, so that both are committed or neither.

    :param key: ``None`` carries the write out and stores nothing.
    :param request: the :func:`fingerprint` of the request.
    :raises ApiError: 400 for a key of more than 256 characters, 409 for a key of a different request.
    """
    if key is None:
        return write()
    if len(key) > MAX_LENGTH:
        raise invalid(f"An Idempotency-Key can have at most {MAX_LENGTH} characters")
    timestamp = now.timestamp()
    conn.execute('DELETE FROM "ia::idempotency" WHERE cached < ?', (timestamp - KEY_LIFE,))
    row = conn.execute('SELECT * FROM "ia::idempotency" WHERE key = ?', (key,)).fetchone()
    if row is not None and row["request"] != request:
        raise ApiError(409, "invalidRequest", "The Idempotency-Key was used for a different request")
    if row is None or row["cached"] < timestamp - LIFE:
        return _run_first(conn, key, request, now, write)
    cached = format_datetime(datetime.fromtimestamp(row["cached"], UTC), usegmt=True)
    headers = {"Idempotency-Key": key, "x-ia-idempotency-cached-date": cached}
    body = msgspec.Raw(row["body"]) if row["body"] else None
    return ApiResponse(row["status"], body, headers=headers)


def _run_first(
    conn: sqlite3.Connection, key: str, request: str, now: datetime, write: Callable[[], ApiResponse]
) -> ApiResponse:
    try:
        response = write()
    except ApiError as error:
        response = ApiResponse(error.status, error.body())
    if response.status < 500 and response.status != 429:
        body = b"" if response.body is None else msgspec.json.encode(response.body)
        row = (key, request, response.status, body, now.timestamp())
        conn.execute('INSERT OR REPLACE INTO "ia::idempotency" VALUES (?, ?, ?, ?, ?)', row)
    return ApiResponse(response.status, response.body, response.transactions, {"Idempotency-Key": key})
