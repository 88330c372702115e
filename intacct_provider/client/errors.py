"""The one place that reads an error response and chooses the exception for it.

Messages carry what Intacct says about the problem and never a request body, a response body, a token or a secret.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from intacct_provider.exceptions import (
    IntacctAPIError,
    IntacctAuthenticationError,
    IntacctConflictError,
    IntacctIdempotencyError,
    IntacctNotFoundError,
    IntacctPermissionError,
    IntacctRateLimitError,
    IntacctServerError,
    IntacctValidationError,
)

#: Error ids that mean "this access token is no longer good", whatever the HTTP status.
#: Recorded traffic shows REST-1206 with HTTP 400, so the status alone is not enough.
TOKEN_ERROR_IDS = frozenset({"REST-1206", "REST-2102", "GW-0040"})
#: The same in words, for responses that carry no id.
_TOKEN_WORDS = re.compile(r"token is not valid|invalid token|expired token", re.IGNORECASE)
_ERROR_ID = re.compile(r"[A-Z]{2,4}-\d{3,5}")


def find_error(body: Any) -> Mapping[str, Any] | None:
    """Return the error object of a response in any documented shape, or None.

    Sage puts it under ``ia::result``, at the top level, or (the gateway and OAuth) under ``error``. Errors of single
    records of a batch are not among them; :func:`find_record_error` finds those.
    """
    if not isinstance(body, Mapping):
        return None
    result = body.get("ia::result")
    if isinstance(result, Mapping) and result.get("ia::error"):
        return _as_mapping(result["ia::error"])
    if body.get("ia::error"):
        return _as_mapping(body["ia::error"])
    if isinstance(body.get("error"), Mapping):
        return _as_mapping(body["error"])
    if body.get("error"):
        return {"code": body["error"], "message": body.get("error_description") or body["error"]}
    return None


def find_record_error(body: Any) -> Mapping[str, Any] | None:
    """Return the first error among the records of a response, or None; some rejections come as a list of one."""
    records = body.get("ia::result") if isinstance(body, Mapping) else body
    found = (find_error(record) for record in records) if isinstance(records, list) else ()
    return next((error for error in found if error), None)


def build_error(status: int, error: Any) -> IntacctAPIError:
    """Turn an ``ia::error`` object and its status into the exception that fits."""
    fields = _as_mapping(error)
    info = _as_mapping(fields.get("additionalInfo") or {})
    details = _read_details(fields.get("details"))
    code = _one_line(fields.get("code"))
    # The gateway puts its ids where others have a code.
    error_id = _one_line(fields.get("errorId")) or (code if _ERROR_ID.fullmatch(code) else "")
    message = _one_line(fields.get("message"))
    return _choose_type(status, code, error_id, message)(
        message or f"Intacct answered HTTP {status} without a message",
        status=status,
        code=code,
        error_id=error_id,
        support_id=_one_line(fields.get("supportId")) or _read_request_id(fields.get("details")),
        target=_one_line(fields.get("target")) or next((d[2] for d in details if d[2]), ""),
        details=details,
        placeholders={k: _one_line(v) for k, v in _as_mapping(info.get("placeholders") or {}).items()},
    )


def is_token_error(error: IntacctAPIError) -> bool:
    """Whether the access token was rejected, in any form that Sage documents or that was recorded.

    HTTP 401; an id of :data:`TOKEN_ERROR_IDS` or the code ``tokenInvalid`` with any status, since REST-1206 came with
    HTTP 400; or, with HTTP 400, words to that effect and no id.
    """
    return _rejects_token(error.status, error.code, error.error_id, error.message)


def _rejects_token(status: int, code: str, error_id: str, message: str) -> bool:
    if status == 401 or error_id in TOKEN_ERROR_IDS or code == "tokenInvalid":
        return True
    return status == 400 and not error_id and _TOKEN_WORDS.search(message) is not None


def _choose_type(status: int, code: str, error_id: str, message: str) -> type[IntacctAPIError]:
    if _rejects_token(status, code, error_id, message) or error_id == "REST-1216":
        return IntacctAuthenticationError
    if code in {"invalid_grant", "invalid_client"}:
        return IntacctAuthenticationError
    if status == 429 or error_id == "GW-0010":
        return IntacctRateLimitError
    if status == 409 and "idempotency" in message.lower():
        return IntacctIdempotencyError
    if error_id == "GW-0001" and status < 400:
        return IntacctServerError
    by_status: dict[int, type[IntacctAPIError]] = {
        403: IntacctPermissionError,
        404: IntacctNotFoundError,
        409: IntacctConflictError,
    }
    return by_status.get(status, IntacctServerError if status >= 500 else IntacctValidationError)


def _read_details(raw: Any) -> tuple[tuple[str, str, str], ...]:
    """Read ``details``, which Sage sends as a list, an object or even a string."""
    items = raw if isinstance(raw, list) else [raw] if raw else []
    read = []
    for item in items[:20]:
        fields = _as_mapping(item)
        message = _one_line(fields.get("message"))
        if message:
            read.append((message, _one_line(fields.get("errorId")), _one_line(fields.get("target"))))
    return tuple(read)


def _read_request_id(details: Any) -> str:
    """Return the id that the gateway's errors have instead of a support id."""
    return _one_line(details.get("requestId")) if isinstance(details, Mapping) else ""


def _as_mapping(value: Any) -> Mapping[str, Any]:
    if isinstance(value, list):
        value = next((item for item in value if isinstance(item, Mapping | str)), {})
    return value if isinstance(value, Mapping) else {"message": _one_line(value)}


def _one_line(value: Any) -> str:
    """Return text or a number as one line of bounded length, so that no response can flood a log; else nothing."""
    if value is None or isinstance(value, Mapping | list):
        return ""
    return " ".join(str(value).split())[:500]
