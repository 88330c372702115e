"""No more requests in flight than allowed; fewer when Intacct says so, and more again when it has calmed."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from requests.structures import CaseInsensitiveDict

from intacct_provider.client.http.throttle import CLIMB_AFTER, ConcurrencyLimit

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
