"""The requests and responses of the API, whether over HTTP or as a part of a composite request."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec

from intacct_provider.sandbox.errors import ApiError, invalid, malformed_payload, payload_missing
from intacct_provider.sandbox.objects.catalog import Catalog

if TYPE_CHECKING:
    from starlette.datastructures import Headers, QueryParams

    from intacct_provider.sandbox.state import Call


Outcome = dict[str, Any] | ApiError
"""The outcome of one record of a batch: its reference, or the error that rejected it."""


@dataclass(frozen=True, slots=True)
class ApiRequest:
    """One request.

    :param path: below ``/ia/api/v1``, decoded.
    :param call: the log entry of the request.
    :param parts: the contents of a multipart form by part name; ``None`` if the body is not a complete form.
    """

    method: str
    path: str
    query: QueryParams
    headers: Headers
    body: bytes
    call: Call
    parts: Mapping[str, bytes] | None = None

    @property
    def idempotency_key(self) -> str | None:
        """The value of ``Idempotency-Key``; ``None`` if missing or empty."""
        return self.headers.get("idempotency-key") or None

    @property
    def atomic(self) -> bool:
        """Whether either all records of a batch are to be written, or none."""
        return self.headers.get("x-ia-api-param-transaction", "").lower() == "true"

    def allow_parameters(self, *known: str) -> None:
        """Reject query parameters other than those.

        :raises ApiError: 400 REST-1034.
        """
        for name in self.query:
            if name not in known:
                text = f"{name} is not a valid query parameter"
                raise ApiError(400, "invalidRequest", text, error_id="REST-1034")


def decode_json(body: bytes, method: str) -> Any:
    """Return the decoded body of a write.

    :raises ApiError: 400 REST-1028 for an empty body, REST-1030 for one that is not JSON.
    """
    if not body.strip():
        raise payload_missing(method)
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise malformed_payload(error) from None


def check_object_name(name: str, catalog: Catalog) -> None:
    """Check the name of an object in a body; a name in an address is checked with the address.

    :raises ApiError: 400 for an unknown name; the message suggests the nearest.
    """
    try:
        catalog.find(name[:100])
    except ValueError as error:
        raise invalid(str(error)) from None


@dataclass(frozen=True, slots=True)
class ApiResponse:
    """A response, before it is encoded.

    :param transactions: what Intacct would bill: 1 for a read that succeeded, 1 for each record written.
    """

    status: int
    body: object = None
    transactions: int = 0
    headers: dict[str, str] = field(default_factory=dict)


def one_result(status: int, result: dict[str, Any] | list[Any], transactions: int) -> ApiResponse:
    """Return a response with a single result; an empty list stands for one without members."""
    return ApiResponse(status, {"ia::result": result, "ia::meta": meta(1, 0)}, transactions)


def error_response(error: ApiError) -> ApiResponse:
    """Return the response that reports an error."""
    return ApiResponse(error.status, error.body(), headers=error.headers)


def meta(success: int, errors: int) -> dict[str, int]:
    """Return ``ia::meta``: how many results there are, and how many of them are errors."""
    return {"totalCount": success + errors, "totalSuccess": success, "totalError": errors}


def with_status(success: int | None, outcome: Outcome) -> dict[str, Any]:
    """Return the outcome of one record as an element of a mixed response.

    :param success: status of one that is not rejected; ``None`` for none.
    """
    if isinstance(outcome, ApiError):
        return {"ia::error": outcome.error(), "ia::status": outcome.status}
    return outcome if success is None else {**outcome, "ia::status": success}
