"""Who wrote a record, and when: its audit stamps for the last change, and its history for every write."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import msgspec

from intacct_provider.sandbox.objects.definitions import Field, ObjectType
from intacct_provider.sandbox.objects.values import stamp, to_wire
from intacct_provider.sandbox.records.event_queue import fire_write

Columns = dict[str, object]
"""The values that a write sets, by column."""

Action = Literal["created", "modified", "deleted"]
#: What the event queue calls an action.
_QUEUED = {"created": "create", "modified": "update", "deleted": "delete"}


@dataclass(frozen=True, slots=True)
class Author:
    """Who writes, and when.

    :param user: key of the user.
    :param entity: key of the entity; ``None`` for the top level.
    """

    user: int
    entity: int | None
    now: datetime


def audit_stamps(object_type: ObjectType, author: Author, *, created: bool) -> Columns:
    """Return the audit columns of a write; empty for an object that has none."""
    values = {"DateTime": stamp(author.now), "By": str(author.user), "ByUser.key": author.user}
    verbs = ("created", "modified") if created else ("modified",)
    stamps = {f"audit.{verb}{name}": value for verb in verbs for name, value in values.items()}
    return {column: value for column, value in stamps.items() if column in object_type.columns}


@dataclass(frozen=True, slots=True)
class Event:
    """One write to a record.

    :param time: as the API writes it: UTC, whole seconds, ``Z``.
    :param user: id of the user who wrote.
    :param changes: the values before and after, by the dotted name of the field.
    """

    time: str
    user: str
    action: Action
    changes: dict[str, tuple[Any, Any]]


def add_event(
    conn: sqlite3.Connection,
    object_type: ObjectType,
    key: int,
    author: Author,
    action: Action,
    before: Mapping[str, Any],
    after: Mapping[str, Any],
) -> None:
    """Store one event, also in the event queue if a trigger is set, in the transaction of the write itself.

    :param before: the stored columns before the write; empty for a new record.
    :param after: the columns that the write sets; empty for a deleted record.
    """
    paths = [path for path in (after or before) if not path.startswith("audit.") and path != "key"]
    changes = {
        path: (_to_json(object_type, path, before.get(path)), _to_json(object_type, path, after.get(path)))
        for path in paths
        if before.get(path) != after.get(path)
    }
    row = (object_type.name, key, stamp(author.now), author.user, action, msgspec.json.encode(changes))
    conn.execute('INSERT INTO "ia::history" VALUES (NULL, ?, ?, ?, ?, ?, ?)', row)
    record_id = (before or after).get("id")
    fire_write(conn, object_type.name, _QUEUED[action], key, str(record_id) if record_id else None)


def read_events(conn: sqlite3.Connection, object_name: str, key: int, limit: int = -1) -> list[Event]:
    """Return the writes to a record, the latest first; empty for a record that was seeded by number.

    :param limit: the most events to return; all of them by default.
    """
    sql = (
        'SELECT h.moment, u."id" AS user, h.action, h.changes FROM "ia::history" h '
        'LEFT JOIN "company-config/user" u ON u."key" = h.user '
        "WHERE h.object = ? AND h.key = ? ORDER BY h.number DESC LIMIT ?"
    )
    return [
        Event(row["moment"], row["user"] or "", row["action"], msgspec.json.decode(row["changes"]))
        for row in conn.execute(sql, (object_name, key, limit))
    ]


def _to_json(object_type: ObjectType, path: str, stored: Any) -> Any:
    member = object_type.member(path)
    if isinstance(member, Field):
        return to_wire(member, stored)
    if stored is None or member is None:  # the key of a reference, or a column of an older version
        return None if stored is None else str(stored)
    return msgspec.json.decode(stored)
