"""Bulk jobs of our client: submitted once, followed, and read record by record."""

import json
from contextlib import contextmanager

import pytest
from sandbox_client import calls, client_of, running, stored
from sandbox_clocks import SLOW_JOBS, StandingClock

from intacct_provider.client.http.retry import RetryPolicy
from intacct_provider.client.writing import job_limits
from intacct_provider.client.writing.bulk_jobs import JobStatus
from intacct_provider.exceptions import (
    IntacctAPIError,
    IntacctArgumentError,
    IntacctConnectionError,
    IntacctError,
    IntacctIdempotencyError,
    IntacctInterruptedWriteError,
    IntacctNotFoundError,
    IntacctRateLimitError,
    IntacctResponseError,
    IntacctServerError,
    IntacctValidationError,
)

CREATE = "/services/bulk/job/create"
STATUS = "/services/bulk/job/status"
CUSTOMER = "accounts-receivable/customer"
GROUP = "accounts-receivable/customer-group"
SCOPES = {"POST": "dag/run/task"}
IMPATIENT = RetryPolicy(base=0, attempts=3)


@contextmanager
def office(**options):
    """Run a company with slow jobs; give it, our client of it, and its clock."""
    clock = StandingClock()
    with running(clock=clock, faults=SLOW_JOBS) as sandbox, client_of(sandbox, **options) as client:
        yield sandbox, client, clock


def customers(*ids):
    return [{"id": one, "name": one.lower()} for one in ids]


def read_results(sandbox, client, items, records=None, **status):
    """Return a job's results, when Intacct answers so."""
    sandbox.fail(
        path=STATUS, status=200, body={"ia::result": {"jobId": "j", "status": "completed", **status}}
    )
    sandbox.fail(path=STATUS, status=200, body=items)
    return client.job_result("j", records=records)


# --- a job's life


def test_a_job_is_followed_through_its_states():
    with office() as (_sandbox, client, clock):
        job_id = client.submit_job(CUSTOMER, "create", customers("A", "B", "C", "D"))
        seen = []
        for clock.seconds in (0, 10, 20, 22, 24, 34):
            job = client.job_status(job_id)
            seen.append((job.state, job.percent, job.finished, job.failed))
        assert seen == [
            ("queued", 0, False, False),
            ("preprocessing", 0, False, False),
            ("processing", 0, False, False),
            ("processing", 50, False, False),
            ("postprocessing", 100, False, False),
            ("completed", 100, True, False),
        ]
        # One of them tried the token out.
        assert client.transactions == 7


def test_records_are_created_and_told_one_by_one():
    with office() as (sandbox, client, clock):
        records = [*customers("A"), {"id": "B"}, *customers("C")]
        job_id = client.submit_job(CUSTOMER, "create", records)
        assert client.transactions == 1
        clock.seconds = 100
        results = client.job_result(job_id, count=3)
        assert [(one.index, one.key, one.id, one.ok) for one in results] == [
            (0, "1", "A", True), (1, None, None, False), (2, "2", "C", True),
        ]  # fmt: skip
        assert isinstance(results[1].error, IntacctValidationError)
        assert results[1].error.error_id == "REST-1064"
        assert stored(sandbox, CUSTOMER) == ["A", "C"]
        assert client.transactions == 3
        assert sandbox.transactions == 3 + 2


def test_records_are_changed_and_deleted_by_key():
    with office() as (sandbox, client, clock):
        sandbox.seed(CUSTOMER, customers("A", "B", "C", "D"))
        changed = client.submit_job(CUSTOMER, "update", [{"key": 1, "name": "x"}, {"key": "9", "name": "x"}])
        clock.seconds = 100
        results = client.job_result(changed, count=2)
        assert [(one.key, one.ok) for one in results] == [("1", True), (None, False)]
        assert isinstance(results[1].error, IntacctNotFoundError)
        assert sandbox.records(CUSTOMER)[0]["name"] == "x"
        deleted = client.submit_job(CUSTOMER, "delete", ["2", {"key": "9"}, "3"])
        clock.seconds = 200
        assert [one.ok for one in client.job_result(deleted, count=3)] == [True, False, True]
        assert stored(sandbox, CUSTOMER) == ["A", "D"]


def test_a_new_customer_group_has_an_id_alone():
    with office() as (_, client, clock):
        job_id = client.submit_job(GROUP, "create", [{"id": "G", "name": "g", "groupType": "all"}])
        clock.seconds = 100
        [result] = client.job_result(job_id)
        assert (result.ok, result.key, result.id) == (True, None, "G")


def test_a_job_writes_in_the_client_s_entity():
    with office(entity_id="UK") as (sandbox, client, clock):
        client.submit_job(CUSTOMER, "create", customers("A"))
        clock.seconds = 100
        client.list(CUSTOMER)
        assert [one["entity"]["id"] for one in sandbox.records(CUSTOMER)] == ["UK"]


def test_every_value_arrives_as_it_was():
    text = 'a "quoted" ünïcode\r\n--boundary-- 99999999999999.99 \x00'
    with office() as (sandbox, client, clock):
        record = {"id": "A", "name": "a", "notes": text, "creditLimit": 0.1}
        job_id = client.submit_job(CUSTOMER, "create", [record, *customers(*(f"C{n}" for n in range(2000)))])
        clock.seconds = 10_000
        assert all(one.ok for one in client.job_result(job_id, count=2001))
        [first] = [one for one in sandbox.records(CUSTOMER) if one["id"] == "A"]
        assert (first["notes"], first["creditLimit"]) == (text, 0.1)


def test_results_do_not_come_before_the_end():
    with office() as (_, client, clock):
        job_id = client.submit_job(CUSTOMER, "create", customers("A", "B"))
        for clock.seconds, state in ((0, "queued"), (21, r"processing \(50 %\)")):
            with pytest.raises(
                IntacctError, match=f"is {state}; its results are available when it finishes"
            ) as caught:
                client.job_result(job_id)
            assert caught.value.retryable


def test_a_job_that_never_was_is_not_found():
    with office() as (_, client, _clock):
        for ask in (client.job_status, client.job_result):
            with pytest.raises(IntacctNotFoundError, match="no bulk job"):
                ask("950bf10d-f119-41c9-a352-1b68b34498c3")


# --- results in every form


@pytest.mark.parametrize("wrapped", [False, True])
def test_results_are_read_as_a_list_and_under_ia_result(sandbox, client, wrapped):
    items = [
        {"key": "1", "id": "A", "ia::status": 201},
        {"ia::result": {"key": "2", "id": "B"}, "ia::status": 201},
        {"ia::error": {"message": "No"}, "ia::status": 422},
        {"ia::result": {"ia::error": {"message": "No"}}, "ia::status": 400},
        {"ia::status": 404},
        {"ia::status": 204},
    ]
    results = read_results(sandbox, client, {"ia::result": items} if wrapped else items)
    assert [(one.index, one.key, one.ok) for one in results] == [
        (0, "1", True), (1, "2", True), (2, None, False), (3, None, False), (4, None, False), (5, None, True),
    ]  # fmt: skip


@pytest.mark.parametrize("items", [{}, {"ia::result": {"status": "processing"}}, [None], "text"])
def test_a_result_file_that_is_none_is_an_error(sandbox, client, items):
    with pytest.raises(IntacctResponseError, match="job j is not a list of records"):
        read_results(sandbox, client, items if items != "text" else '"text"')


def test_a_result_file_whose_counts_contradict_it_is_an_error(sandbox, client):
    items = {"ia::result": [{"key": "1"}, {"key": "2"}], "ia::meta": {"totalSuccess": 1, "totalError": 1}}
    with pytest.raises(IntacctResponseError, match="counts 1 failures without showing any"):
        read_results(sandbox, client, items)


A, B = {"key": "1", "id": "A"}, {"key": "2", "id": "B"}


@pytest.mark.parametrize(
    ("file", "problem"),
    [
        ([A, A], "with two results for index 0"),
        ([A, {"key": "1", "id": "B"}], r"with two results for one record \(key 1\)"),
        ([A, {}], "without naming the one at index 1"),
        ([A, {"key": None, "id": None}], "without naming the one at index 1"),
        ({"ia::result": [A, B], "ia::meta": {"totalCount": 3}}, "and counts 3 records but shows 2"),
    ],
)
def test_a_result_file_that_leaves_in_doubt_what_was_created_is_an_error(sandbox, client, file, problem):
    with pytest.raises(IntacctResponseError, match=f"result file of the bulk job j came {problem}"):
        read_results(sandbox, client, file, records=[{"id": "A"}, {"id": "B"}])


def test_records_without_ids_are_not_created_as_one(sandbox, client):
    with pytest.raises(IntacctResponseError, match=r"two results for one record \(key 1\)"):
        read_results(sandbox, client, [A, A], records=[{"name": "A"}, {"name": "B"}])


@pytest.mark.parametrize(
    "failed",
    [
        {"status": "failed", "message": "Not valid"},
        {"status": "Rejected", "errors": [{"message": "Not valid"}]},
        {"success": False, "errors": [{"message": "Not valid"}]},
        {"errors": ["Not valid"]},
        {"ia::status": "failure", "message": "Not valid"},
        {"ia::status": "error", "key": "2", "message": "Not valid"},
    ],
)
def test_a_record_that_failed_in_words_is_rejected(sandbox, client, failed):
    results = read_results(sandbox, client, [A, {"id": "B", **failed}], records=[{"id": "A"}, {"id": "B"}])
    assert [one.ok for one in results] == [True, False]
    assert results[1].error.message == "Not valid"


def test_fields_of_a_record_say_nothing_about_its_outcome(sandbox, client):
    items = [{**A, "status": "failed", "success": False, "errors": ["x"]}, {**B, "status": "inactive"}]
    assert all(one.ok for one in read_results(sandbox, client, items, records=[{"id": "A"}, {"id": "B"}]))


@pytest.mark.parametrize(("named", "job_id"), [(7, "7"), ({"a": 1}, None), ([], None)])
def test_the_id_of_a_job_is_text_or_a_number(sandbox, client, named, job_id):
    sandbox.fail(status=202, body={"ia::result": {"jobId": named}}, path=CREATE)
    if job_id is None:
        with pytest.raises(IntacctResponseError, match="without naming it"):
            client.submit_job(CUSTOMER, "create", customers("A"))
        return
    assert client.submit_job(CUSTOMER, "create", customers("A")) == job_id
    sandbox.fail(status=200, body={"ia::result": {"jobId": named, "status": "queued"}}, path=STATUS)
    assert client.job_status(job_id).state == "queued"


def test_a_result_file_must_account_for_every_record():
    with office() as (_, client, clock):
        job_id = client.submit_job(CUSTOMER, "create", customers("A", "B"))
        clock.seconds = 100
        with pytest.raises(IntacctResponseError, match="accounts for 2 records, not for 3"):
            client.job_result(job_id, count=3)


def test_a_job_that_failed_raises_with_the_reason(sandbox, client):
    why = {"ia::error": {"code": "invalidRequest", "message": "The file is not an array"}, "ia::status": 400}
    with pytest.raises(
        IntacctInterruptedWriteError, match=r"job j failed \(0 written\): The file is"
    ) as caught:
        read_results(sandbox, client, [why], status="failed")
    assert caught.value.results == []
    assert isinstance(caught.value.__cause__, IntacctValidationError)
    assert not caught.value.retryable


def test_a_job_that_failed_half_way_keeps_what_was_written(sandbox, client):
    items = [{"key": "1", "ia::status": 201}, {"ia::error": {"message": "Broke down"}, "ia::status": 500}]
    with pytest.raises(IntacctInterruptedWriteError, match=r"failed \(1 written\): Broke down") as caught:
        read_results(sandbox, client, items, status="failed")
    assert [one.ok for one in caught.value.results] == [True, False]
    with pytest.raises(IntacctInterruptedWriteError, match="Intacct gives no reason"):
        read_results(sandbox, client, [], status="failed")


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        ({"jobId": "j", "status": "queued"}, JobStatus("j", "queued")),
        ({"ia::result": {"status": "Processing", "percentComplete": 7}}, JobStatus("j", "processing", 7)),
        ({"ia::result": {"status": "processing", "percentComplete": "7.5"}}, JobStatus("j", "processing", 7)),
        ({"ia::result": {"status": "failed", "percentComplete": None}}, JobStatus("j", "failed")),
    ],
)
def test_a_state_is_read_in_every_form(sandbox, client, answer, status):
    sandbox.fail(path=STATUS, status=200, body=answer)
    assert client.job_status("j") == status


@pytest.mark.parametrize("answer", [{}, {"ia::result": {}}, {"ia::result": {"status": "done"}}, []])
def test_a_state_that_is_not_documented_is_an_error(sandbox, client, answer):
    sandbox.fail(path=STATUS, status=200, body=answer)
    with pytest.raises(IntacctResponseError, match=r"unknown state .* for the bulk job j"):
        client.job_status("j")


# --- submitting


@pytest.mark.parametrize("status", [200, 201, 202])
@pytest.mark.parametrize("wrapped", [False, True])
def test_every_success_with_a_job_id_is_one(sandbox, client, status, wrapped):
    body = {"jobId": "j-1", "statusURL": "x"}
    sandbox.fail(path=CREATE, status=status, body={"ia::result": body} if wrapped else body)
    assert client.submit_job(CUSTOMER, "create", customers("A")) == "j-1"


def test_a_known_idempotency_key_says_that_the_job_was_submitted_before(sandbox, client):
    known = {"code": "operationFailed", "message": "A request with the same Idempotency-Key is in progress"}
    sandbox.fail(path=CREATE, status=409, body={"ia::result": {"ia::error": known}}, times=9)
    with pytest.raises(IntacctIdempotencyError, match="so it got it before") as caught:
        client.submit_job(CUSTOMER, "create", customers("A"))
    assert not caught.value.retryable


FAULTS = [
    ({"kind": "after"}, IntacctConnectionError, 1),
    ({"kind": "reset"}, IntacctConnectionError, 0),
    ({"kind": "cut"}, IntacctConnectionError, 0),
    ({"kind": "html"}, IntacctResponseError, 0),
    ({"status": 500}, IntacctServerError, 0),
    ({"status": 503}, IntacctServerError, 0),
    ({"status": 200, "body": {"ia::result": {}}}, IntacctResponseError, 0),
    ({"status": 202, "body": {}}, IntacctResponseError, 0),
]


@pytest.mark.parametrize(("fault", "kind", "jobs"), FAULTS, ids=lambda one: str(one)[:40])
def test_a_job_whose_answer_was_lost_is_never_sent_again(sandbox, client, fault, kind, jobs):
    sandbox.fail(**fault, path=CREATE)
    with pytest.raises(
        kind, match="Whether Intacct took the job is unknown, so it is not sent again"
    ) as caught:
        client.submit_job(CUSTOMER, "create", customers("A"))
    assert not caught.value.retryable
    assert len(calls(sandbox, CREATE)) == 1
    with sandbox.store.transaction() as conn:
        assert conn.execute('SELECT count(*) FROM "ia::job"').fetchone()[0] == jobs


def test_a_job_that_was_refused_is_an_error_about_it(sandbox, client):
    with pytest.raises(IntacctValidationError, match="did you mean 'accounts-receivable/customer'") as caught:
        client.submit_job("accounts-receivable/custmer", "create", customers("A"))
    assert "unknown" not in str(caught.value)


def test_a_job_that_was_not_taken_for_overload_may_be_submitted_again(sandbox):
    sandbox.fail(status=429, path=CREATE, times=0)
    with client_of(sandbox, retry=IMPATIENT) as client, pytest.raises(IntacctRateLimitError) as caught:
        client.submit_job(CUSTOMER, "create", customers("A"))
    assert caught.value.retryable
    assert "unknown" not in str(caught.value)


def test_a_job_that_never_left_may_be_submitted_again():
    with running() as sandbox, client_of(sandbox, retry=IMPATIENT) as client:
        client.list(CUSTOMER)
        sandbox.stop()
        with pytest.raises(IntacctConnectionError, match="could not connect") as caught:
            client_of(sandbox, retry=IMPATIENT).submit_job(CUSTOMER, "create", customers("A"))
        assert caught.value.retryable


def test_a_refused_token_is_renewed_and_the_job_taken(sandbox, client):
    client.list(CUSTOMER)
    sandbox.expire_tokens()
    assert client.submit_job(CUSTOMER, "create", customers("A"))
    assert [call.status for call in calls(sandbox, CREATE)] == [200]


@pytest.mark.parametrize("life", ["lives", "has ended"])
@pytest.mark.parametrize(
    "fault", [{"status": 401}, {"status": 400, "body": {"ia::error": {"errorId": "REST-1206"}}}], ids=str
)
def test_a_job_whose_answer_rejects_the_token_is_not_sent_again(sandbox, client, fault, life):
    client.list(CUSTOMER)
    sandbox.fail(**fault, done=True, path=CREATE)
    if life == "has ended":
        # Another client of this user has ended it since, so whatever is asked now says so.
        sandbox.fail(kind="expire", path="/services/core/model")
    with pytest.raises(
        IntacctResponseError, match="Whether Intacct took the job is unknown, so it is not sent again"
    ) as caught:
        client.submit_job(CUSTOMER, "create", customers("A"))
    assert not caught.value.retryable
    assert len(calls(sandbox, CREATE)) == 1
    with sandbox.store.transaction() as conn:
        assert conn.execute('SELECT count(*) FROM "ia::job"').fetchone()[0] == 1


def test_a_user_who_may_not_try_the_token_out_can_submit_jobs(sandbox, client):
    sandbox.fail(status=403, path="/services/core/model")
    assert client.submit_job(CUSTOMER, "create", customers("A"))


def test_what_is_to_happen_before_a_job_is_sent_happens_last_and_can_prevent_it(sandbox, client):
    def prevent():
        seen.append([call.path for call in sandbox.requests][-1])
        raise KeyboardInterrupt

    seen = []
    with pytest.raises(KeyboardInterrupt):
        client.submit_job(CUSTOMER, "create", customers("A"), before_sending=prevent)
    assert (seen, calls(sandbox, CREATE)) == (["/services/core/model"], [])


@pytest.mark.parametrize(("name", "limit"), [("MAX_RECORDS", 1), ("MAX_BYTES", 40)])
def test_more_than_fits_into_one_job_is_refused_before_a_call(sandbox, client, monkeypatch, name, limit):
    monkeypatch.setattr(job_limits, name, limit)
    with pytest.raises(
        IntacctArgumentError, match=f"One bulk job takes at most {limit} .* Split the records"
    ):
        client.submit_job(CUSTOMER, "create", customers("A", "B"))
    assert sandbox.requests == []


def test_a_later_attempt_submits_the_same_job_under_the_same_key(sandbox):
    jobs = []
    for _ in range(2):
        with client_of(sandbox) as client:
            client.idempotency.scopes = SCOPES
            jobs.append(client.submit_job(CUSTOMER, "create", customers("A")))
    assert jobs[0] == jobs[1]
    with client_of(sandbox) as client:
        assert client.submit_job(CUSTOMER, "create", customers("A")) != jobs[0]


def test_a_callback_is_passed_on(sandbox, client, monkeypatch):
    seen = []
    send = client._session.transport.send
    monkeypatch.setattr(
        client._session.transport, "send", lambda request: seen.append(request) or send(request)
    )
    client.submit_job(CUSTOMER, "create", customers("A"), callback_url="https://example.com/done")
    client.submit_job(CUSTOMER, "create", customers("A"))
    seen = [request for request in seen if request.path == CREATE]
    orders = [json.loads(request.content.split(b"\r\n\r\n")[1].split(b"\r\n")[0]) for request in seen]
    assert [order.get("callbackURL") for order in orders] == ["https://example.com/done", None]
    assert orders[0]["jobFile"] == "customer.json"
    assert not any(request.repeatable for request in seen)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("customer", "create", customers("A")), "Did you mean 'accounts-receivable/customer'"),
        ((CUSTOMER, "upsert", customers("A")), "must be one of create, update, delete, not 'upsert'"),
        ((CUSTOMER, "creat", customers("A")), "not 'creat'. Did you mean 'create'?"),
        ((CUSTOMER, "create", []), "records must be a list of records, not an empty one"),
        ((CUSTOMER, "create", {"id": "A"}), "records must be a list of records, not dict"),
        ((CUSTOMER, "delete", "12"), "records must be a list of records, not str"),
        ((CUSTOMER, "create", [{"id": "A"}, "B"]), r"records\[1\] must be a mapping of fields, not str"),
        ((CUSTOMER, "update", [{"id": "A"}]), r"records\[0\] needs the key of the record to update"),
        ((CUSTOMER, "delete", ["1", ""]), r"records\[1\] needs the key of the record to delete"),
        ((CUSTOMER, "create", [{"id": "A", "creditLimit": float("nan")}]), "creditLimit is nan"),
    ],
)
def test_what_cannot_be_submitted_is_refused_before_a_call(sandbox, client, arguments, text):
    with pytest.raises(IntacctArgumentError, match=text):
        client.submit_job(*arguments)
    assert calls(sandbox, CREATE) == []


@pytest.mark.parametrize("job_id", ["", " ", None, 7])
def test_what_is_no_job_id_is_refused_before_a_call(sandbox, client, job_id):
    for ask in (client.job_status, client.job_result):
        with pytest.raises(IntacctArgumentError, match="as submit_job returns it"):
            ask(job_id)
    assert calls(sandbox, STATUS) == []


def test_questions_outlast_a_fault(sandbox, client):
    job_id = client.submit_job(CUSTOMER, "create", customers("A"))
    for fault in ({"kind": "reset"}, {"kind": "cut"}, {"status": 503}):
        sandbox.fail(**fault, path=STATUS)
        assert client.job_status(job_id).id == job_id


def test_an_error_of_a_question_is_raised(sandbox, client):
    sandbox.fail(status=403, path=STATUS)
    with pytest.raises(IntacctAPIError):
        client.job_status("j")
