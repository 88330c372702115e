"""Create, read, update and delete the records of one object, by Intacct's rules."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec

from intacct_provider.sandbox.errors import ApiError, invalid, not_found, operation_failed, payload_errors
from intacct_provider.sandbox.objects.definitions import ListField, ObjectType, Ref
from intacct_provider.sandbox.objects.names import CUSTOMER, CUSTOMER_GROUP, USER
from intacct_provider.sandbox.objects.values import parse_key
from intacct_provider.sandbox.records.addresses import record_href, web_url
from intacct_provider.sandbox.records.audit import Author, Columns, add_event, audit_stamps
from intacct_provider.sandbox.records.owned_rows import (
    delete_elements,
    encode_elements,
    read_elements,
    write_lists,
)
from intacct_provider.sandbox.records.render import render_record
from intacct_provider.sandbox.records.validation import read_payload
from intacct_provider.sandbox.store import Database, next_number, quote, reserve_key

Record = dict[str, Any]

LIST_SIZE = 100
#: Objects whose lists, in Sage's samples, do not say which pages come before and after.
WITHOUT_NEIGHBORS = (CUSTOMER, CUSTOMER_GROUP)
# Sage lists records in a stable order that follows neither key nor id, as its samples show.
SCATTERED = '("key" * 2654435761) % 4294967296'


@dataclass(frozen=True, slots=True)
class Records:
    """The records of one object, inside one transaction, as one author reads and writes them.

    An entity sees its own records and those of the top level. The top level reaches every record by its key.
    """

    conn: Database
    object_type: ObjectType
    author: Author

    def create(self, payload: object) -> int:
        """Add a record and return its key.

        A customer without an id gets the next free number: ``C-00001`` and so on.

        :raises ApiError: 400 if the payload breaks a rule, 409 if the id is already used.
        """
        columns = read_payload(self.conn, self.object_type, payload, self.author)
        self._check_owner(columns)
        if self.object_type.name == CUSTOMER:
            columns["id"] = columns.get("id") or next_customer_id(self.conn)
        elif not columns.get("id"):
            columns["key"] = reserve_key(self.conn, self.object_type.name)
            columns["id"] = str(columns["key"])
        if self.object_type.field("webURL") is not None:
            columns["webURL"] = web_url(str(next_number(self.conn, "web addresses")))
        stamps = audit_stamps(self.object_type, self.author, created=True)
        columns |= {"entity.key": self.author.entity, **stamps}
        stored = self._own_columns(columns)
        names = ", ".join(map(quote, stored))
        marks = ", ".join("?" * len(stored))
        sql = f"INSERT INTO {quote(self.object_type.name)} ({names}) VALUES ({marks})"  # noqa: S608 - our names
        key = int(self._write("POST", sql, stored).lastrowid or 0)
        write_lists(self.conn, self.object_type, key, columns, self.author.entity)
        add_event(self.conn, self.object_type, key, self.author, "created", {}, columns)
        return key

    def create_fitting(self, payload: Mapping[str, Any]) -> int:
        """Add a record without the members that the object does not have or that are read-only.

        The payloads of the demo company fit the built-in objects; those of a company file may lack some of the members.

        :raises ApiError: if the rest of the payload breaks a rule.
        """
        fitting = msgspec.json.decode(msgspec.json.encode(payload))
        while True:
            try:
                return self.create(fitting)
            except ApiError as error:
                if not [one for one in error.details if drop_member(fitting, one.target)]:
                    raise

    def update(self, key: str, payload: object) -> None:
        """Change the fields in the payload only; ``null`` clears a field.

        :raises ApiError: 404 if there is no such record, 400 and 409 as for :meth:`create`.
        """
        row = self._find_row(key)
        columns = read_payload(self.conn, self.object_type, payload, self.author, row)
        if any(columns.get(f"{ref.path}.key") == row["key"] for ref in self_references(self.object_type)):
            raise payload_errors([invalid("A record cannot be its own parent", target="/parent")])
        columns |= audit_stamps(self.object_type, self.author, created=False)
        if not columns:  # an empty payload for an object without audit stamps
            return
        stored = self._own_columns(columns)
        before = self._with_lists(row)
        if stored:
            sets = ", ".join(f"{quote(path)} = ?" for path in stored)
            sql = f'UPDATE {quote(self.object_type.name)} SET {sets} WHERE "key" = {row["key"]}'  # noqa: S608
            self._write("PATCH", sql, stored)
        write_lists(self.conn, self.object_type, row["key"], columns, row["entity.key"])
        add_event(self.conn, self.object_type, row["key"], self.author, "modified", before, columns)

    def delete(self, key: str) -> None:
        """Delete a record.

        :raises ApiError: 404 if there is no such record, 422 if another record refers to it.
        """
        row, name = self._find_row(key), self.object_type.name
        dependent = find_dependent(self.conn, name, row["key"])
        if dependent is not None:
            text = f"The record cannot be deleted because a record of {dependent} uses it"
            raise operation_failed(422, "DELETE", name, ApiError(422, "operationFailed", text))
        before = self._with_lists(row)
        for kept in self._owned_lists():
            delete_elements(self.conn, self.object_type, kept, row["key"])
        self.conn.execute(f'DELETE FROM {quote(name)} WHERE "key" = ?', (row["key"],))  # noqa: S608
        add_event(self.conn, self.object_type, row["key"], self.author, "deleted", before, {})

    def get(self, key: str) -> Record:
        """Return the nested record.

        :raises ApiError: 404 if there is no such record.
        """
        return render_record(self.conn, self.object_type, self._find_row(key))

    def list_references(self) -> Record:
        """Return the body that lists the object: at most 100 references, and the true total.

        The top level does not list records that are private to an entity.
        """
        table = quote(self.object_type.name)
        visible, values = '("entity.key" IS NULL OR "entity.key" = ?)', (self.author.entity,)
        count = f"SELECT count(*) FROM {table} WHERE {visible}"  # noqa: S608 - our names
        total = int(self.conn.execute(count, values).fetchone()[0])
        sql = f'SELECT "key", "id" FROM {table} WHERE {visible} ORDER BY {SCATTERED} LIMIT {LIST_SIZE}'  # noqa: S608
        result = [self._reference(row) for row in self.conn.execute(sql, values)]
        meta: Record = {"totalCount": total, "start": 1, "pageSize": LIST_SIZE}
        if self.object_type.name not in WITHOUT_NEIGHBORS:
            meta |= {"next": LIST_SIZE + 1 if total > LIST_SIZE else None, "previous": None}
        return {"ia::result": result, "ia::meta": meta}

    def reference(self, key: int | str, *, created: bool = False) -> Record:
        """Return key, id and href, or the id alone for a customer group just created, as in Sage's samples."""
        sql = f'SELECT "key", "id" FROM {quote(self.object_type.name)} WHERE "key" = ?'  # noqa: S608 - our names
        row = self.conn.execute(sql, (int(key),)).fetchone()
        if created and self.object_type.name == CUSTOMER_GROUP:
            return {"id": row["id"]}
        return self._reference(row)

    def _reference(self, row: sqlite3.Row) -> Record:
        href = record_href(self.object_type.name, row["key"])
        return {"key": str(row["key"]), "id": row["id"], "href": href}

    def _find_row(self, key: str) -> Record:
        entity = self.author.entity
        sql = f'SELECT * FROM {quote(self.object_type.name)} WHERE "key" = ?'  # noqa: S608 - our names
        row: sqlite3.Row | None = self.conn.execute(sql, (parse_key(key),)).fetchone()
        if row is None or (entity is not None and row["entity.key"] not in (None, entity)):
            raise not_found(self.object_type.name, key)
        return dict(row)

    def _check_owner(self, columns: Columns) -> None:
        """Check that a record that exists in the list of another one names it."""
        owners = [ref for ref in self.object_type.refs if ref.owner and not ref.hidden]
        if owners and all(columns.get(f"{ref.path}.key") is None for ref in owners):
            path = owners[0].path
            raise payload_errors([invalid(f"{path} is required", target=f"/{path.replace('.', '/')}")])

    def _owned_lists(self) -> list[ListField]:
        return [kept for kept in self.object_type.lists if kept.owned]

    def _with_lists(self, row: Record) -> Record:
        """Return a row and the elements of its lists, as the history has them."""
        return row | {
            kept.path: encode_elements(read_elements(self.conn, self.object_type, kept, row["key"]))
            for kept in self._owned_lists()
        }

    def _own_columns(self, columns: Columns) -> Columns:
        """Return the columns of the object's own table."""
        owned = {kept.path for kept in self._owned_lists()}
        return {path: value for path, value in columns.items() if path not in owned}

    def _write(self, method: str, sql: str, columns: Columns) -> sqlite3.Cursor:
        """Run an INSERT or UPDATE; a duplicate id is rejected with 409."""
        try:
            return self.conn.execute(sql, tuple(columns.values()))
        except sqlite3.IntegrityError:
            text = f"Another record with the value {columns['id']} already exists"
            duplicate = ApiError(409, "unableToCreateRecordError", text, target="/id")
            raise operation_failed(409, method, self.object_type.name, duplicate) from None


def next_customer_id(conn: Database) -> str:
    """Return the next number that no customer has."""
    sql = f'SELECT 1 FROM {quote(CUSTOMER)} WHERE "id" = ?'  # noqa: S608 - our names
    while True:
        number = f"C-{next_number(conn, CUSTOMER):05d}"
        if conn.execute(sql, (number,)).fetchone() is None:
            return number


def find_dependent(conn: Database, target: str, key: int) -> str | None:
    """Return the name of an object that has a record referring to this one; ``None`` if there is none.

    A record without an address refers to it as its owner.
    Audit stamps and the reference of an owned record to its owner do not count.
    """
    for object_type in conn.catalog.tables.values():
        conditions = reference_conditions(object_type, target)
        if not conditions:
            continue
        sql = f"SELECT 1 FROM {quote(object_type.name)} WHERE {' OR '.join(conditions)} LIMIT 1"  # noqa: S608
        if conn.execute(sql, {"key": key}).fetchone() is not None:
            owners = [ref.target for ref in object_type.refs if ref.owner]
            return owners[0] if object_type.name in conn.catalog.owned else object_type.name
    return None


def reference_conditions(object_type: ObjectType, target: str) -> list[str]:
    """Return the SQL conditions under which a record refers to the record ``:key`` of the target object."""
    conditions = [
        f"{quote(ref.path + '.key')} = :key" for ref in object_type.refs if blocks_delete(ref, target)
    ]
    for one in object_type.lists:
        if one.whole and one.target == target:
            conditions.append(f":key IN (SELECT value FROM json_each({quote(one.path)}))")  # noqa: S608 - our names
    return conditions


def blocks_delete(ref: Ref, target: str) -> bool:
    """Whether a reference prevents its target from being deleted."""
    return ref.target == target and not ref.owner and (not ref.read_only or ref.path == "entity")


def self_references(object_type: ObjectType) -> list[Ref]:
    """Return the references of an object to its own kind, such as a customer's parent."""
    return [ref for ref in object_type.refs if ref.target == object_type.name]


def ensure_user(conn: Database, user_id: str, now: datetime) -> int:
    """Return the key of a user; a user that does not exist yet is added."""
    row = conn.execute(f'SELECT "key" FROM {quote(USER)} WHERE "id" = ?', (user_id,)).fetchone()  # noqa: S608
    if row is not None:
        return int(row["key"])
    # The first user of a company is their own author: key 1.
    records = Records(conn, conn.catalog.objects[USER], Author(1, None, now))
    return records.create_fitting({"id": user_id, "name": user_id})


def drop_member(payload: Record, pointer: str | None) -> bool:
    """Remove the member at a JSON pointer, and return whether there was one."""
    *groups, name = (pointer or "").strip("/").split("/")
    at: Any = payload
    for group in groups:
        if isinstance(at, list):
            at = at[int(group)] if group.isdigit() and int(group) < len(at) else None
        else:
            at = at.get(group) if isinstance(at, dict) else None
    return isinstance(at, dict) and at.pop(name, None) is not None
