"""Pages read ahead: every row that lived throughout the read, once, in order, or an error; in few calls."""

from __future__ import annotations

import logging
import math
import random
import re
import threading
from concurrent.futures import Future
from itertools import chain, pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from query_server import Miscounting, Server, moment

from intacct_provider.client.paging.complete_read import CompleteRead
from intacct_provider.client.paging.key_intervals import Bounds
from intacct_provider.client.paging.pages import Totals
from intacct_provider.client.paging.row_formats import StructRows
from intacct_provider.client.query.expressions import field
from intacct_provider.client.query.request import Query
from intacct_provider.exceptions import (
    IntacctArgumentError,
    IntacctIncompleteReadError,
    IntacctServerError,
    IntacctValidationError,
)

CUSTOMER = "accounts-receivable/customer"
PROVE = settings(derandomize=True, deadline=None, max_examples=200)


class Turn(Future):
    """What :class:`Turns` has yet to do; asked for its result, it lets others be done before it."""

    def __init__(self, turns):
        super().__init__()
        self._turns = turns

    def result(self, timeout=None):
        self._turns.until(self)
        return super().result(timeout)


class Turns:
    """Stands for threads: carries out calls one by one, each time any of the first ``workers`` that wait."""

    def __init__(self, workers, choose):
        self.workers, self.choose = workers, choose
        self.waiting, self.ended = [], False

    def submit(self, call, *args):
        turn = Turn(self)
        self.waiting.append((turn, call, args))
        return turn

    def until(self, wanted):
        while not wanted.done():
            turn, call, args = self.waiting.pop(self.choose(min(self.workers, len(self.waiting))))
            if not turn.set_running_or_notify_cancel():
                continue
            try:
                turn.set_result(call(*args))
            except Exception as err:
                turn.set_exception(err)

    def shutdown(self, wait=True, *, cancel_futures=False):
        self.ended = cancel_futures
        self.waiting.clear()


class Reading:
    """A reading of a server's rows."""

    def __init__(
        self, server, size=10, workers=4, choose=None, fields=("key", "id"), bounds=(None, None), **parts
    ):
        self.server, self.pool = server, None

        def make(workers):
            self.pool = Turns(workers, choose or (lambda count: 0))
            return self.pool

        self.pages = CompleteRead(
            server,
            Query.build(CUSTOMER, fields, **parts),
            StructRows(fields),
            page_size=size,
            workers=workers,
            bounds=Bounds.from_text(*bounds),
            pool=make,
        )

    @property
    def calls(self):
        return len(self.server.calls) + self.server.counts


def test_a_first_page_that_was_asked_for_before_is_not_asked_for_again():
    reading = Reading(Server(range(1, 36)), 10)
    reading.pages.begin()
    reading.pages.begin()
    assert [key for page in reading.pages for key in page.keys] == [str(key) for key in range(1, 36)]
    again = Reading(Server(range(1, 36)), 10)
    assert len(list(again.pages)) == 4
    assert reading.calls == again.calls


def test_pages_that_nobody_takes_after_all_leave_nothing_under_way():
    reading = Reading(Server(range(1, 36)), 10)
    reading.pages.begin()
    reading.pages.close()
    assert reading.calls <= 1
    assert not [one for one in threading.enumerate() if one.name.startswith("intacct-read")]


def read(server, size=10, **parts):
    """Return the keys of all rows, in the order in which they came."""
    return [key for page in Reading(server, size, **parts).pages for key in page.keys]


def texts(*ranges):
    return [str(key) for numbers in ranges for key in numbers]


def assert_complete(keys, lived, existed):
    """Assert that what lived throughout came once, and nothing came that never was."""
    assert len(keys) == len(set(keys)), "a record came twice"
    assert lived <= set(keys), "a record that lived throughout is missing"
    assert set(keys) <= existed, "a record was made up"


def clustered(draw):
    """Draw keys that stand close together in places far apart."""
    places = draw(st.lists(st.integers(0, 10**6), min_size=1, max_size=6))
    return {place + n for place in places for n in range(1, draw(st.integers(1, 40)) + 1)}


# --- what it costs


@pytest.mark.parametrize("workers", [1, 3, 4, 20])
@pytest.mark.parametrize("count", [0, 1, 9, 10, 11, 19, 20, 21, 28, 29, 30, 55, 100, 237])
def test_all_rows_come_in_order_and_calls_are_few(count, workers):
    server = Server(range(1, count + 1))
    reading = Reading(server, workers=workers)
    assert [key for page in reading.pages for key in page.keys] == texts(range(1, count + 1))
    assert reading.calls <= 1.25 * math.ceil(count / 10) + 2
    assert reading.pages.counted == Totals(count)
    assert not reading.pages.by_position


@PROVE
@given(st.data())
def test_calls_are_few_however_keys_are_spread_and_answers_ordered(data):
    keys, size = clustered(data.draw), data.draw(st.integers(10, 50))
    choose = random.Random(data.draw(st.integers(0, 1000))).randrange
    reading = Reading(Server(keys), size, workers=data.draw(st.integers(1, 8)), choose=choose)
    assert [key for page in reading.pages for key in page.keys] == texts(sorted(keys))
    assert reading.calls <= 1.25 * math.ceil(len(keys) / size) + 2


def test_what_fits_one_page_is_one_call_whose_count_is_the_count():
    reading = Reading(Server(range(9)))
    assert sum(map(len, reading.pages)) == 9
    assert reading.calls == 1
    assert reading.pool is None
    assert reading.pages.counted == Totals(9)


def test_no_page_is_asked_for_by_a_far_position_and_most_are_asked_for_early():
    reading = Reading(Server(range(1, 1001)), workers=4)
    pages = iter(reading.pages)
    next(pages)
    assert len(reading.pool.waiting) >= 4
    list(pages)
    assert max(call["start"] for call in reading.server.calls) <= 8 * 10


def test_as_many_calls_as_allowed_wait_while_the_first_page_is_not_yet_taken():
    reading = Reading(Server(range(1, 1001)), workers=2)
    pages = iter(reading.pages)
    for _ in range(50):
        next(pages)
        assert len(reading.pool.waiting) <= 4 + 1


def test_nothing_is_asked_for_before_the_first_row_is_wanted_and_no_more_when_nobody_wants_any():
    reading = Reading(Server(range(1, 1001)))
    pages = iter(reading.pages)
    assert reading.calls == 0
    next(pages)
    pages.close()
    assert reading.pool.ended
    assert len(reading.server.calls) <= 3


def test_the_intervals_tell_what_each_page_covers_and_its_keys():
    reading = Reading(Server(range(1, 26)))
    list(reading.pages)
    assert [one[:3] for one in reading.pages.intervals] == [(1, 10, 10), (11, 20, 10), (21, 25, 5)]
    assert [key for one in reading.pages.intervals for key in one.unpack()] == [*range(1, 26)]
    assert reading.pages.began == moment(1)


# --- changes


@pytest.mark.slow
@PROVE
@given(st.data())
def test_whatever_comes_and_goes_between_pages_nothing_that_lives_is_lost_or_doubled(data):
    start = clustered(data.draw)
    server = Server(start)
    existed, lived, deleted = set(server.keys()), set(server.keys()), set()
    chance = random.Random(data.draw(st.integers(0, 10**6)))
    wild = data.draw(st.integers(0, 12))

    def change(server):
        if len(server.calls) > 40:
            return
        alive = sorted(server.keys(), key=int)
        gone = chance.sample(alive, min(len(alive), chance.randint(0, wild)))
        if chance.random() < 0.3:
            gone = alive[: chance.randint(0, wild)]
        back = set(chance.sample(sorted(deleted), min(len(deleted), chance.randint(0, wild))))
        newest = max(map(int, existed))
        new = texts(range(newest + 1, newest + 1 + chance.randint(0, wild)))
        server.delete(*gone)
        server.insert(*back, *new)
        existed.update(new)
        deleted.difference_update(back)
        deleted.update(gone)
        lived.difference_update(gone)

    server.between = change
    size, workers = data.draw(st.integers(1, 30)), data.draw(st.integers(1, 6))
    reading = Reading(server, size, workers, choose=chance.randrange)
    pages = [(page.keys, page.late) for page in reading.pages]
    assert_complete([key for keys, _ in pages for key in keys], lived, existed)
    on_time = [int(key) for keys, late in pages for key in keys if not late]
    assert on_time == sorted(on_time)
    assert all(keys == sorted(keys, key=int) for keys, _ in pages)
    assert [late for _, late in pages] == sorted(late for _, late in pages), "late rows come last"


@pytest.mark.slow
@settings(PROVE, max_examples=60)
@given(st.data())
def test_small_pages_refused_sizes_and_changes_together_lose_nothing(data):
    chance = random.Random(data.draw(st.integers(0, 10**6)))
    server = Server(
        range(1, data.draw(st.integers(1, 1500)) + 1),
        clamp=data.draw(st.one_of(st.none(), st.integers(2, 90))),
        largest=data.draw(st.sampled_from([None, 100, 150])),
    )
    lived = set(server.keys())

    def change(server):
        gone = chance.sample(sorted(server.keys()), min(len(server.keys()), chance.randint(0, 3)))
        server.delete(*gone)
        lived.difference_update(gone)

    server.between = change
    existed = set(server.keys())
    assert_complete(read(server, size=400, choose=chance.randrange), lived, existed)


def test_records_that_begin_to_match_in_the_middle_shift_nothing():
    server = Server(range(1, 201))
    for record in server.records[:100]:
        record["status"] = "inactive"
    lived = {r["key"] for r in server.records if r["status"] == "active"}

    def activate(server):
        if len(server.calls) > 1:
            for record in [r for r in server.records if r["status"] == "inactive"][:2]:
                server.change(record, status="active")

    server.between = activate
    keys = read(server, filters=field("status") == "active", fields=("key", "status"))
    assert_complete(keys, lived, set(texts(range(1, 201))))


def test_a_gap_that_deletions_leave_between_two_pages_is_read_by_key():
    """Half of the second page goes before the third is read, which so begins further on than it should."""
    server = Server(range(1, 61))

    def delete(server):
        if len(server.calls) == 2:
            server.delete(*range(11, 16))

    server.between = delete
    assert read(server) == texts(range(1, 61))
    assert [call["filters"][-2:] for call in server.calls if is_gap(call)] == [
        [{"$gt": {"key": "20"}}, {"$lt": {"key": "25"}}]
    ]


def is_gap(body):
    """Whether a call asks for what lies between two pages."""
    return any("$lt" in condition for condition in body.get("filters", ()))


class Gapped(Server):
    """After two calls half of the second page is gone, and the gap that this leaves is answered strangely."""

    def __init__(self, strange):
        super().__init__(range(1, 61))
        self.strange, self.asked = strange, 0

    def answer(self, body):
        answer = super().answer(body)
        if len(self.calls) == 2:
            self.delete(*range(11, 16))
        if is_gap(body):
            self.asked += 1
            answer = self.strange(self.asked, answer)
        return answer


def test_rows_of_a_gap_that_are_counted_and_do_not_come_are_asked_for_with_those_behind_it():
    late = Gapped(lambda asked, answer: answer if asked > 1 else {**answer, "ia::result": []})
    assert read(late) == texts(range(1, 61))
    never = Gapped(lambda _, answer: {**answer, "ia::result": []})
    assert read(never) == texts(range(1, 61))
    assert never.asked == 1


@pytest.mark.parametrize("rows", [["22", "21"], ["20"], ["24", "25"], ["21"], ["20", "21", "22", "23", "24"]])
def test_rows_of_a_gap_that_are_not_those_between_its_ends_are_asked_for_with_those_behind_it(rows):
    strange = Gapped(lambda _, answer: {**answer, "ia::result": [Server.record(key) for key in rows]})
    assert read(strange) == texts(range(1, 61))
    assert strange.asked == 1


def test_a_gap_of_several_pages_is_read_to_its_end():
    """The second page goes by and large, and with it the third and fourth begin far beyond its end."""
    server = Server(range(1, 201))

    def delete(server):
        if len(server.calls) == 2:
            server.delete(*range(11, 21))
            server.clamp = 3

    server.between = delete
    assert read(server) == texts(range(1, 201))


def test_a_filter_on_key_that_is_refused_later_is_raised_as_it_is():
    server = Server(range(1, 201))
    server.between = lambda server: setattr(server, "keys_filter", len(server.calls) < 6)
    with pytest.raises(IntacctValidationError, match="cannot be filtered"):
        read(server)


def test_everything_may_vanish():
    server = Server(range(1, 101))
    server.between = lambda server: server.delete(*server.keys())
    assert read(server) == texts(range(1, 11))


# --- servers that are not as documented


@pytest.mark.parametrize("keys_filter", [True, False])
@pytest.mark.parametrize("clamp", [2, 3, 7])
def test_a_server_that_sends_fewer_rows_than_asked_for_loses_none(clamp, keys_filter):
    server = Server(range(100, 200), clamp=clamp, keys_filter=keys_filter)
    assert read(server, size=50) == texts(range(100, 200))


def test_a_server_that_begins_to_send_fewer_rows_loses_none():
    server = Server(range(1, 1001))
    server.between = lambda server: setattr(server, "clamp", 20 if len(server.calls) > 2 else None)
    reading = Reading(server, 100)
    assert [key for page in reading.pages for key in page.keys] == texts(range(1, 1001))
    assert reading.calls < 1.25 * 50 + 20


def test_a_page_size_that_is_refused_is_halved_and_stays_so():
    server = Server(range(1000, 3500), largest=1000)
    assert read(server, size=4000) == texts(range(1000, 3500))
    sizes = [call["size"] for call in server.calls]
    assert sizes[:3] == [4000, 2000, 1000]
    assert sorted(set(sizes[3:])) == [1, 1000]


def test_a_page_size_that_is_refused_later_is_halved_then():
    server = Server(range(1000, 5000))
    server.between = lambda server: setattr(server, "largest", 300 if len(server.calls) > 2 else None)
    assert read(server, size=800) == texts(range(1000, 5000))


def test_a_refusal_that_is_not_about_size_is_raised_as_it_is():
    class Refusing(Server):
        def answer(self, _body):
            raise IntacctValidationError("name is not a field", status=400, error_id="REST-1043")

    server = Refusing([1])
    with pytest.raises(IntacctValidationError, match="name is not a field"):
        read(server)
    assert len(server.calls) == 1


@pytest.mark.parametrize("call", [1, 2, 3, 6])
def test_errors_keep_their_type_and_end_everything(call):
    class Failing(Server):
        def answer(self, body):
            if len(self.calls) >= call:
                raise IntacctServerError("down", status=503)
            return super().answer(body)

    reading = Reading(Failing(range(500)))
    with pytest.raises(IntacctServerError):
        list(reading.pages)
    assert call == 1 or reading.pool.ended


def test_a_count_that_cannot_be_had_ends_the_read():
    class Refusing(Server):
        def count(self, *_query, **_options):
            raise IntacctValidationError("count of key is not allowed", status=400)

    reading = Reading(Refusing(range(100), totals=False))
    with pytest.raises(IntacctValidationError, match="count of key"):
        list(reading.pages)
    assert sum(map(len, Reading(Refusing(range(100))).pages)) == 100, "with counts on pages none is needed"


@pytest.mark.parametrize("workers", [1, 4])
def test_an_object_that_refuses_a_filter_on_key_is_read_by_position(workers, caplog):
    caplog.set_level(logging.INFO, "intacct_provider")
    reading = Reading(Server(range(1, 101), keys_filter=False), workers=workers)
    pages = iter(reading.pages)
    keys = list(next(pages).keys)
    assert reading.pages.by_position
    assert reading.pages.intervals == []
    assert [*keys, *(key for page in pages for key in page.keys)] == texts(range(1, 101))
    assert (
        f"{CUSTOMER} is read by offset: a filter on key is rejected (The key field cannot be filtered)."
        in caplog.text
    )
    assert (reading.pages.rows_read, reading.pages.counted) == (100, None)


@PROVE
@given(
    st.sets(st.integers(1, 3000), min_size=1, max_size=60),
    st.integers(1, 25),
    st.sampled_from(["numbers", "text"]),
    st.sampled_from(["numbers", "text"]),
    st.integers(1, 5),
    st.integers(0, 1000),
)
def test_however_a_server_treats_keys_a_read_is_complete_or_raises(
    keys, size, sorts, compares, workers, seed
):
    server = Server(keys, sorts=sorts, compares=compares)
    try:
        came = read(server, size=size, workers=workers, choose=random.Random(seed).randrange)
    except IntacctIncompleteReadError:
        assert "text" in (sorts, compares)
        return
    assert_complete(came, server.keys(), server.keys())


@pytest.mark.parametrize("compares", ["numbers", "text"])
def test_keys_sorted_as_text_are_read_by_position(compares):
    server = Server(range(1, 101), sorts="text", compares=compares)
    assert sorted(read(server, size=30), key=int) == texts(range(1, 101))


@pytest.mark.parametrize("last", [0, -1])
@pytest.mark.parametrize("call", range(2, 17))
def test_keys_sorted_as_text_come_once_although_an_answer_is_empty(call, last):
    """A wrong end can leave the first page unsettled until all of them were read."""

    class Empty(Server):
        def answer(self, body):
            answer = super().answer(body)
            return {"ia::result": [], "ia::meta": {"totalCount": 0}} if len(self.calls) == call else answer

    keys = [1, 2, 3, 9, 10, 11, 99, 1000, 10**7]
    server = Empty(keys, sorts="text", compares="text")
    assert sorted(read(server, size=3, workers=2, choose=lambda count: last % count), key=int) == texts(keys)


def test_keys_compared_as_text_beyond_the_first_page_are_read_by_position():
    reading = Reading(Server(range(1, 101), compares="text"), size=30)
    assert sorted((key for page in reading.pages for key in page.keys), key=int) == texts(range(1, 101))
    assert reading.pages.by_position


@pytest.mark.parametrize("workers", [1, 2, 4])
def test_keys_compared_as_text_are_found_out_although_the_first_two_pages_agree(workers):
    """After key 29, a comparison as text leaves out 200 to 289 without a trace in keys that rise."""
    server = Server([*range(10, 100), *range(200, 300)], compares="text")
    with pytest.raises(IntacctIncompleteReadError, match=r"\(key \d+ is not above 1000\)"):
        read(server, workers=workers)


def test_keys_that_are_not_numbers_are_read_by_position(caplog):
    caplog.set_level(logging.INFO)
    server = Server([Server.record(f"K{n:03}") for n in range(100)], sorts="text", compares="text")
    assert read(server) == [f"K{n:03}" for n in range(100)]
    assert f"{CUSTOMER} is read by offset: its keys are not numbers." in caplog.text


class Spoiling(Server):
    """Spoils the rows of some answers."""

    def __init__(self, keys, spoil, *calls):
        super().__init__(keys)
        self.spoil, self.spoiled = spoil, calls

    def answer(self, body):
        answer = super().answer(body)
        if len(self.calls) in self.spoiled:
            answer["ia::result"] = self.spoil(answer["ia::result"], self)
        return answer


def backwards(rows, _server):
    return rows[::-1]


def another(rows, server):
    return server.sorted(server.records, [{"key": "asc"}])[: len(rows)]


def nothing(_rows, _server):
    return []


@pytest.mark.parametrize("spoil", [backwards, another, nothing])
@pytest.mark.parametrize("call", [2, 3, 4, 7])
@pytest.mark.parametrize("seed", range(3))
def test_a_page_that_is_spoiled_once_is_asked_for_again(spoil, call, seed):
    server = Spoiling(range(1, 101), spoil, call)
    assert read(server, choose=random.Random(seed).randrange) == texts(range(1, 101))


@pytest.mark.parametrize("spoil", [backwards, another, nothing])
def test_pages_that_are_spoiled_from_some_time_on_raise(spoil):
    server = Spoiling(range(1, 101), spoil, *range(4, 100))
    with pytest.raises(IntacctIncompleteReadError, match=r"do not rise|sends none of them"):
        read(server)


@pytest.mark.parametrize("calls", [[1], [1, 2]])
def test_the_same_key_twice_on_the_first_page_is_no_rising_order(caplog, calls):
    """Once it may be a wrong answer; if it comes again, it is how the server sorts."""
    caplog.set_level(logging.INFO)
    server = Spoiling([7, 8], lambda rows, _: rows[:1] * 2, *calls)
    assert len(read(server)) == 2
    assert ("its keys do not rise as numbers (key 7 follows 7)" in caplog.text) is (len(calls) == 2)


@pytest.mark.parametrize("count", [0, 1, 10, 11, 100])
def test_a_server_that_sends_no_count_is_read_to_its_end(count):
    reading = Reading(Server(range(1, count + 1), totals=False))
    assert [key for page in reading.pages for key in page.keys] == texts(range(1, count + 1))
    assert reading.pages.counted in (None, Totals(count))


@pytest.mark.parametrize("size", [1, 2, 3])
@pytest.mark.parametrize("options", [{}, {"keys_filter": False}, {"totals": False}])
def test_the_smallest_pages_lose_nothing_and_come_to_an_end(size, options):
    assert read(Server(range(1, 12), **options), size=size) == texts(range(1, 12))


# --- counts that are wrong


@pytest.mark.parametrize("clamp", [None, 5])
@pytest.mark.parametrize("count", [1, 9, 10, 11, 20, 25, 30, 100])
@pytest.mark.parametrize("off", [-50, -1, 1, 2, 70])
def test_counts_of_pages_that_are_always_wrong_lose_nothing_when_the_count_itself_is_right(count, clamp, off):
    assert read(Miscounting(range(1, count + 1), off, clamp=clamp)) == texts(range(1, count + 1))


@PROVE
@given(st.data())
def test_a_count_that_is_wrong_once_does_not_matter(data):
    count, off = data.draw(st.integers(1, 120)), data.draw(st.integers(-100, 100))
    server = Miscounting(range(1, count + 1), off, on={data.draw(st.integers(1, 14))})
    choose = random.Random(data.draw(st.integers(0, 1000))).randrange
    assert read(server, choose=choose) == texts(range(1, count + 1))


def test_rows_that_are_counted_by_all_and_never_come_raise():
    class Overcounting(Miscounting):
        def count(self, *query, **options):
            return Totals(super().count(*query, **options).count + 1)

    reading = Reading(Overcounting(range(1, 101), 1))
    with pytest.raises(IntacctIncompleteReadError) as caught:
        list(reading.pages)
    words = r".* Intacct counts (\d+) records? .*up to 100 but sends (\d+) of them, and the same when"
    counted, sent = re.match(words, str(caught.value)).groups()
    assert int(counted) == int(sent) + 1


# --- from one key to another


@pytest.mark.parametrize(
    ("bounds", "wanted"),
    [
        ((None, "40"), range(1, 41)),
        (("40", None), range(41, 101)),
        (("40", "73"), range(41, 74)),
        (("99", "100"), [100]),
        (("100", None), []),
        ((None, "0"), []),
    ],
)
def test_only_keys_within_the_bounds_come(bounds, wanted):
    reading = Reading(Server(range(1, 101)), bounds=bounds)
    assert [key for page in reading.pages for key in page.keys] == texts(wanted)
    assert reading.pages.counted == Totals(len(wanted))


@settings(PROVE, max_examples=60)
@given(st.data())
def test_ranges_that_join_give_everything_once(data):
    keys = sorted(clustered(data.draw))
    cuts = sorted(data.draw(st.sets(st.sampled_from(keys), max_size=4)))
    ends = [None, *map(str, cuts), None]
    server, size = Server(keys), data.draw(st.integers(1, 20))
    came = [read(server, size, bounds=pair) for pair in pairwise(ends)]
    assert list(chain(*came)) == texts(keys)


@pytest.mark.parametrize("options", [{"sorts": "text", "compares": "text"}, {"keys_filter": False}])
def test_keys_that_cannot_be_used_cannot_be_read_from_one_to_another(options):
    refusals = {"does not order keys 5 and", "cannot be read from one key to another", "cannot be filtered"}
    with pytest.raises((IntacctIncompleteReadError, IntacctValidationError), match="|".join(refusals)):
        read(Server(range(1, 301), **options), bounds=("5", "200"))


@pytest.mark.slow
@PROVE
@given(
    st.sets(st.integers(1, 3000), min_size=1, max_size=60),
    st.integers(1, 3000),
    st.sampled_from(["numbers", "text"]),
    st.integers(1, 25),
)
def test_a_server_that_compares_text_is_found_out_from_a_key_on(keys, above, sorts, size):
    server = Server(keys, sorts=sorts, compares="text")
    for bounds, wanted in (
        ((str(above), None), [key for key in sorted(keys) if key > above]),
        ((None, str(above)), [key for key in sorted(keys) if key <= above]),
        (("7", str(above)), [key for key in sorted(keys) if 7 < key <= above]),
    ):
        try:
            came = read(server, size, bounds=bounds)
        except IntacctIncompleteReadError:
            continue
        assert came == texts(wanted)


def test_rows_that_only_seem_to_be_known_end_the_read():
    """As text "103" comes after "1020", so it is not among the rows before it, although it is the smaller number."""
    for size in (1, 2, 3):
        server = Server([100, 101, 102, 103, 1020], sorts="text", compares="text")
        with pytest.raises(
            IntacctIncompleteReadError, match=r"key 103 follows 1020|read from one key to another"
        ):
            read(server, size, bounds=(None, "1030"))


@pytest.mark.parametrize("bounds", [("x", None), (None, "1.5"), ("", None)])
def test_bounds_that_are_no_keys_are_refused(bounds):
    with pytest.raises(IntacctArgumentError, match="must be a key, such as '24', not"):
        Reading(Server([]), bounds=bounds)


def test_what_has_no_order_of_keys_is_refused():
    with pytest.raises(IntacctArgumentError, match="order_by"):
        Reading(Server([]), order_by=[{"id": "asc"}])
    with pytest.raises(IntacctArgumentError, match="Rows of aggregates have no key"):
        Reading(Server([]), fields=("count:key",))
