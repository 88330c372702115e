"""Intacct's event queue: what Platform triggers of the type "Event queue" store until it is acknowledged.

There is one queue per client id, and the sandbox has one client id. An event is stored in the transaction of the write
that fires it. A batch is listed again, and unchanged, until its ``ackId`` is acknowledged; later events wait for the
next batch.
"""

from __future__ import annotations

import base64
import sqlite3
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from intacct_provider.sandbox.errors import ApiError, invalid
from intacct_provider.sandbox.store import Store

ACTIONS = ("create", "update", "delete")
#: Events in a batch; how many Sage returns is not documented.
BATCH = 100

_BATCH_ID = 'SELECT batch FROM "ia::event" WHERE batch IS NOT NULL LIMIT 1'
_OLDEST = 'SELECT number FROM "ia::event" ORDER BY number LIMIT ?'
_NEXT_BATCH = f'UPDATE "ia::event" SET batch = ? WHERE number IN ({_OLDEST})'  # noqa: S608 - our SQL
_IN_BATCH = 'SELECT content FROM "ia::event" WHERE batch = ? ORDER BY number'
_IS_FIRED = 'SELECT 1 FROM "ia::trigger" WHERE object = ? AND action = ?'
_TRIGGERS = 'SELECT object, action FROM "ia::trigger" ORDER BY object, rowid'


@dataclass(frozen=True, slots=True)
class QueuedEvent:
    """One event that has not been acknowledged.

    :param listed: whether it is in the batch that is being listed.
    """

    number: int
    id: str
    object: str
    action: str
    key: str | None
    listed: bool


class EventQueue:
    """The queue and its triggers, for tests and for the page.

    >>> sandbox.events.add_trigger("accounts-receivable/customer", "create", "update")
    >>> sandbox.events.fire("accounts-receivable/customer", "create", key="12")
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    def add_trigger(self, object_name: str, *actions: str) -> None:
        """Let writes to an object store events from now on.

        :param actions: ``create``, ``update``, ``delete``; all of them by default.
        :raises ValueError: for an unknown object or action; the message suggests the nearest object.
        """
        self._store.catalog.find(object_name)
        for action in actions:
            _check_action(action)
        with self._store.transaction() as conn:
            rows = [(object_name, action) for action in actions or ACTIONS]
            conn.executemany('INSERT OR IGNORE INTO "ia::trigger" VALUES (?, ?)', rows)

    def remove_triggers(self, object_name: str) -> None:
        """Let writes to an object store no more events."""
        with self._store.transaction() as conn:
            conn.execute('DELETE FROM "ia::trigger" WHERE object = ?', (object_name,))

    def triggers(self) -> dict[str, list[str]]:
        """Return the actions that store events, by object."""
        found: dict[str, list[str]] = {}
        with self._store.transaction() as conn:
            for row in conn.execute(_TRIGGERS):
                found.setdefault(row["object"], []).append(row["action"])
        return found

    def fire(
        self,
        object_name: str,
        action: str,
        *,
        key: str | None = None,
        record_id: str | None = None,
        context: Mapping[str, Any] | str | None = None,
    ) -> str:
        """Store an event that no write fired, and return its id.

        :param key: of the record; real events may lack it.
        :param context: the event's context instead of the usual one; text is sent as it is.
        :raises ValueError: for an unknown object or action, unless a context is given.
        """
        if context is None:
            self._store.catalog.find(object_name)
            _check_action(action)
        with self._store.transaction() as conn:
            return store_event(conn, object_name, action, key, record_id, context)

    def waiting(self, limit: int = -1) -> list[QueuedEvent]:
        """Return the events that are not acknowledged, the oldest first."""
        sql = 'SELECT number, id, object, action, key, batch IS NOT NULL FROM "ia::event" ORDER BY number LIMIT ?'
        with self._store.transaction() as conn:
            return [QueuedEvent(*row) for row in conn.execute(sql, (limit,))]

    def count(self) -> int:
        """Return how many events are not acknowledged."""
        with self._store.transaction() as conn:
            return count_events(conn)


def fire_write(
    conn: sqlite3.Connection, object_name: str, action: str, key: int, record_id: str | None
) -> None:
    """Store the event of a write if a trigger is set for it, in the transaction of the write itself."""
    if conn.execute(_IS_FIRED, (object_name, action)).fetchone() is not None:
        store_event(conn, object_name, action, str(key), record_id)


def store_event(
    conn: sqlite3.Connection,
    object_name: str,
    action: str,
    key: str | None,
    record_id: str | None,
    context: Mapping[str, Any] | str | None = None,
) -> str:
    """Store an event as the API lists it, and return its id.

    The context has the members of Sage's published example; the payload is what a document template would make.
    """
    record = {name: value for name, value in (("key", key), ("id", record_id)) if value}
    # Sage's example names the object without its application.
    usual = {"object": object_name.rpartition("/")[2], "event": f"after_{action}", **record}
    event_id = str(uuid.uuid4())
    element = {
        "clientContext": _encode(usual if context is None else context),
        "contentType": "application/json",
        "eventId": event_id,
        "eventType": "pull",
        "payload": _encode(record),
    }
    row = (event_id, object_name, action, key, msgspec.json.encode(element))
    conn.execute('INSERT INTO "ia::event" VALUES (NULL, ?, ?, ?, ?, NULL, ?)', row)
    return event_id


def count_events(conn: sqlite3.Connection) -> int:
    """Return how many events are not acknowledged."""
    return int(conn.execute('SELECT count(*) FROM "ia::event"').fetchone()[0])


def list_events(conn: sqlite3.Connection) -> dict[str, Any] | list[Any]:
    """Return the batch that is not acknowledged yet, or the next one; an empty list if the queue is empty."""
    row = conn.execute(_BATCH_ID).fetchone()
    batch = str(uuid.uuid4()) if row is None else row["batch"]
    if row is None:
        conn.execute(_NEXT_BATCH, (batch, BATCH))
    events: Sequence[msgspec.Raw] = [msgspec.Raw(row["content"]) for row in conn.execute(_IN_BATCH, (batch,))]
    return {"events": events, "ackId": batch} if events else []


def acknowledge(conn: sqlite3.Connection, body: object) -> dict[str, Any]:
    """Remove the events of a batch, and return the result of the call.

    :raises ApiError: 400 for a body without an ``ackId``, 404 for an unknown or acknowledged one.
    """
    ack_id = body.get("ackId") if isinstance(body, dict) else None
    if not isinstance(ack_id, str) or not ack_id:
        raise invalid("The payload needs the ackId of a list of events", target="/ackId")
    if conn.execute('DELETE FROM "ia::event" WHERE batch = ?', (ack_id,)).rowcount == 0:
        raise ApiError(404, "notFound", f"No list of events has the ackId {ack_id[:100]}")
    return {"ackId": ack_id, "status": "success"}


def _check_action(action: str) -> None:
    if action not in ACTIONS:
        raise ValueError(f"action must be one of {', '.join(ACTIONS)}, not {action!r}")


def _encode(content: Mapping[str, Any] | str) -> str:
    """Return content in base64: text as it is, anything else as JSON."""
    return base64.b64encode(
        content.encode() if isinstance(content, str) else msgspec.json.encode(content)
    ).decode()
