"""The main jobs in each deployment, started by their schedules, with everything killed in the middle of them.

The docstrings of the tests are rows of the table in docs/deploying.md.
"""

from __future__ import annotations

import json

import pytest
from job_work import CREATE, STATUS, count_jobs
from reliability_work import events
from sandbox_client import calls, client_of, running

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

CUSTOMER = "accounts-receivable/customer"
PATH = f"/objects/{CUSTOMER}"
QUERY = "/services/core/query"
TOKENS = "/oauth2/token"
#: Seconds; nothing of this is over before the test kills the task.
ENDLESS = 3600
ROWS = 2_000
#: Calls in flight that the company allows, which are the slots of the pool, and those of each exporting task.
ALLOWED, EACH = 8, 2
AT_ONCE = ALLOWED // EACH


@pytest.fixture
def company():
    with running(faults={"job_seconds": 0.5, "job_rate": 1e6, "concurrency": ALLOWED}) as one:
        yield one


@pytest.fixture
def folder(deployment, tmp_path):
    """A folder that the DAGs of the test know, which all workers share."""
    deployment.set_variable("folder", str(tmp_path))
    yield tmp_path
    deployment.remove_variable("folder")


def test_export(deployment, company, folder):
    """A mapped export of 8 ranges, 4 of them at once as its pool allows. These 4 tasks are killed, two of them
    with their whole Celery worker, and 2 calls are refused. The files hold each record once"""
    company.seed(f"{CUSTOMER}={ROWS}")
    conn = connect(deployment, company, "exports", max_concurrency=EACH, page_size=100)
    # Enough for the plan, and not for an export, whose calls are held back from the first one on.
    deployment.set_pool("intacct", 1)
    run = deployment.scheduled(conn)
    run.until("the ranges are planned", lambda: state(run, "plan") == ["success"])
    company.fail(kind="hang", seconds=ENDLESS, path=QUERY, times=0)
    deployment.set_pool("intacct", ALLOWED)

    def all_wait():
        # Each begins with one call.
        found = deployment.processes(run)
        return found if len(held(company, QUERY)) == len(found) == AT_ONCE else None

    killed = run.until("the exports wait for Intacct", all_wait)
    assert state(run, "export").count("running") == AT_ONCE
    company.clear_faults()
    company.fail(kind="status", status=429, headers={"Retry-After": "1"}, path=QUERY, times=2)
    kill_workers(deployment, killed)

    run.succeed()
    tries = [task["try_number"] for task in run.tasks() if task["task_id"] == "export"]
    assert len([number for number in tries if number > 1]) >= AT_ONCE
    manifest = json.loads((folder / "customers.jsonl.manifest.json").read_bytes())
    assert sorted(file.name for file in folder.iterdir()) == sorted(
        ["customers.jsonl.manifest.json", *(part["name"] for part in manifest["parts"])]
    )
    parts = [(folder / part["name"]).read_text() for part in manifest["parts"]]
    rows = [json.loads(line) for part in parts for line in part.splitlines()]
    there = [{name: one[name] for name in ("key", "id", "name")} for one in company.records(CUSTOMER)]
    assert sorted(rows, key=lambda row: int(row["key"])) == there
    assert len(there) == ROWS
    refused = [call.fault for call in calls(company) if call.status == 429]
    assert refused == ["status"] * 2
    assert company._state.most_in_flight <= ALLOWED
    assert_one_token(company)


def test_sync(deployment, company, folder):
    """A sync that a person approves. The task that applies it is killed between a write and its answer. Intacct is as
    the plan says, with nothing written twice"""
    before = [
        {"id": "CHANGES", "name": "Before"},
        {"id": "STAYS", "name": "Stays"},
        {"id": "GOES", "name": "Goes"},
    ]
    desired = [
        {"id": "CHANGES", "name": "After"},
        {"id": "STAYS", "name": "Stays"},
        {"id": "NEW", "name": "New"},
    ]
    company.seed(CUSTOMER, before)
    (folder / "desired.json").write_text(json.dumps(desired))
    run = deployment.scheduled(connect(deployment, company, "syncs"))
    run.until("somebody is asked", lambda: state(run, "approve") == ["awaiting_input"])
    assert names(company) == {one["id"]: one["name"] for one in before}
    company.fail(kind="hang", done=True, seconds=ENDLESS, path=PATH, method="POST")
    deployment.approve(run, "approve")

    def write_is_done():
        found = deployment.processes(run)
        return found if len(found) == 1 and held(company, PATH) and "NEW" in names(company) else None

    run.until("a write is done and its answer is held back", write_is_done)[0].kill()

    run.succeed()
    assert run.tries("apply")[0]["state"] == "failed"
    assert names(company) == {one["id"]: one["name"] for one in desired}
    created = {(str(key), "created"): 1 for key in range(1, 5)}
    assert events(company) == created | {("1", "modified"): 1, ("3", "deleted"): 1}
    assert_one_token(company)


def test_wait(deployment, company, folder):
    """A deferred bulk job and a deferred sensor, whose triggerer is killed while both ask. One job, each record once,
    and the sensor goes on when the record is as awaited"""
    company.faults.job_seconds = ENDLESS
    records = [{"id": f"C-{n}", "name": f"Customer {n}"} for n in range(20)]
    (folder / "records.json").write_text(json.dumps(records))
    company.seed(CUSTOMER, [{"id": "LATE", "name": "Late", "status": "inactive"}])
    with deployment.triggerer() as triggerer:
        run = deployment.scheduled(connect(deployment, company, "waits"))
        for task_id, path in (("job", STATUS), ("wait", QUERY)):
            run.until(f"{task_id} waits", lambda task_id=task_id: state(run, task_id) == ["deferred"])
            company.fail(kind="hang", seconds=ENDLESS, path=path)
        run.until("the triggerer asks", lambda: held(company, STATUS) and held(company, QUERY))
        triggerer.kill()
        triggerer.keep_running()
        company.faults.job_seconds = 0
        with client_of(company) as client:
            client.update(CUSTOMER, company.records(CUSTOMER)[0]["key"], {"status": "active"})
        run.succeed()
        assert triggerer.starts == 2
    assert (len(calls(company, CREATE)), count_jobs(company)) == (1, 1)
    assert names(company) == {"LATE": "Late"} | {one["id"]: one["name"] for one in records}
    # One more is that of the test.
    assert_one_token(company, others=1)


def connect(deployment, company, conn_id, **extra):
    """Store the connection that a DAG names, which is called like it."""
    return deployment.connect(conn_id, company, credential_store="variable", timeout=ENDLESS, **extra)


def kill_workers(deployment, processes):
    """Kill processes of tasks; of Celery workers, kill the first with all that it runs, and start it again."""
    if deployment.workers:
        shares = [[one for one in processes if worker.owns(one)] for worker in deployment.workers]
        assert [len(share) for share in shares] == [2, 2], "the tasks of the export run on both workers"
        first = deployment.workers[0]
        first.kill()
        first.keep_running()
        processes = shares[1]
    for process in processes:
        process.kill()


def held(company, path):
    """Return the calls that are held back now."""
    return [call for call in calls(company, path) if call.fault == "hang" and not call.seconds]


def state(run, task_id):
    return [task["state"] for task in run.tasks() if task["task_id"] == task_id]


def names(company):
    return {record["id"]: record["name"] for record in company.records(CUSTOMER)}


def assert_one_token(company, others=0):
    """Check that all tasks and triggers of a connection used one token."""
    assert [call.status for call in calls(company, TOKENS)] == [200] * (1 + others)
