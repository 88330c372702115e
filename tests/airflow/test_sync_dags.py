"""The example DAGs of sync, run by Airflow against the sandbox: from SQL, for drift, from company to company."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pytest
from sandbox_client import client_of

from intacct_provider.sandbox import Sandbox

CUSTOMER = "accounts-receivable/customer"
GROUP = "accounts-receivable/customer-group"
DESIRED = f"file://{Path(__file__).resolve().parents[2]}/example_dags/data/customer_groups.csv"


def state(run, task_id):
    return {task.task_id: str(task.state) for task in run.get_task_instances()}[task_id]


def xcom(run, task_id):
    (task,) = (t for t in run.get_task_instances() if t.task_id == task_id)
    return task.xcom_pull(task_ids=task_id)


def counts(result):
    names = ("created", "updated", "deactivated", "deleted", "unchanged", "rejected")
    return {name: result[name] for name in names if result[name]}


def writes(sandbox):
    return [
        call
        for call in sandbox.requests
        if call.method in ("POST", "PATCH", "DELETE") and "/objects/" in call.path
    ]


def customers(sandbox, *fields):
    with client_of(sandbox) as client:
        return {row["id"]: row for row in client.iter_rows(CUSTOMER, ["id", *fields])}


# --- from a database


@pytest.fixture
def warehouse(tmp_path, monkeypatch):
    """A table of customers, as a CRM has it."""
    path = tmp_path / "warehouse.db"
    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", json.dumps({"conn_type": "sqlite", "host": str(path)}))
    conn = sqlite3.connect(path, isolation_level=None)
    conn.execute("CREATE TABLE crm_accounts (account_no, account_name, payment_term, remarks, region)")

    def fill(*rows):
        conn.execute("DELETE FROM crm_accounts")
        conn.executemany("INSERT INTO crm_accounts VALUES (?, ?, ?, ?, ?)", rows)

    yield fill
    conn.close()


def test_customers_become_as_the_table_says(run_dag, sandbox, warehouse, tmp_path):
    ours = "From the CRM, do not edit"
    warehouse(
        ("CRM-1", "Ada's Bakery", "Net 30", ours, "east"),
        ("CRM-2", "Brandt & Söhne", None, ours, "west"),
        ("CRM-3", "Closing Down Ltd", None, ours, None),
    )
    first = run_dag("intacct_sync_from_sql", folder=f"file://{tmp_path}")
    assert counts(xcom(first, "sync_customers")) == {"created": 3}
    warehouse(("CRM-1", "Ada's Bakery", "Net 30", ours, "east"), ("CRM-2", "Brandt GmbH", None, ours, "west"))
    second = run_dag("intacct_sync_from_sql", folder=f"file://{tmp_path}")
    assert counts(xcom(second, "sync_customers")) == {"updated": 1, "deactivated": 1, "unchanged": 1}
    found = customers(sandbox, "name", "status", "term.id")
    assert {name: (found[name]["name"], found[name]["status"]) for name in ("CRM-1", "CRM-2", "CRM-3")} == {
        "CRM-1": ("Ada's Bakery", "active"),
        "CRM-2": ("Brandt GmbH", "active"),
        "CRM-3": ("Closing Down Ltd", "inactive"),
    }
    assert found["CRM-1"]["term.id"] == "Net 30"
    for run in (first, second):
        result = xcom(run, "sync_customers")
        assert all(Path(result[name].removeprefix("file://")).exists() for name in ("plan", "page", "undo"))


@pytest.mark.slow
def test_a_table_that_lost_its_rows_is_refused(run_dag, sandbox, warehouse, tmp_path):
    ours = "From the CRM"
    warehouse(*((f"CRM-{n}", f"Company {n}", None, ours, None) for n in range(25)))
    assert state(run_dag("intacct_sync_from_sql", folder=f"file://{tmp_path}"), "sync_customers") == "success"
    before = len(writes(sandbox))
    warehouse(("CRM-1", "Company 1", None, ours, None))
    run = run_dag("intacct_sync_from_sql", folder=f"file://{tmp_path}")
    assert state(run, "sync_customers") != "success"
    assert len(writes(sandbox)) == before


# --- drift


def test_drift_is_seen_and_nothing_is_written(run_dag, sandbox, tmp_path, caplog):
    run = run_dag("intacct_watch_drift", folder=f"file://{tmp_path}", desired=DESIRED)
    assert state(run, "watch_groups") == "failed"
    result = xcom(run, "watch_groups")
    assert (result["changed"], result["to_create"], result["to_update"]) == (True, 3, 3)
    assert (
        Path(result["page"].removeprefix("file://")).read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    )
    assert writes(sandbox) == []


def test_no_drift_is_success(run_dag, sandbox, tmp_path):
    run_dag("intacct_sync_customer_groups")
    before = len(writes(sandbox))
    run = run_dag("intacct_watch_drift", folder=f"file://{tmp_path}", desired=DESIRED)
    assert state(run, "watch_groups") == "success"
    assert xcom(run, "watch_groups")["changed"] is False
    assert len(writes(sandbox)) == before


def test_the_watched_groups_of_the_sample_do_not_drift(run_dag, sandbox, tmp_path):
    run = run_dag("intacct_watch_drift", folder=f"file://{tmp_path}")
    assert state(run, "watch_groups") == "success"
    assert xcom(run, "watch_groups")["unchanged"] == 2


# --- from one company to another


@pytest.fixture
def staging(monkeypatch):
    """Another company, like the first."""
    with Sandbox(seed="demo") as company:
        monkeypatch.setenv("AIRFLOW_CONN_INTACCT_STAGING", company.connection())
        yield company


def test_groups_are_brought_from_one_company_to_another(run_dag, sandbox, staging, tmp_path):
    with client_of(staging) as client:
        key = client.find(GROUP, "KEY-ACCOUNTS")["key"]
        members = [{"id": "C-00009"}, {"id": "C-00002"}]
        client.update(GROUP, key, {"name": "Accounts to care for", "groupMembers": members})
    run = run_dag("intacct_promote_groups", folder=f"file://{tmp_path}")
    assert counts(xcom(run, "promote_groups")) == {"updated": 1, "unchanged": 1}
    with client_of(sandbox) as client:
        group = client.get(GROUP, client.find(GROUP, "KEY-ACCOUNTS")["key"])
    assert group["name"] == "Accounts to care for"
    assert [member["id"] for member in group["groupMembers"]] == ["C-00009", "C-00002"]
    assert writes(staging) == [call for call in writes(staging) if call.method == "PATCH"][:1]


def test_a_group_whose_members_are_unknown_there_is_told_before_anything_is_written(
    run_dag, sandbox, staging, tmp_path
):
    with client_of(staging) as client:
        client.create(CUSTOMER, {"id": "ONLY-HERE", "name": "Only here"})
        key = client.find(GROUP, "KEY-ACCOUNTS")["key"]
        client.update(GROUP, key, {"groupMembers": [{"id": "ONLY-HERE"}]})
    run = run_dag("intacct_promote_groups", folder=f"file://{tmp_path}")
    assert state(run, "promote_groups") == "failed"
    assert writes(sandbox) == []
    [rejects] = tmp_path.rglob("groups.plan.rejects.jsonl")
    assert "ONLY-HERE" in json.loads(rejects.read_text())["_reject"]["problems"][0]["value"]
