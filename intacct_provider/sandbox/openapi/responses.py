"""What all answers share: headers, counts, and the bodies that refuse a call."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from intacct_provider.sandbox.openapi.schemas import Schema, closed, complete, reference_to

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
    """Return the block that counts the records of an answer."""
    return complete({"totalCount": _COUNT, "totalSuccess": success, "totalError": error})


def enveloped(result: Schema, meta: str) -> Schema:
    """Return the body around a result."""
    return complete({"ia::result": result, "ia::meta": reference_to(meta)})


def one_or_several(result: Schema) -> Schema:
    """Return the body for one record, or for an array of them in the order of the request."""
    several: Schema = {"type": "array", "items": result, "minItems": 1}
    return {"anyOf": [enveloped(result, "metadata-one"), enveloped(several, "metadata-success")]}


def mixed(success: Schema, status: int) -> Schema:
    """Return the body of 207: each element is a record or an error, and carries its status."""
    done = {
        **success,
        "properties": {**success.get("properties", {}), "ia::status": {"const": status}},
        "required": [*success.get("required", ()), "ia::status"],
    }
    items = {"anyOf": [done, reference_to("record-error")]}
    return enveloped({"type": "array", "items": items, "minItems": 2}, "metadata-mixed")


def _error(members: Schema) -> Schema:
    return closed(members, ["code", "message"])


def schemas() -> Schema:
    """Return the shared schemas by name."""
    cause: Schema = {
        "code": {"enum": list(CODES)},
        "message": _TEXT,
        "errorId": {"type": "string", "pattern": "^[A-Z]+-?[0-9]+$"},
        "target": {"type": "string", "pattern": "^(/|$)"},
        "additionalInfo": complete(
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
    position: Schema = {"type": ["integer", "null"], "minimum": 1}
    of_gateway: Schema = {
        "code": {"type": "string", "pattern": "^GW-[0-9]{4}$"},
        "message": _TEXT,
        "supportId": _TEXT,
        "details": complete({"requestId": _TEXT}),
    }
    one, several = reference_to("error"), {"type": "array", "items": reference_to("record-error")}
    return {
        "metadata": counts(_COUNT, _COUNT),
        "metadata-one": complete({name: {"const": n} for name, n in zip(_COUNTS, (1, 1, 0), strict=True)}),
        "metadata-success": counts(_SOME, {"const": 0}),
        "metadata-mixed": counts(_SOME, _SOME),
        "metadata-failed": counts(_COUNT, _SOME),
        "metadata-errors": counts({"const": 0}, _SOME),
        "metadata-pages": complete(
            {"totalCount": _COUNT, "start": _SOME, "pageSize": _SOME, "next": position, "previous": position}
        ),
        "error": error,
        "record-error": complete({"ia::error": one, "ia::status": _STATUS}),
        "refusal": enveloped(complete({"ia::error": one}), "metadata-errors"),
        "refusal-of-records": enveloped({**several, "minItems": 1}, "metadata-errors"),
        "refusal-of-address": complete({"ia::error": one}),
        "refusal-of-gateway": complete({"error": complete(of_gateway)}),
        "refusal-of-token": complete({"error": {"enum": list(TOKEN_ERRORS)}, "error_description": _TEXT}),
    }


_COUNTS = ("totalCount", "totalSuccess", "totalError")


def headers() -> Schema:
    """Return the headers by the name of their component."""
    number: Schema = {"type": "integer", "minimum": 0}
    moment: Schema = {
        "type": "string",
        "pattern": "^[A-Z][a-z]{2}, [0-9]{2} [A-Z][a-z]{2} [0-9]{4} [0-9:]{8} GMT$",
    }
    described = {
        "Date": ("The server's time.", moment),
        "X-IA-Throttle-Limit": ("Calls in flight that the application may have.", number),
        "X-IA-Throttle-Limit-Remaining": ("How many of them are free.", number),
        "X-IA-TENANT-Throttle-Limit": ("Calls in flight that the company may have.", number),
        "X-IA-TENANT-Throttle-Limit-Remaining": ("How many of them are free.", number),
        "Retry-After": ("Seconds to wait.", number),
        "X-IA-Throttle-Limit-Retry-After": ("Seconds to wait.", number),
        "Allow": ("The methods that the address takes.", {"type": "string", "minLength": 1}),
        "Content-Disposition": (
            "The name of the file.",
            {"type": "string", "pattern": "^attachment; filename="},
        ),
        "Idempotency-Key": ("The key of the request.", {"type": "string", "maxLength": 256}),
        "x-ia-idempotency-cached-date": ("When the answer that is given again was made.", moment),
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
_REFUSALS: Mapping[int, tuple[str, tuple[str, ...]]] = {
    400: ("The request is wrong, or its token was never issued.", CACHED),
    404: ("There is nothing with that key.", ()),
    405: ("The address does not take the method.", ("Allow",)),
    409: ("Another record has the id, or another request the Idempotency-Key.", CACHED),
}
_OF_RECORDS = {**_REFUSALS, 422: ("A rule forbids it.", ())}
_OF_GATEWAY: Mapping[int, tuple[str, tuple[str, ...]]] = {
    401: ("There is no token, or it has expired.", ()),
    403: ("The user may not see the object.", ()),
    429: ("Too many calls are in flight.", ("Retry-After", "X-IA-Throttle-Limit-Retry-After")),
}


def answer(text: str, schema: Schema | None, *more_headers: str, media_type: str = JSON) -> Schema:
    """Return one answer of an operation; ``None`` as schema for an empty one."""
    names = (*ALWAYS, *more_headers)
    response: dict[str, Any] = {
        "description": text,
        "headers": {name: {"$ref": f"#/components/headers/{name}"} for name in names},
    }
    return response | ({"content": {media_type: {"schema": schema}}} if schema else {})


def responses() -> Schema:
    """Return the refusals by name: ``refusal-404``, and ``records-404`` where several records may be meant."""
    elsewhere = reference_to("refusal-of-address")
    named: Schema = {
        "version-400": answer("The API has no such version.", elsewhere),
        "address-404": answer("The API has no such address.", elsewhere),
    }
    for status, (text, more) in _OF_GATEWAY.items():
        named[f"refusal-{status}"] = answer(text, reference_to("refusal-of-gateway"), *more)
    for status, (text, more) in _REFUSALS.items():
        named[f"refusal-{status}"] = answer(text, reference_to("refusal"), *more)
    either: Schema = {"anyOf": [reference_to("refusal"), reference_to("refusal-of-records")]}
    for status in (400, 404, 409, 422):
        named[f"records-{status}"] = answer(_OF_RECORDS[status][0], either, *CACHED)
    return named


def refusals(*statuses: int, records: bool = False) -> Schema:
    """Return the refusals of an operation by status: those given, and 400, 401 and 429, which every one has.

    :param records: one record or several may be refused
    """
    both = (400, *statuses) if records else ()
    return {
        str(status): {"$ref": f"#/components/responses/{'records' if status in both else 'refusal'}-{status}"}
        for status in sorted({400, 401, 429, *statuses})
    }
