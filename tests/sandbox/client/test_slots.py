"""As many requests in flight as the company allows, over HTTP: found from headers, or met by rejections."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from busy_server import BusyServer, read_keys, serving

from intacct_provider.client.http import throttle


def read(server, **changes):
    with serving(server) as url:
        keys, transactions = read_keys(url, **changes)
    assert keys == [*range(1, len(server.model.records) + 1)]
    assert transactions == server.queries
    return transactions


@pytest.mark.parametrize("slots", [6, *(pytest.param(n, marks=pytest.mark.slow) for n in (1, 2, 12))])
def test_the_slots_that_headers_report_are_found_and_used(slots):
    rows = 300 + 80 * slots
    server = BusyServer(slots, rows=rows, seconds=0.03 if slots < 6 else 0.12)
    cost = read(server)
    assert server.most == slots
    assert server.refused == 0
    assert cost == read(BusyServer(20, rows=rows, seconds=0), max_concurrency=4)


@pytest.mark.parametrize("rows", [5, 10, 11, 25])
@pytest.mark.parametrize("slots", [6, 30])
def test_a_small_read_costs_no_more_calls_than_with_few_requests(rows, slots):
    assert read(BusyServer(slots, rows=rows)) == read(BusyServer(slots, rows=rows), max_concurrency=2)


@pytest.mark.slow
def test_without_headers_it_stays_at_four():
    server = BusyServer(20, reports=None)
    read(server)
    assert server.most == 4
    assert server.refused == 0


def test_a_server_that_refuses_without_headers_is_read_completely():
    server = BusyServer(2, rows=600, reports=None)
    read(server)
    assert server.most == 2
    assert server.refused <= 15


@pytest.mark.slow
def test_a_server_that_reports_more_than_it_takes_is_read_completely():
    server = BusyServer(3, reports=lambda slots: 20)
    read(server)
    assert server.most == 3
    assert server.refused <= 30


def test_a_server_that_reports_less_than_it_takes_is_believed():
    server = BusyServer(20, rows=500)
    server.headers = lambda remaining: {
        "X-IA-Throttle-Limit": 3, "X-IA-Throttle-Limit-Remaining": max(0, remaining - 17)
    }  # fmt: skip
    read(server)
    assert server.most <= 4  # before the first response, at most


@pytest.mark.slow
def test_a_limit_that_shrinks_and_grows_during_the_read_is_followed():
    server = BusyServer(6, rows=2500, seconds=0.06)

    def change(number):
        server.slots = 6 if number < 70 else 2 if number < 120 else 10

    server.between = change
    read(server)
    assert max(server.seen[90:115]) == 2
    assert max(server.seen[180:230]) > 2
    assert server.refused <= 12


@pytest.mark.slow
def test_two_clients_share_six_slots_and_neither_starves(monkeypatch):
    monkeypatch.setattr(throttle, "YIELD_EVERY", 0.5)
    monkeypatch.setattr(throttle, "YIELD_FOR", 0.1)
    server = BusyServer(6, rows=2000)
    with serving(server) as url, ThreadPoolExecutor(2) as threads:
        first = threads.submit(read_keys, url, "first")
        while server.queries < 40:
            pass
        second = threads.submit(read_keys, url, "second")
        assert first.result()[0] == second.result()[0] == [*range(1, 2001)]
    assert server.most == 6
    last_of_first = max(n for n, whose in enumerate(server.whose) if "first" in whose)
    of_second = sum("second" in whose for whose in server.whose[:last_of_first])
    assert of_second > 25
