"""Requests and responses of a sandbox with variants: what the operations behind them do not know of."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import msgspec
from starlette.datastructures import Headers

from intacct_provider.sandbox.api.messages import ApiRequest, ApiResponse
from intacct_provider.sandbox.errors import invalid
from intacct_provider.sandbox.faults.error_forms import vary_errors, vary_status
from intacct_provider.sandbox.faults.plan import Faults
from intacct_provider.sandbox.objects.audit_history import AUDIT_HISTORY
from intacct_provider.sandbox.objects.names import CUSTOMER
from intacct_provider.sandbox.query.columns import AGGREGATES
from intacct_provider.sandbox.query.relative_dates import MACROS

QUERY = "/services/core/query"
MODEL = "/services/core/model"
_ENTITY, _OTHER_ENTITY = "x-ia-api-param-entity", "x-ia-api-paramentity"
_NEW_CUSTOMER = ("POST", f"/objects/{CUSTOMER}")
_ATOMIC = "x-ia-api-param-transaction"


def vary_request(request: ApiRequest, faults: Faults) -> ApiRequest:
    """Return the request as the operations see it.

    :raises ApiError: if a variant refuses it.
    """
    headers = dict(request.headers)
    if faults.varies("no-idempotency"):
        headers.pop("idempotency-key", None)
    if faults.varies("other-entity-header"):
        headers.pop(_ENTITY, None)
        headers |= {_ENTITY: headers[_OTHER_ENTITY]} if _OTHER_ENTITY in headers else {}
    if faults.varies("batches-all-or-nothing"):
        headers[_ATOMIC] = "true"
    return replace(request, headers=Headers(headers), body=_vary_body(request, faults))


def _vary_body(request: ApiRequest, faults: Faults) -> bytes:
    is_query, is_customer = request.path == QUERY, (request.method, request.path) == _NEW_CUSTOMER
    clears = request.method == "PATCH" and faults.varies("null-keeps-values")
    if not (is_query or clears or (is_customer and faults.varies("customer-ids-required"))):
        return request.body
    try:
        body = msgspec.json.decode(request.body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return request.body
    if is_customer:
        # The rule that an id must not be blank rejects a record without one.
        records = body if isinstance(body, list) else [body]
        named = [{"id": "", **one} if isinstance(one, dict) else one for one in records]
        return msgspec.json.encode(named if isinstance(body, list) else named[0])
    if not isinstance(body, dict):
        return request.body
    if not is_query:
        return msgspec.json.encode({name: value for name, value in body.items() if value is not None})
    _check_query(body, faults)
    if faults.varies("text-ignores-case"):
        given = body.get("filterParameters")
        if given is None or isinstance(given, dict):
            body["filterParameters"] = {**(given or {}), "caseSensitiveComparison": False}
    return msgspec.json.encode(body)


def _check_query(body: Mapping[str, Any], faults: Faults) -> None:
    fields, parameters = body.get("fields"), body.get("filterParameters")
    if faults.varies("no-aggregates") and isinstance(fields, list) and any(map(_is_aggregate, fields)):
        raise invalid("Aggregates are not supported")
    if (
        faults.varies("no-include-private")
        and isinstance(parameters, dict)
        and "includePrivate" in parameters
    ):
        raise invalid("Unrecognized key includePrivate in filterParameters")
    if faults.varies("no-audit-history") and body.get("object") == AUDIT_HISTORY.name:
        raise invalid(f"{AUDIT_HISTORY.name} is not an object that can be queried")
    if faults.varies("no-date-macros") and _has_macro(body.get("filters")):
        raise invalid("A filter has a value that is not a date", code="invalidParameter")


def _is_aggregate(name: object) -> bool:
    return isinstance(name, str) and ":" in name and name.partition(":")[0] in AGGREGATES


def _has_macro(value: object) -> bool:
    if isinstance(value, dict | list):
        return any(map(_has_macro, value.values() if isinstance(value, dict) else value))
    return isinstance(value, str) and value in MACROS


def vary_response(request: ApiRequest, response: ApiResponse, faults: Faults) -> ApiResponse:
    """Return the response as the client gets it."""
    if not isinstance(response.body, dict | list | msgspec.Raw):
        return response
    # What follows changes a copy, since a response may share parts with what is stored.
    body = msgspec.json.decode(msgspec.json.encode(response.body))
    for name, change in _CHANGES.items():
        if faults.varies(name):
            change(request, body)
    # The status is chosen by ids, which a variant may leave out.
    status = vary_status(response.status, body, faults)
    return replace(response, status=status, body=vary_errors(body, faults))


def _leave_out_total(request: ApiRequest, body: dict[str, Any]) -> None:
    if request.path == QUERY:
        body.get("ia::meta", {}).pop("totalCount", None)


def _deny_idempotency(request: ApiRequest, body: dict[str, Any]) -> None:
    for model in _list_models(request, body):
        if "idempotenceSupported" in model:
            model["idempotenceSupported"] = False


def _require_ids(request: ApiRequest, body: dict[str, Any]) -> None:
    for model in _list_models(request, body):
        if model.get("apiObject") == f"objects/{CUSTOMER}" and isinstance(model.get("fields"), dict):
            model["fields"]["id"]["required"] = True


def _leave_out_web_url(request: ApiRequest, body: dict[str, Any]) -> None:
    for model in _list_models(request, body):
        if isinstance(model.get("fields"), dict):
            model["fields"].pop("webURL", None)


def _reverse_batch(request: ApiRequest, body: dict[str, Any]) -> None:
    results = body.get("ia::result") if isinstance(body, dict) else None
    if (
        request.method in ("POST", "PATCH")
        and request.path.startswith("/objects/")
        and isinstance(results, list)
    ):
        results.reverse()


def _list_models(request: ApiRequest, body: Mapping[str, Any]) -> list[dict[str, Any]]:
    found = body.get("ia::result") if request.path == MODEL else None
    return [found] if isinstance(found, dict) else [one for one in found or () if isinstance(one, dict)]


_CHANGES: Mapping[str, Callable[[ApiRequest, Any], None]] = {
    "no-total-count": _leave_out_total,
    "no-idempotency": _deny_idempotency,
    "customer-ids-required": _require_ids,
    "no-web-url": _leave_out_web_url,
    "batch-answers-reversed": _reverse_batch,
}
