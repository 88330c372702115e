"""The model service's answer, read: every field by its dotted name, whatever oddities Intacct sends."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict

import pytest

from intacct_provider.client.model import ModelField
from intacct_provider.exceptions import (
    IntacctNotFoundError,
    IntacctResponseError,
    IntacctServerError,
    IntacctValidationError,
)

CUSTOMER = "accounts-receivable/customer"
MODEL = {
    "apiObject": f"objects/{CUSTOMER}",
    "fields": {
        "status": {"type": "string", "enum": ["active", "inactive", None], "nullable": False},
        "id": {"type": "string", "mutable": False, "readOnly": False, "writeOnly": False, "required": False},
        "key": {"type": "string", "readOnly": True, "mutable": False},
        "totalDue": {"type": "string", "format": "decimal-precision-2", "readOnly": True},
        "action": {"type": "string", "writeOnly": True},
        "nsp::REGION": {"type": "string"},
        "oldNumber": {"type": "number", "deprecated": True},
        "odd": [],
    },
    "groups": {
        "audit": {"fields": {"modifiedDateTime": {"type": "string", "format": "date-time"}}, "refs": []},
        "contacts": {
            "fields": [],
            "groups": [],
            "refs": {
                "default": {
                    "fields": {"id": {"type": "string"}},
                    "groups": {"mailing": {"fields": {"city": {}}}},
                }
            },
            "lists": {"all": {"apiObject": "company-config/contact"}},
        },
        "empty": [],
    },
    "refs": {
        "term": {
            "apiObject": "accounts-receivable/term",
            "fields": {"key": {"type": "string"}, "id": {}},
            "lists": [],
        },
        "oldTerm": {"deprecated": True, "fields": {"id": {"type": "string"}}, "groups": []},
    },
    "lists": {"tags": {"type": "string"}},
}
NAMES = [
    "key", "audit.modifiedDateTime", "contacts.default.id", "contacts.default.mailing.city", "id", "nsp::REGION",
    "oldNumber", "oldTerm.id", "status", "term.id", "term.key", "totalDue",
]  # fmt: skip
DEFAULTS = {
    "kind": "field", "type": "", "format": "", "enum": (), "nullable": True, "mutable": True, "read_only": False,
    "write_only": False, "deprecated": False,
}  # fmt: skip


@pytest.fixture
def client(intacct):
    intacct.on("GET", intacct.model, json={"ia::result": MODEL})
    return intacct.client()


def model_calls(intacct):
    return [call for call in intacct.calls(intacct.model) if call.method == "GET"]


@pytest.mark.parametrize(
    ("name", "facts"),
    [
        ("key", {"type": "string", "read_only": True, "mutable": False}),
        ("id", {"type": "string", "mutable": False}),
        ("status", {"type": "string", "enum": ("active", "inactive", None), "nullable": False}),
        ("totalDue", {"type": "string", "format": "decimal-precision-2", "read_only": True}),
        ("action", {"type": "string", "write_only": True}),
        ("nsp::REGION", {"type": "string"}),
        ("oldNumber", {"type": "number", "deprecated": True}),
        ("audit.modifiedDateTime", {"type": "string", "format": "date-time"}),
        ("contacts.default.id", {"type": "string"}),
        ("contacts.default.mailing.city", {}),
        ("contacts.all", {"kind": "list"}),
        ("term.key", {"type": "string"}),
        ("term.id", {}),
        ("oldTerm.id", {"type": "string", "deprecated": True}),
        ("tags", {"type": "string", "kind": "list"}),
    ],
)
def test_every_field_has_its_dotted_name_and_all_that_intacct_tells_of_it(client, name, facts):
    assert asdict(client.fields(CUSTOMER)[name]) == {"name": name, **DEFAULTS, **facts}


def test_what_is_no_field_is_none(client):
    lists_and_write_only = ["action", "contacts.all", "tags"]
    assert sorted(client.fields(CUSTOMER)) == sorted([*NAMES, *lists_and_write_only])
    assert all(isinstance(found, ModelField) for found in client.fields(CUSTOMER).values())


def test_a_star_stands_for_all_but_lists_and_write_only_fields_with_the_key_first(client):
    assert client.queryable_fields(CUSTOMER) == NAMES
    assert [name for name, found in client.fields(CUSTOMER).items() if not found.queryable] == [
        "action",
        "contacts.all",
        "tags",
    ]


def test_the_order_of_a_star_does_not_depend_on_intacct(intacct, client):
    names = client.queryable_fields(CUSTOMER)
    backwards = {
        kind: dict(reversed(list(parts.items()))) for kind, parts in MODEL.items() if kind != "apiObject"
    }
    intacct.on("GET", intacct.model, json={"ia::result": backwards})
    assert intacct.client().queryable_fields(CUSTOMER) == names


def test_an_empty_map_is_a_map_wherever_it_stands(client):
    model = client.model(CUSTOMER)
    assert model["apiObject"] == f"objects/{CUSTOMER}"
    assert model["groups"]["audit"]["refs"] == {}
    assert model["groups"]["contacts"]["fields"] == model["groups"]["contacts"]["groups"] == {}
    assert model["refs"]["term"]["lists"] == model["refs"]["oldTerm"]["groups"] == {}
    assert model["fields"]["status"] == MODEL["fields"]["status"]


def test_an_object_without_anything_to_query_is_told_and_nothing_is_sent(intacct):
    model = {"fields": [], "groups": [], "refs": [], "lists": {"tags": {"type": "string"}}}
    intacct.on("GET", intacct.model, json={"ia::result": model})
    with pytest.raises(IntacctResponseError, match=f"model of {CUSTOMER} has no field that can be queried"):
        intacct.client().query(CUSTOMER, "*")
    assert intacct.calls(intacct.query) == []


def test_a_model_is_asked_for_once_by_any_number_of_threads_and_for_any_purpose(intacct, client):
    intacct.on("POST", intacct.query, json={"ia::result": []})
    asks = (client.model, client.fields, client.queryable_fields, lambda name: client.query(name, "*"))
    with ThreadPoolExecutor(16) as threads:
        list(threads.map(lambda n: asks[n % 4](CUSTOMER), range(64)))
    assert len(model_calls(intacct)) == 1


def test_what_a_caller_does_to_the_fields_is_its_own(client):
    client.fields(CUSTOMER).clear()
    assert client.queryable_fields(CUSTOMER) == NAMES


def test_a_failed_question_is_asked_again(intacct):
    intacct.on("GET", intacct.model, {"json": {"ia::result": []}}, {"json": {"ia::result": MODEL}})
    client = intacct.client()
    with pytest.raises(IntacctNotFoundError, match="Intacct has no object 'x/y'"):
        client.fields("x/y")
    assert client.queryable_fields(CUSTOMER) == NAMES


def test_a_star_is_every_field_in_each_kind_of_query(intacct, client):
    intacct.on(
        "POST", intacct.query, json={"ia::result": [{"key": "1", "stray": 1}], "ia::meta": {"totalCount": 1}}
    )
    row = {name: "1" if name == "key" else None for name in NAMES}
    assert client.query(CUSTOMER, "*").rows == [row]
    assert list(client.iter_rows(CUSTOMER, "*")) == [row]
    assert [call.json()["fields"] for call in intacct.calls(intacct.query)] == [NAMES, NAMES]


def refused(intacct, name, fields=("key",)):
    placeholders = {"FIELD": name, "OBJECT": CUSTOMER, "VERSION": "1"}
    error = {"message": "no", "errorId": "REST-1106", "additionalInfo": {"placeholders": placeholders}}
    intacct.on("GET", intacct.model, json={"ia::result": MODEL})
    intacct.on("POST", intacct.query, status_code=400, json={"ia::result": {"ia::error": error}})
    with pytest.raises(IntacctValidationError) as caught:
        intacct.client().query(CUSTOMER, fields)
    return caught.value.hint


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("totaldue", "Did you mean 'totalDue'?"),
        ("term", "Did you mean 'term.id'?"),
        ("contacts.default.mailing", "Did you mean 'contacts.default.mailing.city'?"),
        ("audit", "Did you mean 'audit.modifiedDateTime'?"),
        ("actoin", None),
        (
            "tags",
            "'tags' is a list; lists and write-only fields cannot be queried: read it with client.get().",
        ),
        ("action", "'action' is write-only; lists and write-only fields cannot be queried: leave it out."),
        (
            "status",
            "The model lists 'status', but the query service does not take it there: leave it out, and name",
        ),
    ],
)
def test_a_field_that_queries_do_not_take_comes_with_the_nearest_that_they_do(intacct, name, hint):
    found = refused(intacct, name)
    if hint:
        assert found.startswith(hint)
    else:
        assert "'action'" not in found  # the nearest name, but a query would not take that either


def test_a_field_of_a_star_that_is_refused_fails_the_query_and_is_not_left_out(intacct):
    assert "The model lists 'totalDue'" in refused(intacct, "totalDue", "*")
    assert len(intacct.calls(intacct.query)) == 1


LINE, ENTRY, PART = "ledger/line", "ledger/entry", "ledger/part"


def owned(name):
    return {"apiObject": f"objects/{name}", "type": "ownedObject", "fields": {"key": {}}, "lists": []}


def test_models_of_owned_objects_are_read_with_one_call_and_once(intacct):
    intacct.on("GET", intacct.model, json={"ia::result": [owned(LINE), owned(ENTRY), owned("ledger/other")]})
    client = intacct.client()
    for _ in range(2):
        assert set(client.models([LINE, ENTRY])) == {LINE, ENTRY}
    assert client.model(LINE)["lists"] == {}
    [call] = model_calls(intacct)
    assert call.qs == {
        "filter": [r"^(objects/)?(ledger/line|ledger/entry)$"], "type": ["ownedobject"], "schema": ["true"]
    }  # fmt: skip
    assert client.transactions == 1


@pytest.mark.parametrize(
    "listed",
    [
        {"json": {"ia::result": [{"apiObject": f"objects/{LINE}", "type": "ownedObject"}]}},
        {"json": {"ia::result": []}},
        {"json": {"ia::result": {"odd": True}}},
        {"status_code": 400, "json": {"ia::error": {"code": "invalidRequest", "message": "no filter"}}},
    ],
    ids=["without schema", "empty", "no list", "refused"],
)
def test_what_the_list_of_models_does_not_have_is_asked_for_by_name_and_once(intacct, listed):
    unknown, refused = {"json": {"ia::result": []}}, {"status_code": 403, "json": {}}
    intacct.on("GET", intacct.model, listed, {"json": {"ia::result": owned(LINE)}}, unknown, refused)
    client = intacct.client()
    for _ in range(2):
        assert set(client.models([LINE, ENTRY, PART])) == {LINE}
    assert [call.qs.get("name") for call in model_calls(intacct)] == [None, [LINE], [ENTRY], [PART]]


def test_a_model_service_that_is_down_is_no_missing_model(intacct):
    intacct.on("GET", intacct.model, status_code=503, json={})
    for names in ([LINE], [LINE, ENTRY]):
        with pytest.raises(IntacctServerError):
            intacct.client().models(names)
