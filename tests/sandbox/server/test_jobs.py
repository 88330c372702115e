"""Bulk jobs: their states by the clock, what they write and answer, limits, cost, restarts and wrong uploads."""

import json
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager

import pytest
import requests
from raw_client import RawClient, error_of, messages_of
from sandbox_client import running, stored
from sandbox_clocks import SLOW_JOBS, StandingClock

CUSTOMER = "accounts-receivable/customer"
CUSTOMERS = f"/objects/{CUSTOMER}"
GROUP = "accounts-receivable/customer-group"
CREATE = "/services/bulk/job/create"
STATUS = "/services/bulk/job/status"
ME = "airflow@SANDBOX"


@contextmanager
def office(**options):
    """Run a company with slow jobs; give it, a client of it, and its clock."""
    clock = StandingClock()
    with running(clock=clock, **{"faults": SLOW_JOBS, **options}) as sandbox:
        yield sandbox, RawClient(sandbox), clock


def customers(*ids):
    return [{"id": one, "name": one.lower()} for one in ids]


def taken(answer):
    """Return the id of a job that was taken."""
    assert answer.status_code == 200, answer.text
    return answer.json()["ia::result"]["jobId"]


def status_of(client, job_id):
    return client.job(job_id).json()["ia::result"]


def results_of(client, job_id):
    return client.job(job_id, download="true").json()


# --- states


def test_a_job_goes_through_its_states_by_the_clock():
    with office() as (sandbox, client, clock):
        job_id = taken(client.submit(customers("A", "B", "C", "D")))
        seen = []
        for clock.seconds in (0, 9, 10, 19, 20, 21, 22, 23, 24, 33, 34, 1000):
            found = status_of(client, job_id)
            seen.append(
                (clock.seconds, found["status"], found["percentComplete"], len(stored(sandbox, CUSTOMER)))
            )
        assert seen == [
            (0, "queued", 0, 0),
            (9, "queued", 0, 0),
            (10, "preprocessing", 0, 0),
            (19, "preprocessing", 0, 0),
            (20, "processing", 0, 0),
            (21, "processing", 25, 1),
            (22, "processing", 50, 2),
            (23, "processing", 75, 3),
            (24, "postprocessing", 100, 4),
            (33, "postprocessing", 100, 4),
            (34, "completed", 100, 4),
            (1000, "completed", 100, 4),
        ]


def test_what_a_test_looks_at_is_up_to_date_without_a_call():
    with office() as (sandbox, client, clock):
        taken(client.submit(customers("A", "B")))
        clock.seconds = 21
        assert [record["id"] for record in sandbox.records(CUSTOMER)] == ["A"]
        clock.seconds = 22
        assert sandbox.transactions == 2
        assert sandbox.billed == {(CUSTOMER, ME): 2}


def test_the_answers_have_the_documented_form():
    with office() as (_, client, clock):
        answer = client.submit(customers("A"))
        job_id = taken(answer)
        assert answer.json() == {
            "ia::result": {
                "jobId": job_id,
                "statusURL": f"{STATUS}?jobId={job_id}",
                "createdDateTime": "2025-03-16T12:00:00Z",
            },
            "ia::meta": {"totalCount": 1, "totalSuccess": 1, "totalError": 0},
        }
        assert client("GET", answer.json()["ia::result"]["statusURL"]).json()["ia::result"] == {
            "jobId": job_id,
            "status": "queued",
            "percentComplete": 0,
        }
        clock.seconds = 100
        assert status_of(client, job_id) == {
            "jobId": job_id,
            "status": "completed",
            "percentComplete": 100,
            "downloadURL": f"{STATUS}?jobId={job_id}&download=true",
            "jobStatusFile": f"{job_id}-response.json",
        }
        file = client("GET", status_of(client, job_id)["downloadURL"])
        assert file.headers["Content-Disposition"] == f'attachment; filename="{job_id}-response.json"'
        assert file.json() == [{"key": "1", "id": "A", "href": f"{CUSTOMERS}/1", "ia::status": 201}]


def test_asking_for_results_too_early_answers_the_status():
    with office() as (_, client, clock):
        job_id = taken(client.submit(customers("A")))
        for clock.seconds in (0, 15, 20, 25):
            assert client.job(job_id, download="true").json()["ia::result"] == status_of(client, job_id)


def test_records_are_there_at_their_time_although_nobody_asks():
    with office() as (sandbox, client, clock):
        taken(client.submit(customers("A", "B", "C")))
        clock.seconds = 22
        assert client("GET", CUSTOMERS).json()["ia::meta"]["totalCount"] == 2
        clock.seconds = 500
        rows = client(
            "POST",
            "/services/core/query",
            {"object": CUSTOMER, "fields": ["id", "audit.createdDateTime"], "orderBy": [{"key": "asc"}]},
        ).json()["ia::result"]
        assert [(row["id"], row["audit.createdDateTime"][-10:]) for row in rows] == [
            ("A", "T12:00:21Z"), ("B", "T12:00:22Z"), ("C", "T12:00:23Z"),
        ]  # fmt: skip
        assert "/bulk/job/status" not in {call.path for call in sandbox.requests}


def test_with_no_waiting_a_job_is_done_at_the_next_call():
    with office(faults={"job_seconds": 0, "job_rate": 1e9}) as (_, client, _clock):
        assert status_of(client, taken(client.submit(customers("A", "B"))))["status"] == "completed"


# --- what a job does


def test_a_wrong_record_does_not_stop_the_others():
    with office() as (sandbox, client, clock):
        sandbox.seed(CUSTOMER, customers("B"))
        job_id = taken(
            client.submit([*customers("A", "B"), {"id": "x"}, 7, {"id": "E", "nme": 1}, *customers("F")])
        )
        clock.seconds = 100
        results = results_of(client, job_id)
        assert [one["ia::status"] for one in results] == [201, 409, 400, 400, 400, 201]
        assert [one.get("id") for one in results] == ["A", None, None, None, None, "F"]
        assert all(set(one) == {"ia::error", "ia::status"} for one in results[1:5])
        assert messages_of(results[4]) == ["The nme field does not exist", "name is required"]
        assert stored(sandbox, CUSTOMER) == ["B", "A", "F"]
        assert status_of(client, job_id)["status"] == "completed"


def test_update_and_delete_take_the_key_from_the_record():
    with office() as (sandbox, client, clock):
        sandbox.seed(CUSTOMER, customers("A", "B", "C"))
        changes = [
            {"key": "2", "notes": "x"},
            {"notes": "no key"},
            {"key": "99", "notes": "x"},
            {"key": "1", "notes": "y"},
        ]
        update = taken(client.submit(changes, operation="update"))
        clock.seconds = 100
        assert [one["ia::status"] for one in results_of(client, update)] == [200, 400, 404, 200]
        assert results_of(client, update)[0] == {
            "key": "2", "id": "B", "href": f"{CUSTOMERS}/2", "ia::status": 200,
        }  # fmt: skip
        assert [one["notes"] for one in sandbox.records(CUSTOMER)] == ["y", "x", None]
        delete = taken(
            client.submit(
                [{"key": "3"}, {"id": "A"}, {"key": "1", "id": "A"}, {"key": "3"}], operation="delete"
            )
        )
        clock.seconds = 200
        results = results_of(client, delete)
        assert [one["ia::status"] for one in results] == [204, 400, 400, 404]
        assert results[0] == {"ia::status": 204}
        assert stored(sandbox, CUSTOMER) == ["A", "B"]


def test_a_record_is_written_as_its_creator_in_their_entity():
    with office() as (sandbox, client, clock):
        sandbox.seed("company-config/user", [{"id": "clerk", "name": "Clerk"}])
        clerk = RawClient(sandbox, username="clerk@SANDBOX|UK")
        job_id = taken(clerk.submit(customers("A")))
        other = taken(client.submit(customers("B"), headers={"X-IA-API-Param-Entity": "US"}))
        clock.seconds = 100
        client("GET", CUSTOMERS)
        records = {one["id"]: one for one in sandbox.records(CUSTOMER)}
        assert {one: record["entity"]["id"] for one, record in records.items()} == {"A": "UK", "B": "US"}
        assert records["A"]["audit"]["createdByUser"]["id"] == "clerk"
        assert status_of(clerk, job_id)["status"] == status_of(client, other)["status"] == "completed"


def test_a_customer_group_answers_its_id_alone_as_elsewhere():
    with office() as (_, client, clock):
        job_id = taken(client.submit([{"id": "G", "name": "g", "groupType": "all"}], objectName=GROUP))
        clock.seconds = 100
        assert results_of(client, job_id) == [{"id": "G", "ia::status": 201}]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b'{"id": "A"}', "Expected `array`, got `object`"),
        (b'[{"id": "A"}', "Input data was truncated"),
        (b"", "Input data was truncated"),
        (b"id,name\nA,a\n", "JSON is malformed"),
        (b"\xff\xfe[]", "JSON is malformed"),
        (b"[" * 100_000, "recursion"),
    ],
)
def test_a_file_that_is_no_array_fails_the_job(content, reason):
    with office() as (sandbox, client, clock):
        job_id = taken(client.submit(content))
        clock.seconds = 19
        assert status_of(client, job_id)["status"] == "preprocessing"
        clock.seconds = 20
        assert status_of(client, job_id) == {
            "jobId": job_id,
            "status": "failed",
            "percentComplete": 0,
            "jobStatusFile": f"{job_id}-response.json",
        }
        [why] = results_of(client, job_id)
        assert why["ia::status"] == 400
        assert messages_of(why)[0].startswith("The file records.json is not a JSON array: ")
        assert reason in messages_of(why)[0]
        assert sandbox.transactions == 3


def test_a_file_without_records_completes():
    with office() as (_, client, clock):
        job_id = taken(client.submit([]))
        clock.seconds = 30
        assert status_of(client, job_id)["status"] == "completed"
        assert results_of(client, job_id) == []


def test_a_fault_of_the_sandbox_itself_fails_the_record_and_no_other_call(caplog):
    message = "accounts-receivable/customer-message"
    with office() as (sandbox, client, clock):
        taken(client.submit([{"id": "very particular text"}] * 2, objectName=message))
        with sandbox.store.transaction() as conn:
            conn.execute(f'DROP TABLE "{message}"')
        clock.seconds = 100
        assert client("GET", CUSTOMERS).status_code == 200
        with sandbox.store.transaction() as conn:
            elements = [json.loads(row[0]) for row in conn.execute('SELECT content FROM "ia::job record"')]
            assert conn.execute('SELECT status FROM "ia::job"').fetchone()[0] == "completed"
        assert [one["ia::status"] for one in elements] == [500, 500]
        assert caplog.text.count("OperationalError") == 2
        assert "very particular text" not in caplog.text


# --- several jobs


def finished(client, jobs):
    return [status_of(client, job_id)["status"] for job_id in jobs]


def test_on_tier_1_jobs_run_one_after_the_other():
    with office() as (sandbox, client, clock):
        jobs = [taken(client.submit(customers(f"A{n}", f"B{n}"))) for n in range(3)]
        clock.seconds = 31  # 10 queued, 10 preprocessing, 2 records; the first is in its last state
        assert finished(client, jobs) == ["postprocessing", "queued", "queued"]
        clock.seconds = 32
        assert finished(client, jobs) == ["completed", "preprocessing", "queued"]
        clock.seconds = 53
        assert finished(client, jobs) == ["completed", "postprocessing", "queued"]
        clock.seconds = 75
        assert finished(client, jobs) == ["completed", "completed", "postprocessing"]
        clock.seconds = 76
        assert finished(client, jobs) == ["completed", "completed", "completed"]
        assert stored(sandbox, CUSTOMER) == ["A0", "B0", "A1", "B1", "A2", "B2"]


def test_a_late_look_finds_what_many_looks_would_have_found():
    with office() as (sandbox, client, clock):
        for n in range(3):
            taken(client.submit(customers(f"A{n}", f"B{n}")))
        clock.seconds = 10_000
        client("GET", CUSTOMERS)
        made = [one["audit"]["createdDateTime"][-9:-1] for one in sandbox.records(CUSTOMER)]
        assert made == ["12:00:21", "12:00:22", "12:00:43", "12:00:44", "12:01:05", "12:01:06"]


def test_a_higher_tier_runs_more_jobs_at_a_time():
    with office(tier=2) as (sandbox, client, clock):
        jobs = [taken(client.submit(customers(f"A{n}", f"B{n}"))) for n in range(3)]
        clock.seconds = 21
        assert finished(client, jobs) == ["processing", "processing", "queued"]
        assert stored(sandbox, CUSTOMER) == ["A0", "A1"]
        clock.seconds = 32
        assert finished(client, jobs) == ["completed", "completed", "preprocessing"]


def test_a_failed_job_makes_room_for_the_next():
    with office() as (_, client, clock):
        jobs = [taken(client.submit(b"{}")), taken(client.submit(customers("A")))]
        clock.seconds = 19
        assert finished(client, jobs) == ["preprocessing", "queued"]
        clock.seconds = 20
        assert finished(client, jobs) == ["failed", "preprocessing"]


def test_calls_at_the_same_time_write_each_record_once():
    with office(faults={**SLOW_JOBS, "concurrency": 50}) as (sandbox, client, clock):
        job_id = taken(client.submit(customers(*(f"C{n}" for n in range(300)))))
        clock.seconds = 1000
        headers = dict(client.session.headers)

        def look(_):
            return requests.get(sandbox.url + CUSTOMERS, headers=headers, timeout=60).status_code

        with ThreadPoolExecutor(8) as pool:
            assert set(pool.map(look, range(24))) == {200}
        assert stored(sandbox, CUSTOMER) == [f"C{n}" for n in range(300)]
        assert {one["ia::status"] for one in results_of(client, job_id)} == {201}
        assert sandbox.billed[CUSTOMER, ME] == 300 + 24


# --- cost


def test_each_record_written_is_billed_to_who_sent_the_job():
    with office() as (sandbox, client, clock):
        sandbox.seed("company-config/user", [{"id": "clerk", "name": "Clerk"}])
        clerk = RawClient(sandbox, username="clerk@SANDBOX")
        taken(clerk.submit([*customers("A", "B"), {"id": "no name"}]))
        assert sandbox.billed == {}
        clock.seconds = 22
        client("GET", CUSTOMERS)
        assert sandbox.billed == {(CUSTOMER, "clerk@SANDBOX"): 2, (CUSTOMER, ME): 1}
        assert sandbox.requests[-1].transactions == 1
        clock.seconds = 100
        client("GET", CUSTOMERS)
        assert sandbox.billed == {(CUSTOMER, "clerk@SANDBOX"): 2, (CUSTOMER, ME): 2}


def test_asking_for_a_job_is_a_read():
    with office() as (sandbox, client, _):
        job_id = taken(client.submit([]))
        client.job(job_id)
        client.job("nothing")
        assert sandbox.billed == {("services/bulk/job/status", ME): 1}


# --- restarts


def test_a_job_goes_on_after_a_restart(tmp_path):
    db = str(tmp_path / "company.db")
    with office(db=db) as (sandbox, client, clock):
        job_id = taken(client.submit(customers("A", "B", "C", "D")))
        clock.seconds = 22
        assert status_of(client, job_id)["percentComplete"] == 50
        sandbox.stop()
    with office(db=db) as (sandbox, client, clock):
        clock.seconds = 22
        assert stored(sandbox, CUSTOMER) == ["A", "B"]
        assert status_of(client, job_id)["percentComplete"] == 50
        clock.seconds = 34
        assert status_of(client, job_id)["status"] == "completed"
        assert [one["id"] for one in results_of(client, job_id)] == ["A", "B", "C", "D"]
        assert stored(sandbox, CUSTOMER) == ["A", "B", "C", "D"]
        assert sandbox.billed[CUSTOMER, ME] == 2


def test_each_record_is_a_transaction_of_its_own(tmp_path):
    """A reader of the file sees what is committed each time that the clock is read."""
    path, clock, seen = tmp_path / "company.db", StandingClock(), []

    def watched():
        if seen:
            with closing(sqlite3.connect(path)) as reader:
                seen.append(reader.execute(f'SELECT count(*) FROM "{CUSTOMER}"').fetchone()[0])  # noqa: S608
        return clock()

    with running(clock=watched, faults=SLOW_JOBS, db=str(path)) as sandbox:
        client = RawClient(sandbox)
        taken(client.submit(customers("A", "B", "C")))
        seen.append(0)
        clock.seconds = 100
        client("GET", CUSTOMERS)
    assert sorted(set(seen)) == [0, 1, 2, 3]


def test_what_was_uploaded_does_not_stay(tmp_path):
    path = tmp_path / "company.db"
    with office(db=str(path)) as (sandbox, client, clock):
        taken(client.submit([{"id": "A", "nme": "very particular text"}]))
        clock.seconds = 100
        client("GET", CUSTOMERS)
        sandbox.stop()
    with closing(sqlite3.connect(path)) as reader:
        [content] = [row[0] for row in reader.execute('SELECT content FROM "ia::job record"')]
    assert b"very particular text" not in content


# --- whose job


def test_a_job_of_another_user_is_not_there():
    with office() as (sandbox, client, _):
        sandbox.seed("company-config/user", [{"id": "clerk", "name": "Clerk"}])
        job_id = taken(client.submit([]))
        answer = RawClient(sandbox, username="clerk@SANDBOX").job(job_id)
        assert (answer.status_code, error_of(answer)["code"]) == (404, "notFound")
        assert RawClient(sandbox).job(job_id).status_code == 200


def test_a_job_that_never_was_is_not_there():
    with office() as (_, client, _clock):
        answer = client.job("950bf10d-f119-41c9-a352-1b68b34498c3")
        assert (answer.status_code, error_of(answer)["code"]) == (404, "notFound")


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ({}, "jobId is required"),
        ({"jobId": ""}, "jobId is required"),
        ({"jobId": "x", "download": "yes"}, "download must be true or false"),
        ({"jobId": "x", "start": "1"}, "start is not a valid query parameter"),
    ],
)
def test_a_wrong_question_is_400(sandbox, query, text):
    answer = RawClient(sandbox)("GET", STATUS, params=query)
    assert answer.status_code == 400
    assert text in error_of(answer)["message"]


# --- repeated and wrong uploads


def test_a_repeated_upload_is_one_job():
    with office() as (sandbox, client, clock):
        key = {"Idempotency-Key": "k1"}
        first, again = (client.submit(customers("A"), headers=key) for _ in range(2))
        assert first.json() == again.json()
        assert "x-ia-idempotency-cached-date" in again.headers
        assert client.submit(customers("B"), headers=key).status_code == 409
        assert client.submit(customers("A"), headers=key, operation="update").status_code == 409
        clock.seconds = 100
        client("GET", CUSTOMERS)
        assert stored(sandbox, CUSTOMER) == ["A"]


def test_the_file_may_be_in_a_part_named_like_it(sandbox):
    client = RawClient(sandbox)
    assert client.submit([], part="records.json").status_code == 200
    assert client.submit([], part="file", callbackURL="https://example.com/done").status_code == 200
    assert client.submit([], part="file", callbackURL=None).status_code == 200
    other = client.submit([], part="data")
    assert other.status_code == 400
    assert "the part file, or records.json, is missing" in error_of(other)["message"]


def test_the_file_may_come_as_a_plain_field(sandbox):
    request = {"objectName": CUSTOMER, "operation": "create", "jobFile": "x", "fileContentType": "json"}
    files = {"ia::requestBody": (None, json.dumps(request)), "file": (None, b"[" + b" " * 2_000_000 + b"]")}
    assert RawClient(sandbox)("POST", CREATE, files=files).status_code == 200


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"objectName": "customers"}, "did you mean 'accounts-receivable/customer'?"),
        ({"operation": "upsert"}, "Invalid enum value 'upsert'"),
        ({"fileContentType": "csv"}, "Invalid enum value 'csv'"),
        ({"jobFile": None}, "Expected `str`, got `null` - at `$.jobFile`"),
        ({"callbackURL": 1}, "Expected `str | null`, got `int` - at `$.callbackURL`"),
        ({"callback": "x"}, "unknown field `callback`"),
    ],
)
def test_a_wrong_request_is_named(sandbox, changes, text):
    answer = RawClient(sandbox).submit([], **changes)
    assert answer.status_code == 400
    assert text in error_of(answer)["message"]
    with sandbox.store.transaction() as conn:
        assert conn.execute('SELECT count(*) FROM "ia::job"').fetchone()[0] == 0


REQUEST = b'{"objectName": "accounts-receivable/customer"}'
PART = b'Content-Disposition: form-data; name="ia::requestBody"\r\n\r\n'


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/json", REQUEST),
        ("application/x-www-form-urlencoded", b"ia%3A%3ArequestBody=%7B%7D"),
        ("multipart/mixed; boundary=x", b"--x\r\n" + PART + b"{}\r\n--x--\r\n"),
        ("multipart/form-data", b"--x\r\n" + PART + b"{}\r\n--x--\r\n"),
        ("multipart/form-data; boundary=x", b""),
        ("multipart/form-data; boundary=x", b"nonsense"),
        ("multipart/form-data; boundary=x", b"--x\r\n" + PART + b"{}"),
        ("multipart/form-data; boundary=x", b"--x\r\nContent-Disposition: form-data\r\n\r\n{}\r\n--x--\r\n"),
        ("multipart/form-data; boundary=x", b"--x\r\nno colon\r\n\r\n{}\r\n--x--\r\n"),
        ("multipart/form-data; boundary=x; charset=nonsense", b"--x\r\n" + PART + b"\xff\r\n--x--\r\n"),
        ("multipart/form-data; boundary=x", b"--x\r\n" + PART + b"[]\r\n--x--\r\n"),
        ("multipart/form-data; boundary=" + "x" * 300, b"--" + b"x" * 300 + b"\r\n"),
    ],
)
def test_an_upload_of_another_form_is_400(sandbox, content_type, body):
    client = RawClient(sandbox)
    answer = client("POST", CREATE, data=body, headers={"Content-Type": content_type})
    assert answer.status_code == 400
    assert "ia::requestBody" in error_of(answer)["message"]
    nobody = requests.post(
        sandbox.url + CREATE, data=body, headers={"Content-Type": content_type}, timeout=10
    )
    assert (nobody.status_code, nobody.json()["error"]["code"]) == (401, "GW-0034")


def test_what_is_uploaded_reaches_no_log(caplog):
    with office() as (sandbox, client, clock):
        caplog.set_level("DEBUG")
        taken(client.submit([{"id": "A", "name": "very particular text", "nme": "very particular text"}]))
        client.submit(b"very particular text")
        clock.seconds = 100
        client("GET", CUSTOMERS)
        assert "very particular text" not in caplog.text
        assert "very particular text" not in repr(sandbox.requests)
