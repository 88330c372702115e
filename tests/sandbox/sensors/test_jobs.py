"""The bulk job sensor over real HTTP: the same outcome in every mode."""

import pytest
from job_work import CUSTOMER, QUICK_JOBS, STATUS, customers
from sandbox_client import calls, client_of, running
from sensor_modes import MODES, run_sensor

from intacct_provider.sensors.jobs import IntacctBulkJobSensor
from intacct_provider.triggers import intervals

RUNNING = {"ia::result": {"status": "processing", "percentComplete": 40}}
FAILED = {"ia::result": {"status": "failed"}}


@pytest.fixture(autouse=True)
def without_pauses(monkeypatch):
    monkeypatch.setattr(intervals, "FIRST_WAIT", 0.0)
    monkeypatch.setattr("intacct_provider.triggers.polling.SPREAD", 0.0)
    monkeypatch.setattr("intacct_provider.triggers.polling.next_wait", lambda *_, **__: 1e-9)
    monkeypatch.setattr("intacct_provider.sensors.base.next_wait", lambda *_, **__: 1e-9)


@pytest.fixture
def company(monkeypatch):
    with running(faults=QUICK_JOBS) as sandbox:
        monkeypatch.setenv("AIRFLOW_CONN_INTACCT_DEFAULT", sandbox.connection())
        yield sandbox


def wait_for(job_id, **arguments):
    return lambda **how: IntacctBulkJobSensor(task_id="t", job_id=job_id, **arguments, **how)


@pytest.mark.parametrize("mode", MODES)
def test_it_waits_until_the_job_is_completed(company, mode):
    with client_of(company) as client:
        job_id = client.submit_job(CUSTOMER, "create", customers(2))
    company.fail(status=200, body=RUNNING, path=STATUS, times=2)
    outcome = run_sensor(wait_for(job_id), mode)
    assert outcome.state == "success"
    assert outcome.xcom == {"job_id": job_id, "state": "completed", "percent": 100}
    assert len(calls(company, STATUS)) == 3


@pytest.mark.parametrize("after", [0, 1])
@pytest.mark.parametrize("mode", MODES)
def test_a_job_that_failed_as_a_whole_fails_the_task_for_good(company, mode, after):
    if after:
        company.fail(status=200, body=RUNNING, path=STATUS)
    company.fail(status=200, body=FAILED, path=STATUS)
    outcome = run_sensor(wait_for("j", soft_fail=True), mode)
    assert (outcome.state, outcome.error) == ("failed", "IntacctBulkJobError")
    assert "The bulk job j failed as a whole" in outcome.message


@pytest.mark.parametrize("mode", MODES)
def test_a_job_that_never_was_fails_the_task_for_good(company, mode):
    outcome = run_sensor(wait_for("950bf10d-f119-41c9-a352-1b68b34498c3"), mode)
    assert (outcome.state, outcome.error) == ("failed", "IntacctNotFoundError")


@pytest.mark.parametrize("job_id", ["None", "", " "])
@pytest.mark.parametrize("mode", MODES)
def test_what_a_template_renders_to_nothing_is_refused_before_a_call(company, mode, job_id):
    outcome = run_sensor(wait_for(job_id), mode)
    assert (outcome.state, outcome.error) == ("failed", "IntacctArgumentError")
    assert "job_id is" in outcome.message
    assert company.requests == []
