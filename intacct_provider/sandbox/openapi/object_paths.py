"""The calls on objects: list, create, read, update and delete, one record or several."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from intacct_provider.sandbox.api.batch import MAX_RECORDS
from intacct_provider.sandbox.api.idempotency import MAX_LENGTH
from intacct_provider.sandbox.objects.definitions import Field, ObjectType, Ref
from intacct_provider.sandbox.objects.names import CUSTOMER_GROUP
from intacct_provider.sandbox.openapi.responses import (
    CACHED,
    JSON,
    answer,
    enveloped,
    mixed,
    one_or_several,
    refusals,
)
from intacct_provider.sandbox.openapi.schemas import (
    KEY,
    Schema,
    complete,
    component,
    create,
    record,
    reference_to,
    update,
    written,
)

PARAMETERS: dict[str, Schema] = {
    "entity": {
        "name": "X-IA-API-Param-Entity",
        "in": "header",
        "description": "Id of the entity to work in; that of the token, or the top level, when not given.",
        "schema": {"type": "string"},
    },
    "transaction": {
        "name": "X-IA-API-Param-Transaction",
        "in": "header",
        "description": "true writes all records of the request or none; anything else has no effect.",
        "schema": {"type": "string"},
        "example": "true",
    },
    "idempotency": {
        "name": "Idempotency-Key",
        "in": "header",
        "description": "The same request gets the same answer for 48 hours; another one is refused for 60 days.",
        "schema": {"type": "string", "maxLength": MAX_LENGTH},
    },
    "key": {
        "name": "key",
        "in": "path",
        "required": True,
        "description": "Key of the record.",
        "schema": {"type": "string", "pattern": KEY, "maxLength": 18},
        "example": "1",
    },
    "any-key": {
        "name": "key",
        "in": "path",
        "required": True,
        "description": "Whatever stands in the place of a key.",
        "schema": {"type": "string", "minLength": 1},
        "example": "1",
    },
    "keys": {
        "name": "key",
        "in": "path",
        "required": True,
        "description": f"Key of the record, or up to {MAX_RECORDS} keys with commas between them.",
        "schema": {"type": "string", "pattern": "^[0-9]{1,18}(,[0-9]{1,18})*$"},
        "example": "1",
    },
}
_SAMPLES = {"date": "2026-01-31", "date-time": "2026-01-31T12:00:00Z"}


def parameters(*names: str) -> list[Schema]:
    """Return pointers to shared parameters."""
    return [{"$ref": f"#/components/parameters/{name}"} for name in names]


def schemas(object_type: ObjectType) -> Schema:
    """Return the schemas of one object by the name of their component."""
    name = object_type.name
    changes = update(object_type)
    change: Schema = {
        **changes,
        "properties": {"key": {"type": "string", "pattern": KEY}, **changes["properties"]},
        "required": ["key"],
    }
    return {
        component(name): {"title": name, **record(object_type)},
        component(name, "create"): {"title": f"new {name}", **create(object_type)},
        component(name, "update"): {"title": f"changes to a {name}", **changes},
        component(name, "change"): {"title": f"changes to a {name} in a batch", **change},
        component(name, "written"): {"title": f"{name} after a write", **written(name)},
    }


def paths(object_type: ObjectType) -> Schema:
    """Return the paths of one object."""
    address = f"/objects/{object_type.name}"
    methods = _methods()
    return {
        address: {
            "options": _operation(object_type, "options-of-all", "Ask for the methods.", methods, ()),
            "get": _operation(object_type, "list", "List the first 100 records.", _list(object_type)),
            "post": _write(object_type, "create", _create(object_type)),
            "patch": _write(object_type, "update-several", _update_several(object_type)),
        },
        f"{address}/{{key}}": {
            "options": _operation(object_type, "options", "Ask for the methods.", methods, ("any-key",)),
            "get": _operation(object_type, "get", "Get one record or several.", _get(object_type)),
            "patch": _write(object_type, "update", _update(object_type)),
            "delete": _operation(
                object_type, "delete", "Delete one record or several.", _delete(), ("keys", "transaction")
            ),
        },
    }


def _operation(
    object_type: ObjectType, verb: str, summary: str, responses: Schema, names: tuple[str, ...] | None = None
) -> Schema:
    """Return one operation; reading takes the entity only."""
    own = names if names is not None else (("keys",) if verb == "get" else ())
    return {
        "operationId": f"{verb}-{component(object_type.name)}",
        "summary": summary,
        "tags": [object_type.name],
        "parameters": parameters(*own, "entity"),
        "responses": responses,
    }


def _write(object_type: ObjectType, verb: str, parts: tuple[str, Schema, Any, Schema]) -> Schema:
    summary, schema, example, responses = parts
    names = ("key",) if verb == "update" else ("transaction",)
    operation = _operation(object_type, verb, summary, responses, (*names, "idempotency"))
    body: Schema = {"schema": schema} | ({"example": example} if example else {})
    return operation | {"requestBody": {"required": True, "content": {JSON: body}}}


def _methods() -> Schema:
    return {"204": answer("The methods.", None, "Allow"), **refusals()}


def _list(object_type: ObjectType) -> Schema:
    listed = {"type": "array", "maxItems": 100, "items": reference_to(component(object_type.name, "written"))}
    return {
        "200": answer("Key, id and address of records.", enveloped(listed, "metadata-pages")),
        **refusals(),
    }


def _create(object_type: ObjectType) -> tuple[str, Schema, Any, Schema]:
    new = reference_to(component(object_type.name, "create"))
    made: Schema = reference_to(component(object_type.name, "written"))
    several: Schema = complete(written(object_type.name)["properties"])
    if object_type.name == CUSTOMER_GROUP:
        made = several = complete({"id": {"type": "string"}})  # Sage's sample has no more
    created = answer("The records are there.", one_or_several(made), *CACHED)
    if object_type.name != CUSTOMER_GROUP:
        created["links"] = _links(object_type)
    responses = {
        "201": created,
        "207": answer("Some records are there.", mixed(several, 201), *CACHED),
        **refusals(409, 422, records=True),
    }
    schema = {"anyOf": [new, {"type": "array", "items": new, "minItems": 1, "maxItems": MAX_RECORDS}]}
    return "Create one record or several.", schema, _example(object_type), responses


def _links(object_type: ObjectType) -> Schema:
    """Return what can be done with the one record that a call has made."""
    key = {"key": "$response.body#/ia::result/key"}
    return {
        verb: {"operationId": f"{verb}-{component(object_type.name)}", "parameters": key}
        for verb in ("get", "update", "delete")
    }


def _update_several(object_type: ObjectType) -> tuple[str, Schema, Any, Schema]:
    name = object_type.name
    items = reference_to(component(name, "change"))
    schema: Schema = {"type": "array", "items": items, "minItems": 1, "maxItems": MAX_RECORDS}
    several: Schema = {"type": "array", "items": reference_to(component(name, "written")), "minItems": 1}
    responses = {
        "200": answer("The records are changed.", enveloped(several, "metadata-success"), *CACHED),
        "207": answer("Some records are changed.", mixed(written(name), 200), *CACHED),
        **refusals(404, 409, 422, records=True),
    }
    return "Update several records.", schema, [{"key": "1"}], responses


def _get(object_type: ObjectType) -> Schema:
    shown = reference_to(component(object_type.name))
    return {
        "200": answer("The record or the records.", one_or_several(shown)),
        "207": answer("Some of the records.", mixed(record(object_type), 200)),
        **refusals(404, records=True),
    }


def _update(object_type: ObjectType) -> tuple[str, Schema, Any, Schema]:
    name = object_type.name
    changed = enveloped(reference_to(component(name, "written")), "metadata-one")
    responses = {
        "200": answer("The record is changed.", changed, *CACHED),
        **refusals(404, 409, records=True),
    }
    return (
        "Update one record.",
        reference_to(component(name, "update")),
        _example_change(object_type),
        responses,
    )


def _delete() -> Schema:
    return {
        "204": answer("The records are gone.", None),
        "207": answer("Some records are gone.", mixed(complete({}), 204)),
        **refusals(404, 422, records=True),
    }


def _example(object_type: ObjectType) -> Schema:
    """Return the smallest record that can be created."""
    members = [one for one in object_type.shown if isinstance(one, Field | Ref)]
    return _sample([one for one in members if one.required and not one.read_only])


def _sample(members: Sequence[Field | Ref]) -> Schema:
    sample: Schema = {}
    for member in members:
        *groups, name = member.path.split(".")
        at = sample
        for group in groups:
            at = at.setdefault(group, {})
        at[name] = {"key": "1"} if isinstance(member, Ref) else _value(member)
    return sample


def _example_change(object_type: ObjectType) -> Schema:
    """Return the last of the fields that can be changed; the first ones tend to be names."""
    fields = [one for one in object_type.fields if one.mutable and not (one.read_only or one.deprecated)]
    return _sample([fields[-1]])


def _value(field: Field) -> object:
    if field.enum:
        return field.enum[0]
    if field.kind == "string":
        return _SAMPLES.get(field.format or "", f"Example of {field.path.rpartition('.')[2]}")
    return field.kind != "boolean"
