"""Intervals that are refused, pauses that grow, and what polling costs."""

from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from intacct_provider.exceptions import IntacctArgumentError
from intacct_provider.triggers.intervals import (
    DAY,
    LONGEST_BACK_OFF,
    check_interval,
    describe_cost,
    describe_pause,
    next_wait,
)


@pytest.mark.parametrize("given", [1, 1.0, 60, timedelta(seconds=1), timedelta(days=2)])
def test_an_interval_is_a_number_of_seconds_or_a_timedelta(given):
    seconds = given.total_seconds() if isinstance(given, timedelta) else given
    assert check_interval("poll_interval", given) == seconds


@pytest.mark.parametrize(
    "given",
    [
        0,
        0.999,
        -5,
        None,
        True,
        "60",
        "",
        [],
        Decimal(60),
        float("nan"),
        float("inf"),
        timedelta(),
        timedelta(-1),
    ],
    ids=repr,
)
def test_an_interval_below_a_second_or_without_a_number_is_refused(given):
    with pytest.raises(IntacctArgumentError, match=r"^my_interval must be at least 1 second"):
        check_interval("my_interval", given)


@given(
    st.floats(1, 1e6),
    st.integers(0, 1000),
    st.integers(0, 10**6),
    st.booleans(),
    st.none() | st.floats(1, 1e6),
)
def test_a_pause_is_never_short_and_never_endless(interval, failures, polls, grows, most):
    pause = next_wait(interval, failures, polls=polls, exponential_backoff=grows, max_wait=most)
    assert pause >= min(interval, most or interval) >= 1
    if grows and most is not None and not failures:
        assert pause <= most * 1.1
    if not grows:
        assert pause <= max(interval, LONGEST_BACK_OFF) * 1.1


def test_failures_double_the_pause(monkeypatch):
    monkeypatch.setattr("random.uniform", lambda low, _high: low)
    assert [next_wait(60, failures) for failures in (0, 1, 2, 3, 4, 9)] == [60, 120, 240, 480, 900, 900]
    assert next_wait(3600, 3) == 3600


def test_exponential_backoff_doubles_the_pause_after_the_first_poll(monkeypatch):
    monkeypatch.setattr("random.uniform", lambda low, _high: low)
    pauses = [
        next_wait(60, polls=polls, exponential_backoff=True, max_wait=300) for polls in (0, 1, 2, 3, 4, 5)
    ]
    assert pauses == [60, 60, 120, 240, 300, 300]
    assert next_wait(60, polls=9, max_wait=30) == 60


def test_the_cost_is_that_of_a_day_and_a_share_of_the_first_tier():
    assert describe_cost(300) == "every 300 s: 288 a day, 8.6 % of tier 1"
    assert describe_cost(60) == "every 60 s: 1,440 a day, 43.2 % of tier 1"


@pytest.mark.parametrize(
    ("interval", "max_wait", "text"),
    [
        (15, 300, "every 15 s, doubled each time up to 300 s: 291 a day, 8.7 % of tier 1"),
        (60, None, "every 60 s, doubled each time: 10 a day, 0.3 % of tier 1"),
        (300, 60, "every 60 s: 1,440 a day, 43.2 % of tier 1"),
        (60, 60, "every 60 s: 1,440 a day, 43.2 % of tier 1"),
        (100_000, None, "every 100000 s, doubled each time: 1 a day, 0.0 % of tier 1"),
    ],
)
def test_the_cost_of_growing_pauses_is_that_of_the_polls_of_a_day(interval, max_wait, text):
    assert describe_cost(interval, exponential_backoff=True, max_wait=max_wait) == text


@given(st.floats(1, 90_000), st.none() | st.floats(1, 90_000))
def test_the_cost_counts_the_polls_that_the_pauses_lead_to(interval, max_wait):
    polls, passed = 1, 0.0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("random.uniform", lambda low, _high: low)
        while (
            passed := passed + next_wait(interval, polls=polls, exponential_backoff=True, max_wait=max_wait)
        ) <= DAY:
            polls += 1
    said = describe_cost(interval, exponential_backoff=True, max_wait=max_wait)
    assert abs(int(said.partition(": ")[2].partition(" a day")[0].replace(",", "")) - (polls - 1)) <= 1


def test_a_pause_says_when_it_ends():
    assert describe_pause(299.6).startswith("Next poll in 300 s, at ")


def test_a_poll_is_not_before_the_time_that_intacct_asks_to_wait():
    assert 600 <= next_wait(60, 1, asked=600.0) <= 660
    assert 120 <= next_wait(60, 1, asked=5.0) <= 132
    assert next_wait(60, 1, asked=1e9) <= 1.1 * 86_400
