"""Sensors in a real Airflow: the same outcome in every mode, even if the triggerer is killed."""

from __future__ import annotations

from collections import defaultdict

import pytest
from sandbox_client import calls, client_of

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

CUSTOMER = "accounts-receivable/customer"
QUERY = "/services/core/query"
STATUS = "/services/bulk/job/status"
#: The state of a task that waits, by mode.
WAITS = {"poke": "running", "reschedule": "up_for_reschedule", "deferrable": "deferred"}
SENSORS = ("job", "query", "record")


@pytest.fixture
def start(airflow, sandbox):
    """Return a function that starts a DAG in each mode and returns the runs, whose tasks have all begun to wait."""

    def begin(name, tasks, **params):
        conn = airflow.connect(f"waits_{name or 'plainly'}", sandbox)
        runs = {mode: airflow.run(f"wait_{name}{mode}", conn=conn, **params) for mode in WAITS}
        for mode, run in runs.items():
            seen = defaultdict(set)

            def all_wait(run=run, seen=seen, state=WAITS[mode]):
                # One that is rescheduled runs in between.
                for task in run.tasks():
                    seen[task["state"]].add(task["task_id"])
                return seen[state] == {*tasks}

            run.until(f"the {mode} sensors wait", all_wait)
        return runs

    return begin


def test_all_sensors_survive_the_death_of_the_triggerer_in_every_mode(airflow, sandbox, start):
    sandbox.faults.job_seconds = 3600
    with client_of(sandbox) as client:
        key = client.create(CUSTOMER, {"id": "LATE", "name": "Late", "status": "inactive"})["key"]
        job_id = client.submit_job(CUSTOMER, "create", [{"id": "BULK", "name": "Bulk"}])
        with airflow.triggerer() as triggerer:
            runs = start("", SENSORS, id="LATE", job_id=job_id)
            # Once every sensor asks, the triggerer is killed before it gets an answer.
            asked = {path: len(calls(sandbox, path)) for path in (QUERY, STATUS)}
            sandbox.fail(kind="hang", path=QUERY, seconds=20, times=6)
            sandbox.fail(kind="hang", path=STATUS, seconds=20, times=3)
            airflow.until("all queries wait", lambda: len(calls(sandbox, QUERY)) >= asked[QUERY] + 6)
            airflow.until("all jobs wait", lambda: len(calls(sandbox, STATUS)) >= asked[STATUS] + 3)
            triggerer.kill()
            sandbox.clear_faults()
            client.update(CUSTOMER, key, {"status": "active"})
            sandbox.faults.job_seconds = 0
            triggerer.keep_running()
            for run in runs.values():
                assert [task["try_number"] for task in run.succeed()] == [1, 1, 1]
                record = {"object_name": CUSTOMER, "exists": True, "id": "LATE", "key": key}
                assert run.xcom("record") == {**record, "values": {"status": "active"}}
                assert run.xcom("query") == {"object_name": CUSTOMER, "count": 1}
                assert run.xcom("job") == {"job_id": job_id, "state": "completed", "percent": 100}
            for sensor in SENSORS:
                log = runs["deferrable"].log(sensor, 1)
                assert f"the trigger found what {sensor} waits for" in log


def test_a_permission_that_is_lost_fails_the_task_in_every_mode_and_does_not_skip_it(airflow, sandbox, start):
    with airflow.triggerer():
        runs = start("softly_", ["query"], id="NEVER")
        sandbox.faults.denied = [CUSTOMER]
        for run in runs.values():
            [task] = run.wait()
            # Two retries were allowed, and none was used, since a retry cannot fix this.
            assert (task["state"], task["try_number"]) == ("failed", 1), run.describe()
            assert "IntacctPermissionError" in run.log("query", 1)
