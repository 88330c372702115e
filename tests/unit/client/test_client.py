"""Reading single records and pages: what is asked for comes back, or an error says why not."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import pytest

from intacct_provider.client.paging.pages import Page
from intacct_provider.client.query.expressions import field
from intacct_provider.client.query.request import Query
from intacct_provider.exceptions import (
    IntacctArgumentError,
    IntacctError,
    IntacctNotFoundError,
    IntacctResponseError,
    IntacctValidationError,
)

CUSTOMER = "accounts-receivable/customer"
ACCOUNT_GROUP = "general-ledger/account-group"
RECORD = {"key": "7", "id": "C7", "creditLimit": 10.10, "term": {"key": "1", "id": "Net 15"}}


def rows(*found):
    return {"ia::result": list(found), "ia::meta": {"totalCount": len(found), "start": 1, "next": None}}


def test_a_list_gives_its_references(intacct):
    intacct.on("GET", intacct.customers, json={"ia::result": [{"key": "1", "id": "C1", "href": "/x"}]})
    assert intacct.client().list(CUSTOMER) == [{"key": "1", "id": "C1", "href": "/x"}]


def test_a_record_comes_nested_with_exact_amounts(intacct):
    intacct.on(
        "GET",
        intacct.customers + "/7",
        text='{"ia::result": {"key": "7", "creditLimit": 10.10, "term": {"id": "N"}}}',
    )
    assert intacct.client().get(CUSTOMER, "7") == {
        "key": "7",
        "creditLimit": Decimal("10.10"),
        "term": {"id": "N"},
    }


def test_a_record_that_comes_without_its_key_gets_it(intacct):
    intacct.on("GET", f"/objects/{ACCOUNT_GROUP}/5", json={"ia::result": {"id": "Assets"}})
    assert intacct.client().get(ACCOUNT_GROUP, "5") == {"key": "5", "id": "Assets"}


@pytest.mark.parametrize("result", [None, [], "x"])
def test_an_answer_without_a_record_is_none(intacct, result):
    intacct.on("GET", intacct.customers + "/7", json={"ia::result": result})
    with pytest.raises(IntacctResponseError, match=f"The response for key 7 of {CUSTOMER} is not a record"):
        intacct.client().get(CUSTOMER, "7")


def test_a_missing_record_is_not_found_and_costs_nothing(intacct):
    intacct.on(
        "GET", intacct.customers + "/7", status_code=404, json={"ia::error": {"message": "No record 7"}}
    )
    client = intacct.client()
    with pytest.raises(IntacctNotFoundError, match="No record 7"):
        client.get(CUSTOMER, "7")
    assert client.transactions == 0


SENT = {
    "id": "C7",
    "name": "",
    "entity": {"key": None, "id": None, "name": None},
    "parent": {"key": "", "id": "", "href": None},
    "term": {"key": "1", "id": "Net 15", "note": ""},
    "vendor": {},
    "territory": {"id": "", "name": ""},
    "contacts": {
        "default": {"id": "X", "mailing": {"city": "", "zip": None}},
        "billTo": {"id": None, "tax": {"group": {"key": None}, "isTaxable": None}},
    },
    "audit": {"createdBy": "", "modifiedBy": None},
    "lines": [{"item": {"key": None, "id": None}}],
    "tags": [],
    "dimensions": {"nsp::X": {"key": None, "id": None}, "note": ""},
}
FLAT = {
    "key": "7",
    "id": "C7",
    "name": "",
    "entity.key": None,
    "entity.id": None,
    "entity.name": None,
    "parent.key": None,
    "parent.id": None,
    "parent.href": None,
    "term.key": "1",
    "term.id": "Net 15",
    "term.note": "",
    "vendor": None,
    "territory.id": None,
    "territory.name": None,
    "contacts.default.id": "X",
    "contacts.default.mailing.city": "",
    "contacts.default.mailing.zip": None,
    "contacts.billTo.id": None,
    "contacts.billTo.tax.group.key": None,
    "contacts.billTo.tax.isTaxable": None,
    "audit.createdBy": "",
    "audit.modifiedBy": None,
    "lines": [{"item": {"key": None, "id": None}}],
    "tags": [],
    "dimensions.nsp::X.key": None,
    "dimensions.nsp::X.id": None,
    "dimensions.note": "",
}


def test_a_flat_record_has_the_names_of_queries_and_none_for_empty_references(intacct):
    intacct.on("GET", intacct.customers + "/7", json={"ia::result": SENT})
    assert list(intacct.client().get(CUSTOMER, "7", flatten=True).items()) == list(FLAT.items())


def test_a_record_stays_as_sent_unless_it_is_asked_for_flat(intacct):
    intacct.on("GET", intacct.customers + "/7", json={"ia::result": SENT})
    assert intacct.client().get(CUSTOMER, "7") == {"key": "7", **SENT}


def test_many_records_are_flat_whether_one_or_several_come_in_a_call(intacct):
    intacct.on("GET", intacct.customers + "/7", json={"ia::result": SENT})
    both = [{"ia::result": {"key": "7", **SENT}}, {"key": "8", "term": {"id": "N"}}]
    intacct.on("GET", intacct.customers + "/7,8", json={"ia::result": both})
    client = intacct.client()
    assert list(client.get_many(CUSTOMER, ["7"], flatten=True)) == [FLAT]
    assert list(client.get_many(CUSTOMER, ["7", "8"], flatten=True)) == [FLAT, {"key": "8", "term.id": "N"}]
    assert list(client.get_many(CUSTOMER, ["7", "8"]))[1] == {"key": "8", "term": {"id": "N"}}


def many(intacct, keys):
    """Answer reads of these keys, 500 a call."""
    for start in range(0, len(keys), 500):
        chunk = keys[start : start + 500]
        found = {"key": chunk[0]} if len(chunk) == 1 else [{"key": key} for key in chunk]
        intacct.on("GET", f"{intacct.customers}/{','.join(chunk)}", json={"ia::result": found})


@pytest.mark.parametrize(("count", "calls"), [(0, 0), (1, 1), (2, 1), (500, 1), (501, 2), (1001, 3)])
def test_many_records_come_in_order_500_a_call(intacct, count, calls):
    keys = [str(n) for n in range(count, 0, -1)]
    many(intacct, keys)
    client = intacct.client()
    assert [record["key"] for record in client.get_many(CUSTOMER, keys)] == keys
    assert client.transactions == calls == len(intacct.calls(intacct.customers))


def test_many_records_wrapped_or_without_keys_are_told_apart_by_their_position(intacct):
    items = [{"ia::result": {"id": "A"}, "ia::status": 200}, {"id": "B"}]
    intacct.on("GET", intacct.customers + "/1,2", json={"ia::result": items})
    assert list(intacct.client().get_many(CUSTOMER, ["1", "2"])) == [
        {"key": "1", "id": "A"},
        {"key": "2", "id": "B"},
    ]


def test_one_missing_of_many_raises_before_any_is_handed_on(intacct):
    missing = {"ia::error": {"message": "No record 2"}, "ia::status": 404}
    intacct.on(
        "GET", intacct.customers + "/1,2", status_code=207, json={"ia::result": [{"key": "1"}, missing]}
    )
    with pytest.raises(IntacctNotFoundError, match="No record 2"):
        next(intacct.client().get_many(CUSTOMER, ["1", "2"]))


def test_too_few_of_many_raise(intacct):
    intacct.on("GET", intacct.customers + "/1,2", json={"ia::result": [{"key": "1"}]})
    with pytest.raises(IntacctResponseError, match="2 records without accounting for each"):
        list(intacct.client().get_many(CUSTOMER, ["1", "2"]))


def test_records_in_another_order_than_asked_for_are_told_apart_by_key(intacct):
    intacct.on("GET", intacct.customers + "/1,2", json={"ia::result": [{"key": "2"}, {"key": "1"}]})
    assert list(intacct.client().get_many(CUSTOMER, ["1", "2"])) == [{"key": "1"}, {"key": "2"}]


def test_another_record_than_asked_for_is_an_error(intacct):
    intacct.on("GET", intacct.customers + "/7", json={"ia::result": {"key": "8"}})
    with pytest.raises(IntacctResponseError, match=f"record 8 of {CUSTOMER} where 7 was asked for"):
        intacct.client().get(CUSTOMER, "7")


@pytest.mark.parametrize("id_", [None, "", True, ["C7"]])
def test_nothing_is_found_without_an_id(intacct, id_):
    with pytest.raises(IntacctArgumentError, match="id must be a record's id"):
        intacct.client().find(CUSTOMER, id_)
    assert intacct.calls() == []


def test_a_record_with_another_id_is_not_what_was_looked_for(intacct):
    intacct.on("POST", intacct.query, json=rows({"key": "9", "id": "C9", "href": "/x"}))
    with pytest.raises(
        IntacctResponseError, match=r"the record C9 of .* \(key 9\) where the one with the id 'C7'"
    ):
        intacct.client().find(CUSTOMER, "C7")


STATUS = {"ia::status": 200}
DEEP = {"term": {"id": "N30", **STATUS}, "lines": [{"amount": "1", **STATUS}], "nsp::own": "x", **STATUS}
CLEAN = {"term": {"id": "N30"}, "lines": [{"amount": "1"}], "nsp::own": "x"}


def test_what_an_answer_says_about_a_record_does_not_become_a_part_of_it(intacct):
    intacct.on("GET", intacct.customers + "/1", json={"ia::result": {"key": "1", **DEEP}})
    found = [{"key": "1", **DEEP}, {"ia::result": {"key": "2", **DEEP}, **STATUS}]
    intacct.on("GET", intacct.customers + "/1,2", status_code=207, json={"ia::result": found})
    intacct.on("GET", intacct.customers, json={"ia::result": [{"key": "1", **DEEP}]})
    client = intacct.client()
    assert client.get(CUSTOMER, "1") == {"key": "1", **CLEAN}
    assert list(client.get_many(CUSTOMER, ["1", "2"])) == [{"key": "1", **CLEAN}, {"key": "2", **CLEAN}]
    assert client.list(CUSTOMER) == [{"key": "1", **CLEAN}]
    flat = {"key": "1", "term.id": "N30", "lines": [{"amount": "1"}], "nsp::own": "x"}
    assert client.get(CUSTOMER, "1", flatten=True) == flat
    pages = client.read_records(CUSTOMER, [Page([], keys=["1", "2"])])
    assert list(pages) == [[{"key": "1", **CLEAN}, {"key": "2", **CLEAN}]]


def test_an_answer_without_a_list_is_no_list(intacct):
    intacct.on("GET", intacct.customers, json={"ia::result": {"key": "1"}})
    with pytest.raises(IntacctResponseError, match=f"The response to the list of {CUSTOMER} is not a list"):
        intacct.client().list(CUSTOMER)


def test_a_record_is_found_by_its_id(intacct):
    reference = {"key": "7", "id": "C7", "href": "/x"}
    intacct.on("POST", intacct.query, json=rows(reference))
    assert intacct.client().find(CUSTOMER, "C7") == reference
    body = intacct.calls(intacct.query)[0].json()
    assert (body["filters"], body["size"]) == ([{"$eq": {"id": "C7"}}], 2)


def test_no_record_with_an_id_is_none(intacct):
    intacct.on("POST", intacct.query, json=rows())
    assert intacct.client().find(CUSTOMER, "C7") is None


def test_several_records_with_an_id_raise_instead_of_one_being_chosen(intacct):
    intacct.on("POST", intacct.query, json=rows({"key": "7"}, {"key": "8"}))
    with pytest.raises(
        IntacctError, match=r"Several records of .* have the id 'C7'; name the one you mean by its key"
    ):
        intacct.client().find(CUSTOMER, "C7")


def test_a_page_is_as_large_as_configured_or_as_asked_for(intacct):
    intacct.on("POST", intacct.query, json=rows())
    client = intacct.client(page_size=250)
    client.query(CUSTOMER, ["key"])
    client.query(CUSTOMER, ["key"], start=11, size=10)
    bodies = [call.json() for call in intacct.calls(intacct.query)]
    assert [(body["start"], body["size"]) for body in bodies] == [(1, 250), (11, 10)]


def test_a_query_sends_all_of_its_parts(intacct):
    intacct.on("POST", intacct.query, json=rows())
    intacct.client().query(
        CUSTOMER,
        ["sum:totalDue", "status"],
        filters=(field("status") == "active") & (field("totalDue") > Decimal("1000.00")),
        filter_parameters={"includePrivate": True},
        order_by=[{"status": "asc"}],
    )
    (call,) = intacct.calls(intacct.query)
    assert call.json() == {
        "object": CUSTOMER,
        "fields": ["sum:totalDue", "status"],
        "filters": [{"$eq": {"status": "active"}}, {"$gt": {"totalDue": "1000.00"}}],
        "filterExpression": "1 and 2",
        "filterParameters": {"includePrivate": True},
        "orderBy": [{"status": "asc"}],
        "start": 1,
        "size": 4000,
    }


QUERY_OF_TWO = Query.build(
    CUSTOMER,
    ["key", "id"],
    filters=[{"$eq": {"status": "active"}}],
    filter_parameters={"includePrivate": True},
)


def test_a_query_that_is_checked_is_sent_as_it_is(intacct):
    intacct.on("POST", intacct.query, json=rows({"key": "1", "id": "C1"}))
    client = intacct.client()
    page, read = client.query(QUERY_OF_TWO).rows, list(client.iter_rows(QUERY_OF_TWO))
    assert page == read == [{"key": "1", "id": "C1"}]
    for call in intacct.calls(intacct.query):
        asked = call.json()
        assert (asked["object"], asked["fields"]) == (CUSTOMER, ["key", "id"])
        assert asked["filters"] == [{"$eq": {"status": "active"}}]
        assert asked["filterParameters"] == {"includePrivate": True}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("fields", ["key"]),
        ("filters", []),
        ("filter_expression", "1"),
        ("filter_parameters", {}),
        ("order_by", []),
    ],
)
def test_a_query_that_is_checked_takes_no_other_parts(intacct, name, value):
    for call in (intacct.client().query, intacct.client().iter_rows):
        with pytest.raises(IntacctArgumentError, match=f"^{name} cannot be given with a Query"):
            call(QUERY_OF_TWO, **{name: value})
    assert intacct.calls() == []


def test_an_object_s_path_needs_fields(intacct):
    with pytest.raises(IntacctArgumentError, match="fields must be a list of field names"):
        intacct.client().query(CUSTOMER)


def test_a_page_that_cannot_be_right_is_refused_before_the_names_of_all_fields_are_paid_for(intacct):
    with pytest.raises(IntacctArgumentError, match="size must be a whole number from 1 to 4000, not 0"):
        intacct.client().query(CUSTOMER, "*", size=0)
    assert intacct.calls() == []


def test_a_refused_query_raises_and_costs_nothing(intacct):
    error = {"ia::result": {"ia::error": {"message": "Unrecognized key", "errorId": "REST-1064"}}}
    intacct.on("POST", intacct.query, status_code=400, json=error)
    client = intacct.client()
    with pytest.raises(IntacctValidationError):
        client.query(CUSTOMER, ["key"])
    assert client.transactions == 0


def test_every_answered_read_and_every_written_record_is_one_transaction(intacct):
    intacct.on("GET", intacct.customers, json=rows())
    intacct.on("GET", intacct.customers + "/7", json={"ia::result": RECORD})
    intacct.on("POST", intacct.query, json=rows({"key": "7", "id": "C7"}))
    intacct.on("GET", intacct.model, json={"ia::result": {"fields": {}}})
    intacct.on(
        "POST",
        intacct.customers,
        json={"ia::result": [{"key": "1"}, {"key": "2"}, {"ia::error": {"message": "no"}}]},
    )
    intacct.on("PATCH", intacct.customers + "/7", json={"ia::result": {"key": "7", "id": "C7"}})
    intacct.on("DELETE", intacct.customers + "/7", status_code=204)
    client, counts = intacct.client(), []
    for act in (
        lambda: client.list(CUSTOMER),
        lambda: client.get(CUSTOMER, "7"),
        lambda: client.query(CUSTOMER, ["key"]),
        lambda: client.find(CUSTOMER, "C7"),
        lambda: list(client.iter_rows(CUSTOMER, ["key"])),
        lambda: client.model(CUSTOMER),
        lambda: client.model(CUSTOMER),
        lambda: client.create_many(CUSTOMER, [{"id": "a"}, {"id": "b"}, {"id": "c"}]),
        lambda: client.update(CUSTOMER, "7", {"name": "x"}),
        lambda: client.delete(CUSTOMER, "7"),
    ):
        act()
        counts.append(client.transactions)
    assert counts == [1, 2, 3, 4, 5, 6, 6, 8, 9, 10]


def test_transactions_of_many_threads_are_all_counted(intacct):
    intacct.on("GET", intacct.customers, json=rows())
    client = intacct.client()
    with ThreadPoolExecutor(16) as threads:
        list(threads.map(lambda _: client.list(CUSTOMER), range(100)))
    assert client.transactions == 100


@pytest.mark.parametrize(
    "call",
    [
        lambda client: client.list("customer"),
        lambda client: client.get("customer", "7"),
        lambda client: list(client.get_many("customer", ["7", "8"])),
        lambda client: client.find("customer", "C7"),
        lambda client: client.query("customer", ["key"]),
        lambda client: client.iter_rows("customer", ["key"]),
        lambda client: client.model("customer"),
        lambda client: client.fields("customer"),
        lambda client: client.queryable_fields("customer"),
        lambda client: client.query("customer", "*"),
        lambda client: client.iter_rows("customer", "*"),
        lambda client: client.create("customer", {}),
        lambda client: client.update("customer", "7", {}),
        lambda client: client.delete("customer", "7"),
        lambda client: client.create_many("customer", [{}]),
        lambda client: client.delete_many("customer", ["7"]),
    ],
)
def test_every_method_refuses_what_is_no_object_path_and_sends_nothing(intacct, call):
    with pytest.raises(IntacctError, match="Did you mean 'accounts-receivable/customer'"):
        call(intacct.client())
    assert intacct.calls() == []


@pytest.mark.parametrize(
    "key",
    ["", " ", "7,8", "..", None, True, 1.0, "1.0", "007", " 5 ", "1_0", "-1", -1, "C7", "\u0661", ["7"]],
)
def test_every_method_refuses_what_is_no_key_and_sends_nothing(intacct, key):
    client = intacct.client()
    calls = {
        "key": [client.get, client.delete, lambda name, one: client.update(name, one, {"name": "x"})],
        r"keys\[1\]: key": [
            lambda name, one: list(client.get_many(name, ["1", one])),
            lambda name, one: client.delete_many(name, ["1", one]),
        ],
    }
    for argument, some in calls.items():
        for call in some:
            with pytest.raises(
                IntacctArgumentError, match=f"^{argument} must be a record's key, such as '24', not"
            ):
                call(CUSTOMER, key)
    with pytest.raises(IntacctArgumentError, match=r"^changes\[1\]:? "):
        client.update_many(CUSTOMER, [{"key": 1}, {"key": key}])
    with pytest.raises(IntacctArgumentError, match=r"^records\[1\]:? "):
        client.submit_job(CUSTOMER, "update", [{"key": "1"}, {"key": key}])
    assert intacct.calls() == []


@pytest.mark.parametrize("key", ["7", 7, "0"])
def test_a_key_may_be_text_or_a_number(intacct, key):
    intacct.on("GET", f"{intacct.customers}/{key}", json={"ia::result": {"key": str(key)}})
    assert intacct.client().get(CUSTOMER, key) == {"key": str(key)}
