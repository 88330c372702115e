"""Our client when the network or the server fails: nothing lost, nothing done twice, nothing misreported."""

import socket
import threading
import traceback
from concurrent.futures import ThreadPoolExecutor

import pytest
from sandbox_client import RETRY, InterruptedClient, calls, client_of, config_of, running, stored

from intacct_provider.client import IntacctClient
from intacct_provider.client.http.retry import RetryPolicy
from intacct_provider.exceptions import (
    IntacctAuthenticationError,
    IntacctConflictError,
    IntacctConnectionError,
    IntacctError,
    IntacctInterruptedWriteError,
    IntacctNotFoundError,
    IntacctPermissionError,
    IntacctRateLimitError,
    IntacctResponseError,
    IntacctServerError,
    IntacctTokenError,
    IntacctValidationError,
)

CUSTOMER = "accounts-receivable/customer"
CUSTOMER_GROUP = "accounts-receivable/customer-group"
ACCOUNT_GROUP = "general-ledger/account-group"
PURPOSE = "general-ledger/account-group-purpose"
PATH = f"/objects/{PURPOSE}"
QUERY = "/services/core/query"
TOKEN = "/oauth2/token"
IMPATIENT = RetryPolicy(attempts=2, base=0.01, budget=10)
LATER = {"Retry-After": "0"}
BROKEN = [pytest.param({"kind": kind}, id=kind) for kind in ("cut", "reset", "after")]
BUSY = [
    pytest.param({"status": status, "headers": LATER}, id=str(status)) for status in (429, 500, 502, 503, 504)
]


def purposes(count, first=0):
    return [{"id": f"P{n:04d}"} for n in range(first, first + count)]


# --- what passes by


@pytest.mark.parametrize("fault", BROKEN + BUSY)
def test_reads_outlast_a_fault(sandbox, client, fault):
    created = client.create_many(PURPOSE, purposes(5))
    keys = [result.key for result in created]
    reads = {
        "query": lambda: client.query(PURPOSE, ["id"], order_by=[{"key": "asc"}]).rows[4],
        "rows": lambda: [*client.iter_rows(PURPOSE, ["id"])][4],
        "get": lambda: {"id": client.get(PURPOSE, keys[4])["id"]},
        "get_many": lambda: {"id": [*client.get_many(PURPOSE, keys)][4]["id"]},
        "list": lambda: {"id": max(one["id"] for one in client.list(PURPOSE))},
        "model": lambda: {"id": "P0004"} if client.model(PURPOSE)["fields"]["id"] else None,
    }
    for name, read in reads.items():
        before = len(sandbox.requests)
        sandbox.fail(**fault, times=2)
        assert read() == {"id": "P0004"}, name
        assert len(sandbox.requests) == before + 3, name


@pytest.mark.parametrize("fault", BROKEN + BUSY)
def test_a_creation_outlasts_a_fault_and_happens_once(sandbox, client, fault):
    sandbox.fail(**fault, method="POST", path=PATH, times=2)
    created = client.create(PURPOSE, {"id": "P"})
    assert created["id"] == "P"
    assert client.get(PURPOSE, created["key"])["id"] == "P"
    assert stored(sandbox, PURPOSE) == ["P"]
    posts = calls(sandbox, PATH, "POST")
    assert len(posts) == 3
    assert len({call.idempotency_key for call in posts}) == 1
    assert posts[0].idempotency_key
    assert client.transactions == sandbox.transactions == 2


@pytest.mark.parametrize("fault", [*BROKEN, BUSY[3]])
def test_a_customer_without_id_is_created_once(sandbox, client, fault):
    """Nothing but the idempotency key shows that the second request is the same record."""
    sandbox.fail(**fault, method="POST", path=f"/objects/{CUSTOMER}")
    assert client.create(CUSTOMER, {"name": "Only one"})["id"] == "C-00001"
    assert stored(sandbox, CUSTOMER) == ["C-00001"]


@pytest.mark.parametrize("fault", [*BROKEN, BUSY[3]])
def test_a_batch_outlasts_a_fault_and_happens_once(sandbox, client, fault):
    sandbox.fail(**fault, method="POST", path=PATH)
    results = client.create_many(PURPOSE, purposes(1200))
    assert [result.id for result in results] == [one["id"] for one in purposes(1200)]
    assert all(result.ok and result.key for result in results)
    assert stored(sandbox, PURPOSE) == [one["id"] for one in purposes(1200)]
    assert client.transactions == sandbox.transactions == 1200


@pytest.mark.parametrize("fault", [*BROKEN, BUSY[3]])
def test_an_update_outlasts_a_fault(sandbox, client, fault):
    keys = [result.key for result in client.create_many(PURPOSE, purposes(3))]
    sandbox.fail(**fault, method="PATCH")
    client.update(PURPOSE, keys[0], {"status": "inactive"})
    sandbox.fail(**fault, method="PATCH")
    results = client.update_many(PURPOSE, [{"key": key, "status": "inactive"} for key in keys[1:]])
    assert all(result.ok for result in results)
    assert {row["status"] for row in client.iter_rows(PURPOSE, ["status"])} == {"inactive"}
    assert client.transactions == sandbox.transactions == 3 + 3 + 1


@pytest.mark.parametrize("fault", [*BROKEN, BUSY[3]])
def test_a_deletion_outlasts_a_fault(sandbox, client, fault):
    keys = [result.key for result in client.create_many(PURPOSE, purposes(501))]
    sandbox.fail(**fault, method="DELETE")
    client.delete(PURPOSE, keys[0])
    sandbox.fail(**fault, method="DELETE")
    results = client.delete_many(PURPOSE, keys[1:])
    assert [(result.ok, result.key) for result in results] == [(True, key) for key in keys[1:]]
    assert stored(sandbox, PURPOSE) == []
    assert client.transactions == sandbox.transactions == 501 + 501


def test_a_deletion_of_what_never_was_is_not_excused_by_a_fault(sandbox, client):
    """A 404 to the first request says that there was nothing; only a 404 to a repeated one is a success."""
    with pytest.raises(IntacctNotFoundError):
        client.delete(PURPOSE, "99")
    [one, two] = client.create_many(PURPOSE, purposes(2))
    results = client.delete_many(PURPOSE, [one.key, "99", two.key])
    assert [result.ok for result in results] == [True, False, True]
    assert isinstance(results[1].error, IntacctNotFoundError)
    assert client.transactions == sandbox.transactions == 4


def test_a_deletion_that_was_only_refused_before_is_not_excused(sandbox, client):
    """A 429 or a refused token did nothing, so the 404 after it is the truth."""
    client.create_many(PURPOSE, purposes(2))
    for refusal in ({"status": 429, "headers": LATER}, {"status": 401}):
        sandbox.fail(**refusal, method="DELETE")
        with pytest.raises(IntacctNotFoundError):
            client.delete(PURPOSE, "99")
        sandbox.fail(**refusal, method="DELETE")
        assert [result.ok for result in client.delete_many(PURPOSE, ["98", "99"])] == [False, False]
    assert client.transactions == sandbox.transactions == 2


def test_a_lost_deletion_is_remembered_when_the_token_expires_too(sandbox, client):
    keys = [result.key for result in client.create_many(PURPOSE, purposes(3))]
    for delete in (
        lambda: client.delete(PURPOSE, keys[0]),
        lambda: client.delete_many(PURPOSE, keys[1:]),
    ):
        sandbox.fail(kind="after", method="DELETE")
        sandbox.fail(status=401, method="DELETE")
        results = delete()
        assert results in (None, True) or all(result.ok for result in results)
    assert stored(sandbox, PURPOSE) == []
    assert client.transactions == sandbox.transactions == 6


def test_a_customer_group_whose_answer_was_lost_still_has_its_key(sandbox, client):
    sandbox.fail(kind="after", method="POST", path=f"/objects/{CUSTOMER_GROUP}")
    created = client.create(CUSTOMER_GROUP, {"id": "G", "name": "G"})
    assert client.get(CUSTOMER_GROUP, created["key"])["id"] == "G"
    assert stored(sandbox, CUSTOMER_GROUP) == ["G"]


def test_a_customer_group_counts_as_written_when_its_key_cannot_be_looked_up(sandbox):
    with client_of(sandbox, IMPATIENT) as client:
        sandbox.fail(path=QUERY, times=2)
        assert client.create(CUSTOMER_GROUP, {"id": "G", "name": "G"}) == {
            "key": None,
            "id": "G",
            "href": None,
        }
    assert stored(sandbox, CUSTOMER_GROUP) == ["G"]


def test_a_read_goes_on_in_the_middle(sandbox):
    with client_of(sandbox, page_size=100) as client:
        client.create_many(PURPOSE, purposes(450))
        rows = client.iter_rows(PURPOSE, ["id"])
        seen = [next(rows) for _ in range(100)]
        for kind in ("cut", "reset", "status"):
            sandbox.fail(kind=kind, path=QUERY)
        seen += rows
    assert [row["id"] for row in seen] == [one["id"] for one in purposes(450)]


# --- what does not pass by


def test_web_pages_instead_of_answers(sandbox, client):
    sandbox.fail(kind="html", path=QUERY, times=0)
    with pytest.raises(IntacctResponseError, match=r"text/html.*not JSON.*host.*proxy") as caught:
        client.query(PURPOSE, ["id"])
    assert "Please wait" not in str(caught.value)
    assert len(calls(sandbox, QUERY)) > 1, "it may have come from something in between"


def test_a_web_page_instead_of_an_answer_is_passed_over(sandbox, client):
    sandbox.fail(kind="html", path=QUERY)
    assert client.query(PURPOSE, ["id"]).rows == []


def test_a_web_page_instead_of_a_token(sandbox, client):
    sandbox.fail(kind="html", path=TOKEN)
    with pytest.raises(IntacctResponseError, match="text/html"):
        client.query(PURPOSE, ["id"])
    assert client.query(PURPOSE, ["id"]).rows == [], "the next call asks for a token again"


@pytest.mark.parametrize("done", [False, True])
def test_a_web_page_instead_of_the_answer_to_a_write(sandbox, client, done):
    sandbox.fail(kind="html", path=PATH, done=done)
    key = client.create(PURPOSE, {"id": "P"})["key"]
    assert [record["key"] for record in sandbox.records(PURPOSE)] == [key]
    assert client.transactions == 1


def test_a_server_that_is_down_is_named(sandbox):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    url = f"http://127.0.0.1:{port}/ia/api/v1"
    with (
        client_of(sandbox, IMPATIENT, base_url=url) as client,
        pytest.raises(IntacctConnectionError) as caught,
    ):
        client.query(PURPOSE, ["id"])
    assert f"127.0.0.1:{port}" in str(caught.value)
    assert "could not connect" in str(caught.value)
    assert "2 attempts" in str(caught.value)
    assert sandbox.identity.client_secret not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize("kind", ["cut", "reset"])
def test_a_connection_that_keeps_breaking(sandbox, kind):
    with client_of(sandbox, IMPATIENT) as client:
        client.query(PURPOSE, ["id"])
        sandbox.fail(kind=kind, path=QUERY, times=2)
        with pytest.raises(IntacctConnectionError, match="before the response was complete after 2 attempts"):
            client.query(PURPOSE, ["id"])
        assert client.transactions == 1


def test_a_server_that_says_nothing(sandbox):
    with client_of(sandbox, IMPATIENT, timeout=0.2) as client:
        client.query(PURPOSE, ["id"])
        sandbox.fail(kind="hang", path=QUERY, times=1, seconds=20)
        assert client.query(PURPOSE, ["id"]).rows == []
        sandbox.fail(kind="hang", path=QUERY, times=2, seconds=20)
        with pytest.raises(IntacctConnectionError, match=r"no response within 0\.2 s after 2 attempts"):
            client.query(PURPOSE, ["id"])


@pytest.mark.parametrize(
    ("status", "error"),
    [(429, IntacctRateLimitError), (500, IntacctServerError), (503, IntacctServerError)],
)
def test_a_server_that_keeps_failing(sandbox, status, error):
    with client_of(sandbox, IMPATIENT) as client:
        sandbox.fail(status=status, path=QUERY, times=2)
        with pytest.raises(error) as caught:
            client.query(PURPOSE, ["id"])
    assert caught.value.status == status
    assert len(calls(sandbox, QUERY)) == 2


def test_a_pause_longer_than_the_budget_ends_at_once(sandbox, client):
    sandbox.fail(status=503, path=QUERY, headers={"Retry-After": "3600"})
    with pytest.raises(IntacctServerError):
        client.query(PURPOSE, ["id"])
    assert len(calls(sandbox, QUERY)) == 1


@pytest.mark.parametrize("status", [400, 403, 404, 409, 422])
def test_a_refusal_is_not_sent_again(sandbox, client, status):
    sandbox.fail(status=status, path=QUERY)
    with pytest.raises(IntacctError) as caught:
        client.query(PURPOSE, ["id"])
    assert caught.value.status == status
    assert len(calls(sandbox, QUERY)) == 1
    assert client.transactions == 0


def test_a_missing_permission(sandbox, client):
    body = {"ia::error": {"code": "forbidden", "message": "No permission", "errorId": "GW-0042"}}
    sandbox.fail(status=403, path=PATH, body=body)
    with pytest.raises(IntacctPermissionError, match="role lacks the permission"):
        client.create(PURPOSE, {"id": "P"})


def test_an_error_under_200_is_an_error(sandbox, client):
    body = {"ia::result": {"ia::error": {"code": "invalidRequest", "message": "Not so"}}}
    for path, call in {
        QUERY: lambda: client.query(PURPOSE, ["id"]),
        f"{PATH}/1": lambda: client.get(PURPOSE, "1"),
        PATH: lambda: client.create(PURPOSE, {"id": "P"}),
    }.items():
        sandbox.fail(status=200, path=path, body=body)
        with pytest.raises(IntacctValidationError, match="Not so"):
            call()
    assert client.transactions == 0


@pytest.mark.parametrize(
    "body",
    [{}, {"ia::result": None}, {"ia::result": {"a": 1}}, {"ia::result": [1]}, [], 5, "null", {"x": []}],
)
def test_an_answer_that_is_no_page_is_not_taken_for_an_empty_one(sandbox, client, body):
    sandbox.fail(status=200, path=QUERY, body=body, times=0)
    with pytest.raises(IntacctError):
        list(client.iter_rows(PURPOSE, ["id"]))


@pytest.mark.parametrize("count", [0, 1, 3])
def test_an_answer_that_does_not_account_for_every_record(sandbox, client, count):
    sandbox.fail(status=201, path=PATH, body={"ia::result": [{"key": "1", "id": "P"}] * count})
    with pytest.raises(IntacctResponseError, match="without accounting for each"):
        client.create_many(PURPOSE, purposes(2))


def is_write(request):
    return request.method in ("PATCH", "DELETE") or request.path == PATH


@pytest.mark.parametrize("verb", ["create_many", "update_many", "delete_many"])
def test_a_write_of_many_that_stops_keeps_what_was_answered(sandbox, client, verb):
    records = purposes(1100)
    keys = [result.key for result in client.create_many(PURPOSE, records)]
    what = {
        "create_many": [{"id": f"New {n}"} for n in range(1100)],
        "update_many": [{"key": key, "status": "inactive"} for key in keys],
        "delete_many": keys,
    }[verb]
    stumbling = InterruptedClient(
        sandbox, lambda: sandbox.fail(kind="reset", times=2), concerns=is_write, retry=IMPATIENT
    )
    with stumbling, pytest.raises(IntacctInterruptedWriteError) as caught:
        getattr(stumbling, verb)(PURPOSE, what)
    assert len(caught.value.results) == 500
    assert all(result.ok for result in caught.value.results)
    assert "1100 records" in str(caught.value)
    assert "stopped after 500 (500 written)" in str(caught.value)
    assert isinstance(caught.value.__cause__, IntacctConnectionError)
    sandbox.clear_faults()
    left = [*client.iter_rows(PURPOSE, ["id", "status"])]
    assert len(left) == {"create_many": 1600, "update_many": 1100, "delete_many": 600}[verb]
    inactive = sum(row["status"] == "inactive" for row in left)
    assert inactive == (500 if verb == "update_many" else 0)


def test_a_batch_is_asked_for_again_by_an_airflow_retry_and_written_once(sandbox):
    """The first attempt loses the answer to its second batch permanently; the second attempt sends everything again."""
    scopes = {"POST": "dag run task"}
    with client_of(sandbox, RetryPolicy(attempts=1)) as first:
        first.idempotency.scopes = scopes
        assert all(result.ok for result in first.create_many(PURPOSE, purposes(500)))
        sandbox.fail(kind="after", path=PATH, method="POST")
        with pytest.raises(IntacctConnectionError):
            first.create_many(PURPOSE, purposes(500, first=500))
        assert first.transactions == 500
    with client_of(sandbox) as second:
        second.idempotency.scopes = scopes
        results = second.create_many(PURPOSE, purposes(1200))
    assert all(result.ok and result.key for result in results)
    assert stored(sandbox, PURPOSE) == [one["id"] for one in purposes(1200)]
    # 200 written, and one read for each batch that was answered from the cache: is it all still there?
    assert second.transactions == 202
    assert sandbox.transactions == 1202


# --- tokens


def test_expired_tokens_are_renewed_in_the_middle_of_a_read(sandbox):
    with client_of(sandbox, page_size=100) as client:
        client.create_many(PURPOSE, purposes(450))
        rows = client.iter_rows(PURPOSE, ["id"])
        seen = [next(rows)["id"]]
        sandbox.expire_tokens()
        seen += [row["id"] for row in rows]
    assert seen == [one["id"] for one in purposes(450)]
    assert len(calls(sandbox, TOKEN)) == 2
    assert [call.status for call in calls(sandbox, QUERY)].count(401) == 1


def test_expired_tokens_are_renewed_for_a_write(sandbox, client):
    client.query(PURPOSE, ["id"])
    sandbox.expire_tokens()
    client.create(PURPOSE, {"id": "P"})
    sandbox.expire_tokens()
    assert all(result.ok for result in client.create_many(PURPOSE, purposes(2)))
    assert len(stored(sandbox, PURPOSE)) == 3
    assert client.transactions == sandbox.transactions == 4


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (400, {"ia::result": {"ia::error": {"code": "invalidRequest", "errorId": "REST-1206"}}}),
        (400, {"ia::error": {"code": "tokenInvalid", "errorId": "REST-2102"}}),
        (401, {"error": {"code": "GW-0040", "message": "Token expired"}}),
        (401, {}),
        (400, {"error": {"code": "GW-0031", "message": "Invalid JWT"}}),
        (400, {"error": {"code": "GW-0034", "message": "Not Bearer"}}),
        (403, {"error": {"code": "GW-0031", "message": "Invalid JWT"}}),
        (400, {"ia::error": {"errorId": "REST-7001", "details": [{"errorId": "REST-1206"}]}}),
        (400, {"ia::error": {"errorId": "XX-0001", "message": "The token is not valid"}}),
        (400, [{"ia::error": {"errorId": "REST-1206"}, "ia::status": 400}]),
        (500, {"ia::error": {"code": "tokenInvalid"}}),
    ],
)
def test_every_way_of_refusing_a_token_renews_it(sandbox, client, status, body):
    client.query(PURPOSE, ["id"])
    sandbox.fail(status=status, path=QUERY, body=body)
    assert client.query(PURPOSE, ["id"]).rows == []
    assert len(calls(sandbox, TOKEN)) == 2


@pytest.mark.parametrize("status", [207, 400])
def test_a_token_that_is_refused_for_every_record_is_renewed(sandbox, client, status):
    refused = {"ia::error": {"errorId": "REST-1206"}, "ia::status": 400}
    sandbox.fail(status=status, path=PATH, body={"ia::result": [refused] * 2})
    assert all(result.ok for result in client.create_many(PURPOSE, purposes(2)))
    assert len(stored(sandbox, PURPOSE)) == 2
    assert len(calls(sandbox, TOKEN)) == 2


def test_tokens_that_are_refused_every_time_end_soon_in_an_error_that_says_what_to_do(sandbox, client):
    body = {"error": {"code": "GW-0040", "message": "Expired"}}
    sandbox.fail(status=401, path=QUERY, times=99, body=body)
    with pytest.raises(IntacctTokenError, match="Check that the user is active") as caught:
        client.query(PURPOSE, ["id"])
    assert caught.value.retryable
    assert len(calls(sandbox, TOKEN)) == len(calls(sandbox, QUERY)) == RETRY.attempts


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (403, {"ia::error": {"errorId": "XX-0001", "message": "Invalid token"}}),
        (401, {"ia::error": {"errorId": "REST-1064", "message": "No"}}),
    ],
)
def test_weak_evidence_against_a_token_costs_one_renewal(sandbox, client, status, body):
    sandbox.fail(status=status, path=QUERY, times=99, body=body)
    with pytest.raises(IntacctAuthenticationError, match=body["ia::error"]["message"]):
        client.query(PURPOSE, ["id"])
    assert len(calls(sandbox, TOKEN)) == len(calls(sandbox, QUERY)) == 2


@pytest.mark.parametrize(
    ("changes", "advice"),
    [
        ({"client_secret": "hunter2-hunter2"}, "password"),
        ({"client_id": "nobodys-app"}, "login"),
        ({"user_id": "nobody"}, "user_id"),
        ({"company_id": "Nowhere Inc"}, "company_id"),
        ({"company_id": "sandbox"}, "company_id"),
    ],
)
def test_wrong_credentials_are_refused_with_advice_and_without_the_secret(sandbox, caplog, changes, advice):
    caplog.set_level("DEBUG")
    config = config_of(sandbox, **changes)
    with IntacctClient(config, retry=RETRY) as client, pytest.raises(IntacctAuthenticationError) as caught:
        client.query(PURPOSE, ["id"])
    message = str(caught.value)
    assert advice in message
    assert repr(config.client_id) in message
    assert repr(config.user_id) in message
    assert repr(config.company_id) in message
    everything = message + "".join(traceback.format_exception(caught.value)) + caplog.text + repr(config)
    assert config.client_secret not in everything
    assert len(calls(sandbox, TOKEN)) == 1, "a user may be locked out by trying again"
    assert calls(sandbox, QUERY) == []


def test_a_refused_login_is_asked_for_again_by_the_next_call(sandbox, client):
    body = {"error": "invalid_client", "error_description": "Not yet authorized"}
    sandbox.fail(status=401, path=TOKEN, body=body)
    with pytest.raises(IntacctAuthenticationError, match="Not yet authorized"):
        client.query(PURPOSE, ["id"])
    assert client.query(PURPOSE, ["id"]).rows == []


@pytest.mark.parametrize("fault", [*BROKEN, BUSY[3]])
def test_asking_for_a_token_outlasts_a_fault(sandbox, client, fault):
    sandbox.fail(**fault, path=TOKEN, times=2)
    assert client.query(PURPOSE, ["id"]).rows == []


@pytest.mark.parametrize(
    "body", [{}, {"token_type": "Bearer"}, [], {"access_token": ""}, {"access_token": 5}]
)
def test_a_token_answer_without_a_token(sandbox, client, body):
    sandbox.fail(status=200, path=TOKEN, body=body)
    with pytest.raises(IntacctResponseError, match="without an access token"):
        client.query(PURPOSE, ["id"])


def test_twenty_threads_share_one_token():
    with running(faults={"concurrency": 100}) as sandbox:
        together = threading.Barrier(20)

        def read(_):
            with client_of(sandbox) as client:
                together.wait(10)
                return client.query(PURPOSE, ["id"]).rows

        with ThreadPoolExecutor(20) as pool:
            assert [*pool.map(read, range(20))] == [[]] * 20
        assert len(calls(sandbox, QUERY)) == 20
        assert len(calls(sandbox, TOKEN)) == 1


def test_twenty_threads_renew_an_expired_token_once():
    with running(faults={"concurrency": 100}) as sandbox:
        together = threading.Barrier(20)
        with client_of(sandbox, max_concurrency=20) as client:
            client.query(PURPOSE, ["id"])
            sandbox.expire_tokens()

            def read(_):
                together.wait(10)
                return client.query(PURPOSE, ["id"]).rows

            with ThreadPoolExecutor(20) as pool:
                assert [*pool.map(read, range(20))] == [[]] * 20
        assert len(calls(sandbox, TOKEN)) == 2


def test_a_renewed_secret_is_another_login(sandbox):
    with client_of(sandbox) as client:
        client.query(PURPOSE, ["id"])
    with client_of(sandbox, client_secret="another") as client, pytest.raises(IntacctAuthenticationError):
        client.query(PURPOSE, ["id"])


# --- limits


def test_a_company_that_allows_two_calls_at_a_time():
    with running(faults={"concurrency": 2}) as sandbox:
        with client_of(sandbox, max_concurrency=8) as client:
            client.query(PURPOSE, ["id"])
            sandbox.faults.latency = 0.1
            together = threading.Barrier(8)

            def write_and_read(n):
                together.wait(10)
                key = client.create(PURPOSE, {"id": f"P{n}"})["key"]
                return client.get(PURPOSE, key)["id"]

            with ThreadPoolExecutor(8) as pool:
                assert [*pool.map(write_and_read, range(8))] == [f"P{n}" for n in range(8)]
            # The first response reports the limit, so no request is rejected.
            assert not any(call.status == 429 for call in sandbox.requests)
            assert client.transactions == sandbox.transactions
        assert len(stored(sandbox, PURPOSE)) == 8


def test_threads_that_share_a_client_write_each_record_once(sandbox):
    with client_of(sandbox) as client:

        def write(n):
            return [result.ok for result in client.create_many(PURPOSE, purposes(50, first=50 * n))]

        with ThreadPoolExecutor(8) as pool:
            assert all(all(done) for done in pool.map(write, range(8)))
        assert sorted(stored(sandbox, PURPOSE)) == [one["id"] for one in purposes(400)]
        assert client.transactions == sandbox.transactions == 400


# --- idempotency


def test_a_second_attempt_of_a_task_creates_nothing_twice(sandbox):
    scopes = {"POST": "dag\0run\0task\0-1"}
    made = []
    for _attempt in range(2):
        with client_of(sandbox) as client:
            client.idempotency.scopes = scopes
            one = client.create(CUSTOMER, {"name": "Same"})
            many = client.create_many(CUSTOMER, [{"name": "Same"}, {"name": "Same"}])
            made.append([one["key"], *(result.key for result in many)])
            made.append(client.transactions)
    assert made[0] == made[2] == ["1", "2", "3"]
    # The second attempt writes nothing; it reads once for each answer, whether the records are still there.
    assert [made[1], made[3]] == [3, 2]
    assert len(stored(sandbox, CUSTOMER)) == 3
    assert sandbox.transactions == 5


def test_what_was_deleted_since_is_created_again_when_a_task_is_cleared(sandbox):
    """The cache would go on telling of the creation for 48 hours, and the task would be green without a record."""
    scopes, group = {"POST": "dag run task"}, "accounts-receivable/customer-group"
    keys = []
    for _run in range(2):
        with client_of(sandbox) as client:
            client.idempotency.scopes = scopes
            one = client.create(CUSTOMER, {"id": "ONE", "name": "One"})
            many = client.create_many(group, [{"id": "A", "name": "A"}, {"id": "B", "name": "B"}])
            keys.append([one["key"], *(result.key for result in many)])
        with client_of(sandbox) as other:
            assert [result.ok for result in many] == [True, True]
            other.delete(CUSTOMER, one["key"])
            other.delete(group, many[1].key)
    assert keys[0][1] == keys[1][1]
    assert keys[0][0] != keys[1][0]
    assert keys[0][2] != keys[1][2]
    assert stored(sandbox, group) == ["A"]


def test_a_busy_server_does_not_make_a_replay_look_new(sandbox):
    scopes, billed = {"POST": "dag run task"}, []
    for fault in (None, {"status": 429, "headers": LATER}, {"status": 401}):
        with client_of(sandbox) as client:
            client.idempotency.scopes = scopes
            for name in ("a", "b"):
                if fault:
                    sandbox.fail(**fault, method="POST", path=PATH)
                client.create(PURPOSE, {"id": name})
            billed.append(client.transactions)
    # Two writes; then for each replayed creation one read, which shows that its record still exists.
    assert billed == [2, 2, 2]
    assert sandbox.transactions == 6


def test_the_same_record_twice_in_one_attempt_is_two_records(sandbox, client):
    client.idempotency.scopes = {"POST": "dag run task"}
    keys = {client.create(CUSTOMER, {"name": "Twin"})["key"] for _ in range(2)}
    assert keys == {"1", "2"}


def test_other_tasks_create_records_of_their_own(sandbox):
    for scope in ("task a", "task b", None):
        with client_of(sandbox) as client:
            client.idempotency.scopes = {"POST": scope} if scope else {}
            client.create(CUSTOMER, {"name": "Same"})
    assert len(stored(sandbox, CUSTOMER)) == 3


def test_entities_do_not_share_keys(sandbox):
    for entity in ("", "UK"):
        with client_of(sandbox, entity_id=entity) as client:
            client.idempotency.scopes = {"POST": "task"}
            try:
                client.create(PURPOSE, {"id": f"P {entity}"})
            except IntacctConflictError as err:
                pytest.fail(f"the key was taken for the other entity's: {err}")
    assert stored(sandbox, PURPOSE) == ["P ", "P UK"]


def test_a_cached_failure_is_asked_again(sandbox):
    """Intacct keeps a failure for 48 hours; after the cause is fixed, the retry must see the truth."""
    record = {"name": "x", "term": {"id": "N30"}}
    scopes = {"POST": "dag run task"}
    for _attempt in range(2):
        with client_of(sandbox) as client:
            client.idempotency.scopes = scopes
            with pytest.raises(IntacctValidationError, match="N30"):
                client.create(CUSTOMER, record)
    with client_of(sandbox) as client:
        client.create("accounts-receivable/term", {"id": "N30", "description": "Net 30"})
        client.idempotency.scopes = scopes
        assert client.create(CUSTOMER, record)["id"] == "C-00001"
        assert client.transactions == 2
    with client_of(sandbox) as client:
        client.idempotency.scopes = scopes
        assert client.create(CUSTOMER, record)["id"] == "C-00001"
        assert client.transactions == 1
    assert len(stored(sandbox, CUSTOMER)) == 1


def test_a_cached_failure_of_one_record_of_a_batch_is_asked_again(sandbox):
    records = [{"name": "a"}, {"name": "b", "term": {"id": "N30"}}, {"name": "c"}]
    scopes = {"POST": "dag run task"}
    with client_of(sandbox) as client:
        client.idempotency.scopes = scopes
        assert [result.ok for result in client.create_many(CUSTOMER, records)] == [True, False, True]
    with client_of(sandbox) as client:
        client.create("accounts-receivable/term", {"id": "N30", "description": "Net 30"})
        client.idempotency.scopes = scopes
        results = client.create_many(CUSTOMER, records)
        assert [(result.ok, result.index) for result in results] == [(True, 0), (True, 1), (True, 2)]
        assert [result.id for result in results] == ["C-00001", "C-00003", "C-00002"]
        names = [record["name"] for record in client.get_many(CUSTOMER, [one.key for one in results])]
        assert names == ["a", "b", "c"]
    assert len(stored(sandbox, CUSTOMER)) == 3


# --- entities and costs


def test_the_entity_goes_with_every_call(sandbox):
    with client_of(sandbox, entity_id="UK") as client:
        key = client.create(PURPOSE, {"id": "P"})["key"]
        client.update_many(PURPOSE, [{"key": key, "status": "inactive"}])
        client.query(PURPOSE, ["id"])
        client.list(PURPOSE)
        client.get(PURPOSE, key)
        client.model(PURPOSE)
        client.delete(PURPOSE, key)
    assert len(sandbox.requests) == 8
    assert {call.entity for call in sandbox.requests if call.path != TOKEN} == {"UK"}


def test_an_entity_that_does_not_exist_is_named(sandbox):
    lost = client_of(sandbox, entity_id="Atlantis")
    with lost, pytest.raises(IntacctValidationError, match="Atlantis"):
        lost.query(PURPOSE, ["id"])


def test_the_client_counts_what_intacct_bills(sandbox):
    """Reads that were answered, records that were written; neither faults nor refusals nor replays."""
    with client_of(sandbox, page_size=100) as client:
        client.create_many(PURPOSE, purposes(250))
        sandbox.fail(status=503, headers=LATER)
        assert len([*client.iter_rows(PURPOSE, ["key"])]) == 250
        sandbox.fail(kind="after", method="POST", path=PATH)
        key = client.create(PURPOSE, {"id": "One more"})["key"]
        with pytest.raises(IntacctConflictError):
            client.create(PURPOSE, {"id": "One more"})
        client.create_many(PURPOSE, [{"id": "Two more"}, {"id": "One more"}])
        client.update(PURPOSE, key, {"status": "inactive"})
        sandbox.fail(kind="cut", method="GET")
        client.get(PURPOSE, key)
        client.list(PURPOSE)
        with pytest.raises(IntacctNotFoundError):
            client.get(PURPOSE, "99999")
        sandbox.expire_tokens()
        sandbox.fail(kind="after", method="DELETE")
        client.delete_many(PURPOSE, [str(n) for n in range(1, 121)])
        client.find(PURPOSE, "Two more")
        for name in (PURPOSE, PURPOSE, CUSTOMER):
            client.model(name)
        # 250 written, 3 pages and the highest key, 1, 1 of 2, 1, 2 reads, 120 deleted, 1 read, 2 models
        assert client.transactions == sandbox.transactions == 250 + 4 + 1 + 1 + 1 + 2 + 120 + 1 + 2
