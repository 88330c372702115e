"""Windows planned from the server's own timestamps and what is remembered, and fields that cannot be used for it."""

import datetime as dt

import pytest

from intacct_provider.client.query.expressions import field
from intacct_provider.client.query.request import Query
from intacct_provider.exceptions import IntacctArgumentError, IntacctResponseError
from intacct_provider.export.incremental.planning import plan_window
from intacct_provider.export.incremental.state import ExportState
from intacct_provider.export.incremental.window import Window
from intacct_provider.export.schema.columns import Column

CUSTOMER = "accounts-receivable/customer"
MODIFIED = "audit.modifiedDateTime"
NOON, ONE = "2026-06-30T12:00:00Z", "2026-06-30T13:00:00Z"
OLD, NEW = (Column("old", "key", "string"),), (Column("new", "key", "string"),)
STAMP = {"type": "string", "format": "date-time"}


class Shelf(dict):
    """A place for documents, as Airflow's are."""

    def set(self, name, text):
        self[name] = text


@pytest.fixture
def shelf():
    return Shelf()


@pytest.fixture
def state(shelf):
    return ExportState(shelf, "state")


def window(lower=None, upper=NOON, name=MODIFIED):
    return Window(name, lower, upper)


@pytest.fixture
def client(intacct):
    """A client of an object with two stamps, a date, and a list and a number of the same kind of name."""
    fields = {
        "key": {"type": "string"},
        "totalDue": {"type": "string", "format": "decimal-precision-2"},
        "lastInvoiceCreatedDate": {"type": "string", "format": "date"},
        "secretDate": {"type": "string", "format": "date", "writeOnly": True},
    }
    audit = {
        "fields": {"modifiedDateTime": STAMP, "createdDateTime": STAMP},
        "groups": [],
        "refs": [],
        "lists": [],
    }
    model = {
        "fields": fields,
        "groups": {"audit": audit},
        "refs": [],
        "lists": {"contactList": {"type": "string"}},
    }
    intacct.on("GET", intacct.model, json={"ia::result": model})
    return intacct.client()


def latest(intacct, value, name=MODIFIED):
    rows = [] if value is None else [{"key": "7", name: value}]
    meta = {"totalCount": len(rows), "start": 1, "pageSize": 1, "next": None, "previous": None}
    intacct.on("POST", intacct.query, json={"ia::result": rows, "ia::meta": meta})


def made(client, state, run_id="run", name=MODIFIED, **more):
    return plan_window(client, Query.build(CUSTOMER, ["key"]), field=name, state=state, run_id=run_id, **more)


@pytest.mark.parametrize(
    ("name", "mark", "lookback", "lower"),
    [
        (MODIFIED, NOON, dt.timedelta(minutes=15), "2026-06-30T11:45:00Z"),
        (MODIFIED, NOON, dt.timedelta(0), NOON),
        (MODIFIED, "2026-06-30T14:00:00+02:00", dt.timedelta(hours=1), "2026-06-30T11:00:00Z"),
        (MODIFIED, NOON, dt.timedelta(days=10**6), "0001-01-01T00:00:00Z"),
        ("lastInvoiceCreatedDate", "2026-06-30", dt.timedelta(minutes=15), "2026-06-29"),
        ("lastInvoiceCreatedDate", "2026-06-30", dt.timedelta(0), "2026-06-30"),
    ],
)
def test_it_begins_at_the_watermark_less_the_look_back(client, intacct, state, name, mark, lookback, lower):
    state.commit("before", window=Window(name, None, mark))
    latest(intacct, "2026-07-02" if len(mark) == 10 else "2026-07-02T00:00:00Z", name)
    assert made(client, state, name=name, lookback=lookback).lower == lower


def test_the_first_one_and_a_full_refresh_begin_at_the_beginning(client, intacct, state):
    latest(intacct, ONE)
    assert made(client, state) == window(None, ONE)
    state.commit("before", window=window())
    assert made(client, state, full_refresh=True) == window(None, ONE)


def test_it_ends_at_the_latest_stamp_that_intacct_has(client, intacct, state):
    latest(intacct, ONE)
    query = Query.build(CUSTOMER, ["key"], filters=field("status") == "active")
    plan_window(client, query, field=MODIFIED, state=state, run_id="run")
    asked = intacct.calls(intacct.query)[-1].json()
    assert asked["orderBy"] == [{MODIFIED: "desc"}]
    assert asked["size"] == 1
    assert asked["filters"] == [{"$eq": {"status": "active"}}, {"$ne": {MODIFIED: None}}]


def test_it_does_not_go_back_when_the_latest_records_were_deleted(client, intacct, state):
    state.commit("before", window=window(upper=ONE))
    for left in (NOON, None):
        latest(intacct, left)
        assert made(client, state).upper == ONE


def test_a_retry_and_a_cleared_run_get_the_window_that_the_run_had(client, intacct, state):
    latest(intacct, NOON)
    first = made(client, state, "1")
    state.remember("1", first)
    latest(intacct, ONE)
    assert made(client, state, "1") == first
    state.commit("1", window=first)
    second = made(client, state, "2", lookback=dt.timedelta(0))
    state.commit("2", window=second)
    calls = len(intacct.calls(intacct.query))
    assert [made(client, state, one) for one in "12"] == [first, second]
    assert len(intacct.calls(intacct.query)) == calls, "what is known is not asked again"
    assert made(client, state, "2", full_refresh=True).lower is None


def test_a_stamp_that_is_none_is_an_error_and_no_window(client, intacct, state):
    latest(intacct, "yesterday")
    with pytest.raises(IntacctResponseError, match=f"largest {MODIFIED} .* neither a date nor"):
        made(client, state)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("audit.modifiedDatetime", "has no such field. Did you mean 'audit.modifiedDateTime'"),
        ("whenModified", "has no such field"),
        ("totalDue", "has 'totalDue' as string"),
        ("contactList", "has 'contactList' as a list"),
        ("secretDate", "has 'secretDate' as a write-only field"),
        (7, "incremental=7 .* has no such field"),
    ],
)
def test_a_field_that_cannot_tell_is_refused_with_those_that_can_and_nothing_is_queried(
    client, intacct, state, name, words
):
    with pytest.raises(IntacctArgumentError, match=words) as caught:
        made(client, state, name=name)
    having = "Its dates and times: audit.modifiedDateTime, audit.createdDateTime, lastInvoiceCreatedDate."
    assert having in str(caught.value)
    assert CUSTOMER in str(caught.value)
    assert intacct.calls(intacct.query) == []


def test_an_object_without_any_is_told_to_do_without(intacct, state):
    model = {"fields": {"key": {"type": "string"}}, "groups": [], "refs": [], "lists": []}
    intacct.on("GET", intacct.model, json={"ia::result": model})
    with pytest.raises(IntacctArgumentError, match=r"has no date or time at all. Leave incremental out"):
        made(intacct.client(), state)
