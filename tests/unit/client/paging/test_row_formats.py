"""Rows decoded straight into structs, and the calls that use them: nothing an answer may hold is taken for less."""

from __future__ import annotations

import threading
from dataclasses import replace
from decimal import Decimal

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from query_server import Server

from intacct_provider.client.http.replies import read_server_time
from intacct_provider.client.http.retry import RetryPolicy
from intacct_provider.client.http.transport import Request
from intacct_provider.client.paging.pages import Page, Totals
from intacct_provider.client.paging.row_formats import MappingRows, StructRows
from intacct_provider.client.query.request import Query
from intacct_provider.exceptions import (
    IntacctConnectionError,
    IntacctIncompleteReadError,
    IntacctPermissionError,
    IntacctResponseError,
    IntacctValidationError,
)

CUSTOMER = "accounts-receivable/customer"
FIELDS = ("key", "id", "term.id", "creditLimit")
JSON = {"Content-Type": "application/json"}


def page(*rows, **meta):
    return msgspec.json.encode({"ia::result": list(rows), **({"ia::meta": meta} if meta else {})})


def decode(form, content):
    return form.read(content, 1, 4000)


# --- the form of rows


def test_each_field_has_its_place_and_strays_have_none():
    row = {
        "API_QUERY_ALIAS__3": "stray",
        "term.id": "Net 30",
        "key": "24",
        "creditLimit": 1234.10,
        "id": None,
    }
    found = decode(StructRows(FIELDS), page(row, totalCount=1, pageSize=100))
    assert [StructRows.values(one) for one in found.rows] == [("24", None, "Net 30", Decimal("1234.1"))]
    assert found.keys == ["24"]
    assert (found.total_count, found.page_size) == (1, 100)


def test_what_is_missing_is_none_and_texts_stay_texts():
    found = decode(StructRows(("key", "id", "name")), page({"key": "1", "id": "2026-01-31"}))
    assert [StructRows.values(one) for one in found.rows] == [("1", "2026-01-31", None)]
    assert (found.total_count, found.page_size) == (None, 4000)


def test_numbers_keep_their_digits():
    content = b'{"ia::result": [{"key": 7, "creditLimit": 12345678901234567890.123456789}]}'
    [row] = decode(StructRows(FIELDS), content).rows
    assert row.f3 == Decimal("12345678901234567890.123456789")


def test_keys_need_not_be_among_the_fields():
    found = decode(StructRows(("id",)), page({"key": "5", "id": "C5"}, {"key": 6, "id": "C6"}))
    assert found.keys == ["5", "6"]
    assert [StructRows.values(one) for one in found.rows] == [("C5",), ("C6",)]
    found = decode(MappingRows(("id",)), page({"key": "5", "id": "C5"}, {"key": 6, "id": "C6"}))
    assert (found.keys, found.rows) == (["5", "6"], [{"id": "C5"}, {"id": "C6"}])
    assert decode(MappingRows(("id",), keyed=False), page({"id": "C5"})).keys == []


def test_a_row_without_a_key_has_none_that_could_pass_for_one():
    assert decode(StructRows(("key", "id")), page({"id": "C5"})).keys == ["None"]
    assert decode(StructRows(("id",)), page({"id": "C5"})) is None
    assert decode(MappingRows(("id",)), page({"id": "C5"})).keys == ["None"]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"null",
        b"[]",
        b"{}",
        b'{"ia::result": null}',
        b'{"ia::result": {}}',
        b'{"ia::result": [1]}',
        b'{"ia::result": [null]}',
        b'{"ia::result": [{"key": "1"}',
        b'{"ia::result": [{"key": "1"}]} and more',
        b'{"ia::result": [{"key": "\xff"}]}',
        b'{"ia::result": [{"key": 1e999999999999999999999}]}',
        b'{"ia::result": [{"key": "1", "id": ' + b"[" * 5000 + b"]" * 5000 + b"}]}",
        b"<html></html>",
        page({"key": "1"})[:-1] + b', "ia::error": {"message": "no"}}',
        page({"key": "1"})[:-1] + b', "error": "gone"}',
    ],
)
@pytest.mark.parametrize("form", [StructRows, MappingRows])
def test_what_may_not_be_a_page_is_not_read(form, content):
    assert decode(form(FIELDS), content) is None


@settings(derandomize=True, deadline=None, max_examples=200)
@given(
    st.lists(
        st.fixed_dictionaries(
            {"key": st.integers(1, 10**12).map(str)},
            optional={
                "id": st.none() | st.text(),
                "term.id": st.none() | st.booleans() | st.integers(),
                "creditLimit": st.decimals(-(10**9), 10**9, places=2).map(float),
                "stray": st.text(),
            },
        )
    )
)
def test_structs_hold_what_mappings_hold(rows):
    content = page(*rows, totalCount=len(rows))
    form = StructRows(FIELDS)
    mappings, structs = decode(MappingRows(FIELDS), content), decode(form, content)
    assert [dict(zip(FIELDS, form.values(row), strict=True)) for row in structs.rows] == mappings.rows
    assert mappings == replace(structs, rows=mappings.rows)
    converted = form.convert(mappings.rows)
    assert (converted.rows, converted.keys) == (structs.rows, structs.keys)


def test_a_part_of_a_page_has_keys_and_rows_alike():
    form = StructRows(("id",))
    whole = form.convert([{"key": str(n), "id": f"C{n}"} for n in range(5)])
    part = whole.part(1, 3)
    assert part.keys == ["1", "2"]
    assert [row.f0 for row in part.rows] == ["C1", "C2"]
    assert (len(part), len(whole.part(4)), len(Page([]))) == (2, 1, 0)


def test_a_page_tells_its_place_and_the_next():
    body = {
        "ia::result": [{"key": "1", "x": 1}],
        "ia::meta": {"totalCount": 508, "start": 1, "pageSize": 100, "next": 101, "previous": None},
    }
    rows = [{"key": "1", "id": None}]
    found = decode(MappingRows(["key", "id"]), msgspec.json.encode(body))
    assert found == Page(rows=rows, total_count=508, start=1, page_size=100, next=101, keys=["1"])


@pytest.mark.parametrize(
    "meta",
    [
        {},
        {"ia::meta": None},
        {"ia::meta": ["x"]},
        {"ia::meta": {"totalCount": None, "start": "x", "next": None, "pageSize": "²"}},
    ],
)
def test_what_a_page_does_not_tell_is_unknown_or_as_asked(meta):
    content = msgspec.json.encode({"ia::result": [{"key": "1"}], **meta})
    found = MappingRows(["key"]).read(content, 5, 100)
    assert found == Page(rows=[{"key": "1"}], total_count=None, start=5, page_size=100, next=None, keys=["1"])


@pytest.mark.parametrize("following", [True, "/services/core/query?start=6", 6.0, {"start": 6}, 0, ""])
def test_a_next_that_is_no_number_and_not_null_means_more(following):
    content = msgspec.json.encode(
        {"ia::result": [{"key": "1"}], "ia::meta": {"totalCount": 5, "next": following}}
    )
    assert MappingRows(["key"]).read(content, 5, 100).is_followed(5)


def test_counts_may_be_text():
    assert decode(MappingRows(["key"]), page(totalCount="7")).total_count == 7


@pytest.mark.parametrize(
    "body", [None, [], {}, {"ia::result": None}, {"ia::result": {}}, {"ia::result": ["x"]}]
)
def test_an_answer_without_rows_is_never_an_empty_page(intacct, body):
    assert decode(MappingRows(["key"]), msgspec.json.encode(body)) is None
    intacct.on("POST", intacct.query, text=msgspec.json.encode(body).decode(), headers=JSON)
    with pytest.raises(IntacctIncompleteReadError, match="has no list of rows"):
        intacct.client().query(CUSTOMER, ["key"])


@pytest.mark.parametrize(
    ("date", "moment"),
    [
        ("Sun, 06 Nov 1994 08:49:37 GMT", "1994-11-06T08:49:37Z"),
        ("Sun, 06 Nov 1994 09:49:37 +0100", "1994-11-06T08:49:37Z"),
        ("yesterday", None),
        (None, None),
    ],
)
def test_the_moment_of_an_answer_is_the_server_s(date, moment):
    assert read_server_time({} if date is None else {"Date": date}) == moment


# --- decoding in the transport


def test_what_a_request_decodes_is_not_decoded_again(intacct):
    intacct.on("GET", intacct.customers, text="not JSON", headers=JSON)
    reply = intacct.client()._session.send(
        Request("GET", intacct.customers, decode=lambda content: content.upper())
    )
    assert (reply.decoded, reply.body) == (b"NOT JSON", None)
    assert reply.error() is None


@pytest.mark.parametrize("status", [400, 401, 404, 500])
def test_refusals_are_never_given_to_it(intacct, status):
    intacct.on("GET", intacct.customers, status_code=status, json={"ia::error": {"message": "no"}})
    asked = []
    reply = intacct.client()._session.send(Request("GET", intacct.customers, decode=asked.append))
    assert "no" in str(reply.error())
    assert asked == []


def test_what_it_does_not_take_is_read_as_ever(intacct):
    cut = {"text": '{"ia::result": [', "headers": JSON}
    intacct.on("GET", intacct.customers, cut, {"json": {"ia::result": 7}})
    reply = intacct.client()._session.send(Request("GET", intacct.customers, decode=lambda _content: None))
    assert (reply.decoded, reply.result) == (None, 7)
    assert len(intacct.calls(intacct.customers)) == 2


def test_a_request_that_nobody_waits_for_is_not_sent_again(intacct):
    stopped = threading.Event()

    def answer(_request, context):
        stopped.set()
        context.status_code = 503
        return ""

    intacct.on("GET", intacct.customers, text=answer)
    client = intacct.client(retry=RetryPolicy(base=3600, budget=1e9))
    with pytest.raises(
        IntacctConnectionError, match=r"HTTP 503; not sent again, because the read was stopped\.$"
    ):
        client._session.send(Request("GET", intacct.customers, stopped=stopped))
    assert len(intacct.calls(intacct.customers)) == 1


def test_a_request_that_waited_in_line_until_nobody_waits_for_it_is_not_sent(intacct):
    """It would be billed."""
    intacct.on("GET", intacct.customers, json={"ia::result": 7})
    stopped = threading.Event()
    stopped.set()
    client = intacct.client()
    with pytest.raises(IntacctConnectionError, match=r"not sent, because the read was stopped\.$"):
        client._session.send(Request("GET", intacct.customers, stopped=stopped))
    assert intacct.calls(intacct.customers) == []
    assert client.transactions == 0


def test_a_request_that_somebody_waits_for_is_sent_again(intacct):
    intacct.on("GET", intacct.customers, {"status_code": 503}, {"json": {"ia::result": 7}})
    assert (
        intacct.client()._session.send(Request("GET", intacct.customers, stopped=threading.Event())).result
        == 7
    )


# --- pages, totals and records of a client


def served(intacct, server):
    """Let a server of the model answer queries, and counts of its records."""

    def answer(request, _context):
        body = request.json()
        if body["fields"][0] == "count:key":
            rows = [row for row in server.records if server.matches(row, body)]
            return {"ia::result": [{"count:key": len(rows)}]}
        server.calls.append(body)
        return server.answer(body)

    intacct.on("POST", intacct.query, json=answer)


def pages_of(client, **options):
    return client.read_pages(Query.build(CUSTOMER, ["key", "id"]), StructRows(("key", "id")), **options)


def test_pages_of_a_client_are_billed_and_counted(intacct):
    served(intacct, Server(range(1, 26)))
    client = intacct.client(page_size=10)
    pages = pages_of(client)
    assert [key for one in pages for key in one.keys] == [str(n) for n in range(1, 26)]
    assert pages.counted == Totals(25)
    assert client.transactions == 4
    assert pages.expected == 25


def test_pages_of_a_client_within_bounds(intacct):
    served(intacct, Server(range(1, 26)))
    pages = pages_of(intacct.client(page_size=10), above="4", upto="9")
    assert [key for one in pages for key in one.keys] == ["5", "6", "7", "8", "9"]


def test_keys_that_cannot_be_used_are_read_by_position(intacct):
    served(intacct, Server(range(1, 26), sorts="text"))
    pages = pages_of(intacct.client(page_size=10))
    assert sorted(int(key) for one in pages for key in one.keys) == [*range(1, 26)]
    assert pages.by_position


@pytest.mark.parametrize(
    ("answer", "expected", "says"),
    [
        ({"json": {"ia::result": {"ia::error": {"message": "no"}}}}, IntacctValidationError, "no"),
        ({"json": {"ia::result": {}}}, IntacctIncompleteReadError, "has no list of rows"),
        # Rows that are rows, but of a form that cannot be: a key is missing.
        ({"json": {"ia::result": [{"id": "C1"}]}}, IntacctResponseError, "cannot be read"),
    ],
)
def test_answers_that_are_no_pages_raise(intacct, answer, expected, says):
    intacct.on("POST", intacct.query, **answer)
    query = Query.build(CUSTOMER, ["id"])
    with pytest.raises(expected, match=says):
        list(intacct.client().read_pages(query, StructRows(("id",))))


def test_totals_are_exact_and_zero_where_there_is_nothing(intacct):
    row = {"count:key": "3", "sum:a": "12345678901234567.89", "sum:b": 0.1, "sum:c": None}
    intacct.on("POST", intacct.query, json={"ia::result": [row]})
    client = intacct.client()
    totals = client.totals(Query.build(CUSTOMER, ["id"]), "abcd", above="5")
    assert totals == Totals(
        3, {"a": Decimal("12345678901234567.89"), "b": Decimal("0.1"), "c": Decimal(0), "d": Decimal(0)}
    )
    body = intacct.calls(intacct.query)[-1].json()
    assert body["fields"] == ["count:key", "sum:a", "sum:b", "sum:c", "sum:d"]
    assert (body["filters"], body["size"]) == ([{"$gt": {"key": "5"}}], 1)
    assert client.transactions == 1


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ([{"count:key": "x"}], "count of .* is not a number"),
        ([{"count:key": 1, "sum:a": "x"}], "sum of a is not a number"),
    ],
)
def test_totals_that_are_not_numbers_raise(intacct, rows, says):
    intacct.on("POST", intacct.query, json={"ia::result": rows})
    with pytest.raises(IntacctResponseError, match=says):
        intacct.client().totals(Query.build(CUSTOMER, ["id"]), ["a"])


def test_no_row_of_totals_is_a_count_of_none(intacct):
    intacct.on("POST", intacct.query, json={"ia::result": []})
    totals = intacct.client().totals(Query.build(CUSTOMER, ["id"]), ["a"])
    assert totals == Totals(0, {"a": Decimal(0)})


def records(client, *keys):
    return [one for some in client.read_records(CUSTOMER, [Page([], keys=list(keys))]) for one in some]


def gone(status=404):
    return {"ia::result": {"ia::error": {"message": "none"}, "ia::status": status}, "ia::status": status}


def test_whole_records_without_those_that_are_gone(intacct):
    found = [{"ia::result": {"key": "1", "id": "A"}}, gone(), {"ia::result": {"key": "3", "id": "C"}}]
    intacct.on("GET", f"{intacct.customers}/1,2,3", status_code=207, json={"ia::result": found})
    intacct.on("POST", intacct.query, json={"ia::result": []})
    client = intacct.client()
    assert [one["id"] for one in records(client, "1", "2", "3")] == ["A", "C"]
    assert intacct.calls(intacct.query)[-1].json()["filters"] == [{"$in": {"key": ["2"]}}]


def test_one_answer_for_all_of_which_some_are_there(intacct):
    refused = {"status_code": 404, "json": {"ia::result": {"ia::error": {"message": "none"}}}}
    intacct.on("GET", f"{intacct.customers}/1,2,3", **refused)
    intacct.on("GET", f"{intacct.customers}/1,3", json={"ia::result": [{"key": "1"}, {"key": "3"}]})
    both = {"ia::result": [{"key": "1"}, {"key": "3"}], "ia::meta": {"totalCount": 2}}
    intacct.on("POST", intacct.query, json=both)
    assert records(intacct.client(), "1", "2", "3") == [{"key": "1"}, {"key": "3"}]


def test_no_record_that_is_there_is_left_out(intacct):
    refused = {"status_code": 404, "json": {"ia::result": {"ia::error": {"message": "none"}}}}
    intacct.on("GET", f"{intacct.customers}/1", **refused)
    intacct.on("POST", intacct.query, {"json": {"ia::result": [{"key": "1"}]}}, {"json": {"ia::result": []}})
    client = intacct.client()
    with pytest.raises(IntacctIncompleteReadError, match="with key 1, but asked for it by that key"):
        records(client, "1")
    assert records(client, "1") == []


def test_a_single_record_comes_as_itself(intacct):
    intacct.on("GET", f"{intacct.customers}/1", json={"ia::result": {"id": "A"}})
    assert records(intacct.client(), "1") == [{"key": "1", "id": "A"}]


def test_any_other_refusal_raises(intacct):
    found = [{"ia::result": {"key": "1"}}, gone(403)]
    intacct.on("GET", f"{intacct.customers}/1,2", status_code=207, json={"ia::result": found})
    with pytest.raises(IntacctPermissionError):
        records(intacct.client(), "1", "2")


def test_records_of_other_keys_are_not_taken(intacct):
    intacct.on("GET", f"{intacct.customers}/1,2", json={"ia::result": [{"key": "1"}, {"key": "9"}]})
    with pytest.raises(
        IntacctResponseError,
        match=r"with a result for another record \(key 9\); read: index 0; unknown: index 1",
    ):
        records(intacct.client(), "1", "2")
