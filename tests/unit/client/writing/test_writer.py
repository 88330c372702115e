"""Writing: once, each record with its own outcome in order, whatever way the answer says it."""

from __future__ import annotations

import json
import re
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests
from hypothesis import given, settings
from hypothesis import strategies as st
from urllib3.exceptions import MaxRetryError, NewConnectionError

from intacct_provider.client.batches import BATCH_BYTES, BATCH_SIZE, split_records
from intacct_provider.client.http import codec
from intacct_provider.client.idempotency import MAX_GENERATIONS, IdempotencyKeys
from intacct_provider.client.paths import collection_path, record_path
from intacct_provider.exceptions import (
    IntacctArgumentError,
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
    IntacctValidationError,
)

CUSTOMER = "accounts-receivable/customer"
GROUP = "accounts-receivable/customer-group"
GROUPS = "/objects/" + GROUP
LOST = {"exc": requests.ConnectionError("reset")}
UNREACHED = {"exc": requests.ConnectionError(MaxRetryError(None, "/", NewConnectionError(None, "refused")))}
JSON = {"Content-Type": "application/json"}
REFUSED = {"code": "invalidRequest", "message": "Another record with the value", "errorId": "REST-7001"}


def reference(key, **more):
    return {"key": str(key), "id": f"C{key}", "href": f"/objects/{CUSTOMER}/{key}", **more}


def failure(status=422, **more):
    return {"ia::error": {**REFUSED, **more}, "ia::status": status}


def result(*items):
    return {"ia::result": list(items)}


def records(count, start=1):
    return [{"id": f"C{n}"} for n in range(start, start + count)]


def keys_sent(intacct, method="POST"):
    return [call.headers["Idempotency-Key"] for call in intacct.calls("/objects", method)]


class Ledger:
    """The records of an object behind Intacct's idempotency cache; ids in ``refused`` are not taken."""

    def __init__(self, intacct, refused=()):
        self.cache, self.written, self.refused = {}, [], set(refused)
        intacct.on("POST", intacct.customers, json=self.post)
        intacct.on("POST", intacct.query, json=self.query)
        #: After an answer was made: what to do instead of sending it.
        self.lose = 0

    def post(self, request, context):
        key = request.headers["Idempotency-Key"]
        if key in self.cache:
            context.headers["x-ia-idempotency-cached-date"] = "2026-01-01T00:00:00Z"
        else:
            self.cache[key] = self.answer(request.json())
        if self.lose:
            self.lose -= 1
            raise requests.ConnectionError("reset")
        context.status_code, body = self.cache[key]
        return body

    def answer(self, body):
        items = [self.take(item) for item in (body if isinstance(body, list) else [body])]
        failed = sum("ia::error" in item for item in items)
        status = 201 if not failed else 422 if failed == len(items) else 207
        if isinstance(body, list):
            return status, result(*items)
        return status, {"ia::result": items[0]}

    def take(self, record):
        if record["id"] in self.refused:
            return failure()
        self.written.append(record["id"])
        return reference(len(self.written), id=record["id"])

    def query(self, request, _context):
        """Answer a read of keys: all that were asked for are there."""
        (condition,) = request.json()["filters"]
        ((name, wanted),) = condition["$in"].items()
        return {
            "ia::result": [{"key": "1", name: value} for value in wanted],
            "ia::meta": {"totalCount": len(wanted)},
        }


# --- one record


def test_a_created_record_s_reference_is_returned(intacct):
    intacct.on("POST", intacct.customers, status_code=201, json={"ia::result": reference(7, other=1)})
    client = intacct.client()
    assert client.create(CUSTOMER, {"id": "C7", "name": "Acmé"}) == reference(7)
    (call,) = intacct.calls(intacct.customers)
    assert call.json() == {"id": "C7", "name": "Acmé"}
    assert call.headers["Content-Type"] == "application/json"
    assert client.transactions == 1


def test_an_update_names_the_record_in_its_path_and_none_clears(intacct):
    intacct.on("PATCH", intacct.customers + "/7", json={"ia::result": reference(7)})
    client = intacct.client()
    assert client.update(CUSTOMER, "7", {"name": None}) == reference(7)
    assert intacct.calls(intacct.customers)[0].json() == {"name": None}
    assert client.transactions == 1


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, IntacctValidationError),
        (403, IntacctPermissionError),
        (404, IntacctNotFoundError),
        (409, IntacctConflictError),
        (422, IntacctValidationError),
    ],
)
def test_a_refused_record_raises_what_it_was_refused_for_and_costs_nothing(intacct, status, kind):
    intacct.on("POST", intacct.customers, status_code=status, json={"ia::result": {"ia::error": REFUSED}})
    client = intacct.client()
    with pytest.raises(kind, match="Another record with the value"):
        client.create(CUSTOMER, {"id": "C1"})
    assert client.transactions == 0
    assert len(keys_sent(intacct)) == 1


def test_an_error_under_a_success_is_not_a_written_record(intacct):
    intacct.on("POST", intacct.customers, status_code=201, json={"ia::result": {"ia::error": REFUSED}})
    client = intacct.client()
    with pytest.raises(IntacctValidationError):
        client.create(CUSTOMER, {"id": "C1"})
    assert client.transactions == 0


@pytest.mark.parametrize(
    "answer", [{"text": "null"}, {"json": {}}, {"json": {"ia::result": []}}, {"json": {"ia::result": {}}}]
)
def test_a_success_that_names_no_record_is_not_a_created_one(intacct, answer):
    intacct.on("POST", intacct.customers, status_code=200, **answer)
    client = intacct.client()
    with pytest.raises(IntacctResponseError) as caught:
        client.create(CUSTOMER, {"id": "C1"})
    assert re.search("without (naming|accounting for) it", str(caught.value))
    assert re.search("whether it (exists|was written) is unknown", str(caught.value))
    assert client.transactions == 0


def test_a_customer_group_s_key_which_intacct_does_not_tell_is_looked_up(intacct):
    intacct.on("POST", GROUPS, status_code=201, json={"ia::result": {"id": "G1", "href": None}})
    row = {"key": "9", "id": "G1"}
    intacct.on("POST", intacct.query, json={"ia::result": [row], "ia::meta": {"totalCount": 1}})
    client = intacct.client()
    assert client.create(GROUP, {"id": "G1"}) == {"key": "9", "id": "G1", "href": None}
    assert intacct.calls(intacct.query)[0].json()["filters"] == [{"$in": {"id": ["G1"]}}]
    assert client.transactions == 2


@pytest.mark.parametrize(
    "answer", [{"status_code": 403}, LOST, {"json": {"ia::result": [], "ia::meta": {"totalCount": 0}}}]
)
def test_a_key_that_cannot_be_looked_up_does_not_make_a_written_record_look_unwritten(intacct, answer):
    intacct.on("POST", GROUPS, status_code=201, json={"ia::result": {"id": "G1"}})
    intacct.on("POST", intacct.query, **answer)
    assert intacct.client().create(GROUP, {"id": "G1"}) == {"key": None, "id": "G1", "href": None}


def test_keys_of_many_customer_groups_are_looked_up_in_one_read(intacct):
    intacct.on("POST", GROUPS, status_code=207, json=result({"id": "G1"}, failure(), {"id": "G3"}))
    rows = [{"key": "3", "id": "G3"}, {"key": "8", "id": "G1"}]
    intacct.on("POST", intacct.query, json={"ia::result": rows, "ia::meta": {"totalCount": 2}})
    outcome = intacct.client().create_many(GROUP, [{"id": f"G{n}"} for n in (1, 2, 3)])
    assert [(r.key, r.ok) for r in outcome] == [("8", True), (None, False), ("3", True)]
    assert len(intacct.calls(intacct.query)) == 1


# --- many records


def test_a_batch_s_outcomes_are_told_apart_by_their_position(intacct):
    answer = result(
        reference(11, id="C1"), failure(422), reference(13, id="C3"), failure(404, message="No such term")
    )
    intacct.on("POST", intacct.customers, status_code=207, json={**answer, "ia::meta": {"totalError": 2}})
    client = intacct.client()
    outcome = client.create_many(CUSTOMER, records(4))
    assert [r.index for r in outcome] == [0, 1, 2, 3]
    assert [r.ok for r in outcome] == [True, False, True, False]
    assert [(r.key, r.id) for r in outcome if r.ok] == [("11", "C1"), ("13", "C3")]
    assert type(outcome[1].error) is IntacctValidationError
    assert type(outcome[3].error) is IntacctNotFoundError
    assert str(outcome[3].error) == "No such term (HTTP 404, invalidRequest, REST-7001)"
    assert client.transactions == 2


@pytest.mark.parametrize("status", [200, 201, 207, 400, 404, 422])
@pytest.mark.parametrize("nested", [True, False])
def test_a_batch_all_of_which_failed_is_read_under_any_status(intacct, status, nested):
    item = {"ia::result": {"ia::error": REFUSED}, "ia::status": 409} if nested else failure(409)
    intacct.on("POST", intacct.customers, status_code=status, json=result(item, item))
    outcome = intacct.client().create_many(CUSTOMER, records(2))
    assert [type(r.error) for r in outcome] == [IntacctConflictError] * 2


def test_items_wrapped_in_a_result_of_their_own_are_read_too(intacct):
    items = [{"ia::result": reference(5, id="C1"), "ia::status": 201}, {"ia::status": 422}]
    intacct.on("POST", intacct.customers, status_code=207, json=result(*items))
    good, bad = intacct.client().create_many(CUSTOMER, records(2))
    assert (good.key, good.ok) == ("5", True)
    assert "rejected with status 422" in str(bad.error)


def test_an_atomic_batch_says_so_and_its_failure_is_every_record_s(intacct):
    skipped = failure(422, code="unprocessed", message="Operation skipped due to atomic transaction failure")
    intacct.on("POST", intacct.customers, status_code=422, json=result(skipped, failure(), skipped))
    client = intacct.client()
    outcome = client.create_many(CUSTOMER, records(3), atomic=True)
    assert not any(r.ok for r in outcome)
    assert [r.error.code for r in outcome] == ["unprocessed", "invalidRequest", "unprocessed"]
    assert intacct.calls(intacct.customers)[0].headers["X-IA-API-Param-Transaction"] == "true"
    assert client.transactions == 0


def test_a_batch_is_not_atomic_unless_asked_for(intacct):
    intacct.on("POST", intacct.customers, json=result(reference(1)))
    intacct.client().create_many(CUSTOMER, records(1))
    assert "X-IA-API-Param-Transaction" not in intacct.calls(intacct.customers)[0].headers


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, IntacctValidationError),
        (403, IntacctPermissionError),
        (404, IntacctNotFoundError),
        (409, IntacctConflictError),
    ],
)
def test_a_batch_refused_as_a_whole_is_every_record_s_error(intacct, status, kind):
    intacct.on("POST", intacct.customers, status_code=status, json={"ia::result": {"ia::error": REFUSED}})
    outcome = intacct.client().create_many(CUSTOMER, records(3))
    assert [(r.index, type(r.error)) for r in outcome] == [(n, kind) for n in range(3)]


@pytest.mark.parametrize(
    ("status", "kind"),
    [(401, IntacctAuthenticationError), (429, IntacctRateLimitError), (503, IntacctServerError)],
)
def test_what_is_not_about_the_records_raises(intacct, status, kind):
    intacct.on("POST", intacct.customers, status_code=status)
    with pytest.raises(kind):
        intacct.client().create_many(CUSTOMER, records(3))


@pytest.mark.parametrize(
    ("answer", "known"),
    [
        (result(reference(1)), "written: index 0; unknown: index 1 to 2."),
        (result(reference(3), reference(1)), "written: index 0, 2; unknown: index 1."),
        (result({"key": "1"}, failure()), "which of them were written is unknown."),
        ({"ia::result": []}, "which of them were written is unknown."),
        ({"ia::result": reference(1)}, "which of them were written is unknown."),
        ({}, "which of them were written is unknown."),
    ],
)
def test_an_answer_that_does_not_account_for_every_record_raises(intacct, answer, known):
    intacct.on("POST", intacct.customers, status_code=201, json=answer)
    with pytest.raises(IntacctResponseError) as caught:
        intacct.client().create_many(CUSTOMER, records(3))
    assert (
        str(caught.value)
        == f"Intacct answered HTTP 201 to 3 records without accounting for each of them; {known}"
    )


def test_results_of_creations_belong_to_records_by_id(intacct):
    items = [reference(13, id="C3"), reference(12, id=" c2"), failure(422)]
    intacct.on("POST", intacct.customers, status_code=207, json=result(*items))
    outcome = intacct.client().create_many(CUSTOMER, records(3))
    assert [(r.index, r.ok, r.key) for r in outcome] == [(0, False, None), (1, True, "12"), (2, True, "13")]


def test_results_of_updates_belong_to_records_by_key(intacct):
    intacct.on(
        "PATCH", intacct.customers, status_code=207, json=result(failure(404), reference(9), reference(7))
    )
    outcome = intacct.client().update_many(CUSTOMER, [{"key": 7}, {"key": "8"}, {"key": "9"}])
    assert [(r.index, r.ok, r.key) for r in outcome] == [(0, True, "7"), (1, False, "8"), (2, True, "9")]


def test_records_without_an_id_take_the_results_that_are_left(intacct):
    items = [reference(12, id="C2"), reference(11, id="A-0001")]
    intacct.on("POST", intacct.customers, status_code=201, json=result(*items))
    outcome = intacct.client().create_many(CUSTOMER, [{"name": "x"}, {"id": "C2"}])
    assert [(r.key, r.id) for r in outcome] == [("11", "A-0001"), ("12", "C2")]


C1, C2, C3 = map(reference, (1, 2, 3))
CONTRADICTIONS = [
    ([C1, C1, C3], {}, "with two results for index 0 (id C1); written: index 2; unknown: index 0 to 1."),
    (
        [C1, C2, C3, C3],
        {},
        (
            "without accounting for each of them, and with two results for index 2 (id C3); written: index 0 to 1; "
            "unknown: index 2."
        ),
    ),
    (
        [reference(99), C2, failure()],
        {},
        "with a result for another record (key 99, id C99); written: index 1; unknown: index 0, 2.",
    ),
    (
        [C3, failure(), failure()],
        {},
        "in another order, and not each result names its record; written: index 2; not written: index 0 to 1.",
    ),
    ([C3, failure(), {"key": "4"}], {}, ("in another order, and not each result names its record; written: index 2; "
     "unknown: index 0 to 1.")),
    ([C1, reference(1, id="C2"), C3], {}, ("with two results for one record (key 1); written: index 2; unknown: "
     "index 0 to 1.")),
    ([C1, {}, C3], {}, "without naming the one at index 1; written: index 0, 2; unknown: index 1."),
    ([C1, failure(), C3], {"totalError": 0}, ("and counts 0 failures but shows 1; written: index 0, 2; unknown: "
     "index 1.")),
    ([C1, failure(), C3], {"totalError": "2"}, ("and counts 2 failures but shows 1; not written: index 1; unknown: "
     "index 0, 2.")),
    ([C1, failure(), C3], {"totalSuccess": 3}, ("and counts 3 successes but shows 2; written: index 0, 2; unknown: "
     "index 1.")),
    ([C1, C2, C3], {"totalError": 1}, ("and counts 1 failures without showing any; which of them were written is "
     "unknown.")),
]  # fmt: skip


@pytest.mark.parametrize(("items", "counts", "said"), CONTRADICTIONS)
def test_results_that_contradict_are_an_error_that_says_what_is_known(intacct, items, counts, said):
    intacct.on("POST", intacct.customers, status_code=207, json={**result(*items), "ia::meta": counts})
    with pytest.raises(IntacctResponseError) as caught:
        intacct.client().create_many(CUSTOMER, records(3))
    assert str(caught.value) == f"Intacct answered HTTP 207 to 3 records {said}"


def test_what_is_known_is_told_by_the_position_in_the_whole_write(intacct):
    good = result(*map(reference, range(1, 501)))
    bad = result(reference(501), failure(), reference(999))
    intacct.on("POST", intacct.customers, {"json": good}, {"json": bad})
    with pytest.raises(
        IntacctInterruptedWriteError, match="written: index 500; unknown: index 501 to 502"
    ) as caught:
        intacct.client().create_many(CUSTOMER, records(503))
    assert len(caught.value.results) == 500


@pytest.mark.parametrize(
    "code", ["unprocessed", "atomicOperationFailure", "UNPROCESSED", "Atomic_Operation_Failure"]
)
@pytest.mark.parametrize("counted", [1, 3])
def test_what_an_atomic_call_did_not_process_is_not_rejected(intacct, code, counted):
    items = [failure(422, code=code), failure(), failure(422, code=code)]
    answer = {**result(*items), "ia::meta": {"totalError": counted, "totalSuccess": 0}}
    intacct.on("POST", intacct.customers, status_code=207, json=answer)
    outcome = intacct.client().create_many(CUSTOMER, records(3), atomic=True)
    assert [(r.ok, r.unprocessed) for r in outcome] == [(False, True), (False, False), (False, True)]
    assert "The rejected record is at index 1" in str(outcome[0].error)


@pytest.mark.parametrize(
    "error",
    [
        {"errorId": "unprocessed"},
        {"code": "operationFailed", "details": [{"code": "atomicOperationFailure"}]},
        {"details": {"errorId": "Unprocessed"}},
    ],
)
def test_what_was_not_processed_may_be_said_in_another_place(intacct, error):
    items = result({"ia::error": error}, failure(), {"ia::error": error})
    intacct.on("POST", intacct.customers, status_code=422, json=items)
    outcome = intacct.client().create_many(CUSTOMER, records(3), atomic=True)
    assert [r.unprocessed for r in outcome] == [True, False, True]


def test_a_rejected_record_may_mention_that_others_were_not_processed(intacct):
    error = {"code": "failed", "details": [{"code": "duplicate"}, {"code": "unprocessed"}]}
    intacct.on("POST", intacct.customers, status_code=422, json=result({"ia::error": error}, failure()))
    outcome = intacct.client().create_many(CUSTOMER, records(2), atomic=True)
    assert not outcome[0].unprocessed


@pytest.mark.parametrize(
    "element",
    [
        {"ia::result": {"key": "8", "ia::status": 404}},
        {"ia::result": {"key": "8", "ia::status": 404}, "ia::status": 200},
        {"key": "8", "ia::status": "404 Not Found"},
        {"key": "8", "ia::status": 404.0},
        {"error": {"code": "GW-0099", "message": "no"}},
        {"ia::result": [{"key": "8", "ia::error": REFUSED}]},
    ],
)
@pytest.mark.parametrize("method", ["PATCH", "DELETE"])
def test_a_failure_counts_wherever_an_element_says_it(intacct, method, element):
    answer = {"status_code": 207, "json": result({"key": "7"}, element, {"key": "9"})}
    intacct.on("PATCH", intacct.customers, **answer)
    intacct.on("DELETE", intacct.customers + "/7,8,9", **answer)
    client, keys = intacct.client(), ["7", "8", "9"]
    write = {
        "PATCH": lambda: client.update_many(CUSTOMER, [{"key": key} for key in keys]),
        "DELETE": lambda: client.delete_many(CUSTOMER, keys),
    }[method]
    assert [one.ok for one in write()] == [True, False, True]


def test_a_token_in_the_place_of_an_id_is_not_shown(intacct):
    def echo(request, _context):
        token = request.headers["Authorization"].split()[1]
        return result({"key": "1", "id": token + "\x1b[31m"}, reference(2))

    intacct.on("POST", intacct.customers, json=echo)
    client = intacct.client()
    with pytest.raises(IntacctResponseError) as caught:
        client.create_many(CUSTOMER, records(2))
    token = intacct.calls(intacct.customers)[0].headers["Authorization"].split()[1]
    assert token not in str(caught.value)
    assert "\x1b" not in str(caught.value)


def test_a_status_beside_the_result_of_one_record_counts(intacct):
    answer = {"ia::result": reference(1), "ia::status": 400}
    intacct.on("POST", intacct.customers, json=answer)
    with pytest.raises(IntacctValidationError):
        intacct.client().create(CUSTOMER, {"id": "C1"})


def test_a_field_named_error_is_not_a_failure(intacct):
    items = result({"key": "7", "error": "none"}, {"key": "8", "error": {"code": "x"}})
    intacct.on("GET", intacct.customers + "/7,8", json=items)
    assert [r["key"] for r in intacct.client().get_many(CUSTOMER, ["7", "8"])] == ["7", "8"]


@pytest.mark.parametrize("status", [200, 422])
def test_successes_with_an_error_beside_them_are_a_contradiction(intacct, status):
    items = [{**reference(n), "ia::status": 201} for n in (1, 2)]
    answer = {**result(*items), "ia::error": REFUSED}
    intacct.on("POST", intacct.customers, status_code=status, json=answer)
    with pytest.raises(IntacctResponseError, match="with successes only, and with an error"):
        intacct.client().create_many(CUSTOMER, records(2))


@pytest.mark.parametrize("method", ["POST", "PATCH", "DELETE"])
def test_one_record_is_not_taken_for_another(intacct, method):
    intacct.on(
        method, intacct.customers + ("" if method == "POST" else "/7"), json={"ia::result": reference(8)}
    )
    client = intacct.client()
    write = {
        "POST": lambda: client.create(CUSTOMER, {"id": "C7"}),
        "PATCH": lambda: client.update(CUSTOMER, 7, {"name": "x"}),
        "DELETE": lambda: client.delete(CUSTOMER, "7"),
    }
    with pytest.raises(
        IntacctResponseError, match=r"with a result for another record \(key 8, id C8\); whether"
    ):
        write[method]()


@pytest.mark.parametrize("counts", [{"totalError": 0}, {"totalSuccess": 1}])
def test_a_refusal_of_one_record_that_is_not_counted_is_a_contradiction(intacct, counts):
    answer = {"ia::result": {"ia::error": REFUSED}, "ia::meta": counts}
    intacct.on("POST", intacct.customers, status_code=422, json=answer)
    with pytest.raises(IntacctResponseError, match="whether it was written is unknown"):
        intacct.client().create(CUSTOMER, {"id": "C1"})


# --- objects without idempotency keys


def not_recognized(intacct):
    """Let the model say that creations of customers that come again are not recognized."""
    model = {"apiObject": "objects/" + CUSTOMER, "fields": {}, "idempotenceSupported": False}
    intacct.on("GET", intacct.model, json={"ia::result": model})


@pytest.mark.parametrize("fault", [LOST, {"status_code": 503}, {"text": '{"ia::res', "headers": JSON}])
@pytest.mark.parametrize("many", [True, False])
def test_a_creation_without_an_id_is_not_sent_twice_if_intacct_would_not_know(intacct, fault, many):
    not_recognized(intacct)
    intacct.on("POST", intacct.customers, fault, {"status_code": 201, "json": result(reference(1))})
    client = intacct.client()
    with pytest.raises(IntacctError, match="does not support idempotency keys") as caught:
        client.create_many(CUSTOMER, [{"name": "x"}]) if many else client.create(CUSTOMER, {"name": "x"})
    assert not caught.value.retryable
    assert len(keys_sent(intacct)) == 1


@pytest.mark.parametrize("fault", [{"status_code": 429}, UNREACHED])
def test_a_creation_that_was_certainly_not_carried_out_is_sent_again(intacct, fault):
    not_recognized(intacct)
    intacct.on("POST", intacct.customers, fault, {"status_code": 201, "json": result(reference(1))})
    assert intacct.client().create_many(CUSTOMER, [{"name": "x"}])[0].ok
    assert len(keys_sent(intacct)) == 2


def test_a_creation_without_an_id_is_sent_again_if_intacct_knows_it(intacct):
    intacct.on("POST", intacct.customers, LOST, {"status_code": 201, "json": result(reference(1))})
    assert intacct.client().create_many(CUSTOMER, [{"name": "x"}])[0].ok


def test_a_contradiction_does_not_make_a_task_create_records_twice(intacct):
    not_recognized(intacct)
    intacct.on("POST", intacct.customers, json=result(reference(1)))
    with pytest.raises(IntacctResponseError, match="does not support idempotency keys") as caught:
        intacct.client().create_many(CUSTOMER, [{"name": "x"}] * 2)
    assert not caught.value.retryable


@pytest.mark.parametrize("exists", [True, False])
def test_a_rejection_after_a_lost_answer_may_be_about_our_own_record(intacct, exists):
    not_recognized(intacct)
    intacct.on("POST", intacct.customers, LOST, {"status_code": 422, "json": result(failure())})
    found = [{"key": "1", "id": "C1"}] if exists else []
    intacct.on("POST", intacct.query, json={"ia::result": found, "ia::meta": {"totalCount": len(found)}})
    client = intacct.client()
    if not exists:
        assert not client.create_many(CUSTOMER, records(1))[0].ok
        return
    with pytest.raises(IntacctResponseError, match="rejected those at index 0, whose ids exist") as caught:
        client.create_many(CUSTOMER, records(1))
    assert not caught.value.retryable


def test_a_batch_of_one_may_be_answered_without_a_list(intacct):
    intacct.on("POST", intacct.customers, status_code=201, json={"ia::result": reference(4)})
    (only,) = intacct.client().create_many(CUSTOMER, records(1, start=4))
    assert (only.key, only.ok) == ("4", True)


def test_updates_keep_the_keys_that_were_given_even_when_refused(intacct):
    intacct.on("PATCH", intacct.customers, status_code=207, json=result({"id": "C7"}, failure()))
    changes = [{"key": "7", "name": "a"}, {"key": "8", "name": "b"}]
    outcome = intacct.client().update_many(CUSTOMER, changes)
    assert [(r.key, r.ok) for r in outcome] == [("7", True), ("8", False)]
    assert intacct.calls(intacct.customers)[0].json() == changes


@pytest.mark.parametrize("change", [{"name": "a"}, {"key": ""}, {"key": None}, "7"])
def test_an_update_without_a_key_is_refused_before_anything_is_sent(intacct, change):
    with pytest.raises(
        IntacctArgumentError, match=r"changes\[1\] needs the key of the record that it changes"
    ):
        intacct.client().update_many(CUSTOMER, [{"key": "1"}, change])
    assert intacct.calls() == []


@pytest.mark.parametrize("write", ["create_many", "update_many", "delete_many"])
def test_nothing_to_write_asks_for_nothing(intacct, write):
    assert getattr(intacct.client(), write)(CUSTOMER, []) == []
    assert intacct.calls() == []


# --- batches


@pytest.mark.parametrize(("count", "sizes"), [(500, [500]), (501, [500, 1]), (1200, [500, 500, 200])])
def test_a_call_carries_500_records_at_most_in_order(intacct, count, sizes):
    ledger = Ledger(intacct)
    outcome = intacct.client().create_many(CUSTOMER, records(count))
    assert [len(call.json()) for call in intacct.calls(intacct.customers)] == sizes
    assert [r.index for r in outcome] == list(range(count))
    assert [r.id for r in outcome] == ledger.written == [r["id"] for r in records(count)]


@settings(derandomize=True, deadline=None, max_examples=50)
@given(st.lists(st.integers(0, BATCH_BYTES // 2), max_size=12))
def test_batches_hold_every_record_once_in_order_within_the_bytes_allowed(lengths):
    given_records = [{"n": n, "text": "x" * length} for n, length in enumerate(lengths)]
    split = list(split_records(given_records))
    assert [record for batch in split for record in batch] == given_records
    assert all(len(batch) <= BATCH_SIZE and len(codec.encode(batch)) <= BATCH_BYTES + 1 for batch in split)


def test_a_record_too_large_for_any_batch_goes_alone():
    large = {"text": "x" * BATCH_BYTES}
    assert list(split_records([{"a": 1}, large, {"b": 2}])) == [[{"a": 1}], [large], [{"b": 2}]]


@pytest.mark.parametrize(("count", "text"), [(501, ""), (3, "x" * (BATCH_BYTES // 2))])
def test_an_atomic_write_that_needs_two_calls_is_refused_before_the_first(intacct, count, text):
    with pytest.raises(IntacctArgumentError) as caught:
        intacct.client().create_many(CUSTOMER, [{"name": text}] * count, atomic=True)
    said = f"atomic needs all {count} records in one call, which takes 500 at most and about 1 MB"
    assert said in str(caught.value)
    assert intacct.calls() == []


@pytest.mark.parametrize("answer", [LOST, {"status_code": 503}, {"json": result(reference(1))}])
def test_an_interrupted_write_keeps_what_was_answered(intacct, answer):
    first = result(*(reference(n) for n in range(1, 500)), failure())
    intacct.on("POST", intacct.customers, {"status_code": 207, "json": first}, answer)
    client = intacct.client()
    with pytest.raises(IntacctInterruptedWriteError) as caught:
        client.create_many(CUSTOMER, records(1100))
    error = caught.value
    assert (
        f"Creation of 1100 records of {CUSTOMER} stopped after 500 (499 written, first rejected at index 499: "
        in str(error)
    )
    assert [r.ok for r in error.results] == [True] * 499 + [False]
    assert str(error.__cause__) in str(error)
    assert client.transactions == 499


def test_an_interrupted_write_is_as_retryable_as_its_cause(intacct):
    good = {"json": result(*map(reference, range(1, 501)))}
    intacct.on("POST", intacct.customers, good, {"status_code": 503})
    with pytest.raises(IntacctInterruptedWriteError) as caught:
        intacct.client().create_many(CUSTOMER, records(501))
    assert caught.value.retryable
    rejected = {"status_code": 401, "json": {"ia::error": {"errorId": "REST-1216"}}}
    intacct.on("POST", intacct.customers, good, rejected)
    with pytest.raises(IntacctInterruptedWriteError) as caught:
        intacct.client().create_many(CUSTOMER, records(501))
    assert not caught.value.retryable


def test_a_write_that_stops_at_its_first_call_raises_the_cause_itself(intacct):
    intacct.on("POST", intacct.customers, **LOST)
    with pytest.raises(IntacctConnectionError):
        intacct.client().create_many(CUSTOMER, records(3))


# --- deleting


def test_a_deletion_is_answered_without_a_body(intacct):
    intacct.on("DELETE", intacct.customers + "/7", status_code=204)
    client = intacct.client()
    assert client.delete(CUSTOMER, "7") is None
    assert client.transactions == 1
    assert "Idempotency-Key" not in intacct.calls(intacct.customers)[0].headers


def test_a_batch_of_deletions_without_a_body_deleted_all(intacct):
    intacct.on("DELETE", intacct.customers + "/7,8,9", status_code=204)
    client = intacct.client()
    outcome = client.delete_many(CUSTOMER, ["7", "8", "9"])
    assert [(r.index, r.key, r.ok) for r in outcome] == [(0, "7", True), (1, "8", True), (2, "9", True)]
    assert client.transactions == 3


def test_a_batch_of_creations_without_a_body_is_not_a_success(intacct):
    intacct.on("POST", intacct.customers, status_code=204)
    with pytest.raises(IntacctResponseError, match="without accounting for each"):
        intacct.client().create_many(CUSTOMER, records(2))


@pytest.mark.parametrize(
    "answer",
    [
        result(failure(404), failure(404)),
        result(),
        {"ia::result": "failed"},
        {"ia::result": None, "ia::meta": {"totalError": 1, "totalSuccess": 0}},
    ],
)
def test_an_answer_that_is_not_about_one_record_is_not_a_deletion(intacct, answer):
    intacct.on("DELETE", intacct.customers + "/7", status_code=207, json=answer)
    with pytest.raises(IntacctResponseError, match="whether it was deleted is unknown"):
        intacct.client().delete(CUSTOMER, "7")


@pytest.mark.parametrize("first", [None, LOST])
@pytest.mark.parametrize("atomic", [True, False])
def test_one_404_for_many_deletions_does_not_delete_those_that_exist(intacct, first, atomic):
    missing = {"status_code": 404, "json": {"ia::result": {"ia::error": REFUSED}}}
    intacct.on("DELETE", intacct.customers + "/7,8,9", *([first] if first else []), missing)
    intacct.on("DELETE", intacct.customers + "/7,9", json=result({"key": "7"}, failure()))
    if atomic:
        intacct.on("DELETE", intacct.customers + "/7,9", status_code=204)
    rows = {"ia::result": [{"key": "7"}, {"key": "9"}], "ia::meta": {"totalCount": 2}}
    intacct.on("POST", intacct.query, json=rows)
    outcome = intacct.client().delete_many(CUSTOMER, ["7", "8", "9"], atomic, missing_ok=True)
    assert [r.ok for r in outcome] == [True, True, atomic]
    assert len(intacct.calls(intacct.customers + "/7,9", "DELETE")) == 1


def test_one_404_for_many_deletions_deletes_none_if_all_exist(intacct):
    intacct.on("DELETE", intacct.customers + "/7,8", status_code=404, json={"ia::error": REFUSED})
    rows = {"ia::result": [{"key": "7"}, {"key": "8"}], "ia::meta": {"totalCount": 2}}
    intacct.on("POST", intacct.query, json=rows)
    outcome = intacct.client().delete_many(CUSTOMER, ["7", "8"], missing_ok=True)
    assert [r.ok for r in outcome] == [False, False]


def test_a_partial_deletion_s_items_without_keys_are_told_apart_by_their_position(intacct):
    items = result({"ia::status": 204}, failure(404, message="No record 8"), {"ia::status": 204})
    intacct.on("DELETE", intacct.customers + "/7,8,9", status_code=207, json=items)
    outcome = intacct.client().delete_many(CUSTOMER, ["7", "8", "9"])
    assert [(r.key, r.ok) for r in outcome] == [("7", True), ("8", False), ("9", True)]
    assert isinstance(outcome[1].error, IntacctNotFoundError)


def test_deletions_go_500_a_call(intacct):
    keys = [str(n) for n in range(1, 1002)]
    for start in (0, 500, 1000):
        intacct.on("DELETE", f"{intacct.customers}/{','.join(keys[start : start + 500])}", status_code=204)
    outcome = intacct.client().delete_many(CUSTOMER, keys)
    assert [(r.index, r.key) for r in outcome] == list(enumerate(keys))
    assert len(intacct.calls(intacct.customers)) == 3


def test_an_interrupted_deletion_keeps_what_was_answered(intacct):
    keys = [str(n) for n in range(600)]
    intacct.on("DELETE", f"{intacct.customers}/{','.join(keys[:500])}", status_code=204)
    intacct.on("DELETE", f"{intacct.customers}/{','.join(keys[500:])}", status_code=503)
    with pytest.raises(
        IntacctInterruptedWriteError, match=r"Deletion of 600 .* after 500 \(500 written\)"
    ) as caught:
        intacct.client().delete_many(CUSTOMER, keys)
    assert len(caught.value.results) == 500


def test_a_missing_record_is_not_found(intacct):
    intacct.on(
        "DELETE", intacct.customers + "/7", status_code=404, json={"ia::error": {"message": "No record"}}
    )
    client = intacct.client()
    with pytest.raises(IntacctNotFoundError, match="No record"):
        client.delete(CUSTOMER, "7")
    assert client.transactions == 0


@pytest.mark.parametrize("first", [LOST, {"status_code": 503}])
def test_a_record_missing_after_a_lost_answer_was_deleted(intacct, first):
    gone = {"status_code": 404, "json": {"ia::error": {"message": "No record"}}}
    intacct.on("DELETE", intacct.customers + "/7", first, gone)
    intacct.on(
        "DELETE", intacct.customers + "/7,8", first, {**gone, "json": result(failure(404), failure(422))}
    )
    client = intacct.client()
    client.delete(CUSTOMER, "7")
    assert [r.ok for r in client.delete_many(CUSTOMER, ["7", "8"])] == [True, False]
    assert client.transactions == 2


@pytest.mark.parametrize("first", [{"status_code": 429}, {"status_code": 401}])
def test_a_record_missing_after_a_sending_that_was_refused_is_not_found(intacct, first):
    intacct.on("DELETE", intacct.customers + "/7", first, {"status_code": 404})
    with pytest.raises(IntacctNotFoundError):
        intacct.client().delete(CUSTOMER, "7")


def test_a_record_missing_after_a_lost_answer_and_a_refused_token_was_deleted(intacct):
    intacct.on("DELETE", intacct.customers + "/7", LOST, {"status_code": 401}, {"status_code": 404})
    intacct.client().delete(CUSTOMER, "7")


# --- idempotency keys


def test_the_same_scope_and_content_make_the_same_keys_in_another_client(intacct):
    Ledger(intacct)
    for _ in range(2):
        client = intacct.client()
        client.idempotency.scopes = {"POST": "dag/run/task/0"}
        client.create(CUSTOMER, {"id": "C1"})
        client.create(CUSTOMER, {"id": "C2"})
    first, second, *again = keys_sent(intacct)
    assert again == [first, second]
    assert first != second


def test_without_a_scope_every_client_has_keys_of_its_own(intacct):
    ledger = Ledger(intacct)
    for _ in range(2):
        intacct.client().create(CUSTOMER, {"id": "C1"})
    assert len(set(keys_sent(intacct))) == 2
    assert ledger.written == ["C1", "C1"]


def test_content_that_is_written_again_on_purpose_gets_another_key(intacct):
    ledger = Ledger(intacct)
    client = intacct.client()
    for _ in range(3):
        client.create(CUSTOMER, {"id": "C1"})
    assert len(set(keys_sent(intacct))) == 3
    assert len(ledger.written) == 3


def test_changes_have_a_scope_of_their_own():
    keys = IdempotencyKeys(scopes={"POST": "of the run", "PATCH": "of the attempt"})
    again = IdempotencyKeys(scopes={"POST": "of the run", "PATCH": "of the next attempt"})
    assert keys.make("POST", "/x", b"{}") == again.make("POST", "/x", b"{}")
    assert keys.make("PATCH", "/x", b"{}") != again.make("PATCH", "/x", b"{}")


def test_method_path_and_content_each_make_another_key():
    keys = [
        IdempotencyKeys(scopes={"POST": "s", "PATCH": "s"}).make(*what)
        for what in [("POST", "/x", b"1"), ("PATCH", "/x", b"1"), ("POST", "/y", b"1"), ("POST", "/x", b"2")]
    ]
    assert len(set(keys)) == 4
    assert all(len(key) <= 256 for key in keys)


def test_threads_that_write_the_same_content_never_share_a_key():
    keys, together = IdempotencyKeys(), threading.Barrier(16)

    def make(_):
        together.wait(5)
        return [keys.make("POST", "/x", b"{}") for _ in range(50)]

    with ThreadPoolExecutor(16) as threads:
        made = [key for some in threads.map(make, range(16)) for key in some]
    assert len(set(made)) == len(made) == 800


def test_reads_and_deletions_carry_no_key(intacct):
    intacct.on("GET", intacct.customers, json={"ia::result": []})
    intacct.on("DELETE", intacct.customers + "/1", status_code=204)
    client = intacct.client()
    client.list(CUSTOMER)
    client.delete(CUSTOMER, "1")
    assert not any("Idempotency-Key" in call.headers for call in intacct.calls())


# --- answers from the idempotency cache


def scoped(intacct):
    client = intacct.client()
    client.idempotency.scopes = {"POST": "dag/run/task"}
    return client


def test_a_write_whose_answer_was_lost_is_done_once_and_billed_once(intacct):
    ledger = Ledger(intacct)
    ledger.lose = 2
    client = scoped(intacct)
    assert client.create(CUSTOMER, {"id": "C1"})["key"] == "1"
    assert ledger.written == ["C1"]
    assert client.transactions == 1


def test_a_batch_whose_answer_was_lost_is_done_once_and_billed_once(intacct):
    ledger = Ledger(intacct)
    ledger.lose = 1
    client = scoped(intacct)
    assert [r.key for r in client.create_many(CUSTOMER, records(3))] == ["1", "2", "3"]
    assert ledger.written == ["C1", "C2", "C3"]
    assert client.transactions == 3


def test_what_an_earlier_attempt_wrote_is_not_written_nor_billed_again(intacct):
    ledger = Ledger(intacct)
    first, again = scoped(intacct), scoped(intacct)
    expected = [first.create(CUSTOMER, {"id": "C1"}), first.create_many(CUSTOMER, records(3, 2))]
    assert [again.create(CUSTOMER, {"id": "C1"}), again.create_many(CUSTOMER, records(3, 2))] == expected
    assert len(ledger.written) == 4
    reads = len(intacct.calls(intacct.query))
    assert (first.transactions, again.transactions) == (4, reads)


def test_a_replayed_failure_is_asked_again_under_the_next_key(intacct):
    ledger = Ledger(intacct, refused=["C1"])
    with pytest.raises(IntacctValidationError):
        scoped(intacct).create(CUSTOMER, {"id": "C1"})
    ledger.refused.clear()
    client = scoped(intacct)
    assert client.create(CUSTOMER, {"id": "C1"})["key"] == "1"
    assert ledger.written == ["C1"]
    assert client.transactions == 1
    first, replayed, fresh = keys_sent(intacct)
    assert first == replayed != fresh


def test_a_fresh_failure_is_believed_at_once(intacct):
    Ledger(intacct, refused=["C1"])
    with pytest.raises(IntacctValidationError):
        scoped(intacct).create(CUSTOMER, {"id": "C1"})
    assert len(keys_sent(intacct)) == 1


def test_a_third_attempt_passes_over_the_failures_of_both_before(intacct):
    ledger = Ledger(intacct, refused=["C1"])
    for attempt in (1, 2, 3):
        with pytest.raises(IntacctValidationError):
            scoped(intacct).create(CUSTOMER, {"id": "C1"})
        assert len(ledger.cache) == attempt, "each attempt must really ask once"


def test_cached_failures_are_not_passed_over_for_ever(intacct):
    replayed = {"x-ia-idempotency-cached-date": "2026-01-01T00:00:00Z"}
    for answer in ({"ia::error": REFUSED}, result(failure())):
        intacct.on("POST", intacct.customers, status_code=422, json=answer, headers=replayed)
        before = len(keys_sent(intacct))
        client = scoped(intacct)
        if isinstance(answer.get("ia::result"), list):
            assert not client.create_many(CUSTOMER, records(1))[0].ok
        else:
            with pytest.raises(IntacctValidationError):
                client.create(CUSTOMER, records(1)[0])
        assert len(keys_sent(intacct)) - before == MAX_GENERATIONS


def test_of_a_replayed_batch_only_the_failed_records_are_sent_again(intacct):
    ledger = Ledger(intacct, refused=["C2", "C4"])
    assert [r.ok for r in scoped(intacct).create_many(CUSTOMER, records(4))] == [True, False, True, False]
    ledger.refused = {"C4"}
    client = scoped(intacct)
    outcome = client.create_many(CUSTOMER, records(4))
    assert [(r.index, r.ok, r.id) for r in outcome] == [
        (0, True, "C1"), (1, True, "C2"), (2, True, "C3"), (3, False, None),
    ]  # fmt: skip
    assert ledger.written == ["C1", "C3", "C2"]
    assert [json.loads(call.text) for call in intacct.calls(intacct.customers)][-1] == [
        {"id": "C2"},
        {"id": "C4"},
    ]
    assert client.transactions == 1 + len(intacct.calls(intacct.query))


def test_a_batch_half_of_which_failed_and_whose_answer_was_lost_bills_what_it_wrote(intacct):
    ledger = Ledger(intacct, refused=["C2"])
    ledger.lose = 1
    client = scoped(intacct)
    assert [r.ok for r in client.create_many(CUSTOMER, records(3))] == [True, False, True]
    assert ledger.written == ["C1", "C3"]
    assert client.transactions == 2


def test_a_record_that_was_deleted_since_an_earlier_attempt_wrote_it_is_written_again(intacct):
    ledger = Ledger(intacct)
    scoped(intacct).create(CUSTOMER, {"id": "C1"})
    scoped(intacct).create_many(CUSTOMER, records(2, 2))
    intacct.on("POST", intacct.query, json={"ia::result": [], "ia::meta": {"totalCount": 0}})
    again = scoped(intacct)
    again.create(CUSTOMER, {"id": "C1"})
    assert all(r.ok for r in again.create_many(CUSTOMER, records(2, 2)))
    assert ledger.written == ["C1", "C2", "C3"] * 2


# --- paths


@pytest.mark.parametrize(
    ("name", "path"),
    [
        (CUSTOMER, "/objects/accounts-receivable/customer"),
        ("order-entry/document::Sales Invoice", "/objects/order-entry/document::Sales%20Invoice"),
    ],
)
def test_an_object_s_path_is_encoded(name, path):
    assert collection_path(name) == path


def test_keys_are_encoded_and_joined():
    assert record_path(CUSTOMER, ["1", "a+b&c"]) == f"/objects/{CUSTOMER}/1,a%2Bb%26c"


@pytest.mark.parametrize("key", ["", " ", "1,2"])
def test_what_is_no_key_is_refused_with_the_way_by_id(key):
    with pytest.raises(IntacctArgumentError, match="look the key up with client"):
        record_path(CUSTOMER, ["1", key])
