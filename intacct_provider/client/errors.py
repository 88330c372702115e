"""The one place that reads an error response and chooses the exception for it.

Messages carry what Intacct says about the problem and never a request body, a response body, a token or a secret, not
even one that Intacct repeats.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from intacct_provider.client.redaction import clean_text
from intacct_provider.exceptions import (
    ErrorDetail,
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
#: Details, and placeholders, that are kept of one error.
MOST = 20
#: Characters that are kept of each text.
LONGEST = 500


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


def build_error(status: int, error: Any, clean: Callable[[str], str] = clean_text) -> IntacctAPIError:
    """Turn an ``ia::error`` object and its status into the exception that fits.

    :param clean: makes text of the server fit for a message.
    """
    return _ErrorReader(clean).read(status, error)


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
        408: IntacctServerError,
        409: IntacctConflictError,
        425: IntacctServerError,
    }
    return by_status.get(status, IntacctServerError if status >= 500 else IntacctValidationError)


def _as_mapping(value: Any) -> Mapping[str, Any]:
    if isinstance(value, list):
        value = next((item for item in value if isinstance(item, Mapping | str)), {})
    return value if isinstance(value, Mapping) else {"message": value}


class _ErrorReader:
    """Reads error objects; no text gets past :meth:`text`.

    :param clean: makes text of the server fit for a message.
    """

    def __init__(self, clean: Callable[[str], str]) -> None:
        self._clean = clean

    def read(self, status: int, error: Any) -> IntacctAPIError:
        """Return the exception for an error object."""
        fields = _as_mapping(error)
        raw = fields.get("details")
        # Sage sends details as a list, an object or even a string.
        causes = [
            _as_mapping(item) for item in (raw if isinstance(raw, list) else [raw] if raw else [])[:MOST]
        ]
        details = [detail for detail in map(self._read_detail, causes) if any(detail)]
        own = self._read_detail(fields)
        # The gateway puts its ids where others have a code.
        error_id = own.error_id or (own.code if _ERROR_ID.fullmatch(own.code) else "")
        if own.correction:
            details.insert(0, ErrorDetail(correction=own.correction))
        return _choose_type(status, own.code, error_id, own.message)(
            own.message or f"Intacct answered HTTP {status} without a message",
            status=status,
            code=own.code,
            error_id=error_id,
            support_id=self.text(fields.get("supportId")) or self._read_request_id(raw),
            target=own.target or next((detail.target for detail in details if detail.target), ""),
            details=details,
            placeholders=self._read_placeholders(fields, *causes),
        )

    def text(self, value: Any) -> str:
        """Return text or a number as one line of bounded length, so that no response can flood a log; else nothing."""
        if value is None or isinstance(value, Mapping | list):
            return ""
        return self._clean(str(value))[:LONGEST]

    def _read_detail(self, fields: Mapping[str, Any]) -> ErrorDetail:
        correction = self.text(fields.get("correction"))
        return ErrorDetail(
            message=self.text(fields.get("message")),
            error_id=self.text(fields.get("errorId")),
            target=self.text(fields.get("target")),
            code=self.text(fields.get("code")),
            # Sage's own examples have "TODO" there.
            correction="" if correction.upper() in ("TODO", "TBD", "N/A", "NONE") else correction,
        )

    def _read_request_id(self, details: Any) -> str:
        """Return the id that the gateway's errors have instead of a support id."""
        return self.text(details.get("requestId")) if isinstance(details, Mapping) else ""

    def _read_placeholders(self, *places: Mapping[str, Any]) -> dict[str, str]:
        """Return the placeholders of an error and its causes; where a name comes twice, the first counts."""
        found: dict[str, str] = {}
        for place in places:
            for holder in (_as_mapping(place.get("additionalInfo") or {}), place):
                given = holder.get("placeholders")
                for name, value in _flatten(given) if isinstance(given, Mapping) else ():
                    if len(found) < MOST:
                        found.setdefault(self.text(name), self.text(value))
        return found


def _flatten(value: Any, name: str = "", depth: int = 0) -> Iterator[tuple[str, Any]]:
    """Yield the texts and numbers in nested mappings and lists, under dotted names."""
    if not isinstance(value, Mapping | list):
        yield name, "" if value is None else value
    elif isinstance(value, list) and not any(isinstance(item, Mapping | list) for item in value):
        yield name, ", ".join(str(item) for item in value[:MOST] if item is not None)
    elif depth < 5:
        for part, item in list(value.items() if isinstance(value, Mapping) else enumerate(value))[:MOST]:
            yield from _flatten(item, f"{name}.{part}" if name else str(part), depth + 1)
