"""Create, read, change and delete one record, with the rules that Intacct keeps."""

from __future__ import annotations

import sqlite3
from datetime import datetime
from typing import Any

from intacct_provider.sandbox.errors import ApiError, invalid, not_found, operation_failed, payload_errors
from intacct_provider.sandbox.objects.catalog import OBJECTS
from intacct_provider.sandbox.objects.definitions import USER, ObjectType, Ref
from intacct_provider.sandbox.objects.receivable import CUSTOMER, CUSTOMER_GROUP
from intacct_provider.sandbox.records import history, render
from intacct_provider.sandbox.records.validation import (
    Author,
    Columns,
    audit,
    next_number,
    parse_key,
    read_payload,
)
from intacct_provider.sandbox.store import column, quote

Record = dict[str, Any]

LIST_SIZE = 100
# A list is stable, but its order means nothing; Sage's samples show keys in no order.
SCATTERED = '("key" * 2654435761) % 4294967296'


def create(
    conn: sqlite3.Connection,
    object_type: ObjectType,
    payload: object,
    *,
    entity: int | None,
    user: int,
    now: datetime,
) -> int:
    """Add a record and return its key.

    A customer without an id gets the next free number, ``C-00001`` and so on.

    :param entity: key of the entity that it belongs to; ``None`` for the top level
    :param user: key of the ``company-config/user`` who writes
    :raises ApiError: 400 when the payload breaks a rule, 409 when the id is taken
    """
    author = Author(user, entity, now)
    columns = read_payload(conn, object_type, payload, author)
    if object_type.name == CUSTOMER:
        columns.setdefault("id", None)
        columns["id"] = columns["id"] or next_customer_id(conn)
    columns |= {"entity.key": entity, **audit(object_type, author, created=True)}
    names = ", ".join(column(path) for path in columns)
    marks = ", ".join("?" * len(columns))
    sql = f"INSERT INTO {quote(object_type.name)} ({names}) VALUES ({marks})"  # noqa: S608 - names of ours
    key = int(write(conn, object_type, "POST", sql, columns).lastrowid or 0)
    history.note(conn, object_type, key, author, "created", {}, columns)
    return key


def update(
    conn: sqlite3.Connection, object_type: ObjectType, key: str, payload: object, author: Author
) -> None:
    """Change the given fields only; ``null`` clears.

    :raises ApiError: 404 when there is no such record, 400 and 409 as for :func:`create`
    """
    row = find_row(conn, object_type, key, author.entity)
    columns = read_payload(conn, object_type, payload, author, row)
    if any(columns.get(f"{ref.path}.key") == row["key"] for ref in own_refs(object_type)):
        raise payload_errors([invalid("A record cannot be its own parent", target="/parent")])
    columns |= audit(object_type, author, created=False)
    if not columns:  # nothing to change, on an object without audit stamps
        return
    sets = ", ".join(f"{column(path)} = ?" for path in columns)
    sql = f'UPDATE {quote(object_type.name)} SET {sets} WHERE "key" = {row["key"]}'  # noqa: S608 - names of ours
    write(conn, object_type, "PATCH", sql, columns)
    history.note(conn, object_type, row["key"], author, "modified", row, columns)


def delete(conn: sqlite3.Connection, object_type: ObjectType, key: str, author: Author) -> None:
    """Remove a record.

    :raises ApiError: 404 when there is no such record, 422 when another record refers to it
    """
    row = find_row(conn, object_type, key, author.entity)
    user = first_user(conn, object_type.name, row["key"])
    if user is not None:
        text = f"The record cannot be deleted because a record of {user} uses it"
        raise operation_failed(422, "DELETE", object_type.name, ApiError(422, "operationFailed", text))
    conn.execute(f'DELETE FROM {quote(object_type.name)} WHERE "key" = ?', (row["key"],))  # noqa: S608
    history.note(conn, object_type, row["key"], author, "deleted", row, {})


def get(conn: sqlite3.Connection, object_type: ObjectType, key: str, entity: int | None) -> Record:
    """Return the nested record.

    :raises ApiError: 404 when there is no such record
    """
    return render.record(conn, object_type, find_row(conn, object_type, key, entity))


def list_references(conn: sqlite3.Connection, object_type: ObjectType, entity: int | None) -> Record:
    """Return the answer of a collection: key, id and href of at most 100 records, and the true total.

    The top level does not see what belongs to an entity; an entity sees the top level's and its own.
    """
    table = quote(object_type.name)
    visible = '("entity.key" IS NULL OR "entity.key" = ?)'
    count = f"SELECT count(*) FROM {table} WHERE {visible}"  # noqa: S608 - names of ours
    total = int(conn.execute(count, (entity,)).fetchone()[0])
    sql = f'SELECT "key", "id" FROM {table} WHERE {visible} ORDER BY {SCATTERED} LIMIT {LIST_SIZE}'  # noqa: S608
    result = [
        {"key": str(row["key"]), "id": row["id"], "href": render.href(object_type.name, row["key"])}
        for row in conn.execute(sql, (entity,))
    ]
    following = LIST_SIZE + 1 if total > LIST_SIZE else None
    meta = {"totalCount": total, "start": 1, "pageSize": LIST_SIZE, "next": following, "previous": None}
    return {"ia::result": result, "ia::meta": meta}


def reference(
    conn: sqlite3.Connection, object_type: ObjectType, key: int | str, *, created: bool = False
) -> Record:
    """Return key, id and href; creating a customer group answers the id alone, as Sage's samples do."""
    sql = f'SELECT "key", "id" FROM {quote(object_type.name)} WHERE "key" = ?'  # noqa: S608 - names of ours
    row = conn.execute(sql, (int(key),)).fetchone()
    if created and object_type.name == CUSTOMER_GROUP:
        return {"id": row["id"]}
    return {"key": str(row["key"]), "id": row["id"], "href": render.href(object_type.name, row["key"])}


def find_row(conn: sqlite3.Connection, object_type: ObjectType, key: str, entity: int | None) -> Record:
    """Return a row by key; the top level reaches every record, an entity its own and the shared ones.

    :raises ApiError: 404
    """
    sql = f'SELECT * FROM {quote(object_type.name)} WHERE "key" = ?'  # noqa: S608 - names of ours
    row: sqlite3.Row | None = conn.execute(sql, (parse_key(key),)).fetchone()
    if row is None or (entity is not None and row["entity.key"] not in (None, entity)):
        raise not_found(object_type.name, key)
    return dict(row)


def write(
    conn: sqlite3.Connection, object_type: ObjectType, method: str, sql: str, columns: Columns
) -> sqlite3.Cursor:
    """Run an INSERT or UPDATE; a second record with the same id is 409."""
    try:
        return conn.execute(sql, tuple(columns.values()))
    except sqlite3.IntegrityError:
        text = f"Another record with the value {columns['id']} already exists"
        taken = ApiError(409, "unableToCreateRecordError", text, target="/id")
        raise operation_failed(409, method, object_type.name, taken) from None


def next_customer_id(conn: sqlite3.Connection) -> str:
    """Return the next number that no customer has."""
    sql = f'SELECT 1 FROM {quote(CUSTOMER)} WHERE "id" = ?'  # noqa: S608 - names of ours
    while True:
        number = f"C-{next_number(conn, CUSTOMER):05d}"
        if conn.execute(sql, (number,)).fetchone() is None:
            return number


def first_user(conn: sqlite3.Connection, target: str, key: int) -> str | None:
    """Return the name of an object of which a record refers to this one; ``None`` when it is free.

    Audit blocks and an owned record's reference to its owner do not count.
    """
    for user in OBJECTS.values():
        conditions = use_conditions(user, target)
        if not conditions:
            continue
        sql = f"SELECT 1 FROM {quote(user.name)} WHERE {' OR '.join(conditions)} LIMIT 1"  # noqa: S608
        if conn.execute(sql, {"key": key}).fetchone() is not None:
            return user.name
    return None


def use_conditions(user: ObjectType, target: str) -> list[str]:
    """Return the SQL conditions under which a record of ``user`` refers to the ``target`` record :key."""
    conditions = [f"{column(ref.path + '.key')} = :key" for ref in user.refs if binds(ref, target)]
    for one in user.lists:
        if one.whole and one.target == target:
            conditions.append(f":key IN ({json_values(one.path, 'value')})")
        for ref in one.items:
            if isinstance(ref, Ref) and binds(ref, target):
                leaf = f"json_extract(value, '$.\"{ref.path}.key\"')"
                conditions.append(f":key IN ({json_values(one.path, leaf)})")
    return conditions


def binds(ref: Ref, target: str) -> bool:
    """Whether a reference keeps its target from being deleted."""
    return ref.target == target and (not ref.read_only or ref.path == "entity")


def json_values(list_path: str, expression: str) -> str:
    """Return the subquery that gives an expression over the elements of a list column."""
    return f"SELECT {expression} FROM json_each({column(list_path)})"  # noqa: S608 - names of ours


def own_refs(object_type: ObjectType) -> list[Ref]:
    """Return the references of an object to its own kind, such as a customer's parent."""
    return [ref for ref in object_type.refs if ref.target == object_type.name]


def ensure_user(conn: sqlite3.Connection, user_id: str, now: datetime) -> int:
    """Return the key of a user, who is added when the company does not have them yet."""
    row = conn.execute(f'SELECT "key" FROM {quote(USER)} WHERE "id" = ?', (user_id,)).fetchone()  # noqa: S608
    if row is not None:
        return int(row["key"])
    # The first user of a company can only have been added by themselves: key 1.
    return create(conn, OBJECTS[USER], {"id": user_id, "name": user_id}, entity=None, user=1, now=now)
