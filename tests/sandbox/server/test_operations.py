"""The small services, the methods of every address, and the memory of idempotency keys."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
import requests
from raw_client import RawClient, error_of, messages_of
from sandbox_client import running, stored
from sandbox_clocks import HeldClock

from intacct_provider.sandbox.api.operations import ADDRESSES

CUSTOMER = "accounts-receivable/customer"
CUSTOMERS = f"/objects/{CUSTOMER}"
ALLOWED = "/services/core/allowed-operations/list"
ALL = ["canView", "canEdit", "canDelete"]
ENTITY = "X-IA-API-Param-Entity"


@pytest.fixture
def client(sandbox):
    return RawClient(sandbox)


@pytest.fixture
def ask(client):
    """Ask what may be done with customers; give the operations of each key, in the order of the answer."""

    def ask(*keys, headers=None, **more):
        question = {"object": CUSTOMER, "keys": list(keys), **more}
        answer = client("POST", ALLOWED, question, headers=headers)
        assert answer.status_code == 200, answer.text
        return [(one["key"], one["operations"]) for one in answer.json()["ia::result"]]

    return ask


# --- allowed operations


def test_a_record_in_use_cannot_be_deleted(ask, client, sandbox):
    sandbox.seed(CUSTOMER, [{"id": "P", "name": "x"}, {"id": "C", "name": "x", "parent": {"id": "P"}}])
    assert ask("2", "1") == [("2", ALL), ("1", ["canView", "canEdit"])]
    assert client("DELETE", f"{CUSTOMERS}/1").status_code == 422
    assert client("DELETE", f"{CUSTOMERS}/2").status_code == 204
    assert ask("1") == [("1", ALL)]


def test_nothing_is_allowed_with_what_is_not_there(ask, sandbox):
    sandbox.seed(CUSTOMER, [{"id": "A", "name": "x"}])
    assert ask("99", "1", "A", "", "-1", "9" * 40, "1") == [
        ("99", []), ("1", ALL), ("A", []), ("", []), ("-1", []), ("9" * 40, []), ("1", ALL),
    ]  # fmt: skip


def test_only_what_was_asked_for_is_answered(ask, sandbox):
    sandbox.seed(CUSTOMER, [{"id": "A", "name": "x"}])
    assert ask("1", operations=["canDelete", "canView"]) == [("1", ["canView", "canDelete"])]
    assert ask("1", operations=["canFly"]) == [("1", [])]
    assert ask("1", operations=[]) == [("1", [])]
    assert ask("1", options={"moduleKey": "AR"}, additionalData={"a": 1}) == [("1", ALL)]


def test_private_records_are_seen_from_their_entity_and_on_demand_from_the_top(ask, sandbox):
    sandbox.seed(CUSTOMER, [{"id": "shared", "name": "x"}])
    sandbox.seed(CUSTOMER, [{"id": "private", "name": "x"}], entity="UK")
    assert ask("1", "2") == [("1", ALL), ("2", [])]
    assert ask("1", "2", options={"includePrivate": True}) == [("1", ALL), ("2", ALL)]
    assert ask("1", "2", headers={ENTITY: "UK"}) == [("1", ALL), ("2", ALL)]
    in_us = ask("1", "2", headers={ENTITY: "US"}, options={"includePrivate": True})
    assert in_us == [("1", ALL), ("2", [])]


def test_a_thousand_keys_are_not_too_many(ask):
    assert len(ask(*map(str, range(1000)))) == 1000


@pytest.mark.parametrize(
    ("question", "text"),
    [
        ({"keys": ["1"]}, "missing required field `object`"),
        ({"object": CUSTOMER}, "missing required field `keys`"),
        ({"object": CUSTOMER, "keys": []}, "length >= 1"),
        ({"object": CUSTOMER, "keys": ["1"] * 1001}, "length <= 1000"),
        ({"object": CUSTOMER, "keys": [1]}, "Expected `str`, got `int`"),
        ({"object": CUSTOMER, "keys": ["1"], "fields": []}, "unknown field `fields`"),
        ({"object": CUSTOMER, "keys": ["1"], "options": {"x": 1}}, "unknown field `x` - at `$.options`"),
        ({"object": CUSTOMER, "keys": ["1"], "operations": "canView"}, "Expected `array | null`, got `str`"),
        ({"object": "customer", "keys": ["1"]}, "did you mean 'accounts-receivable/customer'?"),
        ([], "Expected `object`, got `array`"),
    ],
)
def test_a_wrong_question_is_named(client, question, text):
    answer = client("POST", ALLOWED, question)
    assert answer.status_code == 400
    assert text in error_of(answer)["message"]


# --- session and dimensions


def test_a_session_is_new_each_time(client):
    answers = [client("GET", "/services/core/session/id").json() for _ in range(2)]
    assert [answer["ia::result"]["expiresIn"] for answer in answers] == [21600, 21600]
    assert answers[0]["ia::result"]["sessionId"] != answers[1]["ia::result"]["sessionId"]


def test_every_dimension_leads_to_its_object(client):
    dimensions = client("GET", "/services/company-config/dimensions/list").json()["ia::result"]
    by_name = {one["dimensionName"]: one for one in dimensions}
    assert {
        "DEPARTMENT", "LOCATION", "CUSTOMER", "VENDOR", "EMPLOYEE", "ITEM", "CLASS", "PROJECT", "WAREHOUSE",
    } <= set(by_name)  # fmt: skip
    assert by_name["WAREHOUSE"] == {
        "dimensionName": "WAREHOUSE",
        "dimensionLabel": "Warehouse",
        "termName": "Warehouse",
        "isUserDefinedDimension": False,
        "isEnabledInGL": False,
        "dimensionEndpoint": "/objects/inventory-control/warehouse",
    }
    for one in dimensions:
        assert client("GET", one["dimensionEndpoint"]).status_code == 200


def test_the_small_services_are_reads(client, sandbox):
    client("POST", ALLOWED, {"object": CUSTOMER, "keys": ["1", "2"]})
    client("GET", "/services/core/session/id")
    client("GET", "/services/company-config/dimensions/list")
    client("POST", ALLOWED, {"object": "x", "keys": ["1"]})
    assert sorted((name, count) for (name, _), count in sandbox.billed.items()) == [
        (CUSTOMER, 1),
        ("services/company-config/dimensions/list", 1),
        ("services/core/session/id", 1),
    ]


# --- addresses and methods


def place(path):
    return path.replace("{application}/{name}", CUSTOMER).replace("{keys}", "1")


@pytest.mark.parametrize("address", ADDRESSES, ids=lambda address: address.path)
def test_every_address_says_which_methods_it_takes(client, address):
    for method in {"GET", "HEAD", "POST", "PATCH", "DELETE", "PUT", "OPTIONS", "TRACE"} - address.methods:
        answer = client(method, place(address.path))
        assert answer.status_code == 405, method
        assert set(answer.headers["Allow"].split(", ")) == address.methods
        assert method == "HEAD" or error_of(answer)["code"] == "invalidRequest"


@pytest.mark.parametrize("address", ADDRESSES[1:], ids=lambda address: address.path)
def test_every_address_but_that_of_tokens_needs_one(sandbox, address):
    for method in address.methods:
        answer = requests.request(method, sandbox.url + place(address.path), timeout=10)
        assert answer.status_code == 401, method


@pytest.mark.parametrize("address", ADDRESSES[5:], ids=lambda address: address.path)
def test_the_services_refuse_query_parameters_that_they_do_not_have(client, address):
    for method in address.methods - {"HEAD"}:
        answer = client(method, address.path, [], params={"start": "1"})
        assert (answer.status_code, error_of(answer)["errorId"]) == (400, "REST-1034")


@pytest.mark.parametrize(
    ("path", "methods"),
    [
        (CUSTOMERS, {"OPTIONS", "GET", "HEAD", "POST", "PATCH"}),
        (f"{CUSTOMERS}/1", {"OPTIONS", "GET", "HEAD", "PATCH", "DELETE"}),
    ],
)
def test_options_say_what_can_be_done_with_an_object(client, sandbox, path, methods):
    answer = client("OPTIONS", path)
    assert (answer.status_code, answer.content) == (204, b"")
    assert set(answer.headers["Allow"].split(", ")) == methods
    described = client("GET", f"/services/core/model?name={CUSTOMER}").json()["ia::result"]["httpMethods"]
    assert methods - {"HEAD"} <= set(described.split(","))
    assert sandbox.requests[-2].transactions == 0
    assert client("OPTIONS", "/objects/no-such/thing").status_code == 404


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/services/core",
        "/services/core/query/",
        "/services/bulk/job",
        "/objects",
        "/objects/accounts-receivable",
        f"{CUSTOMERS}/",
        f"{CUSTOMERS}/1/2",
        "/objects/no-such/thing/1",
        "/workflows/accounts-receivable/invoice/submit",
    ],
)
def test_other_addresses_are_404_in_the_form_of_the_api(client, path):
    for method in ("GET", "POST", "OPTIONS"):
        answer = client(method, path)
        assert (answer.status_code, set(answer.json())) == (404, {"ia::error"})
        assert answer.json()["ia::error"]["code"] == "notFound"


@pytest.mark.parametrize("base", ["/ia/api/v2", "/ia/api/v10"])
def test_another_version_is_400(sandbox, base):
    answer = requests.get(sandbox.url.replace("/ia/api/v1", base) + CUSTOMERS, timeout=10)
    assert (answer.status_code, answer.json()["ia::error"]["message"]) == (
        400,
        f"Version {base.rpartition('v')[2]} is not valid",
    )
    elsewhere = requests.get(sandbox.url.replace("/ia/api/v1", "/ia/elsewhere"), timeout=10)
    assert elsewhere.status_code == 404


# --- batches


def test_keys_may_come_twice(client, sandbox):
    sandbox.seed(CUSTOMER, [{"id": "A", "name": "a"}, {"id": "B", "name": "b"}])
    twice = client("GET", f"{CUSTOMERS}/1,1")
    assert [one["id"] for one in twice.json()["ia::result"]] == ["A", "A"]
    changed = client("PATCH", CUSTOMERS, [{"key": "1", "name": "x"}, {"key": "1", "notes": "y"}])
    assert (changed.status_code, changed.json()["ia::meta"]["totalSuccess"]) == (200, 2)
    record = sandbox.records(CUSTOMER)[0]
    assert (record["name"], record["notes"]) == ("x", "y")
    gone = client("DELETE", f"{CUSTOMERS}/2,2")
    assert (gone.status_code, [one["ia::status"] for one in gone.json()["ia::result"]]) == (207, [204, 404])
    kept = client("DELETE", f"{CUSTOMERS}/1,1", headers={"X-IA-API-Param-Transaction": "true"})
    assert (kept.status_code, stored(sandbox, CUSTOMER)) == (422, ["A"])


def test_an_update_of_several_needs_an_array_with_keys(client, sandbox):
    sandbox.seed(CUSTOMER, [{"id": "A", "name": "a"}])
    assert client("PATCH", CUSTOMERS, {"key": "1", "name": "x"}).status_code == 400
    assert client("PATCH", CUSTOMERS, []).status_code == 400
    assert client("POST", CUSTOMERS, []).status_code == 400
    assert client("PATCH", CUSTOMERS, [{"key": "1", "name": "x"}] * 501).status_code == 400
    mixed = client("PATCH", CUSTOMERS, [{"name": "x"}, {"key": "1", "name": "x"}, {"key": 1, "name": "y"}, 7])
    assert [one["ia::status"] for one in mixed.json()["ia::result"]] == [400, 200, 400, 400]
    assert messages_of(mixed.json()["ia::result"][0]) == ["key is required"]


def test_an_atomic_update_bills_and_changes_nothing(client, sandbox):
    sandbox.seed(CUSTOMER, [{"id": "A", "name": "a"}, {"id": "B", "name": "b"}])
    changes = [{"key": "1", "name": "x"}, {"key": "99", "name": "x"}, {"key": "2", "name": "x"}]
    answer = client("PATCH", CUSTOMERS, changes, headers={"X-IA-API-Param-Transaction": "TRUE"})
    assert [one["ia::status"] for one in answer.json()["ia::result"]] == [422, 404, 422]
    assert [one["name"] for one in sandbox.records(CUSTOMER)] == ["a", "b"]
    assert sandbox.transactions == 0
    alone = client("PATCH", CUSTOMERS, changes, headers={"X-IA-API-Param-Transaction": "false"})
    assert [one["ia::status"] for one in alone.json()["ia::result"]] == [200, 404, 200]
    assert sandbox.transactions == 2


# --- idempotency keys


def test_a_key_is_remembered_longer_than_its_answer():
    moments = [datetime(2025, 3, 16, tzinfo=UTC)]
    with running(clock=lambda: moments[0], faults={"token_life": 1e9}) as sandbox:
        client = RawClient(sandbox)

        def post(hours, record):
            moments[0] = datetime(2025, 3, 16, tzinfo=UTC) + timedelta(hours=hours)
            answer = client("POST", CUSTOMERS, record, headers={"Idempotency-Key": "k1"})
            return answer.status_code, answer.headers.get("x-ia-idempotency-cached-date")

        a, b = {"name": "a"}, {"name": "b"}
        assert post(0, a) == (201, None)
        assert post(47, a) == (201, "Sun, 16 Mar 2025 00:00:00 GMT")
        assert post(48.1, b) == (409, None)
        assert post(49, a) == (201, None)
        assert post(50, a) == (201, "Tue, 18 Mar 2025 01:00:00 GMT")
        assert post(49 + 59 * 24, b) == (409, None)
        assert post(49 + 61 * 24, b) == (201, None)
        assert [one["name"] for one in sandbox.records(CUSTOMER)] == ["a", "a", "b"]


def test_of_simultaneous_requests_with_one_key_the_first_is_carried_out_and_the_others_are_refused():
    clock = HeldClock()
    with running(clock=clock) as sandbox, ThreadPoolExecutor(1) as pool:
        first, client = RawClient(sandbox), RawClient(sandbox)
        record, key = {"id": "A", "name": "a"}, {"Idempotency-Key": "k1"}
        clock.holding = True
        running_one = pool.submit(first, "POST", CUSTOMERS, record, headers=key)
        assert clock.reached.wait(20)
        answers = [client(method, CUSTOMERS, record, headers=key) for method in ("POST", "PATCH")]
        clock.let_go.set()
        for answer in answers:
            assert (answer.status_code, answer.headers.get("x-ia-idempotency-cached-date")) == (409, None)
            assert error_of(answer)["message"] == "Another request with this Idempotency-Key is in progress"
        assert running_one.result().status_code == 201
        again = client("POST", CUSTOMERS, record, headers=key)
        assert (again.status_code, "x-ia-idempotency-cached-date" in again.headers) == (201, True)
        assert stored(sandbox, CUSTOMER) == ["A"]
        assert sandbox.transactions == 1


def test_a_key_is_free_again_after_a_request_that_was_refused(client, sandbox):
    for body, status in (({"nme": "x"}, 400), ({"nme": "x"}, 400), ({"name": "x"}, 409)):
        assert client("POST", CUSTOMERS, body, headers={"Idempotency-Key": "k1"}).status_code == status
    wrong = client("POST", CUSTOMERS, {"name": "x"}, headers={"Idempotency-Key": "k2", "Authorization": "x"})
    assert wrong.status_code == 401
    assert client("POST", CUSTOMERS, {"name": "x"}, headers={"Idempotency-Key": "k2"}).status_code == 201


def test_a_key_of_a_composite_call_is_not_that_of_its_parts(client, sandbox):
    part = {"method": "POST", "path": CUSTOMERS, "body": {"name": "x"}, "headers": {"Idempotency-Key": "k1"}}
    other = {"method": "GET", "path": CUSTOMERS}
    answer = client("POST", "/services/core/composite", [part, other], headers={"Idempotency-Key": "k1"})
    assert [one["ia::status"] for one in answer.json()["ia::result"]] == [201, 200]


# --- what the sandbox does not have

QUERY = "/services/core/query"


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/objects/purchasing/document", None),
        ("POST", "/services/core/view", {"key": "1"}),
        ("POST", "/workflows/accounts-payable/bill/submit", {"key": "1"}),
        ("POST", QUERY, {"object": "purchasing/document", "fields": ["key"]}),
        ("POST", QUERY, [{"object": CUSTOMER, "fields": ["key"]}] * 2),
        ("POST", QUERY, {"object": CUSTOMER, "fields": ["key"], "filters": [{"$has": {"name": "x"}}]}),
        ("POST", ALLOWED, {"object": "purchasing/document", "keys": ["1"], "operations": ALL}),
    ],
)
def test_what_only_intacct_has_is_refused_in_the_name_of_the_sandbox(client, method, path, body):
    error = client(method, path, body).json()
    error = error.get("ia::error") or error["ia::result"]["ia::error"]
    assert "this sandbox has no " in error["message"].lower()
