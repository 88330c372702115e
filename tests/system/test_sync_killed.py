"""A worker that is killed before and after each call that carries out a plan, and Airflow's next attempt each time.

The sandbox holds a call back, before or after it carries it out. The test kills the process that waits. In the end
Intacct must be as the plan says, with nothing written twice, and the journal must show it.
"""

from __future__ import annotations

import json

import pytest
from reliability_work import events
from sandbox_client import calls, client_of, running

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

CUSTOMER = "accounts-receivable/customer"
PATH = f"/objects/{CUSTOMER}"
METHODS = ("POST", "PATCH", "DELETE")
#: Seconds; nothing of this is over before the test kills the task.
ENDLESS = 3600
BEFORE = [
    {"id": "STAYS", "name": "Stays"},
    {"id": "CHANGES", "name": "Before"},
    {"id": "GOES", "name": "Goes", "notes": "comes back"},
]


@pytest.fixture
def company():
    """A company with three customers, with the keys 1, 2 and 3."""
    with running() as one:
        one.seed(CUSTOMER, BEFORE)
        yield one


def names(company):
    return {record["id"]: record["name"] for record in company.records(CUSTOMER)}


def done(company, method):
    """Whether what a call does can be seen."""
    found = names(company)
    return {"POST": "NEW" in found, "PATCH": found["CHANGES"] == "After", "DELETE": "GOES" not in found}[
        method
    ]


def kill_at(run, company, method, number, *, carried_out):
    """Kill the task while its call is held back.

    :param number: how many calls of the method there are then.
    """

    def waits():
        return len(calls(company, PATH, method)) == number and (not carried_out or done(company, method))

    run.until(f"call {number} of {method} is held back", waits)
    process = run.process("write")
    process.kill()
    process.wait(60)


@pytest.mark.parametrize("dag_id", ["sync_in_two_tasks", "sync_in_one_task"])
def test_a_plan_outlives_the_workers_that_apply_it(airflow, company, tmp_path, dag_id):
    for method in METHODS:
        for carried_out in (False, True):
            company.fail(kind="hang", done=carried_out, seconds=ENDLESS, method=method, path=PATH)
    run = airflow.run(dag_id, conn=airflow.connect(dag_id, company, timeout=ENDLESS), folder=str(tmp_path))
    for method in METHODS:
        kill_at(run, company, method, 1, carried_out=False)
        kill_at(run, company, method, 2, carried_out=True)
    run.succeed()
    assert [one["state"] for one in run.tries("write")] == [*["failed"] * 6, "success"]

    result = run.xcom("write")
    assert (result["created"], result["updated"], result["deleted"], result["rejected"]) == (2, 1, 1, 0)
    assert names(company) == {"STAYS": "Stays", "CHANGES": "After", "NEW": "New", "NEW TOO": "New too"}
    created = {(str(key), "created"): 1 for key in range(1, 6)}
    assert events(company) == created | {("2", "modified"): 1, ("3", "deleted"): 1}
    first, second = calls(company, PATH, "POST")
    assert first.idempotency_key == second.idempotency_key is not None

    [journal] = (tmp_path / "customers.plan.journal").iterdir()
    assert sorted(file.name for file in journal.iterdir()) == [
        *(f"0000{batch}.{part}.json" for batch in (1, 2, 3) for part in ("done", "sent")),
        "begin.json",
        "end.json",
        "undo.json",
    ]
    records = [json.loads((journal / f"0000{n}.done.json").read_bytes())["records"] for n in (1, 2, 3)]
    assert [(one["match"], one["fate"]) for batch in records for one in batch] == [
        ("NEW", "written"),
        ("NEW TOO", "written"),
        ("CHANGES", "written"),
        ("GOES", "written"),
    ]
    assert json.loads((journal / "begin.json").read_bytes())["owner"].startswith(
        f"{dag_id}/{run.run_id}/write"
    )


def test_the_reverse_plan_of_a_plan_that_was_killed_takes_back_what_it_did(airflow, company, tmp_path):
    """After the creation, before anything else: the reverse plan has more to take back than there is."""
    company.fail(kind="hang", seconds=ENDLESS, method="PATCH", path=PATH)
    conn = airflow.connect("undo_killed", company, timeout=ENDLESS)
    run = airflow.run("sync_that_dies", conn=conn, folder=str(tmp_path))
    kill_at(run, company, "PATCH", 1, carried_out=False)
    assert [task["state"] for task in run.wait()] == ["failed"]
    assert "NEW" in names(company)

    airflow.run("sync_undo", conn=conn, folder=str(tmp_path)).succeed()
    with client_of(company) as client:
        rows = client.iter_rows(CUSTOMER, ["id", "name", "notes"])
        assert {row["id"]: (row["name"], row["notes"]) for row in rows} == {
            one["id"]: (one["name"], one.get("notes")) for one in BEFORE
        }
