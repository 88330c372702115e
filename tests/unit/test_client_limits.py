"""No more requests in flight than allowed; fewer when Intacct says so, and more again when it has calmed."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from requests.structures import CaseInsensitiveDict

from intacct_provider.client.limits import CLIMB_AFTER, ConcurrencyLimit

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


def calm(limit, answers=CLIMB_AFTER):
    for _ in range(answers):
        limit.observe(200, {})


@pytest.mark.parametrize("highest", [1, 3, 6])
def test_no_more_threads_are_inside_than_allowed_and_all_get_their_turn(highest):
    assert Crowd(ConcurrencyLimit(highest)).visits(64) == highest


def test_a_lowered_limit_holds_for_those_that_come_after():
    limit = ConcurrencyLimit(8)
    limit.observe(429, {})
    limit.observe(429, {})
    assert Crowd(limit).visits(32) == 2


def test_a_refusal_for_rate_halves_the_limit_but_never_to_none():
    limit = ConcurrencyLimit(8)
    seen = []
    for _ in range(5):
        limit.observe(429, {})
        seen.append(limit.allowed)
    assert seen == [4, 2, 1, 1, 1]


@pytest.mark.parametrize(("remaining", "allowed"), [("0", 2), (" 0 ", 2), ("1", 4), ("", 4)])
def test_a_header_that_says_no_slot_remains_halves_the_limit_too(remaining, allowed):
    limit = ConcurrencyLimit(4)
    limit.observe(200, CaseInsensitiveDict({"x-ia-throttle-limit-remaining": remaining}))
    assert limit.allowed == allowed


def test_the_limit_climbs_back_one_by_one_and_no_higher_than_it_was():
    limit = ConcurrencyLimit(4)
    limit.observe(429, {})
    limit.observe(429, {})
    seen = []
    for _ in range(5):
        calm(limit)
        seen.append(limit.allowed)
    assert seen == [2, 3, 4, 4, 4]


def test_a_refusal_starts_the_count_of_calm_answers_again():
    limit = ConcurrencyLimit(4)
    limit.observe(429, {})
    calm(limit, CLIMB_AFTER - 1)
    limit.observe(429, {})
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
    assert client._transport.limit.allowed == 3
    for _ in range(CLIMB_AFTER):
        client.list(CUSTOMER)
    assert client._transport.limit.allowed == 4


def test_the_wait_before_a_repetition_holds_no_slot(intacct, monkeypatch):
    intacct.on("GET", intacct.customers, {"status_code": 503}, {"json": LIST})
    client = intacct.client(max_concurrency=1)
    free = []

    def sleep(_seconds):
        with client._transport.limit.slot():
            free.append(True)

    monkeypatch.setattr("intacct_provider.client.transport.time.sleep", sleep)
    client.list(CUSTOMER)
    assert free == [True]
