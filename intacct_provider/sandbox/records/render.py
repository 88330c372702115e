"""From a row to the nested record that GET answers."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from typing import Any

import msgspec

from intacct_provider.sandbox.objects.catalog import OBJECTS
from intacct_provider.sandbox.objects.definitions import Field, ListField, ObjectType, Ref
from intacct_provider.sandbox.objects.ledger import ACCOUNT_GROUP
from intacct_provider.sandbox.objects.receivable import CUSTOMER
from intacct_provider.sandbox.records.validation import element_type
from intacct_provider.sandbox.store import column, quote, to_wire

Record = dict[str, Any]

# Sage's sample of a group of chosen members shows this filter too, although nobody wrote one.
MEMBER_FILTER = {"object": CUSTOMER, "filterExpression": "and", "orderBy": [{"id": "asc"}]}


def href(object_name: str, key: object) -> str:
    """Return the address of a record; Sage leaves out ``/ia/api/v1``."""
    return f"/objects/{object_name}/{key}"


def record(conn: sqlite3.Connection, object_type: ObjectType, row: Mapping[str, Any]) -> Record:
    """Return one record under today's names: nested groups, unset references as objects of nulls."""
    result: Record = {}
    for member in object_type.shown:
        if isinstance(member, Field):
            if member.inverse_of is None:
                put(result, member.path, to_wire(member, row[member.path]))
        elif isinstance(member, Ref):
            put(result, member.path, reference(conn, member, row[f"{member.path}.key"]))
        else:
            put(result, member.path, elements(conn, object_type, row, member))
    result["href"] = href(object_type.name, row["key"])
    if object_type.name == ACCOUNT_GROUP:
        del result["key"]  # Sage's sample of an account group has none
    return result


def put(result: Record, path: str, value: object) -> None:
    """Set a value below its groups; objects at the same path are joined."""
    *groups, name = path.split(".")
    for group in groups:
        result = result.setdefault(group, {})
    if isinstance(value, dict) and name in result:
        result[name].update(value)
    else:
        result[name] = value


def reference(conn: sqlite3.Connection, ref: Ref, key: int | None) -> Record:
    """Return a reference as a record shows it; without ``href`` when nothing is referred to."""
    target = OBJECTS[ref.target]
    fields = {name: target.field(name) for name in ref.fields}
    names = ", ".join(column(field.path) for field in fields.values() if field is not None)
    sql = f'SELECT {names} FROM {quote(ref.target)} WHERE "key" = ?'  # noqa: S608 - names of ours
    row = None if key is None else conn.execute(sql, (key,)).fetchone()
    shown: Record = {}
    for name, field in fields.items():
        put(shown, name, None if row is None or field is None else to_wire(field, row[field.path]))
    if ref.linked and key is not None:
        shown["href"] = href(ref.target, key)
    return shown


def elements(
    conn: sqlite3.Connection, object_type: ObjectType, row: Mapping[str, Any], list_field: ListField
) -> object:
    """Return a list, or the free object of a member filter."""
    stored = row[list_field.path]
    if list_field.shape == "object":
        return {**MEMBER_FILTER, **msgspec.json.decode(stored or "{}")}
    values = msgspec.json.decode(stored or "[]")
    if list_field.target is None:
        return values
    if list_field.whole:
        return [group_member(conn, list_field.target, key, at) for at, key in enumerate(values)]
    return [owned(conn, object_type, row, list_field, value) for value in values]


def group_member(conn: sqlite3.Connection, target: str, key: int, position: int) -> Record:
    """Return one member of a group; Sage counts ``sortOrder`` from zero, as text."""
    shown = reference(conn, Ref("", target), key)
    return {"key": shown["key"], "id": shown["id"], "sortOrder": str(position), "href": shown["href"]}


def owned(
    conn: sqlite3.Connection,
    owner: ObjectType,
    row: Mapping[str, Any],
    list_field: ListField,
    value: Mapping[str, Any],
) -> Record:
    """Return one owned record; its read-only reference back to the owner is the row itself."""
    element = element_type(list_field)
    columns: dict[str, Any] = dict.fromkeys(field.path for field in element.fields)
    for ref in element.refs:
        back = ref.read_only and ref.target == owner.name
        columns[f"{ref.path}.key"] = row["key"] if back else None
    return record(conn, element, {**columns, **value})
