"""Workers and triggerers that are killed around a bulk job: one job, and each record accounted for once, or a clear no.

The sandbox holds a call back, before or after it carries it out. The test kills the process that waits.
"""

from __future__ import annotations

import json

import pytest
from job_work import CREATE, CUSTOMER, STATUS, count_jobs
from sandbox_client import calls, running, stored

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

#: Seconds; nothing of this is over before the test kills the task.
ENDLESS = 3600


@pytest.fixture
def company():
    """A company in which one of the customers exists already."""
    with running(faults={"job_seconds": 0.5, "job_rate": 1e6}) as one:
        one.seed(CUSTOMER, [{"id": "C-7", "name": "There"}])
        yield one


@pytest.fixture
def start(airflow, company, tmp_path):
    """Return a function that starts a run of a DAG."""
    records = tmp_path / "customers.csv"
    records.write_text("id,name\n" + "".join(f"C-{n},Customer {n}\n" for n in range(20)))

    def run(dag_id, conn):
        conn = airflow.connect(conn, company, timeout=ENDLESS)
        return airflow.run(dag_id, conn=conn, records=str(records), folder=str(tmp_path))

    return run


def kill(run):
    process = run.process("write")
    process.kill()
    process.wait(60)


def assert_reported_once(run, company, tmp_path):
    result = run.xcom("write")
    assert (result["records"], result["written"], result["rejected"]) == (20, 19, 1)
    assert [json.loads(line)["id"] for line in (tmp_path / "r.jsonl").read_text().splitlines()] == ["C-7"]
    assert (len(calls(company, CREATE)), count_jobs(company)) == (1, 1)
    assert len(stored(company, CUSTOMER)) == 20


@pytest.mark.parametrize("carried_out", [False, True], ids=["not taken", "taken"])
def test_a_worker_that_is_killed_while_it_submits_leaves_one_job_and_a_clear_no(
    airflow, company, start, carried_out
):
    company.fail(kind="hang", done=carried_out, seconds=ENDLESS, path=CREATE)
    run = start("bulk_job_plain", f"job_killed_{carried_out}")
    run.until("the job is held back", lambda: len(calls(company, CREATE)) == 1)
    run.until("it is carried out", lambda: count_jobs(company) == carried_out)
    kill(run)
    assert [task["state"] for task in run.wait()] == ["failed"]
    # The second attempt sends nothing, and Airflow does not run a third one.
    assert [one["state"] for one in run.tries("write")] == ["failed", "failed"]
    assert "An earlier attempt ended while it was sending a bulk job (create of 20 records" in run.log(
        "write", 2
    )
    assert (len(calls(company, CREATE)), count_jobs(company)) == (1, carried_out)


def test_workers_that_are_killed_while_they_wait_follow_one_job(airflow, company, start, tmp_path):
    company.fail(kind="hang", done=True, seconds=ENDLESS, path=STATUS, skip=1, times=2)
    run = start("bulk_job_plain", "job_waits")
    for number in (2, 3):
        run.until(f"poll {number} is held back", lambda n=number: len(calls(company, STATUS)) == n)
        kill(run)
    run.succeed()
    assert [one["state"] for one in run.tries("write")] == ["failed", "failed", "success"]
    assert_reported_once(run, company, tmp_path)


def test_a_worker_that_is_killed_while_it_reads_the_result_leaves_it_to_the_next(
    airflow, company, start, tmp_path
):
    company.faults.job_seconds = 0
    company.fail(kind="hang", done=True, seconds=ENDLESS, path=STATUS, skip=2)
    run = start("bulk_job_plain", "job_result")
    run.until("the result is held back", lambda: len(calls(company, STATUS)) == 3)
    kill(run)
    run.succeed()
    assert_reported_once(run, company, tmp_path)


def test_a_triggerer_that_is_killed_twice_neither_loses_nor_doubles_an_outcome(
    airflow, company, start, tmp_path
):
    company.faults.job_seconds = 3600
    with airflow.triggerer() as triggerer:
        run = start("bulk_job_deferrable", "job_deferred")
        for number in (1, 2):
            run.until(f"poll {number} is answered", lambda n=number: len(calls(company, STATUS)) >= n)
            triggerer.kill()
            triggerer.keep_running()
        company.faults.job_seconds = 0
        run.succeed()
    assert [one["state"] for one in run.tries("write")] == ["success"]
    assert_reported_once(run, company, tmp_path)


def test_a_worker_that_is_killed_while_it_resumes_leaves_the_result_to_the_next(
    airflow, company, start, tmp_path
):
    company.faults.job_seconds = 0
    company.fail(kind="hang", done=True, seconds=ENDLESS, path=STATUS, skip=2)
    with airflow.triggerer():
        run = start("bulk_job_deferrable", "job_resumed")
        run.until("the result is held back", lambda: len(calls(company, STATUS)) == 3)
        kill(run)
        run.succeed()
    assert_reported_once(run, company, tmp_path)
