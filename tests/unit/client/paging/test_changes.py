"""What came and went during a pass is found by its keys, and read; change alone never fails a read."""

from __future__ import annotations

import itertools
import math
import threading
from dataclasses import replace

import pytest
from query_server import Server

from intacct_provider.client.paging.changes import find_changes, name_keys, read_late
from intacct_provider.client.paging.complete_read import CompleteRead
from intacct_provider.client.paging.fetcher import PageFetcher
from intacct_provider.client.paging.key_intervals import Bounds, Interval, pack_keys, unpack_keys
from intacct_provider.client.paging.keyset import KEY_ORDER, KeyOrder
from intacct_provider.client.paging.ordered_pool import make_pool
from intacct_provider.client.paging.pages import Page
from intacct_provider.client.paging.row_formats import MappingRows, StructRows
from intacct_provider.client.query.request import Query
from intacct_provider.exceptions import IntacctIncompleteReadError

CUSTOMER = "accounts-receivable/customer"
FIELDS = ("key", "id")


def order_of(server, size=10, bounds=(None, None), fields=FIELDS):
    query = replace(Query.build(CUSTOMER, fields), order_by=KEY_ORDER)
    return KeyOrder(PageFetcher(server, MappingRows(fields), size), query, Bounds(*bounds), settled=True)


def pages_of(*pages):
    """Return what was read, page by page."""
    return [Interval(keys[0], keys[-1], len(keys), pack_keys(keys)) for keys in pages]


def find(server, read, end, workers=0, **options):
    order = order_of(server, **options)
    found = find_changes(
        order, pages_of(*read), end, server, workers=workers, pool=make_pool, stopped=threading.Event()
    )
    return found.late, found.pages, found.vanished


def read_keys(server, size=10, workers=0, **parts):
    """Return a read and its pages."""
    read = CompleteRead(
        server, Query.build(CUSTOMER, FIELDS), StructRows(FIELDS), page_size=size, workers=workers
    )
    return read, list(read)


def keys_of(pages):
    return [int(key) for page in pages for key in page.keys]


# --- finding


@pytest.mark.parametrize("workers", [0, 3])
@pytest.mark.parametrize(
    ("now", "read", "late", "vanished"),
    [
        (range(1, 31), [range(1, 11), range(11, 31)], [], 0),
        (range(1, 31), [range(2, 11), [*range(11, 20), *range(21, 31)]], [1, 20], 0),
        ([*range(1, 10), *range(12, 30)], [range(1, 11), range(11, 31)], [], 3),
        ([1, 2, 4, 6], [[1, 3], [5, 6]], [2, 4], 2),
        (range(1, 61), [[30], [60]], [*range(1, 30), *range(31, 60)], 0),
        ([], [range(1, 11), range(11, 31)], [], 30),
        (range(1, 41), [range(11, 31)], range(1, 11), 0),
    ],
)
def test_what_came_and_what_went_up_to_the_end(now, read, late, vanished, workers):
    end = read[-1][-1]
    assert find(Server(now), read, end, workers) == ([*late], [], vanished)


@pytest.mark.parametrize("workers", [0, 3])
def test_rows_of_nothing_but_the_key_come_with_the_second_pass(workers):
    """So they cost no calls of their own."""
    read = [[1, 2, 3, 5, *range(6, 14)], [14, 16, 17, 19, 20]]
    server = Server([1, *range(3, 21)])
    late, pages, vanished = find(server, read, 20, workers, fields=("key",))
    assert (late, vanished) == ([], 1)
    assert [row for page in pages for row in page.rows] == [{"key": "4"}, {"key": "15"}, {"key": "18"}]
    assert [unpack_keys(page.packed) for page in pages] == [[int(key) for key in page.keys] for page in pages]


def test_the_end_may_be_above_what_was_read():
    """The record with the highest key was deleted, or an answer hid it."""
    assert find(Server(range(1, 13)), [range(1, 11)], 12) == ([11, 12], [], 0)


def test_only_what_lies_within_the_bounds_is_compared():
    assert find(Server(range(1, 41)), [range(11, 20)], 20, bounds=(10, 20)) == (
        [20],
        [],
        0,
    )


def test_only_keys_are_asked_for_once_and_no_page_twice():
    server = Server(range(1, 101))
    assert find(server, [range(1, 51), range(51, 101)], 100) == ([], [], 0)
    assert {(*call["fields"],) for call in server.calls} == {("key",)}
    assert len(server.calls) <= math.ceil(100 / 9)
    assert server.counts == 0


def test_keys_that_cannot_be_read_again_fail_the_read():
    class Silent(Server):
        def answer(self, body):
            return {**super().answer(body), "ia::result": []}

    with pytest.raises(IntacctIncompleteReadError, match="and the same when it is asked again"):
        find(Silent(range(1, 31)), [range(1, 31)], 30)


# --- reading what came


def test_late_records_come_in_order_with_their_rows_and_packed_keys():
    server = Server(range(1, 31))
    pages = [*read_late(order_of(server), [3, 7, 30])]
    assert [page.rows for page in pages] == [[{"key": f"{n}", "id": f"C{n}"} for n in (3, 7, 30)]]
    assert [unpack_keys(page.packed) for page in pages] == [[3, 7, 30]]
    assert [call["filters"] for call in server.calls] == [[{"$in": {"key": ["3", "7", "30"]}}]]


def test_late_records_that_went_again_are_not_missed():
    assert keys_of(read_late(order_of(Server(range(1, 5))), [3, 7])) == [3]
    assert keys_of(read_late(order_of(Server([])), [3, 7])) == []


@pytest.mark.parametrize("options", [{}, {"clamp": 2}, {"totals": False}, {"clamp": 3, "totals": False}])
def test_more_late_records_than_a_page_holds_all_come(options):
    late = [*range(1, 36)]
    assert sorted(keys_of(read_late(order_of(Server(range(1, 101), **options)), late))) == late


def hide(*keys, calls=math.inf):
    """Return a server that counts these records, lists their keys, and does not send them."""

    class Hiding(Server):
        def answer(self, body):
            answer = super().answer(body)
            if body["fields"] != ["key"] and len(self.calls) <= calls:
                rows = [row for row in answer["ia::result"] if int(row["key"]) not in keys]
                answer["ia::result"] = rows
            return answer

    return Hiding


def test_a_late_record_that_is_listed_and_not_sent_is_named():
    server = hide(7)(range(1, 31))
    with pytest.raises(IntacctIncompleteReadError) as caught:
        list(read_late(order_of(server), [3, 7]))
    assert str(caught.value) == (
        f"The read of {CUSTOMER} cannot be proven complete: Intacct lists the records with keys 7 and does not send "
        "them, and the same when it is asked again."
    )


def test_a_late_record_that_is_not_sent_once_is_asked_for_again():
    assert keys_of(read_late(order_of(hide(7, calls=1)(range(1, 31))), [3, 7])) == [3, 7]


def test_other_records_than_those_asked_for_are_not_taken():
    class Other(Server):
        def answer(self, body):
            return {**super().answer(body), "ia::result": [self.record(9)]}

    with pytest.raises(IntacctIncompleteReadError, match=r"with keys 3, 7, Intacct sends others\.$"):
        list(read_late(order_of(Other(range(1, 31))), [3, 7]))


def test_a_message_names_a_few_keys():
    assert name_keys([7, 3]) == "3, 7"
    assert name_keys(range(1, 9)) == "1, 2, 3, 4, 5 and 3 more"


# --- whole reads


@pytest.mark.parametrize("workers", [0, 3])
def test_rows_that_are_hidden_once_come_last(workers):
    class Hiding(Server):
        def answer(self, body):
            answer = super().answer(body)
            if len(self.calls) == 3:
                answer["ia::result"] = [*answer["ia::result"][:4], *answer["ia::result"][5:]]
            return answer

    read, pages = read_keys(Hiding(range(1, 31)), workers=workers)
    assert sorted(keys_of(pages)) == [*range(1, 31)]
    on_time = keys_of(page for page in pages if not page.late)
    assert on_time == sorted(on_time)
    assert (read.rows_read, read.vanished) == (30, 0)
    assert [page.late for page in pages] == sorted(page.late for page in pages)


def test_a_row_that_is_always_hidden_and_listed_is_red_and_named():
    with pytest.raises(IntacctIncompleteReadError, match=r"(with keys 15 and does not|and the same when)"):
        read_keys(hide(15)(range(1, 31)))


@pytest.mark.parametrize("workers", [0, 3])
@pytest.mark.parametrize("lie", [1, 5, 12, 20])
def test_an_end_that_lies_too_low_once_loses_nothing(lie, workers):
    class Low(Server):
        lied = False

        def answer(self, body):
            answer = super().answer(body)
            if body["size"] == 1 and body.get("orderBy") == [{"key": "desc"}] and not self.lied:
                self.lied = True
                answer["ia::result"] = [self.record(lie)]
            return answer

    read, pages = read_keys(Low(range(1, 36)), workers=workers)
    assert sorted(keys_of(pages)) == [*range(1, 36)]
    assert read.vanished == 0


class Busy(Server):
    """Something comes or goes after every call; one call at a time, as a database would have it."""

    def __init__(self, keys, change):
        super().__init__(keys)
        self.change, self.lock = change, threading.Lock()

    def fetch_page(self, *query, **options):
        with self.lock:
            page = super().fetch_page(*query, **options)
            self.change(self)
        return page

    @property
    def asked(self):
        return len(self.calls) + self.counts


def read_twice(keys, change, workers):
    """Return a read, its pages and its server under change, and how many calls it may take."""
    still, server = Server(keys), Busy(keys, change)
    read_keys(still, 100, workers)
    return *read_keys(server, 100, workers), server, 2 * (len(still.calls) + still.counts) + 10


@pytest.mark.parametrize("workers", [0, 4])
@pytest.mark.parametrize("where", ["end", "middle", "front"])
@pytest.mark.parametrize("count", [70, 250, 1000])
def test_an_insertion_at_every_call_is_green_within_twice_the_calls_and_ten(count, where, workers):
    lived, newest = range(10_000, 10_000 + 10 * count, 10), itertools.count(1)
    new = {"end": lambda n: 10**6 + n, "middle": lambda n: 10_001 + 70 * n % (10 * count), "front": int}
    read, pages, server, most = read_twice(
        lived, lambda server: server.insert(new[where](next(newest))), workers
    )
    keys = keys_of(pages)
    assert {*lived} <= {*keys}
    assert len(keys) == len({*keys}) == read.rows_read
    assert read.late == sum(len(page) for page in pages if page.late)
    assert read.vanished == 0
    assert server.asked <= most


@pytest.mark.parametrize("workers", [0, 4])
@pytest.mark.parametrize("where", [0, 0.5, 1])
@pytest.mark.parametrize("count", [70, 250, 1000])
def test_a_deletion_at_every_call_is_green_within_twice_the_calls_and_ten(count, where, workers):
    keys = range(1000, 1000 + count)

    def delete(server):
        alive = sorted(server.keys(), key=int)
        server.delete(alive[round(where * (len(alive) - 1))])

    _, pages, server, most = read_twice(keys, delete, workers)
    came = keys_of(pages)
    assert {*map(int, server.keys())} <= {*came} <= {*keys}
    assert came == sorted({*came}), "nothing came, so nothing is late"
    assert server.asked <= most


@pytest.mark.parametrize("gone", range(1, 8))
def test_a_record_that_enters_below_the_end_after_the_pass_comes_once(gone):
    """The highest record leaves, so that the pass ends below the end; what then enters between is read by going on."""
    for enters in range(gone, 14):
        server = Server([1, 2, 3, 4, 9])

        def change(server, enters=enters):
            if len(server.calls) == gone:
                server.delete(9)
            if len(server.calls) == enters:
                server.insert(7, 12)

        server.between = change
        read, pages = read_keys(server, size=2)
        keys = keys_of(pages)
        assert len(keys) == len({*keys}), (gone, enters)
        assert {1, 2, 3, 4} <= {*keys}
        assert read.rows_read == len(keys)


@pytest.mark.parametrize("workers", [0, 3])
@pytest.mark.parametrize("every", [1, 2, 3])
def test_a_record_that_enters_and_leaves_the_filter_all_the_time_makes_no_read_red(every, workers):
    for key in range(5, 25):
        server = Busy(range(5, 25), lambda _server: None)
        calls = itertools.count()

        def flip(server, key=key, calls=calls):
            if next(calls) % every == 0:
                present = server.keys()
                (server.delete if str(key) in present else server.insert)(key)

        server.change = flip
        _, pages = read_keys(server, 4, workers)
        keys = keys_of(pages)
        assert len(keys) == len({*keys})
        assert {*range(5, 25)} - {key} <= {*keys}


@pytest.mark.parametrize("workers", [0, 4])
def test_pages_have_their_keys_in_little_memory(workers):
    _, pages = read_keys(Server(range(1, 46, 2)), workers=workers)
    assert [unpack_keys(page.packed) for page in pages] == [[*map(int, page.keys)] for page in pages]
    assert pages[0].part(0).packed == pages[0].packed
    assert pages[0].part(1).packed == b""
    assert pages[0].pick([0, 1]).packed == b""


def test_pages_by_position_have_no_packed_keys():
    _, pages = read_keys(Server(range(1, 46), keys_filter=False))
    assert {page.packed for page in pages[1:]} == {b""}, "the first comes before it is known"
    assert Page([]).packed == b""


def test_keys_of_any_size_are_read_and_compared():
    large = [2**64 - 1, 2**64, 10**30, 10**30 + 1]
    server = Server([1, 2, *large])
    server.between = lambda server: server.insert(3) if len(server.calls) == 1 else None
    _, pages = read_keys(server, size=3)
    assert keys_of(pages) == [1, 2, *large, 3]
    assert [page.late for page in pages][-1]


# --- keys as text, under change


@pytest.mark.parametrize("workers", [0, 3])
@pytest.mark.parametrize("change", ["insert", "delete"])
@pytest.mark.parametrize(("sorts", "compares"), [("numbers", "text"), ("text", "numbers"), ("text", "text")])
@pytest.mark.parametrize("call", range(1, 9))
def test_keys_that_are_text_are_found_out_under_change_too(call, sorts, compares, change, workers):
    keys = [*range(90, 100), *range(200, 230)]
    server = Server(keys, sorts=sorts, compares=compares)

    def once(server):
        if len(server.calls) == call:
            server.insert(231) if change == "insert" else server.delete(229)

    server.between = once
    try:
        read, pages = read_keys(server, workers=workers)
    except IntacctIncompleteReadError as err:
        red = str(err)
    else:
        red, came = "", keys_of(pages)
        assert {*keys} - {229} <= {*came}
        assert len(came) == len({*came})
    assert "as numbers" in red or read.by_position
