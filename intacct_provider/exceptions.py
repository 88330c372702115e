"""Every exception that this provider raises on purpose.

Nothing here depends on Airflow or HTTP. Messages carry what Intacct says about a problem and never a request body, a
response body, a token or a secret.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

_ADVICE = {
    "GW-0010": "Too many requests at once: lower max_concurrency or put the tasks in an Airflow pool.",
    "GW-0011": "Ask an Intacct admin to check Company > Security > Authorized client applications and "
    "that the Web Services subscription is on.",
    "GW-0042": "The user's role lacks the permission, or the module is not subscribed.",
    "REST-1106": "Leave the field out of fields, filters and order_by; lists and write-only fields "
    "cannot be queried.",
    "REST-1107": "The path leads through a list, and lists cannot be queried: query the object of the list's lines, "
    "or read the record with client.get().",
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
    #: Seconds that Intacct asks to wait before the next request; None if it does not say.
    retry_after: float | None = None


class IntacctArgumentError(IntacctError, ValueError):
    """An argument is wrong; nothing was sent to Intacct."""

    retryable = False


class IntacctConfigError(IntacctArgumentError):
    """The connection is wrong or incomplete; nothing was sent to Intacct."""


class IntacctConnectionError(IntacctError):
    """Intacct could not be reached, or its response was incomplete, after all retries."""

    #: Whether the request may have been carried out; False if it certainly never reached Intacct.
    maybe_done = True


class IntacctResponseError(IntacctError):
    """The response is not one that Intacct's REST API documents, such as an HTML page."""


class IntacctAnswerTooLargeError(IntacctResponseError):
    """The response is larger than any that the client reads; the next one would be, too."""

    retryable = False


class IntacctUnreadableAnswerError(IntacctResponseError):
    """The response is complete, but has a value that cannot be read, such as text that is not Unicode.

    The next response would have it, too: correct the record in Intacct, or read other fields.
    """

    retryable = False


class IntacctIncompleteReadError(IntacctError):
    """A read could not be proven complete, so none of it may be trusted."""


class IntacctInterruptedWriteError(IntacctError):
    """A write of many records stopped before its end; the cause is ``__cause__``.

    :param results: one result per record that was answered, in order. The records after them were
        not sent, except for the last batch sent, whose outcome is unknown.
    """

    def __init__(self, message: str, results: list[Any]) -> None:
        super().__init__(message)
        self.results = results

    @property
    def retryable(self) -> bool:  # type: ignore[override]
        """Whether what stopped the write may be temporary."""
        return getattr(self.__cause__, "retryable", True)


class ErrorDetail(NamedTuple):
    """One of the causes that an error of Intacct lists.

    :param message: Intacct's words.
    :param error_id: such as ``REST-1043``.
    :param target: JSON pointer of the field concerned.
    :param code: such as ``invalidParameter``.
    :param correction: what Intacct advises.
    """

    message: str = ""
    error_id: str = ""
    target: str = ""
    code: str = ""
    correction: str = ""

    @property
    def text(self) -> str:
        """What is wrong, and what Intacct advises."""
        advice = f"correction: {self.correction}" if self.correction else ""
        return ", ".join(part for part in (self.message, advice) if part)


class IntacctAPIError(IntacctError):
    """Intacct rejected a request.

    :param message: the message that Intacct sent.
    :param status: HTTP status, or the record's own status inside a batch.
    :param code: Intacct's error code, such as ``invalidRequest``.
    :param error_id: Intacct's error id, such as ``REST-1043``.
    :param support_id: the id that Sage support asks for.
    :param target: JSON pointer of the field concerned, such as ``/status``.
    :param details: further causes.
    :param placeholders: the values in the messages by name, such as ``{"FIELD": "/statsu"}``; dotted where they are
        nested.
    :param hint: what to do next, if it is known.
    """

    #: What to do next about any error of this type.
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
        details: Sequence[ErrorDetail] = (),
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
        self.details = tuple(details)
        self.placeholders = dict(placeholders or {})
        self.hint = hint or _find_advice(error_id, code, self.details) or self.advice
        self.replayed = False
        #: The record or the object that the request was about, where one request is about one.
        self.subject = ""

    def __str__(self) -> str:
        """Return everything an engineer needs, on one line."""
        causes = "; ".join(self._describe(detail) for detail in self.details)
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
        if self.subject and self.subject not in text:
            text = f"{self.subject}: {text}"
        text = " ".join(part for part in (text, f"({where})" if where else "") if part)
        return f"{text.removesuffix('.')}. {self.hint}" if self.hint else text

    def _describe(self, detail: ErrorDetail) -> str:
        """Return a cause with its id, and with its code if that says more than the error's own."""
        code = "" if detail.code in (self.code, detail.error_id) else detail.code
        label = ", ".join(part for part in (code, detail.error_id) if part)
        message = f"{detail.message} [{label}]".lstrip() if label else detail.message
        return detail._replace(message=message).text


def _find_advice(error_id: str, code: str, details: Sequence[ErrorDetail]) -> str:
    """Return what to do about the first id that is known; a wrapper around causes has none of its own."""
    names = (error_id, code, *(name for detail in details for name in (detail.error_id, detail.code)))
    return next((_ADVICE[name] for name in names if name in _ADVICE), "")


class IntacctAuthenticationError(IntacctAPIError):
    """Intacct rejects the credentials."""

    retryable = False


class IntacctTokenError(IntacctAuthenticationError):
    """Intacct accepts the credentials, but rejects the access tokens that it issues for them, after all retries."""

    retryable = True
    advice = (
        "Intacct issued new access tokens and rejected them, too. Check that the user is active, and that nobody else "
        "signs in as this user, since that may end its tokens; the credential store 'variable' lets tasks share one."
    )


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
    """Intacct rejects the content: a field, a value, a filter, or because of a business rule."""

    retryable = False


class IntacctRateLimitError(IntacctAPIError):
    """Intacct still rejects requests because there are too many, after all retries."""


class IntacctServerError(IntacctAPIError):
    """Intacct failed, after all retries."""


class IntacctSchemaChangedError(IntacctError):
    """Columns differ from the last export's in a way that ``schema_drift`` does not allow; nothing was read."""

    retryable = False


class IntacctColumnError(IntacctError):
    """A value does not fit the type of its column, so nothing was written rather than a changed value."""

    retryable = False


class IntacctBudgetError(IntacctError):
    """An export was stopped before it would have cost more billed transactions than ``max_transactions``.

    :param describe: returns the message. It is called when the text is needed, not before, since pages that were in
        flight when the limit was reached still arrive.
    """

    retryable = False

    def __init__(self, describe: Callable[[], str]) -> None:
        super().__init__(describe)
        self._describe = describe

    def __str__(self) -> str:
        """Return what was read, for how many transactions, and what all of it would cost."""
        return self._describe()


class IntacctOutOfSyncError(IntacctError):
    """Intacct differs from the desired state; nothing was written."""

    retryable = False


class IntacctSyncGuardError(IntacctError):
    """A plan changes more than its limits allow; nothing was written."""

    retryable = False


class IntacctDesiredStateError(IntacctArgumentError):
    """The desired records cannot be written; nothing was written.

    :param problems: everything that is wrong, in the order of the records.
    """

    def __init__(self, message: str, problems: Sequence[Any] = ()) -> None:
        super().__init__(message)
        self.problems = tuple(problems)


class IntacctStalePlanError(IntacctError):
    """Records have changed since the plan was made.

    :param steps: the plan's steps for those records.
    """

    retryable = False

    def __init__(self, message: str, steps: Sequence[Any] = ()) -> None:
        super().__init__(message)
        self.steps = tuple(steps)


class IntacctRejectedRecordsError(IntacctError):
    """Intacct rejected more records than the task allows; the accepted ones are written."""

    retryable = False


class IntacctBulkJobError(IntacctError):
    """A bulk job failed as a whole, or it is unknown whether Intacct took it; the message says what to check."""

    retryable = False


class IntacctPlanInUseError(IntacctError):
    """Another task is applying the plan, or has applied it; this one wrote nothing, or nothing more."""

    retryable = False


class IntacctDestinationInUseError(IntacctError):
    """Another task writes to the destination of an export; this one published nothing, or nothing more."""


class IntacctTriggerError(IntacctError):
    """A trigger failed with an error that is not one of these, or sent an event that is missing or unknown."""


class IntacctTriggerTimeoutError(IntacctTriggerError):
    """What a trigger waited for did not happen in time; the message says what it found last."""

    retryable = False


class IntacctAuthorizeError(IntacctError):
    """``python -m intacct_provider.authorize`` got no token; the message is the line for stderr."""
