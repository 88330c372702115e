"""The paths of the token endpoint, the query service and the model service."""

from __future__ import annotations

import re
from collections.abc import Sequence

from intacct_provider.sandbox.api.model import OWNED_OBJECT, ROOT_OBJECT
from intacct_provider.sandbox.auth import OFFLINE
from intacct_provider.sandbox.faults.plan import Faults
from intacct_provider.sandbox.gateway import BASE
from intacct_provider.sandbox.objects.catalog import Catalog
from intacct_provider.sandbox.objects.definitions import Field, ObjectType
from intacct_provider.sandbox.objects.names import CUSTOMER
from intacct_provider.sandbox.openapi.object_paths import parameters
from intacct_provider.sandbox.openapi.responses import JSON, envelope, error_responses, response
from intacct_provider.sandbox.openapi.schemas import (
    Schema,
    exact_object,
    object_schema,
    schema_ref,
    value_schema,
)
from intacct_provider.sandbox.pages.consent import ADDRESS
from intacct_provider.sandbox.query.expressions import MAX_DEPTH
from intacct_provider.sandbox.query.filters import OPERATORS
from intacct_provider.sandbox.query.service import DEFAULT_SIZE

TOKEN = f"{BASE}/oauth2/token"
SECURITY: Schema = {
    "OAuth2": {
        "type": "oauth2",
        "flows": {
            "clientCredentials": {"tokenUrl": TOKEN, "refreshUrl": TOKEN, "scopes": {}},
            "authorizationCode": {
                "authorizationUrl": ADDRESS,
                "tokenUrl": TOKEN,
                "refreshUrl": TOKEN,
                "scopes": {OFFLINE: "Return a refresh token too."},
            },
        },
    },
    "Bearer": {"type": "http", "scheme": "bearer"},
}
_TEXT: Schema = {"type": "string"}
_FLAG: Schema = {"type": "boolean"}
_SCALAR: Schema = {"type": ["string", "number", "boolean", "null"]}
_PAIR: Schema = {
    "type": "object",
    "propertyNames": {"minLength": 1},
    "minProperties": 1,
    "maxProperties": 1,
}
_RESOURCE: Schema = {"type": "string", "pattern": "^objects/[a-z-]+/[a-z-]+$"}
_MAPS = ("fields", "groups", "refs", "lists")


def schemas(catalog: Catalog) -> Schema:
    """Return the schemas of the services by component name."""
    return {
        "token": object_schema(
            {
                "token_type": {"const": "Bearer"},
                "access_token": _TEXT,
                "refresh_token": _TEXT,
                "expires_in": {"type": "integer", "minimum": 0},
            },
            ["token_type", "access_token", "expires_in"],
        ),
        "query": _query(sorted(catalog.queryable)),
        "row": _row(catalog),
        "model-field": _model_field(),
        "model-members": _model_members(),
    }


def paths(catalog: Catalog) -> Schema:
    """Return the paths of the services and of the token endpoint."""
    return {
        "/oauth2/token": {"post": _token()},
        "/services/core/query": {"post": _query_call()},
        "/services/core/model": {
            "get": _model_call(described=any(one.model for one in catalog.objects.values()))
        },
    }


def _token() -> Schema:
    fields: Schema = {
        "type": "object",
        "properties": {
            "grant_type": {"enum": ["client_credentials", "refresh_token", "authorization_code"]},
            **dict.fromkeys(("client_id", "client_secret", "refresh_token"), _TEXT),
            **dict.fromkeys(("code", "redirect_uri", "code_verifier"), _TEXT),
            "username": {
                "type": "string",
                "description": "user@company, or user@company|entity",
                "pattern": "^[^@]+@[^|]+(\\|.*)?$",
            },
        },
        "required": ["grant_type", "client_id"],
    }
    refused = response("The request or its credentials are invalid.", schema_ref("refusal-of-token"))
    responses = {
        "200": response("A token.", schema_ref("token")),
        "400": refused,
        "401": response("The client id or secret is wrong.", schema_ref("refusal-of-token")),
        "429": error_responses()["429"],
    }
    content = {"application/x-www-form-urlencoded": {"schema": fields}, JSON: {"schema": fields}}
    return {
        "operationId": "token",
        "summary": "Get a token.",
        "tags": ["oauth2"],
        "security": [],
        "requestBody": {"required": True, "content": content},
        "responses": responses,
    }


def service_operation(
    name: str, summary: str, responses: Schema, *, query: Sequence[Schema] = (), **more: object
) -> Schema:
    """Return the operation of a service.

    :param query: the parameters of the query string.
    """
    return {
        "operationId": name,
        "summary": summary,
        "tags": ["services"],
        "parameters": [*parameters("entity"), *query],
        **more,
        "responses": responses,
    }


def _query_call() -> Schema:
    example = {"object": CUSTOMER, "fields": ["key", "id", "name", "term.id"]}
    rows = envelope({"type": "array", "items": schema_ref("row")}, "metadata-pages")
    body = {"required": True, "content": {JSON: {"schema": schema_ref("query"), "example": example}}}
    responses = {"200": response("A page of rows.", rows), **error_responses(403)}
    return service_operation("query", "Find records.", responses, requestBody=body)


def _query(object_names: list[str]) -> Schema:
    """Return the payload of a query; the fields depend on the object, see the model service."""
    name: Schema = {"type": "string", "minLength": 1}
    flags = ("includeHierarchyFields", "caseSensitiveComparison", "includePrivate")
    settings = {"asOfDate": {"type": "string", "format": "date"}, **dict.fromkeys(flags, _FLAG)}
    expression = f"and, or, or conditions by their number; at most {MAX_DEPTH} parentheses deep"
    filters: Schema = {
        "type": "array",
        "items": {**object_schema(_operators()), "minProperties": 1, "maxProperties": 1},
    }
    direction: Schema = {"enum": ["asc", "desc"]}
    size: Schema = {"type": "integer", "minimum": 1, "maximum": Faults().max_size, "default": DEFAULT_SIZE}
    optional: Schema = {
        "filters": filters,
        "filterExpression": {"type": "string", "description": expression, "default": "and"},
        "filterParameters": object_schema(
            {setting: _or_null(schema) for setting, schema in settings.items()}
        ),
        "orderBy": {"type": "array", "items": {**_PAIR, "additionalProperties": direction}},
        "start": {"type": "integer", "minimum": 1, "maximum": 2**53 - 1, "default": 1},
        "size": size,
    }
    return object_schema(
        {
            "object": {"enum": object_names},
            "fields": {"type": "array", "minItems": 1, "items": name},
            **{member: _or_null(schema) for member, schema in optional.items()},
        },
        ["object", "fields"],
    )


def _or_null(schema: Schema) -> Schema:
    """Return the schema of a member that counts as missing if it is null."""
    return {**schema, "type": [schema["type"], "null"]}


def _operators() -> Schema:
    """Return the operators of filters, each with the schema of its operand."""
    value: Schema = {"type": ["string", "number", "boolean"]}
    sizes = dict.fromkeys(("$in", "$notIn"), (1, None)) | dict.fromkeys(("$between", "$notBetween"), (2, 2))
    operators: Schema = {}
    for operator in OPERATORS:
        operand = _SCALAR if operator in ("$eq", "$ne") else value
        if operator in sizes:
            least, most = sizes[operator]
            operand = {"type": "array", "items": value, "minItems": least} | (
                {"maxItems": most} if most else {}
            )
        operators[operator] = {**_PAIR, "additionalProperties": operand}
    return operators


def _row(catalog: Catalog) -> Schema:
    """Return the schema of a flat row; a name has a type if all objects agree on it."""
    patterns: Schema = {
        "^API_QUERY_ALIAS__[0-9]+$": {"type": "null"},
        "^count:": {"type": "integer", "minimum": 0},
        _name_pattern(["href"]): {
            "type": ["string", "null"],
            "pattern": "^/objects/[^/]+/[^/]+/[0-9A-F]+$",
        },
    }
    for schema, names in _leaves(catalog):
        patterns[_name_pattern(names)] = schema
    # Keys of the audit history are not numbers.
    patterns[_name_pattern(["key"])] = {
        "type": ["string", "null"],
        "pattern": "^([0-9]+|[0-9A-F]*3A[0-9A-F]*)$",
    }
    return {"type": "object", "patternProperties": patterns, "additionalProperties": _SCALAR}


def _leaves(catalog: Catalog) -> list[tuple[Schema, list[str]]]:
    """Return the types other than plain text, each with the names that have it in all objects."""
    types: dict[str, dict[str, Schema]] = {}
    for object_type in catalog.queryable.values():
        for field in object_type.fields:
            schema = value_schema(Field(field.path.rpartition(".")[2], field.kind, field.format), null=True)
            for path in _all_names(object_type, field.path):
                types.setdefault(path.rpartition(".")[2], {})[str(schema)] = schema
    grouped: dict[str, tuple[Schema, list[str]]] = {}
    for name, schemas_ in types.items():
        [text, schema] = next(iter(schemas_.items()))
        if len(schemas_) == 1 and schema != {"type": ["string", "null"]}:
            grouped.setdefault(text, (schema, []))[1].append(name)
    return list(grouped.values())


def _all_names(object_type: ObjectType, path: str) -> list[str]:
    return [path, *(old for old, today in object_type.aliases.items() if today == path)]


def _name_pattern(names: list[str]) -> str:
    """Return the pattern of a name, also of a related record and with the aggregates ``min:`` and ``max:``."""
    return f"^((min|max):)?([^:]*\\.)?({'|'.join(map(re.escape, sorted(names)))})$"


def _model_call(*, described: bool) -> Schema:
    """Return the call of the model service.

    :param described: whether there are objects of a company file, whose models are as they are in the file.
    """
    known = {
        "name": "An object; without it all objects are listed.",
        "type": "What to list: rootObject, which is the default, ownedObject, or object for both.",
        "version": "Has no effect.",
        "schema": "false omits the members of an object; true includes those of listed objects.",
        "description": "Has no effect.",
        "filter": "Lists the names that match this regular expression.",
        "descriptionFilter": "Has no effect.",
        "tags": "Has no effect.",
    }
    kind: Schema = {"enum": [ROOT_OBJECT, OWNED_OBJECT]}
    listed = exact_object({"apiObject": _RESOURCE, "type": kind, "httpMethods": _TEXT})
    properties: Schema = {
        "httpMethods": _TEXT,
        "idempotenceSupported": {"const": True},
        "apiObject": _RESOURCE,
        "type": kind,
        "href": {"type": "string", "pattern": "^/services/core/model[?]version=v1&name=objects/"},
    }
    more: Schema = {"additionalQueryFilterParameters": {"type": "object"}}
    model = object_schema(_maps() | properties | more, properties) | {
        "dependentRequired": {"fields": list(_MAPS)}
    }
    if described:
        names: Schema = {"apiObject": _TEXT, "type": kind, "httpMethods": _TEXT}
        listed = model = {"type": "object", "properties": names, "required": list(names)}
    result = {"anyOf": [model, {"type": "array", "items": {"anyOf": [listed, model]}}]}
    return service_operation(
        "model",
        "Describe an object, or list the objects.",
        {"200": response("The object, or the list.", envelope(result, "metadata")), **error_responses()},
        query=[
            {"name": name, "in": "query", "description": text, "schema": _TEXT}
            for name, text in known.items()
        ],
    )


def _model_members() -> Schema:
    """Return the four maps of an object or a group; one of an object without entries is an empty array."""
    lists: Schema = {"anyOf": [exact_object({"apiObject": _TEXT}), exact_object({"type": _TEXT})]}
    itself = schema_ref("model-members")
    ref = object_schema(
        {
            "apiObject": _TEXT,
            **_maps(),
            "deprecated": {"const": True},
            "isOwner": {"const": True},
        },
        ["apiObject"],
    )
    return object_schema(
        {
            "fields": _map(schema_ref("model-field")),
            "groups": _map(itself),
            "refs": _map(ref),
            "lists": _map(lists),
        }
    )


def _maps() -> Schema:
    return {name: schema_ref(f"model-members/properties/{name}") for name in _MAPS}


def _model_field() -> Schema:
    flags = dict.fromkeys(("readOnly", "writeOnly", "nullable", "mutable"), _FLAG)
    return object_schema(
        {
            "type": {"enum": ["string", "integer", "number", "boolean"]},
            "format": _TEXT,
            "enum": {"type": "array", "items": {"type": ["string", "null"]}, "minItems": 1},
            "default": {"type": ["string", "integer", "number", "boolean"]},
            **flags,
            "required": {"const": False},
            "deprecated": {"const": True},
        },
        ["type", *flags, "required"],
    )


def _map(entry: Schema) -> Schema:
    full = {"type": "object", "minProperties": 1, "additionalProperties": entry}
    return {"anyOf": [full, {"type": "array", "maxItems": 0}]}
