"""Whether and when a request is sent again: one pure decision, within its limits whatever happens."""

from __future__ import annotations

import datetime as dt
import email.utils

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from requests.structures import CaseInsensitiveDict

from intacct_provider.client.http.retry import RETRY_STATUSES, RetryPolicy, compute_wait, read_pause

PROVE = settings(derandomize=True, deadline=None, max_examples=300)
SECONDS = st.floats(0, 1000, allow_nan=False)
POLICIES = st.builds(
    RetryPolicy, attempts=st.integers(1, 20), base=st.floats(0, 10), longest=st.floats(0, 60), budget=SECONDS
)
SITUATIONS = st.fixed_dictionaries(
    {
        "repeatable": st.booleans(),
        "status": st.one_of(st.none(), st.sampled_from([200, 400, 401, 403, 404, 409, 422, *RETRY_STATUSES])),
        "locked": st.booleans(),
        "retry_after": st.one_of(st.none(), SECONDS),
        "attempt": st.integers(1, 25),
        "elapsed": SECONDS,
        "jitter": st.floats(0, 1),
    }
)


def wait_for(**given_situation):
    situation = {
        "repeatable": True,
        "status": 503,
        "retry_after": None,
        "locked": False,
        "attempt": 1,
        "elapsed": 0.0,
        "jitter": 1.0,
    }
    return compute_wait(RetryPolicy(), **{**situation, **given_situation})


@PROVE
@given(POLICIES, SITUATIONS)
def test_no_more_attempts_and_no_later_sending_than_the_policy_allows(policy, situation):
    wait = compute_wait(policy, **situation)
    if wait is not None:
        assert situation["attempt"] < policy.attempts
        assert situation["elapsed"] + wait <= policy.budget


@PROVE
@given(POLICIES, SITUATIONS)
def test_never_sooner_than_the_server_asked_and_never_a_longer_random_wait_than_the_longest(
    policy, situation
):
    wait = compute_wait(policy, **situation)
    if wait is not None:
        asked = situation["retry_after"] or 0.0
        assert asked <= wait <= asked + policy.longest + 1e-9


LATER = (None, 429, 500, 502, 503, 504)
NO = (200, 201, 204, 207, 302, 400, 401, 403, 404, 405, 409, 422)


@pytest.mark.parametrize("attempt", [1, 5, 6])
@pytest.mark.parametrize("locked", [False, True])
@pytest.mark.parametrize("repeatable", [False, True])
@pytest.mark.parametrize("status", [*LATER, *NO])
def test_what_may_be_done_again_is_when_the_answer_means_later_and_an_attempt_is_left(
    status, repeatable, locked, attempt
):
    wait = wait_for(status=status, repeatable=repeatable, locked=locked, attempt=attempt)
    again = repeatable and (status in LATER or locked) and attempt < 6
    assert wait == (2 ** (attempt - 1) if again else None)


def test_waits_double_up_to_the_longest():
    assert [wait_for(attempt=n) for n in (1, 2, 3, 4, 5)] == [1, 2, 4, 8, 16]
    patient = RetryPolicy(attempts=10)
    situation = {
        "repeatable": True,
        "status": None,
        "retry_after": None,
        "locked": False,
        "elapsed": 0.0,
        "jitter": 1.0,
    }
    assert [compute_wait(patient, attempt=n, **situation) for n in (6, 7, 9)] == [30, 30, 30]


def test_the_whole_wait_is_random():
    assert wait_for(attempt=4, jitter=0.0) == 0
    assert wait_for(attempt=4, jitter=0.25) == 2


def test_a_pause_that_the_budget_does_not_allow_ends_the_waiting_at_once():
    assert wait_for(retry_after=299.0, jitter=0.0) == 299
    assert wait_for(retry_after=300.0, jitter=0.0) == 300
    assert wait_for(retry_after=299.0, elapsed=1.0, jitter=0.0) == 299
    assert wait_for(retry_after=301.0, jitter=0.0) is None
    assert wait_for(retry_after=100.0, elapsed=201.0, jitter=0.0) is None
    assert wait_for(retry_after=float("inf")) is None


# --- the pause that an answer asks for


@pytest.mark.parametrize(
    "name",
    [
        "Retry-After",
        "retry-after",
        "X-IA-Throttle-Limit-Retry-After",
        "X-IA-Throttle-Limit-RetryAfter",
        "X-IA-TENANT-Throttle-Limit-Retry-After",
        "X-IA-Tenant-Throttle-Limit-Retry-After",
        "X-IA-Hour-Rate-Limit-Retry-After",
        "X-IA-Minute-Rate-Limit-Retry-After",
        "X-IA-CPU-Request-Limit-Retry-After",
        "X-IA-Anything-New-RetryAfter",
    ],
)
@pytest.mark.parametrize(("text", "seconds"), [("7", 7), ("0", 0), ("1.5", 1.5), (" 3 ", 3), ("-4", 0)])
def test_every_spelling_of_the_header_is_understood(name, text, seconds):
    assert read_pause(CaseInsensitiveDict({name: text})) == seconds


def test_an_http_date_is_a_pause_until_then():
    then = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=120)
    pause = read_pause({"Retry-After": email.utils.format_datetime(then, usegmt=True)})
    assert 110 < pause <= 120


@pytest.mark.parametrize("ahead", [-300, 0, 300])
def test_an_http_date_counts_from_the_server_s_own_clock(ahead):
    server = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=ahead)
    then = server + dt.timedelta(seconds=30)
    headers = {
        "Date": email.utils.format_datetime(server, usegmt=True),
        "X-IA-Throttle-Limit-Retry-After": email.utils.format_datetime(then, usegmt=True),
    }
    assert read_pause(headers) == 30


def test_without_a_readable_clock_of_the_server_ours_counts():
    then = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=120)
    headers = {"Date": "now", "Retry-After": email.utils.format_datetime(then, usegmt=True)}
    assert 110 < read_pause(headers) <= 120


def test_an_http_date_that_has_passed_is_no_pause():
    assert read_pause({"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"}) == 0


def test_of_several_pauses_the_longest_counts():
    assert read_pause({"Retry-After": "2", "X-IA-Hour-Rate-Limit-Retry-After": "60"}) == 60


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Retry-After": ""},
        {"Retry-After": "soon"},
        {"Retry-After": "nan"},
        {"X-IA-Throttle-Limit": "6"},
        {"X-Other-Retry-After": "6"},
        {"Retry-After-All": "6"},
    ],
)
def test_no_pause_is_read_from_headers_that_ask_for_none(headers):
    assert read_pause(headers) is None


@PROVE
@given(st.text(max_size=40))
def test_no_header_whatever_is_in_it_breaks_the_client(text):
    pause = read_pause({"Retry-After": text})
    assert pause is None or pause >= 0


@PROVE
@given(st.integers(-(10**12), 10**12))
def test_no_time_zone_in_a_date_breaks_the_client(zone):
    pause = read_pause({"Retry-After": f"Wed, 21 Oct 2015 07:28:00 {zone:+05d}"})
    assert pause is None or pause >= 0
