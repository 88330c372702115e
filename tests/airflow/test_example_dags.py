"""Run the example DAGs in Airflow against the sandbox."""

from __future__ import annotations

import csv
import hashlib
import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace

import pytest
from airflow_parts import asset_extra, needs_streams
from pyarrow import parquet

CUSTOMER = "accounts-receivable/customer"
GROUP = "accounts-receivable/customer-group"


def states(run):
    return {task.task_id: str(task.state) for task in run.get_task_instances()}


def xcom(run, task_id, key="return_value"):
    (task,) = (t for t in run.get_task_instances() if t.task_id == task_id)
    return task.xcom_pull(task_ids=task_id, key=key)


def writes(sandbox):
    return [
        call
        for call in sandbox.requests
        if call.method in ("POST", "PATCH", "DELETE") and "/objects/" in call.path
    ]


def test_groups_are_synced_with_the_file_and_a_second_run_only_reads(run_dag, sandbox):
    first = run_dag("intacct_sync_customer_groups")
    assert states(first) == {"sync_customer_groups": "success"}
    counts = xcom(first, "sync_customer_groups")
    assert {name: counts[name] for name in ("created", "updated", "deleted", "unchanged", "rejected")} == {
        "created": 3,
        "updated": 3,
        "deleted": 0,
        "unchanged": 6,
        "rejected": 0,
    }
    assert counts["transactions"] == sandbox.transactions
    assert writes(sandbox)

    before, billed = len(sandbox.requests), sandbox.transactions
    second = run_dag("intacct_sync_customer_groups")
    counts = xcom(second, "sync_customer_groups")
    assert [counts[name] for name in ("to_create", "to_update", "to_delete")] == [0, 0, 0]
    assert counts["unchanged"] == 12
    calls = sandbox.requests[before:]
    assert [call for call in calls if call in writes(sandbox)] == []
    assert counts["transactions"] == sandbox.transactions - billed == 3


@needs_streams
def test_what_changed_is_exported_when_intacct_says_so(run_dag, sandbox, tmp_path):
    folder = f"file://{tmp_path}"
    first = run_dag("intacct_export_on_events", folder=folder)
    assert states(first) == {"list_events": "success", "export_changed_groups": "success"}
    assert xcom(first, "list_events") == []
    client_key = sandbox.records(GROUP)[0]["key"]
    with sandbox.store.transaction() as conn:
        conn.execute(
            f'UPDATE "{GROUP}" SET "audit.modifiedDateTime" = ? WHERE "key" = ?',  # noqa: S608
            (f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}", client_key),
        )
    second = run_dag("intacct_export_on_events", folder=folder)
    assert states(second) == {"list_events": "success", "export_changed_groups": "success"}
    assert client_key in exported_keys(second)
    assert len(exported_keys(second)) < len(exported_keys(first))


def exported_keys(run):
    """Return the keys in the file that a run wrote."""
    path = xcom(run, "export_changed_groups")["path"].removeprefix("file://")
    return [json.loads(line)["key"] for line in Path(path).read_text().splitlines()]


def test_groups_dry_run_writes_nothing(run_dag, sandbox):
    run = run_dag("intacct_sync_customer_groups", dry_run=True)
    counts = xcom(run, "sync_customer_groups")
    assert counts["dry_run"] is True
    assert (counts["to_create"], counts["created"]) == (3, 0)
    assert writes(sandbox) == []


def test_a_file_with_too_many_changes_is_refused_before_any_write(run_dag, sandbox, tmp_path):
    desired = tmp_path / "groups.csv"
    desired.write_text("id,name\n" + "".join(f"NEW-{n},New {n}\n" for n in range(20)))
    run = run_dag("intacct_sync_customer_groups", desired=f"file://{desired}")
    assert states(run)["sync_customer_groups"] != "success"
    assert writes(sandbox) == []


def test_a_damaged_workbook_is_not_planned_and_its_rows_are_left_to_be_corrected(run_dag, sandbox, tmp_path):
    workbook = Path(__file__).resolve().parents[2] / "example_dags" / "data" / "customer_groups.xlsx"
    run = run_dag("intacct_sync_from_spreadsheet", folder=f"file://{tmp_path}", desired=f"file://{workbook}")
    assert states(run) == {"plan": "failed", "approve": "upstream_failed", "apply": "upstream_failed"}
    (rejects,) = tmp_path.rglob("*.rejects.jsonl")
    assert all("_reject" in json.loads(line) for line in rejects.read_text().splitlines())
    assert not [*tmp_path.rglob("groups.plan.json")]
    assert writes(sandbox) == []


def test_all_account_groups_are_exported_to_a_dated_file_and_the_asset_is_updated(run_dag, sandbox, tmp_path):
    run = run_dag("intacct_export_account_groups", folder=f"file://{tmp_path}")
    assert states(run) == {"export_account_groups": "success"}
    path = tmp_path / f"account_groups_{run.run_after.date()}.parquet"
    result = xcom(run, "export_account_groups")
    assert result["path"] == f"file://{path}"
    rows = parquet.read_table(path).to_pylist()
    assert len(rows) == result["rows"] == 60
    assert rows[0]["audit.modifiedDateTime"].tzinfo is not None
    with sandbox.store.transaction() as conn:
        stored = conn.execute(
            'SELECT "key", "id", "title" FROM "general-ledger/account-group" ORDER BY "key"'
        ).fetchall()
    assert [(row["key"], row["id"], row["title"]) for row in rows] == [(str(k), i, t) for k, i, t in stored]
    manifest = json.loads(Path(f"{path}.manifest.json").read_text())
    assert manifest["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert (manifest["rows"], manifest["run"]["transactions"]) == (60, 2)
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted([path.name, f"{path.name}.manifest.json"])
    assert asset_extra("intacct_account_groups") == {
        "path": f"file://{path}",
        "manifest": f"file://{path}.manifest.json",
        "rows": 60,
        "watermark": None,
        "schema": manifest["columns"],
    }


def test_a_month_end_snapshot_adds_up_to_what_intacct_says(run_dag, sandbox, tmp_path):
    run = run_dag("intacct_month_end_snapshot", folder=f"file://{tmp_path}", as_of="2026-05-31")
    assert states(run) == {"snapshot": "success"}
    path = tmp_path / "customers_2026-05-31.csv"
    rows = list(csv.DictReader(path.read_text().splitlines()))
    # Six customers of the demo company were created in June.
    assert len(rows) == 234
    totals = json.loads(Path(f"{path}.manifest.json").read_text())["completeness"]["control_totals"]
    for field, column in (("totalDue", "total_due"), ("creditLimit", "credit_limit")):
        assert sum(Decimal(row[column] or 0) for row in rows) == Decimal(totals[field]) > 0
    assert asset_extra("intacct_month_end_customers")["rows"] == 234


def test_a_month_end_snapshot_is_of_the_previous_month_by_default(run_dag, sandbox, tmp_path):
    run = run_dag("intacct_month_end_snapshot", folder=f"file://{tmp_path}")
    last = run.run_after.replace(day=1) - timedelta(days=1)
    assert xcom(run, "snapshot")["path"].endswith(f"/customers_{last:%Y-%m-%d}.csv")


def test_a_customer_is_created_updated_and_deleted(run_dag, sandbox):
    run = run_dag("intacct_customer_lifecycle")
    assert set(states(run).values()) == {"success"}
    assert set(states(run)) == {"create", "wait_until_active", "read", "update", "query", "list", "delete"}
    created = xcom(run, "create")
    assert str(xcom(run, "create", key="key")) == created["key"]
    record = xcom(run, "read")
    assert (record["key"], record["id"], record["creditLimit"]) == (created["key"], created["id"], 5000)
    assert record["term"]["id"] == "Net 30"
    assert xcom(run, "query") == [
        {
            "key": created["key"],
            "id": created["id"],
            "name": "Tour Stop Ltd",
            "creditLimit": 7500,
            "term.id": "Net 30",
        }
    ]
    assert len(xcom(run, "list")) == 100
    assert xcom(run, "delete") == {"key": created["key"], "deleted": True}
    with sandbox.store.transaction() as conn:
        left = conn.execute(
            'SELECT 1 FROM "accounts-receivable/customer" WHERE "id" LIKE ?', ("TOUR-%",)
        ).fetchall()
    assert left == []


@pytest.mark.slow
def test_a_temporary_fault_is_retried(run_dag, sandbox, tmp_path):
    sandbox.fail(status=503, times=2, path="/services/core/query", headers={"Retry-After": "0"})
    run = run_dag("intacct_export_account_groups", folder=f"file://{tmp_path}")
    assert states(run) == {"export_account_groups": "success"}
    assert [call.status for call in sandbox.requests if call.path.endswith("/query")] == [503, 503, 200]


def test_a_folder_that_cannot_be_written_is_found_before_intacct_is_asked(run_dag, sandbox, tmp_path):
    (tmp_path / "file").write_text("in the way")
    run = run_dag("intacct_export_account_groups", folder=f"file://{tmp_path}/file/below")
    assert states(run) == {"export_account_groups": "failed"}
    assert sandbox.requests == []


@pytest.mark.slow
def test_new_customers_come_with_their_contacts(run_dag, sandbox):
    new = [{"id": f"N{n}", "name": f"New {n}", "contact": f"Contact of {n}"} for n in range(3)]
    run = run_dag("intacct_onboard_customers", customers=new)
    assert str(run.state) == "success"
    customers = {one["id"]: one for one in sandbox.records("accounts-receivable/customer")}
    assert [customers[one["id"]]["contacts"]["primary"]["id"] for one in new] == [
        one["contact"] for one in new
    ]


@pytest.mark.slow
def test_customers_who_exist_are_not_created_again(run_dag, sandbox, tmp_path):
    for dag_id, conf in (
        ("intacct_onboard_customers", {}),
        ("intacct_bulk_create_customers", {"folder": f"file://{tmp_path}"}),
    ):
        assert str(run_dag(dag_id, **conf).state) == "success"
        before = len(sandbox.records(CUSTOMER))
        assert str(run_dag(dag_id, **conf).state) == "success"
        assert len(sandbox.records(CUSTOMER)) == before


def test_no_two_runs_write_to_one_place_at_once(airflow_db):
    """Two runs of a day, the scheduled and one by hand, have one destination."""
    from airflow.dag_processing.dagbag import DagBag

    examples = DagBag(str(Path(__file__).resolve().parents[2] / "example_dags")).dags
    # It may wait for days, and for several customers at once.
    several = {dag_id for dag_id, dag in examples.items() if dag.max_active_runs != 1}
    assert several == {"intacct_act_when_customer_is_active"}


def test_acting_when_a_customer_is_active_waits_and_then_acts(run_dag, sandbox, monkeypatch):
    from sandbox_client import calls, client_of

    from intacct_provider.sensors import base
    from intacct_provider.triggers import intervals, polling

    with client_of(sandbox) as client:
        key = client.create(CUSTOMER, {"id": "SLOW", "name": "Slow", "status": "inactive"})["key"]

        def activate_soon(*_args, **_how):
            """Activate the customer after the first poll, instead of five minutes of waiting."""
            client.update(CUSTOMER, key, {"status": "active"})
            return 0.0

        monkeypatch.setattr(base, "next_wait", activate_soon)
        monkeypatch.setattr(intervals, "FIRST_WAIT", 0.0)
        monkeypatch.setattr(polling, "SPREAD", 0.0)
        run = run_dag("intacct_act_when_customer_is_active", customer_id="SLOW")
        assert states(run) == {"wait_until_active": "success", "raise_limit": "success"}
        assert xcom(run, "wait_until_active")["values"] == {"status": "active"}
        assert client.get(CUSTOMER, key)["creditLimit"] == 10000
    assert len(calls(sandbox, "/services/core/query")) == 3  # two polls, and one for the value that was found


def test_acting_when_a_customer_is_active_fails_if_it_cannot_be_read(run_dag, sandbox):
    sandbox.faults.denied = [CUSTOMER]
    run = run_dag("intacct_act_when_customer_is_active")
    assert states(run) == {"wait_until_active": "failed", "raise_limit": "upstream_failed"}


def test_changed_groups_are_exported_by_the_window_of_the_events(run_dag, sandbox, tmp_path, monkeypatch):
    """What starts a run is given to it; tests/system has a triggerer do it."""
    from airflow.sdk.execution_time.context import TriggeringAssetEventsAccessor

    stamps = {one["key"]: one["audit"]["modifiedDateTime"] for one in sandbox.records(GROUP)}
    first, second, *_ = sorted({*stamps.values()})
    asset = SimpleNamespace(name="intacct_changed_customer_groups", uri="intacct_changed_customer_groups")
    payload = {"object": GROUP, "field": "audit.modifiedDateTime", "count": 1}
    extras = [{}, *({"payload": {**payload, "lower": stamp, "upper": stamp}} for stamp in (second, first))]
    events = [SimpleNamespace(asset=asset, source_aliases=[], extra=extra) for extra in extras]
    build = TriggeringAssetEventsAccessor.build
    monkeypatch.setattr(TriggeringAssetEventsAccessor, "build", lambda _events: build(events))
    run = run_dag("intacct_export_changed_groups", folder=f"file://{tmp_path}")
    assert set(states(run).values()) == {"success"}
    (file,) = tmp_path.glob("*.jsonl")
    assert file.name == f"changed_groups_{first}_to_{second}.jsonl".replace(":", "")
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    assert {row["key"] for row in rows} == {key for key, stamp in stamps.items() if stamp <= second}


@pytest.mark.slow
def test_a_run_without_an_event_exports_all_groups(run_dag, sandbox, tmp_path):
    run_dag("intacct_export_changed_groups", folder=f"file://{tmp_path}")
    rows = (tmp_path / "changed_groups_all.jsonl").read_text().splitlines()
    assert len(rows) == len(sandbox.records(GROUP))
