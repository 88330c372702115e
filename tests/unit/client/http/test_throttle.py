"""No more requests in flight than allowed; fewer when Intacct says so, and more again when it has calmed."""

from __future__ import annotations

import threading
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from requests.structures import CaseInsensitiveDict

from intacct_provider.client.config import MAX_CONCURRENCY
from intacct_provider.client.http.throttle import (
    CLIMB_AFTER,
    INITIAL_CONCURRENCY,
    YIELD_EVERY,
    ConcurrencyLimit,
)

#: Never set; waiting for it gives the other threads the time to come.
LULL = threading.Event()
LIST = {"ia::result": []}
CUSTOMER = "accounts-receivable/customer"


class Crowd:
    """Threads that all want a slot, and how many had one at once."""

    def __init__(self, limit):
        self.limit = limit
        self.inside = self.most = 0
        self.lock = threading.Lock()
        self.full = threading.Event()

    def visit(self, _):
        with self.limit.slot():
            with self.lock:
                self.inside += 1
                self.most = max(self.most, self.inside)
                if self.inside >= self.limit.allowed:
                    self.full.set()
            self.full.wait(5)
            LULL.wait(0.002)
            with self.lock:
                self.inside -= 1

    def visits(self, count):
        with ThreadPoolExecutor(16) as threads:
            assert len([*threads.map(self.visit, range(count))]) == count
        return self.most


def answer(limit, status=200, headers=None):
    """Let a request be answered while nothing else is in flight."""
    with limit.slot() as slot:
        pass
    limit.observe(status, headers or {}, slot)
    return limit.allowed


def calm(limit, answers=CLIMB_AFTER):
    for _ in range(answers):
        answer(limit)


@pytest.mark.parametrize("highest", [1, 3, 6])
def test_no_more_threads_are_inside_than_allowed_and_all_get_their_turn(highest):
    assert Crowd(ConcurrencyLimit(highest)).visits(64) == highest


@pytest.mark.parametrize("text", ["2", "2, 2", "6,2", "2.0"])
def test_a_limit_that_is_repeated_or_has_a_decimal_point_holds(text):
    limit = ConcurrencyLimit("auto")
    assert answer(limit, headers={"X-IA-Throttle-Limit": text}) == 2


def test_a_lowered_limit_holds_for_those_that_come_after():
    limit = ConcurrencyLimit(8)
    answer(limit, 429)
    answer(limit, 429)
    assert Crowd(limit).visits(32) == 2


def test_a_refusal_for_rate_halves_the_limit_but_never_to_none():
    limit = ConcurrencyLimit(8)
    seen = []
    for _ in range(5):
        answer(limit, 429)
        seen.append(limit.allowed)
    assert seen == [4, 2, 1, 1, 1]


@pytest.mark.parametrize(
    ("remaining", "allowed"), [("0", 1), (" 0 ", 1), ("1", 2), ("9", 4), ("", 4), ("-1", 4), ("9" * 5000, 4)]
)
def test_what_remains_and_what_is_in_flight_is_all_there_is(remaining, allowed):
    headers = CaseInsensitiveDict({"x-ia-throttle-limit-remaining": remaining})
    assert answer(ConcurrencyLimit(4), headers=headers) == allowed


def test_the_limit_climbs_back_one_by_one_and_no_higher_than_it_was():
    limit = ConcurrencyLimit(4)
    answer(limit, 429)
    answer(limit, 429)
    seen = []
    for _ in range(5):
        calm(limit)
        seen.append(limit.allowed)
    assert seen == [2, 3, 4, 4, 4]


def test_a_refusal_starts_the_count_of_calm_answers_again():
    limit = ConcurrencyLimit(4)
    answer(limit, 429)
    calm(limit, CLIMB_AFTER - 1)
    answer(limit, 429)
    calm(limit, CLIMB_AFTER - 1)
    assert limit.allowed == 1
    calm(limit, 1)
    assert limit.allowed == 2


def test_a_slot_is_given_back_when_the_request_fails():
    limit = ConcurrencyLimit(1)
    for _ in range(3):
        with pytest.raises(OSError, match="lost"), limit.slot():
            raise OSError("lost")
    assert Crowd(limit).visits(3) == 1


def test_a_client_steps_down_on_429_and_climbs_on_calm(intacct):
    intacct.on("GET", intacct.customers, {"status_code": 429}, {"json": LIST})
    client = intacct.client(max_concurrency=6)
    client.list(CUSTOMER)
    assert client._session.transport.limit.allowed == 3
    for _ in range(CLIMB_AFTER):
        client.list(CUSTOMER)
    assert client._session.transport.limit.allowed == 4


def test_the_wait_before_a_repetition_holds_no_slot(intacct, monkeypatch):
    intacct.on("GET", intacct.customers, {"status_code": 503}, {"json": LIST})
    client = intacct.client(max_concurrency=1)
    free = []

    def sleep(_seconds):
        with client._session.transport.limit.slot():
            free.append(True)

    monkeypatch.setattr("intacct_provider.client.http.transport.time.sleep", sleep)
    client.list(CUSTOMER)
    assert free == [True]


# --- one step for all that were in flight together


def test_refusals_of_one_moment_halve_the_limit_once():
    limit = ConcurrencyLimit(8)
    with limit.slot() as first, limit.slot() as second:
        pass
    limit.observe(429, {}, first)
    limit.observe(429, {}, second)
    assert limit.allowed == 4
    with limit.slot() as later:
        pass
    limit.observe(429, {}, later)
    assert limit.allowed == 2


def test_a_late_refusal_still_starts_the_count_of_calm_answers_again():
    limit = ConcurrencyLimit(4)
    with limit.slot() as first, limit.slot() as second:
        pass
    limit.observe(429, {}, first)
    calm(limit, CLIMB_AFTER - 1)
    limit.observe(429, {}, second)
    calm(limit, 1)
    assert limit.allowed == 2


# --- what other headers say


NO_SLOT = [
    "X-IA-Throttle-Limit-Remaining",
    "X-IA-TENANT-Throttle-Limit-Remaining",
    "x-ia-tenant-throttle-limit-remaining",
]


@pytest.mark.parametrize("name", NO_SLOT)
def test_every_header_about_slots_counts(name):
    headers = CaseInsensitiveDict({name: "0", "X-IA-Minute-Rate-Limit-Remaining": "500"})
    assert answer(ConcurrencyLimit(4), headers=headers) == 1


@pytest.mark.parametrize(
    ("headers", "distance"),
    [
        ({"X-IA-Minute-Rate-Limit": "120", "X-IA-Minute-Rate-Limit-Remaining": "11"}, 0.5),
        ({"X-IA-Minute-Rate-Limit": "120", "X-IA-Minute-Rate-Limit-Remaining": "0"}, 0.5),
        ({"X-IA-Minute-Rate-Limit": "120", "X-IA-Minute-Rate-Limit-Remaining": "12"}, 0.0),
        ({"x-ia-hour-rate-limit": "3600", "x-ia-hour-rate-limit-remaining": "100"}, 1.0),
        ({"X-IA-Hour-Rate-Limit": "10", "X-IA-Hour-Rate-Limit-Remaining": "0"}, 5.0),
        (
            {
                "X-IA-Minute-Rate-Limit": "120", "X-IA-Minute-Rate-Limit-Remaining": "1",
                "X-IA-Hour-Rate-Limit": "1800", "X-IA-Hour-Rate-Limit-Remaining": "1",
            },
            2.0,
        ),
        ({"X-IA-Minute-Rate-Limit-Remaining": "0"}, 0.0),
        ({"X-IA-Minute-Rate-Limit": "0", "X-IA-Minute-Rate-Limit-Remaining": "0"}, 0.0),
        ({"X-IA-Minute-Rate-Limit": "many", "X-IA-Minute-Rate-Limit-Remaining": "few"}, 0.0),
        ({"X-IA-Throttle-Limit": "6", "X-IA-Throttle-Limit-Remaining": "1"}, 0.0),
    ],
)  # fmt: skip
def test_little_left_of_a_rate_keeps_requests_apart_as_the_limit_allows_for_good(headers, distance):
    limit = ConcurrencyLimit(4)
    answer(limit, headers=CaseInsensitiveDict(headers))
    assert limit.spacing == distance
    assert limit.allowed == (2 if "X-IA-Throttle-Limit" in headers else 4)


class Clock:
    """A clock that only sleeping moves."""

    def __init__(self):
        self.now = 1000.0

    def monotonic(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds


def test_requests_keep_their_distance_until_enough_is_left_again(monkeypatch):
    clock = Clock()
    monkeypatch.setattr("intacct_provider.client.http.throttle.time", clock)
    limit = ConcurrencyLimit(4)
    begins = []

    def request(remaining):
        with limit.slot() as slot:
            begins.append(clock.now - 1000)
        headers = {"X-IA-Minute-Rate-Limit": "60", "X-IA-Minute-Rate-Limit-Remaining": str(remaining)}
        limit.observe(200, headers, slot)

    for remaining in (30, 5, 4, 3, 30, 30, 30):
        request(remaining)
    assert begins == [0, 0, 0, 1, 2, 2, 2]


def test_threads_that_wait_for_their_distance_queue_up_behind_each_other(monkeypatch):
    waits = []
    limit = ConcurrencyLimit(8)
    limit.spacing = 2.0

    class Stopped(Clock):
        def sleep(self, seconds):
            waits.append(seconds)

    monkeypatch.setattr("intacct_provider.client.http.throttle.time", Stopped())
    for _ in range(4):
        with limit.slot():
            pass
    assert waits == [2, 4, 6]


# --- as many as the server reports


class Company:
    """A server that lets a number of requests in at once, and clients that always have as many in flight as they may.

    :param slots: requests that it takes at once.
    :param others: how many of these are others'.
    :param reports: whether its headers say so.
    :param at_end: whether what remains is counted when a request ends, or when it begins; then itself included.
    """

    def __init__(self, slots, *, others=0, reports=True, at_end=True):
        self.slots, self.others, self.reports, self.at_end = slots, others, reports, at_end
        self.in_flight = deque()
        self.refused = self.most = 0

    def begin(self, limit):
        stack = ExitStack()
        slot = stack.enter_context(limit.slot())
        refused = self.used >= self.slots
        self.in_flight.append((limit, slot, stack, refused, self.slots - self.used - 1))
        self.most = max(self.most, len(self.in_flight))

    @property
    def used(self):
        return self.others + sum(not refused for *_, refused, _ in self.in_flight)

    def fill(self, *limits):
        for limit in limits:
            while sum(one is limit for one, *_ in self.in_flight) < limit.read_allowed():
                self.begin(limit)

    def finish(self, number=0):
        """End one of the requests in flight."""
        limit, slot, stack, refused, left = self.in_flight[number]
        left = self.slots - self.used if self.at_end else left
        del self.in_flight[number]
        stack.close()
        self.refused += refused
        headers = {"X-IA-Throttle-Limit": str(self.slots), "X-IA-Throttle-Limit-Remaining": str(max(0, left))}
        limit.observe(429 if refused else 200, headers if self.reports else {}, slot)

    def serve(self, *limits, responses=100):
        seen = []
        for _ in range(responses):
            self.fill(*limits)
            self.finish()
            seen.append(limits[0].read_allowed())
        return seen


@pytest.mark.parametrize("at_end", [True, False])
@pytest.mark.parametrize("slots", [1, 2, 3, 4, 5, 6, 8, 15, 30, 50])
def test_the_reported_limit_is_found_and_kept(slots, at_end):
    company, limit = Company(slots, at_end=at_end), ConcurrencyLimit("auto")
    company.begin(limit)
    company.finish()
    seen = company.serve(limit)
    highest = min(slots, MAX_CONCURRENCY)
    assert seen[highest:] == [highest] * (100 - highest)
    assert company.most == highest
    assert company.refused == 0


@pytest.mark.slow
@settings(derandomize=True, deadline=None, max_examples=200)
@given(st.integers(1, 40), st.booleans(), st.data())
def test_own_requests_are_never_counted_as_those_of_others(slots, at_end, data):
    """In whatever order they end, and however many there are at that moment."""
    company, limit = Company(slots, at_end=at_end), ConcurrencyLimit("auto")
    highest = 0
    for _ in range(60):
        company.fill(limit) if data.draw(st.booleans()) or not company.in_flight else None
        company.finish(data.draw(st.integers(0, len(company.in_flight) - 1)))
        if not company.refused and company.most > 1:
            assert limit.read_allowed() >= min(highest, slots)
            highest = limit.read_allowed()


def test_it_climbs_by_one_with_each_response():
    company, limit = Company(15), ConcurrencyLimit("auto")
    assert company.serve(limit, responses=12) == [5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 15]


def test_without_headers_it_stays_where_it_began():
    company, limit = Company(15, reports=False), ConcurrencyLimit("auto")
    assert set(company.serve(limit)) == {INITIAL_CONCURRENCY} == {4}


def test_a_server_that_only_refuses_is_met_half_way():
    company, limit = Company(2, reports=False), ConcurrencyLimit("auto")
    seen = company.serve(limit, responses=200)
    assert set(seen[4:]) <= {1, 2, 3}
    assert company.refused <= 2 + 200 // CLIMB_AFTER


def test_what_others_use_is_left_to_them_and_taken_when_they_are_done():
    company, limit = Company(8, others=3), ConcurrencyLimit("auto")
    assert company.serve(limit)[-1] == 5
    company.others = 0
    assert company.serve(limit, responses=6)[-1] == 8
    for others in range(1, 7):
        company.finish()
        company.others = others
    assert set(company.serve(limit)[20:]) == {2}
    assert company.refused <= 8


def test_a_limit_that_shrinks_is_obeyed_with_the_next_response_and_one_that_grows_step_by_step():
    company, limit = Company(10), ConcurrencyLimit("auto")
    company.serve(limit)
    company.slots = 3
    company.finish()
    assert limit.read_allowed() == 3
    company.slots = 12
    assert company.serve(limit, responses=13)[-1] == 12
    assert company.refused == 0


def test_after_a_rejection_it_climbs_slowly_since_the_headers_may_promise_too_much():
    limit = ConcurrencyLimit("auto")
    headers = {"X-IA-Throttle-Limit": "20", "X-IA-Throttle-Limit-Remaining": "19"}
    assert [answer(limit, headers=headers) for _ in range(8)] == [5, 6, 7, 8, 9, 10, 11, 12]
    assert answer(limit, 429, headers) == 6
    assert {answer(limit, headers=headers) for _ in range(CLIMB_AFTER - 1)} == {6}
    assert answer(limit, headers=headers) == 7


@pytest.mark.parametrize("number", [1, 3, 20])
def test_a_number_is_a_bound_that_headers_can_only_lower(number):
    assert Company(30).serve(ConcurrencyLimit(number))[-1] == number
    assert Company(30, reports=False).serve(ConcurrencyLimit(number))[-1] == number
    assert Company(2).serve(ConcurrencyLimit(number))[-1] == min(number, 2)


def test_the_smaller_of_the_limits_of_application_and_company_counts():
    limit = ConcurrencyLimit("auto")
    headers = {
        "X-IA-Throttle-Limit": "6", "X-IA-Throttle-Limit-Remaining": "5",
        "X-IA-TENANT-Throttle-Limit": "8", "X-IA-TENANT-Throttle-Limit-Remaining": "1",
    }  # fmt: skip
    assert answer(limit, headers=headers) == 2
    headers["X-IA-TENANT-Throttle-Limit-Remaining"] = "7"
    assert [answer(limit, headers=headers) for _ in range(5)] == [3, 4, 5, 6, 6]


@pytest.mark.parametrize("seconds", [0.0, YIELD_EVERY - 0.5])
def test_most_of_a_full_limit_is_not_kept_for_ever(monkeypatch, seconds):
    """Otherwise another client would never get in, since a request follows the other at once."""
    clock = Clock()
    monkeypatch.setattr("intacct_provider.client.http.throttle.time", clock)
    company, limit = Company(6), ConcurrencyLimit("auto")
    company.serve(limit)
    company.fill(limit)
    clock.now = 1000 + seconds
    company.finish()
    entered = threading.Event()

    def enter():
        with limit.slot():
            entered.set()

    thread = threading.Thread(target=enter)
    thread.start()
    assert entered.wait(0.1 if seconds else 10) is not bool(seconds)
    company.finish()
    assert entered.wait(10)
    thread.join()
    assert limit.read_allowed() == (5 if seconds else 6)


def test_two_clients_end_with_half_of_the_limit_each(monkeypatch):
    clock = Clock()
    monkeypatch.setattr("intacct_provider.client.http.throttle.time", clock)
    company = Company(6)
    first, second = ConcurrencyLimit("auto"), ConcurrencyLimit("auto")
    company.serve(first)
    for _ in range(2000):
        company.serve(first, second, responses=1)
        clock.now += 0.4 / 6
    shares = [limit.read_allowed() for limit in (first, second)]
    assert min(shares) >= 2
    assert company.refused < 100


def test_requests_begin_in_the_order_in_which_they_came():
    limit, order, threads = ConcurrencyLimit(1), [], []

    def enter(number):
        with limit.slot():
            order.append(number)

    with limit.slot():
        for number in range(8):
            threads.append(threading.Thread(target=enter, args=(number,)))
            threads[-1].start()
            LULL.wait(0.02)
    for thread in threads:
        thread.join()
    assert order == [*range(8)]
