"""A read returns every record that existed throughout, once, or raises: while others write, and in each mode."""

import threading

import pytest
import requests
from sandbox_client import InterruptedClient, calls, client_of, running, stored

from intacct_provider.client.paging.proof import prove
from intacct_provider.client.paging.row_formats import StructRows
from intacct_provider.client.query.expressions import field
from intacct_provider.client.query.request import Query
from intacct_provider.exceptions import IntacctArgumentError, IntacctIncompleteReadError

CUSTOMER = "accounts-receivable/customer"
PURPOSE = "general-ledger/account-group-purpose"
QUERY = "/services/core/query"
TOTAL = 10_000
PAGE = 500
STEP = 40


@pytest.fixture
def purposes():
    """Ten thousand records that nothing refers to, so that any of them can be deleted."""
    with running(f"{PURPOSE}={TOTAL}") as company:
        yield company


@pytest.fixture(scope="module")
def customers():
    """Ten thousand customers, only to be read."""
    with running(f"{CUSTOMER}={TOTAL}") as company:
        yield company


class Churn:
    """Deletes the first records of all and inserts others before the first, in key order and in id order."""

    def __init__(self, sandbox):
        self._client = client_of(sandbox)
        self._front = [row["key"] for row in self._client.iter_rows(PURPOSE, ["key"])]
        self.seeded = frozenset(self._front)
        self.deleted = set()
        self.inserted = set()
        self.steps = 0

    def step(self, delete=STEP, insert=STEP):
        """Do it once, over HTTP."""
        doomed, self._front = self._front[:delete], self._front[delete:]
        assert all(result.ok for result in self._client.delete_many(PURPOSE, doomed))
        self.deleted.update(doomed)
        added = [{"id": f"! {self.steps:04d} {n:04d}"} for n in range(insert)]
        made = self._client.create_many(PURPOSE, added)
        assert all(result.ok for result in made)
        self.inserted.update(result.key for result in made)
        self.steps += 1

    @property
    def survivors(self):
        """The keys of the records that existed from beginning to end."""
        return self.seeded - self.deleted


def assert_complete(rows, churn):
    keys = [row["key"] for row in rows]
    assert len(keys) == len(set(keys)), "a record was returned twice"
    assert churn.survivors <= set(keys), "a record that existed throughout is missing"
    assert set(keys) <= churn.seeded | churn.inserted, "a record was made up"


# --- by key


def test_a_read_by_key_loses_and_doubles_nothing_while_another_thread_writes(purposes):
    churn, done = Churn(purposes), threading.Event()
    page_read, moved = threading.Semaphore(0), threading.Semaphore(0)

    def write_until_done():
        while not done.is_set():
            churn.step()
            moved.release()
            page_read.acquire(timeout=10)

    def let_it_write():
        page_read.release()
        assert moved.acquire(timeout=10)

    thread = threading.Thread(target=write_until_done)
    thread.start()
    try:
        reader = InterruptedClient(purposes, let_it_write, page_size=PAGE)
        rows = [*reader.iter_rows(PURPOSE, ["key", "id"])]
    finally:
        done.set()
        page_read.release()
        thread.join()
    assert reader.pages >= TOTAL / PAGE
    assert churn.steps >= reader.pages
    assert len(churn.deleted) >= 20 * STEP
    assert_complete(rows, churn)
    assert [int(row["key"]) for row in rows] == sorted(int(row["key"]) for row in rows)


@pytest.mark.slow
def test_a_read_by_key_is_complete_while_writers_run_freely(purposes):
    """The same without waiting for each other: whatever happens within a page must not matter either."""
    churn, done = Churn(purposes), threading.Event()

    def write_until_done():
        while not done.is_set():
            churn.step()

    thread = threading.Thread(target=write_until_done)
    thread.start()
    try:
        with client_of(purposes, page_size=100) as reader:
            rows = [*reader.iter_rows(PURPOSE, ["key", "id"])]
    finally:
        done.set()
        thread.join()
    assert churn.steps
    assert_complete(rows, churn)


@pytest.mark.slow
@pytest.mark.parametrize(("delete", "insert"), [(STEP, 0), (0, STEP), (STEP, STEP), (PAGE + 1, 1)])
def test_a_read_by_key_with_changes_after_every_page(purposes, delete, insert):
    churn = Churn(purposes)

    def change():
        if churn.steps < 12:
            churn.step(delete, insert)

    with InterruptedClient(purposes, change, page_size=PAGE) as reader:
        rows = [*reader.iter_rows(PURPOSE, ["key"])]
    assert churn.steps == 12
    assert_complete(rows, churn)


@pytest.mark.slow
def test_a_read_without_keys_among_its_fields_outlasts_change(purposes):
    """Rows that were handed on have no key any more, and the count moves while all keys have four digits."""
    purposes.seed(f"{PURPOSE}=3000")
    with purposes.store.transaction() as conn:
        conn.execute(f'DELETE FROM "{PURPOSE}" WHERE "key" < 1000')  # noqa: S608
    before = len(stored(purposes, PURPOSE))
    purposes.faults.churn = 5
    with client_of(purposes, page_size=PAGE) as reader:
        rows = [*reader.iter_rows(PURPOSE, ["id"])]
    assert all(list(row) == ["id"] for row in rows)
    assert len({row["id"] for row in rows}) == len(rows) >= before


@pytest.mark.slow
def test_everything_may_vanish_during_a_read(purposes):
    churn = Churn(purposes)

    def vanish():
        if not churn.steps:
            churn.step(TOTAL, 0)

    with InterruptedClient(purposes, vanish, page_size=PAGE) as reader:
        rows = [*reader.iter_rows(PURPOSE, ["key"])]
    assert len(rows) == PAGE
    assert_complete(rows, churn)


def test_a_plain_offset_pager_loses_live_records(purposes):
    """What the reads above are protected from; it shows that their churn is one that hurts."""
    churn = Churn(purposes)
    with client_of(purposes) as client:
        rows, start = [], 1
        while start:
            page = client.query(PURPOSE, ["key"], order_by=[{"key": "asc"}], start=start, size=PAGE)
            rows += page.rows
            if start == 1:
                churn.step(STEP, 0)
            start = page.next
    lost = churn.survivors - {row["key"] for row in rows}
    assert len(lost) == STEP
    with pytest.raises(AssertionError, match="missing"):
        assert_complete(rows, churn)


def test_a_plain_offset_pager_doubles_live_records(purposes):
    churn = Churn(purposes)
    with client_of(purposes) as client:
        rows, start = [], 1
        while start:
            page = client.query(PURPOSE, ["key"], order_by=[{"id": "asc"}], start=start, size=PAGE)
            rows += page.rows
            if start == 1:
                churn.step(0, STEP)
            start = page.next
    with pytest.raises(AssertionError, match="twice"):
        assert_complete(rows, churn)


# --- a server that loses rows


@pytest.fixture
def lossy(purposes):
    """A company that has existed for an hour, so that its records are known not to be new."""
    purposes.faults.clock_skew = 3600
    return purposes


def read_row_by_row(client):
    """Read as a user does; return the keys, and what the read says about itself."""
    keys, problem = [], ""
    try:
        keys.extend(row["key"] for row in client.iter_rows(PURPOSE, ["key"]))
    except IntacctIncompleteReadError as err:
        problem = str(err)
    return keys, problem


def read_ahead(client):
    """Read as an export does."""
    pages = client.read_pages(Query.build(PURPOSE, ["key"]), StructRows(["key"]))
    keys = []
    try:
        keys.extend(key for page in pages for key in page.keys)
    except IntacctIncompleteReadError as err:
        return keys, str(err)
    proof = prove(pages)
    return keys, str(proof.error()) if proof.problem else ""


readers = pytest.mark.parametrize("read", [read_row_by_row, read_ahead])


@readers
@pytest.mark.parametrize("page", [1, 7, 19, 20])
def test_a_row_that_is_lost_in_the_middle_of_a_page_is_asked_for_again(lossy, read, page):
    lossy.fail(kind="alter", drop=PAGE // 2, path=QUERY, skip=page)
    with client_of(lossy, page_size=PAGE, max_concurrency=1) as client:
        keys, problem = read(client)
        assert client.transactions <= 2 * (TOTAL / PAGE + 2) + 10
    assert (sorted(keys, key=int), problem) == ([str(n) for n in range(1, TOTAL + 1)], "")


@readers
@pytest.mark.parametrize("page", [0, 1, 19])
def test_a_row_that_is_lost_at_the_end_of_a_page_is_read_with_the_next(lossy, read, page):
    lossy.fail(kind="alter", drop=PAGE, path=QUERY, skip=page)
    with client_of(lossy, page_size=PAGE, max_concurrency=1) as client:
        keys, problem = read(client)
    assert (keys, problem) == ([str(n) for n in range(1, TOTAL + 1)], "")


@readers
@pytest.mark.parametrize("size", [3, 10, 19, 20, 21, 4000])
def test_a_row_that_is_lost_from_the_first_page_is_read_by_position(sandbox, read, size):
    """What is missing might be compared as text, so that keys cannot be used."""
    sandbox.seed(f"{PURPOSE}=20")
    sandbox.fail(kind="alter", drop=2, path=QUERY)
    with client_of(sandbox, page_size=size) as client:
        keys, problem = read(client)
    assert (sorted(keys, key=int), problem) == ([str(n) for n in range(1, 21)], "")


@pytest.mark.slow
@readers
@pytest.mark.parametrize("skip", [0, 1])
def test_rows_that_are_lost_from_every_page_are_not_taken_for_deleted(lossy, read, skip):
    """The pages of keys lose theirs, too; the message has both statements."""
    lossy.fail(kind="alter", drop=3, path=QUERY, times=0, skip=skip)
    with client_of(lossy, page_size=PAGE, max_concurrency=1) as client:
        problem = read(client)[1]
    assert "Intacct counts 500 records" in problem
    assert "sends 499 of them, and the same when it is asked again" in problem


def test_a_row_that_is_lost_while_others_come_and_go_is_read(lossy):
    churn = Churn(lossy)
    lossy.fail(kind="alter", drop=3, path=QUERY, skip=10)

    def change():
        if churn.steps < 12:
            churn.step(5, 3)

    with InterruptedClient(lossy, change, page_size=PAGE) as reader:
        keys, problem = read_row_by_row(reader)
    assert problem == ""
    assert_complete([{"key": key} for key in keys], churn)
    assert reader.pages <= 2 * (TOTAL / PAGE + 2) + 10


def test_what_a_proof_costs(lossy):
    """The highest key when nothing changes. Else a page's rows are counted, and asked for again."""
    with client_of(lossy, page_size=PAGE) as client:
        for lost, most in ((0, 1), (3, 1 + 2)):
            before = client.transactions
            lossy.fail(kind="alter", drop=lost, path=QUERY, skip=9)
            read_row_by_row(client)
            assert client.transactions - before - TOTAL / PAGE <= most


# --- by offset, where keys cannot be used


@pytest.fixture(params=["text keys", "no filter on key"])
def stubborn(request, purposes):
    """A company whose keys cannot be used to page."""
    if request.param == "text keys":
        purposes.faults.text_keys = True
    else:
        purposes.faults.key_filter = False
    return purposes


def test_unusable_keys_still_give_all_rows_once(stubborn):
    with client_of(stubborn, page_size=PAGE) as client:
        rows = [*client.iter_rows(PURPOSE, ["key", "id"])]
    assert len(rows) == TOTAL
    assert {row["key"] for row in rows} == {str(n) for n in range(1, TOTAL + 1)}
    assert {row["id"] for row in rows} == {f"Purpose {n:05d}" for n in range(1, TOTAL + 1)}


def test_a_read_by_offset_is_repeated_until_nothing_moves(stubborn):
    churn = Churn(stubborn)

    def change():
        if churn.steps < 20:
            churn.step(5, 1)

    with InterruptedClient(stubborn, change, page_size=PAGE) as reader:
        rows = [*reader.iter_rows(PURPOSE, ["key"])]
    assert churn.steps == 20
    assert TOTAL / PAGE + 10 < reader.pages <= 2 * (TOTAL / PAGE + 2) + 10
    assert_complete(rows, churn)


@pytest.mark.parametrize("order_by", [None, [{"key": "asc"}]])
def test_a_shift_that_leaves_every_count_as_it_was_is_noticed(purposes, order_by):
    """As many records come at the end as go at the front: only the rows at the pages' edges show it."""
    purposes.faults.key_filter = False
    churn = Churn(purposes)

    def change():
        # By now pages of a pass by offset have been read, and more are to come.
        if reader.pages == 12:
            churn.step(STEP, STEP)

    with InterruptedClient(purposes, change, page_size=PAGE) as reader:
        rows = [*reader.iter_rows(PURPOSE, ["key"], order_by=order_by)]
    assert churn.steps == 1
    assert 12 + TOTAL / PAGE < reader.pages <= 2 * (TOTAL / PAGE + 2) + 10, (
        "the pass ends there, and begins again"
    )
    assert_complete(rows, churn)


def test_a_read_by_offset_that_never_comes_to_rest_raises(stubborn):
    churn = Churn(stubborn)
    reader = InterruptedClient(stubborn, lambda: churn.step(3, 1), page_size=2000)
    with pytest.raises(IntacctIncompleteReadError, match="cannot be proven complete"):
        list(reader.iter_rows(PURPOSE, ["key"]))


def test_twenty_rows_whose_keys_sort_as_text(sandbox):
    """Pages that end around 9 and 10, tiny ones too."""
    with client_of(sandbox) as client:
        client.create_many(PURPOSE, [{"id": f"P{n}"} for n in range(20)])
    sandbox.faults.text_keys = True
    for size in range(1, 23):
        with client_of(sandbox, page_size=size) as client:
            keys = [row["key"] for row in client.iter_rows(PURPOSE, ["key"])]
            assert sorted(keys, key=int) == [str(n) for n in range(1, 21)], size
            assert client.transactions <= 2 * (20 / max(1, size - 1) + 2) + 10, size


@pytest.mark.parametrize("size", [4000, 200, 50])
def test_shorter_keys_that_hide_among_longer_ones(sandbox, size):
    """As text "15003" stands between "149999" and "150000", long after the first pages looked like numbers."""
    with client_of(sandbox) as client:
        client.create_many(PURPOSE, [{"id": f"P{n}"} for n in range(400)])
    with sandbox.store.transaction() as conn:
        moved = 'CASE WHEN "key" <= 390 THEN "key" + 149800 ELSE "key" + 14600 END'
        conn.execute(f'UPDATE "{PURPOSE}" SET "key" = {moved}')  # noqa: S608
    sandbox.faults.text_keys = True
    everything = {f"P{n}" for n in range(400)}
    with client_of(sandbox, page_size=size) as client:
        if size == 50:
            # By the time it shows, pages have been handed on that cannot be taken back.
            with pytest.raises(IntacctIncompleteReadError, match="Read it with an order_by"):
                list(client.iter_rows(PURPOSE, ["id"]))
        else:
            assert sorted(row["id"] for row in client.iter_rows(PURPOSE, ["id"])) == sorted(everything)
        rows = [row["id"] for row in client.iter_rows(PURPOSE, ["id"], order_by=[{"id": "asc"}])]
    assert rows == sorted(everything)


# --- in an order of the user's


@pytest.mark.parametrize(
    ("order", "sort_key"),
    [
        ([{"name": "asc"}], lambda row: (row["name"], int(row["key"]))),
        ([{"status": "asc"}], lambda row: (row["status"], int(row["key"]))),
        ([{"currency": "asc"}, {"name": "asc"}], lambda row: (row["currency"], row["name"])),
        ([{"key": "asc"}], lambda row: int(row["key"])),
    ],
)
def test_rows_in_an_order_of_the_users(customers, order, sort_key):
    with client_of(customers, page_size=PAGE) as client:
        rows = [*client.iter_rows(CUSTOMER, ["key", "name", "status", "currency"], order_by=order)]
    assert len({row["key"] for row in rows}) == len(rows) == TOTAL
    assert rows == sorted(rows, key=sort_key)


def test_rows_in_descending_order(customers):
    with client_of(customers, page_size=PAGE) as client:
        keys = [row["key"] for row in client.iter_rows(CUSTOMER, ["key"], order_by=[{"key": "desc"}])]
    assert keys == [str(n) for n in range(TOTAL, 0, -1)]


def test_an_ordered_read_starts_again_when_something_moved(purposes):
    churn = Churn(purposes)

    def change():
        if churn.steps < 25:
            churn.step(3, 2)

    with InterruptedClient(purposes, change, page_size=PAGE) as reader:
        rows = [*reader.iter_rows(PURPOSE, ["key", "id"], order_by=[{"id": "desc"}])]
    assert churn.steps == 25
    assert_complete(rows, churn)
    assert [row["id"] for row in rows] == sorted((row["id"] for row in rows), reverse=True)
    assert len(rows) == TOTAL - 25, "only the last pass may be handed on"


def test_an_ordered_read_that_never_comes_to_rest_yields_nothing(purposes):
    churn, rows = Churn(purposes), []
    reader = InterruptedClient(purposes, lambda: churn.step(3, 1), page_size=2000)
    with pytest.raises(IntacctIncompleteReadError, match="leave out order_by"):
        rows.extend(reader.iter_rows(PURPOSE, ["key"], order_by=[{"id": "asc"}]))
    assert rows == []


def test_a_change_that_moves_no_position_needs_no_second_pass(purposes):
    """One record goes and one comes before the page that is read next: what lives is still read once."""
    churn = Churn(purposes)
    with InterruptedClient(purposes, lambda: churn.step(1, 1), page_size=2000) as reader:
        rows = [*reader.iter_rows(PURPOSE, ["key"], order_by=[{"id": "asc"}])]
    assert churn.steps == reader.pages
    assert_complete(rows, churn)


# --- page sizes and what a page costs


def test_ten_thousand_rows_cost_three_pages_and_a_look_at_the_highest_key(customers):
    before = len(customers.requests), customers.transactions
    with client_of(customers) as client:
        rows = [*client.iter_rows(CUSTOMER, ["key", "id", "parent.id"])]
        assert client.transactions == 4
    assert len(rows) == TOTAL
    assert customers.transactions - before[1] == 4
    assert [call.path for call in customers.requests[before[0] :] if call.path == QUERY] == [QUERY] * 4


@pytest.mark.parametrize("clamp", [True, False])
@pytest.mark.parametrize("order_by", [None, [{"id": "asc"}]])
def test_a_server_with_smaller_pages(purposes, clamp, order_by):
    purposes.faults.max_size, purposes.faults.clamp = 300, clamp
    with client_of(purposes, page_size=4000) as client:
        rows = [*client.iter_rows(PURPOSE, ["key"], order_by=order_by)]
    assert [row["key"] for row in rows] == [str(n) for n in range(1, TOTAL + 1)]
    refused = [call for call in calls(purposes, QUERY) if call.status == 400]
    assert len(refused) == (0 if clamp else 4), "4000, 2000, 1000, 500; 250 is accepted and kept"


def test_a_server_with_smaller_pages_and_unusable_keys(stubborn):
    stubborn.faults.max_size = 300
    with client_of(stubborn) as client:
        keys = [row["key"] for row in client.iter_rows(PURPOSE, ["key"])]
    assert sorted(keys, key=int) == [str(n) for n in range(1, TOTAL + 1)]


def test_counts_around_the_page_size(sandbox):
    wanted = []
    with client_of(sandbox, page_size=2) as client:
        for count in range(8):
            assert [row["id"] for row in client.iter_rows(PURPOSE, ["id"])] == wanted
            backwards = client.iter_rows(PURPOSE, ["id"], order_by=[{"id": "desc"}])
            assert [row["id"] for row in backwards] == wanted[::-1]
            wanted.append(client.create(PURPOSE, {"id": f"P{count}"})["id"])


# --- what a row is


def test_rows_have_just_the_fields_asked_for_in_their_order(customers):
    fields = ["name", "parent.id", "term.id", "id"]
    with client_of(customers) as client:
        page = client.query(CUSTOMER, fields, size=50)
        rows = [*client.iter_rows(CUSTOMER, fields)]
    # The sandbox sorts these by name, as recorded traffic shows.
    assert {tuple(row) for row in [*page.rows, *rows]} == {tuple(fields)}
    assert any(row["parent.id"] for row in rows)
    assert any(row["parent.id"] is None for row in rows)


def test_a_stray_column_does_leak_from_the_server(customers):
    """Otherwise the test above could not fail."""
    form = {
        "grant_type": "client_credentials",
        "client_id": customers.identity.client_id,
        "client_secret": customers.identity.client_secret,
        "username": "airflow@SANDBOX",
    }
    token = requests.post(customers.url + "/oauth2/token", data=form, timeout=10).json()["access_token"]
    body = {"object": CUSTOMER, "fields": ["id", "name"], "size": 1}
    answer = requests.post(
        customers.url + QUERY, json=body, headers={"Authorization": f"Bearer {token}"}, timeout=10
    )
    [row] = answer.json()["ia::result"]
    assert any(name.startswith("API_QUERY_ALIAS__") for name in row)


def test_filters_are_kept_on_every_page(customers):
    chosen = (field("status") == "active") & (field("currency") != "EUR") | (field("key") == "10000")
    with client_of(customers, page_size=PAGE) as client:
        rows = [*client.iter_rows(CUSTOMER, ["key", "status", "currency"], filters=chosen)]
        everything = [*client.iter_rows(CUSTOMER, ["key", "status", "currency"])]
    wanted = [
        row
        for row in everything
        if (row["status"] == "active" and row["currency"] != "EUR") or row["key"] == "10000"
    ]
    assert rows == wanted
    assert PAGE < len(rows) < TOTAL


def test_a_list_of_conditions_is_kept_on_every_page(customers):
    filters = [{"$eq": {"status": "active"}}, {"$eq": {"currency": "GBP"}}, {"$lt": {"key": "3000"}}]
    with client_of(customers, page_size=100) as client:
        rows = [
            *client.iter_rows(
                CUSTOMER, ["key", "status", "currency"], filters=filters, filter_expression="(1 or 2) and 3"
            )
        ]
        everything = client.iter_rows(CUSTOMER, ["key", "status", "currency"])
        wanted = [
            row
            for row in everything
            if (row["status"] == "active" or row["currency"] == "GBP") and int(row["key"]) < 3000
        ]
    assert rows == wanted
    assert len(rows) > 1000


def test_reading_is_lazy(customers):
    with client_of(customers, page_size=PAGE) as client:
        rows = client.iter_rows(CUSTOMER, ["key"])
        assert client.transactions == 0
        assert next(rows) == {"key": "1"}
        assert client.transactions == 1


def test_aggregates_cannot_be_read_row_by_row(customers):
    with client_of(customers) as client, pytest.raises(IntacctArgumentError, match=r"query\(\)"):
        list(client.iter_rows(CUSTOMER, ["status", "count:key"]))


def test_pages_tell_where_they_stand(customers):
    with client_of(customers) as client:
        page = client.query(CUSTOMER, ["key"], order_by=[{"key": "asc"}], start=9_501, size=500)
        assert (page.total_count, page.start, page.page_size, page.next) == (TOTAL, 9_501, 500, None)
        assert [page.rows[0]["key"], page.rows[-1]["key"]] == ["9501", "10000"]
        assert client.query(CUSTOMER, ["key"], start=9_001, size=500).next == 9_501
        beyond = client.query(CUSTOMER, ["key"], start=20_000, size=10)
        assert (beyond.rows, beyond.next, beyond.total_count) == ([], None, TOTAL)
