"""Change between the pages of a query: what a ledger that people work in does to whoever reads it."""

from __future__ import annotations

import sqlite3
from dataclasses import replace

from intacct_provider.sandbox.objects.definitions import ObjectType
from intacct_provider.sandbox.records import crud
from intacct_provider.sandbox.records.validation import Author
from intacct_provider.sandbox.seed import volume
from intacct_provider.sandbox.store import column, quote, stamp


def churn(conn: sqlite3.Connection, object_type: ObjectType, count: int, author: Author) -> None:
    """Delete the `count` oldest records that nothing refers to, and add as many new ones.

    The oldest have been read already by whoever reads in the order of keys, so pages that count from the
    start move by as much. Objects of which no records can be made up stay as they are.
    """
    if object_type.name not in volume.MAKERS:
        return
    left = count
    for row in conn.execute(f'SELECT "key" FROM {quote(object_type.name)} ORDER BY "key"').fetchall():  # noqa: S608
        if not left:
            break
        if crud.first_user(conn, object_type.name, row["key"]) is None:
            crud.delete(conn, object_type, str(row["key"]), replace(author, entity=None))
            left -= 1
    [last] = conn.execute(f'SELECT MAX("key") FROM {quote(object_type.name)}').fetchone()  # noqa: S608
    volume.insert(conn, object_type, count - left)
    made = ", ".join(f"{column(f'audit.{verb}DateTime')} = :now" for verb in ("created", "modified"))
    conn.execute(
        f'UPDATE {quote(object_type.name)} SET {made} WHERE "key" > :last',  # noqa: S608
        {"now": stamp(author.now), "last": last or 0},
    )
