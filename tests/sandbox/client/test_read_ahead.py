"""Pages read ahead over real HTTP: every record that existed throughout, once, or an error, whatever goes wrong."""

import math
import threading
import time
from decimal import Decimal

import pytest
from sandbox_client import RETRY, calls, client_of, running, until

from intacct_provider.client.http.retry import RetryPolicy
from intacct_provider.client.paging.pages import Totals
from intacct_provider.client.paging.proof import prove
from intacct_provider.client.paging.row_formats import StructRows
from intacct_provider.client.query.expressions import field
from intacct_provider.client.query.request import Query
from intacct_provider.exceptions import (
    IntacctArgumentError,
    IntacctConnectionError,
    IntacctError,
    IntacctIncompleteReadError,
    IntacctPermissionError,
    IntacctResponseError,
    IntacctServerError,
    IntacctValidationError,
)

CUSTOMER = "accounts-receivable/customer"
PURPOSE = "general-ledger/account-group-purpose"
QUERY = "/services/core/query"
TOTAL, PAGE = 3000, 200
EVERYTHING = [str(n) for n in range(1, TOTAL + 1)]


@pytest.fixture
def company():
    """Three thousand records that nothing refers to, so that any of them can be deleted."""
    with running(f"{PURPOSE}={TOTAL}") as one:
        yield one


@pytest.fixture(scope="module")
def kept():
    """The same for all tests that only read."""
    with running(f"{PURPOSE}={TOTAL}") as one:
        yield one


@pytest.fixture
def unchanged(kept):
    """The company that is only read, behaving well again after each test."""
    yield kept
    kept.faults = {}


def pages_of(client, fields=("key", "id"), *, name=PURPOSE, filters=None, **bounds):
    return client.read_pages(Query.build(name, fields, filters=filters), StructRows(fields), **bounds)


def keys_of(pages):
    return [key for page in pages for key in page.keys]


def read(company, size=PAGE, **changes):
    """Return the keys of all rows in the order in which they came, having compared rows with keys."""
    with client_of(company, page_size=size, **changes) as client:
        keys = []
        for page in pages_of(client):
            assert [row.f0 for row in page.rows] == page.keys
            assert [row.f1 for row in page.rows] == [f"Purpose {int(key):05d}" for key in page.keys]
            keys += page.keys
    return keys


def readers():
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("intacct-read")]


# --- what it costs


@pytest.mark.parametrize("count", [0, 1, 199, 200, 201, 399, 400, 599, 600, 1000])
def test_calls_are_few_and_billed_as_counted(sandbox, count):
    if count:
        sandbox.seed(f"{PURPOSE}={count}")
    with client_of(sandbox, page_size=200) as client:
        pages = pages_of(client)
        assert keys_of(pages) == EVERYTHING[:count]
        assert pages.counted == Totals(count)
        asked = calls(sandbox, QUERY)
        assert len(asked) == client.transactions == sandbox.transactions
        assert len(asked) <= 1.25 * math.ceil(count / 200) + 2
        # A first page without rows is asked for once more.
        assert len(asked) == (1 if count else 2) or count >= 200


def test_pages_are_under_way_together_and_never_more_than_allowed(company):
    company.faults = {"latency": 0.05}
    assert read(company, max_concurrency=3) == EVERYTHING
    assert 1 < company._state.most_in_flight <= 3
    assert readers() == []


def test_a_connection_that_allows_one_call_at_a_time_makes_no_more(company):
    company.faults = {"concurrency": 1}
    assert read(company, max_concurrency=1) == EVERYTHING
    assert company._state.most_in_flight == 1


def test_whoever_stops_early_leaves_no_thread(company):
    with client_of(company, page_size=PAGE, max_concurrency=4) as client:
        pages = iter(pages_of(client))
        assert next(pages).keys == EVERYTHING[:PAGE]
        pages.close()
        assert readers() == []
        assert len(calls(company, QUERY)) <= 12


def test_whoever_stops_early_does_not_wait_for_repetitions(company):
    """Its policy would have a reader wait for minutes; the test ends when the thread does."""
    with client_of(company, page_size=PAGE, max_concurrency=4, retry=RetryPolicy(budget=250)) as client:
        pages = iter(pages_of(client))
        next(pages)
        until(lambda: len(calls(company, QUERY)) > 4 and is_quiet(company))
        company.fail(status=503, times=0, path=QUERY, headers={"Retry-After": "200"})
        # These were answered before, and let the reader ask for more.
        next(pages), next(pages)
        until(lambda: any(call.status == 503 for call in calls(company, QUERY)))
        pages.close()
    assert readers() == []


def is_quiet(company):
    """Whether whatever the reader asked for is answered, and nothing more is asked for."""
    asked = len(company.requests)
    time.sleep(0.2)
    return len(company.requests) == asked and all(call.status for call in company.requests)


def test_rows_are_decoded_once_and_keys_need_not_be_among_them(unchanged):
    with client_of(unchanged, page_size=PAGE) as client:
        pages = list(pages_of(client, ("id",)))
    assert [row.f0 for page in pages for row in page.rows] == [
        f"Purpose {n:05d}" for n in range(1, TOTAL + 1)
    ]
    assert keys_of(pages) == EVERYTHING
    assert {len(StructRows.values(row)) for page in pages for row in page.rows} == {1}


def test_values_are_those_of_other_reads(sandbox, client):
    sandbox.seed(f"{CUSTOMER}=60")
    client.create(CUSTOMER, {"id": "C", "name": "C", "creditLimit": Decimal("1234.56")})
    fields = client.queryable_fields(CUSTOMER)
    structs = [row for page in pages_of(client, fields, name=CUSTOMER) for row in page.rows]
    rows = [dict(zip(fields, StructRows.values(row), strict=True)) for row in structs]
    assert rows == [*client.iter_rows(CUSTOMER, fields)]
    assert rows[-1]["creditLimit"] == Decimal("1234.56")


# --- what goes wrong on the way


@pytest.mark.parametrize(
    "fault",
    [
        {"status": 429, "headers": {"Retry-After": "0"}},
        {"status": 503},
        {"kind": "cut"},
        {"kind": "cut", "at": 0},
        {"kind": "cut", "framing": "chunked"},
        {"kind": "cut", "framing": "close"},
        {"kind": "cut", "done": True, "framing": "close"},
        {"kind": "cut", "done": True, "ending": "reset"},
        {"kind": "reset"},
        {"kind": "after"},
        {"kind": "alter", "gzip": True},
        {"status": 200, "body": {"ia::error": {"code": "x", "message": "busy", "errorId": "GW-0001"}}},
    ],
    ids=str,
)
@pytest.mark.parametrize("every", [2, 5])
def test_what_passes_is_outlasted(unchanged, fault, every):
    unchanged.faults = {"fail": [{**fault, "path": QUERY, "every": every, "times": 0}]}
    assert read(unchanged, retry=RetryPolicy(base=0.01, budget=20, attempts=12)) == EVERYTHING


@pytest.mark.parametrize("skip", [0, 1, 3, 9])
def test_tokens_that_end_in_the_middle_are_renewed(unchanged, skip):
    unchanged.faults = {"fail": [{"kind": "expire", "path": QUERY, "skip": skip}]}
    assert read(unchanged) == EVERYTHING


@pytest.mark.parametrize(
    ("fault", "expected", "says"),
    [
        ({"status": 403, "body": {"ia::error": {"message": "no"}}}, IntacctPermissionError, "no"),
        ({"status": 503}, IntacctServerError, "Planned"),
        ({"kind": "reset"}, IntacctConnectionError, "closed before the response"),
        ({"kind": "html"}, IntacctResponseError, "text/html"),
        (
            {"status": 200, "body": {"ia::result": {"ia::error": {"message": "no"}}}},
            IntacctValidationError,
            "no",
        ),
        (
            {"status": 200, "body": {"ia::result": [], "ia::error": {"message": "no"}}},
            IntacctValidationError,
            "no",
        ),
        ({"status": 200, "body": {"ia::result": None}}, IntacctIncompleteReadError, "no list of rows"),
        ({"status": 200, "body": {"ia::result": [1]}}, IntacctIncompleteReadError, "no list of rows"),
        ({"status": 200, "body": []}, IntacctIncompleteReadError, "no list of rows"),
    ],
    ids=lambda value: str(value) if isinstance(value, dict) else "",
)
@pytest.mark.parametrize("skip", [0, 1, 6])
def test_what_does_not_pass_is_raised_as_it_is(unchanged, fault, expected, says, skip):
    unchanged.faults = {"fail": [{**fault, "path": QUERY, "skip": skip, "times": 0}]}
    with pytest.raises(expected, match=says) as caught:
        read(unchanged)
    assert type(caught.value) is expected
    assert readers() == []


def test_what_iter_rows_raises_for_an_answer_is_what_this_raises(unchanged):
    """One seam decodes for both: an answer that is not a page is the same error either way."""
    for body in (
        {"ia::result": {"ia::error": {"message": "no"}}},
        {"ia::result": [{}, 1]},
        {"error": "gone"},
        7,
    ):
        raised = []
        for ask in (
            lambda client: list(client.iter_rows(PURPOSE, ["key"])),
            lambda client: list(pages_of(client)),
        ):
            unchanged.faults = {"fail": [{"status": 200, "body": body, "path": QUERY, "times": 0}]}
            with client_of(unchanged) as client, pytest.raises(IntacctError) as caught:
                ask(client)
            raised.append((type(caught.value), str(caught.value)))
        assert raised[0] == raised[1]


# --- servers that are not as documented


@pytest.mark.parametrize("clamp", [True, False])
@pytest.mark.parametrize("size", [1000, 4000])
def test_smaller_pages_than_asked_for(unchanged, clamp, size):
    unchanged.faults = {"max_size": 300, "clamp": clamp}
    assert read(unchanged, size) == EVERYTHING


@pytest.mark.parametrize("faults", [{"text_keys": True}, {"key_filter": False}], ids=str)
def test_keys_that_cannot_be_used(unchanged, faults):
    unchanged.faults = faults
    with client_of(unchanged, page_size=PAGE) as client:
        pages = pages_of(client)
        first = next(iter(pages))
        assert pages.by_position
        assert len(first) == PAGE
        pages = pages_of(client)
        assert sorted(keys_of(pages), key=int) == EVERYTHING
        assert pages.intervals == []


@pytest.mark.parametrize("faults", [{"text_keys": True}, {"key_filter": False}], ids=str)
def test_keys_that_cannot_be_used_cannot_be_bounds(unchanged, faults):
    unchanged.faults = faults
    with client_of(unchanged, page_size=PAGE) as client:
        pages = pages_of(client, above="5", upto="1000")
        with pytest.raises((IntacctIncompleteReadError, IntacctValidationError), match="key"):
            list(pages)


@pytest.mark.parametrize(("above", "upto"), [(None, "700"), ("700", "1400"), ("1400", None), ("5", "6")])
def test_only_keys_within_bounds(unchanged, above, upto):
    with client_of(unchanged, page_size=PAGE) as client:
        pages = pages_of(client, above=above, upto=upto)
        assert keys_of(pages) == EVERYTHING[int(above or 0) : int(upto or TOTAL)]
        assert pages.counted == client.totals(pages.query, above=above, upto=upto)


def test_filters_hold_on_every_page(unchanged):
    with client_of(unchanged, page_size=50) as client:
        wanted = (field("id") < "Purpose 00100") | (field("id") >= "Purpose 02900")
        assert keys_of(pages_of(client, filters=wanted)) == EVERYTHING[:99] + EVERYTHING[2899:]


@pytest.mark.parametrize("count", [-5000, -1, 1, 250])
@pytest.mark.parametrize("skip", [0, 1, 2, 7, 15])
def test_a_count_that_is_wrong_once_loses_nothing_and_raises_nothing(unchanged, count, skip):
    unchanged.faults = {"fail": [{"kind": "alter", "count": count, "path": QUERY, "skip": skip}]}
    assert read(unchanged) == EVERYTHING


@pytest.mark.parametrize("count", [-1, 1])
@pytest.mark.parametrize("size", [200, 3000, 4000])
def test_counts_of_pages_that_are_always_wrong_lose_nothing_and_raise_nothing(unchanged, count, size):
    unchanged.faults = {"fail": [{"kind": "alter", "count": count, "path": QUERY, "times": 0}]}
    assert read(unchanged, size) == EVERYTHING


@pytest.mark.parametrize("skip", [1, 2, 3, 9])
@pytest.mark.parametrize("repeat", [1, 5, 200])
def test_rows_that_come_again_once_are_noticed(unchanged, repeat, skip):
    unchanged.faults = {"fail": [{"kind": "alter", "repeat": repeat, "path": QUERY, "skip": skip}]}
    try:
        keys = read(unchanged)
    except (IntacctIncompleteReadError, IntacctResponseError):  # the latter where it hit the count
        return
    assert sorted(keys, key=int) == EVERYTHING


# --- changes meanwhile


@pytest.mark.parametrize("churn", [3, 40, 90])
@pytest.mark.parametrize("workers", [1, 4])
def test_records_that_go_and_come_between_pages(company, churn, workers):
    company.faults = {"churn": churn}
    with client_of(company, page_size=PAGE, max_concurrency=workers) as client:
        keys = keys_of(pages_of(client))
    company.faults = {}
    with client_of(company) as client:
        survivors = {key for key in keys_of(pages_of(client)) if int(key) <= TOTAL}
    assert len(keys) == len(set(keys))
    assert keys == sorted(keys, key=int)
    assert survivors <= set(keys)
    assert len(survivors) < TOTAL


def test_a_read_is_complete_while_a_writer_runs_freely(company):
    deleted, done = set(), threading.Event()

    def write():
        with client_of(company) as writer:
            doomed = EVERYTHING[::-3]
            while doomed and not done.is_set():
                some, doomed = doomed[:25], doomed[25:]
                assert all(result.ok for result in writer.delete_many(PURPOSE, some))
                deleted.update(some)
                writer.create_many(PURPOSE, [{"id": f"New {some[0]} {n}"} for n in range(10)])

    writer = threading.Thread(target=write)
    writer.start()
    try:
        with client_of(company, page_size=50) as client:
            keys = keys_of(pages_of(client))
    finally:
        done.set()
        writer.join()
    assert len(keys) == len(set(keys))
    assert set(EVERYTHING) - deleted <= set(keys)


# --- totals


def test_totals_are_one_call_under_the_query_s_filters(demo, demo_client):
    before = demo.transactions, demo_client.transactions
    query = Query.build(CUSTOMER, ["id"], filters=field("status") == "active", order_by=[{"id": "asc"}])
    totals = demo_client.totals(query, ["totalDue", "creditLimit"])
    assert (demo.transactions, demo_client.transactions) == (before[0] + 1, before[1] + 1)
    rows = [
        *demo_client.iter_rows(CUSTOMER, ["totalDue", "creditLimit"], filters=field("status") == "active")
    ]
    assert totals.count == len(rows)
    for name in totals.sums:
        assert totals.sums[name] == sum(
            Decimal(str(row[name])) for row in rows if row[name] not in (None, "")
        )
    assert all(isinstance(amount, Decimal) for amount in totals.sums.values())


def test_totals_of_nothing_are_zero(demo_client):
    query = Query.build(CUSTOMER, ["id"], filters=field("id") == "nobody")
    assert demo_client.totals(query, ["totalDue"]) == Totals(0, {"totalDue": Decimal(0)})


def test_totals_within_bounds(unchanged):
    with client_of(unchanged) as client:
        query = Query.build(PURPOSE, ["key"], filters=field("id") > "Purpose 00010")
        assert client.totals(query, above="5", upto="100") == Totals(90)


def test_sums_are_asked_for_after_the_read_and_never_taken_from_a_page(demo_client):
    query = Query.build(CUSTOMER, ["key", "totalDue"])
    for client in (demo_client, client_of_size(demo_client, 50)):
        pages = client.read_pages(query, StructRows(["key", "totalDue"]))
        amounts = [row.f1 for page in pages for row in page.rows]
        assert pages.counted == Totals(len(amounts))
        before, ours = (
            client.transactions,
            {"totalDue": sum((Decimal(str(one or 0)) for one in amounts), Decimal(0))},
        )
        proof = prove(pages, sums=ours)
        assert proof.counted == client.totals(query, ["totalDue"])
        assert not proof.again
        assert client.transactions == before + 2


def client_of_size(client, size):
    """Return another client of the same company with smaller pages."""
    from dataclasses import replace

    return type(client)(replace(client.config, page_size=size), retry=RETRY)


def test_a_sum_that_cannot_be_had_ends_the_proof(unchanged):
    with client_of(unchanged, page_size=PAGE) as client:
        pages = pages_of(client)
        list(pages)
        with pytest.raises(IntacctValidationError, match="nothing"):
            prove(pages, sums={"nothing": Decimal(0)})


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ({"count:key": "many", "sum:totalDue": "1"}, "count of accounts-receivable/customer is not a number"),
        ({"count:key": None, "sum:totalDue": "1"}, "count of accounts-receivable/customer is not a number"),
        ({"count:key": "3", "sum:totalDue": "a lot"}, "sum of totalDue is not a number"),
    ],
)
def test_totals_that_are_not_numbers_are_no_totals(sandbox, client, row, says):
    sandbox.fail(status=200, body={"ia::result": [row]}, path=QUERY)
    with pytest.raises(IntacctResponseError, match=says):
        client.totals(Query.build(CUSTOMER, ["id"]), ["totalDue"])


# --- whole records


def test_whole_records_come_in_order_500_a_call(unchanged):
    before = len(calls(unchanged, f"/objects/{PURPOSE}"))
    with client_of(unchanged, page_size=1300) as client:
        lists = [*client.read_records(PURPOSE, pages_of(client, ("key",)))]
    records = [record for some in lists for record in some]
    assert [record["key"] for record in records] == EVERYTHING
    assert all(record["id"] == f"Purpose {int(record['key']):05d}" for record in records)
    assert all("createdDateTime" in record["audit"] for record in records)
    assert max(map(len, lists)) == 500
    assert len(calls(unchanged, f"/objects/{PURPOSE}")) - before <= 9
    assert readers() == []


def test_records_that_were_deleted_meanwhile_are_left_out_and_not_billed(company):
    with client_of(company) as client:
        pages = list(pages_of(client, ("key",)))
        gone = [*EVERYTHING[:500], "700", "2999"]
        client.delete_many(PURPOSE, gone)
        before = client.transactions, company.transactions
        records = [record for some in client.read_records(PURPOSE, pages) for record in some]
        assert client.transactions - before[0] == company.transactions - before[1]
    assert [record["key"] for record in records] == [key for key in EVERYTHING if key not in gone]


@pytest.mark.parametrize("gone", [True, False])
def test_the_only_record_of_a_call(company, gone):
    with client_of(company) as client:
        pages = list(pages_of(client, ("key",), filters=field("id") == "Purpose 00007"))
        if gone:
            client.delete(PURPOSE, "7")
        records = [record for some in client.read_records(PURPOSE, pages) for record in some]
    assert [record["id"] for record in records] == ([] if gone else ["Purpose 00007"])


def test_a_record_that_a_query_shows_and_no_key_gives_is_no_deleted_one(unchanged):
    not_there = {"ia::result": {"ia::error": {"code": "notFound", "message": "none"}}}
    unchanged.faults = {
        "fail": [{"status": 404, "body": not_there, "path": f"/objects/{PURPOSE}", "times": 0}]
    }
    with client_of(unchanged) as client:
        for some in (EVERYTHING[:1], EVERYTHING[:3]):
            pages = pages_of(client, ("key",), filters=field("key").in_(some))
            with pytest.raises(
                IntacctIncompleteReadError, match=r"shows the record .* with key 1, but asked for it"
            ):
                list(client.read_records(PURPOSE, pages))


def test_one_answer_for_all_because_one_is_gone(company):
    """The others are asked for again, without it."""
    with client_of(company) as client:
        pages = list(pages_of(client, ("key",), upto="5"))
        client.delete(PURPOSE, "3")
        not_there = {"ia::result": {"ia::error": {"code": "notFound", "message": "none"}}}
        company.fail(status=404, body=not_there, path=f"/objects/{PURPOSE}", method="GET")
        records = [record for some in client.read_records(PURPOSE, pages) for record in some]
    assert [record["key"] for record in records] == ["1", "2", "4", "5"]


def test_any_other_refusal_of_a_record_is_raised(unchanged):
    refused = [{"key": "1"}, {"ia::error": {"message": "You may not"}, "ia::status": 403}, {"key": "3"}]
    unchanged.faults = {
        "fail": [{"status": 207, "body": {"ia::result": refused}, "path": f"/objects/{PURPOSE}", "times": 0}]
    }
    with client_of(unchanged) as client, pytest.raises(IntacctPermissionError, match="You may not"):
        list(client.read_records(PURPOSE, pages_of(client, ("key",), upto="3")))
    assert readers() == []


def test_bad_bounds_cost_no_call(client, sandbox):
    with pytest.raises(IntacctArgumentError, match="above must be a key"):
        pages_of(client, above="x")
    assert calls(sandbox) == []
