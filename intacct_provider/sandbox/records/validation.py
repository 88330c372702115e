"""From the JSON of a write to the columns of a row: every rule about the shape of a record is here."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any

import msgspec

from intacct_provider.sandbox.errors import ApiError, invalid, payload_errors, read_only_field, unknown_field
from intacct_provider.sandbox.objects.definitions import Field, ListField, ObjectType, Ref
from intacct_provider.sandbox.records.values import stored_value, wrong_filter_part
from intacct_provider.sandbox.records.web_urls import web_url
from intacct_provider.sandbox.store import column, quote, stamp, to_stored

Columns = dict[str, object]
OPERATION = "ia::operation"


@dataclass(frozen=True, slots=True)
class Author:
    """Who writes, and when: the key of the user and of the entity (``None`` = top level)."""

    user: int
    entity: int | None
    now: datetime


def read_payload(
    conn: sqlite3.Connection,
    object_type: ObjectType,
    payload: object,
    author: Author,
    current: Mapping[str, Any] | None = None,
) -> Columns:
    """Check a record as a client sent it and return the columns that it sets.

    :param current: the stored row on an update; ``None`` on a create, which adds the defaults and the web address
    :raises ApiError: 400 REST-1064, whose details name everything that is wrong
    """
    reader = Reader(conn, object_type, author, current)
    columns = reader.read(payload, "")
    if reader.problems:
        raise payload_errors(reader.problems)
    if current is None and object_type.field("webURL") is not None:
        columns["webURL"] = web_url(str(next_number(conn, "web addresses")))
    return columns


def parse_key(wire: object) -> int | None:
    """Return a record key as its number; ``None`` when the text cannot be one."""
    text = wire if isinstance(wire, str) else ""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 18 else None


class Reader:
    """Reads one record, or one element of an owned list; collects the problems instead of stopping at one."""

    def __init__(
        self,
        conn: sqlite3.Connection,
        object_type: ObjectType,
        author: Author,
        current: Mapping[str, Any] | None,
    ) -> None:
        self.conn = conn
        self.object_type = object_type
        self.author = author
        self.current = current
        self.problems: list[ApiError] = []
        self._columns: Columns = {}
        self._links: dict[Ref, dict[str, tuple[object, str]]] = {}

    def read(self, payload: object, pointer: str) -> Columns:
        """Return the columns that the payload sets; look at :attr:`problems` before using them."""
        self._group(payload, "", pointer)
        if not isinstance(payload, dict):
            return {}
        for ref, leaves in self._links.items():
            self._link(ref, leaves)
        for field in self.object_type.fields:
            if field.inverse_of in self._columns:
                self._columns[field.path] = 1 - int(str(self._columns[field.inverse_of]))
        if self.current is None:
            self._complete(pointer)
        self._require(pointer)
        return self._columns

    def _group(self, members: object, path: str, pointer: str) -> None:
        if not isinstance(members, dict):
            self.problems.append(invalid(f"{pointer or 'The payload'} must be an object", target=pointer))
            return
        for name, value in members.items():
            below = f"{pointer}/{name}"
            if "." in name:  # dotted names belong to queries
                self.problems.append(unknown_field(below))
            else:
                self._member(self.object_type.resolve(f"{path}.{name}" if path else name), value, below)

    def _member(self, path: str, value: object, pointer: str) -> None:
        member = self.object_type.member(path)
        leaf = self.object_type.ref(path)
        if isinstance(member, Field):
            self._field(member, value, pointer)
        elif isinstance(member, ListField):
            self._list(member, value, pointer)
        elif isinstance(member, Ref) and value is None:
            self._links.setdefault(member, {})["key"] = (None, f"{pointer}/key")
        elif leaf is not None:
            self._leaf(*leaf, value, pointer)
        elif isinstance(member, Ref) or path in self.object_type.groups or self._shown_group(path):
            self._group(value, path, pointer)
        else:
            self.problems.append(read_only_field(pointer) if path == "href" else unknown_field(pointer))

    def _shown_group(self, path: str) -> bool:
        """Whether a reference shows fields of its target below that path, such as a contact's address."""
        hop = self.object_type.hop(path)
        return hop is not None and any(name.startswith(f"{hop[1]}.") for name in hop[0].fields)

    def _field(self, field: Field, value: object, pointer: str) -> None:
        if field.read_only or not (field.mutable or self.current is None):
            self.problems.append(read_only_field(pointer))
            return
        try:
            stored = stored_value(field, value)
        except ValueError as wrong:
            self.problems.append(invalid(f"{pointer} {wrong}", target=pointer))
            return
        self._columns[field.path] = stored
        if field.inverse_of and stored is not None:
            self._columns[field.inverse_of] = 1 - int(str(stored))

    def _leaf(self, ref: Ref, leaf: str, value: object, pointer: str) -> None:
        if ref.read_only or leaf not in ("key", "id"):
            self.problems.append(read_only_field(pointer))
        elif value is not None and not isinstance(value, str):
            self.problems.append(invalid(f"{pointer} must be a string", target=pointer))
        else:
            self._links.setdefault(ref, {})[leaf] = (value, pointer)

    def _link(self, ref: Ref, leaves: dict[str, tuple[object, str]]) -> None:
        given = {leaf: one for leaf, one in leaves.items() if one[0] is not None}
        keys = {self._target(ref.target, leaf, value, pointer) for leaf, (value, pointer) in given.items()}
        if len(keys) > 1 and None not in keys:
            pointer = given["id"][1].removesuffix("/id")
            self.problems.append(
                invalid(f"{pointer} has a key and an id of different records", target=pointer)
            )
        self._columns[f"{ref.path}.key"] = keys.pop() if keys else None

    def _target(self, target: str, leaf: str, value: object, pointer: str) -> int | None:
        wanted = parse_key(value) if leaf == "key" else value
        found = find(self.conn, target, leaf, wanted)
        if found is None:
            text = (
                f"{pointer} must not be blank" if value == "" else f"There is no {target} with {leaf} {value}"
            )
            self.problems.append(invalid(text, target=pointer, code="invalidKey"))
        return found

    def _list(self, list_field: ListField, wire: object, pointer: str) -> None:
        expected = dict if list_field.shape == "object" else list
        if wire is not None and not isinstance(wire, expected):
            kind = "an object" if expected is dict else "an array"
            self.problems.append(invalid(f"{pointer} must be {kind}", target=pointer))
            return
        value: object = None
        if isinstance(wire, dict):
            value = self._free_object(list_field, wire, pointer)
        elif isinstance(wire, list):
            value = self._elements(list_field, wire, pointer)
        self._columns[list_field.path] = None if value is None else msgspec.json.encode(value).decode()

    def _elements(self, list_field: ListField, wire: list[object], pointer: str) -> list[Any]:
        if list_field.target is None:
            if not all(isinstance(one, str) for one in wire):
                self.problems.append(invalid(f"{pointer} must be an array of strings", target=pointer))
            return wire
        if list_field.whole:
            return [self._group_member(list_field, one, f"{pointer}/{at}") for at, one in enumerate(wire)]
        return self._merge(list_field, wire, pointer)

    def _group_member(self, list_field: ListField, wire: object, pointer: str) -> int | None:
        """Read an element that is nothing but a reference, such as a member of a customer group."""
        wrapped = Reader(self.conn, member_type(list_field), self.author, None)
        columns = wrapped.read({"record": wire}, pointer)
        for problem in wrapped.problems:
            problem.target = (problem.target or "").replace("/record", "", 1)
            problem.message = problem.message.replace("/record", "", 1)
        self.problems += wrapped.problems
        key = columns.get("record.key")
        if key is None and not wrapped.problems:
            self.problems.append(invalid(f"{pointer} must have a key or an id", target=pointer))
        return key if isinstance(key, int) else None

    def _merge(self, list_field: ListField, wire: list[object], pointer: str) -> list[Any]:
        """Apply Sage's rule for owned records: no key adds, a key updates, ``ia::operation`` deletes."""
        stored = self.current[list_field.path] if self.current is not None else None
        elements: dict[int, Columns] = {one["key"]: one for one in msgspec.json.decode(stored or "[]")}
        for at, one in enumerate(wire):
            self._merge_one(list_field, elements, one, f"{pointer}/{at}")
        return list(elements.values())

    def _merge_one(
        self, list_field: ListField, elements: dict[int, Columns], wire: object, pointer: str
    ) -> None:
        change = dict(wire) if isinstance(wire, dict) else wire
        key: int | None = None
        if isinstance(change, dict) and change.get("key") is not None:
            key = parse_key(change.pop("key"))
            if key not in elements:
                self.problems.append(
                    invalid(f"{pointer}/key is not in the list", target=f"{pointer}/key", code="invalidKey")
                )
                return
        operation = change.pop(OPERATION, None) if isinstance(change, dict) else None
        if operation not in (None, "delete") or (operation and key is None):
            text = f'{pointer}/{OPERATION} can only be "delete", together with a key'
            self.problems.append(invalid(text, target=f"{pointer}/{OPERATION}"))
        elif operation and key is not None:
            del elements[key]
        else:
            self._keep(list_field, elements, key, change, pointer)

    def _keep(
        self,
        list_field: ListField,
        elements: dict[int, Columns],
        key: int | None,
        change: object,
        pointer: str,
    ) -> None:
        old = elements.get(key) if key is not None else None
        reader = Reader(self.conn, element_type(list_field), self.author, old)
        columns = reader.read(change, pointer)
        self.problems += reader.problems
        if reader.problems:
            return
        if key is None:
            key = next_number(self.conn, "owned records")
        history = audit(reader.object_type, self.author, created=old is None)
        elements[key] = {**(old or {}), **columns, **history, "key": key, "id": str(key)}

    def _free_object(self, list_field: ListField, wire: dict[str, object], pointer: str) -> dict[str, Any]:
        """Check the filter of a customer group, which is kept as it was written."""
        stored = self.current[list_field.path] if self.current is not None else None
        known = {field.path for field in list_field.items}
        self.problems += [unknown_field(f"{pointer}/{name}") for name in wire if name not in known]
        for name, value in wire.items():
            wrong = wrong_filter_part(name, value)
            if wrong:
                self.problems.append(invalid(f"{pointer}/{name} {wrong}", target=f"{pointer}/{name}"))
        return {**msgspec.json.decode(stored or "{}"), **wire}

    def _complete(self, pointer: str) -> None:
        complained = {problem.target for problem in self.problems}
        for field in self.object_type.fields:
            target = f"{pointer}/{field.path.replace('.', '/')}"
            if field.path in self._columns or target in complained:
                continue
            if field.required:
                self.problems.append(invalid(f"{field.path} is required", target=target))
            elif field.default is not None:
                self._columns[field.path] = to_stored(field, field.default)

    def _require(self, pointer: str) -> None:
        """Complain of what would be empty after this write although another field, or a record, needs it."""
        for member in self.object_type.demanded:
            if self._after(member) is not None:
                continue
            target = f"{pointer}/{member.path.replace('.', '/')}"
            why = self._why_required(member)
            if why is not None and not any((one.target or "").startswith(target) for one in self.problems):
                self.problems.append(invalid(f"{member.path} is required{why}", target=target))

    def _why_required(self, member: Field | Ref) -> str | None:
        """Return the end of the sentence that says why a member must not be empty; ``None`` when it may be."""
        if member.required_when:
            path, value = member.required_when
            field = self.object_type.field(path)
            return f" when {path} is {value}" if field and self._after(field) == value else None
        # A record of an older file may lack a reference that is required today; it can still be changed.
        return "" if self.current is None or f"{member.path}.key" in self._columns else None

    def _after(self, member: Field | Ref) -> object:
        """Return what is stored for a member after this write."""
        stored = f"{member.path}.key" if isinstance(member, Ref) else member.path
        return self._columns[stored] if stored in self._columns else (self.current or {}).get(stored)


def audit(object_type: ObjectType, author: Author, *, created: bool) -> Columns:
    """Return the audit columns of a write, if the object has them."""
    if object_type.field("audit.createdDateTime") is None:
        return {}
    facts = {"DateTime": stamp(author.now), "By": str(author.user), "ByUser.key": author.user}
    verbs = ("created", "modified") if created else ("modified",)
    return {f"audit.{verb}{name}": value for verb in verbs for name, value in facts.items()}


def find(conn: sqlite3.Connection, object_name: str, leaf: str, value: object) -> int | None:
    """Return the key of the record with that key or id."""
    sql = f'SELECT "key" FROM {quote(object_name)} WHERE {column(leaf)} = ?'  # noqa: S608 - names of ours
    row = conn.execute(sql, (value,)).fetchone()
    return None if row is None else int(row["key"])


def next_number(conn: sqlite3.Connection, name: str) -> int:
    """Count one further and return the number."""
    sql = 'INSERT INTO "ia::counter" VALUES (?, 1) ON CONFLICT (name) DO UPDATE SET value = value + 1'
    conn.execute(sql, (name,))
    return int(conn.execute('SELECT value FROM "ia::counter" WHERE name = ?', (name,)).fetchone()["value"])


@cache
def element_type(list_field: ListField) -> ObjectType:
    """Return the elements of an owned list as an object of their own."""
    return ObjectType(list_field.target or "", list_field.items)


@cache
def member_type(list_field: ListField) -> ObjectType:
    """Return an object with one reference, to read a list of references with the same rules."""
    return ObjectType("", (Ref("record", list_field.target or "", ("key", "id", "sortOrder")),))
