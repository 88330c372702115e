"""Incremental exports to files through the operator: rows, tombstones, manifest and what is remembered, run by run."""

import datetime as dt
import gzip
import json
from decimal import Decimal
from types import SimpleNamespace

import duckdb
import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, Asset
from airflow_parts import AssetShelves
from sandbox_client import calls, client_of, running
from sql_tables import Database

from intacct_provider.exceptions import IntacctServerError
from intacct_provider.transfers.intacct_to_object_storage import IntacctToObjectStorageOperator
from intacct_provider.transfers.intacct_to_sql import IntacctToSqlOperator

CUSTOMER = "accounts-receivable/customer"
PURPOSE = "general-ledger/account-group-purpose"
MODIFIED = "audit.modifiedDateTime"
QUERY = "/services/core/query"
PURPOSES = Asset("purposes")
#: For longer than a client waits.
DOWN = {"status": 503, "times": 0, "path": QUERY, "headers": {"Retry-After": "1000"}}


class Clock:
    """The server's time, which passes when a test says so."""

    now = dt.datetime(2026, 11, 1, 6, tzinfo=dt.UTC)

    def __call__(self):
        return self.now

    def later(self, **by):
        self.now += dt.timedelta(**by)


class Shelf(dict):
    """What Airflow keeps with an asset."""

    def set(self, name, text):
        self[name] = text


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def sandbox(clock, monkeypatch):
    with running(f"{PURPOSE}=300", clock=clock) as company:
        monkeypatch.setenv("AIRFLOW_CONN_INTACCT_DEFAULT", company.connection(page_size=100))
        yield company


@pytest.fixture
def client(sandbox):
    with client_of(sandbox) as ours:
        yield ours


@pytest.fixture
def shelf():
    return Shelf()


@pytest.fixture
def export(sandbox, tmp_path, shelf):
    """Return a function that runs the task in one run of its DAG."""

    def run(run_id, max_tries=0, **arguments):
        given = {
            "object_name": PURPOSE,
            "fields": ["key", "id", "status", MODIFIED],
            "incremental": MODIFIED,
            "detect_deletes": "auto",
            "destination": str(tmp_path / "purposes.jsonl"),
            "lookback": dt.timedelta(0),
            **arguments,
        }
        task = SimpleNamespace(
            dag_id="sales", task_id="export", run_id=run_id, map_index=-1, max_tries=max_tries, try_number=1
        )
        context = {"ti": task, "run_id": run_id, "asset_state_store": AssetShelves(PURPOSES, shelf)}
        return IntacctToObjectStorageOperator(task_id="export", outlets=[PURPOSES], **given).execute(context)

    return run


@pytest.fixture
def files(tmp_path):
    """Return a function for the content of all files that a reader sees; manifests without what differs by run."""

    def seen():
        found = {path.name: path.read_bytes() for path in tmp_path.iterdir() if not path.name.startswith(".")}
        for name in found:
            if name.endswith(".manifest.json"):
                found[name] = {part: fact for part, fact in json.loads(found[name]).items() if part != "run"}
        return found

    return seen


def rows(content):
    return [json.loads(line) for line in content.splitlines()]


def keys(content):
    return {row["key"] for row in rows(content)}


def test_runs_have_rows_tombstones_and_a_manifest_that_tells_of_both(export, files, client, clock):
    first = export("1")
    assert (first["rows"], first["watermark"], first["deleted"]) == (300, "2026-06-30T15:48:01Z", 0)
    clock.later(hours=1)
    client.update(PURPOSE, "7", {"status": "inactive"})
    client.delete(PURPOSE, "8")
    second = export("2")
    assert (second["rows"], second["watermark"], second["deleted"]) == (2, "2026-11-01T07:00:00Z", 1)
    seen = files()
    assert keys(seen["purposes.jsonl"]) == {"1", "7"}
    assert rows(seen["purposes.deleted.jsonl"]) == [
        {"key": "8", "id": "Purpose 00008", "reason": "deleted", "deleted_at": "2026-11-01T07:00:00Z"}
    ]
    manifest = seen["purposes.jsonl.manifest.json"]
    assert manifest["window"] == {
        "field": MODIFIED,
        "lower": first["watermark"],
        "upper": second["watermark"],
    }
    deletions = manifest["deletions"]
    assert (deletions["method"], deletions["rows"], deletions["deleted"], deletions["left"]) == (
        "audit",
        1,
        1,
        0,
    )
    assert [part["name"] for part in deletions["parts"]] == ["purposes.deleted.jsonl"]


def test_any_run_of_the_past_gives_the_same_files_again(export, files, client, clock, shelf):
    said = {}
    for number in range(1, 5):
        export(str(number))
        said[number] = files()
        clock.later(hours=1)
        client.update(PURPOSE, str(number), {"status": "inactive"})
        client.delete(PURPOSE, str(100 + number))
    state = dict(shelf)
    # A record that was changed since is not as it was, and leaves the run: 1 and 2 were changed after the first two.
    for number in (4, 3):
        export(str(number), max_tries=1)
        assert files() == said[number]
    assert dict(shelf) == state
    assert export("5")["deleted"] == 1


def test_a_retry_continues_the_window_that_the_first_try_had(export, files, sandbox, client, clock, tmp_path):
    """Whatever changes between the attempts: the result is that of one attempt, and what changed is in the next run."""
    sandbox.fail(**DOWN, skip=2)
    with pytest.raises(IntacctServerError):
        export("1", rows_per_part=100)
    sandbox.faults = {}
    clock.later(hours=1)
    client.update(PURPOSE, "299", {"status": "inactive"})
    result = export("1", rows_per_part=100)
    assert (result["rows"], result["watermark"]) == (299, "2026-06-30T15:48:01Z")
    assert export("2")["rows"] == 2
    assert keys(files()["purposes.jsonl"]) == {"1", "299"}


def test_nothing_is_remembered_of_a_run_without_a_manifest_but_its_window(export, sandbox, shelf):
    sandbox.fail(**DOWN, skip=1)
    with pytest.raises(IntacctServerError):
        export("1")
    [document] = map(json.loads, shelf.values())
    assert set(document) == {"version", "runs"}
    assert document["runs"]["1"]["done"] is False


def test_a_full_refresh_has_everything(export, client, clock):
    export("1")
    clock.later(hours=1)
    client.delete(PURPOSE, "8")
    result = export("2", full_refresh="True")
    assert (result["rows"], result["deleted"]) == (299, 1)


@pytest.mark.parametrize(
    ("form", "name", "read"),
    [
        ({"file_format": "csv"}, "p.csv", "SELECT * FROM read_csv(?, header=true, all_varchar=true)"),
        (
            {"file_format": "parquet"},
            "p.parquet",
            "SELECT key, id, reason, deleted_at::VARCHAR FROM read_parquet(?)",
        ),
        ({"compression": "gzip"}, "p.jsonl.gz", None),
    ],
)
def test_tombstones_have_the_format_of_the_export(form, name, read, export, client, clock, tmp_path):
    to = {"destination": str(tmp_path / name), "detect_deletes": "keys", **form}
    export("1", **to)
    client.delete(PURPOSE, "8")
    export("2", **to)
    tombstones = str(tmp_path / name.replace("p.", "p.deleted."))
    if read is None:
        with gzip.open(tombstones) as file:
            assert keys(file.read()) == {"8"}
    else:
        assert duckdb.connect().execute(read, [tombstones]).fetchall() == [
            ("8", "Purpose 00008", "deleted", None)
        ]


# --- records that no export had


def enter(sandbox, *keys, status="active"):
    """Let records meet the filters, or no longer, without a change of their own that their stamps would show."""
    with sandbox.store.transaction() as conn:
        for key in keys:
            conn.execute(
                'UPDATE "general-ledger/account-group-purpose" SET "status" = ? WHERE "key" = ?',
                [status, key],
            )


@pytest.fixture
def entering(sandbox, client, clock):
    """Return arguments of an export of active records, and a function that lets two enter while others change."""
    enter(sandbox, *range(1, 301))
    enter(sandbox, 150, 160, status="inactive")

    def work():
        clock.later(hours=1)
        for key in (100, 200, 280):
            client.update(PURPOSE, str(key), {"status": "active"})
        enter(sandbox, 150, 160)

    return {"filters": [{"$eq": {"status": "active"}}], "detect_deletes": "keys"}, work


#: The record that bears the watermark, those that changed, and those that entered.
EXPECTED = ["1", "100", "150", "160", "200", "280"]


@pytest.mark.parametrize(
    ("form", "name", "query"),
    [
        ({}, "p.jsonl", None),
        ({"compression": "gzip"}, "p.jsonl.gz", None),
        ({"rows_per_part": 2}, "p.jsonl", None),
        ({"file_format": "csv"}, "p.csv", "SELECT key FROM read_csv(?, header=true, all_varchar=true)"),
        ({"file_format": "parquet"}, "p.parquet", "SELECT key FROM read_parquet(?)"),
        ({"detail": True, "fields": None}, "p.jsonl", None),
    ],
)
def test_records_that_no_export_had_are_in_their_places(
    form, name, query, export, entering, tmp_path, capsys
):
    arguments, work = entering
    arguments = arguments | form | {"destination": str(tmp_path / name)}
    assert export("1", **arguments)["rows"] == 298
    work()
    result = export("2", **arguments)
    manifest = json.loads((tmp_path / f"{name}.manifest.json").read_text())
    found = []
    for part in manifest["parts"]:
        file = tmp_path / part["name"]
        if query:
            found += [key for (key,) in duckdb.connect().execute(query, [str(file)]).fetchall()]
        else:
            content = file.read_bytes()
            found += [
                row["key"] for row in rows(gzip.decompress(content) if name.endswith("gz") else content)
            ]
    assert found == EXPECTED
    assert result["rows"] == manifest["rows"] == manifest["completeness"]["rows"] == 6
    assert (manifest["completeness"]["result"], manifest["completeness"]["counted"]) == ("equal", 6)
    assert (manifest["deletions"]["missed"], manifest["deletions"]["method"]) == (2, "keys")
    assert (manifest["first_key"], manifest["last_key"]) == ("1", "280")
    assert "missed_file" not in manifest["deletions"]
    assert "2 records that no export had" in capsys.readouterr().out
    assert export("3", **arguments)["rows"] == 3


def test_control_totals_have_the_records_that_no_export_had(monkeypatch, clock, shelf, tmp_path):
    with running(clock=clock) as company, client_of(company) as client:
        monkeypatch.setenv("AIRFLOW_CONN_INTACCT_DEFAULT", company.connection(page_size=100))
        for n in range(1, 9):
            clock.later(hours=1)
            client.create(CUSTOMER, {"id": f"C{n}", "name": f"C{n}", "creditLimit": n, "status": "active"})
        with company.store.transaction() as conn:
            conn.execute(f'UPDATE "{CUSTOMER}" SET "status" = \'inactive\' WHERE "key" = 5')  # noqa: S608

        def export(run_id):
            clock.later(hours=1)
            task = SimpleNamespace(
                dag_id="sales", task_id="export", run_id=run_id, map_index=-1, max_tries=0, try_number=1
            )
            IntacctToObjectStorageOperator(
                task_id="export",
                outlets=[PURPOSES],
                object_name=CUSTOMER,
                fields=["key", "creditLimit"],
                filters=[{"$eq": {"status": "active"}}],
                incremental=MODIFIED,
                detect_deletes="keys",
                control_totals=["creditLimit"],
                lookback=dt.timedelta(0),
                destination=str(tmp_path / "c.jsonl"),
            ).execute({"ti": task, "run_id": run_id, "asset_state_store": AssetShelves(PURPOSES, shelf)})
            return json.loads((tmp_path / "c.jsonl.manifest.json").read_text())["completeness"]

        export("1")
        client.update(CUSTOMER, "7", {"creditLimit": 70})
        with company.store.transaction() as conn:
            conn.execute(f'UPDATE "{CUSTOMER}" SET "status" = \'active\' WHERE "key" = 5')  # noqa: S608
        found = export("2")
    assert keys((tmp_path / "c.jsonl").read_bytes()) >= {"5", "7"}
    total = sum(row["creditLimit"] for row in rows((tmp_path / "c.jsonl").read_bytes()))
    assert Decimal(found["control_totals"]["creditLimit"]) == total
    assert "control_totals_result" not in found


def test_records_that_no_export_had_are_merged_into_a_table(
    entering, sandbox, shelf, tmp_path, monkeypatch, client, clock
):
    database = Database("sqlite", tmp_path, monkeypatch)
    arguments, work = entering

    def load(run_id):
        task = SimpleNamespace(
            dag_id="sales", task_id="load", run_id=run_id, map_index=-1, max_tries=0, try_number=1
        )
        return IntacctToSqlOperator(
            task_id="load",
            outlets=[PURPOSES],
            sql_conn_id="warehouse",
            table="purposes",
            mode="merge",
            object_name=PURPOSE,
            fields=["key", "id", MODIFIED],
            incremental=MODIFIED,
            lookback=dt.timedelta(0),
            keys_path=str(tmp_path / "keys"),
            **arguments,
        ).execute({"ti": task, "run_id": run_id, "asset_state_store": AssetShelves(PURPOSES, shelf)})

    load("1")
    work()
    clock.later(hours=1)
    client.delete(PURPOSE, "20")
    result = load("2")
    assert (result["rows"], result["inserted"], result["updated"], result["deleted"]) == (6, 2, 4, 1)
    assert {key for (key,) in database.run("SELECT key FROM purposes")} == {str(n) for n in range(1, 301)} - {
        "20"
    }
    facts = json.loads(database.run("SELECT facts FROM intacct_exports WHERE run_id = '2'")[0][0])
    assert (facts["first_key"], facts["last_key"], facts["deletions"]["missed"]) == ("1", "280", 2)


def test_deletions_are_told_of_whole_records_too(export, client):
    export("1", fields=None, detail=True)
    client.delete(PURPOSE, "8")
    assert export("2", fields=None, detail=True)["deleted"] == 1


def test_exports_with_other_filters_have_nothing_to_do_with_each_other(export, shelf):
    everything = export("1")["rows"]
    active = export("1", filters=[{"$eq": {"status": "active"}}])["rows"]
    assert 0 < active < everything
    assert len(shelf) == 2


def test_a_field_that_cannot_tell_fails_before_a_row_is_paid_for(export, sandbox):
    with pytest.raises(
        AirflowFailException, match=r"Did you mean 'audit.modifiedDateTime'.*audit.createdDateTime"
    ):
        export("1", incremental="audit.modifiedDate")
    assert calls(sandbox, QUERY) == []


@pytest.mark.parametrize("policy", ["warn", "add", "fail"])
def test_columns_that_differ_from_those_of_the_last_run_are_welcome_or_not(policy, export, sandbox, files):
    export("1")
    more = ["key", "id", "status", MODIFIED, "audit.createdDateTime"]
    before = len(calls(sandbox, QUERY))
    if policy == "fail":
        with pytest.raises(AirflowFailException, match=r"new audit.createdDateTime.*schema_drift='warn'"):
            export("2", fields=more, schema_drift="fail")
        assert len(calls(sandbox, QUERY)) - before <= 1
    else:
        export("2", fields=more, schema_drift=policy)
    fewer = {"fields": ["key", "id", MODIFIED], "schema_drift": policy}
    if policy == "warn":
        export("3", **fewer)
        export("4", schema_drift="fail", fields=fewer["fields"])
    else:
        with pytest.raises(AirflowFailException, match=r"gone status"):
            export("3", **fewer)
