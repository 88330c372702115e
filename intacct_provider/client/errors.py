"""The one place that reads an error response and chooses the exception for it.

Messages carry what Intacct says about the problem and never a request body, a response body, a token or a secret, not
even one that Intacct repeats.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from enum import IntEnum
from itertools import islice
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
    IntacctTokenError,
    IntacctValidationError,
)

#: Error ids of an access token that is not accepted. They come with HTTP 400 and 403, too.
TOKEN_ERROR_IDS = frozenset({"REST-1206", "REST-2102", "GW-0031", "GW-0034", "GW-0040"})
#: Codes for the same, in lower case: Intacct's own and those of OAuth.
_TOKEN_CODES = frozenset({"tokeninvalid", "tokenexpired", "invalid_token", "expired_token", "token_expired"})
#: Ids of other problems: under them, words about a token are about a field, a value or the application.
_OTHER_ERROR_IDS = frozenset(
    {
        *(f"REST-{n}" for n in (1028, 1034, 1043, 1050, 1064, 1106, 1107, 1216)),
        *(f"GW-{n:04}" for n in (10, 11, 12, 14, 15, 32, 33, 35, 36, 37, 38, 39, 42)),
    }
)
#: Statuses under which words count; others name a problem of their own.
_WORDED_STATUSES = frozenset({200, 400, 403})
_INVALID_TOKEN_HEADER = re.compile(r"\berror\s*=\s*[\"']?invalid_token\b", re.IGNORECASE)
_DEAD = r"(?:not valid|invalid|expired|revoked|malformed|inactive|no longer (?:valid|active))"
_SENT = r"(?:(?:that )?(?:you |was )?(?:provided|supplied|sent|given) )?"
_NOUN = r"(?:(?:access|bearer|auth\w*|oauth2?|security|session|web|json|jwt) )*(?:token|jwt)"
#: A sentence of its own, maybe behind a heading. A place or a value after it would make it an error of syntax.
_TOKEN_WORDS = re.compile(
    r"(?:^|[.:;!] | - )(?:(?:an?|the|your|this|provided|supplied|given|current) )*"
    rf"(?:{_DEAD}(?: (?:or|and) {_DEAD})* {_NOUN}"
    rf"|{_NOUN} {_SENT}(?:(?:is|was|has|has been) )?(?:already )?"
    rf"{_DEAD}(?:(?:,? or|,? and|,) (?:has |is )?{_DEAD})*)"
    r"(?: any ?more| provided| supplied| for other reasons)?(?:$|[.;!]|, please)",
    re.IGNORECASE,
)
_ERROR_ID = re.compile(r"[A-Z]{2,4}-\d{3,5}")
#: An id in the place of a message, or before it.
_LEADING_ID = re.compile(r"[\[(]?([A-Z]{2,4}-\d{3,5})(?:[\])]|:|$)")
#: Details, and placeholders, that are kept of one error.
MOST = 20
#: Characters that are kept of each text.
LONGEST = 500
#: Characters of a text that are looked at, since masking takes time.
READ = 20_000


def find_error(body: Any) -> Mapping[str, Any] | None:
    """Return the error object of a response in any documented shape, or None.

    Sage puts it under ``ia::result``, at the top level, or (the gateway and OAuth) under ``error``. Errors of single
    records of a batch are not among them; :func:`find_record_error` finds those.
    """
    if not isinstance(body, Mapping):
        return None
    result = body.get("ia::result")
    if isinstance(result, Mapping) and result.get("ia::error"):
        return _join_errors(result["ia::error"])
    if body.get("ia::error"):
        return _join_errors(body["ia::error"])
    if isinstance(body.get("error"), Mapping | list) and body["error"]:
        return _join_errors(body["error"])
    if body.get("error"):
        return {"code": body["error"], "message": body.get("error_description") or body["error"]}
    return None


def find_record_error(body: Any) -> Mapping[str, Any] | None:
    """Return the first error among the records of a response, or None; some rejections come as a list of one."""
    records = body.get("ia::result") if isinstance(body, Mapping) else body
    found = (find_error(record) for record in records) if isinstance(records, list) else ()
    return next((error for error in found if error), None)


def find_bare_error(body: Any) -> Mapping[str, Any] | None:
    """Return the error of a rejection that has no envelope, as gateways write them, or None.

    :param body: of a response with a status of an error; a record may have members of the same names.
    """
    if not isinstance(body, Mapping):
        return None
    errors = body.get("errors") or body.get("fault")
    if isinstance(errors, Mapping | list | str):
        return _join_errors(errors)
    return body if any(body.get(name) for name in ("errorId", "code", "message")) else None


def _join_errors(errors: Any) -> Mapping[str, Any]:
    """Return the first of several errors, with the others among its details."""
    found = (
        [error for error in errors if isinstance(error, Mapping | str)] if isinstance(errors, list) else []
    )
    first, others = _as_mapping(errors), found[1:]
    if not others:
        return first
    own = first.get("details") or []
    return {**first, "details": [*(own if isinstance(own, list) else [own]), *others]}


class TokenVerdict(IntEnum):
    """What a response says about the access token.

    ``SUSPECT`` is weak evidence, which another problem may cause, too: it is worth one new token.
    """

    ACCEPTED = 0
    SUSPECT = 1
    DEAD = 2


def judge_token(status: int, error: Any, headers: Mapping[str, str] | None = None) -> TokenVerdict:
    """Decide whether a response says that the access token is dead: the one rule for it.

    Ids and codes decide under any status and at any depth of ``details``, as does ``invalid_token`` in the header
    ``WWW-Authenticate``. HTTP 401 does unless an id names another problem; words do only where nothing names one.

    :param status: HTTP status, or the status of a record or of a part of a composite request.
    :param error: error object, as :func:`find_error` returns it.
    :param headers: headers of the response.
    """
    statements = [*_list_statements(error)]
    names = {name for statement in statements for name in _list_names(statement)}
    if _INVALID_TOKEN_HEADER.search((headers or {}).get("WWW-Authenticate") or ""):
        return TokenVerdict.DEAD
    if names & TOKEN_ERROR_IDS or {name.lower() for name in names} & _TOKEN_CODES:
        return TokenVerdict.DEAD
    named_otherwise = not names.isdisjoint(_OTHER_ERROR_IDS)
    if status == 401:
        return TokenVerdict.SUSPECT if named_otherwise else TokenVerdict.DEAD
    if status not in _WORDED_STATUSES or named_otherwise or not any(map(_says_dead, statements)):
        return TokenVerdict.ACCEPTED
    has_id = any(_ERROR_ID.fullmatch(name) for name in names)
    return TokenVerdict.DEAD if status == 400 and not has_id else TokenVerdict.SUSPECT


def build_error(
    status: int,
    error: Any,
    clean: Callable[[str], str] = clean_text,
    *,
    headers: Mapping[str, str] | None = None,
) -> IntacctAPIError:
    """Turn an ``ia::error`` object, its status and the headers of its response into the exception that fits.

    :param clean: makes text of the server fit for a message.
    """
    return _ErrorReader(clean).read(status, error, judge_token(status, error, headers))


def _choose_type(
    status: int, code: str, error_id: str, message: str, verdict: TokenVerdict
) -> type[IntacctAPIError]:
    if error_id == "REST-1216" or code in {"invalid_grant", "invalid_client"}:
        return IntacctAuthenticationError
    if error_id == "GW-0010":
        return IntacctRateLimitError
    if verdict is TokenVerdict.SUSPECT and error_id in _OTHER_ERROR_IDS:
        return IntacctAuthenticationError
    if verdict is not TokenVerdict.ACCEPTED:
        return IntacctTokenError
    if status == 429:
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


def _list_statements(error: Any, depth: int = 0) -> Iterator[Mapping[str, Any]]:
    """Yield an error and its details, whose details may have details."""
    for item in error[:MOST] if isinstance(error, list) else [error]:
        fields = _as_mapping(item)
        yield fields
        for name in ("details", "errors"):
            if fields.get(name) and depth < 3:
                yield from _list_statements(fields[name], depth + 1)


def _list_names(statement: Mapping[str, Any]) -> Iterator[str]:
    """Yield the id and the code of an error; either can stand in the place of the other."""
    for place in ("errorId", "code"):
        name = _read_text(statement.get(place))
        if name:
            yield name.upper() if _ERROR_ID.fullmatch(name.upper()) else name
    if found := _LEADING_ID.match(_read_text(statement.get("message"))):
        yield found[1]


def _read_text(value: Any, clean: Callable[[str], str] = lambda text: " ".join(text.split())) -> str:
    """Return text or a number as one line of bounded length; else nothing.

    :param clean: makes one line of text.
    """
    return "" if value is None or isinstance(value, Mapping | list) else clean(str(value)[:READ])[:LONGEST]


def _says_dead(statement: Mapping[str, Any]) -> bool:
    """Whether the words of an error are about the access token, not about a field."""
    return not statement.get("target") and bool(_TOKEN_WORDS.search(_read_text(statement.get("message"))))


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

    def read(self, status: int, error: Any, verdict: TokenVerdict) -> IntacctAPIError:
        """Return the exception for an error object."""
        fields = _as_mapping(error)
        raw = fields.get("details")
        # Sage sends details as a list, an object or even a string. They can have details of their own.
        causes = [*islice(_list_statements(raw), MOST)] if raw else []
        details = [detail for detail in map(self._read_detail, causes) if any(detail)]
        own = self._read_detail(fields)
        # The gateway puts its ids where others have a code.
        error_id = own.error_id or (own.code if _ERROR_ID.fullmatch(own.code) else "")
        if own.correction:
            details.insert(0, ErrorDetail(correction=own.correction))
        return _choose_type(status, own.code, error_id, own.message, verdict)(
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
        return _read_text(value, self._clean)

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
