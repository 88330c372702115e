"""The services that take many calls or records at a time, and the small ones that answer a single question."""

from __future__ import annotations

from intacct_provider.sandbox.api.allowed_operations import MAX_KEYS, OPERATIONS
from intacct_provider.sandbox.api.bulk_jobs import NEXT, REQUEST
from intacct_provider.sandbox.api.composite import FEWEST, MOST
from intacct_provider.sandbox.objects.catalog import OBJECTS
from intacct_provider.sandbox.objects.names import CUSTOMER
from intacct_provider.sandbox.openapi.object_paths import parameters
from intacct_provider.sandbox.openapi.responses import CACHED, JSON, answer, enveloped, refusals
from intacct_provider.sandbox.openapi.schemas import Schema, closed, complete, reference_to
from intacct_provider.sandbox.openapi.services import service

_TEXT: Schema = {"type": "string", "minLength": 1}
_NULLABLE: Schema = {"type": ["string", "null"]}
_FLAG: Schema = {"type": "boolean"}
_STATUS: Schema = {"type": "integer", "minimum": 200, "maximum": 499}
_HEADERS: Schema = {"type": "object", "additionalProperties": {"type": "string"}}
_MOMENT: Schema = {
    "type": "string",
    "format": "date-time",
    "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z$",
}
_JOB_ID: Schema = {"type": "string", "pattern": "^[0-9a-f-]{36}$"}
_JOB_URL = "^/services/bulk/job/status[?]jobId=[0-9a-f-]{36}"


def schemas() -> Schema:
    """Return the services' schemas by the name of their component."""
    return {
        "composite-part": _part(),
        "composite-element": _element(),
        "job": complete(
            {
                "jobId": _JOB_ID,
                "statusURL": {"type": "string", "pattern": f"{_JOB_URL}$"},
                "createdDateTime": _MOMENT,
            }
        ),
        "job-status": closed(
            {
                "jobId": _JOB_ID,
                "status": {"enum": [*NEXT, "completed", "failed"]},
                "percentComplete": {"type": "integer", "minimum": 0, "maximum": 100},
                "downloadURL": {"type": "string", "pattern": f"{_JOB_URL}&download=true$"},
                "jobStatusFile": {"type": "string", "pattern": "^[0-9a-f-]{36}-response[.]json$"},
            },
            ["jobId", "status", "percentComplete"],
        ),
        "job-result": _job_result(),
        "dimension": complete(
            {
                **dict.fromkeys(("dimensionName", "dimensionLabel", "termName"), _TEXT),
                **dict.fromkeys(("isUserDefinedDimension", "isEnabledInGL"), _FLAG),
                "dimensionEndpoint": {"type": "string", "pattern": "^/objects/[a-z-]+/[a-z-]+$"},
            }
        ),
    }


def paths() -> Schema:
    """Return the paths of the services."""
    return {
        "/services/core/composite": {"post": _composite()},
        "/services/core/allowed-operations/list": {"post": _allowed_operations()},
        "/services/core/session/id": {"get": _session()},
        "/services/bulk/job/create": {"post": _job_create()},
        "/services/bulk/job/status": {"get": _job_status()},
        "/services/company-config/dimensions/list": {"get": _dimensions()},
    }


def _part() -> Schema:
    ascii_: Schema = {"type": "string", "pattern": r"^[\x00-\x7F]*$"}
    return closed(
        {
            "method": {"enum": ["GET", "POST", "PATCH", "DELETE"]},
            "path": {"type": "string", "pattern": "^/(objects|services)/[a-z_][a-z_0-9.:-]+"},
            "headers": {"type": "object", "propertyNames": ascii_, "additionalProperties": ascii_},
            "body": {"type": ["object", "null"]},
            "resultReference": {"type": ["string", "null"], "pattern": "^[A-Za-z0-9_-]+$"},
        },
        ["method", "path"],
    )


def _element() -> Schema:
    """Return the answer to one part: its body without what is around an error, and its status."""
    error = reference_to("error")
    members: Schema = {
        "ia::result": {"type": ["object", "array"]},
        "ia::meta": {"anyOf": [reference_to(name) for name in _METAS]},
        "ia::error": error,
        "ia::headers": _HEADERS,
        "ia::status": _STATUS,
    }
    gone: Schema = {"properties": {"ia::status": {"const": 204}, **dict.fromkeys(_CONTENT, False)}}
    refused: Schema = {
        "properties": {"ia::status": {"minimum": 400}, "ia::result": False},
        "required": ["ia::error"],
    }
    told: Schema = {"properties": {"ia::error": False}, "required": ["ia::result"]}
    return {**closed(members, ["ia::status"]), "anyOf": [told, refused, gone]}


_METAS = ("metadata", "metadata-pages")
_CONTENT = ("ia::result", "ia::meta", "ia::error")


def _composite() -> Schema:
    part, element = reference_to("composite-part"), reference_to("composite-element")
    schema: Schema = {"type": "array", "items": part, "minItems": FEWEST, "maxItems": MOST}
    example = [
        {"method": "GET", "path": f"/objects/{CUSTOMER}/1", "resultReference": "first"},
        {
            "method": "POST",
            "path": "/services/core/query",
            "body": {"object": CUSTOMER, "fields": ["id"], "filters": [{"$eq": {"id": "@{first.id}"}}]},
        },
    ]
    elements: Schema = {"type": "array", "items": element, "minItems": FEWEST, "maxItems": MOST}
    responses = {
        "200": answer("All have succeeded.", enveloped(elements, "metadata-success")),
        "207": answer(
            "One has failed; those behind it were skipped.", enveloped(elements, "metadata-failed")
        ),
        **refusals(),
    }
    body = {"required": True, "content": {JSON: {"schema": schema, "example": example}}}
    return service("composite", "Carry out several requests in their order.", responses, requestBody=body)


def _allowed_operations() -> Schema:
    keys: Schema = {"type": "array", "items": {"type": "string"}, "minItems": 1, "maxItems": MAX_KEYS}
    options = closed({"includePrivate": _FLAG, "moduleKey": _NULLABLE})
    question = closed(
        {
            "object": {"enum": sorted(OBJECTS)},
            "keys": keys,
            "operations": {
                "type": ["array", "null"],
                "items": {"type": "string"},
                "examples": [list(OPERATIONS)],
            },
            "options": options,
            "additionalData": {"type": ["object", "null"]},
        },
        ["object", "keys"],
    )
    operations: Schema = {"type": "array", "items": {"enum": list(OPERATIONS)}, "uniqueItems": True}
    allowed = complete({"key": {"type": "string"}, "operations": operations})
    listed: Schema = {"type": "array", "items": allowed, "minItems": 1}
    example = {"object": CUSTOMER, "keys": ["1", "2"], "operations": ["canEdit"]}
    body = {"required": True, "content": {JSON: {"schema": question, "example": example}}}
    responses = {"200": answer("What may be done.", enveloped(listed, "metadata-success")), **refusals()}
    return service("allowed-operations", "Ask what may be done with records.", responses, requestBody=body)


def _session() -> Schema:
    session = complete({"sessionId": _TEXT, "expiresIn": {"type": "integer", "minimum": 0}})
    responses = {"200": answer("A session.", enveloped(session, "metadata-one")), **refusals()}
    return service("session-id", "Get a session for the XML API, which the sandbox does not have.", responses)


def _job_create() -> Schema:
    order = closed(
        {
            "objectName": {"enum": sorted(OBJECTS)},
            "operation": {"enum": ["create", "update", "delete"]},
            "jobFile": {"type": "string"},
            "fileContentType": {"const": "json"},
            "callbackURL": _NULLABLE,
        },
        ["objectName", "operation", "jobFile", "fileContentType"],
    )
    schema: Schema = {
        "type": "object",
        "properties": {REQUEST: order, "file": {"type": "string", "description": "A JSON array of records."}},
        "required": [REQUEST, "file"],
    }
    encoding = {REQUEST: {"contentType": JSON}, "file": {"contentType": JSON}}
    example = {
        REQUEST: {
            "objectName": CUSTOMER,
            "operation": "create",
            "jobFile": "customers.json",
            "fileContentType": "json",
        },
        "file": '[{"name": "Example of a job"}]',
    }
    form = {"schema": schema, "encoding": encoding, "example": example}
    queued = answer("The job is queued.", enveloped(reference_to("job"), "metadata-one"), *CACHED)
    parameter = {"jobId": "$response.body#/ia::result/jobId"}
    queued["links"] = {"status": {"operationId": "job-status", "parameters": parameter}}
    responses = {"200": queued, **refusals(409)}
    return service(
        "job-create",
        "Write the records of a file while nobody waits.",
        responses,
        query=parameters("idempotency"),
        requestBody={"required": True, "content": {"multipart/form-data": form}},
    )


def _job_status() -> Schema:
    result = reference_to("job-result")
    status = enveloped(reference_to("job-status"), "metadata-one")
    told = {"anyOf": [status, {"type": "array", "items": result}]}
    download: Schema = {"type": "string", "enum": ["true", "false"]}
    return service(
        "job-status",
        "Ask where a job is, or for its results.",
        {
            "200": answer("Its state, or one element for each record.", told, "Content-Disposition"),
            **refusals(404),
        },
        query=[
            {"name": "jobId", "in": "query", "required": True, "schema": _TEXT},
            {
                "name": "download",
                "in": "query",
                "description": "true: the results, if any",
                "schema": download,
            },
        ],
    )


def _job_result() -> Schema:
    """Return the result of one record: its reference, or its error; either with a status."""
    reference = {"key": _TEXT, "id": {"type": "string"}, "href": {"type": "string", "pattern": "^/objects/"}}
    written = closed({**reference, "ia::status": {"enum": [200, 201, 204]}}, ["ia::status"])
    return {"anyOf": [written, reference_to("record-error")]}


def _dimensions() -> Schema:
    listed: Schema = {"type": "array", "items": reference_to("dimension")}
    responses = {"200": answer("The dimensions.", enveloped(listed, "metadata-success")), **refusals()}
    return service("dimensions", "List what the lines of a transaction can be tagged with.", responses)
