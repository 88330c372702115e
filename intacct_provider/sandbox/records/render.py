"""Render a stored row as the nested record that GET returns."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from intacct_provider.sandbox.objects.definitions import Field, ListField, ObjectType, Ref
from intacct_provider.sandbox.objects.names import ACCOUNT_GROUP, CUSTOMER
from intacct_provider.sandbox.objects.values import to_wire
from intacct_provider.sandbox.records.addresses import record_href
from intacct_provider.sandbox.records.owned_rows import read_elements
from intacct_provider.sandbox.records.validation import element_type
from intacct_provider.sandbox.store import Database, quote

Record = dict[str, Any]

# Sage's sample of a group without a filter shows this one.
MEMBER_FILTER = {"object": CUSTOMER, "filterExpression": "and", "orderBy": [{"id": "asc"}]}


def render_record(conn: Database, object_type: ObjectType, row: Mapping[str, Any]) -> Record:
    """Return a record under its current names: groups are nested, unset references are objects of nulls."""
    result: Record = {}
    for member in object_type.shown:
        if isinstance(member, Field):
            if not member.write_only:
                put_value(result, member.path, to_wire(member, row[member.path]))
        elif isinstance(member, Ref):
            put_value(result, member.path, render_reference(conn, member, row[f"{member.path}.key"]))
        else:
            put_value(result, member.path, render_list(conn, object_type, row, member))
    result["href"] = record_href(object_type.name, row["key"])
    if object_type.name == ACCOUNT_GROUP:
        del result["key"]  # Sage's sample of an account group has no key
    return result


def put_value(result: Record, path: str, value: object) -> None:
    """Set a value below its groups; objects at the same path are merged."""
    *groups, name = path.split(".")
    for group in groups:
        result = result.setdefault(group, {})
    if isinstance(value, dict) and name in result:
        result[name].update(value)
    else:
        result[name] = value


def render_reference(conn: Database, ref: Ref, key: int | None) -> Record:
    """Return a reference as it appears in a record; ``href`` is missing if it is unset."""
    target = conn.catalog.tables[ref.target]
    fields = {name: target.field(name) for name in ref.fields}
    names = ", ".join(quote(field.path) for field in fields.values() if field is not None)
    sql = f'SELECT {names} FROM {quote(ref.target)} WHERE "key" = ?'  # noqa: S608 - our names
    row = None if key is None else conn.execute(sql, (key,)).fetchone()
    shown: Record = {}
    for name, field in fields.items():
        put_value(shown, name, None if row is None or field is None else to_wire(field, row[field.path]))
    if ref.linked and key is not None:
        shown["href"] = record_href(ref.target, key)
    return shown


def render_list(
    conn: Database, object_type: ObjectType, row: Mapping[str, Any], list_field: ListField
) -> object:
    """Return a list, or the object of a member filter."""
    if list_field.owned:
        elements = read_elements(conn, object_type, list_field, row["key"])
        return [render_owned(conn, row, list_field, element) for element in elements]
    stored = row[list_field.path]
    if list_field.free:
        return msgspec.json.decode(stored or ("[]" if list_field.shape == "list" else "null"))
    if list_field.shape == "object":
        return {**MEMBER_FILTER, **msgspec.json.decode(stored or "{}")}
    values = msgspec.json.decode(stored or "[]")
    if list_field.target is None:
        return values
    return [render_group_member(conn, list_field.target, key, at) for at, key in enumerate(values)]


def render_group_member(conn: Database, target: str, key: int, position: int) -> Record:
    """Return one member of a group; ``sortOrder`` counts from zero and is text, as at Sage."""
    shown = render_reference(conn, Ref("", target), key)
    return {"key": shown["key"], "id": shown["id"], "sortOrder": str(position), "href": shown["href"]}


def render_owned(
    conn: Database,
    row: Mapping[str, Any],
    list_field: ListField,
    value: Mapping[str, Any],
) -> Record:
    """Return one owned record; its read-only reference to the owner is the row itself."""
    element = element_type(list_field)
    columns: dict[str, Any] = dict.fromkeys(element.columns)
    columns |= {f"{ref.path}.key": row["key"] for ref in element.refs if ref.owner}
    return render_record(conn, element, {**columns, **value})
