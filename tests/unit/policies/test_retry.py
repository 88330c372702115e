"""When IntacctRetryPolicy retries a task, and after how long."""

import datetime as dt
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from intacct_provider import exceptions
from intacct_provider.exceptions import (
    IntacctAPIError,
    IntacctArgumentError,
    IntacctAuthenticationError,
    IntacctBudgetError,
    IntacctError,
    IntacctInterruptedWriteError,
    IntacctRateLimitError,
    IntacctServerError,
    IntacctValidationError,
)

retry = pytest.importorskip(
    "intacct_provider.policies.retry", reason="this Airflow has no retry policies", exc_type=ImportError
)
IntacctRetryPolicy = retry.IntacctRetryPolicy
#: How this Airflow waits: without spending a retry, if it can.
WAIT = "reschedule" if hasattr(retry.RetryAction, "RESCHEDULE") else "retry"

BUDGET = IntacctBudgetError(lambda: "spent")


def decide(error, **how):
    decision = IntacctRetryPolicy(**how).evaluate(error, 1, 3)
    return decision.action.value, decision.retry_delay


def limited(seconds, kind=IntacctRateLimitError):
    error = kind("Too many", status=429)
    error.retry_after = seconds
    return error


def caused(error, cause):
    try:
        raise error from cause
    except type(error) as raised:
        return raised


@given(st.floats(0, 80_000), st.sampled_from([IntacctRateLimitError, IntacctServerError]))
def test_a_task_waits_as_long_as_intacct_asks_and_little_longer(seconds, kind):
    action, delay = decide(limited(seconds, kind))
    assert action == WAIT
    assert seconds <= delay.total_seconds() + 0.001
    assert delay.total_seconds() <= seconds * 1.1 + 0.001


@pytest.mark.parametrize("seconds", [1e9, float("inf")])
def test_no_wait_is_longer_than_a_day(seconds):
    assert decide(limited(seconds)) == (WAIT, dt.timedelta(days=1))


@pytest.mark.parametrize(
    "error", [limited(None), IntacctServerError("failed"), ValueError(), KeyboardInterrupt()]
)
def test_everything_else_is_left_to_the_task(error):
    assert decide(error) == ("default", None)


KINDS = [
    kind for kind in vars(exceptions).values() if isinstance(kind, type) and issubclass(kind, IntacctError)
]


@pytest.mark.parametrize("kind", [k for k in KINDS if k.retryable is False and k is not IntacctBudgetError])
def test_what_a_retry_cannot_fix_fails_at_once(kind):
    assert decide(kind("no")) == ("fail", None)


@pytest.mark.parametrize("kind", [IntacctAuthenticationError, IntacctValidationError])
def test_a_pause_does_not_make_an_error_retryable(kind):
    assert decide(limited(5, kind)) == ("fail", None)


def test_an_error_is_found_among_the_causes():
    assert decide(caused(RuntimeError("mine"), limited(7)))[0] == WAIT
    assert decide(caused(ValueError(), caused(KeyError(), IntacctValidationError("bad"))))[0] == "fail"
    interrupted = caused(IntacctInterruptedWriteError("stopped", []), IntacctValidationError("bad"))
    assert decide(interrupted)[0] == "fail"


def test_an_error_that_a_handler_met_counts_unless_the_code_says_otherwise():
    def fail(**how):
        try:
            raise IntacctValidationError("bad")
        except IntacctAPIError:
            if how:
                raise RuntimeError from None
            raise RuntimeError  # noqa: B904

    for how, action in (({}, "fail"), ({"suppressed": True}, "default")):
        with pytest.raises(RuntimeError) as caught:
            fail(**how)
        assert decide(caught.value)[0] == action


def test_a_circle_of_causes_ends():
    one, two = ValueError(), ValueError()
    one.__cause__, two.__cause__ = two, one
    assert decide(one) == ("default", None)


def test_a_spent_budget_waits_for_the_next_day_if_asked(monkeypatch):
    now = dt.datetime(2026, 3, 1, 18, tzinfo=dt.UTC)
    fixed = SimpleNamespace(
        **{**vars(dt), "datetime": type("Clock", (dt.datetime,), {"now": lambda _zone: now})}
    )
    monkeypatch.setattr(retry, "dt", fixed)
    assert decide(BUDGET) == ("fail", None)
    action, delay = decide(BUDGET, wait_for_budget=True)
    assert action == WAIT
    assert dt.timedelta(hours=6) <= delay <= dt.timedelta(hours=6, minutes=10)


def test_where_airflow_can_wait_without_a_retry_no_retry_is_spent(monkeypatch):
    def decide_within_bounds(action, retry_delay, reason, max_reschedules=None):
        """Return a decision as Airflow 3.4 does, which rejects one that has no bounds."""
        assert (max_reschedules or 0) > 0
        return SimpleNamespace(action=action, retry_delay=retry_delay, reason=reason)

    monkeypatch.setattr(retry, "RetryAction", SimpleNamespace(RETRY="retry", RESCHEDULE="reschedule"))
    monkeypatch.setattr(retry, "RetryDecision", decide_within_bounds)
    decision = IntacctRetryPolicy().evaluate(limited(5), 1, 3)
    assert decision.action == "reschedule"
    assert 5 <= decision.retry_delay.total_seconds() <= 5.5


def test_a_policy_survives_serialization():
    policy = IntacctRetryPolicy.deserialize(IntacctRetryPolicy(wait_for_budget=True).serialize())
    assert policy.wait_for_budget is True


def test_a_reason_is_short_and_names_the_type():
    reason = IntacctRetryPolicy().evaluate(limited(90), 1, 3).reason
    assert reason == "IntacctRateLimitError: Intacct asks to wait 90 s"


def test_a_flag_that_is_text_is_refused():
    with pytest.raises(IntacctArgumentError, match="wait_for_budget must be True or False, not 'False'"):
        IntacctRetryPolicy(wait_for_budget="False")
