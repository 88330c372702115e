"""What can go wrong, as exception types, and the one place that reads an error answer.

Nothing here knows Airflow. Messages carry what Intacct says about the problem and never a
request body, a response body, a token or a secret.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from typing import Any

#: Error ids that mean "this access token is no longer good", whatever the HTTP status.
#: Recorded traffic shows REST-1206 under HTTP 400, so the status alone does not tell.
TOKEN_ERROR_IDS = frozenset({"REST-1206", "REST-2102", "GW-0040"})
#: The same in words, for answers that carry no id.
_TOKEN_WORDS = re.compile(r"token is not valid|invalid token|expired token", re.IGNORECASE)
_ERROR_ID = re.compile(r"[A-Z]{2,4}-\d{3,5}")

_ADVICE = {
    "GW-0010": "Too many requests at once: lower max_concurrency or put the tasks in an Airflow pool.",
    "GW-0011": "Ask an Intacct admin to check Company > Security > Authorized client applications and "
    "that the Web Services subscription is on.",
    "GW-0042": "The user's role lacks the permission, or the module is not subscribed.",
    "REST-1106": "Leave the field out of fields, filters and order_by; lists and write-only fields "
    "cannot be queried.",
    "REST-1216": "Check the client id and client secret, and that the company has authorized the "
    "application.",
    "invalid_client": "Check login (client id) and password (client secret) of the connection.",
    "invalid_grant": "Check company_id and user_id, that the user is a Web Services user authorized for this "
    "client id, and that the Web Services subscription is on.",
}


class IntacctError(Exception):
    """Root of every exception that this provider raises."""

    #: Whether the same work may succeed when it is tried again later.
    retryable = True


class IntacctArgumentError(IntacctError, ValueError):
    """An argument is wrong; nothing was sent to Intacct."""

    retryable = False


class IntacctConfigError(IntacctArgumentError):
    """The connection is wrong or incomplete; nothing was sent to Intacct."""


class IntacctConnectionError(IntacctError):
    """Intacct could not be reached, or the answer broke off, after all retries."""


class IntacctResponseError(IntacctError):
    """The answer is not one that Intacct's REST API documents, such as an HTML page."""


class IntacctIncompleteReadError(IntacctError):
    """A read could not be proven complete, so none of it may be trusted."""


class IntacctInterruptedWriteError(IntacctError):
    """A write of many records stopped half way; the cause is ``__cause__``.

    :param results: one result per record that was answered, in order. The records after them were
        not sent, except that the fate of the last batch sent is unknown.
    """

    def __init__(self, message: str, results: list[Any]) -> None:
        super().__init__(message)
        self.results = results

    @property
    def retryable(self) -> bool:  # type: ignore[override]
        """Whether what stopped the write may pass."""
        return getattr(self.__cause__, "retryable", True)


class IntacctAPIError(IntacctError):
    """Intacct refused a request.

    :param message: Intacct's own words.
    :param status: HTTP status, or the record's own status inside a batch.
    :param code: Intacct's error code, such as ``invalidRequest``.
    :param error_id: Intacct's error id, such as ``REST-1043``.
    :param support_id: what Sage support asks for.
    :param target: JSON pointer of the field concerned, such as ``/status``.
    :param details: further causes as ``(message, error_id, target)``.
    :param placeholders: the values in the message by name, such as ``{"FIELD": "/statsu"}``.
    :param hint: what to do next, when it is known.
    """

    #: What to do next about any error of the type.
    advice = ""

    def __init__(
        self,
        message: str,
        *,
        status: int = 0,
        code: str = "",
        error_id: str = "",
        support_id: str = "",
        target: str = "",
        details: tuple[tuple[str, str, str], ...] = (),
        placeholders: Mapping[str, str] | None = None,
        hint: str = "",
    ) -> None:
        super().__init__(message)
        self.message = message
        self.status = status
        self.code = code
        self.error_id = error_id
        self.support_id = support_id
        self.target = target
        self.details = details
        self.placeholders = dict(placeholders or {})
        self.hint = hint or _ADVICE.get(error_id) or _ADVICE.get(code) or self.advice
        self.replayed = False

    def __str__(self) -> str:
        """Everything an engineer needs, on one line."""
        causes = "; ".join(
            f"{text} [{error_id}]" if error_id else text for text, error_id, _target in self.details
        )
        where = ", ".join(
            part
            for part in (
                f"HTTP {self.status}" if self.status else "",
                self.code,
                self.error_id,
                f"target {self.target}" if self.target else "",
                f"support id {self.support_id}" if self.support_id else "",
            )
            if part
        )
        text = f"{self.message}: {causes}" if causes else self.message
        return " ".join(part for part in (text, f"({where})" if where else "", self.hint) if part)


class IntacctAuthenticationError(IntacctAPIError):
    """Intacct accepts neither the credentials nor a freshly issued token."""

    retryable = False


class IntacctPermissionError(IntacctAPIError):
    """The user's role or the company's subscription does not allow the request."""

    retryable = False


class IntacctNotFoundError(IntacctAPIError):
    """No record has that key, or no object has that path."""

    retryable = False


class IntacctConflictError(IntacctAPIError):
    """Another record has that id, or the idempotency key was used with other content."""

    retryable = False


class IntacctIdempotencyError(IntacctConflictError):
    """An idempotency key was used before for other content, so nothing was written."""

    advice = (
        "Keys are made from the content, so this is a defect of the provider: please report it with the support id. "
        "Clear the task to write under other keys."
    )


class IntacctValidationError(IntacctAPIError):
    """Intacct refuses the content: a field, a value, a filter or a business rule."""

    retryable = False


class IntacctRateLimitError(IntacctAPIError):
    """Intacct refuses more requests for now, after all retries."""


class IntacctServerError(IntacctAPIError):
    """Intacct failed, after all retries."""


def nearest(word: str, known: Iterable[str]) -> str | None:
    """Return the known spelling closest to ``word``, or None when none is close."""
    names = list(known)
    folded = {name.casefold(): name for name in names}
    found = difflib.get_close_matches(word.casefold(), folded, n=1, cutoff=0.6)
    return folded[found[0]] if found else None


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return `` Did you mean 'x'?`` for the closest known spelling, or an empty string."""
    best = nearest(word, known)
    return f" Did you mean {best!r}?" if best else ""


def error_in(body: Any) -> Mapping[str, Any] | None:
    """Return the error object of an answer in any documented shape, or None.

    Sage puts it under ``ia::result``, at the top level, or (the gateway and OAuth) under ``error``. Errors of single
    records of a batch are not among them; :func:`first_record_error` finds those.
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


def first_record_error(body: Any) -> Mapping[str, Any] | None:
    """Return the first error among the records of an answer, or None; some refusals come as a list of one."""
    records = body.get("ia::result") if isinstance(body, Mapping) else body
    found = (error_in(record) for record in records) if isinstance(records, list) else ()
    return next((error for error in found if error), None)


def build_error(status: int, error: Any) -> IntacctAPIError:
    """Turn an ``ia::error`` object and its status into the exception that fits."""
    fields = _as_mapping(error)
    info = _as_mapping(fields.get("additionalInfo") or {})
    details = _details(fields.get("details"))
    code = _text(fields.get("code"))
    # The gateway puts its ids where others have a code.
    error_id = _text(fields.get("errorId")) or (code if _ERROR_ID.fullmatch(code) else "")
    message = _text(fields.get("message"))
    return _type_for(status, code, error_id, message)(
        message or f"Intacct answered HTTP {status} without a message",
        status=status,
        code=code,
        error_id=error_id,
        support_id=_text(fields.get("supportId")) or _request_id(fields.get("details")),
        target=_text(fields.get("target")) or next((d[2] for d in details if d[2]), ""),
        details=details,
        placeholders={k: _text(v) for k, v in _as_mapping(info.get("placeholders") or {}).items()},
    )


def about_token(error: IntacctAPIError) -> bool:
    """Whether the access token was refused, in any form that Sage documents or that was recorded.

    HTTP 401; an id of :data:`TOKEN_ERROR_IDS` or the code ``tokenInvalid`` under any status, since REST-1206 came under
    HTTP 400; or, under HTTP 400, words to that effect and no id.
    """
    return _refuses_token(error.status, error.code, error.error_id, error.message)


def _refuses_token(status: int, code: str, error_id: str, message: str) -> bool:
    if status == 401 or error_id in TOKEN_ERROR_IDS or code == "tokenInvalid":
        return True
    return status == 400 and not error_id and _TOKEN_WORDS.search(message) is not None


def _type_for(status: int, code: str, error_id: str, message: str) -> type[IntacctAPIError]:
    if _refuses_token(status, code, error_id, message) or error_id == "REST-1216":
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


def _details(raw: Any) -> tuple[tuple[str, str, str], ...]:
    """Read ``details``, which Sage sends as a list, an object or even a string."""
    items = raw if isinstance(raw, list) else [raw] if raw else []
    read = []
    for item in items[:20]:
        fields = _as_mapping(item)
        message = _text(fields.get("message"))
        if message:
            read.append((message, _text(fields.get("errorId")), _text(fields.get("target"))))
    return tuple(read)


def _request_id(details: Any) -> str:
    """Return the id that the gateway's errors have instead of a support id."""
    return _text(details.get("requestId")) if isinstance(details, Mapping) else ""


def _as_mapping(value: Any) -> Mapping[str, Any]:
    if isinstance(value, list):
        value = next((item for item in value if isinstance(item, Mapping | str)), {})
    return value if isinstance(value, Mapping) else {"message": _text(value)}


def _text(value: Any) -> str:
    """Text of one line and bounded length, so that no answer can flood a log; nothing of what is no text or number."""
    if value is None or isinstance(value, Mapping | list):
        return ""
    return " ".join(str(value).split())[:500]
