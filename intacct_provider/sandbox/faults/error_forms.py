"""Errors in the forms that other companies or releases of Intacct have, for the variants of the sandbox."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from intacct_provider.sandbox.faults.plan import Faults

INVALID = 422
_PAYLOAD_ERRORS = "REST-1064"
_NO_FIELD = re.compile(r"The \S+ field does not exist")
_GATEWAY_ID = "GW-"
Error = dict[str, Any]


def vary_errors(body: Any, faults: Faults) -> Any:
    """Change the errors of a body that the caller may change, and return it."""
    if isinstance(body, dict) and isinstance(body.get("error"), dict) and faults.varies("gateway-ia-errors"):
        body["ia::error"] = body.pop("error")
    for name, change in _CHANGES.items():
        if faults.varies(name):
            for holder in _list_holders(body):
                change(holder)
    return body


def vary_status(status: int, body: Any, faults: Faults) -> int:
    """Return the status of a response, by its own errors: those of some records among others do not count."""
    if status != 400 or not faults.varies("invalid-records-422"):
        return status
    return INVALID if any(_is_invalid(holder) for holder in _list_holders(body)) else status


def _list_holders(body: Any) -> Iterator[dict[str, Any]]:
    """Yield everything that has an error."""
    if isinstance(body, dict) and isinstance(body.get("ia::error") or body.get("error"), dict):
        yield body
    for part in body.values() if isinstance(body, dict) else body if isinstance(body, list) else ():
        yield from _list_holders(part)


def _read_error(holder: Mapping[str, Any]) -> Error:
    error: Error = holder.get("ia::error") or holder["error"]
    return error


def _is_invalid(holder: Mapping[str, Any]) -> bool:
    return _read_error(holder).get("errorId") == _PAYLOAD_ERRORS


def _list_details(holder: Mapping[str, Any]) -> list[Error]:
    details = _read_error(holder).get("details")
    return details if isinstance(details, list) else []


def _leave_out_ids(holder: dict[str, Any]) -> None:
    for error in (_read_error(holder), *_list_details(holder)):
        error.pop("errorId", None)
        if str(error.get("code", "")).startswith(_GATEWAY_ID):
            error["code"] = "unauthorized"


def _name_invalid_fields(holder: dict[str, Any]) -> None:
    """Report unknown fields by an id, as in Sage's description."""
    for detail in _list_details(holder):
        if _NO_FIELD.fullmatch(detail["message"]):
            pointer = detail["target"]
            info = {
                "messageId": "IA.NOT_A_VALID_FIELD",
                "placeholders": {"FIELD": pointer},
                "propertySet": {},
            }
            detail |= {
                "message": f"{pointer} is not a valid field",
                "errorId": "REST-1043",
                "additionalInfo": info,
            }


def _set_status(holder: dict[str, Any]) -> None:
    if holder.get("ia::status") == 400 and _is_invalid(holder):
        holder["ia::status"] = INVALID


def _split_corrections(holder: dict[str, Any]) -> None:
    """Say apart from each other that a value is wrong and what is right."""
    for detail in _list_details(holder):
        name = str(detail.get("target") or "").rpartition("/")[2]
        if " must " in detail["message"] and name:
            detail |= {
                "code": "invalidParameter",
                "message": f"Not a valid {name}",
                "correction": detail["message"],
            }


_CHANGES: Mapping[str, Callable[[dict[str, Any]], None]] = {
    "unknown-fields-rest-1043": _name_invalid_fields,
    "invalid-records-422": _set_status,
    "details-with-corrections": _split_corrections,
    "errors-without-ids": _leave_out_ids,
}
