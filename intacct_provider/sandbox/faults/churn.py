"""Change between the pages of a query, as in a company where people work during a read."""

from __future__ import annotations

from dataclasses import replace

from intacct_provider.sandbox.objects.definitions import ObjectType
from intacct_provider.sandbox.objects.values import stamp
from intacct_provider.sandbox.records.audit import Author
from intacct_provider.sandbox.records.crud import Records, find_dependent
from intacct_provider.sandbox.seed import volume
from intacct_provider.sandbox.store import Database, quote


def churn(conn: Database, object_type: ObjectType, count: int, author: Author) -> None:
    """Delete the oldest records that nothing refers to, and add as many new ones.

    A client that reads in the order of keys has the oldest records already, so pages that are counted from the
    start shift by `count`. Objects whose records cannot be generated do not change.
    """
    if object_type.name not in volume.MAKERS and object_type.model is None:
        return
    table = quote(object_type.name)
    records = Records(conn, object_type, replace(author, entity=None))
    deleted = 0
    for row in conn.execute(f'SELECT "key" FROM {table} ORDER BY "key"').fetchall():  # noqa: S608
        if deleted == count:
            break
        if find_dependent(conn, object_type.name, row["key"]) is None:
            records.delete(str(row["key"]))
            deleted += 1
    [last] = conn.execute(f'SELECT MAX("key") FROM {table}').fetchone()  # noqa: S608
    volume.insert(conn, object_type, deleted)
    for column in ("audit.createdDateTime", "audit.modifiedDateTime"):
        if column in object_type.columns:
            sql = f'UPDATE {table} SET {quote(column)} = ? WHERE "key" > ?'  # noqa: S608
            conn.execute(sql, (stamp(author.now), last or 0))
