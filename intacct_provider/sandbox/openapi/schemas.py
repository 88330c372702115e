"""The schemas of an object: the record that GET returns, and the payloads of a create and an update.

They are generated from the definitions that the sandbox itself uses, so they cannot be out of date.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

from intacct_provider.sandbox.objects.catalog import Catalog
from intacct_provider.sandbox.objects.definitions import Field, ListField, Member, ObjectType, Ref
from intacct_provider.sandbox.objects.names import ACCOUNT_GROUP
from intacct_provider.sandbox.objects.values import CENTS
from intacct_provider.sandbox.records.validation import MEMBER_OPERATORS, OPERATION, element_type

Schema: TypeAlias = dict[str, Any]

KEY = "^[0-9]+$"
LARGEST = 2**63 - 1
_STRINGS: dict[str | None, Schema] = {
    "date": {"pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}$"},
    "date-time": {"pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z$"},
    CENTS: {"pattern": r"^-?[0-9]+\.[0-9]{2}$"},
}
_TEXT: Schema = {"type": ["string", "null"]}
_NAME: Schema = {"type": ["string", "null"], "minLength": 1}
_ONE_PAIR: Schema = {"type": "object", "minProperties": 1, "maxProperties": 1}
# What the sandbox checks when a group's filter is written; the query service checks the rest.
_FILTER_PARTS: dict[str, Schema] = {
    "object": _TEXT,
    "filterExpression": _TEXT,
    "size": {"type": ["integer", "null"]},
    "filters": {
        "type": ["array", "null"],
        "items": {**_ONE_PAIR, "propertyNames": {"enum": sorted(MEMBER_OPERATORS)}},
    },
    "orderBy": {"type": ["array", "null"], "maxItems": 1, "items": _ONE_PAIR},
}


@dataclass(frozen=True, slots=True)
class Leaf:
    """A member at its dotted path; a required one makes the groups above it required too."""

    path: str
    schema: Schema
    required: bool = True


def object_schema(properties: Schema | None = None, required: Iterable[str] = ()) -> Schema:
    """Return an object that has no other members."""
    schema: Schema = {"type": "object", "properties": properties or {}, "additionalProperties": False}
    return schema | ({"required": list(required)} if required else {})


def exact_object(properties: Schema) -> Schema:
    """Return an object that has exactly these members."""
    return object_schema(properties, properties)


def schema_ref(name: str) -> Schema:
    """Return a reference to a schema of the document."""
    return {"$ref": f"#/components/schemas/{name}"}


def component_name(object_name: str, part: str = "") -> str:
    """Return the name of an object's schema: ``accounts-receivable.customer``, ``….create``, ``….update``."""
    return re.sub(r"[^\w.-]", "_", object_name.replace("/", "."), flags=re.ASCII) + (
        f".{part}" if part else ""
    )


def href_schema(object_name: str) -> Schema:
    """Return the schema of a record's ``href``."""
    return {"type": "string", "pattern": f"^/objects/{object_name}/[0-9]+$"}


def reference_schema(object_name: str) -> Schema:
    """Return what a write returns of a record."""
    return exact_object(
        {
            "key": {"type": "string", "pattern": KEY},
            "id": {"type": "string"},
            "href": href_schema(object_name),
        }
    )


def record_schema(object_type: ObjectType, catalog: Catalog, *, element: bool = False) -> Schema:
    """Return the record of GET, which has every member.

    :param element: whether the record is an element in a list of its owner.
    """
    leaves: list[Leaf] = []
    for member in object_type.shown:
        if isinstance(member, Field):
            if not member.write_only:
                leaves.append(Leaf(member.path, value_schema(member, null=member.nullable)))
        elif isinstance(member, Ref):
            leaves += _reference(object_type, catalog, member)
        else:
            leaves.append(Leaf(member.path, _shown_list(catalog, member)))
    if object_type.name == ACCOUNT_GROUP and not element:
        leaves = [leaf for leaf in leaves if leaf.path != "key"]  # Sage's sample of an account group has none
    return _build_object([*leaves, Leaf("href", href_schema(object_type.name))])


def create_schema(object_type: ObjectType) -> Schema:
    """Return the payload of a create, without read-only members."""
    schema = _write_schema(object_type, lambda member: not member.read_only, new=True)
    conditions = [
        _condition(object_type, member, *member.required_when)
        for member in object_type.non_empty
        if member.required_when
    ]
    return schema | ({"allOf": conditions} if conditions else {})


def update_schema(object_type: ObjectType) -> Schema:
    """Return the payload of an update: nothing is required, and immutable members are left out."""

    def changeable(member: Field | Ref) -> bool:
        return not member.read_only and (isinstance(member, Ref) or member.mutable)

    return _write_schema(object_type, changeable, new=False)


def value_schema(field: Field, *, null: bool) -> Schema:
    """Return the schema of a value in JSON."""
    if field.enum:
        return {"enum": [*field.enum, *([None] if null and None not in field.enum else [])]}
    schema: Schema = {"type": [field.kind, "null"] if null else field.kind}
    if field.path == "key":
        return schema | {"pattern": KEY}
    return schema | ({"format": field.format} if field.format else {}) | _STRINGS.get(field.format, {})


def _reference(object_type: ObjectType, catalog: Catalog, ref: Ref) -> list[Leaf]:
    """Return a reference as one leaf, or as several if the object has members of its own below it."""
    if ref.path not in object_type.groups:
        return [Leaf(ref.path, _shown_reference(catalog, ref))]
    below = [
        Leaf(f"{ref.path}.{leaf.path}", leaf.schema, leaf.required) for leaf in _shown_leaves(catalog, ref)
    ]
    return [*below, Leaf(f"{ref.path}.href", href_schema(ref.target), required=False)]


def _shown_leaves(catalog: Catalog, ref: Ref) -> Iterator[Leaf]:
    target = catalog.tables[ref.target]
    for name in ref.fields:
        field = target.field(name)
        yield Leaf(name, {"type": "null"} if field is None else value_schema(field, null=True))


def _shown_reference(catalog: Catalog, ref: Ref) -> Schema:
    """Return a reference; an unset one is an object of nulls without ``href``."""
    if not ref.linked:
        return _build_object(_shown_leaves(catalog, ref))
    schema = _build_object(
        [*_shown_leaves(catalog, ref), Leaf("href", href_schema(ref.target), required=False)]
    )
    set_, unset = {"properties": {"key": {"type": "string"}}, "required": ["href"]}, {"type": "null"}
    return schema | {"anyOf": [set_, {"properties": {"key": unset, "href": False}}]}


def _shown_list(catalog: Catalog, list_field: ListField) -> Schema:
    """Return a list as in GET, or the object of a filter."""
    if list_field.free:
        return {}
    if list_field.shape == "object":
        parts = {item.path: _FILTER_PARTS.get(item.path, {}) for item in list_field.items}
        return object_schema(parts, ["object", "filterExpression", "orderBy"])
    if list_field.target is None:
        return {"type": "array", "items": {"type": "string"}}
    if not list_field.whole:
        return {"type": "array", "items": record_schema(element_type(list_field), catalog, element=True)}
    place: Schema = {"type": "string", "pattern": KEY}
    shown = reference_schema(list_field.target)["properties"]
    member = {"key": shown["key"], "id": shown["id"], "sortOrder": place, "href": shown["href"]}
    return {"type": "array", "items": exact_object(member)}


def _write_schema(object_type: ObjectType, allowed: Callable[[Field | Ref], bool], *, new: bool) -> Schema:
    leaves = [
        leaf
        for path, member in _written_paths(object_type)
        for leaf in _written_member(object_type, path, member, allowed, new=new)
    ]
    schema = _build_object(leaves)
    for ref in object_type.refs:
        if ref.path in object_type.groups and not ref.hidden and not ref.read_only:
            _find_below(schema, ref.path)["type"] = ["object", "null"]
    return schema


def _written_paths(object_type: ObjectType) -> Iterator[tuple[str, Member | str]]:
    """Yield every path in a write, with its member or with the current path of a reference's leaf."""
    for member in object_type.shown:
        yield member.path, member
    for old, path in object_type.aliases.items():
        yield old, object_type.member(path) or path


def _written_member(
    object_type: ObjectType,
    path: str,
    member: Member | str,
    allowed: Callable[[Field | Ref], bool],
    *,
    new: bool,
) -> list[Leaf]:
    """Return the leaves of one member in a write; none if it cannot be written."""
    if isinstance(member, str):
        hop = object_type.ref(member)
        return [Leaf(path, _NAME, required=False)] if hop is not None and allowed(hop[0]) else []
    if isinstance(member, ListField):
        return [Leaf(path, _written_list(member, new=new), required=False)]
    if not allowed(member):
        return []
    required = new and member.required and path == member.path
    if isinstance(member, Field):
        return [Leaf(path, _written_value(member), required)]
    if path in object_type.groups:
        return [Leaf(f"{path}.{leaf}", _NAME, required=False) for leaf in ("key", "id")]
    return [Leaf(path, _written_reference(null=not member.required, more=member.open), required)]


def _written_value(field: Field) -> Schema:
    schema = value_schema(field, null=field.nullable)
    if field.enum:
        schema["enum"] += [old for old, _ in field.synonyms]
    elif field.format == CENTS:
        schema["pattern"] = r"^-?[0-9]+(\.[0-9]{1,2})?$"
    elif field.kind == "string" and (field.required or field.path == "id"):
        schema["pattern"] = r"\S"
    elif field.kind == "integer":
        schema |= {"minimum": -LARGEST, "maximum": LARGEST}
    if field.max_length is not None:
        schema["maxLength"] = field.max_length
    if field.default is not None:
        schema["default"] = field.default
    return schema | ({"deprecated": True} if field.deprecated else {})


def _condition(object_type: ObjectType, member: Field | Ref, path: str, value: str) -> Schema:
    """Return the rule that a member is required if the field at `path` has that value."""
    field = object_type.field(path)
    by_default = field is not None and field.default == value
    needed: Schema = _written_reference(null=False) if isinstance(member, Ref) else {"not": {"type": "null"}}
    case = _open_object(path, {"const": value}, required=not by_default)
    return {"if": case, "then": _open_object(member.path, needed, required=True)}


def _open_object(path: str, schema: Schema, *, required: bool) -> Schema:
    """Return an object with a member at a path and any other members."""
    for name in reversed(path.split(".")):
        schema = {"properties": {name: schema}} | ({"required": [name]} if required else {})
    return schema


def _written_reference(*, null: bool, more: Iterable[str] = ()) -> Schema:
    """Return a reference in a write: by key or id; null or empty for none, if allowed.

    :param more: names of further members, which have no effect.
    """
    members = object_schema({"key": _NAME, "id": _NAME, **{name: {} for name in more}})
    if null:
        return {**members, "type": ["object", "null"]}
    named = [{"required": [leaf], "properties": {leaf: {"type": "string"}}} for leaf in ("key", "id")]
    return {**members, "anyOf": named}


def _written_list(list_field: ListField, *, new: bool) -> Schema:
    if list_field.free:
        return {}
    if list_field.shape == "object":
        parts = {item.path: _FILTER_PARTS.get(item.path, {}) for item in list_field.items}
        return {**object_schema(parts), "type": ["object", "null"]}
    items: Schema = {"type": "string"}
    if list_field.target is not None:
        items = (
            _written_reference(null=False) if list_field.whole else create_schema(element_type(list_field))
        )
        if not list_field.whole and not new:
            items["properties"] |= {
                "key": {"type": "string", "pattern": KEY},
                OPERATION: {"const": "delete"},
            }
            items["dependentRequired"] = {OPERATION: ["key"]}
    return {"type": ["array", "null"], "items": items}


def _build_object(leaves: Iterable[Leaf]) -> Schema:
    """Return the nested object of the leaves."""
    root = object_schema()
    for leaf in leaves:
        at, names = root, leaf.path.split(".")
        for name in names[:-1]:
            _mark_required(at, name, leaf.required)
            at = at["properties"].setdefault(name, object_schema())
        at["properties"][names[-1]] = leaf.schema
        _mark_required(at, names[-1], leaf.required)
    return root


def _mark_required(schema: Schema, name: str, required: bool) -> None:
    if required and name not in schema.get("required", ()):
        schema.setdefault("required", []).append(name)


def _find_below(schema: Schema, path: str) -> Schema:
    for name in path.split("."):
        schema = schema["properties"][name]
    return schema
