"""Reads of many pages from a server that changes, limits, miscounts, repeats or sorts its rows in unexpected ways.

A read returns every record that existed during the whole read, once, or it raises. It never returns a wrong result.
"""

from contextlib import suppress

import pytest
from reliability_work import PURPOSE, QUERY
from sandbox_client import InterruptedClient, calls, client_of, running

from intacct_provider.exceptions import IntacctIncompleteReadError

SECTION = "Paging"
TOTAL, PAGE = 250, 50
PAGES = TOTAL // PAGE
ORDERS = [None, [{"id": "asc"}], [{"id": "desc"}]]
orders = pytest.mark.parametrize("order_by", ORDERS, ids=["by key", "by id", "backwards"])
REFUSED, EITHER = "refused", "exact or refused"


def line(fault, does, *result):
    return pytest.mark.line(SECTION, fault, does, *result)


@pytest.fixture
def company():
    """A company whose records are not referenced, so that any of them can be deleted."""
    with running(f"{PURPOSE}={TOTAL}") as one:
        yield one


@pytest.fixture(scope="module")
def kept():
    """A company shared by all tests that only read."""
    with running(f"{PURPOSE}={TOTAL}") as one:
        yield one


@pytest.fixture
def unchanged(kept):
    """The shared company, without faults after each test."""
    yield kept
    kept.faults = {}


def in_order(rows, order_by):
    """Return whether rows have the requested order."""
    backwards = order_by == ORDERS[2]
    values = [row["id"] if order_by else int(row["key"]) for row in rows]
    return values == sorted(values, reverse=backwards)


def read(company, order_by=None, size=PAGE):
    with client_of(company, page_size=size) as client:
        return [*client.iter_rows(PURPOSE, ["key", "id"], order_by=order_by)]


def assert_all_once(rows, order_by=None):
    assert sorted(int(row["key"]) for row in rows) == [*range(1, TOTAL + 1)]
    assert all(row["id"] == f"Purpose {int(row['key']):05d}" for row in rows)
    assert in_order(rows, order_by)


# --- sizes


@orders
@pytest.mark.parametrize("size", [49, 50, 60, 4000])
@line("pages silently limited to fewer rows", "continues after the last row that it got")
def test_a_server_that_clamps_pages(unchanged, order_by, size):
    unchanged.faults = {"max_size": 50, "clamp": True}
    assert_all_once(read(unchanged, order_by, size), order_by)


@orders
@line("pages of more than 500 rows rejected", "halves the page size until it is accepted")
def test_a_server_that_refuses_large_pages(order_by):
    with running(f"{PURPOSE}=1200", faults={"max_size": 500}) as company:
        rows = read(company, order_by, 4000)
        assert len({row["key"] for row in rows}) == len(rows) == 1200
        assert in_order(rows, order_by)
        assert any(call.status == 400 for call in calls(company, QUERY))


# --- changes between the pages


def deleted(client, keys, number):
    client.delete_many(PURPOSE, [keys.pop(0) for _ in range(3)])


def inserted(client, keys, number):
    client.create_many(PURPOSE, [{"id": f"! {number:03d} {n}"} for n in range(3)])


def deleted_and_inserted(client, keys, number):
    deleted(client, keys, number)
    inserted(client, keys, number)


def changed(client, keys, number):
    """Move the first record to the end and the last one to the front, in the order of ids."""
    client.update(PURPOSE, keys[0], {"id": f"~ {number:03d}"})
    client.update(PURPOSE, keys[-1], {"id": f"! {number:03d}"})
    keys[:] = keys[1:-1]


ASKS_BY_KEY = "pages by key, which changes do not affect; reads again if another order was requested"


@orders
@pytest.mark.parametrize(
    "change",
    [
        pytest.param(deleted, marks=line("rows deleted between pages", ASKS_BY_KEY)),
        pytest.param(inserted, marks=line("rows inserted between pages", ASKS_BY_KEY)),
        pytest.param(
            deleted_and_inserted, marks=line("as many rows inserted as deleted between pages", ASKS_BY_KEY)
        ),
        pytest.param(changed, marks=line("rows changed so that they move between pages", ASKS_BY_KEY)),
    ],
)
def test_changes_between_pages_that_stop(company, order_by, change):
    with client_of(company) as other:
        keys = [row["key"] for row in read(company)]
        before = set(keys)

        def happen():
            if reader.pages <= PAGES:
                change(other, keys, reader.pages)

        with InterruptedClient(company, happen, page_size=PAGE) as reader:
            rows = [*reader.iter_rows(PURPOSE, ["key", "id"], order_by=order_by)]
        assert reader.pages >= PAGES
        names = [row["key"] for row in rows]
        assert len(names) == len(set(names)), "a record was read twice"
        now = {record["key"]: record["id"] for record in company.records(PURPOSE)}
        assert before & now.keys() <= set(names), "a record that existed the whole time was lost"
        if change is not changed or order_by:
            assert all(now.get(row["key"], row["id"]) == row["id"] for row in rows), "an id is invented"
        assert in_order(rows, order_by)


@orders
@line(
    "changes between pages that never stop",
    "pages by key; refuses another order",
    EITHER,
)
def test_changes_that_never_end(company, order_by):
    """Use the sandbox's own churn, which does not wait for pages."""
    company.faults.churn = 4
    before = {record["key"] for record in company.records(PURPOSE)}
    try:
        rows = read(company, order_by)
    except IntacctIncompleteReadError:
        assert order_by
        return
    names = [row["key"] for row in rows]
    assert len(names) == len(set(names))
    assert before & {record["key"] for record in company.records(PURPOSE)} <= set(names)


# --- counts and rows that contradict each other


@pytest.mark.slow
@orders
@pytest.mark.parametrize("size", [PAGE, 83, TOTAL, TOTAL + 1])
@pytest.mark.parametrize("count", [-1, 1, -PAGE, PAGE])
@line("totalCount wrong on one page", "trusts rows, not counts, and checks for more rows after a full page")
def test_a_wrong_count_on_one_page(unchanged, count, size, order_by):
    for number in range(PAGES + 1):
        unchanged.fail(kind="alter", count=count, path=QUERY, skip=number)
        assert_all_once(read(unchanged, order_by, size), order_by)
        unchanged.clear_faults()


@pytest.mark.parametrize("size", [PAGE, 83, TOTAL - 1, TOTAL, TOTAL + 1])
@pytest.mark.parametrize("count", [-1, 1])
@line("totalCount wrong by one on every page, paging by key", "trusts rows, not counts", EITHER)
def test_a_wrong_count_on_every_page(unchanged, count, size):
    unchanged.fail(kind="alter", count=count, path=QUERY, times=0)
    try:
        rows = read(unchanged, None, size)
    except IntacctIncompleteReadError:
        assert count > 0, "a count that is too low never raises, since the rows are there"
    else:
        assert_all_once(rows)


@pytest.mark.parametrize("count", [-1, 1])
@pytest.mark.parametrize("order_by", ORDERS[1:], ids=["by id", "backwards"])
@line("totalCount wrong by one on every page, in a requested order", "reads again, then refuses", REFUSED)
def test_a_wrong_count_on_every_page_of_an_ordered_read(unchanged, count, order_by):
    unchanged.fail(kind="alter", count=count, path=QUERY, times=0)
    with pytest.raises(IntacctIncompleteReadError):
        read(unchanged, order_by)


@orders
@pytest.mark.parametrize("repeat", [1, 7, PAGE])
@line(
    "rows repeated on the next page",
    "detects it, and reads again or refuses",
    EITHER,
)
def test_rows_that_come_again_once(unchanged, repeat, order_by):
    exact = 0
    for number in range(PAGES + 1):
        unchanged.fail(kind="alter", repeat=repeat, path=QUERY, skip=number)
        try:
            rows = read(unchanged, order_by)
        except IntacctIncompleteReadError:
            rows = None
        if rows is not None:
            assert_all_once(rows, order_by)
            exact += 1
        unchanged.clear_faults()
    assert exact >= 2


@orders
@line("rows repeated on every later page", "detects it, and refuses", REFUSED)
def test_rows_that_always_come_again(unchanged, order_by):
    unchanged.fail(kind="alter", repeat=1, path=QUERY, times=0, skip=1)
    with pytest.raises(IntacctIncompleteReadError):
        read(unchanged, order_by)


@orders
@line(
    "row missing from the middle of a page",
    "detects it, and reads again, or names the missing record and refuses",
    EITHER,
)
def test_a_row_that_a_page_lost(unchanged, order_by):
    refused = []
    for number in range(PAGES + 1):
        unchanged.faults.clock_skew = 3600  # so that the records are known not to be new
        unchanged.fail(kind="alter", drop=PAGE // 2, path=QUERY, skip=number)
        try:
            rows = read(unchanged, order_by)
            # Where the first page lost it, keys are not relied on for the order of rows either.
            assert sorted(int(row["key"]) for row in rows) == [*range(1, TOTAL + 1)]
        except IntacctIncompleteReadError as err:
            refused.append(str(err))
        unchanged.faults = {}
    assert len(refused) <= (PAGES - 1 if order_by is None else 0)
    assert all("1 record that existed during the whole read is missing: key" in one for one in refused)


# --- keys


@pytest.mark.parametrize("size", [30, PAGE, 99, 100, 101, 4000])
@orders
@line("keys that sort and compare as text", "detects it, and pages by position until the rows stay in place")
def test_keys_that_sort_as_text(unchanged, size, order_by):
    unchanged.faults.text_keys = True
    rows = read(unchanged, order_by, size)
    assert sorted(int(row["key"]) for row in rows) == [*range(1, TOTAL + 1)]


@orders
@line("filters on key rejected", "pages by position until the rows stay in place")
def test_keys_that_cannot_be_asked_for(unchanged, order_by):
    unchanged.faults.key_filter = False
    assert_all_once(read(unchanged, order_by), order_by)


@orders
@line("page without rows although totalCount reports some", "requests the page again", EITHER)
def test_a_page_without_its_rows(unchanged, order_by):
    meta = {"totalCount": 99, "start": 1, "pageSize": PAGE, "next": None, "previous": None}
    for number in range(PAGES):
        unchanged.fail(status=200, body={"ia::result": [], "ia::meta": meta}, path=QUERY, skip=number)
        with suppress(IntacctIncompleteReadError):
            assert_all_once(read(unchanged, order_by), order_by)
        unchanged.clear_faults()
