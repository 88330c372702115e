"""The sandbox over real HTTP: tokens, writes, batches, idempotency, limits, faults, restarts, command line."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
import requests
from raw_client import RawClient

from intacct_provider.sandbox import Sandbox

FORM = {
    "grant_type": "client_credentials",
    "client_id": "sandbox-client",
    "client_secret": "sandbox-secret",
    "username": "airflow@SANDBOX",
}
CUSTOMER = "/objects/accounts-receivable/customer"
GROUP = "/objects/accounts-receivable/customer-group"
ACCOUNT_GROUP = "/objects/general-ledger/account-group"
PURPOSE = "/objects/general-ledger/account-group-purpose"
QUERY = "/services/core/query"
ATOMIC = {"X-IA-API-Param-Transaction": "true"}


class Client(RawClient):
    """What most tests here do with a record."""

    def create(self, path, record):
        answer = self("POST", path, record)
        assert answer.status_code == 201, answer.text
        return answer.json()["ia::result"]

    def get(self, path, key):
        return self("GET", f"{path}/{key}").json()["ia::result"]


@pytest.fixture
def sandbox():
    with Sandbox() as running:
        yield running


@pytest.fixture
def client(sandbox):
    return Client(sandbox)


def error_of(answer):
    return answer.json()["ia::result"]["ia::error"]


def details_of(answer):
    error = error_of(answer)
    assert error["errorId"] == "REST-1064"
    return error["details"]


def token(sandbox, **form):
    return requests.post(sandbox.url + "/oauth2/token", data={**FORM, **form}, timeout=10)


# --- tokens


def test_token_answer_has_the_recorded_shape(sandbox):
    answer = token(sandbox)
    assert answer.status_code == 200
    assert set(answer.json()) == {"token_type", "access_token", "refresh_token", "expires_in"}
    assert answer.json()["token_type"] == "Bearer"
    assert answer.json()["expires_in"] == 43200


def test_token_request_may_be_json(sandbox):
    assert requests.post(sandbox.url + "/oauth2/token", json=FORM, timeout=10).status_code == 200


@pytest.mark.parametrize(
    ("form", "status", "error"),
    [
        ({"client_secret": "wrong"}, 401, "invalid_client"),
        ({"client_id": "wrong"}, 401, "invalid_client"),
        ({"username": "nobody@SANDBOX"}, 400, "invalid_grant"),
        ({"username": "airflow@sandbox"}, 400, "invalid_grant"),
        ({"username": "airflow@SANDBOX|nowhere"}, 400, "invalid_grant"),
        ({"username": "airflow"}, 400, "invalid_request"),
        ({"grant_type": "password"}, 400, "unsupported_grant_type"),
        ({"grant_type": "refresh_token", "refresh_token": "x"}, 400, "invalid_grant"),
    ],
)
def test_token_refusals(sandbox, form, status, error):
    answer = token(sandbox, **form)
    assert (answer.status_code, answer.json()["error"]) == (status, error)
    assert set(answer.json()) == {"error", "error_description"}
    assert "sandbox-secret" not in answer.text


def test_username_without_company_names_the_format(sandbox):
    assert "user@company" in token(sandbox, username="airflow").json()["error_description"]


def test_refresh_token_rotates_and_works_once(sandbox):
    first = token(sandbox).json()["refresh_token"]
    second = token(sandbox, grant_type="refresh_token", refresh_token=first)
    assert second.status_code == 200
    assert second.json()["refresh_token"] != first
    assert token(sandbox, grant_type="refresh_token", refresh_token=first).status_code == 400
    third = token(sandbox, grant_type="refresh_token", refresh_token=second.json()["refresh_token"])
    assert third.status_code == 200


def test_bearer_is_checked(sandbox, client):
    missing = requests.get(sandbox.url + CUSTOMER, timeout=10)
    assert (missing.status_code, missing.json()["error"]["code"]) == (401, "GW-0034")
    basic = requests.get(sandbox.url + CUSTOMER, auth=("a", "b"), timeout=10)
    assert (basic.status_code, basic.json()["error"]["code"]) == (401, "GW-0034")
    unknown = client("GET", CUSTOMER, headers={"Authorization": "Bearer nonsense"})
    assert (unknown.status_code, error_of(unknown)["errorId"]) == (400, "REST-1206")
    sandbox.expire_tokens()
    expired = client("GET", CUSTOMER)
    assert (expired.status_code, expired.json()["error"]["code"]) == (401, "GW-0040")
    assert "requestId" in expired.json()["error"]["details"]


def test_refresh_token_is_no_access_token(sandbox, client):
    refresh = token(sandbox).json()["refresh_token"]
    assert client("GET", CUSTOMER, headers={"Authorization": f"Bearer {refresh}"}).status_code == 400


def test_tokens_expire_by_the_clock():
    now = datetime(2025, 3, 16, 12, tzinfo=UTC)
    moments = [now]
    with Sandbox(faults={"token_life": 60}, clock=lambda: moments[0]) as sandbox:
        client = Client(sandbox)
        assert client("GET", CUSTOMER).status_code == 200
        moments[0] = now + timedelta(seconds=61)
        assert client("GET", CUSTOMER).status_code == 401


# --- one record


def test_create_get_patch_delete(client):
    created = client("POST", CUSTOMER, {"id": "C1", "name": "One", "creditLimit": 50000, "taxId": "1"})
    assert created.status_code == 201
    assert created.json() == {
        "ia::result": {"key": "1", "id": "C1", "href": "/objects/accounts-receivable/customer/1"},
        "ia::meta": {"totalCount": 1, "totalSuccess": 1, "totalError": 0},
    }
    changed = client("PATCH", f"{CUSTOMER}/1", {"taxId": None, "notes": "new"})
    assert (changed.status_code, changed.json()["ia::result"]["id"]) == (200, "C1")
    record = client.get(CUSTOMER, 1)
    assert (record["notes"], record["taxId"], record["creditLimit"]) == ("new", None, 50000)
    deleted = client("DELETE", f"{CUSTOMER}/1")
    assert (deleted.status_code, deleted.content) == (204, b"")
    assert client("GET", f"{CUSTOMER}/1").status_code == 404


def test_get_shows_nested_groups_references_and_audit(client):
    parent = client.create(CUSTOMER, {"name": "Parent"})
    key = client.create(CUSTOMER, {"name": "Child", "parent": {"id": parent["id"]}})["key"]
    record = client.get(CUSTOMER, key)
    assert list(record)[:4] == ["key", "id", "name", "parent"]
    assert list(record)[-1] == "href"
    assert record["parent"] == {
        "key": parent["key"],
        "id": "C-00001",
        "name": "Parent",
        "href": f"{CUSTOMER}/{parent['key']}",
    }
    assert record["term"] == {"key": None, "id": None}
    assert record["entity"] == {"key": None, "id": None, "name": None}
    assert record["contacts"]["default"]["mailingAddress"]["country"] == "US"
    assert record["audit"]["createdByUser"]["id"] == "airflow"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", record["audit"]["createdDateTime"])
    assert record["status"] == "active"
    assert record["contactList"] == []


def test_customers_are_numbered(client):
    client.create(CUSTOMER, {"id": "C-00001", "name": "taken"})
    assert client.create(CUSTOMER, {"name": "next"})["id"] == "C-00002"


def test_customer_group_answers_no_key(client):
    member = client.create(CUSTOMER, {"name": "One"})
    created = client.create(GROUP, {"id": "G", "name": "G", "groupMembers": [{"key": member["key"]}]})
    assert created == {"id": "G"}
    record = client.get(GROUP, 1)
    assert record["groupMembers"] == [
        {
            "key": member["key"],
            "id": member["id"],
            "sortOrder": "0",
            "href": f"/objects/accounts-receivable/customer/{member['key']}",
        }
    ]
    assert record["memberFilter"] == {
        "object": "accounts-receivable/customer",
        "filterExpression": "and",
        "orderBy": [{"id": "asc"}],
    }


def test_group_members_are_replaced_whole(client):
    ids = [client.create(CUSTOMER, {"name": name})["id"] for name in "abc"]
    client.create(GROUP, {"id": "G", "name": "G", "groupMembers": [{"id": one} for one in ids]})
    changed = client("PATCH", f"{GROUP}/1", {"groupMembers": [{"id": ids[2]}, {"id": ids[0]}]})
    assert changed.json()["ia::result"]["key"] == "1"
    assert [one["id"] for one in client.get(GROUP, 1)["groupMembers"]] == [ids[2], ids[0]]


def test_group_members_must_exist_and_be_named(client):
    wrong = client("POST", GROUP, {"id": "G", "name": "G", "groupMembers": [{"id": "no"}, {}, "x"]})
    assert [one["target"] for one in details_of(wrong)] == [
        "/groupMembers/0/id",
        "/groupMembers/1",
        "/groupMembers/2",
    ]


def test_owned_records_merge_by_key(client):
    ranges = [{"rangeFrom": "1", "rangeTo": "2"}, {"sortOrder": 1, "rangeFrom": "3", "rangeTo": "4"}]
    client.create(ACCOUNT_GROUP, {"id": "A", "accountRanges": ranges})
    first, second = client.get(ACCOUNT_GROUP, 1)["accountRanges"]
    assert first["glAccountGroup"]["id"] == "A"
    changes = [
        {"key": first["key"], "rangeTo": "9"},
        {"key": second["key"], "ia::operation": "delete"},
        {"rangeFrom": "7", "rangeTo": "8"},
    ]
    assert client("PATCH", f"{ACCOUNT_GROUP}/1", {"accountRanges": changes}).status_code == 200
    after = client.get(ACCOUNT_GROUP, 1)["accountRanges"]
    assert [(one["rangeFrom"], one["rangeTo"]) for one in after] == [("1", "9"), ("7", "8")]
    unknown = client("PATCH", f"{ACCOUNT_GROUP}/1", {"accountRanges": [{"key": "999"}]})
    assert details_of(unknown)[0]["target"] == "/accountRanges/0/key"


def test_account_group_has_no_key_of_its_own_in_get(client):
    client.create(ACCOUNT_GROUP, {"id": "A"})
    assert "key" not in client.get(ACCOUNT_GROUP, 1)


def test_purpose_may_change_its_id(client):
    client.create(PURPOSE, {"id": "P"})
    assert client("PATCH", f"{PURPOSE}/1", {"id": "Q"}).json()["ia::result"]["id"] == "Q"


def test_older_values_are_understood(client):
    client.create(CUSTOMER, {"name": "x", "overridePriceList": "Billing contact"})
    assert client.get(CUSTOMER, 1)["overridePriceList"] == "billingContact"


@pytest.mark.parametrize(
    ("path", "record", "names"),
    [
        (CUSTOMER, {"name": "x", "customerMessageId": "hello"}, ["customerMessageId"]),
        (
            CUSTOMER,
            {"name": "x", "restrictions": {"locations": ["1"], "departments": ["2"]}},
            ["restrictions.locations", "restrictions.departments"],
        ),
        (
            CUSTOMER,
            {"name": "x", "contacts": {"default": {"hideContactList": True}}},
            ["contacts.default.hideContactList"],
        ),
        (ACCOUNT_GROUP, {"id": "A", "totalTitle": "Total"}, ["totalTitle"]),
        (ACCOUNT_GROUP, {"id": "A", "reportFilters": {"costtype": "noFilter"}}, ["reportFilters.costtype"]),
        *(
            (ACCOUNT_GROUP, {"id": "A", name: {"id": "1"}}, [name])
            for name in ("department", "location", "departmentGroup", "locationGroup")
        ),
    ],
)
def test_names_that_no_company_has_are_unknown(client, path, record, names):
    answer = client("POST", path, record)
    assert [one["message"] for one in details_of(answer)] == [
        f"The {name} field does not exist" for name in names
    ]


# --- refused payloads


def test_everything_wrong_is_named_at_once(client):
    record = {
        "nme": 1,
        "creditLimit": "5",
        "status": "asleep",
        "isOnHold": None,
        "audit": {"createdBy": "1"},
        "totalDue": "1.00",
        "parent": {"id": "nobody"},
        "term": {"id": ""},
        "contacts": {"default": {"foo": 1}, "primary": "x"},
        "contacts.default.email1": "a@b",
    }
    answer = client("POST", CUSTOMER, record)
    assert answer.status_code == 400
    found = {one["target"]: one for one in details_of(answer)}
    assert set(found) == {
        *("/nme", "/creditLimit", "/status", "/isOnHold", "/audit/createdBy", "/totalDue", "/parent/id"),
        *("/term/id", "/contacts/default/foo", "/contacts/primary", "/contacts.default.email1"),
        "/name",
    }
    assert found["/nme"] == {
        "code": "invalidRequest",
        "message": "The nme field does not exist",
        "target": "/nme",
    }
    assert found["/audit/createdBy"]["errorId"] == "REST-1050"
    assert found["/totalDue"]["errorId"] == "REST-1050"
    assert found["/parent/id"]["code"] == "invalidKey"
    assert '"activeNonPosting"' in found["/status"]["message"]
    assert list(error_of(answer)) == [
        *("code", "message", "errorId", "additionalInfo", "supportId", "details"),
    ]
    assert answer.json()["ia::meta"] == {"totalCount": 1, "totalSuccess": 0, "totalError": 1}


@pytest.mark.parametrize("name", [None, "", "  "])
def test_name_must_have_a_value(client, name):
    assert details_of(client("POST", CUSTOMER, {"name": name}))[0]["target"] == "/name"


def test_id_cannot_change(client):
    client.create(CUSTOMER, {"name": "x"})
    answer = client("PATCH", f"{CUSTOMER}/1", {"id": "other"})
    assert details_of(answer)[0]["errorId"] == "REST-1050"


def test_key_and_id_must_agree(client):
    one, two = (client.create(CUSTOMER, {"name": name}) for name in "ab")
    parent = {"key": one["key"], "id": two["id"]}
    assert details_of(client("POST", CUSTOMER, {"name": "c", "parent": parent}))[0]["target"] == "/parent"


def test_no_record_is_its_own_parent(client):
    client.create(CUSTOMER, {"name": "a"})
    assert client("PATCH", f"{CUSTOMER}/1", {"parent": {"key": "1"}}).status_code == 400


def test_member_filter_is_checked(client):
    filters = {"filters": [{"$between": {"key": [1, 2]}}], "orderBy": [{"id": "asc"}, {"name": "asc"}]}
    answer = client("POST", GROUP, {"id": "G", "name": "G", "memberFilter": {**filters, "top": 1}})
    assert {one["target"] for one in details_of(answer)} == {
        *("/memberFilter/filters", "/memberFilter/orderBy", "/memberFilter/top"),
    }


def test_empty_and_broken_bodies(client):
    empty = client("POST", CUSTOMER, data=b"")
    assert (empty.status_code, error_of(empty)["errorId"]) == (400, "REST-1028")
    assert error_of(client("POST", CUSTOMER, []))["errorId"] == "REST-1028"
    assert client("POST", CUSTOMER, data=b"{").status_code == 400
    assert client("POST", CUSTOMER, 5).status_code == 400
    assert client("POST", CUSTOMER, data=b"[" * 100_000).status_code == 400
    assert client("POST", CUSTOMER, data=b'{"name": "\\ud800"}').status_code == 400
    assert client("PATCH", CUSTOMER, {"key": "1"}).status_code == 400


def test_second_record_with_the_same_id_is_409(client):
    client.create(CUSTOMER, {"id": "C1", "name": "x"})
    answer = client("POST", CUSTOMER, {"id": "C1", "name": "y"})
    assert answer.status_code == 409
    assert "Another record with the value C1 already exists" in error_of(answer)["details"][0]["message"]


def test_records_in_use_are_kept(client):
    client.create(CUSTOMER, {"id": "P", "name": "parent"})
    client.create(CUSTOMER, {"id": "C", "name": "child", "parent": {"id": "P"}})
    client.create(GROUP, {"id": "G", "name": "g", "groupMembers": [{"id": "C"}]})
    client.create(PURPOSE, {"id": "purpose"})
    client.create(ACCOUNT_GROUP, {"id": "inner", "accountGroupPurpose": {"id": "purpose"}})
    client.create(ACCOUNT_GROUP, {"id": "o", "accountGroupMembers": [{"accountGroup": {"id": "inner"}}]})
    for path in (f"{CUSTOMER}/1", f"{CUSTOMER}/2", f"{PURPOSE}/1", f"{ACCOUNT_GROUP}/1"):
        assert client("DELETE", path).status_code == 422, path
    for path in (f"{GROUP}/1", f"{CUSTOMER}/2", f"{CUSTOMER}/1", f"{ACCOUNT_GROUP}/2", f"{ACCOUNT_GROUP}/1"):
        assert client("DELETE", path).status_code == 204, path


# --- addresses


def test_wrong_addresses(client, sandbox):
    unknown = client("GET", "/objects/nothing/here")
    assert (unknown.status_code, unknown.json()["ia::error"]["code"]) == (404, "notFound")
    assert client("GET", "/services/core/nothing").status_code == 404
    assert client("PUT", CUSTOMER).status_code == 405
    assert client("DELETE", CUSTOMER).status_code == 405
    assert client("HEAD", CUSTOMER).status_code == 200
    start = client("GET", f"{CUSTOMER}?start=101")
    assert (start.status_code, error_of(start)["errorId"]) == (400, "REST-1034")
    other = requests.get(sandbox.url.replace("/v1", "/v2") + CUSTOMER, timeout=10)
    assert (other.status_code, other.json()["ia::error"]["message"]) == (400, "Version 2 is not valid")


@pytest.mark.parametrize("key", ["99", "abc", "-1", "1.0", "%20", "9" * 30, "C1"])
def test_missing_keys_are_404(client, key):
    client.create(CUSTOMER, {"id": "C1", "name": "x"})
    for method, body in (("GET", None), ("PATCH", {"notes": "x"}), ("DELETE", None)):
        assert client(method, f"{CUSTOMER}/{key}", body).status_code == 404


def test_errors_carry_different_support_ids(client):
    seen = {error_of(client("GET", f"{CUSTOMER}/99"))["supportId"] for _ in range(5)}
    assert len(seen) == 5


# --- lists and batches


def test_list_has_references_only_and_the_true_total(client):
    client("POST", CUSTOMER, [{"id": f"C{n}", "name": "x"} for n in range(120)])
    answer = client("GET", CUSTOMER).json()
    assert len(answer["ia::result"]) == 100
    assert set(answer["ia::result"][0]) == {"key", "id", "href"}
    # Sage's samples show other pages in the lists of some objects only.
    assert answer["ia::meta"] == {"totalCount": 120, "start": 1, "pageSize": 100}
    purposes = client("GET", PURPOSE).json()["ia::meta"]
    assert (purposes["next"], purposes["previous"]) == (None, None)
    keys = [int(one["key"]) for one in answer["ia::result"]]
    assert keys != sorted(keys)
    assert answer == client("GET", CUSTOMER).json()


def test_batch_create_update_get_delete(client, sandbox):
    created = client("POST", CUSTOMER, [{"name": "a"}, {"name": "b"}])
    assert created.status_code == 201
    assert [one["key"] for one in created.json()["ia::result"]] == ["1", "2"]
    changed = client("PATCH", CUSTOMER, [{"key": "2", "notes": "x"}, {"key": "1", "notes": "y"}])
    assert changed.status_code == 200
    assert changed.json()["ia::meta"] == {"totalCount": 2, "totalSuccess": 2, "totalError": 0}
    both = client("GET", f"{CUSTOMER}/2,1").json()
    assert [(one["key"], one["notes"]) for one in both["ia::result"]] == [("2", "x"), ("1", "y")]
    gone = client("DELETE", f"{CUSTOMER}/1,2")
    assert (gone.status_code, gone.content) == (204, b"")
    assert [call.transactions for call in sandbox.requests] == [0, 2, 2, 1, 2]


def test_mixed_batch_is_207_in_order(client, sandbox):
    answer = client("POST", CUSTOMER, [{"name": "a"}, {"nme": "b"}, {"name": "c"}])
    assert answer.status_code == 207
    first, second, third = answer.json()["ia::result"]
    assert (first["key"], first["ia::status"], third["ia::status"]) == ("1", 201, 201)
    assert (second["ia::status"], second["ia::error"]["errorId"]) == (400, "REST-1064")
    assert answer.json()["ia::meta"] == {"totalCount": 3, "totalSuccess": 2, "totalError": 1}
    assert sandbox.transactions == 2


def test_batch_that_fails_altogether_has_the_first_status(client):
    client.create(CUSTOMER, {"id": "C1", "name": "x"})
    answer = client("POST", CUSTOMER, [{"id": "C1", "name": "x"}, {}])
    assert answer.status_code == 409
    assert [one["ia::status"] for one in answer.json()["ia::result"]] == [409, 400]
    assert client("GET", f"{CUSTOMER}/98,99").status_code == 404


def test_atomic_batch_changes_nothing(client, sandbox):
    answer = client("POST", CUSTOMER, [{"name": "a"}, {"nme": "b"}], headers=ATOMIC)
    assert answer.status_code == 422
    innocent, guilty = answer.json()["ia::result"]
    assert (innocent["ia::error"]["code"], innocent["ia::status"]) == ("unprocessed", 422)
    assert innocent["ia::error"]["message"] == "Operation skipped due to atomic transaction failure"
    assert guilty["ia::status"] == 400
    assert client("GET", CUSTOMER).json()["ia::meta"]["totalCount"] == 0
    assert client("POST", CUSTOMER, [{"name": "a"}, {"name": "b"}], headers=ATOMIC).status_code == 201
    assert sandbox.transactions == 3


def test_atomic_delete_keeps_all(client):
    client("POST", CUSTOMER, [{"name": "a"}, {"name": "b"}])
    assert client("DELETE", f"{CUSTOMER}/1,99", headers=ATOMIC).status_code == 422
    assert client("GET", f"{CUSTOMER}/1,99", headers=ATOMIC).status_code == 207


def test_partial_delete_has_positions_only(client):
    client("POST", CUSTOMER, [{"name": "a"}, {"name": "b"}])
    answer = client("DELETE", f"{CUSTOMER}/1,99,2")
    assert answer.status_code == 207
    assert [one["ia::status"] for one in answer.json()["ia::result"]] == [204, 404, 204]
    assert not any({"key", "id"} & set(one) for one in answer.json()["ia::result"])


def test_batch_limit(client):
    assert client("POST", CUSTOMER, [{"name": "x"}] * 501).status_code == 400
    assert client("GET", CUSTOMER + "/" + ",".join(map(str, range(1, 502)))).status_code == 400
    assert client("POST", CUSTOMER, [{"name": "x"}] * 500).status_code == 201


# --- idempotency


def test_replay_answers_the_same_and_bills_nothing(client, sandbox):
    headers = {"Idempotency-Key": "k1"}
    first = client("POST", CUSTOMER, {"name": "a"}, headers=headers)
    again = client("POST", CUSTOMER, {"name": "a"}, headers=headers)
    assert (again.status_code, again.json()) == (first.status_code, first.json())
    assert first.headers["Idempotency-Key"] == again.headers["Idempotency-Key"] == "k1"
    assert "x-ia-idempotency-cached-date" not in first.headers
    assert "x-ia-idempotency-cached-date" in again.headers
    assert [call.transactions for call in sandbox.requests[1:]] == [1, 0]
    assert client("GET", CUSTOMER).json()["ia::meta"]["totalCount"] == 1


def test_failures_are_replayed_too(client):
    headers = {"Idempotency-Key": "k1"}
    first = client("POST", CUSTOMER, {"name": "a", "parent": {"id": "P"}}, headers=headers)
    client.create(CUSTOMER, {"id": "P", "name": "p"})
    again = client("POST", CUSTOMER, {"name": "a", "parent": {"id": "P"}}, headers=headers)
    assert (first.status_code, again.status_code) == (400, 400)
    assert first.json() == again.json()


def test_key_belongs_to_one_request(client):
    headers = {"Idempotency-Key": "k1"}
    client("POST", CUSTOMER, {"name": "a"}, headers=headers)
    assert client("POST", CUSTOMER, {"name": "b"}, headers=headers).status_code == 409
    assert client("PATCH", f"{CUSTOMER}/1", {"name": "a"}, headers=headers).status_code == 409
    assert client("POST", CUSTOMER, {"name": "b"}, headers={"Idempotency-Key": "k" * 257}).status_code == 400


def test_cached_answers_last_48_hours():
    moments = [datetime(2025, 3, 16, tzinfo=UTC)]
    with Sandbox(clock=lambda: moments[0], faults={"token_life": 1e6}) as sandbox:
        client = Client(sandbox)
        headers = {"Idempotency-Key": "k1"}
        for hours, expected in ((0, "1"), (47, "1"), (49, "2")):
            moments[0] = datetime(2025, 3, 16, tzinfo=UTC) + timedelta(hours=hours)
            answer = client("POST", CUSTOMER, {"name": "a"}, headers=headers)
            assert answer.json()["ia::result"]["key"] == expected


def test_concurrent_requests_with_one_key_write_once():
    with Sandbox(faults={"concurrency": 20}) as sandbox:
        client = Client(sandbox)
        headers = {"Idempotency-Key": "k1", "Authorization": client.session.headers["Authorization"]}

        def post(_):
            return requests.post(sandbox.url + CUSTOMER, json={"name": "a"}, headers=headers, timeout=10)

        with ThreadPoolExecutor(10) as pool:
            answers = list(pool.map(post, range(10)))
        done = {answer.text for answer in answers if answer.status_code == 201}
        assert len(done) == 1, "a request after the first one is done gets its answer"
        for answer in answers:
            # A request that comes meanwhile has to wait.
            assert answer.text in done or (answer.status_code == 409 and "in progress" in answer.text)
        assert client("GET", CUSTOMER).json()["ia::meta"]["totalCount"] == 1


# --- entities


def test_records_belong_to_the_entity_of_the_call(client, sandbox):
    in_us = {"X-IA-API-Param-Entity": "US"}
    client("POST", CUSTOMER, {"id": "private", "name": "x"}, headers=in_us)
    client.create(CUSTOMER, {"id": "shared", "name": "x"})
    assert client.get(CUSTOMER, 1)["entity"] == {
        "key": "1", "id": "US", "name": "Sandbox Incorporated", "href": "/objects/company-config/entity/1",
    }  # fmt: skip

    def listed(caller, **headers):
        rows = caller("GET", CUSTOMER, headers=headers).json()["ia::result"]
        return {row["id"] for row in rows}

    assert listed(client) == {"shared"}
    assert listed(client, **in_us) == {"shared", "private"}
    assert listed(client, **{"X-IA-API-Param-Entity": "UK"}) == {"shared"}
    assert client("GET", f"{CUSTOMER}/1", headers={"X-IA-API-Param-Entity": "UK"}).status_code == 404
    by_token = Client(sandbox, username="airflow@SANDBOX|US")
    assert listed(by_token) == {"shared", "private"}
    assert sandbox.requests[-1].entity == "US"
    unknown = client("GET", CUSTOMER, headers={"X-IA-API-Param-Entity": "E9"})
    assert unknown.status_code == 400
    assert client("DELETE", "/objects/company-config/entity/1").status_code == 422


# --- limits, accounting, faults


def test_too_many_calls_in_flight_are_429():
    with Sandbox(faults={"concurrency": 2}) as sandbox:
        client = Client(sandbox)
        sandbox.faults.latency = 0.3

        def call(_):
            headers = dict(client.session.headers)
            return requests.get(sandbox.url + CUSTOMER, headers=headers, timeout=10)

        with ThreadPoolExecutor(4) as pool:
            answers = list(pool.map(call, range(4)))
        assert sorted(answer.status_code for answer in answers) == [200, 200, 429, 429]
        refused = next(answer for answer in answers if answer.status_code == 429)
        assert refused.json()["error"]["code"] == "GW-0010"
        assert refused.headers["Retry-After"] == "1"
        assert refused.headers["X-IA-Throttle-Limit"] == "2"
        assert refused.headers["X-IA-Throttle-Limit-Remaining"] == "0"
        assert sandbox.transactions == 2


def test_calls_are_recorded_without_secrets(client, sandbox):
    client("POST", CUSTOMER, {"name": "a"}, headers={"Idempotency-Key": "k"})
    client("GET", f"{CUSTOMER}?x=1")
    calls = [(call.method, call.path, call.status, call.transactions) for call in sandbox.requests]
    assert calls == [
        ("POST", "/oauth2/token", 200, 0),
        ("POST", CUSTOMER, 201, 1),
        ("GET", CUSTOMER, 400, 0),
    ]
    assert (sandbox.requests[1].idempotency_key, sandbox.requests[2].query) == ("k", "x=1")
    assert "Bearer" not in repr(sandbox.requests)


def test_query_and_model_are_served(client, sandbox):
    client.create(CUSTOMER, {"id": "C1", "name": "a"})
    answer = client("POST", QUERY, {"object": "accounts-receivable/customer", "fields": ["key", "id"]})
    assert answer.json()["ia::result"] == [{"API_QUERY_ALIAS__2": None, "key": "1", "id": "C1"}]
    assert client("POST", QUERY, {"object": "x"}).status_code == 400
    assert client("POST", QUERY, data=b"").status_code == 400
    model = client("GET", "/services/core/model?name=accounts-receivable/customer")
    assert "name" in model.json()["ia::result"]["fields"]
    assert [call.transactions for call in sandbox.requests] == [0, 1, 1, 0, 0, 1]


def test_members_of_rows_come_as_recorded(client):
    """In alphabetical order, after one that nobody asked for where no related field is asked for."""
    client.create(CUSTOMER, {"id": "C1", "name": "a"})
    asked = {
        "object": "accounts-receivable/customer",
        "fields": ["name", "status", "id", "contacts.default.URL1"],
    }
    [row] = client("POST", QUERY, {**asked, "fields": ["name", "status", "id"]}).json()["ia::result"]
    assert list(row) == ["API_QUERY_ALIAS__3", "id", "name", "status"]
    [row] = client("POST", QUERY, {**asked, "fields": ["term.id", "name", "id"]}).json()["ia::result"]
    assert list(row) == ["id", "name", "term.id"]
    [row] = client("POST", QUERY, {**asked, "fields": ["status", "count:key"]}).json()["ia::result"]
    assert list(row) == ["count:key", "status"]


def test_an_object_may_be_named_without_its_application_in_a_query(client):
    client.create(CUSTOMER, {"id": "C1", "name": "a"})
    answer = client("POST", QUERY, {"object": "customer", "fields": ["id"]})
    assert [row["id"] for row in answer.json()["ia::result"]] == ["C1"]
    assert client("POST", QUERY, {"object": "custom", "fields": ["id"]}).status_code == 400


@pytest.mark.parametrize(
    ("name", "error_id"),
    [("contactList.categoryName", "REST-1107"), ("contactList", "REST-1106"), ("nme", "REST-1106")],
)
def test_a_path_through_a_list_has_an_error_of_its_own(client, name, error_id):
    answer = client("POST", QUERY, {"object": "accounts-receivable/customer", "fields": [name]})
    assert answer.json()["ia::result"]["ia::error"]["errorId"] == error_id


def test_malformed_json_has_an_id(client):
    answer = client("POST", QUERY, data=b"{")
    assert (answer.status_code, answer.json()["ia::result"]["ia::error"]["errorId"]) == (400, "REST-1030")


@pytest.mark.parametrize(
    "text", ["20240701", "2024-W27-1", "2024-07-01 00:00:00+00:00", "2024-07", "2024-183"]
)
def test_times_in_filters_have_documented_forms(client, text):
    asked = {"object": "accounts-receivable/customer", "fields": ["id"]}
    for value, status in ((text, 400), ("2024-07-01T00:00:00Z", 200), ("2024-07-01", 200)):
        filters = [{"$gt": {"audit.modifiedDateTime": value}}]
        assert client("POST", QUERY, {**asked, "filters": filters}).status_code == status


def test_status_fault(client, sandbox):
    sandbox.fail(status=503, times=2, path=CUSTOMER, headers={"Retry-After": "0"})
    assert client("GET", QUERY).status_code == 405
    assert client("GET", GROUP).status_code == 200
    first = client("GET", CUSTOMER)
    assert (first.status_code, first.headers["Retry-After"]) == (503, "0")
    assert first.json()["error"]["code"] == "GW-0001"
    assert client("GET", f"{CUSTOMER}/1").status_code == 503
    assert client("GET", CUSTOMER).status_code == 200


def test_fault_with_a_body_of_its_own_for_one_method(client, sandbox):
    sandbox.fail(status=500, method="post", body={"ia::error": {"code": "x"}})
    assert client("GET", CUSTOMER).status_code == 200
    assert client("POST", CUSTOMER, {"name": "a"}).json() == {"ia::error": {"code": "x"}}
    sandbox.fail()
    sandbox.clear_faults()
    assert client("GET", CUSTOMER).status_code == 200


def test_html_fault(client, sandbox):
    sandbox.fail(kind="html")
    answer = client("GET", CUSTOMER)
    assert answer.status_code == 200
    assert answer.headers["Content-Type"].startswith("text/html")


@pytest.mark.parametrize("kind", ["cut", "reset"])
def test_broken_connections(client, sandbox, kind):
    sandbox.fail(kind=kind)
    with pytest.raises((requests.ConnectionError, requests.exceptions.ChunkedEncodingError)):
        client("POST", CUSTOMER, {"name": "a"})
    assert client("GET", CUSTOMER).json()["ia::meta"]["totalCount"] == 0
    assert sandbox.transactions == 1


def test_hang_fault_ends_with_the_clients_patience(client, sandbox):
    sandbox.fail(kind="hang", seconds=20)
    with pytest.raises(requests.ReadTimeout):
        client("POST", CUSTOMER, {"name": "a"}, timeout=0.2)
    sandbox.fail(kind="hang", seconds=0.1)
    with pytest.raises(requests.ConnectionError):
        client("POST", CUSTOMER, {"name": "a"})
    assert client("GET", CUSTOMER).json()["ia::meta"]["totalCount"] == 0


def test_after_fault_carries_out_and_loses_the_answer(client, sandbox):
    sandbox.fail(kind="after", method="POST")
    headers = {"Idempotency-Key": "k"}
    with pytest.raises(requests.ConnectionError):
        client("POST", CUSTOMER, {"name": "a"}, headers=headers)
    assert (sandbox.requests[-1].status, sandbox.requests[-1].transactions) == (201, 1)
    again = client("POST", CUSTOMER, {"name": "a"}, headers=headers)
    assert (again.status_code, again.json()["ia::result"]["key"]) == (201, "1")
    assert sandbox.transactions == 1


def test_fault_in_the_middle_of_something(client, sandbox):
    sandbox.fail(status=500, path=PURPOSE, skip=2)
    assert [client("GET", PURPOSE).status_code for _ in range(4)] == [200, 200, 500, 200]


def test_unknown_fault_is_refused(sandbox):
    with pytest.raises(ValueError, match="kind must be one of"):
        sandbox.fail(kind="explode")
    with pytest.raises(ValueError, match="times"):
        sandbox.fail(times=-1)


def test_a_test_may_stop_the_clock(monkeypatch):
    monkeypatch.setattr(time, "monotonic", lambda: 1000.0)
    with Sandbox(faults={"latency": 0.05}) as sandbox:
        assert token(sandbox).status_code == 200
    monkeypatch.undo()
    assert not [thread for thread in threading.enumerate() if thread is sandbox._thread]


def test_twenty_threads():
    with Sandbox(faults={"concurrency": 20}) as sandbox:
        headers = dict(Client(sandbox).session.headers)
        failures = []

        def work(number):
            session = requests.Session()
            session.headers.update(headers)
            for count in range(5):
                record = {"id": f"C{number}-{count}", "name": "x"}
                created = session.post(sandbox.url + CUSTOMER, json=record, timeout=30)
                key = created.json()["ia::result"]["key"]
                shown = session.get(f"{sandbox.url}{CUSTOMER}/{key}", timeout=30).json()
                if shown["ia::result"]["id"] != record["id"]:
                    failures.append(shown)

        threads = [threading.Thread(target=work, args=(number,)) for number in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not failures
        assert sandbox.transactions == 200


# --- life cycle


def test_an_open_connection_does_not_keep_it_from_stopping():
    with Sandbox() as sandbox:
        client = Client(sandbox)
        client("GET", CUSTOMER)
    assert not sandbox._thread.is_alive()
    with pytest.raises(requests.ConnectionError):
        client("GET", CUSTOMER)


def test_file_keeps_records_tokens_and_cached_answers(tmp_path):
    path = str(tmp_path / "company.db")
    headers = {"Idempotency-Key": "k1"}
    with Sandbox(db=path) as sandbox:
        client = Client(sandbox)
        client("POST", CUSTOMER, {"name": "a"}, headers=headers)
    with Sandbox(db=path) as sandbox:
        client.url = sandbox.url
        assert client.get(CUSTOMER, 1)["name"] == "a"
        again = client("POST", CUSTOMER, {"name": "a"}, headers=headers)
        assert again.json()["ia::result"]["key"] == "1"
        assert client.create(CUSTOMER, {"name": "b"})["id"] == "C-00002"


def test_file_of_an_older_version_gains_columns(tmp_path):
    path = str(tmp_path / "company.db")
    with Sandbox(db=path) as sandbox, sandbox.store.transaction() as conn:
        conn.execute('ALTER TABLE "accounts-receivable/customer" DROP COLUMN "notes"')
    with Sandbox(db=path) as sandbox:
        client = Client(sandbox)
        client.create(CUSTOMER, {"name": "a", "notes": "b"})
        assert client.get(CUSTOMER, 1)["notes"] == "b"


def test_failed_start_names_the_seed():
    with pytest.raises(ValueError, match="demo"), Sandbox(seed="dmo"):
        pass


def test_connection_for_airflow():
    with Sandbox(client_secret='s3"cret-of-a-client') as sandbox:
        connection = json.loads(sandbox.connection())
        assert connection == {
            "conn_type": "intacct",
            "host": sandbox.url,
            "login": "sandbox-client",
            "password": 's3"cret-of-a-client',
            "extra": {"company_id": "SANDBOX", "user_id": "airflow"},
        }
        assert token(sandbox, client_secret='s3"cret-of-a-client').status_code == 200
        assert token(sandbox).status_code == 401


def test_importing_the_package_loads_no_server():
    heavy = {"starlette", "uvicorn", "msgspec", "sqlite3"}
    program = f"import sys, intacct_provider.sandbox; print({heavy} & set(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, text=True)
    assert loaded.stdout == "set()\n"


def test_a_name_that_the_package_does_not_have_is_an_error():
    with pytest.raises(ImportError, match="Sandboxes"):
        from intacct_provider.sandbox import Sandboxes  # noqa: F401


# --- command line


def run(*arguments, **environment):
    return subprocess.Popen(
        [sys.executable, "-m", "intacct_provider.sandbox", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **environment},
    )


def stop(process, number):
    """End the command by a signal; return the rest of what it printed."""
    process.send_signal(number)
    assert process.wait(timeout=10) == 0
    with process.stdout as stdout, process.stderr as stderr:
        assert stderr.read() == ""
        return stdout.read()


@pytest.mark.parametrize("number", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.slow)])
def test_command_runs_until_a_signal(number):
    process = run("--port", "0", "--seed", "empty")
    line = process.stdout.readline().strip()
    assert re.fullmatch(r"Sage Intacct sandbox ready: http://127\.0\.0\.1:\d+/ia/api/v1", line)
    answer = requests.post(line.split(": ", 1)[1] + "/oauth2/token", data=FORM, timeout=10)
    assert answer.status_code == 200
    out = stop(process, number)
    assert "AIRFLOW_CONN_INTACCT_DEFAULT" in out
    assert "sandbox-secret" in out


@pytest.mark.slow
def test_command_does_not_print_a_secret_of_the_user():
    process = run("--port", "0", "--seed", "empty", INTACCT_SANDBOX_CLIENT_SECRET='my"own')
    line = process.stdout.readline().strip()
    form = {**FORM, "client_secret": 'my"own'}
    assert requests.post(line.split(": ", 1)[1] + "/oauth2/token", data=form, timeout=10).status_code == 200
    out = stop(process, signal.SIGTERM)
    assert "own" not in out
    assert "INTACCT_SANDBOX_CLIENT_SECRET" in out


def faults_of(*arguments, **environment):
    """Run the command, and return the faults that it says are on, by what it prints and by its control address."""
    process = run("--port", "0", "--seed", "empty", "--control", *arguments, **environment)
    base = process.stdout.readline().split(": ", 1)[1].strip().removesuffix("/ia/api/v1")
    served = requests.get(base + "/sandbox/faults", timeout=10).json()
    printed = re.search(r"Faults that are on: (.*)", stop(process, signal.SIGTERM))
    on = json.loads(printed[1]) if printed else {}
    assert {name: served[name] for name in on} == on
    return on


@pytest.mark.slow
def test_command_takes_faults_from_an_option_or_the_environment():
    variable = {"INTACCT_SANDBOX_FAULTS": '{"clamp": true, "max_size": 5}'}
    assert faults_of() == {}
    assert faults_of(**variable) == {"clamp": True, "max_size": 5}
    assert faults_of("--faults", '{"latency": 0.01}', **variable) == {"latency": 0.01}


@pytest.mark.slow
def test_command_takes_a_tier():
    process = run("--port", "0", "--seed", "empty", "--tier", "3")
    url = process.stdout.readline().split(": ", 1)[1].strip()
    answer = requests.post(url + "/oauth2/token", data=FORM, timeout=10)
    assert answer.headers["X-IA-Throttle-Limit"] == "12"
    assert requests.get(url.removesuffix("/ia/api/v1") + "/sandbox/faults", timeout=10).status_code == 404
    stop(process, signal.SIGTERM)


@pytest.mark.slow
def test_command_names_wrong_faults():
    assert "did you mean 'latency'" in refused("--port", "0", "--faults", '{"latencyy": 1}')
    assert "kind must be one of" in refused("--port", "0", INTACCT_SANDBOX_FAULTS='{"fail": [{"kind": "x"}]}')


@pytest.mark.slow
def test_command_listens_elsewhere_only_when_told_twice():
    assert "--allow-remote" in refused("--port", "0", "--host", "0.0.0.0")  # noqa: S104
    assert "looks like Sage's own" in refused("--port", "0", "--host", "api.intacct.com", "--allow-remote")


def refused(*arguments, **environment):
    process = run(*arguments, **environment)
    out, err = process.communicate(timeout=20)
    assert process.returncode == 2
    assert out == ""
    assert err.count("\n") == 1
    return err


def test_command_names_a_busy_port():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        assert port in refused("--port", port, "--seed", "empty")


def test_command_names_the_nearest_seed():
    assert "accounts-receivable/customer" in refused("--port", "0", "--seed", "accounts-receivable/custmer=5")
    assert "demo" in refused("--port", "0", "--seed", "dmo")


@pytest.mark.slow
def test_command_names_a_database_that_cannot_be_opened(tmp_path):
    missing = str(tmp_path / "no" / "such" / "folder.db")
    assert missing in refused("--port", "0", "--db", missing)
    text = tmp_path / "text.db"
    text.write_text("this is not a database, it is a poem about one\n" * 100)
    assert str(text) in refused("--port", "0", "--db", str(text))
