"""Batch writes with rejected records, in every documented form, whatever happens to the response."""

import pytest
from reliability_work import CUSTOMER, PURPOSE, attempt, events
from sandbox_client import client_of, running, stored

from intacct_provider.client.http.retry import RetryPolicy
from intacct_provider.exceptions import (
    IntacctConflictError,
    IntacctError,
    IntacctResponseError,
    IntacctServerError,
)

SECTION = "Writes"
COUNT = 5
PATH = f"/objects/{PURPOSE}"
PER_RECORD = "reports the status of each record"
AGAIN = "retries with the same idempotency key"


def line(fault, does, *result):
    return pytest.mark.line(SECTION, fault, does, *result)


@pytest.fixture
def company():
    with running() as one:
        yield one


@pytest.fixture
def client(company):
    with client_of(company) as ours:
        yield ours


FAILING = {
    "the first": {0},
    "the middle one": {2},
    "the last": {4},
    "the first and the last": {0, 4},
    "all": {0, 1, 2, 3, 4},
    "none": set(),
}
failing = pytest.mark.parametrize(
    "failing",
    [
        pytest.param(which, marks=line(f"207: {name} of several records rejected", PER_RECORD))
        for name, which in FAILING.items()
    ],
    ids=FAILING,
)
# What else happens to the call: nothing, its response is lost in several ways, or its status is changed.
ways = pytest.mark.parametrize(
    "way",
    [
        None,
        {"kind": "alter", "status": 207},
        {"kind": "alter", "status": 200},
        {"kind": "reset", "done": True},
        {"kind": "cut", "done": True},
        {"kind": "cut", "done": True, "framing": "close", "at": 60},
        {"status": 503, "done": True, "times": 2},
        {"kind": "expire"},
    ],
    ids=["plain", "under 207", "under 200", "reset", "cut", "cut unnoticed", "503", "expired"],
)


def plan(company, way, method):
    if way:
        company.fail(**way, method=method, path="/objects")


def assert_reported(results, failing):
    assert [result.index for result in results] == [*range(COUNT)]
    assert {result.index for result in results if not result.ok} == failing
    assert {result.index for result in results if result.error} == failing


@ways
@failing
def test_creations_of_which_some_are_refused(company, client, failing, way):
    ids = [f"P{n}" for n in range(COUNT)]
    company.seed(PURPOSE, [{"id": ids[n]} for n in sorted(failing)])
    plan(company, way, "POST")
    results = client.create_many(PURPOSE, [{"id": name, "status": "inactive"} for name in ids])
    assert_reported(results, failing)
    created = {r["key"]: r["id"] for r in company.records(PURPOSE) if r["status"] == "inactive"}
    assert created == {result.key: ids[result.index] for result in results if result.ok}
    assert events(company, PURPOSE) == {(key, "created"): 1 for key in created} | {
        (record["key"], "created"): 1 for record in company.records(PURPOSE) if record["status"] == "active"
    }


@ways
@failing
def test_updates_of_which_some_are_refused(company, client, failing, way):
    keys = company.seed(PURPOSE, [{"id": f"P{n}"} for n in range(COUNT)])
    company.seed(PURPOSE, [{"id": "Taken"}])
    plan(company, way, "PATCH")
    changes = [{"key": key, "id": "Taken" if n in failing else f"New {n}"} for n, key in enumerate(keys)]
    results = client.update_many(PURPOSE, changes)
    assert_reported(results, failing)
    assert [result.key for result in results] == keys
    assert stored(company, PURPOSE) == [
        *(f"{'P' if n in failing else 'New '}{n}" for n in range(COUNT)),
        "Taken",
    ]
    modified = {
        key: times for (key, action), times in events(company, PURPOSE).items() if action == "modified"
    }
    assert modified == {keys[n]: 1 for n in range(COUNT) if n not in failing}


@ways
@failing
def test_deletions_of_which_some_are_refused(company, client, failing, way):
    """A deletion is rejected because another record refers to it, which is not a lost response."""
    keys = company.seed(CUSTOMER, [{"name": f"C{n}"} for n in range(COUNT)])
    company.seed(CUSTOMER, [{"name": "Child", "parent": {"key": keys[n]}} for n in sorted(failing)])
    plan(company, way, "DELETE")
    results = client.delete_many(CUSTOMER, keys)
    assert_reported(results, failing)
    assert [result.key for result in results] == keys
    left = [record["name"] for record in company.records(CUSTOMER) if record["name"] != "Child"]
    assert left == [f"C{n}" for n in sorted(failing)]


@ways
@failing
@line("atomic call with a rejected record", "reports the rejected record, and the others as unprocessed")
def test_all_or_none(company, client, failing, way):
    ids = [f"P{n}" for n in range(COUNT)]
    company.seed(PURPOSE, [{"id": ids[n]} for n in sorted(failing)])
    plan(company, way, "POST")
    results = client.create_many(PURPOSE, [{"id": name, "status": "inactive"} for name in ids], atomic=True)
    assert_reported(results, set(range(COUNT)) if failing else set())
    assert {result.index for result in results if result.error and not result.unprocessed} == failing
    written = [r["id"] for r in company.records(PURPOSE) if r["status"] == "inactive"]
    assert written == ([] if failing else ids)


# --- one record


@pytest.mark.parametrize("status", [200, 201, 207])
@line("error in a response with HTTP 200", "raises the error")
def test_an_error_inside_success(company, client, status):
    company.seed(PURPOSE, [{"id": "Taken"}])
    company.fail(kind="alter", status=status, path=PATH)
    with pytest.raises(IntacctError) as caught:
        client.create(PURPOSE, {"id": "Taken"})
    assert caught.value.retryable is False
    company.fail(kind="alter", status=status, path=PATH)
    [result] = client.create_many(PURPOSE, [{"id": "Taken"}])
    assert not result.ok
    assert stored(company, PURPOSE) == ["Taken"]


@pytest.mark.parametrize("body", [b"", b"{", b'{"ia::result":', b"\xff\xfe"])
@pytest.mark.parametrize("method", ["POST", "PATCH"])
@line("success with an empty or truncated body; the call was executed", AGAIN)
def test_success_that_says_nothing(company, client, method, body):
    made = client.create(CUSTOMER, {"name": "Before"})["key"]
    company.fail(status=200, body=body, done=True, method=method, path=f"/objects/{CUSTOMER}")
    if method == "PATCH":
        client.update(CUSTOMER, made, {"name": "After"})
        assert events(company) == {(made, "created"): 1, (made, "modified"): 1}
    else:
        other = client.create(CUSTOMER, {"name": "Other"})["key"]
        assert events(company) == {(made, "created"): 1, (other, "created"): 1}


@pytest.mark.parametrize("body", [{}, {"ia::result": {}}, {"ia::result": None}, {"ia::result": []}, []])
@line("success without a record in the response", "treats it as an error", "an error that Airflow retries")
def test_success_that_names_no_record(company, body):
    """The next attempt of the task sends the same request, and the result is exact."""
    company.fail(status=201, body=body, done=True, path=PATH)
    with attempt(company) as first, pytest.raises(IntacctResponseError) as caught:
        first.create(PURPOSE, {"id": "P"})
    assert caught.value.retryable
    with attempt(company) as second:
        key = second.create(PURPOSE, {"id": "P"})["key"]
    assert events(company, PURPOSE) == {(key, "created"): 1}


@pytest.mark.parametrize("status", [500, 503, 429, 504])
@line(
    "retries exhausted after the call was executed",
    "fails; the next attempt of the task gets the first response",
)
def test_an_attempt_that_fails_for_good_is_followed_by_another(company, status):
    records = [{"name": f"C{n}"} for n in range(COUNT)]
    impatient = RetryPolicy(attempts=2, base=0)
    company.fail(status=status, done=True, times=2, path=f"/objects/{CUSTOMER}")
    with attempt(company, impatient) as first, pytest.raises(IntacctError) as caught:
        first.create_many(CUSTOMER, records)
    assert caught.value.retryable
    with attempt(company) as second:
        results = second.create_many(CUSTOMER, records)
    assert [(r["key"], r["name"]) for r in company.records(CUSTOMER)] == [
        (result.key, record["name"]) for result, record in zip(results, records, strict=True)
    ]
    assert events(company) == {(result.key, "created"): 1 for result in results}


@line("failure cached under the idempotency key by an earlier attempt", "retries once with another key")
def test_a_cached_failure_is_retried(company):
    company.seed(PURPOSE, [{"id": "P"}])
    with attempt(company) as first, pytest.raises(IntacctConflictError):
        first.create(PURPOSE, {"id": "P"})
    with attempt(company) as second:
        client_key = second.query(PURPOSE, ["key"]).rows[0]["key"]
        second.delete(PURPOSE, client_key)
        key = second.create(PURPOSE, {"id": "P"})["key"]
    assert stored(company, PURPOSE) == ["P"]
    assert key != client_key


@line(
    "409: an earlier request is still running",
    "waits for it and uses its response; never reports a conflict",
)
def test_a_request_that_is_still_running(company):
    """The client times out while the server still writes; its retry meets the lock on the idempotency key."""
    company.fail(kind="hang", done=True, path=f"/objects/{CUSTOMER}")
    busy = {
        "ia::result": {"ia::error": {"code": "invalidRequest", "message": "Idempotency-Key is in progress"}}
    }
    company.fail(status=409, body=busy, path=f"/objects/{CUSTOMER}", times=2)
    with client_of(company, timeout=0.2) as client:
        key = client.create(CUSTOMER, {"name": "One"})["key"]
    assert events(company) == {(key, "created"): 1}
    company.fail(status=409, body=busy, path=f"/objects/{CUSTOMER}", times=0)
    with client_of(company, RetryPolicy(attempts=3, base=0)) as client, pytest.raises(IntacctServerError):
        client.create(CUSTOMER, {"name": "Two"})
