"""Two runs of one DAG wait for approval at once, and both wrote their plan to the same path."""

from __future__ import annotations

import json

import pytest
from sandbox_client import client_of

CUSTOMER = "accounts-receivable/customer"

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture
def connection(airflow, sandbox):
    yield airflow.connect("intacct_approvals", sandbox)
    airflow.disconnect("intacct_approvals")


def state(run, task_id):
    return {task["task_id"]: task["state"] for task in run.tasks()}[task_id]


def names(sandbox):
    with client_of(sandbox) as client:
        rows = client.iter_rows(CUSTOMER, ["id", "name"])
        return {row["id"]: row["name"] for row in rows if row["id"].startswith("RUN-")}


def test_each_approval_writes_the_plan_that_was_read(airflow, sandbox, connection, tmp_path):
    runs = []
    for number in (1, 2):
        desired = tmp_path / f"{number}.json"
        desired.write_text(json.dumps([{"id": f"RUN-{number}", "name": f"Of run {number}"}]))
        run = airflow.run(
            "approved", conn=connection, folder=f"file://{tmp_path}", desired=f"file://{desired}"
        )
        run.until("somebody is asked", lambda run=run: state(run, "approve") == "awaiting_input")
        runs.append(run)
    first, second = (run.xcom("plan") for run in runs)
    assert first["plan"] == f"file://{tmp_path}/customers.plan.json"
    assert second["plan"] == f"file://{tmp_path}/customers.plan.{second['sha256'][:12]}.json"
    assert names(sandbox) == {}

    airflow.approve(runs[0], "approve")
    runs[0].succeed()
    assert names(sandbox) == {"RUN-1": "Of run 1"}
    airflow.approve(runs[1], "approve")
    runs[1].succeed()
    assert names(sandbox) == {"RUN-1": "Of run 1", "RUN-2": "Of run 2"}
    assert [run.xcom("apply")["sha256"] for run in runs] == [first["sha256"], second["sha256"]]
    # Where docs/sync.md says that one looks up who approved.
    approval = runs[0].xcom("approve")
    assert approval["chosen_options"] == ["Approve"]
    assert approval["responded_by_user"]["name"]
    assert approval["responded_at"]
