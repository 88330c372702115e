"""Windows of incremental exports and what is remembered of them: by the server's stamps, forward only, run by run."""

import datetime as dt
import json
from types import SimpleNamespace

import pytest
from airflow.providers.common.compat.sdk import Asset

from intacct_provider.client.query.expressions import field
from intacct_provider.client.query.request import Query
from intacct_provider.exceptions import IntacctArgumentError, IntacctResponseError
from intacct_provider.export.facts import DeletionFacts, FileRef, KeySet, KeySetSummary
from intacct_provider.export.incremental.planning import plan_window
from intacct_provider.export.incremental.state import KEY_SETS, RUNS, ExportState, Run
from intacct_provider.export.incremental.window import Window
from intacct_provider.export.schema.columns import Column
from intacct_provider.hooks.state_store import PREFIX, VariableStore, find_state_store, name_state

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


def keys(number):
    return KeySet(f"/keys/{number}", "0", rows=1)


def deletions(number, file=None):
    gone = DeletionFacts(
        method="keys", rows=1 if file else 0, deleted=0, left=0, keys=KeySetSummary(1, "0"), file=file
    )
    return {"keys": keys(number), "gone": gone}


# --- conditions


def test_both_ends_belong_to_it_and_so_do_records_without_a_stamp():
    query = window(NOON, ONE).narrow(Query.build(CUSTOMER, ["key"]))
    assert query.filters == ({"$gte": {MODIFIED: NOON}}, {"$lte": {MODIFIED: ONE}}, {"$eq": {MODIFIED: None}})
    assert query.expression == "(1 and 2) or 3"


def test_it_narrows_whatever_the_export_filters_already():
    query = Query.build(CUSTOMER, ["key"], filters=(field("status") == "active") | (field("id") == "C1"))
    narrowed = window().narrow(query)
    assert narrowed.filters[2:] == ({"$lte": {MODIFIED: NOON}}, {"$eq": {MODIFIED: None}})
    assert narrowed.expression == "(1 or 2) and (3 or 4)"


def test_where_nothing_has_a_stamp_it_is_what_has_none():
    assert window(upper=None).narrow(Query.build(CUSTOMER, ["key"])).filters == ({"$eq": {MODIFIED: None}},)


# --- what moves on


@pytest.mark.parametrize(
    ("lower", "upper", "mark", "moves"),
    [
        (None, NOON, None, True),
        (None, None, None, False),
        (None, None, NOON, False),
        (NOON, ONE, NOON, True),
        (NOON, NOON, NOON, False),
        (None, ONE, NOON, True),
        (None, NOON, ONE, False),  # a full one of the past
        (ONE, "2026-06-30T14:00:00Z", NOON, False),  # what lies between was never exported
        (NOON, ONE, None, False),  # what lies before is unknown
        ("2026-06-30", "2026-07-01", "2026-06-30", True),
        ("2026-06-30T14:00:00+03:00", "2026-06-30T14:30:00+02:00", NOON, True),  # moments, not text
    ],
)
def test_the_watermark_moves_by_a_window_that_begins_before_it_and_ends_after_it(lower, upper, mark, moves):
    assert window(lower, upper).advances(mark) is moves


def test_a_run_that_was_overtaken_does_not_move_it_back(state, shelf):
    first, second = window(upper=NOON), window(upper=ONE)
    ExportState(shelf, "state").commit("2", window=second, columns=NEW, **deletions(2))
    state.commit("1", window=first, columns=OLD, **deletions(1))
    after = ExportState(shelf, "state")
    assert (after.watermark(MODIFIED), after.columns, after.keys) == (ONE, NEW, keys(2))


def test_a_run_of_the_past_that_is_run_again_moves_nothing(shelf):
    for number, upper in enumerate((NOON, ONE), 1):
        at = window(None if number == 1 else NOON, upper)
        ExportState(shelf, "state").commit(
            str(number), window=at, columns=[Column(str(number), "key", "string")], **deletions(number)
        )
    before = json.loads(shelf["state"])
    again = ExportState(shelf, "state")
    assert again.repeats("1", window(None, NOON))
    again.commit("1", window=window(None, NOON), columns=OLD, **deletions(7))
    after = json.loads(shelf["state"])
    assert {name: after[name] for name in before if name != "runs"} == {
        n: before[n] for n in before if n != "runs"
    }


def test_deletions_are_remembered_although_nothing_changed(state):
    state.commit("1", window=window(), **deletions(1))
    state.commit("2", window=window(NOON, NOON), **deletions(2))
    assert (state.watermark(MODIFIED), state.keys) == (NOON, keys(2))


def test_a_watermark_of_another_field_is_none(state):
    state.commit("1", window=window())
    assert state.watermark("audit.createdDateTime") is None


# --- runs


def test_nothing_is_written_before_it_is_told_to(state, shelf):
    assert state.watermark(MODIFIED) is None
    assert not shelf


def test_a_run_that_began_keeps_its_window_and_leaves_the_watermark(state, shelf):
    state.remember("1", window())
    after = ExportState(shelf, "state")
    assert after.run("1") == Run(field=MODIFIED, upper=NOON)
    assert after.watermark(MODIFIED) is None
    assert not after.repeats("1", window())


def test_the_last_hundred_runs_are_remembered_and_the_files_of_others_can_go(state):
    files = []
    for number in range(RUNS + 3):
        file = FileRef(f"/gone/{number}", "0")
        files += state.commit(str(number), window=window(), **deletions(number, file))
    gone, sets = ([one.path for one in files if one.path.startswith(kind)] for kind in ("/gone", "/keys"))
    assert gone == [f"/gone/{number}" for number in range(3)]
    assert sets == [f"/keys/{number}" for number in range(RUNS + 3 - KEY_SETS)]
    assert state.run("2") is None
    assert state.run("3").done


def test_a_key_set_that_is_written_again_under_its_name_is_not_removed(state):
    for _ in range(KEY_SETS + 2):
        assert state.commit("1", **deletions(1)) == []


@pytest.mark.parametrize("text", ["", "nonsense", "[]", '{"version": 99}'])
def test_a_document_of_something_else_is_an_error_that_names_it(shelf, text):
    shelf["state"] = text
    with pytest.raises(IntacctArgumentError, match=r"^state .* Remove it to export everything again"):
        ExportState(shelf, "state")


def task(dag_id="sales", task_id="export", map_index=-1):
    return {"ti": SimpleNamespace(dag_id=dag_id, task_id=task_id, map_index=map_index)}


@pytest.fixture
def names():
    """Return the name under which a task would keep what."""
    return lambda what=None, **of: name_state(task(**of), what or {})


def test_its_name_tells_the_task_and_differs_with_what_is_exported(names):
    assert names().startswith(f"{PREFIX}sales__export__")
    assert names(map_index=0).startswith(f"{PREFIX}sales__export__0__")
    assert (
        len({names(), names({"object": "a"}), names({"object": "b"}), names(map_index=0), names(map_index=1)})
        == 5
    )
    assert names({"a": 1, "b": dt.date(2026, 6, 30)}) == names({"b": "2026-06-30", "a": 1})


def test_a_long_name_keeps_its_end_and_fits(names):
    long = names(dag_id="d" * 250, task_id="t" * 250)
    assert len(long) == 250
    assert long != names(dag_id="d" * 250, task_id="u" * 250)


def test_it_is_kept_with_an_asset_of_the_task_where_airflow_has_a_store_for_that():
    asset = Asset("customers")
    context = {"asset_state_store": {asset: SimpleNamespace(get=lambda _name: "kept with the asset")}}
    assert find_state_store(context, ["a file", asset]).get("name") == "kept with the asset"
    assert isinstance(find_state_store(context, ["a file"]), VariableStore)
    assert isinstance(find_state_store({}, [asset]), VariableStore)


# --- from the server


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
