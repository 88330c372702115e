"""Errors, and the bodies in which Intacct reports them.

Sage documents three shapes and real traffic shows all of them, so the sandbox uses all three: inside
``ia::result`` (the most common), ``ia::error`` at the top (unknown addresses), and the gateway's plain
``error`` (tokens and limits).
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping, Sequence
from typing import Any, Literal

FOREIGN_HOST = (
    "The Host of this request is not a name of the sandbox. It answers under its own address only, so that no page of "
    "another site can reach it; --allow-remote allows any name."
)
Shape = Literal["result", "top", "gateway"]


def support_id() -> str:
    """Return a random reference for Sage's support, in the form of real responses."""
    millis = time.time_ns() // 1_000_000
    return (
        f"{secrets.token_hex(3)}WEB{millis}%7E{secrets.token_urlsafe(15)[:19]}-AAAAB{secrets.choice('ABCDE')}"
    )


class ApiError(Exception):
    """A call or record that is rejected.

    :param status: HTTP status of the response, or of the record in a batch.
    :param code: such as ``invalidRequest``, ``notFound`` or ``operationFailed``.
    :param error_id: such as ``REST-1064``; ``None`` if no id is known.
    :param message_id: such as ``IA.NOT_A_VALID_FIELD``.
    :param target: JSON pointer to the wrong member, for an error in ``details``.
    :param details: the causes of an error that only says that there are some.
    :param shape: which of the three bodies reports it.
    """

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        error_id: str | None = None,
        message_id: str | None = None,
        placeholders: Mapping[str, str] | None = None,
        target: str | None = None,
        details: Sequence[ApiError] = (),
        shape: Shape = "result",
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.error_id = error_id
        self.message_id = message_id
        self.placeholders = dict(placeholders or {})
        self.target = target
        self.details = list(details)
        self.shape = shape
        self.headers = dict(headers or {})

    def error(self) -> dict[str, Any]:
        """Return the ``ia::error`` object, with its members in the order of recorded responses."""
        return {**self._members(), "supportId": support_id(), **self._causes()}

    def body(self) -> dict[str, Any]:
        """Return the whole response."""
        if self.shape == "gateway":
            request_id = secrets.token_hex(16)
            error = {"code": self.code, "message": self.message, "supportId": support_id()}
            return {"error": {**error, "details": {"requestId": request_id}}}
        if self.shape == "top":
            return {"ia::error": self.error()}
        meta = {"totalCount": 1, "totalSuccess": 0, "totalError": 1}
        return {"ia::result": {"ia::error": self.error()}, "ia::meta": meta}

    def _members(self) -> dict[str, Any]:
        members: dict[str, Any] = {"code": self.code, "message": self.message}
        if self.error_id:
            members["errorId"] = self.error_id
        if self.target:
            members["target"] = self.target
        if self.message_id:
            members["additionalInfo"] = {
                "messageId": self.message_id,
                "placeholders": self.placeholders,
                "propertySet": {},
            }
        return members

    def _causes(self) -> dict[str, Any]:
        return {"details": [detail._members() for detail in self.details]} if self.details else {}


def invalid(message: str, *, target: str | None = None, code: str = "invalidRequest") -> ApiError:
    """Return the error for an invalid value; Sage publishes no error id for that."""
    return ApiError(400, code, message, target=target)


def unknown_field(pointer: str) -> ApiError:
    """Return the error for a member that the object does not have, in the words of recorded traffic."""
    name = pointer.strip("/").replace("/", ".")
    return ApiError(400, "invalidRequest", f"The {name} field does not exist", target=pointer)


def read_only_field(pointer: str) -> ApiError:
    """Return the error for a member that only the server sets."""
    return ApiError(
        400,
        "invalidRequest",
        f"{pointer} is a read-only field",
        error_id="REST-1050",
        message_id="IA.READ_ONLY_FIELD",
        placeholders={"FIELD": pointer},
        target=pointer,
    )


def payload_errors(details: Sequence[ApiError]) -> ApiError:
    """Return the wrapper around all errors of one record."""
    return ApiError(
        400,
        "invalidRequest",
        "Payload contains errors",
        error_id="REST-1064",
        message_id="IA.PAYLOAD_CONTAINS_ERRORS",
        details=details,
    )


def malformed_payload(why: object) -> ApiError:
    """Return the error for a body that is not JSON."""
    return ApiError(400, "invalidRequest", f"The payload is not valid JSON: {why}", error_id="REST-1030")


def payload_missing(method: str) -> ApiError:
    """Return the error for a write without a body."""
    return ApiError(
        400,
        "invalidRequest",
        f"A {method} request requires a payload",
        error_id="REST-1028",
        message_id="IA.REQUEST_REQUIRES_A_PAYLOAD",
        placeholders={"OPERATION": method},
    )


def operation_failed(status: int, method: str, object_name: str, detail: ApiError) -> ApiError:
    """Return the wrapper around an error of the application behind the API."""
    resource = f"objects/{object_name}"
    return ApiError(
        status,
        "operationFailed",
        f"{method} request on {resource} was unsuccessful",
        error_id="REST-7001",
        message_id="IA.REQUEST_ON_OBJECT_FAILED",
        placeholders={"OPERATION": method, "RESOURCE_NAME": resource},
        details=[detail],
    )


def not_found(object_name: str, key: str) -> ApiError:
    """Return the error for a key that no visible record has."""
    return ApiError(404, "notFound", f"No {object_name} record has the key {key}")


def unknown_address(path: str) -> ApiError:
    """Return the error for a path that is neither an object nor a service."""
    return ApiError(404, "notFound", f"This sandbox has no resource {path}", shape="top")


def foreign_host() -> ApiError:
    """Return the error for a request under a host name that is not the server's."""
    return ApiError(400, "invalidRequest", FOREIGN_HOST, shape="top")


def skipped_record() -> ApiError:
    """Return the error for a record of an atomic batch, or a part of a composite request, that was not attempted."""
    return ApiError(422, "unprocessed", "Operation skipped due to atomic transaction failure")


def gateway(status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> ApiError:
    """Return an error of the gateway in front of the API."""
    return ApiError(status, code, message, shape="gateway", headers=headers)
