"""What triggers send to the tasks that wait for them: a summary, a timeout, or an exception with its type."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow.triggers.base import TriggerEvent

from intacct_provider import exceptions
from intacct_provider._compat import AirflowNotFoundException
from intacct_provider.exceptions import (
    ErrorDetail,
    IntacctError,
    IntacctTriggerError,
    IntacctTriggerTimeoutError,
)

#: Not made of a message alone; what triggers do does not raise them.
_OF_WRITES = (exceptions.IntacctInterruptedWriteError, exceptions.IntacctBudgetError)


def build_success_event(summary: Mapping[str, Any]) -> TriggerEvent:
    """Return the event of a wait that ended well.

    :param summary: what was found, as plain JSON; small, since it is stored in Airflow's database.
    """
    return TriggerEvent({"status": "success", "summary": dict(summary)})


def build_timeout_event(message: str) -> TriggerEvent:
    """Return the event of a wait whose time is up.

    :param message: what was found last.
    """
    return TriggerEvent({"status": "timeout", "message": message})


def build_error_event(err: Exception) -> TriggerEvent:
    """Return the event of a wait that failed, from which :func:`read_event` makes the same exception again."""
    facts = {name: value for name, value in vars(err).items() if isinstance(value, str | int | float)}
    return TriggerEvent(
        {
            "status": "error",
            "error_type": type(err).__name__,
            "message": str(getattr(err, "message", err)),
            # A retry defines no connection; sensors end so on a worker, too.
            "retryable": bool(getattr(err, "retryable", not isinstance(err, AirflowNotFoundException))),
            "facts": facts,
            "details": [list(detail) for detail in getattr(err, "details", ())],
        }
    )


def read_event(event: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the summary of a success.

    :raises IntacctTriggerTimeoutError: if the time was up.
    :raises IntacctError: what ended the wait, of its own type; ``retryable`` says whether a retry can help.
    :raises IntacctTriggerError: for an error of another type, and for an event that is missing or unknown.
    """
    status = event.get("status") if isinstance(event, Mapping) else None
    if event and status == "success" and isinstance(event.get("summary"), Mapping):
        return dict(event["summary"])
    if event and status == "timeout":
        raise IntacctTriggerTimeoutError(str(event.get("message")))
    if event and status == "error":
        raise _rebuild_error(event)
    raise IntacctTriggerError(f"The trigger sent an event with an unknown status: {status!r}.")


def read_transactions(event: Mapping[str, Any] | None) -> int:
    """Return what Intacct billed for the polls of the trigger; 0 if the event does not say it."""
    billed = event.get("transactions") if isinstance(event, Mapping) else None
    return billed if isinstance(billed, int) else 0


def _rebuild_error(event: Mapping[str, Any]) -> IntacctError:
    name, message = str(event.get("error_type")), str(event.get("message"))
    found = getattr(exceptions, name, None)
    if isinstance(found, type) and issubclass(found, IntacctError) and not issubclass(found, _OF_WRITES):
        error = found(message)
        vars(error).update(event.get("facts") or {})
        if details := event.get("details"):
            vars(error)["details"] = tuple(ErrorDetail(*detail) for detail in details)
    else:
        error = IntacctTriggerError(f"{name}: {message}")
    if error.retryable is not bool(event.get("retryable")):
        error.retryable = bool(event.get("retryable"))
    return error
