"""Bulk jobs of the operator, over real HTTP: submitted once, whatever fails, and accounted for record by record."""

import json
import sqlite3

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, Variable
from documented_costs import read_cost
from job_work import (
    CREATE,
    CUSTOMER,
    QUICK_JOBS,
    STATUS,
    Died,
    Task,
    attempt_until_done,
    count_jobs,
    count_submissions,
    customers,
    make_operator,
)
from sandbox_client import calls, running, stored

from intacct_provider.client.writing import job_limits
from intacct_provider.exceptions import IntacctBulkJobError, IntacctError, IntacctRateLimitError
from intacct_provider.triggers import intervals

GROUP = "accounts-receivable/customer-group"
#: What happens to the call that submits a job, and how many jobs Intacct takes nevertheless.
UNKNOWN = {
    "lost answer": ({"kind": "after"}, 1),
    "cut answer": ({"kind": "cut", "done": True}, 1),
    "cut before": ({"kind": "cut"}, 0),
    "reset": ({"kind": "reset"}, 0),
    "web page": ({"kind": "html", "done": True}, 1),
    "server error after": ({"status": 500, "done": True}, 1),
    "server error before": ({"status": 503}, 0),
    "token rejected after": ({"status": 401, "done": True}, 1),
    "bad request of a token after": (
        {
            "status": 400,
            "done": True,
            "body": {"ia::error": {"code": "invalidRequest", "errorId": "REST-1206"}},
        },
        1,
    ),
    "no id": ({"status": 202, "done": True, "body": {"ia::result": {}}}, 1),
}


@pytest.fixture(autouse=True)
def without_pauses(monkeypatch):
    """Retry and poll at once."""
    monkeypatch.setattr("intacct_provider.client.http.transport.random.random", lambda: 0.0)
    monkeypatch.setattr(intervals, "FIRST_WAIT", 0.0)
    monkeypatch.setattr("intacct_provider.triggers.polling.next_wait", lambda *_, **__: 1e-9)


@pytest.fixture
def company(monkeypatch):
    with running(faults=QUICK_JOBS) as sandbox:
        monkeypatch.setenv("AIRFLOW_CONN_INTACCT_DEFAULT", sandbox.connection())
        yield sandbox


def fail(task, **arguments):
    """Run an attempt that Airflow must not retry and return its message."""
    with pytest.raises(AirflowFailException) as caught:
        task.attempt(**arguments)
    return str(caught.value)


# --- what it does


def test_records_of_a_list_are_created(company):
    task = Task()
    result = task.attempt(records=customers(5))
    assert result.pop("job_id")
    # The model, the token, one poll, and the result with its state.
    assert result == {"records": 5, "written": 5, "rejected": 0, "transactions": 5}
    assert stored(company, CUSTOMER) == [one["id"] for one in customers(5)]
    assert count_jobs(company) == 1


def test_a_job_costs_what_the_documentation_says(company):
    Task().attempt(records=customers(1200))
    work = "creation of 1,200 customers that is completed at the first poll"
    assert company.transactions == read_cost("Bulk jobs", work)


FILES = {
    "customers.csv": "id,name,creditLimit\nA,First,10.10\nB,Second,\n",
    "customers.tsv": "id\tname\tcreditLimit\nA\tFirst\t10.10\nB\tSecond\t\n",
    "customers.jsonl": '{"id": "A", "name": "First", "creditLimit": 10.10}\n{"id": "B", "name": "Second"}\n',
    "customers.json": '[{"id": "A", "name": "First", "creditLimit": 10.10}, {"id": "B", "name": "Second"}]',
    "customers.yaml": "- {id: A, name: First, creditLimit: 10.10}\n- {id: B, name: Second}\n",
}


@pytest.mark.parametrize("name", FILES)
def test_records_of_a_file_are_created(company, tmp_path, name):
    (tmp_path / name).write_text(FILES[name])
    assert Task().attempt(records=str(tmp_path / name))["written"] == 2
    rows = company.records(CUSTOMER)
    assert [(row["id"], row["name"], row["creditLimit"]) for row in rows] == [
        ("A", "First", 10.1), ("B", "Second", None),
    ]  # fmt: skip


def test_records_of_a_query_are_created(company, tmp_path, monkeypatch):
    database = tmp_path / "source.db"
    with sqlite3.connect(database) as conn:
        conn.execute("CREATE TABLE c (id TEXT, name TEXT)")
        conn.executemany("INSERT INTO c VALUES (?, ?)", [("A", "First"), ("B", "Second")])
    monkeypatch.setenv("AIRFLOW_CONN_SOURCE", json.dumps({"conn_type": "sqlite", "host": str(database)}))
    query = {"records_sql": "SELECT id, name FROM c ORDER BY id", "sql_conn_id": "source"}
    assert Task().attempt(**query)["written"] == 2
    assert stored(company, CUSTOMER) == ["A", "B"]


def test_records_of_a_function_with_other_columns_and_a_constant_are_created(company):
    arguments = {"columns": {"Number": "id", "Title": "name"}, "constants": {"status": "inactive"}}
    Task().attempt(records=lambda: [{"Number": "A", "Title": "First"}], **arguments)
    assert [(row["id"], row["name"], row["status"]) for row in company.records(CUSTOMER)] == [
        ("A", "First", "inactive")
    ]


def test_records_without_ids_are_numbered_by_intacct(company):
    assert Task().attempt(records=[{"name": "First"}, {"name": "Second"}])["written"] == 2
    assert [row["name"] for row in company.records(CUSTOMER)] == ["First", "Second"]


def test_records_are_updated_and_deleted_by_key(company):
    company.seed(CUSTOMER, customers(4))
    changes = [{"key": "1", "name": "x"}, {"key": 3, "name": "y"}]
    assert Task().attempt(operation="update", records=changes)["written"] == 2
    assert [row["name"] for row in company.records(CUSTOMER)] == ["x", "Bulk 1", "y", "Bulk 3"]
    assert Task().attempt(operation="delete", records=["1", 4])["written"] == 2
    assert Task().attempt(operation="delete", records=[{"key": "2", "name": "ignored"}])["written"] == 1
    assert stored(company, CUSTOMER) == ["B-00002"]


# --- rejected records


def test_rejected_records_are_in_a_file_that_can_be_corrected(company, tmp_path):
    company.seed(CUSTOMER, customers(1, start=7))
    task, rejects = Task(), tmp_path / "customers.rejects.jsonl"
    text = fail(task, records=customers(10), rejects_path=str(rejects))
    assert "Intacct rejected 1 of 10 records of accounts-receivable/customer (max_rejects is 0)" in text
    assert f"They are in {rejects}. First: create B-00007" in text
    result = task.xcoms["return_value"]
    assert (result["written"], result["rejected"], result["rejects"]) == (9, 1, str(rejects))
    [line] = [json.loads(line) for line in rejects.read_text().splitlines()]
    assert (line["id"], line["name"], line["_reject"]["action"]) == ("B-00007", "Bulk 7", "create")
    rejects.write_text(json.dumps({**line, "id": "C-7"}) + "\n")
    assert Task().attempt(records=str(rejects))["written"] == 1
    assert len(stored(company, CUSTOMER)) == 11


@pytest.mark.parametrize("limits", [{"max_rejects": 1}, {"max_rejects": "1"}, {"max_reject_percent": 10}])
def test_rejected_records_within_the_limits_are_tolerated(company, tmp_path, limits):
    company.seed(CUSTOMER, customers(1, start=7))
    result = Task().attempt(records=customers(10), rejects_path=str(tmp_path / "r.jsonl"), **limits)
    assert (result["written"], result["rejected"]) == (9, 1)


def test_a_record_that_is_gone_is_rejected_by_its_key(company, tmp_path):
    company.seed(CUSTOMER, customers(2))
    rejects = tmp_path / "r.jsonl"
    result = Task().attempt(operation="delete", records=["9", "1"], max_rejects=1, rejects_path=str(rejects))
    assert (result["written"], json.loads(rejects.read_text())["key"]) == (1, "9")
    assert stored(company, CUSTOMER) == ["B-00001"]


# --- submitted once


@pytest.mark.parametrize("dead", [False, True], ids=["token lives", "token dies"])
@pytest.mark.parametrize("name", UNKNOWN)
def test_a_job_that_intacct_may_have_taken_is_not_submitted_again(company, name, dead):
    fault, taken = UNKNOWN[name]
    company.fail(**fault, path=CREATE)
    if dead:
        # Whatever the client asks next says that the token is dead: it has ended after the job was taken.
        company.fail(kind="expire", path="/services/core/model", skip=2)
    task, records = Task(), customers(3)
    first = fail(task, records=records)
    assert "Whether Intacct took the job is unknown, so it is not sent again" in first
    assert "clear this task, which submits the job" in first
    again = fail(task, records=records)
    assert "whether Intacct took the job is unknown" in again
    assert "create of 3 records of accounts-receivable/customer, SHA-256 " in again
    assert (count_submissions(company), count_jobs(company)) == (1, taken)
    assert not any(one["name"] in first + again for one in records)

    task.clear()
    company.faults.fail.clear()
    # The sandbox, as Intacct perhaps, recognizes the idempotency key of a job that it took.
    assert task.attempt(records=records)["written"] == 3
    assert (count_submissions(company), count_jobs(company)) == (2, 1)


def test_a_dead_token_is_replaced_before_the_job_is_sent(company):
    Task().attempt(records=customers(1))
    company.expire_tokens()
    Task(run_id="next").attempt(operation="delete", records=["1"])
    assert [call.status for call in calls(company, CREATE)] == [200, 200]


@pytest.mark.parametrize(
    "fault",
    [
        {"status": 429, "path": CREATE, "times": 7},
        {"status": 401, "path": "/services/core/model", "times": 7},
        {"status": 503, "path": "/services/core/model", "times": 7},
        {"kind": "reset", "path": "/services/core/model", "times": 7},
    ],
    ids=str,
)
def test_a_job_that_was_certainly_not_taken_is_submitted_by_the_next_attempt(company, fault):
    company.fail(**fault)
    task = Task()
    result = attempt_until_done(task, 30, records=customers(3))
    assert (result["written"], count_jobs(company)) == (3, 1)
    assert task.try_number > 1


def test_the_task_fails_for_good_when_intacct_refuses_the_job_and_submits_it_once_allowed(company):
    company.fail(status=403, path=CREATE)
    task = Task()
    assert "unknown" not in fail(task, records=customers(1))
    assert task.attempt(records=customers(1))["written"] == 1


@pytest.mark.parametrize("moment", ["before the id is known", "after the id is known", "at the end"])
def test_an_attempt_that_dies_leaves_one_job(company, moment):
    marks = {
        "before the id is known": '"since"',
        "after the id is known": '"job_id"',
        "at the end": '"finished"',
    }
    task = Task(died=lambda text: marks[moment] in text)
    with pytest.raises(Died):
        task.attempt(records=customers(3))
    if moment == "before the id is known":
        assert "An earlier attempt ended while it was sending a bulk job" in fail(task, records=customers(3))
        assert count_jobs(company) == 0
        return
    result = task.attempt(records=customers(3))
    assert (result["written"], count_jobs(company)) == (3, 1)


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "after"}, {"kind": "reset"}, {"kind": "cut", "done": True}, {"kind": "html"}, {"kind": "expire"},
        {"status": 401, "done": True}, {"status": 500, "done": True}, {"status": 503},
    ],
    ids=str,
)  # fmt: skip
def test_a_fault_of_any_call_neither_loses_nor_doubles_a_record(company, fault):
    for number in range(6):  # one more than there are calls
        sent, jobs = count_submissions(company), count_jobs(company)
        company.fail(**fault, path="/services", skip=number)
        records, doubt = customers(3, start=3 * number), False
        try:
            assert attempt_until_done(Task(run_id=str(number)), records=records)["written"] == 3
        except AirflowFailException as err:
            doubt = True
            assert "Whether Intacct took the job is unknown, so it is not sent again" in str(err)  # noqa: PT017
        company.faults.fail.clear()
        assert count_submissions(company) - sent == 1
        assert count_jobs(company) - jobs in ((0, 1) if doubt else (1,))
    assert stored(company, CUSTOMER).count("B-00000") == 1


def test_below_airflow_3_3_a_variable_keeps_the_job(company, monkeypatch):
    kept = {}
    monkeypatch.setattr(Variable, "get", lambda name, default=None: kept.get(name, default))
    monkeypatch.setattr(Variable, "set", kept.__setitem__)
    task = Task()
    results = [
        make_operator(records=customers(2)).execute({"ti": task, "task_state_store": None}) for _ in range(2)
    ]
    assert results[0]["job_id"] == results[1]["job_id"]
    assert (count_submissions(company), len(kept)) == (1, 1)


def test_a_cleared_task_submits_a_new_job_once_the_outcome_of_the_last_was_reported(company):
    company.seed(CUSTOMER, customers(2))
    task, changes = Task(), [{"key": "1", "name": "x"}]
    first = task.attempt(operation="update", records=changes)
    task.clear()
    assert task.attempt(operation="update", records=changes)["job_id"] != first["job_id"]
    assert count_jobs(company) == 2


def test_a_task_that_is_cleared_while_its_job_runs_follows_it(company):
    task = Task(died=lambda text: '"job_id"' in text)
    with pytest.raises(Died):
        task.attempt(records=customers(3))
    task.clear()
    assert task.attempt(records=customers(3))["written"] == 3
    assert count_jobs(company) == 1


def test_other_records_than_those_of_the_job_are_refused_until_a_person_decides(company, tmp_path):
    file = tmp_path / "customers.csv"
    file.write_text("id,name\nA,First\n")
    task = Task(died=lambda text: '"job_id"' in text)
    with pytest.raises(Died):
        task.attempt(records=str(file))
    file.write_text("id,name\nB,Other\n")
    text = fail(task, records=str(file))
    assert "An earlier attempt submitted the bulk job" in text
    assert "the records are now others (create of 1 records of accounts-receivable/customer, SHA-256 " in text
    assert "First" not in text
    assert "Other" not in text
    assert count_jobs(company) == 1

    task.clear()
    assert task.attempt(records=str(file))["written"] == 1
    assert stored(company, CUSTOMER) == ["A", "B"]


def test_the_records_as_they_were_give_the_outcome_of_the_job(company, tmp_path):
    file = tmp_path / "customers.csv"
    file.write_text("id,name\nA,First\n")
    task = Task(died=lambda text: '"job_id"' in text)
    with pytest.raises(Died):
        task.attempt(records=str(file))
    file.write_text("id,name\nB,Other\n")
    fail(task, records=str(file))
    file.write_text("id,name\nA,First\n")
    task.clear()
    assert task.attempt(records=str(file))["written"] == 1
    assert count_jobs(company) == 1


def test_another_company_s_job_is_not_followed(company, monkeypatch):
    task = Task(died=lambda text: '"job_id"' in text)
    with pytest.raises(Died):
        task.attempt(records=customers(1))
    assert "the records are now others" in fail(task, records=customers(1), entity_id="UK")


def test_a_killed_task_submits_nothing_more(company):
    operator, task = make_operator(records=customers(1)), Task()
    operator.on_kill()
    with pytest.raises(
        AirflowFailException, match="killed before its bulk job was sent; nothing was submitted"
    ):
        operator.execute({"ti": task, "task_state_store": task})
    assert (count_submissions(company), task.kept) == (0, {})
    assert task.attempt(records=customers(1))["written"] == 1


# --- questions that fail, and answers that contradict


@pytest.mark.parametrize("times", [1, pytest.param(20, marks=pytest.mark.slow)])
@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "after"}, {"kind": "cut"}, {"kind": "reset"}, {"kind": "html"}, {"status": 401}, {"status": 500},
        {"status": 503}, {"status": 429}, {"kind": "expire"},
        {"status": 200, "body": {"ia::result": {"jobId": "another", "status": "completed"}}},
        {"status": 200, "body": {"ia::result": {"status": "paused"}}},
        {"status": 200, "body": []},
    ],
    ids=str,
)  # fmt: skip
def test_questions_that_fail_neither_lose_nor_double_an_outcome(company, fault, times):
    company.seed(CUSTOMER, customers(1, start=2))
    company.fail(**fault, path=STATUS, times=times)
    result = attempt_until_done(Task(), 40, records=customers(4), max_rejects=1)
    assert (result["written"], result["rejected"], count_jobs(company)) == (3, 1, 1)


WRONG_RESULTS = {
    "a record is missing": [{"key": "1", "id": "B-00000"}],
    "another record": [{"key": "1", "id": "B-00000"}, {"key": "9", "id": "OTHER"}],
    "one record twice": [{"key": "1", "id": "B-00000"}, {"key": "1", "id": "B-00000"}],
    "not a list": {"ia::result": {"status": "completed"}},
    "other counts": {
        "ia::result": [{"key": "1", "id": "B-00000"}, {"key": "2", "id": "B-00001"}],
        "ia::meta": {"totalSuccess": 1, "totalError": 1},
    },
}


@pytest.mark.parametrize("name", WRONG_RESULTS)
def test_a_result_that_contradicts_is_red_and_the_next_attempt_reads_it_again(company, name):
    company.fail(status=200, body=WRONG_RESULTS[name], path=STATUS, skip=2)
    task = Task()
    with pytest.raises(IntacctError, match="The result file of the bulk job"):
        task.attempt(records=customers(2))
    assert task.attempt(records=customers(2))["written"] == 2
    assert count_jobs(company) == 1


def test_results_in_another_order_belong_to_their_records(company, tmp_path):
    items = [
        {"ia::error": {"message": "No"}, "ia::status": 422, "key": "3"},
        {"key": "2", "ia::status": 200},
        {"key": "1", "ia::status": 200},
    ]
    company.seed(CUSTOMER, customers(3))
    company.fail(status=200, body=items, path=STATUS, skip=2)
    records, rejects = [{"key": str(n), "name": "x"} for n in (1, 2, 3)], tmp_path / "r.jsonl"
    result = Task().attempt(operation="update", records=records, max_rejects=1, rejects_path=str(rejects))
    assert (result["written"], json.loads(rejects.read_text())["key"]) == (2, "3")


def test_a_state_that_goes_back_is_waited_for_by_the_next_attempt(company):
    back = {"ia::result": {"jobId": "j", "status": "processing", "percentComplete": 10}}
    company.fail(status=202, body={"ia::result": {"jobId": "j"}}, path=CREATE)
    company.fail(status=200, body={"ia::result": {"jobId": "j", "status": "completed"}}, path=STATUS)
    company.fail(status=200, body=back, path=STATUS, times=3)
    company.fail(status=200, body={"ia::result": {"jobId": "j", "status": "completed"}}, path=STATUS, times=2)
    company.fail(status=200, body=[{"key": "1", "id": "B-00000"}], path=STATUS)
    task = Task()
    with pytest.raises(IntacctError, match=r"The bulk job j is processing \(10 %\)"):
        task.attempt(records=customers(1))
    assert task.attempt(records=customers(1))["written"] == 1
    assert count_submissions(company) == 1


def test_a_job_that_fails_as_a_whole_fails_the_task_for_good(company):
    company.fail(status=200, body={"ia::result": {"status": "failed"}}, path=STATUS, times=2)
    company.fail(status=200, body=[{"ia::error": {"message": "No disk"}, "ia::status": 500}], path=STATUS)
    task = Task()
    text = fail(task, records=customers(2))
    assert "failed (0 written): No disk" in text
    assert "check before you clear this task, which submits all of them as a new job" in text
    task.clear()
    assert task.attempt(records=customers(2), max_rejects=2)["records"] == 2
    assert count_jobs(company) == 2


def test_a_job_that_intacct_does_not_find_is_followed_on(company):
    unknown = {"ia::error": {"code": "notFound", "message": "no bulk job"}}
    company.fail(status=404, path=STATUS, body=unknown, times=2)
    task = Task()
    with pytest.raises(IntacctBulkJobError, match="Retry or clear this task to ask again") as err:
        task.attempt(records=customers(2))
    assert err.value.retryable
    task.clear()
    with pytest.raises(IntacctBulkJobError, match="delete intacct_bulk_job from its task state store"):
        task.attempt(records=customers(2))
    assert task.attempt(records=customers(2))["written"] == 2
    assert (count_jobs(company), count_submissions(company)) == (1, 1)


def test_a_job_that_takes_too_long_keeps_running_and_is_waited_for_when_the_task_is_cleared(company):
    body = {"ia::result": {"status": "processing", "percentComplete": 40}}
    company.fail(status=200, body=body, path=STATUS, times=0)
    task = Task()
    text = fail(task, records=customers(2), timeout=1)
    assert "did not end within its timeout (1 s)" in text
    assert "It keeps running, since Intacct documents no way to cancel it" in text
    company.faults.fail.clear()
    task.clear()
    assert task.attempt(records=customers(2))["written"] == 2
    assert count_jobs(company) == 1


# --- what is refused before anything is sent


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"records": []}, "records: there are no records; a bulk job needs at least one"),
        ({}, "Give either records or records_sql; neither is given"),
        ({"records": "x.csv", "records_sql": "SELECT 1"}, "both are given"),
        ({"records": "None"}, "records is 'None', so its template rendered to nothing"),
        ({"records": "[{'id': 'A'}]"}, "records is the text of a list"),
        ({"records": "missing.csv"}, "records file 'missing.csv' cannot be read"),
        ({"operation": "upsert", "records": customers(1)}, "operation must be one of create, update, delete"),
        ({"object_name": "customer", "records": customers(1)}, f"Did you mean '{CUSTOMER}'"),
        (
            {"records": [*customers(2), *customers(1)]},
            "record 3 ('B-00000'): id is 'B-00000' in record 1 already",
        ),
        ({"operation": "update", "records": [{"name": "x"}]}, "record 1: key is not given"),
        (
            {"operation": "update", "records": [{"key": "C-1", "name": "x"}]},
            "which is not a key; keys are whole",
        ),
        (
            {"operation": "delete", "records": ["1", "2", "1"]},
            "record 3 ('1'): key is '1' in record 1 already",
        ),
        ({"operation": "delete", "records": ["1", ""]}, "record 2: key is blank"),
        ({"operation": "delete", "records": [{"id": "A"}]}, "record 1: key is not given"),
        ({"records": customers(1), "poll_interval": 0}, "poll_interval must be at least 1 second"),
        ({"records": customers(1), "max_rejects": -1}, "max_rejects is -1"),
        ({"records": customers(1), "rejects_path": "r.jsonl"}, "rejects_path"),
    ],
    ids=lambda one: str(one)[:60],
)
def test_what_is_wrong_is_reported_before_any_call(company, arguments, text):
    assert text in fail(Task(), **arguments)
    assert company.requests == []


@pytest.mark.parametrize(
    ("operation", "records", "text"),
    [
        ("create", [{"id": "A", "name": "a", "statsu": "active"}], "Did you mean 'status'?"),
        ("create", [{"id": "A", "name": "a", "shoeSize": 7}], "shoeSize is not a field of"),
        (
            "create",
            [{"id": "A", "name": "a", "status": "Active"}],
            "status is 'Active'. Did you mean 'active'?",
        ),
        ("create", [{"id": "A", "name": "#N/A"}], "name is '#N/A'"),
        ("create", [{"id": "A"}], "name is required to create the record"),
        ("create", [{"key": "1", "name": "a"}], "key (value '1') is read-only; leave it out"),
        ("update", [{"key": "1"}], "there is no field to change"),
        ("update", [{"key": "1", "CUSTNAME": "x"}], "CUSTNAME is not a field of"),
    ],
    ids=lambda one: str(one)[:60],
)
def test_what_the_model_shows_to_be_wrong_is_reported_before_the_job_is_sent(
    company, operation, records, text
):
    company.seed(CUSTOMER, customers(2))
    assert text in fail(Task(), operation=operation, records=records)
    assert count_submissions(company) == 0


def test_a_field_that_only_records_show_is_taken(company):
    company.seed(GROUP, [{"id": "G", "name": "g", "groupType": "all"}])
    record = {"id": "H", "name": "h", "groupType": "all", "nsp::CUSTOM": "x"}
    result = Task().attempt(object_name=GROUP, records=[record], max_rejects=1)
    assert result["records"] == 1


def test_a_job_is_limited_before_any_call(company, monkeypatch):
    monkeypatch.setattr(job_limits, "MAX_RECORDS", 3)
    assert "One bulk job takes at most 3 records, and here are 4" in fail(Task(), records=customers(4))
    monkeypatch.setattr(job_limits, "MAX_BYTES", 60)
    assert "One bulk job takes at most 60 bytes, and here are" in fail(Task(), records=customers(3))
    assert company.requests == []


def test_the_rejects_file_does_not_overwrite_the_records(company, tmp_path):
    file = tmp_path / "r.jsonl"
    file.write_text(json.dumps(customers(1)[0]))
    text = fail(Task(), records=str(file), rejects_path=str(tmp_path / "." / "r.jsonl"))
    assert "would overwrite records" in text
    assert company.requests == []


def test_an_overload_is_a_retryable_error(company):
    company.fail(status=429, path=CREATE)
    with pytest.raises(IntacctRateLimitError):
        Task().attempt(records=customers(1))


def test_nothing_of_a_record_is_kept_or_logged(company, caplog):
    company.seed(CUSTOMER, [{"id": "TWICE", "name": "There"}])
    records = [{"id": "TWICE", "name": "Name that nobody may see"}, {"id": "NEW", "name": "Nor this name"}]
    task = Task()
    result = task.attempt(records=records, max_rejects=1)
    seen = caplog.text + json.dumps(result) + json.dumps(task.kept)
    assert "Name that nobody" not in seen
    assert "Nor this" not in seen


# --- many records


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("faults", ["status", "download", "all"])
def test_ten_thousand_records_under_fault_schedules_are_one_job_and_each_is_reported_once(
    company, tmp_path, faults
):
    count, taken = 10_000, customers(100, start=500)
    company.seed(CUSTOMER, taken)
    for every, fault in (
        (2, {"kind": "reset"}),
        (3, {"status": 503}),
        (5, {"kind": "cut"}),
        (7, {"kind": "expire"}),
    ):
        if faults in ("status", "all"):
            company.fail(**fault, path=STATUS, every=every)
        if faults in ("download", "all"):
            company.fail(**fault, path="/services/core/model", every=every)
    rejects = tmp_path / "r.jsonl"
    result = attempt_until_done(
        Task(), 50, records=customers(count), max_rejects=100, rejects_path=str(rejects)
    )
    assert (result["records"], result["written"], result["rejected"]) == (count, count - 100, 100)
    assert (count_submissions(company), count_jobs(company)) == (1, 1)
    assert [json.loads(line)["id"] for line in rejects.read_text().splitlines()] == [
        one["id"] for one in taken
    ]
    assert len(stored(company, CUSTOMER)) == count
