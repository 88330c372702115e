"""Composite calls of our client: results in order, how far they came, references, repetition, entity and cost."""

import pytest
from raw_client import RawClient
from sandbox_client import calls, client_of, stored

from intacct_provider.client.http.retry import RetryPolicy
from intacct_provider.client.writing.composite_request import read_parts
from intacct_provider.exceptions import (
    IntacctArgumentError,
    IntacctConflictError,
    IntacctConnectionError,
    IntacctIdempotencyError,
    IntacctNotFoundError,
    IntacctResponseError,
    IntacctServerError,
    IntacctValidationError,
)

COMPOSITE = "/services/core/composite"
CUSTOMER = "accounts-receivable/customer"
CUSTOMERS = f"/objects/{CUSTOMER}"
GROUPS = "/objects/accounts-receivable/customer-group"
QUERY = "/services/core/query"
SCOPES = {"POST": "dag/run/task", "PATCH": "dag/run/task"}
IMPATIENT = RetryPolicy(base=0, attempts=3)


def post(body, name=None, path=CUSTOMERS, **more):
    return {
        "method": "POST",
        "path": path,
        "body": body,
        **({"resultReference": name} if name else {}),
        **more,
    }


def get(path, name=None):
    return {"method": "GET", "path": path, **({"resultReference": name} if name else {})}


def patch(key, **changes):
    return {"method": "PATCH", "path": f"{CUSTOMERS}/{key}", "body": changes}


def delete(key):
    return {"method": "DELETE", "path": f"{CUSTOMERS}/{key}"}


def customer(one, **more):
    return {"id": one, "name": one.lower(), **more}


#: No customer can be made of it.
BAD = {"name": "x", "status": "actve"}


def scoped(sandbox, **options):
    """Return a client as another attempt of the same task has it."""
    client = client_of(sandbox, **options)
    client.idempotency.scopes = SCOPES
    return client


def forms(results):
    return [(result.index, result.status, result.ok, result.unprocessed) for result in results]


# --- results


def test_results_come_in_order_with_what_intacct_says_of_each(sandbox, client):
    sandbox.seed(CUSTOMER, [customer("A"), customer("B")])
    results = client.composite(
        [
            get(f"{CUSTOMERS}/2", "second"),
            post(customer("C", parent={"key": "@{second.key}"}), "made"),
            patch("@{made.key}", notes="of @{second.name}"),
            post(
                {"object": CUSTOMER, "fields": ["id"], "filters": [{"$eq": {"id": "@{made.id}"}}]}, path=QUERY
            ),
            delete("1"),
        ]
    )
    assert forms(results) == [(n, status, True, False) for n, status in enumerate([200, 201, 200, 200, 204])]
    assert [result.name for result in results] == ["second", "made", None, None, None]
    assert results[0].result["name"] == "b"
    assert results[1].result == {"key": "3", "id": "C", "href": f"{CUSTOMERS}/3"}
    assert [row["id"] for row in results[3].result] == ["C"]
    assert (results[3].meta["totalCount"], results[3].meta["next"]) == (1, None)
    assert results[4].result is None
    [second, third] = sandbox.records(CUSTOMER)
    assert (third["parent"]["key"], third["notes"]) == (second["key"], "of b")
    assert client.transactions == sandbox.transactions == 5
    assert len(calls(sandbox, COMPOSITE)) == 1


@pytest.mark.parametrize("bad", [0, 1, 3, 4, None])
def test_the_first_failure_is_told_and_what_came_before_stays(sandbox, client, bad):
    parts = [post(BAD if n == bad else customer(f"C{n}")) for n in range(5)]
    results = client.composite(parts)
    done = 5 if bad is None else bad
    assert [(result.ok, result.unprocessed) for result in results] == [(n < done, n > done) for n in range(5)]
    assert stored(sandbox, CUSTOMER) == [f"C{n}" for n in range(done)]
    if bad is not None:
        guilty = results[bad].error
        assert isinstance(guilty, IntacctValidationError)
        assert "Did you mean 'active'?" in str(guilty)
        assert all(f"The failed request is at index {bad}: " in str(one.error) for one in results[bad + 1 :])
        assert all(guilty.message in str(one.error) for one in results[bad + 1 :])
    assert client.transactions == sandbox.transactions == done + len(calls(sandbox, "/services/core/model"))


@pytest.mark.parametrize("status", [207, 404, 422])
@pytest.mark.parametrize("bare", [False, True])
def test_a_failure_is_read_under_every_status_and_in_every_form(sandbox, client, status, bare):
    refused = {"code": "invalidRequest", "message": "No"}
    skipped = {"code": "unprocessed", "message": "Operation skipped due to atomic transaction failure"}
    items = [
        {"ia::result": {"key": "1", "id": "A"}, "ia::status": 200},
        {"ia::result": {"ia::error": refused}, "ia::status": 400},
        {"ia::error": skipped, "ia::status": 422},
    ]
    sandbox.fail(status=status, path=COMPOSITE, body=items if bare else {"ia::result": items})
    results = client.composite([get(f"{CUSTOMERS}/1"), post(customer("B")), get(CUSTOMERS)])
    assert forms(results) == [(0, 200, True, False), (1, 400, False, False), (2, 422, False, True)]
    assert results[1].error.message == "No"
    assert client.transactions == 1


def test_a_part_of_several_keys_has_failed_when_one_is_missing_and_says_what_it_did(sandbox, client):
    sandbox.seed(CUSTOMER, [customer("A"), customer("B")])
    results = client.composite([get(f"{CUSTOMERS}/1,9"), get(CUSTOMERS)])
    assert [(result.ok, result.unprocessed) for result in results] == [(False, False), (False, True)]
    assert isinstance(results[0].error, IntacctNotFoundError)
    assert results[0].result[0]["id"] == "A"
    results = client.composite([get(CUSTOMERS), delete("1,9,2")])
    assert [result.ok for result in results] == [True, False]
    assert stored(sandbox, CUSTOMER) == []
    assert client.transactions == sandbox.transactions == 4


def test_a_call_refused_as_a_whole_raises(sandbox, client):
    sandbox.fail(status=400, path=COMPOSITE, body={"ia::result": {"ia::error": {"code": "invalidRequest"}}})
    with pytest.raises(IntacctValidationError):
        client.composite([get(CUSTOMERS), get(CUSTOMERS)])


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ({"ia::result": [{"ia::status": 200}]}, "2 composite requests without accounting"),
        ({"ia::result": [{"ia::status": 200}] * 3}, "2 composite requests without accounting"),
        ({"ia::result": [{"ia::status": 200}, None]}, "2 composite requests without accounting"),
        ({"ia::result": {}}, "2 composite requests without accounting"),
        ({"ia::result": [{}, {}], "ia::meta": {"totalError": 1}}, "counts 1 failures without showing any"),
    ],
)
def test_an_answer_that_does_not_account_for_every_part_is_no_success(sandbox, client, body, text):
    sandbox.fail(status=207, path=COMPOSITE, body=body)
    with pytest.raises(IntacctResponseError, match=text):
        client.composite([get(CUSTOMERS), get(CUSTOMERS)])


@pytest.mark.parametrize(
    ("listed", "text"),
    [
        ([{"key": "7"}], "without a result for each key at index 1"),
        ([{"key": "7"}, {"key": "9"}], "without a result for each key at index 1"),
        ([{"key": "7"}, {"key": "7"}], "without a result for each key at index 1"),
    ],
)
def test_a_part_of_several_keys_must_account_for_each(sandbox, client, listed, text):
    items = [{"ia::result": {"key": "1"}, "ia::status": 201}, {"ia::result": listed, "ia::status": 200}]
    sandbox.fail(status=207, path=COMPOSITE, body={"ia::result": items})
    with pytest.raises(IntacctResponseError, match=text):
        client.composite([post(customer("A")), get(f"{CUSTOMERS}/7,8")])


@pytest.mark.parametrize("made", [None, {}, [{"key": "1"}, {"key": "2"}]])
def test_a_part_that_creates_must_name_the_record(sandbox, client, made):
    items = [{"ia::result": made, "ia::status": 201}, {"ia::result": {"key": "7"}, "ia::status": 200}]
    sandbox.fail(status=207, path=COMPOSITE, body={"ia::result": items})
    with pytest.raises(IntacctResponseError, match="without naming the record created at index 0"):
        client.composite([post(customer("A")), get(f"{CUSTOMERS}/7")])


@pytest.mark.parametrize(
    "result",
    [
        {"key": "7", "ia::status": 404},
        {"ia::result": {"key": "7", "ia::error": {"message": "deep"}}},
        [{"key": "7"}, {"key": "8", "ia::status": 404}],
        [{"key": "7"}, {"ia::result": {"key": "8", "ia::error": {"message": "deep"}}}],
    ],
)
def test_a_failure_inside_the_result_of_a_part_counts(sandbox, client, result):
    items = [{"ia::result": {"key": "1"}, "ia::status": 201}, {"ia::result": result, "ia::status": 200}]
    sandbox.fail(status=207, path=COMPOSITE, body={"ia::result": items})
    keys = "7,8" if isinstance(result, list) else "7"
    outcome = client.composite([post(customer("A")), get(f"{CUSTOMERS}/{keys}")])
    assert [one.ok for one in outcome] == [True, False]


def test_a_row_can_have_a_field_named_error(sandbox, client):
    rows = [{"error": "none"}, {"error": {"code": "x"}}]
    items = [{"ia::result": {"key": "1"}, "ia::status": 201}, {"ia::result": rows, "ia::status": 200}]
    sandbox.fail(status=207, path=COMPOSITE, body={"ia::result": items})
    query = {"method": "POST", "path": QUERY, "body": {"object": CUSTOMER, "fields": ["error"]}}
    assert all(one.ok for one in client.composite([post(customer("A")), query]))


def test_a_customer_group_s_key_cannot_be_referred_to_and_that_is_told(sandbox, client):
    group = {"id": "G", "name": "g", "groupType": "all"}
    results = client.composite([post(group, "group", GROUPS), get(f"{GROUPS}/@{{group.key}}")])
    assert [result.ok for result in results] == [True, False]
    assert results[0].result["id"] == "G"
    assert "@{group.key} is not in the result" in results[1].error.message


# --- arguments


NAMED = post({"name": "x"}, "first")


@pytest.mark.parametrize(
    ("requests", "text"),
    [
        ([], "2 to 10 requests, not 0"),
        ([get(CUSTOMERS)], "2 to 10 requests, not 1; for records of one object use create_many"),
        ([get(CUSTOMERS)] * 11, "2 to 10 requests, not 11"),
        (get(CUSTOMERS), "requests must be a list, not dict"),
        ("GET", "requests must be a list, not str"),
        ([NAMED, "GET"], r"requests\[1\]: must be a mapping .* not str"),
        ([NAMED, {"method": "GET"}], r"requests\[1\]: path must begin with .* not None"),
        ([NAMED, {"path": CUSTOMERS}], r"requests\[1\]: method must be one of GET, POST, PATCH, DELETE, not None"),
        ([NAMED, {"method": "PTCH", "path": CUSTOMERS}], "not 'PTCH'. Did you mean 'PATCH'?"),
        ([NAMED, {"method": "PUT", "path": CUSTOMERS}], "not 'PUT'"),
        ([NAMED, get("objects/x/y")], "path must begin with /objects/ or /services/"),
        ([NAMED, get("/workflows/x/y")], "path must begin with /objects/ or /services/"),
        ([NAMED, get(f"{CUSTOMERS}/1 2")], "hold no space"),
        ([NAMED, get(COMPOSITE)], "a composite call cannot be a part of another"),
        ([NAMED, {**get(CUSTOMERS), "bdy": {}}], "'bdy' is not a member of a request. Did you mean 'body'?"),
        ([NAMED, {"method": "POST", "path": CUSTOMERS}], "body must be a mapping of fields for POST, not NoneType"),
        ([NAMED, post([{"name": "x"}])], "body must be a mapping of fields for POST, not list"),
        ([NAMED, {**delete("1"), "body": {}}], "DELETE takes no body"),
        ([NAMED, {**get(CUSTOMERS), "headers": "x"}], "headers must be a mapping, not str"),
        ([NAMED, {**get(CUSTOMERS), "headers": {"X": 1}}], "headers must be texts; 'X' is int"),
        ([NAMED, {**get(CUSTOMERS), "headers": {"authorization": "x"}}], "leave authorization out"),
        ([NAMED, post({"name": "x"}, "first")], "resultReference 'first' is taken"),
        ([NAMED, post({"name": "x"}, "a.b")], "letters, digits, - and _ only, not 'a.b'"),
        ([NAMED, get(f"{CUSTOMERS}/@{{frist.key}}")], "no earlier request .* 'frist'. Did you mean 'first'?"),
        ([get(f"{CUSTOMERS}/@{{first.key}}"), NAMED], "no earlier request has the resultReference 'first'"),
        ([NAMED, post({"a": [{"b": "x @{other.key}"}]})], "no earlier request has the resultReference 'other'"),
        ([NAMED, get(f"{CUSTOMERS}/@{{first}}")], r"@\{first\} must name a member, as in @\{first.key\}"),
        ([NAMED, get(f"{CUSTOMERS}/@{{first..key}}")], "must name a member"),
    ],
)  # fmt: skip
def test_what_cannot_be_right_is_refused_before_a_call(sandbox, client, requests, text):
    with pytest.raises(IntacctArgumentError, match=text):
        client.composite(requests)
    assert calls(sandbox, COMPOSITE) == []


# --- entity and headers


def test_every_part_runs_in_the_client_s_entity_unless_it_names_another(sandbox):
    with client_of(sandbox, entity_id="UK") as client:
        results = client.composite(
            [
                post(customer("A")),
                post(customer("B"), headers={"x-ia-api-param-entity": "US"}),
            ]
        )
    assert all(result.ok for result in results)
    assert [one["entity"]["id"] for one in sandbox.records(CUSTOMER)] == ["UK", "US"]


def test_a_key_of_one_s_own_is_left_as_it_is(sandbox, client):
    parts = [post(customer("A"), headers={"idempotency-key": "mine"}), get(CUSTOMERS)]
    first = client.composite(parts)
    assert client.composite(parts)[0].result == first[0].result
    assert stored(sandbox, CUSTOMER) == ["A"]


def test_headers_are_the_part_s_own_in_whatever_case_and_only_writes_take_keys():
    given = [
        {**get(CUSTOMERS), "headers": {"x-ia-api-param-entity": "US"}},
        post({"object": CUSTOMER, "fields": ["id"]}, path=QUERY),
        post(customer("A")),
        post(customer("A"), headers={"IDEMPOTENCY-KEY": "mine"}),
        patch("1", name="x"),
        delete("1"),
    ]
    parts = read_parts(given, {"X-IA-API-Param-Entity": "UK"})
    assert parts[0].headers == {"x-ia-api-param-entity": "US"}
    assert parts[1].headers == {"X-IA-API-Param-Entity": "UK"}
    assert [part.needs_key for part in parts] == [False, False, True, False, True, False]


# --- nothing twice


BATCH = [post(customer("A"), "a"), patch("@{a.key}", notes="changed"), post(customer("B"))]
BROKEN = [{"kind": "after"}, {"kind": "reset"}, {"kind": "cut"}, {"status": 503}, {"status": 429}]


@pytest.mark.parametrize("fault", BROKEN, ids=str)
def test_a_call_whose_answer_was_lost_is_done_and_billed_once(sandbox, client, fault):
    sandbox.fail(**fault, path=COMPOSITE)
    results = client.composite(BATCH)
    assert [result.ok for result in results] == [True] * 3
    assert stored(sandbox, CUSTOMER) == ["A", "B"]
    assert client.transactions == sandbox.transactions == 3


def test_a_call_whose_every_answer_was_lost_is_found_out_by_the_next_attempt(sandbox):
    sandbox.fail(kind="after", path=COMPOSITE, times=3)
    with scoped(sandbox, retry=IMPATIENT) as first, pytest.raises(IntacctConnectionError):
        first.composite(BATCH)
    with scoped(sandbox) as second:
        results = second.composite(BATCH)
    assert [result.ok for result in results] == [True] * 3
    assert stored(sandbox, CUSTOMER) == ["A", "B"]
    assert sandbox.transactions == 3 + len(calls(sandbox, QUERY))


def test_the_same_part_in_another_call_is_another_write(sandbox, client):
    for one in "AB":
        results = client.composite(
            [post(customer(one), "it"), post({"name": "x", "parent": {"key": "@{it.key}"}})]
        )
        assert all(result.ok for result in results)
    parents = {one["id"]: one["parent"]["id"] for one in sandbox.records(CUSTOMER)}
    assert sorted(filter(None, parents.values())) == ["A", "B"]
    assert len(parents) == 4


def test_a_failure_that_an_earlier_attempt_left_behind_is_asked_anew(sandbox):
    parts = [post(customer("A")), post(customer("B", parent={"id": "P"})), post(customer("C"))]
    with scoped(sandbox) as first:
        assert [result.ok for result in first.composite(parts)] == [True, False, False]
    with scoped(sandbox) as second:
        assert [result.ok for result in second.composite(parts)] == [True, False, False]
    assert len(calls(sandbox, COMPOSITE)) == 1 + 2
    sandbox.seed(CUSTOMER, [customer("P")])
    before = sandbox.transactions
    with scoped(sandbox) as third:
        assert [result.ok for result in third.composite(parts)] == [True, True, True]
    assert stored(sandbox, CUSTOMER) == ["A", "P", "B", "C"]
    assert third.transactions == sandbox.transactions - before


def test_a_fresh_failure_is_believed_at_once(sandbox, client):
    results = client.composite([post(customer("A")), post(BAD)])
    assert [result.ok for result in results] == [True, False]
    assert len(calls(sandbox, COMPOSITE)) == 1


@pytest.mark.parametrize(("scopes", "requests"), [(SCOPES, 2), ({}, 1)])
def test_without_headers_in_the_answer_a_failure_that_may_be_old_is_asked_anew_once(
    sandbox, scopes, requests
):
    """Sage does not document that the elements of a response say whether they come from the cache."""
    failed = {"ia::error": {"code": "invalidRequest", "message": "No"}, "ia::status": 422}
    done = {"ia::result": {"key": "1", "id": "A"}, "ia::status": 201}
    sandbox.fail(status=207, path=COMPOSITE, body={"ia::result": [done, failed]}, times=0)
    with client_of(sandbox) as client:
        client.idempotency.scopes = scopes
        results = client.composite([post(customer("A")), post(customer("B"))])
    assert [result.ok for result in results] == [True, False]
    assert len(calls(sandbox, COMPOSITE)) == requests
    assert client.transactions == 1


def test_parts_of_other_calls_do_not_share_keys_in_whatever_order_the_next_attempt_sends_them(sandbox):
    def call(client, one):
        return client.composite([post(customer(one), "it"), post({"name": "x", "notes": "@{it.id}"})])

    for order in ("AB", "BA"):
        with scoped(sandbox) as client:
            for one in order:
                assert [result.ok for result in call(client, one)] == [True, True]
    assert len(stored(sandbox, CUSTOMER)) == 4


def test_what_refers_to_a_record_that_is_made_again_is_done_again_only_if_that_changes_it(sandbox):
    sandbox.seed(CUSTOMER, [customer("X")])
    parts = [
        post(customer("A"), "a"),
        post({"name": "of @{a.id}"}, "same"),
        patch("1", notes="@{a.key} and @{same.key}"),
    ]
    with scoped(sandbox) as first:
        first.composite(parts)
    assert sandbox.records(CUSTOMER)[0]["notes"] == "2 and 3"
    assert RawClient(sandbox)("DELETE", f"{CUSTOMERS}/2").status_code == 204
    before = sandbox.transactions
    with scoped(sandbox) as second:
        results = second.composite(parts)
    assert [(result.ok, result.result["key"]) for result in results] == [
        (True, "4"),
        (True, "3"),
        (True, "1"),
    ]
    assert sandbox.records(CUSTOMER)[0]["notes"] == "4 and 3"
    assert [one["name"] for one in sandbox.records(CUSTOMER)] == ["x", "of A", "a"]
    assert second.transactions == sandbox.transactions - before


def test_a_record_deleted_since_an_earlier_attempt_made_it_is_made_again_with_what_uses_it(sandbox):
    parts = [
        post(customer("A"), "a"),
        post(customer("B", parent={"key": "@{a.key}"}), "b"),
        post(customer("C", notes="@{b.id}")),
        post(customer("D")),
    ]
    with scoped(sandbox) as first:
        first.composite(parts)
    for key in "321":
        assert RawClient(sandbox)("DELETE", f"{CUSTOMERS}/{key}").status_code == 204
    before = sandbox.transactions
    with scoped(sandbox) as second:
        results = second.composite(parts)
    assert [(result.ok, result.result["key"]) for result in results] == [
        (True, "5"), (True, "6"), (True, "7"), (True, "4"),
    ]  # fmt: skip
    assert sorted(stored(sandbox, CUSTOMER)) == ["A", "B", "C", "D"]
    assert second.transactions == sandbox.transactions - before


def test_a_key_whose_request_changed_with_what_it_refers_to_is_told_and_nothing_is_done_twice(sandbox):
    parts = [get(f"{CUSTOMERS}/1", "old"), post({"name": "copy of @{old.name}"})]
    sandbox.seed(CUSTOMER, [customer("A")])
    with scoped(sandbox) as first:
        assert all(result.ok for result in first.composite(parts))
    RawClient(sandbox)("PATCH", f"{CUSTOMERS}/1", {"name": "changed"})
    with scoped(sandbox) as second:
        [_, result] = second.composite(parts)
    assert isinstance(result.error, IntacctIdempotencyError)
    assert "when the referenced result was different" in str(result.error)
    assert len(stored(sandbox, CUSTOMER)) == 2


@pytest.mark.parametrize("reported", [True, False])
def test_a_part_that_an_earlier_sending_is_still_doing_is_neither_done_nor_a_conflict(
    sandbox, client, reported
):
    text = "Another request with this Idempotency-Key is in progress" if reported else "Conflict"
    items = [
        {"ia::error": {"code": "invalidRequest", "message": text}, "ia::status": 409},
        {"ia::status": 422},
    ]
    if not reported:
        sandbox.fail(kind="after", path=COMPOSITE)
    sandbox.fail(status=207, path=COMPOSITE, body={"ia::result": items}, times=0)
    with pytest.raises(IntacctServerError, match="so its outcome is unknown") as caught:
        client.composite([post(customer("A")), get(CUSTOMERS)])
    assert not isinstance(caught.value, IntacctConflictError)
    assert caught.value.retryable


# --- deletions


@pytest.mark.parametrize("fault", [{"kind": "after"}, {"status": 503}], ids=str)
def test_a_deletion_at_the_end_outlasts_a_lost_answer(sandbox, client, fault):
    sandbox.seed(CUSTOMER, [customer("A")])
    sandbox.fail(**fault, path=COMPOSITE)
    results = client.composite([post(customer("B")), delete("1")])
    assert [(result.status, result.ok) for result in results] == [(201, True), (204, True)]
    assert stored(sandbox, CUSTOMER) == ["B"]
    assert client.transactions == sandbox.transactions == 2


def test_a_deletion_at_the_end_of_what_never_was_is_a_failure(sandbox, client):
    results = client.composite([post(customer("B")), delete("9")])
    assert [result.ok for result in results] == [True, False]
    sandbox.fail(status=503, path=COMPOSITE)
    results = client.composite(
        [get(CUSTOMERS), {"method": "DELETE", "path": "/objects/accounts-receivable/custmer/1"}]
    )
    assert [result.ok for result in results] == [True, False]


def test_several_deletions_at_the_end_of_which_one_is_in_use_have_failed(sandbox, client):
    sandbox.seed(CUSTOMER, [customer("P"), customer("C")])
    sandbox.seed(CUSTOMER, [customer("D", parent={"id": "C"})])
    sandbox.fail(kind="after", path=COMPOSITE)
    results = client.composite([get(CUSTOMERS), delete("1,2")])
    assert [result.ok for result in results] == [True, False]
    assert isinstance(results[1].error, IntacctValidationError)
    assert stored(sandbox, CUSTOMER) == ["C", "D"]


@pytest.mark.parametrize("fault", [{"kind": "after"}, {"kind": "reset"}, {"status": 503}], ids=str)
def test_a_call_with_a_deletion_before_its_end_is_sent_once(sandbox, client, fault):
    sandbox.seed(CUSTOMER, [customer("A")])
    sandbox.fail(**fault, path=COMPOSITE)
    with pytest.raises((IntacctConnectionError, IntacctServerError)):
        client.composite([delete("1"), post(customer("B"))])
    assert len(calls(sandbox, COMPOSITE)) == 1


def test_an_old_failure_after_a_deletion_is_not_asked_anew(sandbox, client):
    """The deletion would find nothing, and end the call."""
    cached = {"x-ia-idempotency-cached-date": "Sun, 16 Mar 2025 00:00:00 GMT"}
    old = {"ia::error": {"message": "No"}, "ia::status": 422, "ia::headers": cached}
    sandbox.fail(status=207, path=COMPOSITE, body={"ia::result": [{"ia::status": 204}, old]}, times=0)
    assert [result.ok for result in client.composite([delete("1"), post(customer("A"))])] == [True, False]
    assert len(calls(sandbox, COMPOSITE)) == 1


def test_every_deleted_record_of_a_part_is_billed(sandbox, client):
    sandbox.seed(CUSTOMER, [customer("A"), customer("B"), customer("C")])
    assert all(result.ok for result in client.composite([delete("1,2"), delete("3")]))
    assert client.transactions == sandbox.transactions == 3
