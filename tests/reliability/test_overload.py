"""An overloaded server, in all the ways in which it reports that."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from email.utils import format_datetime

import pytest
from reliability_work import PAGE, PURPOSE, QUERY, SEED, do_work, work_at_every_call
from sandbox_client import calls, client_of, running

from intacct_provider.client.http.retry import RetryPolicy

SECTION = "Overload"
HTML = {"Content-Type": "text/html"}
GATEWAY_PAGE = "<html><body>Bad Gateway</body></html>"
WAITS = "waits as long as the header says, and retries"
BACKS_OFF = "retries with exponential backoff and jitter"


def line(fault, does, *result):
    return pytest.mark.line(SECTION, fault, does, *result)


def busy(status, text, does=BACKS_OFF, **more):
    return pytest.param({"status": status, **more}, marks=line(text, does), id=text.replace(" ", "-"))


BUSY = [
    busy(429, "429 with Retry-After", WAITS, headers={"Retry-After": "0.01"}),
    busy(429, "429 without Retry-After"),
    *(busy(status, f"{status} with JSON") for status in (408, 425, 500, 502, 503, 504)),
    *(
        busy(status, f"{status} with an HTML page", body=GATEWAY_PAGE, headers=HTML)
        for status in (500, 502, 503, 504)
    ),
    busy(503, "503 with an empty body", body=b""),
]


@pytest.mark.slow
@pytest.mark.parametrize("every", [2, 5])
@pytest.mark.parametrize("fault", BUSY)
def test_every_nth_call_meets_an_overload(sandbox, fault, every):
    sandbox.fail(**fault, every=every)
    with client_of(sandbox, page_size=PAGE) as client:
        for number in range(2):
            do_work(sandbox, client, f"T{number:03d}")
    assert sum(call.fault is not None for call in sandbox.requests) >= len(sandbox.requests) // every - 1 > 0


@pytest.mark.parametrize(
    "fault",
    [
        busy(503, "500 and 503 although the call was executed", done=True, times=2),
        busy(500, "500 and 503 although the call was executed", done=True),
        busy(
            200,
            "overload reported with HTTP 200",
            body={"ia::error": {"errorId": "GW-0010", "message": "Busy"}},
        ),
    ],
)
def test_an_overload_at_any_call_of_a_run(sandbox, fault):
    work_at_every_call(sandbox, fault)


# --- how long


SPELLINGS = (
    "Retry-After",
    "X-IA-Throttle-Limit-Retry-After",
    "X-IA-TENANT-Throttle-Limit-Retry-After",
    "X-IA-Minute-Rate-Limit-Retry-After",
    "X-IA-Hour-Rate-Limit-Retry-After",
    "x-ia-throttle-limit-retryafter",
)


def gap(sandbox):
    """Return the seconds from the end of the last query but one to the start of the last query."""
    before, after = calls(sandbox, QUERY)[-2:]
    return (after.begun - before.begun).total_seconds() - before.seconds


@pytest.mark.parametrize("header", SPELLINGS)
@line("every spelling of Retry-After", WAITS)
def test_every_spelling_of_the_header_is_respected(sandbox, header):
    """Without the header, the wait would be 0: the policy's own wait is switched off."""
    with client_of(sandbox, RetryPolicy(base=0), page_size=PAGE) as client:
        client.query(PURPOSE, ["key"], size=1)
        sandbox.fail(status=429, path=QUERY, headers={header: "0.3"})
        assert client.query(PURPOSE, ["key"], order_by=[{"key": "asc"}], size=1).rows == [{"key": "1"}]
    assert gap(sandbox) >= 0.29


@pytest.mark.slow
@pytest.mark.parametrize("skew", [-300, 300])
@line(
    "Retry-After as an HTTP date, with either clock five minutes wrong",
    "counts from the Date header of the response",
)
def test_a_pause_is_kept_when_it_ends_at_a_date(skew):
    """If the clocks were compared, the pause would be skipped or exceed the budget by five minutes."""
    with (
        running(SEED, faults={"clock_skew": skew}) as company,
        client_of(company, RetryPolicy(base=0, budget=10)) as client,
    ):
        client.query(PURPOSE, ["key"], size=1)
        later = format_datetime(company.store.now() + timedelta(seconds=2), usegmt=True)
        company.fail(status=503, path=QUERY, headers={"Retry-After": later})
        assert client.query(PURPOSE, ["key"], order_by=[{"key": "asc"}], size=1).rows == [{"key": "1"}]
        assert gap(company) >= 0.99


@line(
    "fewer concurrent calls allowed than there are workers",
    "retries the rejected calls, and lowers its concurrency",
)
def test_more_workers_than_the_server_takes_calls():
    patient = RetryPolicy(attempts=100, base=0.05, longest=0.05, budget=100)
    with running(SEED, faults={"concurrency": 2, "latency": 0.005}) as company:

        def work(number):
            with client_of(company, patient, page_size=PAGE) as client:
                do_work(company, client, f"T{number:03d}")

        with client_of(company) as client:
            client.query(PURPOSE, ["key"], size=1)
        with ThreadPoolExecutor(4) as threads:
            assert [*threads.map(work, range(4))] == [None] * 4
        assert any(call.status == 429 for call in company.requests)
