"""Sensors in a real Airflow: the same outcome in every mode, even if the triggerer is killed."""

from __future__ import annotations

import pytest
from sandbox_client import calls, client_of

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

CUSTOMER = "accounts-receivable/customer"
QUERY = "/services/core/query"
MODES = ("poke", "reschedule", "deferrable")
WAITS = {"poke": "running", "reschedule": "up_for_reschedule", "deferrable": "deferred"}


@pytest.fixture
def start(airflow, sandbox):
    """Return a function that starts a DAG in each mode and returns the runs, all of which have begun to wait."""

    def begin(name, **params):
        conn = airflow.connect(f"waits_{name or 'plainly'}", sandbox)
        runs = {mode: airflow.run(f"wait_{name}{mode}", conn=conn, **params) for mode in MODES}
        for mode, run in runs.items():
            run.until(f"the {mode} sensor waits", lambda run=run, mode=mode: states(run) == [WAITS[mode]])
        return runs

    return begin


def states(run):
    return [task["state"] for task in run.tasks()]


def test_a_wait_survives_the_death_of_the_triggerer_in_every_mode(airflow, sandbox, start):
    with client_of(sandbox) as client:
        key = client.create(CUSTOMER, {"id": "LATE", "name": "Late", "status": "inactive"})["key"]
        with airflow.triggerer() as triggerer:
            runs = start("", id="LATE")
            # Once the trigger asks, it is killed before it gets an answer.
            asked = len(calls(sandbox, QUERY))
            sandbox.fail(kind="hang", path=QUERY, seconds=60, times=3)
            airflow.until("all sensors ask", lambda: len(calls(sandbox, QUERY)) >= asked + 3)
            triggerer.kill()
            sandbox.clear_faults()
            client.update(CUSTOMER, key, {"status": "active"})
            triggerer.keep_running()
            for run in runs.values():
                [task] = run.succeed()
                assert task["try_number"] == 1
                assert run.xcom("wait") == {
                    "object_name": CUSTOMER,
                    "exists": True,
                    "id": "LATE",
                    "key": key,
                    "values": {"status": "active"},
                }
            log = runs["deferrable"].log("wait", 1)
            assert "the trigger found what wait waits for" in log


def test_a_permission_that_is_lost_fails_the_task_in_every_mode_and_does_not_skip_it(airflow, sandbox, start):
    with airflow.triggerer():
        runs = start("softly_", id="NEVER")
        sandbox.faults.denied = [CUSTOMER]
        for run in runs.values():
            [task] = run.wait()
            # Two retries were allowed, and none was used, since a retry cannot fix this.
            assert (task["state"], task["try_number"]) == ("failed", 1), run.describe()
            assert "IntacctPermissionError" in run.log("wait", 1)
