"""Events keep errors typed, and an event that is missing or unknown is an error."""

import json

import pytest

from intacct_provider import exceptions
from intacct_provider.exceptions import (
    ErrorDetail,
    IntacctAPIError,
    IntacctError,
    IntacctTriggerError,
    IntacctTriggerTimeoutError,
    IntacctValidationError,
)
from intacct_provider.triggers.event_payloads import (
    build_error_event,
    build_success_event,
    build_timeout_event,
    read_event,
)

#: Those that are made of a message alone, or of a message and what Intacct says.
KINDS = [
    one
    for one in vars(exceptions).values()
    if isinstance(one, type)
    and issubclass(one, IntacctError)
    and one not in (exceptions.IntacctInterruptedWriteError, exceptions.IntacctBudgetError)
]


def send(event):
    return json.loads(json.dumps(event.payload))


def come_back(err):
    with pytest.raises(IntacctError) as raised:
        read_event(send(build_error_event(err)))
    return raised.value


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_an_error_comes_back_with_its_type(kind):
    err = come_back(kind("It did not work"))
    assert type(err) is kind
    assert str(err) == str(kind("It did not work"))
    assert err.retryable is kind("").retryable


def test_an_error_comes_back_with_what_intacct_says():
    sent = IntacctValidationError(
        "Bad request",
        status=400,
        code="invalidRequest",
        error_id="REST-1043",
        support_id="abc",
        target="/statsu",
        details=[ErrorDetail("statsu is not a field", "REST-1043", "/statsu")],
        hint="Try status.",
    )
    err = come_back(sent)
    assert isinstance(err, IntacctAPIError)
    assert str(err) == str(sent)
    assert (err.status, err.error_id, err.details, err.hint) == (
        400,
        "REST-1043",
        sent.details,
        "Try status.",
    )


def test_an_error_that_is_not_retried_for_once_is_not_retried_afterwards_either():
    err = exceptions.IntacctConnectionError("lost")
    err.retryable = err.maybe_done = False
    again = come_back(err)
    assert (again.retryable, again.maybe_done) == (False, False)


@pytest.mark.parametrize(
    "err",
    [ValueError("odd"), exceptions.IntacctInterruptedWriteError("half", [])],
    ids=lambda e: type(e).__name__,
)
def test_other_errors_come_back_with_the_name_of_their_type(err):
    again = come_back(err)
    assert type(again) is IntacctTriggerError
    assert str(again) == f"{type(err).__name__}: {err}"
    assert again.retryable is True


def test_a_timeout_is_an_error_of_its_own():
    with pytest.raises(IntacctTriggerTimeoutError, match="nothing yet"):
        read_event(send(build_timeout_event("nothing yet")))
    assert not IntacctTriggerTimeoutError.retryable


def test_a_success_has_its_summary():
    assert read_event(send(build_success_event({"count": 3}))) == {"count": 3}


@pytest.mark.parametrize(
    "event",
    [
        None,
        {},
        [],
        "success",
        {"status": "finished"},
        {"status": None},
        {"status": "success"},
        {"summary": {}},
    ],
    ids=repr,
)
def test_an_event_that_is_missing_or_unknown_is_an_error(event):
    with pytest.raises(IntacctTriggerError, match="an event with an unknown status"):
        read_event(event)
