"""Validate the JSON of a write: unknown, read-only and required fields, types, references and lists."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import msgspec

from intacct_provider.sandbox.errors import ApiError, invalid, payload_errors, read_only_field, unknown_field
from intacct_provider.sandbox.nearest import find_nearest
from intacct_provider.sandbox.objects.definitions import Field, ListField, ObjectType, Ref
from intacct_provider.sandbox.objects.values import parse_key, to_stored
from intacct_provider.sandbox.records.audit import Author, Columns, audit_stamps
from intacct_provider.sandbox.records.owned_rows import read_elements
from intacct_provider.sandbox.store import Database, add_stub, find_key, reserve_key

OPERATION = "ia::operation"
# Messages about longer enumerations show the nearest value instead of all.
FEW = 20
# A member filter supports the operators of a query except $between and $notBetween.
MEMBER_OPERATORS = frozenset(
    (
        *("$eq", "$ne", "$lt", "$lte", "$gt", "$gte", "$in", "$notIn", "$contains", "$notContains"),
        *("$startsWith", "$notStartsWith", "$endsWith", "$notEndsWith"),
    )
)


def read_payload(
    conn: Database,
    object_type: ObjectType,
    payload: object,
    author: Author,
    current: Mapping[str, Any] | None = None,
) -> Columns:
    """Validate a record and return the columns that it sets.

    :param current: the stored row of an update; ``None`` for a create, which sets defaults.
    :raises ApiError: 400 REST-1064; its details name everything that is wrong.
    """
    validator = Validator(conn, object_type, author, current)
    columns = validator.read(payload, "")
    if validator.problems:
        raise payload_errors(validator.problems)
    return columns


class Validator:
    """Validates one record, or one element of an owned list, and collects all problems."""

    def __init__(
        self,
        conn: Database,
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
        self._references: dict[Ref, dict[str, tuple[object, str]]] = {}

    def read(self, payload: object, pointer: str) -> Columns:
        """Return the columns that the payload sets; check :attr:`problems` before using them."""
        self._read_group(payload, "", pointer)
        if not isinstance(payload, dict):
            return {}
        for ref, leaves in self._references.items():
            self._resolve_reference(ref, leaves)
        if self.current is None:
            self._set_defaults(pointer)
        self._check_required(pointer)
        return self._columns

    def _read_group(self, members: object, path: str, pointer: str) -> None:
        if not isinstance(members, dict):
            self.problems.append(invalid(f"{pointer or 'The payload'} must be an object", target=pointer))
            return
        for name, value in members.items():
            below = f"{pointer}/{name}"
            if "." in name:  # dotted names are for queries only
                self.problems.append(unknown_field(below))
            else:
                self._read_member(self.object_type.resolve(f"{path}.{name}" if path else name), value, below)

    def _read_member(self, path: str, value: object, pointer: str) -> None:
        member = self.object_type.member(path)
        leaf = self.object_type.ref(path)
        if isinstance(member, Field):
            self._read_field(member, value, pointer)
        elif isinstance(member, ListField):
            self._read_list(member, value, pointer)
        elif isinstance(member, Ref) and value is None:
            if "key" not in member.open:
                self._references.setdefault(member, {})["key"] = (None, f"{pointer}/key")
        elif leaf is not None:
            self._add_leaf(*leaf, value, pointer)
        elif isinstance(member, Ref) or path in self.object_type.groups or self._is_shown_group(path):
            self._read_group(value, path, pointer)
        else:
            self.problems.append(read_only_field(pointer) if path == "href" else unknown_field(pointer))

    def _is_shown_group(self, path: str) -> bool:
        """Whether a reference shows fields of its target below that path, as in a contact's address."""
        hop = self.object_type.hop(path)
        return hop is not None and any(name.startswith(f"{hop[1]}.") for name in hop[0].fields)

    def _read_field(self, field: Field, value: object, pointer: str) -> None:
        if field.read_only or not (field.mutable or self.current is None):
            self.problems.append(read_only_field(pointer))
            return
        try:
            stored = check_value(field, value)
        except ValueError as error:
            self.problems.append(invalid(f"{pointer} {error}", target=pointer))
            return
        self._columns[field.path] = stored

    def _add_leaf(self, ref: Ref, leaf: str, value: object, pointer: str) -> None:
        if leaf in ref.open:
            return  # it has no effect
        if ref.read_only or leaf not in ("key", "id"):
            self.problems.append(read_only_field(pointer))
        elif value is not None and not isinstance(value, str):
            self.problems.append(invalid(f"{pointer} must be a string", target=pointer))
        else:
            self._references.setdefault(ref, {})[leaf] = (value, pointer)

    def _resolve_reference(self, ref: Ref, leaves: dict[str, tuple[object, str]]) -> None:
        given = {leaf: one for leaf, one in leaves.items() if one[0] is not None}
        keys = {
            self._find_target(ref.target, leaf, value, pointer) for leaf, (value, pointer) in given.items()
        }
        if len(keys) > 1 and None not in keys:
            pointer = given["id"][1].removesuffix("/id")
            self.problems.append(
                invalid(f"{pointer} has a key and an id of different records", target=pointer)
            )
        self._columns[f"{ref.path}.key"] = keys.pop() if keys else None

    def _find_target(self, target: str, leaf: str, value: object, pointer: str) -> int | None:
        wanted = parse_key(value) if leaf == "key" else value
        found = find_key(self.conn, target, leaf, wanted)
        if found is None and wanted and target in self.conn.catalog.stubs:
            found = add_stub(self.conn, target, leaf, wanted)
        if found is None:
            text = (
                f"{pointer} must not be blank" if value == "" else f"There is no {target} with {leaf} {value}"
            )
            self.problems.append(invalid(text, target=pointer, code="invalidKey"))
        return found

    def _read_list(self, list_field: ListField, wire: object, pointer: str) -> None:
        expected = dict if list_field.shape == "object" else list
        if wire is not None and not isinstance(wire, expected):
            kind = "an object" if expected is dict else "an array"
            self.problems.append(invalid(f"{pointer} must be {kind}", target=pointer))
            return
        value: object = None
        if list_field.free:
            value = wire
        elif isinstance(wire, dict):
            value = self._read_filter(list_field, wire, pointer)
        elif isinstance(wire, list):
            value = self._read_elements(list_field, wire, pointer)
        self._columns[list_field.path] = None if value is None else msgspec.json.encode(value).decode()

    def _read_elements(self, list_field: ListField, wire: list[object], pointer: str) -> list[Any]:
        if list_field.target is None:
            if not all(isinstance(one, str) for one in wire):
                self.problems.append(invalid(f"{pointer} must be an array of strings", target=pointer))
            return wire
        if list_field.whole:
            return [
                self._read_group_member(list_field, one, f"{pointer}/{at}") for at, one in enumerate(wire)
            ]
        return self._merge(list_field, wire, pointer)

    def _read_group_member(self, list_field: ListField, wire: object, pointer: str) -> int | None:
        """Return the key of an element that is only a reference, such as a member of a customer group."""
        wrapped = Validator(self.conn, member_type(list_field), self.author, None)
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
        """Merge owned records by Sage's rule: without a key added, with one updated, deleted by ``ia::operation``."""
        stored = [] if self.current is None else self._read_stored(list_field)
        elements: dict[int, Columns] = {one["key"]: one for one in stored}
        for at, one in enumerate(wire):
            self._merge_element(list_field, elements, one, f"{pointer}/{at}")
        return list(elements.values())

    def _read_stored(self, list_field: ListField) -> list[dict[str, Any]]:
        return read_elements(self.conn, self.object_type, list_field, (self.current or {})["key"])

    def _merge_element(
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
            self._write_element(list_field, elements, key, change, pointer)

    def _write_element(
        self,
        list_field: ListField,
        elements: dict[int, Columns],
        key: int | None,
        change: object,
        pointer: str,
    ) -> None:
        old = elements.get(key) if key is not None else None
        validator = Validator(self.conn, element_type(list_field), self.author, old)
        columns = validator.read(change, pointer)
        self.problems += validator.problems
        if validator.problems:
            return
        if key is None:
            key = reserve_key(self.conn, list_field.target or "")
        stamps = audit_stamps(validator.object_type, self.author, created=old is None)
        given = columns.get("id") or (old or {}).get("id")
        elements[key] = {**(old or {}), **columns, **stamps, "key": key, "id": given or str(key)}

    def _read_filter(self, list_field: ListField, wire: dict[str, object], pointer: str) -> dict[str, Any]:
        """Validate the filter of a customer group, which is stored as it was written."""
        stored = self.current[list_field.path] if self.current is not None else None
        known = {field.path for field in list_field.items}
        self.problems += [unknown_field(f"{pointer}/{name}") for name in wire if name not in known]
        for name, value in wire.items():
            problem = check_filter_part(name, value)
            if problem:
                self.problems.append(invalid(f"{pointer}/{name} {problem}", target=f"{pointer}/{name}"))
        return {**msgspec.json.decode(stored or "{}"), **wire}

    def _set_defaults(self, pointer: str) -> None:
        reported = {problem.target for problem in self.problems}
        for field in self.object_type.fields:
            if field.path in self._columns or field.required or field.default is None:
                continue
            if point_to(field, pointer) not in reported:
                self._columns[field.path] = to_stored(field, field.default)

    def _check_required(self, pointer: str) -> None:
        """Report what is missing: required fields of a new record, and members that would be empty after this write.

        That a given value is blank or null is reported by :func:`check_value`.
        """
        if self.current is None:
            reported = {problem.target for problem in self.problems}
            for field in self.object_type.fields:
                target = point_to(field, pointer)
                if field.required and field.path not in self._columns and target not in reported:
                    self.problems.append(invalid(f"{field.path} is required", target=target))
        for member in self.object_type.non_empty:
            if self._value_after(member) is not None:
                continue
            target = point_to(member, pointer)
            why = self._why_required(member)
            if why is not None and not any((one.target or "").startswith(target) for one in self.problems):
                self.problems.append(invalid(f"{member.path} is required{why}", target=target))

    def _why_required(self, member: Field | Ref) -> str | None:
        """Return why a member must not be empty, as the end of a sentence; ``None`` if it may be empty."""
        if member.required_when:
            path, value = member.required_when
            field = self.object_type.field(path)
            return f" when {path} is {value}" if field and self._value_after(field) == value else None
        # A record of an older file may lack a reference that is now required; it can still be changed.
        return "" if self.current is None or f"{member.path}.key" in self._columns else None

    def _value_after(self, member: Field | Ref) -> object:
        """Return the stored value of a member after this write."""
        stored = f"{member.path}.key" if isinstance(member, Ref) else member.path
        return self._columns[stored] if stored in self._columns else (self.current or {}).get(stored)


def point_to(member: Field | Ref, pointer: str) -> str:
    """Return the JSON pointer of a member, below that of its record."""
    return f"{pointer}/{member.path.replace('.', '/')}"


def check_value(field: Field, value: object) -> object:
    """Check a value of a field and return it as it is stored.

    :raises ValueError: names the rule that the value breaks; the text completes a sentence.
    """
    if isinstance(value, str):
        value = dict(field.synonyms).get(value, value)
        if not value.strip() and (field.required or field.path == "id"):
            raise ValueError("must not be blank")
    if field.enum and not (value is None and field.nullable) and value not in field.enum:
        raise ValueError(f"must be one of {describe_choices(field, value)}")
    if value is None and not field.nullable:
        raise ValueError("must not be null")
    if isinstance(value, str) and field.max_length and len(value) > field.max_length:
        raise ValueError(f"must have at most {field.max_length} characters")
    return to_stored(field, value)


def describe_choices(field: Field, value: object) -> str:
    """Return the values of an enumeration, or their number and the nearest if there are many."""
    if len(field.enum) <= FEW:
        return ", ".join("null" if one is None else f'"{one}"' for one in field.enum)
    names = {str(one).casefold(): one for one in field.enum if one is not None}
    near = find_nearest(str(value)[:40].casefold(), names)
    return f'{len(field.enum)} values; the nearest is "{names[near]}"'


def check_filter_part(name: str, value: object) -> str | None:
    """Return what is wrong with a part of a member filter, as the end of a sentence; ``None`` if it is valid."""
    if name in ("object", "filterExpression") and not isinstance(value, str | None):
        return "must be a string"
    if name == "size" and (isinstance(value, bool) or not isinstance(value, int | None)):
        return "must be an integer"
    if name in ("filters", "orderBy") and value is not None:
        if not isinstance(value, list) or not all(isinstance(one, dict) and len(one) == 1 for one in value):
            return "must be an array of objects with one member each"
        if name == "orderBy" and len(value) > 1:
            return "can have one element only"
        if name == "filters" and not all(MEMBER_OPERATORS.issuperset(one) for one in value):
            return f"can have these operators only: {', '.join(sorted(MEMBER_OPERATORS))}"
    return None


@cache
def element_type(list_field: ListField) -> ObjectType:
    """Return the object type of the elements of an owned list."""
    return ObjectType(list_field.target or "", list_field.items)


@cache
def member_type(list_field: ListField) -> ObjectType:
    """Return an object type with one reference, to validate a list of references by the same rules."""
    return ObjectType("", (Ref("record", list_field.target or "", ("key", "id", "sortOrder")),))
