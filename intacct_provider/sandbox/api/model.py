"""The model service, which describes the fields of an object in Sage's form.

Oddities of the real service are kept because clients must handle them: a map of an object without entries is an empty
array, one of a group or reference is left out, and ``required`` is always ``false``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from intacct_provider.sandbox.api.messages import meta
from intacct_provider.sandbox.errors import invalid
from intacct_provider.sandbox.objects.catalog import Catalog
from intacct_provider.sandbox.objects.definitions import Field, ListField, Member, ObjectType, Ref
from intacct_provider.sandbox.objects.names import VENDOR

MAPS = ("fields", "groups", "refs", "lists")
ROOT_OBJECT = "rootObject"
OWNED_OBJECT = "ownedObject"
#: What the types that can be listed are; "object" is any.
KINDS = {ROOT_OBJECT: (ROOT_OBJECT,), OWNED_OBJECT: (OWNED_OBJECT,), "object": (ROOT_OBJECT, OWNED_OBJECT)}
_HREF = Field("href", read_only=True)
#: Parameters that queries of an object take in ``filterParameters`` besides those of all objects.
QUERY_PARAMETERS = {VENDOR: {"approvalsForUser": {"parameters": {"submitState": {"type": "string"}}}}}
_MORE = {name: {"additionalQueryFilterParameters": one} for name, one in QUERY_PARAMETERS.items()}


def describe(params: Mapping[str, str], catalog: Catalog) -> dict[str, Any]:
    """Return the response body of ``GET /services/core/model``.

    With ``name`` it describes one object: ``fields``, ``groups``, ``refs``, ``lists`` and its methods;
    ``schema=false`` omits the four maps. For an unknown name the result is an empty array, not an error, as in
    recorded traffic. Without ``name`` it lists the objects; ``filter`` (a regular expression) and ``type``
    restrict the list, and with ``schema=true`` each has its four maps. Other parameters have no effect.
    """
    if params.get("name"):
        object_type = catalog.queryable.get(params["name"].removeprefix("objects/"))
        schema = params.get("schema", "true") != "false"
        return _response(_describe_object(object_type, catalog, with_schema=schema) if object_type else [])
    listed = _list_objects(params.get("filter", ""), params.get("type", ROOT_OBJECT), catalog)
    if params.get("schema") == "true":
        return _response([_describe_object(object_type, catalog, with_schema=True) for object_type in listed])
    return _response([_summarize_object(object_type, catalog) for object_type in listed])


def _describe_object(object_type: ObjectType, catalog: Catalog, *, with_schema: bool) -> dict[str, Any]:
    """Return what is said of an object; a company file has it word for word, except for the address."""
    summary = _summarize_object(object_type, catalog)
    href = f"/services/core/model?version=v1&name={summary['apiObject']}"
    if object_type.model is not None:
        said = {name: one for name, one in object_type.model.items() if name not in MAPS}
        maps = {name: object_type.model.get(name) or [] for name in MAPS if with_schema}
        return {**maps, **said, **summary, "href": href}
    schema = _schema(object_type, catalog) if with_schema else {}
    more = _MORE.get(object_type.name, {})
    return {**more, **schema, **summary, "idempotenceSupported": True, "href": href}


def _summarize_object(object_type: ObjectType, catalog: Catalog) -> dict[str, Any]:
    return {
        "apiObject": f"objects/{object_type.name}",
        "type": _kind(object_type, catalog),
        "httpMethods": object_type.methods,
    }


def _kind(object_type: ObjectType, catalog: Catalog) -> str:
    if object_type.model is not None:
        return str(object_type.model.get("type", ROOT_OBJECT))
    return OWNED_OBJECT if object_type.name in catalog.owned else ROOT_OBJECT


def _list_objects(pattern: str, kind: str, catalog: Catalog) -> list[ObjectType]:
    try:
        matches = re.compile(pattern)
    except re.error:
        raise invalid(f"filter {pattern[:100]!r} is not a regular expression") from None
    wanted = KINDS.get(kind, ())
    return [
        catalog.queryable[name]
        for name in sorted(catalog.queryable)
        if matches.search(name) and _kind(catalog.queryable[name], catalog) in wanted
    ]


def _response(result: dict[str, Any] | list[Any]) -> dict[str, Any]:
    count = len(result) if isinstance(result, list) else 1
    return {"ia::result": result, "ia::meta": meta(count, 0)}


def _old_names(object_type: ObjectType) -> Iterable[Member]:
    """Yield a deprecated copy of every member that has an older name."""
    for old, path in object_type.aliases.items():
        member = object_type.member(path)
        if isinstance(member, Ref):
            yield replace(member, path=old)
        else:
            yield replace(member if isinstance(member, Field) else Field(path), path=old, deprecated=True)


def _schema(object_type: ObjectType, catalog: Catalog) -> dict[str, Any]:
    """Return the four maps of an object; older names are deprecated."""
    described = _maps(catalog, [*object_type.shown, *_old_names(object_type)])
    described["fields"]["href"] = _field(_HREF)
    for name in object_type.aliases:
        if name in described["refs"]:
            described["refs"][name]["deprecated"] = True
    return {name: entries or [] for name, entries in described.items()}


def _maps(catalog: Catalog, members: Sequence[Member], prefix: str = "") -> dict[str, Any]:
    """Return ``fields``, ``groups``, ``refs`` and ``lists`` of the members whose path starts with `prefix`."""
    fields: dict[str, Any] = {}
    refs: dict[str, Any] = {}
    lists: dict[str, Any] = {}
    for member in members:
        name = member.path.removeprefix(prefix)
        if "." in name or not member.path.startswith(prefix):
            continue
        if isinstance(member, Field):
            fields[name] = _field(member)
        elif isinstance(member, Ref):
            refs[name] = _ref(catalog, member, members)
        elif member.shape == "list":
            lists[name] = {"apiObject": member.target} if member.target else {"type": "string"}
    groups = {
        name: _without_empty(_maps(catalog, members, f"{prefix}{name}."))
        for name in _groups(members, prefix)
        if name not in refs
    }
    groups |= {
        member.path.removeprefix(prefix): _free_object(catalog, member)
        for member in members
        if isinstance(member, ListField) and member.shape == "object" and member.path.startswith(prefix)
    }
    return {"fields": fields, "groups": groups, "refs": refs, "lists": lists}


def _without_empty(maps: Mapping[str, Any]) -> dict[str, Any]:
    return {name: entries for name, entries in maps.items() if entries}


def _groups(members: Sequence[Member], prefix: str) -> list[str]:
    """Return the names directly below `prefix` that have members themselves."""
    below = [member.path.removeprefix(prefix) for member in members if member.path.startswith(prefix)]
    return list(dict.fromkeys(path.partition(".")[0] for path in below if "." in path))


def _field(field: Field) -> dict[str, Any]:
    described: dict[str, Any] = {"type": field.kind}
    if field.format:
        described["format"] = field.format
    if field.enum:
        described["enum"] = list(field.enum)
    if field.default is not None:
        described["default"] = field.default
    described |= {
        "readOnly": field.read_only,
        "writeOnly": field.write_only,
        "required": False,
        # Not whether null clears it: recorded models say so of every field without a fixed set of values.
        "nullable": not field.enum or None in field.enum,
        "mutable": field.mutable and not field.read_only,
    }
    return described | ({"deprecated": True} if field.deprecated else {})


def _ref(catalog: Catalog, ref: Ref, members: Sequence[Member]) -> dict[str, Any]:
    """Return a reference; it has groups too if it shows nested fields of the target, as in a contact's address."""
    shown = _maps(catalog, [_shown_field(catalog, ref, name) for name in ref.fields])
    if ref.linked:
        shown["fields"]["href"] = _field(_HREF)
    below = _maps(catalog, members, f"{ref.path}.")
    described: dict[str, Any] = {"apiObject": ref.target} | ({"isOwner": True} if ref.owner else {})
    return described | _without_empty({name: entries | below[name] for name, entries in shown.items()})


def _shown_field(catalog: Catalog, ref: Ref, name: str) -> Field:
    """Return a field of the target as the reference shows it: only key and id can be written."""
    field = catalog.tables[ref.target].field(name) or Field(name)
    read_only = ref.read_only or name not in ("key", "id", *ref.open)
    return replace(field, path=name, read_only=read_only, nullable=ref.nullable, mutable=True, default=None)


def _free_object(catalog: Catalog, member: ListField) -> dict[str, Any]:
    """Return an object that is stored as it was written, such as a group's filter, with its arrays as lists."""
    arrays = ("filters", "orderBy")
    scalars = [item for item in member.items if item.path not in arrays]
    lists = {item.path: {"type": "object"} for item in member.items if item.path in arrays}
    return _without_empty(_maps(catalog, scalars) | {"lists": lists})
