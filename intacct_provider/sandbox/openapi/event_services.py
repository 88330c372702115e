"""The paths of the event queue."""

from __future__ import annotations

from intacct_provider.sandbox.openapi.responses import JSON, envelope, error_responses, response
from intacct_provider.sandbox.openapi.schemas import Schema, exact_object, schema_ref
from intacct_provider.sandbox.openapi.services import service_operation

_UUID: Schema = {"type": "string", "pattern": "^[0-9a-f-]{36}$"}
_BASE64: Schema = {"type": "string", "contentEncoding": "base64", "pattern": "^[A-Za-z0-9+/]*={0,2}$"}


def schemas() -> Schema:
    """Return the schemas of the services by component name."""
    event = exact_object(
        {
            "clientContext": {
                **_BASE64,
                "description": "JSON: object, event, and key and id if they are known.",
            },
            "contentType": {"const": JSON},
            "eventId": _UUID,
            "eventType": {"const": "pull"},
            "payload": {**_BASE64, "description": "The output of the trigger's document template."},
        }
    )
    events: Schema = {"type": "array", "items": schema_ref("event"), "minItems": 1}
    return {"event": event, "event-list": exact_object({"events": events, "ackId": _UUID})}


def paths() -> Schema:
    """Return the paths of the services."""
    return {
        "/services/delivery/event/count": {"get": _count()},
        "/services/delivery/event/list": {"get": _list()},
        "/services/delivery/event/ack": {"post": _acknowledge()},
    }


def _count() -> Schema:
    count = exact_object({"count": {"type": "integer", "minimum": 0}})
    responses = {"200": response("The number.", envelope(count, "metadata-one")), **error_responses()}
    return service_operation("event-count", "Count the events in the queue.", responses)


def _list() -> Schema:
    result: Schema = {"anyOf": [schema_ref("event-list"), {"type": "array", "maxItems": 0}]}
    listed = response("The events, or an empty array.", envelope(result, "metadata-one"))
    listed["links"] = {
        "acknowledge": {
            "operationId": "event-ack",
            "requestBody": {"ackId": "$response.body#/ia::result/ackId"},
        }
    }
    return service_operation(
        "event-list",
        "List the oldest events, again and again until they are acknowledged.",
        {"200": listed, **error_responses()},
    )


def _acknowledge() -> Schema:
    schema: Schema = {
        "type": "object",
        "properties": {"ackId": {"type": "string", "minLength": 1}},
        "required": ["ackId"],
    }
    done = exact_object({"ackId": {"type": "string", "minLength": 1}, "status": {"const": "success"}})
    responses = {
        "200": response("The events are removed.", envelope(done, "metadata-one")),
        **error_responses(404),
    }
    body = {"required": True, "content": {JSON: {"schema": schema}}}
    return service_operation("event-ack", "Remove the events of a list.", responses, requestBody=body)
