"""The paths of the composite and bulk services, and of the smaller services."""

from __future__ import annotations

from intacct_provider.sandbox.api.allowed_operations import MAX_KEYS, OPERATIONS
from intacct_provider.sandbox.api.bulk_jobs import NEXT, REQUEST
from intacct_provider.sandbox.api.composite import FEWEST, MOST
from intacct_provider.sandbox.objects.names import CUSTOMER
from intacct_provider.sandbox.openapi.object_paths import parameters
from intacct_provider.sandbox.openapi.responses import CACHED, JSON, envelope, error_responses, response
from intacct_provider.sandbox.openapi.schemas import Schema, exact_object, object_schema, schema_ref
from intacct_provider.sandbox.openapi.services import service_operation

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
    """Return the schemas of the services by component name."""
    return {
        "composite-part": _part(),
        "composite-element": _element(),
        "job": exact_object(
            {
                "jobId": _JOB_ID,
                "statusURL": {"type": "string", "pattern": f"{_JOB_URL}$"},
                "createdDateTime": _MOMENT,
            }
        ),
        "job-status": object_schema(
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
        "dimension": exact_object(
            {
                **dict.fromkeys(("dimensionName", "dimensionLabel", "termName"), _TEXT),
                **dict.fromkeys(("isUserDefinedDimension", "isEnabledInGL"), _FLAG),
                "dimensionEndpoint": {"type": "string", "pattern": "^/objects/[^/]+/[^/]+$"},
            }
        ),
    }


def paths(object_names: list[str]) -> Schema:
    """Return the paths of the services."""
    return {
        "/services/core/composite": {"post": _composite()},
        "/services/core/allowed-operations/list": {"post": _allowed_operations(object_names)},
        "/services/core/session/id": {"get": _session()},
        "/services/bulk/job/create": {"post": _job_create(object_names)},
        "/services/bulk/job/status": {"get": _job_status()},
        "/services/company-config/dimensions/list": {"get": _dimensions()},
    }


def _part() -> Schema:
    ascii_: Schema = {"type": "string", "pattern": r"^[\x00-\x7F]*$"}
    return object_schema(
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
    """Return the response to one part: its body, with an error at the top, and its status."""
    error = schema_ref("error")
    members: Schema = {
        "ia::result": {"type": ["object", "array"]},
        "ia::meta": {"anyOf": [schema_ref(name) for name in _METAS]},
        "ia::error": error,
        "ia::headers": _HEADERS,
        "ia::status": _STATUS,
    }
    empty: Schema = {"properties": {"ia::status": {"const": 204}, **dict.fromkeys(_CONTENT, False)}}
    error_element: Schema = {
        "properties": {"ia::status": {"minimum": 400}, "ia::result": False},
        "required": ["ia::error"],
    }
    success: Schema = {"properties": {"ia::error": False}, "required": ["ia::result"]}
    return {**object_schema(members, ["ia::status"]), "anyOf": [success, error_element, empty]}


_METAS = ("metadata", "metadata-pages")
_CONTENT = ("ia::result", "ia::meta", "ia::error")


def _composite() -> Schema:
    part, element = schema_ref("composite-part"), schema_ref("composite-element")
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
        "200": response("All succeed.", envelope(elements, "metadata-success")),
        "207": response("One has failed; later ones are skipped.", envelope(elements, "metadata-failed")),
        **error_responses(),
    }
    body = {"required": True, "content": {JSON: {"schema": schema, "example": example}}}
    return service_operation("composite", "Carry out several requests in order.", responses, requestBody=body)


def _allowed_operations(object_names: list[str]) -> Schema:
    keys: Schema = {"type": "array", "items": {"type": "string"}, "minItems": 1, "maxItems": MAX_KEYS}
    options = object_schema({"includePrivate": _FLAG, "moduleKey": _NULLABLE})
    question = object_schema(
        {
            "object": {"enum": object_names},
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
    allowed = exact_object({"key": {"type": "string"}, "operations": operations})
    listed: Schema = {"type": "array", "items": allowed, "minItems": 1}
    example = {"object": CUSTOMER, "keys": ["1", "2"], "operations": ["canEdit"]}
    body = {"required": True, "content": {JSON: {"schema": question, "example": example}}}
    responses = {
        "200": response("The allowed operations.", envelope(listed, "metadata-success")),
        **error_responses(),
    }
    return service_operation(
        "allowed-operations", "Get the operations that are allowed on records.", responses, requestBody=body
    )


def _session() -> Schema:
    session = exact_object({"sessionId": _TEXT, "expiresIn": {"type": "integer", "minimum": 0}})
    responses = {"200": response("A session.", envelope(session, "metadata-one")), **error_responses()}
    return service_operation(
        "session-id", "Get a session for the XML API, which the sandbox does not have.", responses
    )


def _job_create(object_names: list[str]) -> Schema:
    order = object_schema(
        {
            "objectName": {"enum": object_names},
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
    queued = response("The job is queued.", envelope(schema_ref("job"), "metadata-one"), *CACHED)
    parameter = {"jobId": "$response.body#/ia::result/jobId"}
    queued["links"] = {"status": {"operationId": "job-status", "parameters": parameter}}
    responses = {"200": queued, **error_responses(409)}
    return service_operation(
        "job-create",
        "Write the records of a file in the background.",
        responses,
        query=parameters("idempotency"),
        requestBody={"required": True, "content": {"multipart/form-data": form}},
    )


def _job_status() -> Schema:
    result = schema_ref("job-result")
    status = envelope(schema_ref("job-status"), "metadata-one")
    body = {"anyOf": [status, {"type": "array", "items": result}]}
    download: Schema = {"type": "string", "enum": ["true", "false"]}
    return service_operation(
        "job-status",
        "Get the status of a job, or its results.",
        {
            "200": response("Its status, or one element for each record.", body, "Content-Disposition"),
            **error_responses(404),
        },
        query=[
            {"name": "jobId", "in": "query", "required": True, "schema": _TEXT},
            {
                "name": "download",
                "in": "query",
                "description": "true for the results, if the job has ended",
                "schema": download,
            },
        ],
    )


def _job_result() -> Schema:
    """Return the result of one record: its reference or its error, with a status."""
    reference = {"key": _TEXT, "id": {"type": "string"}, "href": {"type": "string", "pattern": "^/objects/"}}
    written = object_schema({**reference, "ia::status": {"enum": [200, 201, 204]}}, ["ia::status"])
    return {"anyOf": [written, schema_ref("record-error")]}


def _dimensions() -> Schema:
    listed: Schema = {"type": "array", "items": schema_ref("dimension")}
    responses = {
        "200": response("The dimensions.", envelope(listed, "metadata-success")),
        **error_responses(),
    }
    return service_operation(
        "dimensions", "List what the lines of a transaction can be tagged with.", responses
    )
