"""The bodies with which Intacct refuses a call.

Sage documents three shapes, and real traffic shows all of them, so the sandbox answers with all of
them: inside ``ia::result`` (the commonest), ``ia::error`` at the top (wrong addresses), and the
gateway's plain ``error`` (tokens and limits).
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping, Sequence
from typing import Any, Literal

Shape = Literal["result", "top", "gateway"]


def support_id() -> str:
    """Return a random reference for Sage's support, in the form that real answers carry."""
    millis = time.time_ns() // 1_000_000
    return (
        f"{secrets.token_hex(3)}WEB{millis}%7E{secrets.token_urlsafe(15)[:19]}-AAAAB{secrets.choice('ABCDE')}"
    )


class ApiError(Exception):
    """A refused call or record.

    :param status: HTTP status of the answer, or of the record within a batch
    :param code: ``invalidRequest``, ``notFound``, ``operationFailed`` and so on
    :param error_id: ``REST-1064`` and the like; ``None`` where no id is known
    :param message_id: ``IA.NOT_A_VALID_FIELD`` and the like
    :param target: JSON pointer to the offending member, for an error among ``details``
    :param details: the causes, when this one only says that there are some
    :param shape: which of the three bodies carries it
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
        """Return the ``ia::error`` object, members in the order of recorded answers."""
        return {**self._facts(), "supportId": support_id(), **self._causes()}

    def body(self) -> dict[str, Any]:
        """Return the whole answer."""
        if self.shape == "gateway":
            request_id = secrets.token_hex(16)
            error = {"code": self.code, "message": self.message, "supportId": support_id()}
            return {"error": {**error, "details": {"requestId": request_id}}}
        if self.shape == "top":
            return {"ia::error": self.error()}
        meta = {"totalCount": 1, "totalSuccess": 0, "totalError": 1}
        return {"ia::result": {"ia::error": self.error()}, "ia::meta": meta}

    def _facts(self) -> dict[str, Any]:
        facts: dict[str, Any] = {"code": self.code, "message": self.message}
        if self.error_id:
            facts["errorId"] = self.error_id
        if self.target:
            facts["target"] = self.target
        if self.message_id:
            facts["additionalInfo"] = {
                "messageId": self.message_id,
                "placeholders": self.placeholders,
                "propertySet": {},
            }
        return facts

    def _causes(self) -> dict[str, Any]:
        return {"details": [detail._facts() for detail in self.details]} if self.details else {}


def invalid(message: str, *, target: str | None = None, code: str = "invalidRequest") -> ApiError:
    """Return a refusal of one value, for which Sage publishes no error id."""
    return ApiError(400, code, message, target=target)


def unknown_field(pointer: str) -> ApiError:
    """Return the refusal of a member that the object does not have."""
    return ApiError(
        400,
        "invalidRequest",
        f"{pointer} is not a valid field",
        error_id="REST-1043",
        message_id="IA.NOT_A_VALID_FIELD",
        placeholders={"FIELD": pointer},
        target=pointer,
    )


def read_only_field(pointer: str) -> ApiError:
    """Return the refusal of a member that only the server sets."""
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
    """Return the wrapper that Sage puts around everything wrong with one record."""
    return ApiError(
        400,
        "invalidRequest",
        "Payload contains errors",
        error_id="REST-1064",
        message_id="IA.PAYLOAD_CONTAINS_ERRORS",
        details=details,
    )


def payload_missing(method: str) -> ApiError:
    """Return the refusal of a write without a body."""
    return ApiError(
        400,
        "invalidRequest",
        f"A {method} request requires a payload",
        error_id="REST-1028",
        message_id="IA.REQUEST_REQUIRES_A_PAYLOAD",
        placeholders={"OPERATION": method},
    )


def operation_failed(status: int, method: str, object_name: str, detail: ApiError) -> ApiError:
    """Return the wrapper around what the application behind the API refuses."""
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
    """Return the answer to a key that no visible record has."""
    return ApiError(404, "notFound", f"No {object_name} record has the key {key}")


def unknown_address(path: str) -> ApiError:
    """Return the answer to a path that is no object and no service."""
    return ApiError(404, "notFound", f"{path} is not a resource of this API", shape="top")


def skipped() -> ApiError:
    """Return what an atomic batch says of its records that were right."""
    return ApiError(422, "unprocessed", "Operation skipped due to atomic transaction failure")


def gateway(status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> ApiError:
    """Return an error of the gateway in front of the API."""
    return ApiError(status, code, message, shape="gateway", headers=headers)
