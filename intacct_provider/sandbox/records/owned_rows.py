"""The rows of owned records: the elements in the lists of their owner."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from intacct_provider.sandbox.errors import invalid, payload_errors
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


def encode_elements(elements: Sequence[Mapping[str, Any]]) -> str | None:
    """Return elements as the history of the owner has them: None if there are none."""
    return msgspec.json.encode(elements).decode() if elements else None


def write_elements(
    conn: Database,
    owner: ObjectType,
    kept: ListField,
    key: int,
    elements: Sequence[Columns],
    entity: int | None,
) -> None:
    """Store the elements of a list, each with its key, and delete those that it no longer has.

    :param key: of the owner.
    :param entity: key of the entity that the owner is private to.
    """
    element_type = ObjectType(kept.target or "", kept.items)
    owner_column = f"{find_owner(conn.catalog.tables[element_type.name], owner.name).path}.key"
    delete_elements(conn, owner, kept, key, keep=[one["key"] for one in elements])
    for element in elements:
        columns = {path: value for path, value in element.items() if path in element_type.columns}
        columns |= {owner_column: key, "entity.key": entity, LIST: kept.path}
        try:
            conn.execute(_upsert(element_type.name, columns), tuple(columns.values()))
        except sqlite3.IntegrityError:
            text = f"Another record of {element_type.name} with the value {columns['id']} already exists"
            raise payload_errors([invalid(text, target=f"/{kept.path}")]) from None
        write_lists(conn, element_type, element["key"], element, entity)


def write_lists(
    conn: Database, owner: ObjectType, key: int, columns: Mapping[str, Any], entity: int | None
) -> None:
    """Store the elements of the lists that a write sets, which come as the history has them."""
    for kept in owner.lists:
        if kept.owned and kept.path in columns:
            write_elements(conn, owner, kept, key, msgspec.json.decode(columns[kept.path] or "[]"), entity)


def delete_elements(
    conn: Database, owner: ObjectType, kept: ListField, key: int, keep: Sequence[int] = ()
) -> None:
    """Delete the elements of a list, and their own lists.

    :param keep: keys of elements that stay.
    """
    element_type = ObjectType(kept.target or "", kept.items)
    for element in read_elements(conn, owner, kept, key):
        if element["key"] not in keep:
            for below in element_type.lists:
                if below.owned:
                    delete_elements(conn, element_type, below, element["key"])
            conn.execute(f'DELETE FROM {quote(element_type.name)} WHERE "key" = ?', (element["key"],))  # noqa: S608


def _upsert(table: str, columns: Mapping[str, object]) -> str:
    names, marks = ", ".join(map(quote, columns)), ", ".join("?" * len(columns))
    sets = ", ".join(f"{quote(path)} = excluded.{quote(path)}" for path in columns if path != "key")
    inserted = f"INSERT INTO {quote(table)} ({names}) VALUES ({marks})"  # noqa: S608 - our names
    return f'{inserted} ON CONFLICT ("key") DO UPDATE SET {sets}'


def _condition(
    conn: Database, owner: ObjectType, kept: ListField, key: int
) -> tuple[str, tuple[object, ...]]:
    """Return the SQL condition of the rows of a list, and its values."""
    target = conn.catalog.tables[kept.target or ""]
    first = next(one.path for one in owner.lists if one.target == kept.target)
    column = quote(f"{find_owner(target, owner.name).path}.key")
    return f"{column} = ? AND COALESCE({quote(LIST)}, ?) = ?", (key, first, kept.path)
