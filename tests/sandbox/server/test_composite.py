"""The composite service: order, references, failures, headers of a part, and what it costs."""

import sqlite3
from contextlib import closing
from datetime import UTC, datetime

import pytest
from raw_client import RawClient, error_of, messages_of
from sandbox_client import running, stored

CUSTOMER = "accounts-receivable/customer"
CUSTOMERS = f"/objects/{CUSTOMER}"
GROUPS = "/objects/accounts-receivable/customer-group"
QUERY = "/services/core/query"
ALL = 'SELECT "id" FROM "accounts-receivable/customer"'
ENTITY = "X-IA-API-Param-Entity"


@pytest.fixture
def client(sandbox):
    return RawClient(sandbox)


@pytest.fixture
def send(client):
    """Send parts and return the answer."""
    return lambda *parts, **options: client("POST", "/services/core/composite", list(parts), **options)


def post(body, path=CUSTOMERS, **more):
    return {"method": "POST", "path": path, "body": body, **more}


def get(path, **more):
    return {"method": "GET", "path": path, **more}


def statuses(answer):
    return [element["ia::status"] for element in answer.json()["ia::result"]]


# --- order and shape


def test_answers_come_in_order_each_with_its_status(send, sandbox):
    sandbox.seed(CUSTOMER, [{"id": "C1", "name": "one"}, {"id": "C2", "name": "two"}])
    answer = send(
        get(f"{CUSTOMERS}/2"),
        post({"id": "C3", "name": "three"}),
        {"method": "PATCH", "path": f"{CUSTOMERS}/1", "body": {"name": "changed"}},
        {"method": "DELETE", "path": f"{CUSTOMERS}/2"},
        post({"object": CUSTOMER, "fields": ["id", "name"], "orderBy": [{"key": "asc"}]}, QUERY),
    )
    assert answer.status_code == 200
    assert answer.json()["ia::meta"] == {"totalCount": 5, "totalSuccess": 5, "totalError": 0}
    read, created, changed, deleted, found = answer.json()["ia::result"]
    assert (read["ia::result"]["id"], read["ia::status"]) == ("C2", 200)
    assert created == {
        "ia::result": {"key": "3", "id": "C3", "href": f"{CUSTOMERS}/3"},
        "ia::meta": {"totalCount": 1, "totalSuccess": 1, "totalError": 0},
        "ia::status": 201,
    }
    assert (changed["ia::result"]["key"], changed["ia::status"]) == ("1", 200)
    assert deleted == {"ia::status": 204}
    assert found["ia::result"] == [
        {"API_QUERY_ALIAS__2": None, "id": "C1", "name": "changed"},
        {"API_QUERY_ALIAS__2": None, "id": "C3", "name": "three"},
    ]
    assert found["ia::meta"] == {
        "totalCount": 2, "start": 1, "pageSize": 100, "next": None, "previous": None,
    }  # fmt: skip


def test_a_part_may_have_a_query_string(send):
    answer = send(get(f"/services/core/model?name={CUSTOMER}&schema=false"), get(f"{CUSTOMERS}?start=1"))
    assert statuses(answer) == [200, 400]
    model, refused = answer.json()["ia::result"]
    assert model["ia::result"]["apiObject"] == f"objects/{CUSTOMER}"
    assert refused["ia::error"]["errorId"] == "REST-1034"


# --- failures


def test_it_stops_at_the_first_failure_and_keeps_what_was_done(send, sandbox):
    answer = send(post({"id": "C1", "name": "x"}), post({"id": "C2"}), post({"id": "C3", "name": "x"}))
    assert answer.status_code == 207
    assert answer.json()["ia::meta"] == {"totalCount": 3, "totalSuccess": 1, "totalError": 2}
    assert statuses(answer) == [201, 400, 422]
    _, failed, skipped = answer.json()["ia::result"]
    assert set(failed) == set(skipped) == {"ia::error", "ia::status"}
    assert failed["ia::error"]["errorId"] == "REST-1064"
    assert skipped["ia::error"]["code"] == "unprocessed"
    assert skipped["ia::error"]["message"] == "Operation skipped due to atomic transaction failure"
    assert stored(sandbox, CUSTOMER) == ["C1"]


def test_it_is_207_also_when_nothing_succeeded(send):
    answer = send(get(f"{CUSTOMERS}/9"), get(CUSTOMERS))
    assert answer.status_code == 207
    assert statuses(answer) == [404, 422]
    assert answer.json()["ia::meta"] == {"totalCount": 2, "totalSuccess": 0, "totalError": 2}


def test_a_part_with_a_wrong_address_or_method_fails_alone(send):
    unknown = send(post({"name": "x"}), get("/objects/no-such/thing"))
    assert statuses(unknown) == [201, 404]
    assert error_of(unknown.json()["ia::result"][1])["code"] == "notFound"
    assert statuses(send(post({"name": "x"}), get(QUERY))) == [201, 405]
    assert statuses(send(post({"name": "x"}), get("/services/core/nothing"))) == [201, 404]


def test_a_batch_of_which_one_record_failed_has_failed(send, sandbox):
    sandbox.seed(CUSTOMER, [{"id": "C1", "name": "x"}])
    answer = send(get(f"{CUSTOMERS}/1,9"), get(CUSTOMERS))
    assert (answer.status_code, statuses(answer)) == (207, [207, 422])
    first = answer.json()["ia::result"][0]
    assert [one.get("ia::status") for one in first["ia::result"]] == [None, 404]
    assert first["ia::meta"] == {"totalCount": 2, "totalSuccess": 1, "totalError": 1}


# --- references


def test_a_reference_reaches_into_a_record(send, sandbox):
    sandbox.seed(CUSTOMER, [{"id": "P", "name": "parent"}, {"id": "C", "name": "x", "parent": {"id": "P"}}])
    answer = send(
        get(f"{CUSTOMERS}/2", resultReference="child"),
        get(f"{CUSTOMERS}/@{{child.parent.key}}"),
        post({"name": "sibling of @{child.id}", "parent": {"key": "@{child.parent.key}"}}),
        get(f"{CUSTOMERS}/3"),
    )
    assert statuses(answer) == [200, 200, 201, 200]
    assert answer.json()["ia::result"][1]["ia::result"]["id"] == "P"
    made = answer.json()["ia::result"][3]["ia::result"]
    assert (made["name"], made["parent"]["id"]) == ("sibling of C", "P")


@pytest.mark.parametrize("path", ["vendor.key", "vendor.1.key"])
def test_a_reference_reaches_what_a_part_created(send, path):
    answer = send(
        post({"id": "V1", "name": "x"}, "/objects/accounts-payable/vendor", resultReference="vendor"),
        get(f"/objects/accounts-payable/vendor/@{{{path}}}"),
    )
    assert statuses(answer) == [201, 200]
    assert answer.json()["ia::result"][1]["ia::result"]["id"] == "V1"


def test_a_reference_counts_the_elements_of_a_list_from_one(send, sandbox):
    sandbox.seed(CUSTOMER, [{"id": f"C{n}", "name": f"n{n}"} for n in range(1, 4)])
    rows = post(
        {"object": CUSTOMER, "fields": ["key", "term.id", "name"], "orderBy": [{"key": "asc"}]}, QUERY
    )
    answer = send(
        {**rows, "resultReference": "rows"},
        get(f"{CUSTOMERS}/@{{rows.2.key}},@{{rows.3.key}}", resultReference="two"),
        {"method": "PATCH", "path": f"{CUSTOMERS}/1", "body": {"name": "@{two.2.name} and @{rows.1.name}"}},
        get(f"{CUSTOMERS}/1"),
    )
    assert statuses(answer) == [200, 200, 200, 200]
    assert [one["id"] for one in answer.json()["ia::result"][1]["ia::result"]] == ["C2", "C3"]
    assert answer.json()["ia::result"][3]["ia::result"]["name"] == "n3 and n1"


def test_a_reference_to_a_dotted_name_of_a_row(send, sandbox):
    sandbox.seed(CUSTOMER, [{"id": "P", "name": "x"}, {"id": "C", "name": "x", "parent": {"id": "P"}}])
    rows = post({"object": CUSTOMER, "fields": ["parent.key"], "filters": [{"$eq": {"id": "C"}}]}, QUERY)
    answer = send({**rows, "resultReference": "r"}, get(f"{CUSTOMERS}/@{{r.1.parent.key}}"))
    assert answer.json()["ia::result"][1]["ia::result"]["id"] == "P"


def test_a_reference_that_is_a_whole_text_keeps_its_type(send, sandbox):
    sandbox.seed(CUSTOMER, [{"id": "C1", "name": "x", "creditLimit": 7.5, "isOnHold": True}])
    copied = {
        "creditLimit": "@{c.creditLimit}",
        "isOnHold": "@{c.isOnHold}",
        "term": {"id": "@{c.term.id}"},
    }
    answer = send(
        get(f"{CUSTOMERS}/1", resultReference="c"),
        post({"name": "y", **copied}),
        post({"name": "limit @{c.creditLimit}, hold @{c.isOnHold}"}),
        get(f"{CUSTOMERS}/2,3"),
    )
    assert statuses(answer) == [200, 201, 201, 200]
    first, second = answer.json()["ia::result"][3]["ia::result"]
    assert (first["creditLimit"], first["isOnHold"], first["term"]["id"]) == (7.5, True, None)
    assert second["name"] == "limit 7.5, hold true"


@pytest.mark.parametrize(
    ("reference", "text"),
    [
        ("c.nothing", "@{c.nothing} is not in the result"),
        ("c.parent.nothing", "@{c.parent.nothing} is not in the result"),
        ("c.2.key", "@{c.2.key} is not in the result"),
        ("c.0.key", "@{c.0.key} is not in the result"),
        ("c.key.more", "@{c.key.more} is not in the result"),
        ("c.parent", "@{c.parent} is not a single value"),
        ("c.parent.key", "@{c.parent.key} is empty"),
        ("c." + "9" * 5000 + ".key", "is not in the result"),
    ],
)
def test_a_reference_to_nothing_fails_its_part(send, sandbox, reference, text):
    sandbox.seed(CUSTOMER, [{"id": "C1", "name": "x"}])
    answer = send(
        get(f"{CUSTOMERS}/1", resultReference="c"), get(f"{CUSTOMERS}/@{{{reference}}}"), get(CUSTOMERS)
    )
    assert statuses(answer) == [200, 400, 422]
    assert text in messages_of(answer.json()["ia::result"][1])[0]


def test_what_creating_a_customer_group_answers_has_no_key_to_refer_to(send):
    answer = send(
        post({"id": "G", "name": "g"}, GROUPS, resultReference="group"), get(f"{GROUPS}/@{{group.key}}")
    )
    assert statuses(answer) == [201, 400]


def test_a_value_cannot_lead_a_path_elsewhere(send, sandbox):
    sandbox.seed(CUSTOMER, [{"id": name, "name": "composite"} for name in ("1?", "1#", "x/../1")])
    for key in (1, 2, 3):
        answer = send(get(f"{CUSTOMERS}/{key}", resultReference="c"), get(f"{CUSTOMERS}/@{{c.id}}"))
        assert statuses(answer) == [200, 404]
    nested = send(get(f"{CUSTOMERS}/1", resultReference="c"), post({}, "/services/core/@{c.name}"))
    assert statuses(nested) == [200, 400]
    assert messages_of(nested.json()["ia::result"][1]) == ["A composite request cannot be a part of another"]


# --- requests that are refused as a whole


@pytest.mark.parametrize("count", [0, 1, 11])
def test_it_takes_2_to_10_parts(send, count):
    answer = send(*[post({"name": "x"})] * count)
    assert answer.status_code == 400
    assert messages_of(answer) == [f"A composite request is an array of 2 to 10 requests, not {count}"]


def test_ten_parts_are_not_too_many(send, sandbox):
    assert statuses(send(*[post({"name": "x"})] * 10)) == [201] * 10


@pytest.mark.parametrize(
    ("second", "text"),
    [
        ({"path": CUSTOMERS}, "missing required field `method`"),
        ({"method": "GET"}, "missing required field `path`"),
        ({"method": "PUT", "path": CUSTOMERS}, "Invalid enum value 'PUT'"),
        ({"method": "GET", "path": CUSTOMERS, "verb": 1}, "unknown field `verb`"),
        (get(CUSTOMERS, body=[]), "Expected `object | null`, got `array`"),
        (get(CUSTOMERS, headers={"A": 1}), "Expected `str`, got `int`"),
        (get(CUSTOMERS, headers={"A": "ü"}), "headers must be ASCII"),
        (get(CUSTOMERS, resultReference="a.b"), "the name 'a.b' may have letters"),
        (get(CUSTOMERS, resultReference=""), "the name '' may have letters"),
        (get(CUSTOMERS, resultReference="first"), "the name first is taken"),
        (get("/workflows/x/y/submit"), "must begin with /objects/ or /services/"),
        (get("objects/x/y"), "must begin with /objects/ or /services/"),
        (post({}, "/services/core/composite"), "cannot be a part of another"),
        (get(f"{CUSTOMERS}/@{{other.key}}"), "no earlier request has the resultReference 'other'"),
        (get(f"{CUSTOMERS}/@{{itself.key}}", resultReference="itself"), "no earlier request"),
        (post({"name": [{"a": "@{other.key}"}]}), "no earlier request has the resultReference 'other'"),
        (get(f"{CUSTOMERS}/@{{first}}"), "must name a member, as in @{first.key}"),
        (get(f"{CUSTOMERS}/@{{first..key}}"), "must name a member"),
        (get(f"{CUSTOMERS}/@{{}}"), "no earlier request"),
        ("x", "Expected `object`, got `str`"),
    ],
)
def test_what_is_wrong_is_named_before_anything_is_done(send, sandbox, second, text):
    answer = send(post({"name": "x"}, resultReference="first"), second)
    assert answer.status_code == 400
    assert error_of(answer)["errorId"] == "REST-1064"
    [message] = messages_of(answer)
    assert message.startswith("Request 2: ")
    assert text in message
    assert error_of(answer)["details"][0]["target"].startswith("/1")
    assert stored(sandbox, CUSTOMER) == []


def test_everything_wrong_is_named_at_once(send):
    answer = send(get("/x", resultReference="a b"), get(f"{CUSTOMERS}/@{{b.key}}"))
    targets = [cause["target"] for cause in error_of(answer)["details"]]
    assert targets == ["/0/path", "/0/resultReference", "/1/path"]


@pytest.mark.parametrize("body", [{"method": "GET", "path": CUSTOMERS}, "x", 1, None])
def test_the_body_is_an_array(client, body):
    answer = client("POST", "/services/core/composite", data=b"null" if body is None else None, body=body)
    assert answer.status_code == 400


def test_it_needs_a_token_and_a_body(client, send):
    assert client("POST", "/services/core/composite", data=b"").status_code == 400
    nobody = send(get(CUSTOMERS), get(CUSTOMERS), headers={"Authorization": "Bearer nonsense"})
    assert (nobody.status_code, error_of(nobody)["errorId"]) == (400, "REST-1206")


# --- headers of a part


def test_a_part_has_its_own_entity(send, sandbox):
    answer = send(
        post({"id": "US1", "name": "x"}, headers={"x-ia-api-param-entity": "US"}),
        post({"id": "top", "name": "x"}),
        post({"id": "no", "name": "x"}, headers={ENTITY: "E9"}),
        headers={ENTITY: "UK"},
    )
    assert statuses(answer) == [201, 201, 400]
    records = {one["id"]: one["entity"]["id"] for one in sandbox.records(CUSTOMER)}
    assert records == {"US1": "US", "top": None}
    assert sandbox.requests[-1].entity == "UK"


def test_the_entity_of_the_token_holds_for_every_part(sandbox):
    client = RawClient(sandbox, username="airflow@SANDBOX|UK")
    client("POST", "/services/core/composite", [post({"name": "x"}), post({"name": "y"})])
    assert [one["entity"]["id"] for one in sandbox.records(CUSTOMER)] == ["UK", "UK"]


def test_a_part_cannot_be_someone_else(send, sandbox):
    answer = send(get(CUSTOMERS), get(CUSTOMERS, headers={"authorization": "Bearer nonsense"}))
    assert statuses(answer) == [200, 200]


def test_a_part_is_atomic_when_it_says_so(send, sandbox):
    sandbox.seed(CUSTOMER, [{"id": f"C{n}", "name": "x"} for n in range(4)])
    atomic = {"X-IA-API-Param-Transaction": "true"}
    answer = send(
        {"method": "DELETE", "path": f"{CUSTOMERS}/1,2", "headers": atomic},
        {"method": "DELETE", "path": f"{CUSTOMERS}/3,99", "headers": atomic},
    )
    assert statuses(answer) == [204, 422]
    assert stored(sandbox, CUSTOMER) == ["C2", "C3"]


def test_an_idempotency_key_belongs_to_its_part(send, sandbox):
    parts = [
        post({"id": "C1", "name": "x"}, headers={"Idempotency-Key": "k1"}, resultReference="c"),
        post({"id": "C2", "name": "x", "parent": {"key": "@{c.key}"}}, headers={"Idempotency-Key": "k2"}),
    ]
    first, again = send(*parts), send(*parts)
    assert statuses(first) == statuses(again) == [201, 201]
    results = [[one["ia::result"] for one in answer.json()["ia::result"]] for answer in (first, again)]
    assert results[0] == results[1]
    headers = [one["ia::headers"] for one in again.json()["ia::result"]]
    assert [one["Idempotency-Key"] for one in headers] == ["k1", "k2"]
    assert all("x-ia-idempotency-cached-date" in one for one in headers)
    assert stored(sandbox, CUSTOMER) == ["C1", "C2"]
    assert [call.transactions for call in sandbox.requests[1:]] == [2, 0]


def test_a_refusal_is_repeated_under_its_key_in_the_same_form(send):
    parts = [get(CUSTOMERS), post({"id": "C1"}, headers={"Idempotency-Key": "k1"})]
    first, again = send(*parts), send(*parts)
    assert statuses(again) == [200, 400]
    failed = [answer.json()["ia::result"][1] for answer in (first, again)]
    assert failed[0]["ia::error"] == failed[1]["ia::error"]
    other = send(get(CUSTOMERS), post({"id": "C2", "name": "x"}, headers={"Idempotency-Key": "k1"}))
    assert statuses(other) == [200, 409]


# --- cost


def test_each_part_is_billed_as_it_would_be_alone(send, sandbox):
    sandbox.seed(CUSTOMER, [{"id": f"C{n}", "name": "x"} for n in range(3)])
    send(
        {"method": "DELETE", "path": f"{CUSTOMERS}/1,2"},
        post({"id": "G", "name": "g"}, GROUPS),
        post({"object": CUSTOMER, "fields": ["key"]}, QUERY),
        get(f"/services/core/model?name={CUSTOMER}"),
        get(f"{CUSTOMERS}/99"),
        post({"name": "never"}),
    )
    me = "airflow@SANDBOX"
    assert sandbox.billed == {
        (CUSTOMER, me): 3,
        ("accounts-receivable/customer-group", me): 1,
        ("services/core/model", me): 1,
    }
    call = sandbox.requests[-1]
    assert (call.path, call.name) == ("/services/core/composite", "services/core/composite")
    assert (call.transactions, call.rows, call.caller) == (5, 1, me)
    assert len(sandbox.requests) == 2


def test_parts_are_transactions_of_their_own(tmp_path):
    """The clock is read within each part; a reader of the file sees then what is committed."""
    seen = []

    def clock():
        if seen:
            with closing(sqlite3.connect(tmp_path / "company.db")) as reader:
                seen.append([row[0] for row in reader.execute(ALL)])
        return datetime.now(UTC)

    with running(db=str(tmp_path / "company.db"), clock=clock) as sandbox:
        client = RawClient(sandbox)
        seen.append("begin")
        parts = [post({"id": "C1", "name": "x"}), post({"id": "C2", "name": "x"})]
        assert client("POST", "/services/core/composite", parts).status_code == 200
    assert [] in seen
    assert ["C1"] in seen
