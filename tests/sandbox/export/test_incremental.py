"""Incremental exports piece by piece against a company that changes: what a run gets, and what it reports as gone.

The reader keeps a mirror: it takes up the rows of each run and drops what the run reports as gone. After every run the
mirror has to be what Intacct had when the window was made.
"""

import datetime as dt
import random
from dataclasses import replace

import pytest
from airflow.providers.common.compat.sdk import ObjectStoragePath
from msgspec import to_builtins
from sandbox_client import calls, client_of, running

from intacct_provider.client.http.replies import read_server_time
from intacct_provider.client.paging.row_formats import StructRows
from intacct_provider.client.query.expressions import field
from intacct_provider.client.query.request import Query
from intacct_provider.client.reading import queries as queries_module
from intacct_provider.exceptions import IntacctArgumentError, IntacctPermissionError
from intacct_provider.export.deletes.detection import TOMBSTONES, Deletions
from intacct_provider.export.incremental.planning import plan_window
from intacct_provider.export.incremental.state import KEY_SETS, RUNS, ExportState
from intacct_provider.export.incremental.window import Window

AUDIT = "company-config/audit-history"
CUSTOMER = "accounts-receivable/customer"
PURPOSE = "general-ledger/account-group-purpose"
MODIFIED = "audit.modifiedDateTime"
QUERY = "/services/core/query"
FIELDS = ("key", "id", "status", MODIFIED)
ACTIVE = field("status") == "active"
UNSTAMPED = 'UPDATE "general-ledger/account-group-purpose" SET "audit.modifiedDateTime" = NULL'
REMOVED = 'DELETE FROM "general-ledger/account-group-purpose" WHERE "key" = 12'
FORGOTTEN = "DELETE FROM \"ia::history\" WHERE action = 'deleted'"
BEGINNING = dt.datetime(2026, 11, 1, 6, tzinfo=dt.UTC)


class Shelf(dict):
    """A place for documents, as Airflow's are."""

    def set(self, name, text):
        self[name] = text


class Clock:
    """The server's time, which passes when a test says so."""

    now = BEGINNING

    def __call__(self):
        return self.now

    def later(self, **by):
        self.now += dt.timedelta(**by)


class Mirror:
    """One task that exports an object, run by run, and what its reader has made of it."""

    def __init__(self, client, folder, object_name=PURPOSE, detect="keys", filters=None, fields=FIELDS):
        self.client, self.detect = client, detect
        self.query = Query.build(object_name, fields, filters=filters)
        self.shelf = Shelf()
        self.target = ObjectStoragePath(f"file://{folder}/{object_name.rpartition('/')[2]}.jsonl")
        self.folder = folder
        self.records = {}

    def run(self, run_id, *, meanwhile=None, incremental=True, commit=True, earlier=0, **more):
        """Export once; return the rows' keys, the tombstones and the facts.

        :param meanwhile: is called when the window is there and no row is.
        :param earlier: how many pages were written by an earlier attempt.
        """
        state, window = ExportState(self.shelf, "state"), None
        if incremental:
            # Shorter than the hours that pass between most runs of these tests.
            asked = {"lookback": dt.timedelta(minutes=15), **more}
            window = plan_window(self.client, self.query, field=MODIFIED, state=state, run_id=run_id, **asked)
            state.remember(run_id, window)
        query = window.narrow(self.query) if window else self.query
        deletions = Deletions(
            self.client,
            self.query,
            detect=self.detect,
            state=state,
            run_id=run_id,
            target=self.target,
            window=window,
            full_refresh=more.get("full_refresh", False),
        )
        deletions.begin()
        if meanwhile:
            meanwhile()
        rows = []
        for page in self.client.read_pages(query, StructRows(query.fields)):
            rows += [named(query.fields, row) for row in page.rows]
            if earlier:
                earlier -= 1
            else:
                deletions.add(page)
        deletions.find(len(rows))
        for missed in deletions.find_missed():
            for page in self.client.read_pages(missed, StructRows(missed.fields)):
                rows += [named(missed.fields, row) for row in page.rows]
                deletions.add_missed(page)
        deletions.settle(len(rows))
        gone = [named(TOMBSTONES.fields, row) for page in deletions.pages() for row in page.rows]
        if commit:
            deletions.remove_files(
                state.commit(run_id, window=window, keys=deletions.keys, gone=deletions.found)
            )
            self.records |= {row["key"]: row for row in rows}
            for one in gone:
                self.records.pop(one["key"], None)
        deletions.close()
        return {row["key"] for row in rows}, gone, to_builtins(deletions.summary)

    def is_true(self):
        """Whether the reader has what Intacct has."""
        query = self.query
        there = self.client.iter_rows(replace(query, order_by=()))
        return self.records == {row["key"]: row for row in there}


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def sandbox(clock):
    with running(f"{PURPOSE}=40", clock=clock) as company:
        yield company


@pytest.fixture
def client(sandbox):
    with client_of(sandbox) as ours:
        yield ours


@pytest.fixture
def mirror(client, tmp_path):
    return Mirror(client, tmp_path)


def named(fields, row):
    return dict(zip(fields, StructRows.values(row), strict=True))


def change(client, key, status="inactive"):
    client.update(PURPOSE, str(key), {"status": status})


def queries(sandbox, since=0):
    return [call.name for call in calls(sandbox, QUERY)[since:]]


def sql(sandbox, statement):
    """Change the company behind the back of its history."""
    with sandbox.store.transaction() as conn:
        conn.execute(statement)


def tombstones(gone):
    return {one["key"]: one["reason"] for one in gone}


# --- what is in a run


def test_the_first_run_has_everything_and_the_next_what_changed_since(mirror, client, clock):
    assert len(mirror.run("1")[0]) == 40
    clock.later(hours=1)
    change(client, 7)
    new = client.create(PURPOSE, {"id": "New"})["key"]
    clock.later(hours=1)
    assert mirror.run("2")[0] == {"1", "7", new}, "the one that bears the watermark again"
    clock.later(hours=1)
    change(client, 9)
    assert mirror.run("3")[0] == {"7", "9", new}
    assert mirror.is_true()


def test_the_look_back_reads_what_changed_shortly_before_the_last_watermark_again(mirror, client, clock):
    for key in (1, 2, 3):
        clock.later(minutes=10)
        change(client, key)
    mirror.run("1")
    assert mirror.run("2", lookback=dt.timedelta(minutes=10))[0] == {"2", "3"}
    assert mirror.run("3", lookback=dt.timedelta(minutes=10) - dt.timedelta(seconds=1))[0] == {"3"}
    assert mirror.run("4", lookback=dt.timedelta(0))[0] == {"3"}, "others may have changed in the same second"


def test_a_record_that_changes_while_a_run_reads_is_in_the_next_one(mirror, client, clock):
    """It leaves the window, whose end is there before the first row is read, and none is in both or in neither."""
    mirror.run("1")
    clock.later(hours=1)
    for key in (5, 6):
        change(client, key)
    clock.later(hours=1)

    def meanwhile():
        change(client, 6, "active")
        client.create(PURPOSE, {"id": "New"})

    keys, gone, _facts = mirror.run("2", meanwhile=meanwhile)
    assert keys == {"1", "5"}
    assert gone == [], "what left the window is not gone"
    assert mirror.run("3", lookback=dt.timedelta(0))[0] == {"5", "6", "41"}
    assert mirror.is_true()


def test_records_without_a_stamp_are_in_every_run(mirror, sandbox):
    sql(sandbox, UNSTAMPED + ' WHERE "key" IN (3, 4)')
    assert len(mirror.run("1")[0]) == 40
    assert {"3", "4"} < mirror.run("2")[0]
    assert len(mirror.run("2b", lookback=dt.timedelta(0))[0]) == 3
    sql(sandbox, UNSTAMPED)
    assert len(mirror.run("3")[0]) == 40
    assert mirror.is_true()


def test_an_object_without_records_has_no_window_and_the_first_ones_are_in_the_next_run(clock, tmp_path):
    with running(clock=clock) as empty, client_of(empty) as client:
        mirror = Mirror(client, tmp_path)
        assert mirror.run("1", meanwhile=lambda: client.create(PURPOSE, {"id": "Early"}))[0] == set()
        assert ExportState(mirror.shelf, "state").watermark(MODIFIED) is None
        client.create(PURPOSE, {"id": "Late"})
        assert mirror.run("2")[0] == {"1", "2"}
        assert mirror.run("1", commit=False)[0] == set(), "and the first run has none when it is run again"


def test_a_clock_that_runs_wild_changes_nothing(mirror, client, clock):
    """Watermarks are stamps of records; neither this machine's clock nor the server's says how far a run has come."""
    mirror.run("1")
    clock.later(days=300)
    assert ExportState(mirror.shelf, "state").watermark(MODIFIED) < "2026-11-02"
    clock.later(days=-299, hours=1)
    change(client, 8)
    assert mirror.run("2")[0] == {"1", "8"}
    assert mirror.is_true()


def test_a_full_refresh_has_everything_and_the_next_run_goes_on_from_there(mirror, client, clock):
    mirror.run("1")
    clock.later(hours=1)
    change(client, 8)
    assert len(mirror.run("2", full_refresh=True)[0]) == 40
    clock.later(hours=1)
    change(client, 9)
    assert mirror.run("3")[0] == {"8", "9"}


def test_a_failed_run_leaves_everything_to_the_next(mirror, client, clock):
    mirror.run("1")
    clock.later(hours=1)
    change(client, 5)
    client.delete(PURPOSE, "6")
    first = mirror.run("2", commit=False)
    clock.later(hours=1)
    change(client, 7)
    again = mirror.run("2", commit=False)
    assert again[:2] == first[:2], "its retry reads the window that it had"
    keys, gone, _facts = mirror.run("3")
    assert (keys, tombstones(gone)) == ({"1", "5", "7"}, {"6": "deleted"})
    assert mirror.is_true()


def test_a_run_of_the_past_gives_the_same_again_and_the_next_one_misses_nothing(mirror, client, clock):
    mirror.run("1")
    said = {}
    for number in (2, 3, 4):
        clock.later(hours=1)
        change(client, number)
        client.delete(PURPOSE, str(20 + number))
        said[number] = mirror.run(str(number))
    state = dict(mirror.shelf)
    for number in (2, 4, 3):
        assert mirror.run(str(number)) == said[number]
    assert dict(mirror.shelf) == state
    clock.later(hours=1)
    client.delete(PURPOSE, "30")
    keys, gone, _facts = mirror.run("5", lookback=dt.timedelta(0))
    assert (keys, tombstones(gone)) == ({"4"}, {"30": "deleted"})
    assert mirror.is_true()


# --- stamps that are in the future, and clocks that differ


def stamp(sandbox, key, moment):
    sql(sandbox, UNSTAMPED.replace("NULL", f"'{moment}'") + f' WHERE "key" = {key}')


def watermark(mirror):
    return ExportState(mirror.shelf, "state").watermark(MODIFIED)


def test_a_record_from_the_future_is_in_each_run_and_silences_none(mirror, sandbox, client, clock, caplog):
    stamp(sandbox, 5, "2099-12-31T00:00:00Z")
    assert len(mirror.run("1")[0]) == 40
    assert watermark(mirror) == "2026-06-30T15:48:01Z", "the latest change before now"
    for number in (2, 3):
        clock.later(hours=1)
        change(client, number, "inactive")
        with caplog.at_level("INFO"):
            rows = mirror.run(str(number), lookback=dt.timedelta(0))[0]
        assert {"5", str(number)} <= rows
        assert len(rows) == 3
        assert watermark(mirror) == clock.now.strftime("%Y-%m-%dT%H:%M:%SZ")
        assert "2099-12-31T00:00:00Z, is in the future" in caplog.text
    assert mirror.is_true()


def test_where_all_records_are_from_the_future_each_run_has_everything(mirror, sandbox):
    sql(sandbox, UNSTAMPED.replace("NULL", "'2099-12-31T00:00:00Z'"))
    for number in (1, 2):
        assert len(mirror.run(str(number))[0]) == 40
        assert watermark(mirror) is None


@pytest.mark.parametrize("fast", [dt.timedelta(seconds=3), dt.timedelta(hours=13)])
def test_stamps_that_run_fast_lose_nothing_and_come_again_until_the_clock_reaches_them(
    fast, mirror, sandbox, client, clock
):
    """As with clocks that differ by seconds, or times of another zone that do not say so."""

    def change_fast(key):
        clock.later(hours=1)
        change(client, key)
        stamp(sandbox, key, (clock.now + fast).strftime("%Y-%m-%dT%H:%M:%SZ"))

    mirror.run("1")
    for key in range(2, 20):
        change_fast(key)
        assert str(key) in mirror.run(str(key), lookback=dt.timedelta(0))[0]
        assert watermark(mirror) <= clock.now.strftime("%Y-%m-%dT%H:%M:%SZ")
        assert mirror.is_true()


def test_stamps_that_are_hours_slow_lose_nothing_beside_one_from_the_future(
    mirror, sandbox, client, clock, monkeypatch
):
    """The watermark is a stamp of a record, and not the server's time, which is far ahead of all stamps."""
    ahead = dt.timedelta(hours=8)
    monkeypatch.setattr(
        queries_module,
        "read_server_time",
        lambda *_headers: (clock.now + ahead).strftime("%Y-%m-%dT%H:%M:%SZ"),
    )
    stamp(sandbox, 1, "2099-12-31T00:00:00Z")
    mirror.run("1")
    for key in range(2, 9):
        clock.later(hours=1)
        change(client, key)
        assert {"1", str(key)} <= mirror.run(str(key), lookback=dt.timedelta(0))[0]


@pytest.mark.parametrize("deleted", [False, True])
def test_a_watermark_of_an_earlier_release_that_is_in_the_future_is_forgotten(
    deleted, mirror, sandbox, client, clock, caplog
):
    stamp(sandbox, 5, "2099-12-31T00:00:00Z")
    mirror.run("1")
    [text] = mirror.shelf.values()
    mirror.shelf["state"] = text.replace('"2026-06-30T15:48:01Z"', '"2099-12-31T00:00:00Z"').replace(
        ',"future":"2099-12-31T00:00:00Z"', ""
    )
    assert watermark(mirror) == "2099-12-31T00:00:00Z"
    if deleted:
        client.delete(PURPOSE, "5")
    client.delete(PURPOSE, "6")
    clock.later(hours=1)
    change(client, 9)
    rows, gone, _facts = mirror.run("2")
    assert len(rows) == 39 - deleted
    assert set(tombstones(gone)) == ({"5", "6"} if deleted else {"6"})
    assert "Everything is exported again" in caplog.text
    assert "stopped at 2099-12-31T00:00:00Z" in caplog.text
    assert watermark(mirror) == "2026-11-01T07:00:00Z"
    clock.later(hours=1)
    change(client, 10)
    assert mirror.run("3")[0] == ({"9", "10"} if deleted else {"5", "9", "10"})
    assert mirror.is_true()


def test_a_retry_of_a_run_that_an_earlier_release_began_gets_a_new_window(mirror, sandbox, client):
    mirror.run("1")
    ExportState(mirror.shelf, "state").remember(
        "2", Window(MODIFIED, "2099-12-30T23:45:00Z", "2099-12-31T00:00:00Z")
    )
    change(client, 9)
    assert "9" in mirror.run("2")[0]
    assert watermark(mirror) == "2026-11-01T06:00:00Z"


def test_one_date_that_is_wrong_does_not_export_everything_again(mirror, client, clock, monkeypatch):
    mirror.run("1")
    clock.later(hours=1)
    change(client, 9)
    wrong = []

    def read(headers, *more):
        wrong.append(headers)
        return "2001-01-01T00:00:00Z" if headers is wrong[0] else read_server_time(headers, *more)

    monkeypatch.setattr(queries_module, "read_server_time", read)
    assert mirror.run("2", lookback=dt.timedelta(0))[0] == {"1", "9"}


def test_a_server_without_a_date_is_judged_by_this_machines_clock(mirror, sandbox, client, monkeypatch):
    monkeypatch.setattr(queries_module, "read_server_time", lambda *_headers: None)
    stamp(sandbox, 5, "2099-12-31T00:00:00Z")
    mirror.run("1")
    assert watermark(mirror) == "2026-06-30T15:48:01Z"
    change(client, 9)
    assert {"5", "9"} <= mirror.run("2")[0]


def test_an_entry_of_the_history_from_the_future_silences_no_deletion(mirror, sandbox, client, clock):
    mirror.detect = "audit"
    client.delete(PURPOSE, "39")
    sql(sandbox, "UPDATE \"ia::history\" SET moment = '2099-12-31T00:00:00Z' WHERE action = 'deleted'")
    mirror.run("1")
    for number in (2, 3, 4):
        clock.later(hours=10)
        client.delete(PURPOSE, str(number))
        _rows, gone, facts = mirror.run(str(number))
        assert (tombstones(gone), facts["method"]) == ({str(number): "deleted"}, "audit")


# --- what is gone, however it is found


@pytest.mark.parametrize("detect", ["keys", "audit", "auto"])
@pytest.mark.parametrize("object_name", [PURPOSE, CUSTOMER])
def test_a_deleted_record_is_told_once_with_its_id(detect, object_name, sandbox, client, clock, tmp_path):
    """Customers are those that the audit history names by their id."""
    named = {"name": "A customer"} if object_name == CUSTOMER else {}
    keys = [client.create(object_name, {"id": f"A{n}", **named})["key"] for n in range(4)]
    mirror = Mirror(client, tmp_path, object_name, detect)
    assert mirror.run("1")[1:] == ([], mirror.run("1", commit=False)[2])
    clock.later(hours=5)
    client.delete(object_name, keys[1])
    deleted = clock.now.strftime("%Y-%m-%dT%H:%M:%SZ") if detect != "keys" else None
    clock.later(hours=5)
    _rows, gone, facts = mirror.run("2")
    assert gone == [{"key": keys[1], "id": "A1", "reason": "deleted", "deleted_at": deleted}]
    assert (facts["method"], facts["rows"], facts["deleted"]) == (
        "keys" if detect == "keys" else "audit",
        1,
        1,
    )
    _rows, gone, facts = mirror.run("3")
    assert (gone, facts["rows"]) == ([], 0)
    assert mirror.is_true()


@pytest.mark.parametrize("detect", ["keys", "audit"])
def test_a_record_made_again_under_the_old_id_lives_under_its_new_key(detect, client, clock, tmp_path):
    first = client.create(CUSTOMER, {"id": "A", "name": "One"})["key"]
    mirror = Mirror(client, tmp_path, CUSTOMER, detect)
    mirror.run("1")
    clock.later(hours=1)
    client.delete(CUSTOMER, first)
    second = client.create(CUSTOMER, {"id": "A", "name": "Two"})["key"]
    rows, gone, _facts = mirror.run("2")
    assert (rows, tombstones(gone)) == ({second}, {first: "deleted"})
    assert mirror.is_true()


def test_an_id_that_is_anothers_key_tells_of_neither_wrongly(client, clock, tmp_path):
    """The history says that "2" was deleted: the customer with that id, whose key is 1, and not the one with key 2."""
    one = client.create(CUSTOMER, {"id": "2", "name": "One"})["key"]
    two = client.create(CUSTOMER, {"id": "1", "name": "Two"})["key"]
    assert (one, two) == ("1", "2")
    mirror = Mirror(client, tmp_path, CUSTOMER, "audit")
    mirror.run("1")
    client.delete(CUSTOMER, one)
    _rows, gone, facts = mirror.run("2")
    assert (tombstones(gone), facts["method"]) == ({"1": "deleted"}, "audit")
    assert mirror.is_true()


def test_a_history_that_names_records_by_an_id_that_is_not_read_is_not_trusted(client, clock, tmp_path):
    keys = [client.create(CUSTOMER, {"id": f"A{n}", "name": "A"})["key"] for n in range(3)]
    mirror = Mirror(client, tmp_path, CUSTOMER, "audit", fields=("key", MODIFIED))
    mirror.run("1")
    client.delete(CUSTOMER, keys[0])
    _rows, gone, facts = mirror.run("2")
    assert (tombstones(gone), facts["method"]) == ({keys[0]: "deleted"}, "keys")


@pytest.mark.parametrize("behind", [FORGOTTEN, REMOVED])
def test_what_the_history_does_not_know_is_found_all_the_same(behind, sandbox, mirror, client, clock, caplog):
    """An object that it does not track, an entry that comes hours later, or a record that went without a trace."""
    mirror.detect = "auto"
    mirror.run("1")
    clock.later(hours=1)
    client.delete(PURPOSE, "11")
    sql(sandbox, behind)
    _rows, gone, facts = mirror.run("2")
    assert set(tombstones(gone)) == ({"11"} if behind == FORGOTTEN else {"11", "12"})
    assert facts["method"] == "keys"
    [logged] = [one.getMessage() for one in caplog.records if "comparing keys" in one.getMessage()]
    assert PURPOSE in logged
    assert "the audit history does not account for every record that is gone" in logged
    assert mirror.is_true()


@pytest.mark.parametrize("from_run", [1, 2])
def test_auto_compares_keys_where_the_user_may_not_read_the_history(
    from_run, sandbox, mirror, client, caplog
):
    mirror.detect = "auto"
    for number in (1, 2):
        if number == from_run:
            sandbox.faults.denied = [AUDIT]
        _rows, gone, facts = mirror.run(str(number))
        client.delete(PURPOSE, str(20 + number))
    assert (tombstones(gone), facts["method"]) == ({"21": "deleted"}, "keys")
    logged = [one.getMessage() for one in caplog.records if "comparing keys" in one.getMessage()]
    assert len(logged) == 3 - from_run
    assert all("may not see company-config/audit-history" in one for one in logged)
    sandbox.faults.denied = []
    _rows, gone, facts = mirror.run("3")
    assert (tombstones(gone), facts["method"]) == ({"22": "deleted"}, "audit")


def test_audit_fails_where_the_user_may_not_read_the_history_before_a_row_is_read(sandbox, mirror):
    mirror.detect = "audit"
    sandbox.faults.denied = [AUDIT]
    with pytest.raises(IntacctPermissionError):
        mirror.run("1")
    assert queries(sandbox) == [PURPOSE, "services/core/query"]


def test_the_history_costs_a_few_calls_however_many_records_there_are(sandbox, tmp_path):
    sandbox.seed(f"{PURPOSE}=900")
    with client_of(sandbox, page_size=100) as client:
        mirror = Mirror(client, tmp_path, detect="audit")
        mirror.run("1")
        client.delete(PURPOSE, "500")
        before = len(queries(sandbox))
        _rows, gone, _facts = mirror.run("2")
    assert tombstones(gone) == {"500": "deleted"}
    # The latest change and the rows; the deletions, whether it is gone, asked twice, and how many are left.
    assert queries(sandbox, before) == [PURPOSE, PURPOSE, AUDIT, PURPOSE, PURPOSE, PURPOSE]


def test_a_full_export_knows_its_keys_and_pays_for_none(sandbox, mirror, client, clock):
    mirror.run("1")
    assert queries(sandbox) == [PURPOSE, PURPOSE], "the latest change and the rows"
    client.delete(PURPOSE, "5")
    before = len(queries(sandbox))
    _rows, gone, facts = mirror.run("2", full_refresh=True)
    assert (tombstones(gone), facts["method"]) == ({"5": "deleted"}, "rows")
    assert queries(sandbox, before) == [PURPOSE] * 4, "and twice whether what is not among them is gone"


@pytest.mark.parametrize("detect", ["keys", "audit"])
def test_exports_that_are_full_each_time_tell_too(detect, mirror, client, clock):
    mirror.detect = detect
    for number in range(1, 4):
        clock.later(hours=1)
        rows, gone, facts = mirror.run(str(number), incremental=False)
        assert len(rows) == 41 - number
        assert set(tombstones(gone)) == ({str(number - 1)} if number > 1 else set())
        assert all((one["deleted_at"] is not None) is (detect == "audit") for one in gone)
        assert facts["method"] == "rows"
        client.delete(PURPOSE, str(number))


def test_keys_that_an_earlier_attempt_wrote_are_read_again(sandbox, tmp_path):
    with client_of(sandbox, page_size=10) as client:
        mirror = Mirror(client, tmp_path)
        facts = mirror.run("1", earlier=2)[2]
        other = Mirror(client, tmp_path)
        assert other.run("1")[2] == facts, "the same keys, in the same bytes"
        client.delete(PURPOSE, "1")
        assert tombstones(mirror.run("2")[1]) == {"1": "deleted"}


def test_detection_that_begins_later_compares_with_what_is_there_then(sandbox, mirror, client, clock):
    state = ExportState(mirror.shelf, "state")
    state.commit("0", window=plan_window(client, mirror.query, field=MODIFIED, state=state, run_id="0"))
    client.delete(PURPOSE, "3")
    assert mirror.run("1", lookback=dt.timedelta(0))[1] == [], "nobody knows what there was"
    client.delete(PURPOSE, "4")
    assert tombstones(mirror.run("2")[1]) == {"4": "deleted"}


# --- filters


def test_what_left_the_filters_is_told_apart_from_what_was_deleted(client, clock, tmp_path):
    mirror = Mirror(client, tmp_path, filters=ACTIVE, detect="auto")
    mirror.run("1")
    some = sorted(mirror.records, key=int)
    clock.later(hours=1)
    change(client, some[0])
    client.delete(PURPOSE, some[1])
    _rows, gone, facts = mirror.run("2")
    assert tombstones(gone) == {some[0]: "left", some[1]: "deleted"}
    assert (facts["deleted"], facts["left"]) == (1, 1)
    assert mirror.is_true()
    clock.later(hours=1)
    change(client, some[0], "active")
    assert mirror.run("3")[0] == {some[0]}, "and it comes back"
    assert mirror.is_true()


def test_the_history_is_refused_for_an_export_with_filters(client, tmp_path):
    with pytest.raises(
        IntacctArgumentError, match=r"detect_deletes='audit' and filters do not go together.*'keys'"
    ):
        Mirror(client, tmp_path, filters=ACTIVE, detect="audit").run("1")


# --- what no export had


def enter(sandbox, key, status="active"):
    """Let a record meet the filters, or no longer, without a change of its own that its stamp would show."""
    sql(
        sandbox,
        UNSTAMPED.replace(f'"{MODIFIED}" = NULL', f"\"status\" = '{status}'") + f' WHERE "key" = {key}',
    )


def test_a_record_that_appears_later_than_the_look_back_is_exported_when_its_key_is_met(
    mirror, sandbox, client, clock
):
    mirror.run("1")
    clock.later(hours=1)
    change(client, 9)
    late = client.create(PURPOSE, {"id": "Late"})["key"]
    stamp(sandbox, late, "2026-01-01T00:00:00Z")
    rows, gone, facts = mirror.run("2", lookback=dt.timedelta(0))
    assert rows == {"1", "9", late}
    assert (gone, facts["method"], facts["missed"]) == ([], "keys", 1)
    assert mirror.is_true()
    clock.later(hours=1)
    client.delete(PURPOSE, late)
    rows, gone, facts = mirror.run("3", lookback=dt.timedelta(0))
    assert (rows, tombstones(gone)) == ({"9"}, {late: "deleted"})
    assert "missed" not in facts


def test_a_record_that_enters_the_filters_by_no_change_of_its_own_is_exported(
    sandbox, client, clock, tmp_path
):
    mirror = Mirror(client, tmp_path, filters=ACTIVE, detect="auto")
    mirror.run("1")
    # Not one that changed last, which is in any window.
    stamped = client.iter_rows(PURPOSE, ["key", MODIFIED], filters=ACTIVE)
    early = min(stamped, key=lambda row: row[MODIFIED])["key"]
    for _ in range(2):
        enter(sandbox, early, "inactive")
        rows, gone, facts = mirror.run("out", lookback=dt.timedelta(0))
        assert tombstones(gone) == {early: "left"}
        enter(sandbox, early)
        rows, gone, facts = mirror.run("in", lookback=dt.timedelta(0))
        assert early in rows
        assert (gone, facts["missed"]) == ([], 1)
        assert mirror.is_true()
        mirror.shelf["state"] = (
            mirror.shelf["state"].replace('"in":', '"in, once":').replace('"out":', '"o":')
        )


def test_a_run_of_the_past_has_what_it_caught_up_on_again(mirror, sandbox, client, clock):
    mirror.run("1")
    late = client.create(PURPOSE, {"id": "Late"})["key"]
    stamp(sandbox, late, "2026-01-01T00:00:00Z")
    said = mirror.run("2")
    assert late in said[0]
    clock.later(hours=1)
    mirror.run("3")
    before = len(queries(sandbox))
    assert mirror.run("2") == said
    assert queries(sandbox, before) == [PURPOSE] * 2, "the window and what it had missed"


def test_a_record_that_comes_while_the_keys_are_compared_is_left_to_the_next_window(mirror, client, clock):
    mirror.run("1")
    clock.later(hours=1)
    rows, _gone, facts = mirror.run("2", meanwhile=lambda: client.create(PURPOSE, {"id": "New"}))
    assert ("41" in rows, "missed" in facts) == (False, False)
    assert "41" in mirror.run("3")[0]
    assert mirror.is_true()


def test_many_that_come_while_the_keys_are_compared_cost_one_call(
    mirror, sandbox, client, clock, monkeypatch
):
    """Asked for by key, each of them would cost its share of two calls that answer nothing."""
    monkeypatch.setattr("intacct_provider.export.deletes.detection.BATCH_SIZE", 5)
    mirror.run("1")
    clock.later(hours=1)

    def come():
        clock.later(minutes=1)
        for number in range(23):
            client.create(PURPOSE, {"id": f"New {number}"})
        stamp(sandbox, client.create(PURPOSE, {"id": "Late"})["key"], "2026-01-01T00:00:00Z")
        asked.append(len(queries(sandbox)))

    asked: list[int] = []
    rows, _gone, facts = mirror.run("2", meanwhile=come)
    assert ("64" in rows, facts["missed"]) == (True, 1)
    window, keys, newer, missed = 1, 1, 1, 1
    assert queries(sandbox, asked[0]) == [PURPOSE] * (window + keys + newer + missed)
    clock.later(hours=1)
    assert set(map(str, range(41, 64))) <= mirror.run("3")[0]
    assert mirror.is_true()


def test_files_of_what_was_caught_up_on_are_removed_with_their_run(mirror, sandbox, client, tmp_path):
    mirror.run("1")
    for number in range(2, RUNS + 4):
        if number in (2, RUNS):
            late = client.create(PURPOSE, {"id": f"Late {number}"})["key"]
            stamp(sandbox, late, "2026-01-01T00:00:00Z")
        mirror.run(str(number))
    assert len([*tmp_path.glob(".*.missed.*")]) == 1


def test_a_record_that_is_deleted_between_two_questions_has_not_left_the_filters(
    client, tmp_path, clock, monkeypatch
):
    mirror = Mirror(client, tmp_path, filters=ACTIVE, detect="keys")
    mirror.run("1")
    key = min(mirror.records, key=int)
    change(client, key)
    select, asked = Deletions._select, []

    def select_and_delete(deletions, query, keys):
        found = select(deletions, query, keys)
        asked.append(keys)
        if len(asked) == 1:
            client.delete(PURPOSE, key)
        return found

    monkeypatch.setattr(Deletions, "_select", select_and_delete)
    assert tombstones(mirror.run("2")[1]) == {key: "deleted"}


# --- keys that were left


def test_the_files_of_keys_are_few_hidden_and_equal_for_equal_records(mirror, client, clock, tmp_path):
    for number in range(KEY_SETS + 4):
        clock.later(hours=1)
        mirror.run(str(number))
    files = sorted(path.name for path in tmp_path.iterdir())
    assert len(files) == KEY_SETS
    assert all(name.startswith(".account-group-purpose.jsonl.keys.") for name in files)
    assert len({(tmp_path / name).read_bytes() for name in files}) == 1


def test_lost_keys_are_an_error_and_a_full_refresh_begins_anew(mirror, client, tmp_path, caplog):
    mirror.run("1")
    for path in tmp_path.iterdir():
        path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(
        IntacctArgumentError, match=r"Without it, deletions since then are unknown.* full_refresh=True"
    ):
        mirror.run("2")
    assert mirror.run("3", full_refresh=True)[1] == []
    assert "deletions since then are unknown" in caplog.text
    client.delete(PURPOSE, "9")
    assert tombstones(mirror.run("4")[1]) == {"9": "deleted"}


@pytest.mark.parametrize("faults", [{"text_keys": True}, {"max_size": 7, "clamp": True}, {"unordered": True}])
def test_a_server_with_habits_tells_the_same(faults, sandbox, tmp_path):
    sandbox.faults = faults
    with client_of(sandbox, page_size=10) as client:
        for detect in ("keys", "auto"):
            mirror = Mirror(client, tmp_path, detect=detect)
            mirror.run("1")
            for key in ("9", "10", "33") if detect == "keys" else ("8", "20"):
                client.delete(PURPOSE, key)
            wanted = {"9", "10", "33"} if detect == "keys" else {"8", "20"}
            assert set(tombstones(mirror.run("2")[1])) == wanted


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize(("detect", "filters"), [("keys", None), ("auto", None), ("auto", ACTIVE)])
def test_a_mirror_is_true_after_every_run_whatever_happens_between(
    seed, detect, filters, sandbox, client, clock, tmp_path
):
    choice = random.Random(seed)
    mirror = Mirror(client, tmp_path, detect=detect, filters=filters)
    alive = [str(key) for key in range(1, 41)]

    def live():
        for _ in range(choice.randrange(4)):
            clock.later(seconds=choice.choice((0, 1, 600, 7200)))
            what = choice.random()
            if detect == "keys" and what < 0.1:
                alive.append(client.create(PURPOSE, {"id": f"Late {len(alive)} {choice.random()}"})["key"])
                stamp(sandbox, alive[-1], choice.choice(("2026-01-01T00:00:00Z", "2099-01-01T00:00:00Z")))
                continue
            if what < 0.3:
                alive.append(client.create(PURPOSE, {"id": f"New {len(alive)} {choice.random()}"})["key"])
            elif what < 0.6:
                client.delete(PURPOSE, alive.pop(choice.randrange(len(alive))))
            else:
                change(client, choice.choice(alive), choice.choice(("active", "inactive")))

    for number in range(6):
        live()
        mirror.run(str(number), meanwhile=live, full_refresh=choice.random() < 0.15)
        live()
        if choice.random() < 0.3:
            mirror.run(f"{number} failed", commit=False)
    clock.later(hours=1)
    mirror.run("last")
    assert mirror.is_true()
