"""Every row that lived throughout the read, once, or an error: against servers of every kind."""

from __future__ import annotations

import logging
import math
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from query_server import Miscounting, Server

from intacct_provider.client.paging.pages import Totals
from intacct_provider.client.paging.rows import iter_rows
from intacct_provider.client.query.expressions import field
from intacct_provider.client.query.request import Query
from intacct_provider.exceptions import (
    IntacctArgumentError,
    IntacctIncompleteReadError,
    IntacctServerError,
    IntacctValidationError,
)

CUSTOMER = "accounts-receivable/customer"
PROVE = settings(derandomize=True, deadline=None, max_examples=150)


def read(server, size=10, fields=("key", "id"), **parts):
    return list(iter_rows(server, Query.build(CUSTOMER, fields, **parts), size))


def keys_of(rows):
    return [row["key"] for row in rows]


def texts(*ranges):
    return [str(key) for numbers in ranges for key in numbers]


def assert_complete(rows, lived, existed):
    """Assert that what lived throughout came once, and nothing came that never was."""
    keys = keys_of(rows)
    assert len(keys) == len(set(keys)), "a record came twice"
    assert lived <= set(keys), "a record that lived throughout is missing"
    assert set(keys) <= existed, "a record was made up"


# --- by key


@pytest.mark.parametrize(
    ("count", "calls"), [(0, 2), (1, 1), (9, 1), (10, 2), (11, 3), (20, 3), (21, 4), (100, 11)]
)
def test_all_rows_come_in_order_of_key_with_as_few_calls_as_pages_and_one_for_the_highest_key(count, calls):
    """Nothing is believed only when it is asked for once more."""
    server = Server(range(1, count + 1))
    assert keys_of(read(server)) == texts(range(1, count + 1))
    assert len(server.calls) == calls
    assert server.counts == 0, "the counts that came with the pages are proof enough"


def test_only_the_fields_asked_for_come_without_stray_columns_and_in_their_order():
    assert read(Server([7]), fields=["id", "key"]) == [{"id": "C7", "key": "7"}]
    assert list(read(Server([7]), fields=["id", "key"])[0]) == ["id", "key"]


def test_the_key_is_read_along_and_not_handed_on_unless_asked_for():
    server = Server(range(1, 26))
    assert read(server, fields=["id"]) == [{"id": f"C{n}"} for n in range(1, 26)]
    assert server.calls[0]["fields"] == ["key", "id"]


@pytest.mark.parametrize(
    ("parts", "expression"),
    [
        ({}, "(1) and 2"),
        ({"filters": {"$eq": {"status": "active"}}}, "((1) and 2) and 3"),
        (
            {"filters": [{"$eq": {"status": "x"}}, {"$gt": {"id": ""}}], "filter_expression": "or"},
            "((1 or 2) and 3) and 4",
        ),
        ({"filters": [{"$gt": {"id": ""}}, {"$gt": {"id": " "}}]}, "((1 and 2) and 3) and 4"),
        ({"filters": (field("status") == "x") | (field("status") == "active")}, "((1 or 2) and 3) and 4"),
    ],
)
def test_the_user_s_filter_holds_on_every_page(parts, expression):
    server = Server(range(1, 36))
    server.records[::5] = [{**record, "status": "gone", "id": ""} for record in server.records[::5]]
    expected = [r["key"] for r in server.records if not parts or r["status"] == "active"]
    assert keys_of(read(server, **parts)) == expected
    highest = server.calls[1]
    assert (highest["orderBy"], highest["size"]) == ([{"key": "desc"}], 1)
    assert highest.get("filters") == server.calls[0].get("filters")
    assert server.calls[2]["filterExpression"] == expression
    assert server.calls[2]["filters"][-2:] == [
        {"$lte": {"key": expected[-1]}},
        {"$gt": {"key": "13" if parts else "10"}},
    ]


def test_pages_are_read_as_rows_are_taken():
    server = Server(range(1, 101))
    rows = iter_rows(server, Query.build(CUSTOMER, ["key"]), 10)
    assert server.calls == []
    assert [next(rows)["key"] for _ in range(10)] == texts(range(1, 11))
    assert len(server.calls) == 1
    assert next(rows)["key"] == "11"
    assert [call["size"] for call in server.calls] == [10, 1, 10]


@pytest.mark.slow
@PROVE
@given(st.data())
def test_whatever_comes_and_goes_between_pages_nothing_that_lives_is_lost_or_doubled(data):
    server = Server(range(1, data.draw(st.integers(1, 60)) + 1))
    existed, lived = set(server.keys()), set(server.keys())

    def change(server):
        if len(server.calls) > 30:
            return
        alive = sorted(server.keys(), key=int)
        gone = data.draw(st.sets(st.sampled_from(alive), max_size=8)) if alive else set()
        newest = max(map(int, existed))
        new = range(newest + 1, newest + 1 + data.draw(st.integers(0, 4)))
        server.delete(*gone)
        server.insert(*new)
        existed.update(map(str, new))
        lived.difference_update(gone)

    server.between = change
    rows = read(server, size=data.draw(st.integers(1, 12)))
    assert_complete(rows, lived, existed)
    assert keys_of(rows) == sorted(keys_of(rows), key=int)


def test_records_deleted_at_the_front_after_every_page_shift_nothing():
    server = Server(range(1, 101))
    lived = set(server.keys())

    def delete_first(server):
        first = sorted(server.keys(), key=int)[:3]
        server.delete(*first)
        lived.difference_update(first)

    server.between = delete_first
    assert_complete(read(server), lived, set(texts(range(1, 101))))


def test_records_that_begin_to_match_at_the_front_after_every_page_shift_nothing():
    """A record that was filtered out may appear anywhere; those that matched throughout all come."""
    server = Server(range(1, 101))
    for record in server.records[:50]:
        record["status"] = "inactive"
    lived = {r["key"] for r in server.records if r["status"] == "active"}

    def activate(server):
        if len(server.calls) > 1:
            for record in [r for r in server.records if r["status"] == "inactive"][:2]:
                server.change(record, status="active")

    server.between = activate
    rows = read(server, filters=field("status") == "active")
    assert_complete(rows, lived, set(texts(range(1, 101))))


def test_everything_may_vanish():
    server = Server(range(1, 101))
    server.between = lambda server: server.delete(*server.keys())
    assert keys_of(read(server)) == texts(range(1, 11))


def test_a_page_whose_records_are_all_deleted_just_after_it_ends_no_read():
    server = Server(range(1, 101))

    def delete_what_was_read(server):
        if len(server.calls) == 4:
            server.delete(*range(21, 31))

    server.between = delete_what_was_read
    assert keys_of(read(server)) == texts(range(1, 101))


# --- servers that are not as documented


@pytest.mark.parametrize("order_by", [None, [{"id": "asc"}]])
@pytest.mark.parametrize("keys_filter", [True, False])
def test_a_server_that_sends_fewer_rows_than_asked_for_loses_none(order_by, keys_filter):
    server = Server(range(100, 200), clamp=7, keys_filter=keys_filter)
    assert keys_of(read(server, size=50, order_by=order_by)) == texts(range(100, 200))


@pytest.mark.parametrize("order_by", [None, [{"id": "asc"}]])
def test_a_page_size_that_is_refused_is_halved_and_stays_so(order_by):
    server = Server(range(1000, 3500), largest=1000)
    assert keys_of(read(server, size=4000, order_by=order_by)) == texts(range(1000, 3500))
    sizes = [call["size"] for call in server.calls]
    assert sizes[:3] == [4000, 2000, 1000]
    assert set(sizes[3:]) == {1000, 1}


def test_a_page_size_is_not_halved_for_ever():
    server = Server([1], largest=10)
    with pytest.raises(IntacctValidationError, match="size is too large"):
        read(server, size=4000)
    assert [call["size"] for call in server.calls][-1] == 100


def test_a_refusal_that_is_not_about_size_is_raised_as_it_is():
    class Refusing(Server):
        def answer(self, _body):
            raise IntacctValidationError("name is not a field", status=400, error_id="REST-1043")

    server = Refusing([1])
    with pytest.raises(IntacctValidationError, match="name is not a field"):
        read(server)
    assert len(server.calls) == 1


def test_a_failing_server_is_not_mistaken_for_one_that_refuses_keys():
    class Failing(Server):
        def answer(self, body):
            if len(self.calls) > 1:
                raise IntacctServerError("down", status=503)
            return super().answer(body)

    with pytest.raises(IntacctServerError):
        read(Failing(range(50)))


def test_an_object_that_refuses_a_filter_on_key_is_read_by_offset(caplog):
    caplog.set_level(logging.INFO, "intacct_provider")
    server = Server(range(1, 101), keys_filter=False)
    assert keys_of(read(server)) == texts(range(1, 101))
    assert (
        f"{CUSTOMER} is read by offset: a filter on key is rejected (The key field cannot be filtered)."
        in caplog.text
    )
    assert max(call["start"] for call in server.calls) > 90


@PROVE
@given(
    st.sets(st.integers(1, 3000), min_size=1, max_size=60),
    st.integers(1, 25),
    st.sampled_from(["numbers", "text"]),
    st.sampled_from(["numbers", "text"]),
)
def test_however_a_server_treats_keys_a_read_is_complete_or_raises(keys, size, sorts, compares):
    server = Server(keys, sorts=sorts, compares=compares)
    try:
        rows = read(server, size=size)
    except IntacctIncompleteReadError:
        assert "text" in (sorts, compares)
        return
    assert_complete(rows, server.keys(), server.keys())


@pytest.mark.parametrize("compares", ["numbers", "text"])
def test_keys_sorted_as_text_are_read_by_offset(compares):
    server = Server(range(1, 101), sorts="text", compares=compares)
    assert sorted(keys_of(read(server, size=30)), key=int) == texts(range(1, 101))


def test_keys_compared_as_text_beyond_the_first_page_are_read_by_offset():
    server = Server(range(1, 101), compares="text")
    assert sorted(keys_of(read(server, size=30)), key=int) == texts(range(1, 101))


def test_keys_compared_as_text_are_found_out_although_the_first_two_pages_would_agree(caplog):
    """After key 29, a comparison as text leaves out 200 to 289 without a trace in keys that rise."""
    caplog.set_level(logging.INFO)
    server = Server([*range(10, 100), *range(200, 300)], compares="text")
    assert sorted(keys_of(read(server)), key=int) == texts(range(10, 100), range(200, 300))
    assert "is read by offset: a filter on key does not compare keys as numbers (key 11 is not" in caplog.text
    assert len(read(server, order_by=[{"id": "asc"}])) == 190


def test_keys_sorted_as_text_are_found_out_although_the_first_two_pages_would_agree(caplog):
    """After 10 to 29 come 30, 300, 301...; keys above the last of them leave out 31 to 39."""
    caplog.set_level(logging.INFO)
    server = Server([*range(10, 40), *range(300, 310)], sorts="text")
    assert sorted(keys_of(read(server)), key=int) == texts(range(10, 40), range(300, 310))
    assert (
        "is read by offset: the server does not sort keys as numbers (it says that 39 is the" in caplog.text
    )


def test_keys_that_fall_after_pages_in_which_they_rose_raise():
    class Shuffled(Server):
        def answer(self, body):
            answer = super().answer(body)
            return answer if len(self.calls) < 4 else {**answer, "ia::result": answer["ia::result"][::-1]}

    with pytest.raises(IntacctIncompleteReadError) as caught:
        read(Shuffled(range(1, 101)))
    assert "its keys do not rise as numbers (key 29 follows 30)" in str(caught.value)
    assert "Read it with an order_by: that does not rely on keys." in str(caught.value)


class Repeating(Server):
    """Sends the second page again on some calls."""

    def __init__(self, *calls):
        super().__init__(range(1, 101))
        self.repeats = calls

    def answer(self, body):
        answer = super().answer(body)
        if len(self.calls) in self.repeats:
            answer["ia::result"] = self.records[10:20]
        return answer


def test_a_page_that_comes_again_once_is_asked_for_again():
    server = Repeating(4)
    assert keys_of(read(server)) == texts(range(1, 101))
    assert server.calls[3] == server.calls[4]
    assert len(server.calls) == 12


def test_a_page_that_comes_again_later_raises():
    with pytest.raises(IntacctIncompleteReadError) as caught:
        read(Repeating(4, 5))
    assert str(caught.value).endswith(
        "its keys do not rise as numbers (key 11 follows 20), after pages in which keys rose. Read it with an "
        "order_by: that does not rely on keys."
    )


def test_a_count_of_rows_that_never_come_raises():
    class Empty(Server):
        def answer(self, body):
            answer = super().answer(body)
            return answer if len(self.calls) < 4 else {**answer, "ia::result": []}

    with pytest.raises(IntacctIncompleteReadError, match=r"counts 80 records above key 20 but sends none"):
        read(Empty(range(1, 101)))


def test_keys_that_are_not_numbers_are_read_by_offset():
    server = Server([Server.record(f"K{n:03}") for n in range(100)], sorts="text", compares="text")
    assert keys_of(read(server)) == [f"K{n:03}" for n in range(100)]


@pytest.mark.parametrize("count", [0, 1, 10, 11, 100])
def test_a_server_that_sends_no_count_is_read_to_its_end(count):
    server = Server(range(1, count + 1), totals=False)
    assert keys_of(read(server)) == texts(range(1, count + 1))


@pytest.mark.parametrize("size", [1, 2, 3])
@pytest.mark.parametrize("options", [{}, {"keys_filter": False}, {"totals": False}])
def test_the_smallest_pages_lose_nothing_and_come_to_an_end(size, options):
    assert keys_of(read(Server(range(1, 12), **options), size=size)) == texts(range(1, 12))


def test_pages_of_one_row_by_offset_raise_instead_of_ending_early():
    with pytest.raises(IntacctIncompleteReadError):
        read(Server(range(1, 12), keys_filter=False, clamp=1))


# --- counts that are wrong


@pytest.mark.parametrize("clamp", [None, 5])
@pytest.mark.parametrize("count", [1, 9, 10, 11, 20, 25, 30])
def test_a_count_that_is_always_one_too_low_loses_nothing(count, clamp):
    server = Miscounting(range(1, count + 1), -1, clamp=clamp)
    assert keys_of(read(server)) == texts(range(1, count + 1))
    assert [call["fields"] for call in server.calls][-1] == ["key"], (
        "what the pages say does not agree with their rows, so the keys are read again"
    )


@pytest.mark.parametrize("count", [0, 1, 9, 10, 11, 20, 25, 30])
def test_a_count_of_pages_that_is_always_one_too_high_loses_nothing_when_the_count_itself_is_right(count):
    server = Miscounting(range(1, count + 1), +1)
    assert keys_of(read(server)) == texts(range(1, count + 1))
    assert server.counts <= 1 + math.ceil(count / 9), "one for the last page of rows, one for each of keys"


class Overcounting(Miscounting):
    """Counts one too many everywhere."""

    def count(self, *query, **options):
        return Totals(super().count(*query, **options).count + 1)


@pytest.mark.parametrize("count", [0, 1, 9, 10, 11, 20, 25, 30])
def test_a_count_that_is_always_one_too_high_raises(count):
    last = count % 10 or min(count, 10)
    sends = f"sends {last or 'none'} of them, and the same when it is asked again"
    with pytest.raises(IntacctIncompleteReadError, match=f"counts {last + 1} records? .*{sends}"):
        read(Overcounting(range(1, count + 1), +1))


@pytest.mark.parametrize("off", [-1, 1])
@pytest.mark.parametrize("call", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("count", [1, 9, 10, 11, 20, 25, 30])
def test_a_count_that_is_wrong_once_does_not_matter(count, call, off):
    assert keys_of(read(Miscounting(range(1, count + 1), off, on={call}))) == texts(range(1, count + 1))


@pytest.mark.parametrize(("options", "order_by"), [({"keys_filter": False}, None), ({}, [{"id": "asc"}])])
@pytest.mark.parametrize("off", [-1, 1])
@pytest.mark.parametrize("count", [1, 9, 10, 11, 20, 25, 30])
def test_a_wrong_count_is_found_out_by_offset_too(count, off, options, order_by):
    server = Miscounting(range(1, count + 1), off, **options)
    try:
        rows = read(server, order_by=order_by)
    except IntacctIncompleteReadError:
        return
    assert set(keys_of(rows)) == set(texts(range(1, count + 1)))


# --- by offset


def by_position(server):
    """Return the calls for pages by position: the first page is asked for by key, as ever."""
    return [call for call in server.calls[1:] if "filters" not in call and call["size"] > 1]


def test_a_change_under_an_offset_read_is_detected_and_mended_by_another_pass():
    server = Server(range(1, 101), keys_filter=False)

    def delete_once(server):
        if len(server.calls) == 6:
            server.delete(1, 2, 3)

    server.between = delete_once
    rows = read(server)
    assert_complete(rows, set(texts(range(4, 101))), set(texts(range(1, 101))))
    assert [call["start"] for call in by_position(server)].count(1) == 2
    assert len(server.calls) <= 2 * 12 + 10, "a pass ends when something has moved"


def test_an_offset_read_that_never_comes_to_rest_raises_after_its_passes():
    server = Server(range(1, 201), keys_filter=False)
    server.between = lambda server: server.delete(min(server.keys(), key=int))
    with pytest.raises(IntacctIncompleteReadError) as caught:
        read(server)
    said = str(caught.value)
    passes = [call["start"] for call in by_position(server)].count(1)
    assert passes > 3
    assert said == (
        f"{CUSTOMER} changed during each of {passes} passes over it, so the read cannot be proven complete. "
        "Read it at a quieter time, or narrow the filters."
    )
    assert len(server.calls) <= 2 * 23 + 10


@settings(PROVE, max_examples=40)
@given(st.data())
def test_an_offset_read_under_changes_is_complete_or_raises(data):
    server = Server(range(1, 41), keys_filter=False)
    existed, lived = set(server.keys()), set(server.keys())

    def change(server):
        alive = sorted(server.keys(), key=int)
        gone = data.draw(st.sets(st.sampled_from(alive), max_size=2)) if alive else set()
        newest = max(map(int, existed))
        new = range(newest + 1, newest + 1 + data.draw(st.integers(0, 1)))
        server.delete(*gone)
        server.insert(*new)
        existed.update(map(str, new))
        lived.difference_update(gone)

    server.between = change
    try:
        rows = read(server, size=data.draw(st.integers(2, 15)))
    except IntacctIncompleteReadError:
        return
    assert_complete(rows, lived, existed)


# --- in an order of the user's


def by_id(server):
    return read(server, order_by=[{"status": "desc"}, {"id": "asc"}])


def ordered_calls(server):
    """Return the calls for rows, without those for keys alone that the rows are compared with."""
    return [call for call in server.calls if call["fields"] != ["key"]]


def test_a_user_s_order_is_kept_with_key_as_tie_break():
    server = Server(range(1, 101))
    server.records[::3] = [{**record, "status": "inactive"} for record in server.records[::3]]
    rows = read(server, fields=["key", "status"], order_by=[{"status": "desc"}])
    assert rows == sorted(rows, key=lambda r: (r["status"] == "active", int(r["key"])))
    assert len(rows) == 100
    assert [call["orderBy"] for call in ordered_calls(server)] == [[{"status": "desc"}, {"key": "asc"}]] * 13


@pytest.mark.parametrize("direction", ["asc", "desc"])
def test_an_order_by_key_is_not_doubled(direction):
    server = Server(range(10, 60))
    rows = read(server, order_by=[{"key": direction}])
    assert keys_of(rows) == sorted(texts(range(10, 60)), reverse=direction == "desc")
    assert all(call["orderBy"] == [{"key": direction}] for call in ordered_calls(server))


def test_an_ordered_read_hands_on_only_a_pass_that_nothing_moved_under():
    server = Server(range(1, 101))

    def delete_once(server):
        if len(server.calls) == 4:
            server.delete(1, 2, 3)

    server.between = delete_once
    rows = by_id(server)
    assert set(keys_of(rows)) == server.keys()
    assert [row["id"] for row in rows] == sorted(row["id"] for row in rows)


def test_an_ordered_read_that_never_comes_to_rest_yields_nothing_and_says_what_helps():
    server = Server(range(1, 201))
    server.between = lambda server: server.delete(min(server.keys(), key=int))
    rows = iter_rows(server, Query.build(CUSTOMER, ["key"], order_by=[{"id": "asc"}]), 10)
    with pytest.raises(
        IntacctIncompleteReadError, match="leave out order_by: reading in order of key is not affected"
    ):
        next(rows)


@pytest.mark.parametrize("totals", [True, False])
def test_a_row_that_came_twice_is_movement(totals):
    class Doubling(Server):
        def answer(self, body):
            answer = super().answer(body)
            if len(ordered_calls(self)) == 3 and body["fields"] != ["key"]:
                answer["ia::result"][1] = self.records[0]
            return answer

    server = Doubling(range(1, 31), totals=totals)
    assert len(by_id(server)) == 30
    assert [call["start"] for call in ordered_calls(server)].count(1) == 3


@pytest.mark.parametrize(("count", "calls"), [(0, 2), (9, 1), (10, 1 + 2 + 2), (25, 1 + 4 + 3)])
def test_an_ordered_read_of_several_pages_is_compared_with_one_by_key(count, calls):
    server = Server(range(1, count + 1))
    assert len(by_id(server)) == count
    assert len(server.calls) == calls


class Moving(Server):
    """In the first whole pass, a row moves to the front behind the reader, where one goes, and another comes."""

    def __init__(self, keys, **options):
        super().__init__(keys, **options)
        self.between = self.move

    def move(self, _server):
        if len(self.ordered()) == 3:
            self.between = lambda _server: None
            self.delete(1)
            self.insert(99)
            self.change(next(record for record in self.records if record["key"] == "38"), id="A")

    def ordered(self):
        return [call for call in self.calls if call["fields"] != ["key"]]


@pytest.mark.parametrize("shift", [0, 1])
def test_a_row_that_moves_to_the_front_behind_the_reader_s_back_is_not_lost(shift):
    server = Moving(range(1, 40 + shift))
    rows = by_id(server)
    assert_complete(rows, set(texts(range(2, 40))), set(texts(range(1, 100))))


def test_what_was_deleted_during_an_ordered_read_is_not_missed():
    server = Server(range(1, 31))

    def delete_last(server):
        if len(server.ordered_keys()) == 2:
            server.delete(30)
            server.insert(31)

    server.ordered_keys = lambda: [call for call in server.calls if call["fields"] == ["key"]]
    server.between = delete_last
    assert set(keys_of(by_id(server))) >= set(texts(range(1, 30)))


@pytest.mark.parametrize("options", [{"keys_filter": False}, {"sorts": "text", "compares": "text"}])
def test_an_ordered_read_does_without_keys_where_they_cannot_be_used(options, caplog):
    caplog.set_level(logging.INFO)
    assert len(read(Server(range(1, 101), **options), order_by=[{"id": "asc"}])) == 100
    assert f"the order of {CUSTOMER} is read without comparing keys" in caplog.text


def test_aggregates_are_refused_with_what_to_use():
    with pytest.raises(IntacctArgumentError, match="Rows of aggregates have no key to read by"):
        read(Server([1]), fields=["sum:totalDue"])


# --- through the client


def test_a_client_reads_every_row_over_http_and_counts_a_page_as_one_transaction(intacct):
    server = Server(range(1, 26))
    intacct.on("POST", intacct.query, json=lambda request, _context: server.answer(request.json()))
    client = intacct.client(page_size=10)
    assert keys_of(client.iter_rows(CUSTOMER, ["key"])) == texts(range(1, 26))
    assert [call.json()["size"] for call in intacct.calls(intacct.query)] == [10, 1, 10, 10]
    assert client.transactions == 4


# --- what proofs cost, and what the log says


def asked_for_one(server):
    """Return what was asked for one key: its filters, and from which end."""
    asked = [call for call in server.calls if call["size"] == 1]
    assert {(*call["fields"], call["start"]) for call in asked} == {("key", 1)}
    return [(call.get("filters", []), call["orderBy"][0]["key"]) for call in asked]


def test_a_count_that_moved_costs_a_look_at_the_order_of_keys_and_the_keys():
    server = Server(range(1, 31))
    server.between = lambda server: server.delete(25) if len(server.calls) == 1 else None
    assert len(read(server)) == 29
    assert [one for one in asked_for_one(server) if one != ([{"$lte": {"key": "10"}}], "desc")] == [
        ([], "desc"),  # how far to read
        ([], "desc"),  # whether records were added
    ]
    assert len(server.calls) <= 2 * 4 + 10


def test_numbers_that_were_seen_to_be_compared_as_such_need_no_proof_later():
    """On the second page, keys above "99" are "100" and so on: as text they are not."""
    server = Server(range(90, 140))
    server.between = lambda server: server.delete(max(server.keys(), key=int))
    read(server)
    assert ([{"$gt": {"key": "1000"}}], "asc") not in asked_for_one(server)
    assert len(server.calls) <= 2 * 7 + 10


def test_a_count_that_moved_before_that_costs_few_calls_for_the_order_of_keys():
    server = Server(range(100, 150))
    server.between = lambda server: server.delete(149) if len(server.calls) == 2 else None
    assert len(read(server)) == 49
    assert asked_for_one(server) == [
        ([], "desc"),
        ([{"$gt": {"key": "149"}}], "asc"),
        ([{"$lte": {"key": "109"}}], "desc"),
        ([], "desc"),
    ]


def test_counted_rows_that_do_not_come_are_asked_for_once_more_from_the_start():
    class Late(Server):
        def answer(self, body):
            answer = super().answer(body)
            return answer if len(self.calls) != 2 else {**answer, "ia::result": []}

    server = Late(range(1, 16))
    assert len(read(server)) == 15
    assert server.calls[1] == server.calls[2]


@pytest.mark.parametrize("order_by", [None, [{"id": "asc"}]])
def test_a_first_page_without_the_rows_that_are_counted_is_asked_for_again(order_by):
    class Late(Server):
        def answer(self, body):
            answer = super().answer(body)
            return answer if len(self.calls) > 1 else {**answer, "ia::result": []}

    assert len(read(Late(range(1, 16)), order_by=order_by)) == 15


def test_an_offset_read_is_ordered_by_key_and_says_why_it_is_one(caplog):
    caplog.set_level(logging.INFO)
    server = Server(range(1, 31), keys_filter=False)
    read(server)
    assert {str(call["orderBy"]) for call in server.calls if call["size"] > 1} == {"[{'key': 'asc'}]"}
    assert caplog.messages == [
        f"Intacct: {CUSTOMER} is read by offset: a filter on key is rejected (The key field cannot be filtered)."
    ]


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (
            {"compares": "text"},
            r"a filter on key does not compare keys as numbers \(key 11 is not above 1000\)",
        ),
        (
            {"sorts": "text", "compares": "text"},
            r"(the server does not sort|a filter on key does not compare) keys as numbers \(.*10[01].*\)",
        ),
    ],
)
def test_the_log_says_why_keys_cannot_be_used(options, why, caplog):
    caplog.set_level(logging.INFO)
    keys = [1, 10, 11, 12, 100, 101] + ([2] if "sorts" in options else [])
    read(Server(keys, **options), size=3)
    assert re.search(rf"{CUSTOMER} is read by offset: {why}\.$", caplog.text, re.MULTILINE)
    caplog.clear()
    read(Server(keys, **options), size=3, order_by=[{"id": "asc"}])
    assert re.search(
        rf"order of {CUSTOMER} is read without comparing keys: {why}$", caplog.text, re.MULTILINE
    )


def test_keys_that_are_not_numbers_are_called_so(caplog):
    caplog.set_level(logging.INFO)
    read(Server([Server.record(key) for key in ("a", "b")], sorts="text", compares="text"))
    assert f"{CUSTOMER} is read by offset: its keys are not numbers." in caplog.text


@pytest.mark.parametrize("calls", [1, 2])
def test_the_same_key_twice_on_a_page_is_no_rising_order(caplog, calls):
    """Once it may be a wrong answer; if it comes again, it is how the server sorts."""
    caplog.set_level(logging.INFO)

    class Doubling(Server):
        def answer(self, body):
            answer = super().answer(body)
            wrong = len(self.calls) <= calls
            return {**answer, "ia::result": answer["ia::result"][:1] * 2} if wrong else answer

    assert len(read(Doubling([7, 8]))) == 2
    assert ("its keys do not rise as numbers (key 7 follows 7)" in caplog.text) is (calls == 2)


def test_keys_missing_from_an_ordered_pass_are_looked_for_500_at_a_time_and_one_row_is_enough():
    server = Server(range(1, 1201))

    def delete_after_keys(server):
        if [call["fields"] for call in server.calls][-1:] == [["key"]] and len(server.calls) == 14:
            server.delete(*range(1, 1101))  # the highest key is asked for among the first

    server.between = delete_after_keys
    rows = read(server, size=100, order_by=[{"id": "asc"}])
    assert set(keys_of(rows)) == server.keys()
    asked = [call for call in server.calls if call["size"] == 1 and call.get("orderBy") != [{"key": "desc"}]]
    assert [len(call["filters"][0]["$in"]["key"]) for call in asked] == [500, 500, 100]
    assert {str((call["fields"], call["start"])) for call in asked} == {"(['key'], 1)"}
    assert not any("orderBy" in call for call in asked)


# --- answers that are wrong, once or always, where rows come by position


class Lying(Server):
    """Spoils the answers to some calls; to all of them without numbers."""

    def __init__(self, keys, spoil, *calls, **options):
        super().__init__(keys, **options)
        self.spoil, self.lies = spoil, calls

    def answer(self, body):
        answer = super().answer(body)
        return self.spoil(answer) if not self.lies or len(self.calls) in self.lies else answer


def without_rows(answer):
    return {"ia::result": [], "ia::meta": {"totalCount": 0}}


def without_a_key(answer):
    rows = answer["ia::result"]
    return {**answer, "ia::result": [{**row, "key": row["key"] if n else None} for n, row in enumerate(rows)]}


@pytest.mark.parametrize("spoil", [without_rows, without_a_key])
@pytest.mark.parametrize("order_by", [None, [{"id": "asc"}]])
@pytest.mark.parametrize("call", range(1, 11))
def test_an_answer_that_is_wrong_once_loses_nothing_where_keys_are_not_numbers(spoil, order_by, call):
    server = Lying([Server.record(f"K{n}") for n in range(7)], spoil, call, sorts="text", compares="text")
    assert keys_of(read(server, size=3, order_by=order_by)) == [f"K{n}" for n in range(7)]


@pytest.mark.parametrize("grows", [0, 1])
@pytest.mark.parametrize("order_by", [None, [{"id": "asc"}]])
def test_a_count_that_promises_too_much_does_not_make_a_read_by_position_endless(grows, order_by):
    def promise(answer):
        count = 10**9 + grows * len(server.calls)
        assert len(server.calls) < 150
        return {**answer, "ia::meta": {**answer["ia::meta"], "totalCount": count}}

    server = Lying([Server.record(f"K{n}") for n in range(7)], promise, sorts="text", compares="text")
    with pytest.raises(IntacctIncompleteReadError):
        read(server, size=3, order_by=order_by)


@pytest.mark.parametrize("count", [{"totalCount": 0}, {}])
def test_rows_below_the_highest_key_that_never_come_raise(count):
    """That nothing is above the first page contradicts the highest key, and is counted."""

    class Hiding(Server):
        def answer(self, body):
            above = any("$gt" in condition for condition in body.get("filters", ()))
            answer = super().answer(body)
            return {"ia::result": [], "ia::meta": count} if above else answer

    with pytest.raises(
        IntacctIncompleteReadError, match="counts 6 records above key 3 but sends none of them"
    ):
        read(Hiding(range(1, 10)), size=3)
