"""The shared parts of all responses: headers, counts and error bodies."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from intacct_provider.sandbox.openapi.schemas import Schema, exact_object, object_schema, schema_ref

JSON = "application/json"
CODES = (
    *("invalidRequest", "operationFailed", "invalidKey", "notFound", "unprocessed", "unauthorizedUser"),
    *("tokenInvalid", "invalidParameter", "unableToCreateRecordError", "invalidConfiguration"),
)
TOKEN_ERRORS = ("invalid_client", "invalid_grant", "invalid_request", "unsupported_grant_type")

_COUNT: Schema = {"type": "integer", "minimum": 0}
_SOME: Schema = {"type": "integer", "minimum": 1}
_TEXT: Schema = {"type": "string", "minLength": 1}
_STATUS: Schema = {"type": "integer", "minimum": 400, "maximum": 499}


def counts(success: Schema, error: Schema) -> Schema:
    """Return the block that counts the records of a response."""
    return exact_object({"totalCount": _COUNT, "totalSuccess": success, "totalError": error})


def envelope(result: Schema, meta: str) -> Schema:
    """Return the body around a result."""
    return exact_object({"ia::result": result, "ia::meta": schema_ref(meta)})


def one_or_many_body(result: Schema) -> Schema:
    """Return the body for one record, or for an array in the order of the request."""
    several: Schema = {"type": "array", "items": result, "minItems": 1}
    return {"anyOf": [envelope(result, "metadata-one"), envelope(several, "metadata-success")]}


def mixed_body(success: Schema, status: int | None) -> Schema:
    """Return the body of 207: each element is a record or an error.

    :param status: of the records; ``None`` if they show none.
    """
    if status is not None:
        success = {
            **success,
            "properties": {**success.get("properties", {}), "ia::status": {"const": status}},
            "required": [*success.get("required", ()), "ia::status"],
        }
    items = {"anyOf": [success, schema_ref("record-error")]}
    return envelope({"type": "array", "items": items, "minItems": 2}, "metadata-mixed")


def _error(members: Schema) -> Schema:
    return object_schema(members, ["code", "message"])


def schemas() -> Schema:
    """Return the shared schemas by component name."""
    position: Schema = {"type": ["integer", "null"], "minimum": 1}
    return {
        "metadata": counts(_COUNT, _COUNT),
        "metadata-one": exact_object(
            {name: {"const": n} for name, n in zip(_COUNTS, (1, 1, 0), strict=True)}
        ),
        "metadata-success": counts(_SOME, {"const": 0}),
        "metadata-mixed": counts(_SOME, _SOME),
        "metadata-failed": counts(_COUNT, _SOME),
        "metadata-errors": counts({"const": 0}, _SOME),
        "metadata-pages": object_schema(
            {"totalCount": _COUNT, "start": _SOME, "pageSize": _SOME, "next": position, "previous": position},
            ["totalCount", "start", "pageSize"],
        ),
        **_error_schemas(),
    }


def _error_schemas() -> Schema:
    cause: Schema = {
        "code": {"enum": list(CODES)},
        "message": _TEXT,
        "errorId": {"type": "string", "pattern": "^[A-Z]+-?[0-9]+$"},
        "target": {"type": "string", "pattern": "^(/|$)"},
        "additionalInfo": exact_object(
            {
                "messageId": {"type": "string", "pattern": r"^IA\.[A-Z_]+$"},
                "placeholders": {"type": "object", "additionalProperties": {"type": "string"}},
                "propertySet": {"type": "object"},
            }
        ),
    }
    details: Schema = {"type": "array", "items": _error(cause), "minItems": 1}
    error = _error({**cause, "supportId": _TEXT, "details": details})
    error["required"].append("supportId")
    gateway_error: Schema = {
        "code": {"type": "string", "pattern": "^GW-[0-9]{4}$"},
        "message": _TEXT,
        "supportId": _TEXT,
        "details": exact_object({"requestId": _TEXT}),
    }
    one, several = schema_ref("error"), {"type": "array", "items": schema_ref("record-error")}
    return {
        "error": error,
        "record-error": exact_object({"ia::error": one, "ia::status": _STATUS}),
        "refusal": envelope(exact_object({"ia::error": one}), "metadata-errors"),
        "refusal-of-records": envelope({**several, "minItems": 1}, "metadata-errors"),
        "refusal-of-address": exact_object({"ia::error": one}),
        "refusal-of-gateway": exact_object({"error": exact_object(gateway_error)}),
        "refusal-of-token": exact_object({"error": {"enum": list(TOKEN_ERRORS)}, "error_description": _TEXT}),
    }


_COUNTS = ("totalCount", "totalSuccess", "totalError")


def headers() -> Schema:
    """Return the headers by component name."""
    number: Schema = {"type": "integer", "minimum": 0}
    timestamp: Schema = {
        "type": "string",
        "pattern": "^[A-Z][a-z]{2}, [0-9]{2} [A-Z][a-z]{2} [0-9]{4} [0-9:]{8} GMT$",
    }
    described = {
        "Date": ("The server's time.", timestamp),
        "X-IA-Throttle-Limit": ("Maximum calls in flight of the application.", number),
        "X-IA-Throttle-Limit-Remaining": ("How many more are allowed now.", number),
        "X-IA-TENANT-Throttle-Limit": ("Maximum calls in flight of the company.", number),
        "X-IA-TENANT-Throttle-Limit-Remaining": ("How many more are allowed now.", number),
        "Retry-After": ("Seconds to wait.", number),
        "X-IA-Throttle-Limit-Retry-After": ("Seconds to wait.", number),
        "Allow": ("The supported methods.", {"type": "string", "minLength": 1}),
        "Content-Disposition": (
            "The name of the file.",
            {"type": "string", "pattern": "^attachment; filename="},
        ),
        "Idempotency-Key": ("The key of the request.", {"type": "string", "maxLength": 256}),
        "x-ia-idempotency-cached-date": ("When the repeated response was first sent.", timestamp),
    }
    return {
        name: {"description": text, "required": name not in _OPTIONAL, "schema": schema}
        for name, (text, schema) in described.items()
    }


CACHED = ("Idempotency-Key", "x-ia-idempotency-cached-date")
_OPTIONAL = (*CACHED, "Content-Disposition")
ALWAYS = (
    "Date",
    *(f"X-IA-{whose}Throttle-Limit{what}" for whose in ("", "TENANT-") for what in ("", "-Remaining")),
)
_ERRORS: Mapping[int, tuple[str, tuple[str, ...]]] = {
    400: ("The request is invalid, or its token was never issued.", CACHED),
    404: ("No record has the key.", ()),
    405: ("The address does not support the method.", ("Allow",)),
    409: ("The id or the Idempotency-Key is already used.", CACHED),
}
_RECORD_ERRORS = {**_ERRORS, 422: ("A rule does not allow it.", ())}
_GATEWAY_ERRORS: Mapping[int, tuple[str, tuple[str, ...]]] = {
    401: ("The token is missing or has expired.", ()),
    403: ("The user may not see the object.", ()),
    429: ("Too many calls are in flight.", ("Retry-After", "X-IA-Throttle-Limit-Retry-After")),
}


def response(text: str, schema: Schema | None, *more_headers: str, media_type: str = JSON) -> Schema:
    """Return one response of an operation; without a schema it has no body."""
    names = (*ALWAYS, *more_headers)
    response: dict[str, Any] = {
        "description": text,
        "headers": {name: {"$ref": f"#/components/headers/{name}"} for name in names},
    }
    return response | ({"content": {media_type: {"schema": schema}}} if schema else {})


def responses() -> Schema:
    """Return the error responses by name: ``refusal-404``, and ``records-404`` for calls on several records."""
    address_error = schema_ref("refusal-of-address")
    named: Schema = {
        "version-400": response("The API does not have the version.", address_error),
        "address-404": response("The API does not have the address.", address_error),
    }
    for status, (text, more) in _GATEWAY_ERRORS.items():
        named[f"refusal-{status}"] = response(text, schema_ref("refusal-of-gateway"), *more)
    for status, (text, more) in _ERRORS.items():
        named[f"refusal-{status}"] = response(text, schema_ref("refusal"), *more)
    either: Schema = {"anyOf": [schema_ref("refusal"), schema_ref("refusal-of-records")]}
    for status in (400, 404, 409, 422):
        named[f"records-{status}"] = response(_RECORD_ERRORS[status][0], either, *CACHED)
    return named


def error_responses(*statuses: int, records: bool = False) -> Schema:
    """Return the error responses of an operation by status: the given ones, and 400, 401 and 429, which all have.

    :param records: whether the call can be on several records.
    """
    both = (400, *statuses) if records else ()
    return {
        str(status): {"$ref": f"#/components/responses/{'records' if status in both else 'refusal'}-{status}"}
        for status in sorted({400, 401, 429, *statuses})
    }
