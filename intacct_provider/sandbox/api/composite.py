"""The composite service: 2 to 10 requests in one call, each of which can use the results of earlier ones.

They are carried out in order, each in a transaction of its own, until one fails. Earlier ones are not undone, later
ones are reported as unprocessed. A batch with any rejected record counts as failed.

A part inherits ``Authorization``, ``Content-Type`` and ``Accept`` from the call, and no other header: an entity or
idempotency key of the call does not apply to its parts.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal
from urllib.parse import quote, unquote, urlsplit

import msgspec
from starlette.datastructures import Headers, QueryParams

from intacct_provider.sandbox.api.messages import ApiRequest, ApiResponse, meta
from intacct_provider.sandbox.errors import ApiError, invalid, payload_errors, skipped_record

PATH = "/services/core/composite"
FEWEST, MOST = 2, 10
INHERITED = ("authorization", "content-type", "accept")
REFERENCE = re.compile(r"@\{([^{}]*)\}")
_NAME = re.compile(r"[A-Za-z0-9_-]+")
_PATH = re.compile(r"/(objects|services)/[a-z_][a-z_0-9.:-]+.*", re.DOTALL)
_MOST_DIGITS = 5

Handler = Callable[[ApiRequest], ApiResponse]


class Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """One of the requests.

    :param path: below ``/ia/api/v1``, with its query string.
    :param result_reference: the name by which later parts refer to its result.
    """

    method: Literal["GET", "POST", "PATCH", "DELETE"]
    path: str
    headers: dict[str, str] = {}
    body: dict[str, Any] | None = None
    result_reference: str | None = None


def read_parts(payload: object) -> list[Part]:
    """Return the parts in a decoded body.

    :raises ApiError: 400 if any part is invalid; the details name everything that is wrong.
    """
    if not isinstance(payload, list) or not FEWEST <= len(payload) <= MOST:
        count = f", not {len(payload)}" if isinstance(payload, list) else ""
        raise invalid(f"A composite request is an array of {FEWEST} to {MOST} requests{count}")
    parts: list[Part] = []
    problems: list[ApiError] = []
    for position, given in enumerate(payload):
        try:
            parts.append(msgspec.convert(given, Part))
        except msgspec.ValidationError as error:
            problems.append(invalid(f"Request {position + 1}: {error}", target=f"/{position}"))
    if not problems:
        problems = [problem for position in range(len(parts)) for problem in _find_problems(parts, position)]
    if problems:
        raise payload_errors(problems)
    return parts


def run(parts: Sequence[Part], outer: ApiRequest, handle: Handler) -> ApiResponse:
    """Carry out the parts and return their responses in order: 200 if all succeed, else 207.

    Each is billed like a call of its own; the log entry of the call has the sum.
    """
    results: dict[str, Any] = {}
    elements: list[dict[str, Any]] = []
    for part in parts:
        element = _handle_part(part, outer, results, handle)
        elements.append(element)
        if not _is_success(element):
            break
        if part.result_reference:
            results[part.result_reference] = element.get("ia::result")
    done = sum(map(_is_success, elements))
    elements += [_error_element(skipped_record()) for _ in parts[len(elements) :]]
    counts = meta(done, len(parts) - done)
    return ApiResponse(200 if done == len(parts) else 207, {"ia::result": elements, "ia::meta": counts})


def _handle_part(
    part: Part, outer: ApiRequest, results: Mapping[str, Any], handle: Handler
) -> dict[str, Any]:
    try:
        request = _build_request(part, outer, results)
    except ApiError as error:
        return _error_element(error)
    response = handle(request)
    outer.call.transactions += request.call.transactions
    outer.call.rows += request.call.rows
    return _build_element(response)


def _build_request(part: Part, outer: ApiRequest, results: Mapping[str, Any]) -> ApiRequest:
    """Return a part as a request of its own, with its references to results replaced.

    :raises ApiError: 400 if a result does not have the value.
    """
    resolved = REFERENCE.sub(lambda found: quote(_find_text(found[1], results), safe=""), part.path)
    address = urlsplit(resolved)
    path = unquote(address.path)
    if path == PATH:
        raise invalid("A composite request cannot be a part of another")
    headers = {name.lower(): value for name, value in part.headers.items()}
    headers |= {name: outer.headers[name] for name in INHERITED if name in outer.headers}
    call = replace(
        outer.call, method=part.method, path=path, name=path.removeprefix("/"), transactions=0, rows=0
    )
    body = b"" if part.body is None else msgspec.json.encode(_fill_body(part.body, results))
    return ApiRequest(part.method, path, QueryParams(address.query), Headers(headers), body, call)


def _build_element(response: ApiResponse) -> dict[str, Any]:
    """Return a response as an element of the composite response: with its status, and with an error at the top."""
    body = msgspec.json.decode(response.body) if isinstance(response.body, msgspec.Raw) else response.body
    content: dict[str, Any] = body if isinstance(body, dict) else {} if body is None else {"ia::result": body}
    result = content.get("ia::result")
    if isinstance(result, dict) and "ia::error" in result:
        content = result
    headers = {"ia::headers": response.headers} if response.headers else {}
    return {**content, **headers, "ia::status": response.status}


def _error_element(error: ApiError) -> dict[str, Any]:
    return {"ia::error": error.error(), "ia::status": error.status}


def _is_success(element: Mapping[str, Any]) -> bool:
    return element["ia::status"] in (200, 201, 204)


def _find_problems(parts: Sequence[Part], position: int) -> Iterator[ApiError]:
    """Yield the errors of a part that are known before anything is carried out."""
    part, earlier = parts[position], [one.result_reference for one in parts[:position]]
    for member, text in (
        *_check_address(part),
        *_check_name(part, earlier),
        *_check_references(part, earlier),
    ):
        yield invalid(f"Request {position + 1}: {text}", target=f"/{position}/{member}")


def _check_address(part: Part) -> Iterator[tuple[str, str]]:
    if not _PATH.fullmatch(part.path):
        yield "path", f"the path {part.path[:100]} must begin with /objects/ or /services/"
    elif part.path.partition("?")[0] == PATH:
        yield "path", "a composite request cannot be a part of another"
    if not all(text.isascii() for header in part.headers.items() for text in header):
        yield "headers", "headers must be ASCII"


def _check_name(part: Part, earlier: Sequence[str | None]) -> Iterator[tuple[str, str]]:
    name = part.result_reference
    if name is not None and not _NAME.fullmatch(name):
        yield "resultReference", f"the name {name[:100]!r} may have letters, digits, - and _ only"
    elif name is not None and name in earlier:
        yield "resultReference", f"the name {name} is taken by an earlier request"


def _check_references(part: Part, earlier: Sequence[str | None]) -> Iterator[tuple[str, str]]:
    for member, text in (("path", part.path), *(("body", text) for text in _texts(part.body))):
        for reference in REFERENCE.findall(text):
            source, _, path = reference.partition(".")
            if source not in earlier:
                yield member, f"@{{{reference}}}: no earlier request has the resultReference {source!r}"
            elif not all(path.split(".")):
                yield member, f"@{{{reference}}} must name a member, as in @{{{source}.key}}"


def _texts(body: object) -> Iterator[str]:
    """Yield every string in a JSON value."""
    pending = [body]
    while pending:
        one = pending.pop()
        if isinstance(one, str):
            yield one
        elif isinstance(one, dict | list):
            pending.extend(one.values() if isinstance(one, dict) else one)


def _fill_body(body: dict[str, Any], results: Mapping[str, Any]) -> dict[str, Any]:
    """Replace the references in a body, in place; a string that is only a reference gets the value's own type."""
    pending: list[Any] = [body]
    while pending:
        one = pending.pop()
        for place, value in list(one.items() if isinstance(one, dict) else enumerate(one)):
            if isinstance(value, dict | list):
                pending.append(value)
            elif isinstance(value, str):
                whole = REFERENCE.fullmatch(value)
                one[place] = (
                    _find_value(whole[1], results)
                    if whole
                    else REFERENCE.sub(lambda found: _find_text(found[1], results), value)
                )
    return body


def _find_text(reference: str, results: Mapping[str, Any]) -> str:
    value = _find_value(reference, results)
    if value is None:
        raise invalid(f"@{{{reference}}} is empty in the result that it refers to")
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _find_value(reference: str, results: Mapping[str, Any]) -> Any:
    """Return the value of a reference: ``employee.department.key``, or ``rows.1.key`` in a list.

    Lists count from 1; a result that is not a list is also its own first element. Rows of a query are flat, so
    the rest of the path may be a single name.

    :raises ApiError: 400 if the result does not have the value, or it is an object or an array.
    """
    source, _, path = reference.partition(".")
    found = results[source]
    if isinstance(found, dict) and path.partition(".")[0] == "1":
        found = [found]
    while path:
        name, _, rest = path.partition(".")
        if isinstance(found, dict) and path in found:
            found, path = found[path], ""
        elif isinstance(found, dict) and name in found:
            found, path = found[name], rest
        elif isinstance(found, list) and 1 <= _parse_index(name) <= len(found):
            found, path = found[_parse_index(name) - 1], rest
        else:
            raise invalid(f"@{{{reference}}} is not in the result that it refers to")
    if isinstance(found, dict | list):
        raise invalid(f"@{{{reference}}} is not a single value")
    return found


def _parse_index(text: str) -> int:
    """Return the index in a list, counted from 1; 0 if the text is not a number."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS else 0
