"""The reverse of a plan, and what of a record can be given to Intacct again."""

from dataclasses import replace
from decimal import Decimal

import pytest
from sandbox_client import client_of, running
from sync_work import applied, planned, saved, undone

from intacct_provider.sync.applying.undo import convert_list, reverse_plan, select_writable
from intacct_provider.sync.plan import FieldChange, Plan, Step
from intacct_provider.sync.records import is_blank

CUSTOMER = "accounts-receivable/customer"
GROUP = "accounts-receivable/customer-group"
ACCOUNT_GROUP = "general-ledger/account-group"

FREE, FIXED = {"type": "string"}, {"type": "string", "readOnly": True}
REF = {"fields": {"key": FREE, "id": FREE, "href": FIXED, "name": FIXED}}
MODEL = {
    "fields": {"key": FIXED, "id": FREE, "name": FREE, "totalDue": FIXED, "href": FIXED},
    "groups": {
        "address": {"fields": {"city": FREE, "geo": FIXED}, "refs": {"country": REF}, "lists": {"lines": {}}},
        "audit": {"fields": {"modifiedBy": FREE}},
    },
    "refs": {
        "term": REF,
        "entity": {"fields": {"key": FIXED, "id": FIXED}},
        "contact": {"fields": {"id": FREE, "lastName": FREE}},
    },
    "lists": {"groupMembers": {"apiObject": CUSTOMER}, "ranges": {"apiObject": "x/range"}},
}
EMPTY = {"key": None, "id": None, "href": None}


@pytest.mark.parametrize(
    ("record", "kept"),
    [
        ({"key": "1", "id": "A", "href": "/x/1", "name": "N"}, {"id": "A", "name": "N"}),
        ({"id": "A", "totalDue": "5", "name": None}, {"id": "A"}),
        ({"id": "A", "name": ""}, {"id": "A"}),
        ({"id": "A", "audit": {"modifiedBy": "1"}}, {"id": "A"}),
        ({"term": {"key": "3", "id": "N30", "href": "/t/3", "name": "Net 30"}}, {"term": {"id": "N30"}}),
        ({"term": {"key": "3", "id": None, "href": "/t/3"}}, {"term": {"key": "3"}}),
        ({"term": EMPTY, "entity": {"key": "1", "id": "US"}}, {}),
        ({"contact": {"id": None, "lastName": "Doe"}}, {"contact": {"lastName": "Doe"}}),
        (
            {"address": {"city": "Köln", "geo": "x", "country": {"key": "1", "id": "DE"}}},
            {"address": {"city": "Köln", "country": {"id": "DE"}}},
        ),
        ({"address": {"city": None, "country": EMPTY, "lines": []}}, {}),
        ({"nsp::COLOUR": "blue", "unknown": "x", "nsp::EMPTY": None}, {"nsp::COLOUR": "blue"}),
        ({"isOnHold": False, "nsp::FLAG": False, "nsp::ZERO": 0}, {"nsp::FLAG": False, "nsp::ZERO": 0}),
    ],
)
def test_what_can_be_given_again(record, kept):
    assert select_writable(record, MODEL) == kept


AUDIT = {"createdBy": "1"}


@pytest.mark.parametrize(
    ("name", "value", "kept"),
    [
        (
            "groupMembers",
            [{"key": "2", "id": "B", "sortOrder": "0", "href": "/c/2"}, {"key": "1", "id": None}],
            [{"id": "B"}, {"key": "1"}],
        ),
        ("filters", [{"$eq": {"status": "inactive"}}], [{"$eq": {"status": "inactive"}}]),
        ("orderBy", [{"id": "asc"}], [{"id": "asc"}]),
        ("tags", ["a", "b"], ["a", "b"]),
        (
            "ranges",
            [
                {
                    "key": "7",
                    "id": "7",
                    "from": "1",
                    "to": None,
                    "sortOrder": 0,
                    "audit": AUDIT,
                    "href": "/r/7",
                }
            ],
            [{"from": "1", "sortOrder": 0}],
        ),
        (
            "ranges",
            [
                {
                    "key": "7",
                    "owner": {"key": "5", "id": "O", "href": "/x/5"},
                    "account": {"key": "9", "id": "4000"},
                }
            ],
            [{"account": {"id": "4000"}}],
        ),
        (
            "ranges",
            [
                {
                    "key": "7",
                    "left": {"constant": None, "group": {"key": "9", "id": "G", "href": "/g"}, "as": "x"},
                }
            ],
            [{"left": {"group": {"id": "G"}, "as": "x"}}],
        ),
    ],
)
def test_what_of_a_list_can_be_given_again(name, value, kept):
    assert convert_list(name, value, {"key": "5", "id": "O"}) == kept


def plan(*steps):
    return Plan(
        CUSTOMER, None, "upsert", "id", steps, 5, 5, 0, 0, 0, 9, ("key", "id", "name"), False, "a.csv", "run"
    )


def test_everything_is_turned_around_in_the_opposite_order():
    create = Step("create", "N", changes=(FieldChange("id", None, "N"),), body={"id": "N"})
    child = Step("create", "K", changes=(FieldChange("id", None, "K"),), body={"id": "K"}, level=1)
    update = Step(
        "update",
        "U",
        "3",
        "1 field differs",
        (FieldChange("name", "Old", "New"),),
        {"name": "New", "notes": "whole"},
        fingerprint="f",
    )
    off = Step(
        "deactivate",
        "D",
        "4",
        changes=(FieldChange("status", "active", "inactive"),),
        body={"status": "inactive"},
    )
    one = plan(create, child, update, off)
    undo = reverse_plan(None, one, one.steps)  # without a call
    assert [(step.action, step.match, step.key, step.level) for step in undo.steps] == [
        ("update", "U", "3", 1),
        ("update", "D", "4", 1),
        ("delete", "K", "", 0),
        ("delete", "N", "", 1),
    ]
    assert undo.steps[0].changes == (FieldChange("name", "New", "Old"),)
    assert undo.steps[0].body == {"name": "Old", "notes": "whole"}
    assert undo.steps[1].body == {"status": "active"}
    assert {step.fingerprint for step in undo.steps} == {None}
    assert (undo.mode, undo.match_on, undo.source, undo.object_name) == (
        "undo",
        "id",
        "undo of a.csv",
        CUSTOMER,
    )
    assert (undo.desired, undo.unchanged, undo.live) == (0, 0, 5)
    assert undo.origin == f"undo of {one.digest}"
    assert (undo.fields, undo.full_records) == (one.fields, False)


def test_a_list_that_was_empty_is_emptied():
    step = Step(
        "update",
        "G",
        "3",
        changes=(FieldChange("groupMembers", None, [{"id": "A"}]),),
        body={"groupMembers": []},
    )
    [back] = reverse_plan(None, plan(step), [step]).steps
    assert back.changes == (FieldChange("groupMembers", [{"id": "A"}], []),)
    assert back.body == {"groupMembers": []}


def test_only_what_is_going_to_be_written_is_turned_around():
    steps = [
        Step("create", name, changes=(FieldChange("id", None, name),), body={"id": name}) for name in "AB"
    ]
    assert [step.match for step in reverse_plan(None, plan(*steps), steps[:1]).steps] == ["A"]


def test_it_is_a_plan_like_any_other():
    step = Step(
        "update", "U", "3", changes=(FieldChange("parent.id", None, "P"),), body={"parent": {"id": "P"}}
    )
    undo = reverse_plan(None, plan(step), [step])
    assert Plan.from_json(undo.to_json()) == undo
    assert undo.steps[0].body == {"parent": {"id": None}}


# --- with a company


@pytest.fixture(scope="module")
def company():
    """A company with customers, terms, accounts and groups of all kinds."""
    with running("demo") as one:
        yield one


@pytest.fixture
def client(company):
    with client_of(company) as ours:
        yield ours


def first(client, object_name, **having):
    """Return the first record that has what is asked for."""
    keys = [row["key"] for row in client.iter_rows(object_name, ["key"])]
    return next(
        record
        for record in client.get_many(object_name, keys)
        if all(is_blank(record[n]) != v for n, v in having.items())
    )


def seen(client, object_name, name):
    """Return what a person sees of a record: no keys of elements, no history."""
    record = client.get(object_name, client.find(object_name, name)["key"])
    return select_writable(record, client.model(object_name))


def test_what_was_cleared_as_a_whole_is_given_back_in_parts(client):
    condition = {"$gt": {"totalDue": "10000"}}
    old = {"object": CUSTOMER, "filterExpression": "and", "filters": [condition], "size": None}
    step = Step(
        "update", "G", "3", changes=(FieldChange("memberFilter", old, None),), body={"memberFilter": None}
    )
    one = replace(plan(step), object_name=GROUP)
    [back] = reverse_plan(client, one, [step]).steps
    assert back.changes == (
        FieldChange("memberFilter.object", None, CUSTOMER),
        FieldChange("memberFilter.filterExpression", None, "and"),
        FieldChange("memberFilter.filters", None, [condition]),
    )
    assert back.body == {"memberFilter": {name: value for name, value in old.items() if value is not None}}


def test_what_cannot_be_given_back_is_no_step(client):
    step = Step(
        "update", "C", "3", changes=(FieldChange("entity", {"id": "US"}, None),), body={"entity": None}
    )
    assert reverse_plan(client, plan(step), [step]).steps == ()


CHANGES = {
    "a longer list": (
        ACCOUNT_GROUP,
        {"accountRanges": [{"rangeFrom": str(n), "rangeTo": str(n)} for n in (1, 3, 5, 7)]},
    ),
    "an empty list": (ACCOUNT_GROUP, {"accountRanges": []}),
    "other members": (GROUP, {"groupMembers": [{"id": "C-00009"}, {"id": "C-00001"}]}),
    "no members": (GROUP, {"groupMembers": [], "groupType": "all"}),
    "a null list": (GROUP, {"groupMembers": None, "groupType": "all"}),
    "a filter": (
        GROUP,
        {"memberFilter": {"filters": [{"$gt": {"totalDue": "1"}}, {"$eq": {"status": "active"}}]}},
    ),
    "a reference": (CUSTOMER, {"term": {"id": "2% 10 Net 30"}, "parent": {"id": "C-00002"}}),
    "no reference": (CUSTOMER, {"term": None}),
    "no reference by id": (CUSTOMER, {"term": {"id": None}}),
    "amounts and flags": (
        CUSTOMER,
        {"creditLimit": Decimal("1.50"), "isOnHold": True, "notes": None, "taxId": "7"},
    ),
    "an address": (CUSTOMER, {"contacts": {"default": {"email1": "a@example.com"}}}),
}


@pytest.mark.parametrize(("object_name", "change"), CHANGES.values(), ids=CHANGES)
def test_whatever_is_updated_gets_its_old_values(client, tmp_path, object_name, change):
    having = {ACCOUNT_GROUP: {"accountRanges": True}, GROUP: {"groupMembers": True}, CUSTOMER: {"term": True}}
    name = first(client, object_name, **having[object_name])["id"]
    before = seen(client, object_name, name)
    path = saved(planned(client, object_name, [{"id": name, **change}]), tmp_path)
    assert applied(client, path).updated == 1
    after = seen(client, object_name, name)
    assert after != before
    assert planned(client, object_name, [{"id": name, **change}]).is_empty
    outcome = undone(client, path)
    assert (outcome.updated, outcome.rejects, outcome.stale) == (1, (), ())
    assert seen(client, object_name, name) == before
    undone(client, path.with_name("groups.plan.undo.json"), owner="dag/redo/apply")
    assert seen(client, object_name, name) == after, "the reverse of the reverse is the plan"
    undone(client, path.with_name("groups.plan.undo.undo.json"), owner="dag/undo again/apply")
