"""The token endpoint and the services: query, model and what takes several calls together."""

from __future__ import annotations

import re
from collections.abc import Sequence

from intacct_provider.sandbox.api.model import METHODS, ROOT_OBJECT
from intacct_provider.sandbox.auth import OFFLINE
from intacct_provider.sandbox.faults.plan import Faults
from intacct_provider.sandbox.gateway import BASE
from intacct_provider.sandbox.objects.catalog import QUERYABLE
from intacct_provider.sandbox.objects.definitions import Field, ObjectType
from intacct_provider.sandbox.objects.names import CUSTOMER
from intacct_provider.sandbox.openapi.object_paths import parameters
from intacct_provider.sandbox.openapi.responses import JSON, answer, enveloped, refusals
from intacct_provider.sandbox.openapi.schemas import Schema, closed, complete, reference_to, scalar
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
                "scopes": {OFFLINE: "Answer a refresh token, too."},
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


def schemas() -> Schema:
    """Return the services' schemas by the name of their component."""
    return {
        "token": closed(
            {
                "token_type": {"const": "Bearer"},
                "access_token": _TEXT,
                "refresh_token": _TEXT,
                "expires_in": {"type": "integer", "minimum": 0},
            },
            ["token_type", "access_token", "expires_in"],
        ),
        "query": _query(),
        "row": _row(),
        "model-field": _model_field(),
        "model-members": _model_members(),
    }


def paths() -> Schema:
    """Return the paths of the services, and that of the token."""
    return {
        "/oauth2/token": {"post": _token()},
        "/services/core/query": {"post": _query_call()},
        "/services/core/model": {"get": _model_call()},
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
    refused = answer("The request, or whom it names, is wrong.", reference_to("refusal-of-token"))
    answers = {
        "200": answer("A token.", reference_to("token")),
        "400": refused,
        "401": answer("The application or its secret is wrong.", reference_to("refusal-of-token")),
        "429": refusals()["429"],
    }
    content = {"application/x-www-form-urlencoded": {"schema": fields}, JSON: {"schema": fields}}
    return {
        "operationId": "token",
        "summary": "Get a token.",
        "tags": ["oauth2"],
        "security": [],
        "requestBody": {"required": True, "content": content},
        "responses": answers,
    }


def service(
    name: str, summary: str, responses: Schema, *, query: Sequence[Schema] = (), **more: object
) -> Schema:
    """Return the operation of a service.

    :param query: the parameters of its query string
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
    rows = enveloped({"type": "array", "items": reference_to("row")}, "metadata-pages")
    body = {"required": True, "content": {JSON: {"schema": reference_to("query"), "example": example}}}
    responses = {"200": answer("A page of rows.", rows), **refusals(403)}
    return service("query", "Find records.", responses, requestBody=body)


def _query() -> Schema:
    """Return what a query takes; which fields there are depends on the object, as its model says."""
    name: Schema = {"type": "string", "minLength": 1}
    flags = ("includeHierarchyFields", "caseSensitiveComparison", "includePrivate")
    settings = {"asOfDate": {"type": "string", "format": "date"}, **dict.fromkeys(flags, _FLAG)}
    expression = f"and, or, or conditions by their number; at most {MAX_DEPTH} parentheses deep"
    filters: Schema = {
        "type": "array",
        "items": {**closed(_operators()), "minProperties": 1, "maxProperties": 1},
    }
    direction: Schema = {"enum": ["asc", "desc"]}
    size: Schema = {"type": "integer", "minimum": 1, "maximum": Faults().max_size, "default": DEFAULT_SIZE}
    optional: Schema = {
        "filters": filters,
        "filterExpression": {"type": "string", "description": expression, "default": "and"},
        "filterParameters": closed({setting: _or_null(schema) for setting, schema in settings.items()}),
        "orderBy": {"type": "array", "items": {**_PAIR, "additionalProperties": direction}},
        "start": {"type": "integer", "minimum": 1, "maximum": 2**53 - 1, "default": 1},
        "size": size,
    }
    return closed(
        {
            "object": {"enum": sorted(QUERYABLE)},
            "fields": {"type": "array", "minItems": 1, "items": name},
            **{member: _or_null(schema) for member, schema in optional.items()},
        },
        ["object", "fields"],
    )


def _or_null(schema: Schema) -> Schema:
    """Return the schema of a member that counts as left out when it is null."""
    return {**schema, "type": [schema["type"], "null"]}


def _operators() -> Schema:
    """Return the operators of filters with what each compares a field with."""
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


def _row() -> Schema:
    """Return the schema of a row: flat, and each name of the type that all objects give to it."""
    patterns: Schema = {
        "^API_QUERY_ALIAS__[0-9]+$": {"type": "null"},
        "^count:": {"type": "integer", "minimum": 0},
        _ending(["href"]): {"type": ["string", "null"], "pattern": "^/objects/[a-z-]+/[a-z-]+/[0-9A-F]+$"},
    }
    for schema, names in _leaves():
        patterns[_ending(names)] = schema
    # Those of the audit history are no numbers.
    patterns[_ending(["key"])] = {"type": ["string", "null"], "pattern": "^([0-9]+|[0-9A-F]*3A[0-9A-F]*)$"}
    return {"type": "object", "patternProperties": patterns, "additionalProperties": _SCALAR}


def _leaves() -> list[tuple[Schema, list[str]]]:
    """Return the types that are more than plain text, and the names that have that type wherever they are."""
    types: dict[str, dict[str, Schema]] = {}
    for object_type in QUERYABLE.values():
        for field in object_type.fields:
            schema = scalar(Field(field.path.rpartition(".")[2], field.kind, field.format), null=True)
            for path in _known_as(object_type, field.path):
                types.setdefault(path.rpartition(".")[2], {})[str(schema)] = schema
    grouped: dict[str, tuple[Schema, list[str]]] = {}
    for name, schemas_ in types.items():
        [text, schema] = next(iter(schemas_.items()))
        if len(schemas_) == 1 and schema != {"type": ["string", "null"]}:
            grouped.setdefault(text, (schema, []))[1].append(name)
    return list(grouped.values())


def _known_as(object_type: ObjectType, path: str) -> list[str]:
    return [path, *(old for old, today in object_type.aliases.items() if today == path)]


def _ending(names: list[str]) -> str:
    """Return the pattern of a name, of a related record's name, and of the smallest or largest of either."""
    return f"^((min|max):)?([^:]*\\.)?({'|'.join(map(re.escape, sorted(names)))})$"


def _model_call() -> Schema:
    known = {
        "name": "An object; without it the answer is a list of all objects.",
        "type": "What to list; rootObject is all that there is.",
        "version": "Has no effect.",
        "schema": "false leaves out the members.",
        "description": "Has no effect.",
        "filter": "A regular expression that the listed names match.",
        "descriptionFilter": "Has no effect.",
        "tags": "Has no effect.",
    }
    listed = complete(
        {"apiObject": _RESOURCE, "type": {"const": ROOT_OBJECT}, "httpMethods": {"const": METHODS}}
    )
    facts: Schema = {
        "httpMethods": {"const": METHODS},
        "idempotenceSupported": {"const": True},
        "apiObject": _RESOURCE,
        "type": {"const": ROOT_OBJECT},
        "href": {"type": "string", "pattern": "^/services/core/model[?]version=v1&name=objects/"},
    }
    described = closed(_maps() | facts, facts) | {"dependentRequired": {"fields": list(_MAPS)}}
    result = {"anyOf": [described, {"type": "array", "items": listed}]}
    return service(
        "model",
        "Describe an object, or list the objects.",
        {"200": answer("The object, or the list.", enveloped(result, "metadata")), **refusals()},
        query=[
            {"name": name, "in": "query", "description": text, "schema": _TEXT}
            for name, text in known.items()
        ],
    )


def _model_members() -> Schema:
    """Return the four maps of an object or a group; one without entries is an empty array."""
    lists: Schema = {"anyOf": [complete({"apiObject": _TEXT}), complete({"type": _TEXT})]}
    itself = reference_to("model-members")
    ref = closed(
        {
            "apiObject": _TEXT,
            **_maps(),
            "deprecated": {"const": True},
        },
        ["apiObject", "fields"],
    )
    return complete(
        {
            "fields": _map(reference_to("model-field")),
            "groups": _map(itself),
            "refs": _map(ref),
            "lists": _map(lists),
        }
    )


def _maps() -> Schema:
    return {name: reference_to(f"model-members/properties/{name}") for name in _MAPS}


def _model_field() -> Schema:
    said = dict.fromkeys(("readOnly", "writeOnly", "nullable", "mutable"), _FLAG)
    return closed(
        {
            "type": {"enum": ["string", "integer", "number", "boolean"]},
            "format": _TEXT,
            "enum": {"type": "array", "items": {"type": ["string", "null"]}, "minItems": 1},
            "default": {"type": ["string", "integer", "number", "boolean"]},
            **said,
            "required": {"const": False},
            "deprecated": {"const": True},
        },
        ["type", *said, "required"],
    )


def _map(entry: Schema) -> Schema:
    full = {"type": "object", "minProperties": 1, "additionalProperties": entry}
    return {"anyOf": [full, {"type": "array", "maxItems": 0}]}
