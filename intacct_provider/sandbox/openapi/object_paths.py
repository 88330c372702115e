"""The paths of objects: list, create, get, update and delete, one record or several."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from intacct_provider.sandbox.api.batch import MAX_RECORDS
from intacct_provider.sandbox.api.idempotency import MAX_LENGTH
from intacct_provider.sandbox.objects.catalog import Catalog
from intacct_provider.sandbox.objects.definitions import Field, ObjectType, Ref
from intacct_provider.sandbox.objects.names import CUSTOMER_GROUP
from intacct_provider.sandbox.openapi.responses import (
    CACHED,
    JSON,
    envelope,
    error_responses,
    mixed_body,
    one_or_many_body,
    response,
)
from intacct_provider.sandbox.openapi.schemas import (
    KEY,
    Schema,
    component_name,
    create_schema,
    exact_object,
    record_schema,
    reference_schema,
    schema_ref,
    update_schema,
)

PARAMETERS: dict[str, Schema] = {
    "entity": {
        "name": "X-IA-API-Param-Entity",
        "in": "header",
        "description": "Id of the entity to work in; by default the entity of the token, or the top level.",
        "schema": {"type": "string"},
    },
    "transaction": {
        "name": "X-IA-API-Param-Transaction",
        "in": "header",
        "description": "true writes all records of the request or none; other values have no effect.",
        "schema": {"type": "string"},
        "example": "true",
    },
    "idempotency": {
        "name": "Idempotency-Key",
        "in": "header",
        "description": "The same request gets the same response for 48 hours; a different one is rejected for 60 days.",
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
        "description": "Any text in the place of a key.",
        "schema": {"type": "string", "minLength": 1},
        "example": "1",
    },
    "keys": {
        "name": "key",
        "in": "path",
        "required": True,
        "description": f"Key of the record, or up to {MAX_RECORDS} keys separated by commas.",
        "schema": {"type": "string", "pattern": "^[0-9]{1,18}(,[0-9]{1,18})*$"},
        "example": "1",
    },
}
_SAMPLES = {"date": "2026-01-31", "date-time": "2026-01-31T12:00:00Z"}


def parameters(*names: str) -> list[Schema]:
    """Return references to shared parameters."""
    return [{"$ref": f"#/components/parameters/{name}"} for name in names]


def schemas(object_type: ObjectType, catalog: Catalog) -> Schema:
    """Return the schemas of one object by component name."""
    name = object_type.name
    changes = update_schema(object_type)
    change: Schema = {
        **changes,
        "properties": {"key": {"type": "string", "pattern": KEY}, **changes["properties"]},
        "required": ["key"],
    }
    return {
        component_name(name): {"title": name, **record_schema(object_type, catalog)},
        component_name(name, "create"): {"title": f"new {name}", **create_schema(object_type)},
        component_name(name, "update"): {"title": f"changes to a {name}", **changes},
        component_name(name, "change"): {"title": f"changes to a {name} in a batch", **change},
        component_name(name, "written"): {"title": f"{name} after a write", **reference_schema(name)},
    }


def paths(object_type: ObjectType, catalog: Catalog) -> Schema:
    """Return the paths of one object."""
    address = f"/objects/{object_type.name}"
    methods = _methods()
    described = {
        address: {
            "options": _operation(object_type, "options-of-all", "Get the supported methods.", methods, ()),
            "get": _operation(object_type, "list", "List the first 100 records.", _list(object_type)),
            "post": _write(object_type, "create", _create(object_type)),
            "patch": _write(object_type, "update-several", _update_several(object_type)),
        },
        f"{address}/{{key}}": {
            "options": _operation(
                object_type, "options", "Get the supported methods.", methods, ("any-key",)
            ),
            "get": _operation(object_type, "get", "Get one record or several.", _get(object_type, catalog)),
            "patch": _write(object_type, "update", _update(object_type)),
            "delete": _operation(
                object_type, "delete", "Delete one record or several.", _delete(), ("keys", "transaction")
            ),
        },
    }
    supported = object_type.methods.lower().split(",")
    return {
        path: {verb: one for verb, one in operations.items() if verb in supported}
        for path, operations in described.items()
    }


def _operation(
    object_type: ObjectType, verb: str, summary: str, responses: Schema, names: tuple[str, ...] | None = None
) -> Schema:
    """Return one operation; its parameters are `names` and the entity."""
    own = names if names is not None else (("keys",) if verb == "get" else ())
    return {
        "operationId": f"{verb}-{component_name(object_type.name)}",
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
    return {"204": response("The supported methods.", None, "Allow"), **error_responses()}


def _list(object_type: ObjectType) -> Schema:
    listed = {
        "type": "array",
        "maxItems": 100,
        "items": schema_ref(component_name(object_type.name, "written")),
    }
    return {
        "200": response("Key, id and address of records.", envelope(listed, "metadata-pages")),
        **error_responses(),
    }


def _create(object_type: ObjectType) -> tuple[str, Schema, Any, Schema]:
    new = schema_ref(component_name(object_type.name, "create"))
    made: Schema = schema_ref(component_name(object_type.name, "written"))
    several: Schema = exact_object(reference_schema(object_type.name)["properties"])
    if object_type.name == CUSTOMER_GROUP:
        made = several = exact_object({"id": {"type": "string"}})  # as in Sage's sample
    created = response("The records are created.", one_or_many_body(made), *CACHED)
    if object_type.name != CUSTOMER_GROUP:
        created["links"] = _links(object_type)
    responses = {
        "201": created,
        "207": response("Some records are created.", mixed_body(several, 201), *CACHED),
        **error_responses(409, 422, records=True),
    }
    schema = {"anyOf": [new, {"type": "array", "items": new, "minItems": 1, "maxItems": MAX_RECORDS}]}
    return "Create one record or several.", schema, _example(object_type), responses


def _links(object_type: ObjectType) -> Schema:
    """Return the operations on the record that a create has made."""
    key = {"key": "$response.body#/ia::result/key"}
    return {
        verb: {"operationId": f"{verb}-{component_name(object_type.name)}", "parameters": key}
        for verb in ("get", "update", "delete")
    }


def _update_several(object_type: ObjectType) -> tuple[str, Schema, Any, Schema]:
    name = object_type.name
    items = schema_ref(component_name(name, "change"))
    schema: Schema = {"type": "array", "items": items, "minItems": 1, "maxItems": MAX_RECORDS}
    several: Schema = {"type": "array", "items": schema_ref(component_name(name, "written")), "minItems": 1}
    responses = {
        "200": response("The records are changed.", envelope(several, "metadata-success"), *CACHED),
        "207": response("Some records are changed.", mixed_body(reference_schema(name), 200), *CACHED),
        **error_responses(404, 409, 422, records=True),
    }
    return "Update several records.", schema, [{"key": "1"}], responses


def _get(object_type: ObjectType, catalog: Catalog) -> Schema:
    shown = schema_ref(component_name(object_type.name))
    return {
        "200": response("The record or the records.", one_or_many_body(shown)),
        "207": response("Some of the records.", mixed_body(record_schema(object_type, catalog), None)),
        **error_responses(404, records=True),
    }


def _update(object_type: ObjectType) -> tuple[str, Schema, Any, Schema]:
    name = object_type.name
    changed = envelope(schema_ref(component_name(name, "written")), "metadata-one")
    responses = {
        "200": response("The record is changed.", changed, *CACHED),
        **error_responses(404, 409, records=True),
    }
    return (
        "Update one record.",
        schema_ref(component_name(name, "update")),
        _example_change(object_type),
        responses,
    )


def _delete() -> Schema:
    return {
        "204": response("The records are deleted.", None),
        "207": response("Some records are deleted.", mixed_body(exact_object({}), 204)),
        **error_responses(404, 422, records=True),
    }


def _example(object_type: ObjectType) -> Schema:
    """Return a record with the required members only."""
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
    """Return a change of the last mutable field, because the first ones tend to be names."""
    fields = [one for one in object_type.fields if one.mutable and not (one.read_only or one.deprecated)]
    return _sample(fields[-1:])


def _value(field: Field) -> object:
    if field.enum:
        return field.enum[0]
    if field.kind == "string":
        return _SAMPLES.get(field.format or "", f"Example of {field.path.rpartition('.')[2]}")
    return field.kind != "boolean"
