"""Calls in parallel, whose results are taken in order."""

import threading

import pytest

from intacct_provider.client.paging.ordered_pool import in_order, make_pool
from intacct_provider.exceptions import IntacctServerError


def test_results_come_in_order_and_few_wait():
    begun, lock = [], threading.Lock()

    def call(number):
        with lock:
            begun.append(number)
        return number * 2

    results = in_order(make_pool(3), 3, call, range(100), threading.Event())
    assert next(results) == 0
    assert len(begun) <= 6
    assert list(results) == [2 * n for n in range(1, 100)]


def test_the_first_error_in_order_is_raised_and_no_thread_is_left():
    def call(number):
        if number in (7, 8):
            raise IntacctServerError(f"down at {number}", status=503)
        return number

    results = in_order(make_pool(3), 3, call, range(100), threading.Event())
    assert [next(results) for _ in range(7)] == [*range(7)]
    with pytest.raises(IntacctServerError, match="down at 7"):
        next(results)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("intacct-read")]
