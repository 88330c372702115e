"""The example that loads account groups and their lists, run by Airflow against the sandbox."""

from __future__ import annotations

import json

import pytest
from postgres import cluster
from sandbox_client import client_of
from sql_tables import POSTGRES, Database

GROUP = "general-ledger/account-group"


@pytest.fixture(scope="module")
def server():
    with cluster() as running:
        yield running


@pytest.fixture(params=["sqlite", POSTGRES])
def warehouse(request, tmp_path, monkeypatch):
    server = None if request.param == "sqlite" else request.getfixturevalue("server")
    return Database(request.param, tmp_path, monkeypatch, server)


def test_groups_and_their_members_are_tables_that_can_be_joined(run_dag, warehouse, sandbox):
    finished = run_dag("intacct_account_groups_with_lists")
    [task] = finished.get_task_instances()
    assert str(task.state) == "success"
    with client_of(sandbox) as client:
        keys = [row["key"] for row in client.iter_rows(GROUP, ["key"])]
        wanted = sorted(
            (record["id"], n, one["accountGroup"]["id"])
            for record in client.get_many(GROUP, keys)
            for n, one in enumerate(record["accountGroupMembers"])
        )
    member = "json_extract(m.\"accountGroup\", '$.id')" if warehouse.sqlite else "m.\"accountGroup\"->>'id'"
    found = warehouse.run(
        f"SELECT g.id, m.position, {member} FROM account_groups g "  # noqa: S608
        'JOIN "account_groups_accountGroupMembers" m ON m.parent_key = g.key'
    )
    assert sorted(found) == wanted
    result = task.xcom_pull(task_ids="load_account_groups")
    assert result["lists"]["accountGroupMembers"] == {
        "table": "account_groups_accountGroupMembers",
        "rows": len(wanted),
    }
    facts = json.loads(warehouse.run("SELECT facts FROM intacct_exports")[0][0])
    assert {one["completeness"]["result"] for one in facts["lists"]} == {"equal"}
