"""Bulk jobs in Airflow: the same outcome on the worker and deferred."""

from __future__ import annotations

import json

import pytest
from sandbox_client import calls

from intacct_provider.operators.jobs import IntacctBulkJobOperator
from intacct_provider.triggers import intervals, polling

CUSTOMER = "accounts-receivable/customer"
CREATE = "/services/bulk/job/create"
STATUS = "/services/bulk/job/status"
MODES = ["plain", "deferrable"]


@pytest.fixture(autouse=True)
def without_waits(monkeypatch):
    monkeypatch.setattr(intervals, "FIRST_WAIT", 0.0)
    monkeypatch.setattr(polling, "next_wait", lambda *_, **__: 0.05)


@pytest.fixture
def company(sandbox):
    """The demo company, with jobs that take a moment in each state."""
    sandbox.faults.job_seconds, sandbox.faults.job_rate = 0.1, 1e6
    return sandbox


@pytest.fixture
def source(tmp_path):
    file = tmp_path / "customers.csv"
    file.write_text("id,name\n" + "".join(f"NEW-{n},New {n}\n" for n in range(20)))
    return {"records": str(file), "folder": str(tmp_path)}


def result(run):
    (task,) = run.get_task_instances()
    return str(task.state), task.xcom_pull(task_ids="job")


@pytest.mark.parametrize("mode", MODES)
def test_a_job_is_submitted_waited_for_and_accounted_for(run_dag, company, source, mode):
    state, found = result(run_dag(f"bulk_job_{mode}", **source))
    assert state == "success"
    assert found.pop("job_id")
    assert found.pop("transactions")
    assert found == {"records": 20, "written": 20, "rejected": 0}
    assert len(calls(company, CREATE)) == 1
    # It took some polls.
    assert len(calls(company, STATUS)) > 2


@pytest.mark.parametrize("mode", MODES)
def test_each_mapped_task_has_a_job_of_its_own_also_with_the_same_records(run_dag, company, tmp_path, mode):
    (tmp_path / "one.csv").write_text("id,name\n,Mapped\n")
    run = run_dag(f"mapped_job_{mode}", folder=str(tmp_path))
    tasks = run.get_task_instances()
    assert [str(task.state) for task in tasks] == ["success"] * 2
    found = [task.xcom_pull(task_ids="job", map_indexes=task.map_index) for task in tasks]
    assert len({one["job_id"] for one in found}) == 2
    assert sum(row["name"] == "Mapped" for row in company.records(CUSTOMER)) == 2


@pytest.mark.parametrize("mode", MODES)
def test_rejected_records_fail_the_task_once_and_are_in_its_xcom_and_file(run_dag, company, source, mode):
    company.seed(CUSTOMER, [{"id": "NEW-7", "name": "There"}])
    run = run_dag(f"bulk_job_{mode}", **source)
    state, found = result(run)
    assert (state, found["written"], found["rejected"]) == ("failed", 19, 1)
    (task,) = run.get_task_instances()
    assert task.try_number == 1
    with open(found["rejects"]) as file:
        assert json.loads(file.read())["id"] == "NEW-7"
    assert len(calls(company, CREATE)) == 1


@pytest.mark.parametrize("mode", MODES)
def test_trouble_while_it_waits_neither_fails_the_task_nor_submits_again(run_dag, company, source, mode):
    company.fail(kind="html", path=STATUS, times=3)
    state, found = result(run_dag(f"bulk_job_{mode}", **source))
    assert (state, found["written"]) == ("success", 20)
    assert len(calls(company, CREATE)) == 1


@pytest.mark.parametrize("mode", MODES)
def test_a_lost_answer_fails_the_task_for_good_after_one_submission(run_dag, company, source, mode):
    company.fail(kind="after", path=CREATE)
    run = run_dag(f"bulk_job_{mode}", **source)
    (task,) = run.get_task_instances()
    assert (str(task.state), task.try_number) == ("failed", 1)
    assert len(calls(company, CREATE)) == 1


@pytest.mark.parametrize("mode", MODES)
def test_a_job_that_fails_as_a_whole_fails_the_task_for_good(run_dag, company, source, mode):
    company.fail(path=STATUS, status=200, body={"ia::result": {"status": "failed"}}, times=2)
    company.fail(path=STATUS, status=200, body=[{"ia::error": {"message": "No"}, "ia::status": 500}])
    run = run_dag(f"bulk_job_{mode}", **source)
    (task,) = run.get_task_instances()
    assert (str(task.state), task.try_number) == ("failed", 1)
    assert len(calls(company, CREATE)) == 1


def test_the_example_creates_the_customers_of_its_file(run_dag, company, tmp_path):
    run = run_dag("intacct_bulk_create_customers", folder=f"file://{tmp_path}")
    (task,) = [one for one in run.get_task_instances() if one.task_id == "create_customers"]
    found = task.xcom_pull(task_ids="create_customers")
    assert (str(task.state), found["written"], found["rejected"]) == ("success", 8, 0)
    assert sum(row["id"].startswith("NEW-") for row in company.records(CUSTOMER)) == 8


def test_the_trigger_comes_back_from_its_stored_form():
    from airflow_parts import deserialize, import_string, serialize

    from intacct_provider.triggers.jobs import IntacctBulkJobTrigger

    trigger = IntacctBulkJobTrigger(
        intacct_conn_id="c", entity_id="UK", job_id="j", poll_interval=15, max_wait=300.0, deadline=1e9
    )
    path, arguments = trigger.serialize()
    assert path == "intacct_provider.triggers.jobs.IntacctBulkJobTrigger"
    again = import_string(path)(**deserialize(serialize(arguments)))
    assert again.serialize() == (path, arguments)


def test_a_job_whose_note_is_gone_is_not_submitted_again(sandbox, tmp_path):
    from airflow.providers.common.compat.sdk import AirflowFailException

    records = [{"id": "NEW", "name": "New"}]
    operator = IntacctBulkJobOperator(task_id="t", object_name=CUSTOMER, operation="create", records=records)
    event = {"status": "success", "summary": {"job_id": "j", "state": "completed"}}
    with pytest.raises(AirflowFailException, match="What was kept of the bulk job is gone"):
        operator.execute_complete({}, event)
    assert calls(sandbox, CREATE) == []


@pytest.mark.parametrize("event", [None, {}, {"status": "finished"}, {"status": "error", "message": "x"}])
def test_an_unknown_event_is_a_failure(sandbox, event):
    from airflow.providers.common.compat.sdk import AirflowFailException

    from intacct_provider.exceptions import IntacctTriggerError

    operator = IntacctBulkJobOperator(task_id="t", object_name=CUSTOMER, operation="create", records=[])
    with pytest.raises((AirflowFailException, IntacctTriggerError)):
        operator.execute_complete({}, event)
