"""Idempotency-Key: the answer to a write is kept for 48 hours and given again.

Sage documents that failures are kept as well, and that a key which comes back with another request
is refused with 409: for 60 days, so that the same request under the same key is carried out again
between the two. Overload and server errors are not kept: repeating those is what the key is for.

Of requests under one key at the same time the first holds a lock, and the others are refused with 409. What that
refusal says is not documented.
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

from intacct_provider.sandbox.api.batch import Answer
from intacct_provider.sandbox.errors import ApiError, invalid

LIFE = 48 * 3600
KEY_LIFE = 60 * 86400
MAX_LENGTH = 256


@dataclass(frozen=True, slots=True)
class KeyLocks:
    """The keys under which something is being carried out at this moment."""

    _held: set[str] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @contextmanager
    def alone(self, key: str | None) -> Iterator[None]:
        """Hold the lock of a key, if there is one.

        :raises ApiError: 409 while another request holds it
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
    """Return what makes a request the same request: method, path, entity, atomicity and body."""
    digest = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part or b""
        digest.update(b"%d:" % len(data) + data)
    return digest.hexdigest()


def once(
    conn: sqlite3.Connection, key: str | None, request: str, now: datetime, write: Callable[[], Answer]
) -> Answer:
    """Carry out a write under a key, or give the answer that it had; a repeated answer bills nothing.

    The answer is kept in the transaction of the write itself, so either both last or neither.

    :param key: ``None`` carries it out and keeps nothing
    :param request: the :func:`fingerprint`
    :raises ApiError: 400 for a key of more than 256 characters, 409 for a key of another request
    """
    if key is None:
        return write()
    if len(key) > MAX_LENGTH:
        raise invalid(f"An Idempotency-Key can have at most {MAX_LENGTH} characters")
    moment = now.timestamp()
    conn.execute('DELETE FROM "ia::idempotency" WHERE cached < ?', (moment - KEY_LIFE,))
    row = conn.execute('SELECT * FROM "ia::idempotency" WHERE key = ?', (key,)).fetchone()
    if row is not None and row["request"] != request:
        raise ApiError(409, "invalidRequest", "The Idempotency-Key was used for a different request")
    if row is None or row["cached"] < moment - LIFE:
        return _first(conn, key, request, now, write)
    cached = format_datetime(datetime.fromtimestamp(row["cached"], UTC), usegmt=True)
    headers = {"Idempotency-Key": key, "x-ia-idempotency-cached-date": cached}
    body = msgspec.Raw(row["body"]) if row["body"] else None
    return Answer(row["status"], body, headers=headers)


def _first(
    conn: sqlite3.Connection, key: str, request: str, now: datetime, write: Callable[[], Answer]
) -> Answer:
    try:
        answer = write()
    except ApiError as failure:
        answer = Answer(failure.status, failure.body())
    if answer.status < 500 and answer.status != 429:
        body = b"" if answer.body is None else msgspec.json.encode(answer.body)
        row = (key, request, answer.status, body, now.timestamp())
        conn.execute('INSERT OR REPLACE INTO "ia::idempotency" VALUES (?, ?, ?, ?, ?)', row)
    return Answer(answer.status, answer.body, answer.transactions, {"Idempotency-Key": key})
