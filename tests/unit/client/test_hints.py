"""A refused name comes with the nearest that exists, found only after the refusal and never in its place."""

from __future__ import annotations

import pytest
import requests

from intacct_provider.exceptions import (
    IntacctConflictError,
    IntacctNotFoundError,
    IntacctServerError,
    IntacctValidationError,
)

CUSTOMER = "accounts-receivable/customer"
MODEL = {
    "fields": {"key": {}, "id": {}, "status": {}, "name": {}, "totalDue": {}},
    "groups": {"audit": {"fields": {"modifiedDateTime": {}}, "refs": []}},
    "refs": {"term": {"fields": {"key": {}, "id": {}}}, "odd": []},
    "lists": [],
}
OBJECTS = [
    {"apiObject": "objects/accounts-receivable/customer", "type": "rootObject"},
    {"apiObject": "objects/platform-apps/nsp::truck", "type": "rootObject"},
    {"apiObject": "services/core/query", "type": "service"},
    {"type": "rootObject"},
    "odd",
]


def refused(intacct, error, status=400, **query):
    intacct.on("POST", intacct.query, status_code=status, json={"ia::error": {"message": "no", **error}})
    kinds = {400: IntacctValidationError, 404: IntacctNotFoundError, 409: IntacctConflictError}
    with pytest.raises(kinds.get(status, IntacctServerError)) as caught:
        intacct.client().query(query.pop("object_name", CUSTOMER), ["key"], **query)
    return caught.value


def model_calls(intacct):
    return [call for call in intacct.calls(intacct.model) if call.method == "GET"]


@pytest.mark.parametrize(
    ("error", "hint"),
    [
        ({"errorId": "REST-1043", "target": "/statsu"}, "Did you mean 'status'?"),
        (
            {"errorId": "REST-1043", "target": "/audit/modifedDateTime"},
            "Did you mean 'audit.modifiedDateTime'?",
        ),
        ({"errorId": "REST-1043", "target": "/term/idd"}, "Did you mean 'term.id'?"),
        (
            {
                "errorId": "REST-1064",
                "details": [{"message": "m", "errorId": "REST-1043", "target": "/naem"}],
            },
            "Did you mean 'name'?",
        ),
        ({"message": "The statsu field does not exist", "target": "/statsu"}, "Did you mean 'status'?"),
        ({"message": "m", "details": [{"message": "The naem field does not exist"}]}, "Did you mean 'name'?"),
        (
            {"message": "m", "details": [{"message": "The /term/idd field does not exist."}]},
            "Did you mean 'term.id'?",
        ),
        (
            {"errorId": "REST-1106", "additionalInfo": {"placeholders": {"FIELD": "totaldue"}}},
            "(HTTP 400, REST-1106). Did you mean 'totalDue'?",
        ),
    ],
)
def test_a_wrong_field_comes_with_the_nearest_of_the_object(intacct, error, hint):
    intacct.on("GET", intacct.model, json={"ia::result": MODEL})
    said = refused(intacct, error)
    assert hint in str(said)
    (call,) = model_calls(intacct)
    assert call.qs == {"name": [CUSTOMER], "schema": ["true"]}


@pytest.mark.parametrize(
    "error",
    [
        pytest.param({"errorId": "REST-1050", "target": "/status"}, id="a field that exists"),
        pytest.param({"errorId": "REST-1043", "target": "/zzzzzz"}, id="a field like no other"),
        pytest.param({"errorId": "REST-1043"}, id="a field that is not named"),
    ],
)
def test_no_hint_is_better_than_a_wrong_one(intacct, error):
    intacct.on("GET", intacct.model, json={"ia::result": MODEL})
    assert "Did you mean" not in str(refused(intacct, error))


@pytest.mark.parametrize(
    ("error", "status"),
    [
        pytest.param(
            {"errorId": "REST-1043", "target": "/lines/0/amuont"}, 400, id="a field of a list's element"
        ),
        pytest.param({"errorId": "REST-1034"}, 400, id="not about a field"),
        pytest.param({"errorId": "REST-1043", "target": "/statsu"}, 409, id="a conflict"),
        pytest.param({"errorId": "REST-1043", "target": "/statsu"}, 500, id="a failing server"),
    ],
)
def test_nothing_is_asked_when_the_model_cannot_explain_it(intacct, error, status):
    refused(intacct, error, status)
    assert model_calls(intacct) == []


@pytest.mark.parametrize(
    "model",
    [
        {"exc": requests.ConnectionError},
        {"status_code": 403},
        {"text": "<html>"},
        {"json": {"ia::result": []}},
    ],
)
def test_a_model_service_that_fails_leaves_the_refusal_as_it_was(intacct, model):
    intacct.on("GET", intacct.model, **model)
    said = refused(intacct, {"errorId": "REST-1043", "target": "/statsu"})
    assert said.error_id == "REST-1043"
    assert "Did you mean" not in str(said)


def test_a_name_that_is_right_costs_nothing(intacct):
    intacct.on("POST", intacct.query, json={"ia::result": []})
    intacct.client().query(CUSTOMER, ["key"])
    assert model_calls(intacct) == []


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("accounts-receivable/custmer", "Did you mean 'accounts-receivable/customer'?"),
        ("platform-apps/nsp::truk", "Did you mean 'platform-apps/nsp::truck'?"),
    ],
)
def test_a_wrong_object_comes_with_the_nearest_custom_ones_included(intacct, name, hint):
    intacct.on("GET", intacct.model, json={"ia::result": OBJECTS})
    said = refused(intacct, {}, status=404, object_name=name)
    assert f"There is no object {name!r}. {hint}" in str(said)


def test_a_wrong_object_is_explained_without_the_list_as_far_as_known(intacct):
    intacct.on("GET", intacct.model, status_code=403)
    said = refused(intacct, {}, object_name="accounts-receivable/custmer")
    assert "Did you mean 'accounts-receivable/customer'?" in str(said)


def test_an_object_like_no_other_is_not_said_to_be_missing_without_the_list(intacct):
    intacct.on("GET", intacct.model, status_code=403)
    assert "There is no object" not in str(refused(intacct, {}, object_name="x/zzzzzzz"))


def test_the_list_of_objects_is_asked_for_once(intacct):
    intacct.on("GET", intacct.model, json={"ia::result": OBJECTS})
    intacct.on("GET", "/objects/platform-apps/truk", status_code=404)
    client = intacct.client()
    for _ in range(3):
        with pytest.raises(IntacctNotFoundError, match="There is no object"):
            client.list("platform-apps/truk")
    assert len(model_calls(intacct)) == 1
    assert client.has_object("platform-apps/truk") is False
    assert client.has_object("platform-apps/nsp::truck")


def test_the_objects_are_those_of_the_company_without_services(intacct):
    intacct.on("GET", intacct.model, json={"ia::result": OBJECTS})
    assert intacct.client().object_names() == [CUSTOMER, "platform-apps/nsp::truck"]


def test_a_model_is_asked_for_once(intacct):
    intacct.on("GET", intacct.model, json={"ia::result": MODEL})
    client = intacct.client()
    assert client.model(CUSTOMER) == client.model(CUSTOMER)
    assert client.fields(CUSTOMER) == client.fields(CUSTOMER)
    assert len(model_calls(intacct)) == 1


def test_an_unknown_object_is_not_found_although_intacct_answers_200_with_nothing(intacct):
    intacct.on("GET", intacct.model, json={"ia::result": [], "ia::meta": {"totalCount": 0}})
    with pytest.raises(IntacctNotFoundError) as caught:
        intacct.client().model("accounts-receivable/custmer")
    assert "Intacct has no object 'accounts-receivable/custmer'." in str(caught.value)
    assert "Did you mean 'accounts-receivable/customer'?" in str(caught.value)


ENUMS = {
    "fields": {"status": {"enum": ["active", "inactive", None]}, "name": {"type": "string"}},
    "groups": {"contacts": {"fields": {"kind": {"enum": ["billing", "shipping"]}}}},
}


@pytest.mark.parametrize(
    ("record", "target", "hint"),
    [
        ({"status": "actve"}, "/status", "status is 'actve'. Did you mean 'active'?"),
        (
            {"contacts": {"kind": "biling"}},
            "/contacts/kind",
            "contacts.kind is 'biling'. Did you mean 'billing'?",
        ),
        ({"status": "active"}, "/status", ""),
        ({"status": 5}, "/status", ""),
        ({"name": "actve"}, "/name", ""),
        ({"other": "x"}, "/status", ""),
    ],
)
def test_a_refused_value_of_an_enumeration_comes_with_the_nearest(intacct, record, target, hint):
    intacct.on("GET", intacct.model, json={"ia::result": ENUMS})
    error = {"ia::error": {"message": "Invalid value", "target": target}}
    intacct.on("POST", intacct.customers, status_code=422, json=error)
    client = intacct.client()
    with pytest.raises(IntacctValidationError) as caught:
        client.create(CUSTOMER, record)
    assert caught.value.hint == hint
    (one,) = client.create_many(CUSTOMER, [record])
    assert one.error.hint == hint
