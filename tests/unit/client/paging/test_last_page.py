"""The last page asked for from the other end, which saves the call for the highest key."""

from dataclasses import replace

import pytest
from query_server import Server

from intacct_provider.client.paging.complete_read import CompleteRead
from intacct_provider.client.paging.row_formats import MappingRows
from intacct_provider.client.query.request import Query
from intacct_provider.exceptions import IntacctAnswerTooLargeError, IntacctValidationError

QUERY = replace(Query.build("accounts-receivable/customer", ["key", "id"]), few_calls=True)


def read(server, size=10, workers=0):
    """Return the keys of all rows, late ones last."""
    pages = CompleteRead(server, QUERY, MappingRows(QUERY.fields), page_size=size, workers=workers)
    return [int(row["key"]) for page in pages for row in page.rows]


@pytest.mark.parametrize(
    ("count", "calls"),
    [(0, 2), (1, 1), (9, 1), (10, 2), (11, 2), (19, 2), (20, 3), (21, 3), (29, 3), (30, 4), (91, 10)],
)
@pytest.mark.parametrize("workers", [0, 3])
def test_each_call_is_a_page(count, calls, workers):
    """One more only where the last page has no room for a row of the one before, or there is nothing."""
    server = Server(range(1, count + 1))
    assert read(server, workers=workers) == [*range(1, count + 1)]
    assert len(server.calls) == calls
    assert server.counts == 0


@pytest.mark.parametrize("workers", [0, 3])
@pytest.mark.parametrize("came", [1, 5, 40])
def test_records_that_come_before_the_last_page_are_no_gap(workers, came):
    """The last page no longer joins the others, so what lies between is read."""
    server = Server([*range(1, 51), *range(1000, 1040)])

    def change(server):
        if len(server.calls) == 3:
            server.insert(*range(100, 100 + came))

    server.between = change
    keys = read(server, workers=workers)
    assert len(keys) == len({*keys})
    assert {*range(1, 51), *range(1000, 1040)} <= {*keys} <= {*map(int, server.keys())}


@pytest.mark.parametrize(
    "refusal",
    [IntacctValidationError("size is too large", status=400), IntacctAnswerTooLargeError("too large")],
)
def test_a_last_page_that_is_refused_is_asked_for_its_key_alone(refusal):
    class Refusing(Server):
        def answer(self, body):
            if body["orderBy"] == [{"key": "desc"}] and body["size"] > 1:
                raise refusal
            return super().answer(body)

    server = Refusing(range(1000, 1025))
    assert read(server) == [*range(1000, 1025)]
    assert [call["size"] for call in server.calls if call["orderBy"] == [{"key": "desc"}]] == [6, 1]


@pytest.mark.parametrize(
    "change", [lambda rows: rows[::-1], lambda rows: rows[:1] + rows, lambda rows: rows[:-2]]
)
def test_a_last_page_that_contradicts_itself_is_read_like_others(change):
    class Lying(Server):
        def answer(self, body):
            found = super().answer(body)
            if body["orderBy"] == [{"key": "desc"}] and body["size"] > 1:
                found["ia::result"] = change(found["ia::result"])
            return found

    assert read(Lying(range(1000, 1025))) == [*range(1000, 1025)]
