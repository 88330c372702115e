"""Progress reports by time and in plain words what an export does and costs; a budget ends it before it costs more."""

from __future__ import annotations

import datetime as dt
import logging
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from sandbox_client import calls, client_of, running

from intacct_provider.client.paging.row_formats import StructRows
from intacct_provider.client.query.expressions import field
from intacct_provider.client.query.request import Query
from intacct_provider.exceptions import IntacctArgumentError, IntacctBudgetError, IntacctValidationError
from intacct_provider.export.completeness.budget import Budget, calls_for
from intacct_provider.export.completeness.progress import Progress

LEDGER = "general-ledger/journal-entry-line"
PURPOSE = "general-ledger/account-group-purpose"
QUERY = "/services/core/query"
PAGE = 4000


class Clock:
    """A clock that a test turns, with the time of day beside it."""

    def __init__(self):
        self.seconds = 1000.0

    def __call__(self):
        return self.seconds

    def now(self):
        """Return the time of day."""
        return dt.datetime(2026, 12, 31, 23, 50, tzinfo=dt.UTC) + dt.timedelta(seconds=self.seconds - 1000)


@pytest.fixture(scope="module")
def company():
    """A company with 95 records, of which the tests only read."""
    with running(f"{PURPOSE}=95") as sandbox:
        yield sandbox


@pytest.fixture
def client(company):
    """A client that reads ten rows a page, so that these are many pages."""
    with client_of(company, page_size=10) as ours:
        yield ours


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def make(client, clock, caplog):
    """Return a function that begins to tell of an export."""
    caplog.set_level(logging.INFO, "export")
    log = logging.getLogger("export")

    def begin(**options):
        return Progress(log, LEDGER, client, **{"clock": clock, "now": clock.now, **options})

    return begin


def read(client, times=1):
    for _ in range(times):
        client.query(PURPOSE, ["key"])


def lines(caplog):
    return [record.getMessage() for record in caplog.records if record.name == "export"]


# Progress


def test_a_line_tells_how_far_how_fast_until_when_and_for_what(make, client, clock, caplog):
    progress = make()
    read(client, 3)
    clock.seconds += 31
    progress.rows(10, total=95)
    (line,) = lines(caplog)
    assert line == (
        f"{LEDGER}: 10 of 95 rows (10%), 0 a second, done at about 2026-12-31 23:54 UTC; 3 billed transactions so far, "
        "about 12 in all."
    )


def test_lines_come_by_time_however_many_pages_there_are(make, clock, caplog):
    progress = make()
    for _ in range(960):
        clock.seconds += 0.125
        progress.rows(5000, total=6_000_000)
    assert [line.split()[1] for line in lines(caplog)] == ["1,200,000", "2,400,000", "3,600,000", "4,800,000"]
    assert [line.split("(")[1][:3] for line in lines(caplog)] == ["20%", "40%", "60%", "80%"]
    assert all("40,000 a second, done at about 2026-12-31 23:52 UTC;" in line for line in lines(caplog))


def test_a_small_export_logs_its_last_line_alone(make, client, clock, caplog):
    progress = make()
    read(client)
    clock.seconds += 0.25
    progress.rows(1, total=1)
    assert lines(caplog) == []
    progress.done()
    assert lines(caplog) == [f"{LEDGER}: all 1 row read in 0.2 s; 1 billed transaction."]


@pytest.mark.parametrize(
    ("seconds", "reported"),
    [(59.9, "59.9 s (2 a second)"), (61, "1 min 1 s (2 a second)"), (3725, "1 h 2 min (0 a second)")],
)
def test_the_last_line_tells_time_and_speed(make, clock, caplog, seconds, reported):
    progress = make(every=1e9)
    progress.rows(100)
    clock.seconds += seconds
    progress.done()
    assert lines(caplog) == [f"{LEDGER}: all 100 rows read in {reported}; 0 billed transactions."]


def test_an_export_of_nothing_has_a_last_line(make, caplog):
    progress = make()
    progress.rows(0, total=0)
    progress.done()
    assert lines(caplog) == [f"{LEDGER}: all 0 rows read in 0.0 s; 0 billed transactions."]


def test_without_a_count_a_line_tells_what_is_known(make, client, clock, caplog):
    progress = make()
    read(client)
    clock.seconds += 60
    progress.rows(600)
    assert lines(caplog) == [f"{LEDGER}: 600 rows so far, 10 a second; 1 billed transaction so far."]


def test_while_no_row_has_come_there_is_no_end_in_sight(make, clock, caplog):
    progress = make(total=50)
    clock.seconds += 60
    progress.rows(0)
    assert lines(caplog) == [
        f"{LEDGER}: 0 of 50 rows (0%), 0 a second; 0 billed transactions so far, about 7 in all."
    ]


def test_rows_beyond_the_count_make_it_more_and_never_more_than_all(make, clock, caplog):
    progress = make(total=100)
    clock.seconds += 60
    progress.rows(120)
    assert f"{LEDGER}: 120 of 120 rows (100%)" in lines(caplog)[0]


def test_rows_of_an_earlier_try_count_as_done_and_not_as_speed(make, clock, caplog):
    progress = make(earlier=900, total=100)
    clock.seconds += 50
    progress.rows(50)
    assert (
        f"{LEDGER}: 950 of 1,000 rows (95%), 1 a second, done at about 2026-12-31 23:51 UTC"
        in lines(caplog)[0]
    )
    progress.done()
    assert "all 50 rows read in 50.0 s (1 a second)" in lines(caplog)[1]
    assert lines(caplog)[1].endswith("900 rows were read by an earlier attempt.")


def test_an_end_that_no_calendar_has_breaks_nothing(make, clock, caplog):
    progress = make(total=10**15)
    clock.seconds += 10**6
    progress.rows(1)
    assert "done at about 2058" in lines(caplog)[0]


def test_a_server_with_smaller_pages_is_forecast_by_its_pages(make, clock, caplog):
    progress = make()
    clock.seconds += 60
    progress.rows(5, total=95)
    assert lines(caplog)[0].endswith("about 25 in all.")


def test_a_count_is_asked_for_when_it_is_needed_and_kept_when_it_is_not_told_again(make, clock, caplog):
    reported = {}
    progress = make(total=lambda: reported.get("total"), every=1)
    for total in (None, 100, None, 200):
        reported["total"] = total
        clock.seconds += 60
        progress.rows(20)
    assert [line.split(":")[1].split(",")[0] for line in lines(caplog)] == [
        " 20 rows so far",
        " 40 of 100 rows (40%)",
        " 60 of 100 rows (60%)",
        " 80 of 200 rows (40%)",
    ]


def test_what_was_billed_before_the_rows_is_part_of_the_forecast(make, client, clock, caplog):
    read(client, 2)
    progress = make()
    clock.seconds += 60
    progress.rows(10, total=95)
    assert lines(caplog)[0].endswith("about 14 in all.")


def test_a_bill_above_the_forecast_is_the_forecast(make, client, clock, caplog):
    progress = make()
    read(client, 20)
    clock.seconds += 60
    progress.rows(10, total=95)
    assert lines(caplog)[0].endswith("20 billed transactions so far, about 20 in all.")


@pytest.mark.parametrize(
    ("rows", "options", "expected"),
    [
        (0, {}, 2),
        (1, {}, 1),
        (3999, {}, 1),
        (3999, {"sums": True}, 2),
        (4000, {}, 2),
        (4001, {}, 3),
        (8000, {}, 3),
        (8000, {"sums": True}, 4),
        (8001, {}, 4),
        (50_000, {}, 14),
        (200_000, {}, 52),
        (501, {"detail": True}, 3),
        (8000, {"detail": True}, 19),
    ],
)
def test_the_cost_of_a_read_is_pages_that_overlap_by_a_row_and_the_highest_key(rows, options, expected):
    assert calls_for(rows, PAGE, **options) == expected


@pytest.mark.parametrize("rows", [0, 1, 9, 10, 11, 19, 20, 21, 29, 30, 94, 95])
@pytest.mark.parametrize("requests", [1, 4])
def test_the_forecast_is_the_bill_of_a_quiet_read(company, rows, requests):
    some = Query.build(PURPOSE, ["key"], filters=field("key").lte(str(rows)))
    with client_of(company, page_size=10, max_concurrency=requests) as client:
        assert sum(len(page) for page in client.read_pages(some, StructRows(["key"]))) == rows
        assert client.transactions == calls_for(rows, 10)


@pytest.mark.parametrize("limit", range(2, 12))
def test_a_read_ahead_that_may_not_be_finished_costs_one_call(company, limit):
    """Its first page shows that all of it needs twelve."""
    with client_of(company, page_size=10) as client:
        pages = client.read_pages(Query.build(PURPOSE, ["key"]), StructRows(["key"]))
        Progress(None, PURPOSE, client, total=lambda: pages.expected, budget=Budget(client, PURPOSE, limit))
        with pytest.raises(IntacctBudgetError, match=r"of 95 rows, for 1 billed .* needs about 12\."):
            list(pages)
        assert client.transactions == 1


@pytest.mark.parametrize("rows", [4000, 8000, 50_000, 200_000, 10_000_000])
def test_the_forecast_stays_within_what_an_export_may_cost(rows):
    assert calls_for(rows, PAGE) <= 1.25 * -(-rows // PAGE) + 2


# Budget


def test_the_call_that_would_go_over_the_limit_is_not_sent(company, client):
    Budget(client, PURPOSE, 3)
    before = len(calls(company, QUERY))
    read(client, 3)
    with pytest.raises(IntacctBudgetError):
        read(client)
    assert len(calls(company, QUERY)) == before + client.transactions == before + 3


def test_threads_that_read_ahead_together_stay_within_the_limit(company, client):
    """All calls in flight count, though none of them is billed yet."""
    Budget(client, PURPOSE, 5)
    before, gate = len(calls(company, QUERY)), threading.Barrier(12)

    def one(_):
        gate.wait()
        try:
            read(client)
        except IntacctBudgetError:
            return 0
        return 1

    with ThreadPoolExecutor(12) as pool:
        assert sum(pool.map(one, range(12))) == 5
    assert len(calls(company, QUERY)) == before + client.transactions == before + 5


def test_what_intacct_refuses_is_not_billed_and_does_not_count(client):
    Budget(client, PURPOSE, 2)
    for _ in range(4):
        with pytest.raises(IntacctValidationError):
            client.query(PURPOSE, ["key", "nonsense"])
    assert client.transactions < 2
    read(client)


def test_a_client_without_a_limit_is_never_refused(client):
    Budget(client, PURPOSE, None)
    read(client, 12)
    assert client.transactions == 12


def test_a_forecast_above_the_limit_ends_it_after_the_first_page(company, client, make):
    budget = Budget(client, PURPOSE, 11)
    progress = make(budget=budget)
    before = len(calls(company, QUERY))
    page = client.query(PURPOSE, ["key"])
    with pytest.raises(IntacctBudgetError) as raised:
        progress.rows(len(page.rows), page.total_count)
    assert len(calls(company, QUERY)) == before + 1
    assert str(raised.value) == (
        f"{PURPOSE}: stopped before it costs more than max_transactions=11. Read so far: 10 of 95 rows, for 1 billed "
        "transactions. All of it needs about 12. Nothing of it was published. Raise max_transactions, or narrow the "
        "filters."
    )


def test_the_second_page_is_not_paid_for_when_the_first_tells_that_all_is_too_much(company, client, make):
    """Pages are read ahead before the first one is handed on."""
    counted = []
    progress = make(total=lambda: counted[-1] if counted else None, budget=Budget(client, PURPOSE, 11))
    before = len(calls(company, QUERY))
    counted.append(client.query(PURPOSE, ["key"]).total_count)
    with pytest.raises(
        IntacctBudgetError, match=r"Read so far: 0 of 95 rows, for 1 billed transactions\. All of it"
    ):
        read(client)
    assert len(calls(company, QUERY)) == before + 1
    assert progress


def test_a_limit_that_is_just_enough_ends_nothing(client, make):
    progress = make(budget=Budget(client, PURPOSE, 12))
    page = client.query(PURPOSE, ["key"])
    progress.rows(len(page.rows), page.total_count)


def test_the_error_counts_the_pages_that_still_arrived(client, make):
    """Pages before the refused one are on their way when it is refused, and they are handed on first."""
    progress = make(budget=Budget(client, PURPOSE, 2))
    read(client, 2)
    with pytest.raises(IntacctBudgetError) as raised:
        read(client)
    progress.rows(10)
    progress.rows(10)
    assert "Read so far: 20 rows, for 2 billed transactions. Nothing" in str(raised.value)
    assert raised.value.retryable is False


@pytest.mark.parametrize("limit", [0, -1, 1.5, True, "", "many", "0", "-3"])
def test_a_limit_that_is_no_limit_is_refused(client, limit):
    with pytest.raises(
        IntacctArgumentError, match="max_transactions must be a whole number of 1 or more, not"
    ):
        Budget(client, PURPOSE, limit)


def test_a_limit_may_come_from_a_template(client):
    assert Budget(client, PURPOSE, "12").limit == 12
