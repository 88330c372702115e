"""The rows of owned records: the elements in the lists of their owner."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from intacct_provider.sandbox.objects.definitions import ListField, ObjectType
from intacct_provider.sandbox.objects.owned import LIST, find_owner
from intacct_provider.sandbox.store import Database, quote

Columns = dict[str, Any]


def read_elements(conn: Database, owner: ObjectType, kept: ListField, key: int) -> list[Columns]:
    """Return the stored columns of the elements of a list, in the order of their keys.

    :param key: of the owner.
    """
    target = conn.catalog.tables[kept.target or ""]
    hidden = {f"{ref.path}.key" for ref in target.refs if ref.hidden or ref.owner}
    names = ", ".join(map(quote, sorted(target.columns - hidden)))
    condition, values = _condition(conn, owner, kept, key)
    sql = f'SELECT {names} FROM {quote(target.name)} WHERE {condition} ORDER BY "key"'  # noqa: S608 - our names
    return [dict(row) for row in conn.execute(sql, values)]


def encode_elements(elements: Sequence[Mapping[str, Any]]) -> str:
    """Return elements as the history of the owner has them."""
    return msgspec.json.encode(elements).decode()


def write_elements(
    conn: Database,
    owner: ObjectType,
    kept: ListField,
    key: int,
    elements: Sequence[Columns],
    entity: int | None,
) -> None:
    """Replace the elements of a list; each has its key already.

    :param key: of the owner.
    :param entity: key of the entity that the owner is private to.
    """
    target = conn.catalog.tables[kept.target or ""]
    delete_elements(conn, owner, kept, key)
    fixed = {f"{find_owner(target, owner.name).path}.key": key, "entity.key": entity, LIST: kept.path}
    for element in elements:
        columns = {**element, **fixed}
        names, marks = ", ".join(map(quote, columns)), ", ".join("?" * len(columns))
        sql = f"INSERT INTO {quote(target.name)} ({names}) VALUES ({marks})"  # noqa: S608 - our names
        conn.execute(sql, tuple(columns.values()))


def delete_elements(conn: Database, owner: ObjectType, kept: ListField, key: int) -> None:
    """Delete all elements of a list."""
    condition, values = _condition(conn, owner, kept, key)
    conn.execute(f"DELETE FROM {quote(kept.target or '')} WHERE {condition}", values)  # noqa: S608 - our names


def _condition(
    conn: Database, owner: ObjectType, kept: ListField, key: int
) -> tuple[str, tuple[object, ...]]:
    """Return the SQL condition of the rows of a list, and its values."""
    target = conn.catalog.tables[kept.target or ""]
    first = next(one.path for one in owner.lists if one.target == kept.target)
    column = quote(f"{find_owner(target, owner.name).path}.key")
    return f"{column} = ? AND COALESCE({quote(LIST)}, ?) = ?", (key, first, kept.path)
