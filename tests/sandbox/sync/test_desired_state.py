"""Desired records are checked against a running company: its models, and the records that they refer to."""

import json

import pytest
from sandbox_client import client_of, stored

from intacct_provider.exceptions import IntacctDesiredStateError
from intacct_provider.sync.applying.rejects import Reject, encode_rejects
from intacct_provider.sync.build import build_plan
from intacct_provider.sync.desired.sources import Layout, read_desired_file, read_desired_records
from intacct_provider.sync.desired.state import encode_rejected
from intacct_provider.sync.desired.typed_records import convert_records
from intacct_provider.sync.plan import FieldChange, Step
from intacct_provider.sync.planning.references import check_references
from intacct_provider.sync.planning.required import check_fixed_fields, check_required_fields
from intacct_provider.sync.request import SyncRequest

CUSTOMER = "accounts-receivable/customer"
CUSTOMER_GROUP = "accounts-receivable/customer-group"
ACCOUNT_GROUP = "general-ledger/account-group"
PURPOSE = "general-ledger/account-group-purpose"
QUERY = "/services/core/query"


@pytest.fixture
def company(client):
    """Three customers, two groups of accounts."""
    client.create_many(CUSTOMER, [{"id": f"C-{n}", "name": f"Customer {n}"} for n in range(1, 4)])
    client.create_many(ACCOUNT_GROUP, [{"id": "Assets"}, {"id": "Cash, Bank / Hand"}])
    return client


def checked(client, object_name, desired, match_on="id"):
    """Return the typed records and what is wrong with them, as text."""
    model = client.model(object_name)
    records, problems = convert_records(desired, model, match_on=match_on)
    return records, [str(problem) for problem in problems]


def references(client, object_name, records, *, steps=(), live=(), action="create"):
    """Return what is wrong with the references of records that are all to be written, and the queries it took."""
    model = client.model(object_name)
    desired = read_desired_records(records, Layout(match_on="id"), source="desired")
    made, problems = convert_records(desired, model, match_on="id")
    assert problems == []
    written = [Step(action, record["id"], body=record) for record in made]
    sandbox_calls = client.transactions
    request = SyncRequest(object_name)
    found = check_references(client, desired, made, [*written, *steps], live, model, request)
    return [str(problem) for problem in found], client.transactions - sandbox_calls


# --- references


def test_members_that_exist_take_one_call_and_those_seen_take_none(company):
    groups = [{"id": f"G-{n}", "groupMembers": [{"id": f"C-{n}"}]} for n in range(1, 4)]
    assert references(company, CUSTOMER_GROUP, groups) == ([], 1)
    live = [{"key": "1", "id": "Old", "groupMembers": [{"key": "9", "id": f"C-{n}"} for n in range(1, 4)]}]
    assert references(company, CUSTOMER_GROUP, groups, live=live) == ([], 0)


def test_a_missing_member_is_named_with_its_place_and_the_nearest(company):
    groups = [
        {"id": "G-1", "groupMembers": [{"id": "C-1"}, {"id": "c-2"}]},
        {"id": "G-2", "groupMembers": [{"id": "Nobody"}]},
    ]
    problems, spent = references(company, CUSTOMER_GROUP, groups)
    assert problems == [
        (
            "record 1 ('G-1'): groupMembers.2.id is 'c-2', but there is no accounts-receivable/customer with this id. "
            "Did you mean 'C-2'?"
        ),
        "record 2 ('G-2'): groupMembers.1.id is 'Nobody', but there is no accounts-receivable/customer with this id.",
    ]
    assert spent == 2, "one to look up, one for the nearest"


def test_many_missing_members_take_no_more_calls_than_one_and_are_all_told(company):
    ids = [f"C{n:03}-1" for n in range(600)]
    groups = [{"id": f"G-{i}", "groupMembers": [{"id": i}, {"id": "C-1"}, {"id": i}]} for i in ids]
    problems, spent = references(company, CUSTOMER_GROUP, groups)
    assert len(problems) == 1200
    assert spent == 4, "two to look up, one of them again since nothing was found, one for the nearest"
    assert sum("Did you mean" in problem for problem in problems) == 40, "the first 20, each in two places"


def test_references_by_key_are_looked_up_too(company):
    keys = {row["id"]: row["key"] for row in company.iter_rows(CUSTOMER, ["key", "id"])}
    groups = [{"id": "G-1", "groupMembers": [{"key": keys["C-1"]}, {"key": "987654"}, {"key": "abc"}]}]
    problems, spent = references(company, CUSTOMER_GROUP, groups)
    assert [problem.partition(": ")[2].partition(",")[0] for problem in problems] == [
        "groupMembers.2.key is '987654'",
        "groupMembers.3.key is 'abc'",
    ]
    assert spent == 1


def test_each_object_is_asked_once_and_only_what_is_written_counts(company):
    customer = {
        "id": "C-9",
        "name": "New",
        "parent": {"id": "C-1"},
        "term": {"id": "N/30"},
        "customerType": {"id": "Big"},
        "contacts": {"billTo": {"id": "Bob"}},
        "territory": {"id": None},
        "shippingMethod": None,
    }
    problems, spent = references(company, CUSTOMER, [customer])
    assert [problem.split()[3] for problem in problems] == [
        "term.id",
        "customerType.id",
        "contacts.billTo.id",
    ]
    assert spent == 4 + 3 + 3, "what is not found is asked for once more"
    assert references(company, CUSTOMER, [customer], action="delete") == ([], 0)


def test_a_contact_that_is_described_may_be_new(company):
    contacts = {"default": {"id": "Bob", "email1": "bob@example.com", "tax": {"group": {"id": "None"}}}}
    customer = {"id": "C-9", "name": "New", "contacts": contacts}
    problems, _ = references(company, CUSTOMER, [customer])
    assert [problem.split()[3] for problem in problems] == ["contacts.default.tax.group.id"]


def test_more_than_500_references_take_a_call_for_each_500(company):
    company.create_many(CUSTOMER, [{"id": f"D-{n}", "name": "x"} for n in range(501)])
    group = {"id": "G-1", "groupMembers": [{"id": f"D-{n}"} for n in range(501)]}
    assert references(company, CUSTOMER_GROUP, [group]) == ([], 2)


def test_records_that_the_plan_creates_exist_and_those_that_it_deletes_do_not(company):
    customers = [{"id": "C-8", "name": "x", "parent": {"id": "C-9"}}, {"id": "C-9", "name": "x"}]
    assert references(company, CUSTOMER, customers) == ([], 0)
    customers[1]["parent"] = {"id": "C-3"}
    steps = [Step("delete", "C-3", key="3")]
    problems, spent = references(company, CUSTOMER, customers, steps=steps)
    assert problems == ["record 2 ('C-9'): parent.id is 'C-3', which this plan deletes"]
    assert spent == 0


def test_references_to_records_with_problems_of_their_own_are_no_second_problem(company):
    records = [
        {"id": "C-3", "name": "x", "creditLimit": "much"},
        {"id": "C-7", "name": "x", "creditLimit": "much"},
        {"id": "C-8", "name": "x", "parent": {"id": "C-7"}},
        {"id": "C-9", "name": "x", "parent": {"id": "C-3"}},
    ]
    model = company.model(CUSTOMER)
    desired = read_desired_records(records, Layout(match_on="id"), source="x")
    made, problems = convert_records(desired, model, match_on="id")
    assert len(problems) == 2
    steps = [Step("create", record["id"], body=record) for record in made[2:]]
    steps.append(Step("delete", "C-3", key="3"))
    assert check_references(company, desired, made, steps, [], model, SyncRequest(CUSTOMER)) == []


def test_elements_of_account_groups_refer_to_groups_accounts_and_categories(company):
    group = {
        "id": "All",
        "groupType": "groups",
        "accountGroupMembers": [
            {"accountGroup": {"id": "Cash, Bank / Hand"}},
            {"accountGroup": {"id": "Aßets"}},
        ],
        "accountGroupComputation": [{"formulaLeft": {"glAccount": {"id": "1000"}}}],
        "accountGroupCategoryMembers": [{"accountCategory": {"id": "Nothing"}}],
    }
    problems, _ = references(company, ACCOUNT_GROUP, [group])
    assert [problem.split()[3] for problem in problems] == [
        "accountGroupMembers.2.accountGroup.id",
        "accountGroupComputation.1.formulaLeft.glAccount.id",
        "accountGroupCategoryMembers.1.accountCategory.id",
    ]
    assert "Did you mean 'Assets'?" in problems[0]


@pytest.mark.parametrize("name", ["Größe & Söhne", "a,b", "a/b c", "日本 😀", "it's", 'say "x"', "100%"])
def test_ids_of_any_spelling_are_found(company, name):
    company.create(ACCOUNT_GROUP, {"id": name})
    group = {"id": "All", "accountGroupMembers": [{"accountGroup": {"id": name}}]}
    assert references(company, ACCOUNT_GROUP, [group]) == ([], 1)


def test_an_object_that_may_not_be_read_is_left_to_intacct(company, sandbox):
    sandbox.fail(status=403, path=QUERY)
    group = {"id": "G-1", "groupMembers": [{"id": "Nobody"}]}
    problems, _ = references(company, CUSTOMER_GROUP, [group])
    assert problems == []


def test_a_record_of_one_entity_exists_for_the_top_level(sandbox):
    with client_of(sandbox) as top:
        entity = next(iter(top.iter_rows("company-config/entity", ["id"])))["id"]
        with client_of(sandbox, entity_id=entity) as inside:
            inside.create(CUSTOMER, {"id": "Private", "name": "x"})
        group = {"id": "G-1", "groupMembers": [{"id": "Private"}]}
        assert references(top, CUSTOMER_GROUP, [group]) == ([], 1)


# --- a plan


def planned(client, object_name, records, *, match_on="id", mode="upsert"):
    desired = read_desired_records(records, Layout(match_on=match_on), source="desired")
    return build_plan(client, desired, SyncRequest(object_name, mode, match_on))


def test_types_required_fields_and_references_are_told_in_one_error_and_nothing_is_written(company, sandbox):
    groups = [
        {"id": "A", "name": "a", "groupType": "specfic"},
        {"id": "B"},
        {"id": "C", "name": "c", "groupMembers": [{"id": "C-1"}, {"id": "C-7"}]},
        {"id": "D", "name": "d", "groupMembers": [{"id": "C-2"}]},
    ]
    before = stored(sandbox, CUSTOMER_GROUP)
    with pytest.raises(IntacctDesiredStateError) as caught:
        planned(company, CUSTOMER_GROUP, groups)
    assert [(problem.place, problem.column) for problem in caught.value.problems] == [
        ("record 1", "groupType"),
        ("record 2", "name"),
        ("record 3", "groupMembers.2.id"),
    ]
    assert stored(sandbox, CUSTOMER_GROUP) == before
    plan = planned(company, CUSTOMER_GROUP, groups[3:])
    assert [(step.action, step.match) for step in plan.steps] == [("create", "D")]


# --- required and unchangeable fields


def test_required_fields_are_told_of_new_records_and_of_those_that_clear_them(company):
    desired = read_desired_records(
        [{"id": "New", "groupType": "all"}, {"id": "Old"}, {"id": "Old 2", "name": ""}],
        Layout(match_on="id"),
        source="x",
    )
    records, problems = checked(company, CUSTOMER_GROUP, desired)
    assert problems == []
    found = check_required_fields(desired, records, [Step("create", "New")], SyncRequest(CUSTOMER_GROUP))
    assert [str(problem) for problem in found] == [
        "record 1 ('New'): name is required to create the record",
        "record 3 ('Old 2'): name is required, so it cannot be cleared",
    ]
    desired = read_desired_records([{"id": "Old", "name": None}], Layout(match_on="id"), source="x")
    records, problems = checked(company, CUSTOMER_GROUP, desired)
    assert problems == [], "models say that null clears it"
    [problem] = check_required_fields(desired, records, [], SyncRequest(CUSTOMER_GROUP))
    assert str(problem) == "record 1 ('Old'): name is required, so it cannot be cleared"


def test_intacct_refuses_what_is_called_required(company):
    for object_name, record in [
        (CUSTOMER, {"id": "X"}),
        (CUSTOMER_GROUP, {"id": "X"}),
        (CUSTOMER_GROUP, {"name": "X"}),
    ]:
        [result] = company.create_many(object_name, [record])
        assert not result.ok
    for object_name in (CUSTOMER, CUSTOMER_GROUP, ACCOUNT_GROUP, PURPOSE):
        needed = {"id": "Enough", "name": "Enough"} if "customer" in object_name else {"id": "Enough"}
        [result] = company.create_many(object_name, [needed])
        assert result.ok


def test_a_field_that_is_fixed_after_creation_is_told_before_the_write(company):
    model = company.model(ACCOUNT_GROUP)
    desired = read_desired_records(
        [{"id": "Assets", "groupType": "groups"}], Layout(match_on="id"), source="x"
    )
    step = Step("update", "Assets", changes=(FieldChange("groupType", "accounts", "groups"),))
    request = SyncRequest(ACCOUNT_GROUP)
    [problem] = check_fixed_fields(desired, [step], model, request)
    assert str(problem) == (
        "record 1 ('Assets'): groupType is 'groups', but 'accounts' in Intacct, where it can no longer be changed"
    )
    created = Step("create", "Assets", changes=(FieldChange("groupType", None, "groups"),))
    assert check_fixed_fields(desired, [created], model, request) == []


# --- the models of the company


def test_all_that_is_wrong_in_a_file_is_told_at_once(company):
    text = (
        "Group;Name;groupType;Members.1;Members.2;isDimensionStructure;audit.createdBy\n"
        "G-1;One;specifc;C-1;C-2;true;\n"
        "G-2;Two;all;;C-3;false;\n"
        "G-3;Three;all;;;yes;\n"
        "g-1;Four;all;;;;me\n"
        "G-5;Five;all;;;;;x\n"
        "G-6;Six;specific;C-1;;TRUE;\n"
    )
    columns = {
        "Group": "id",
        "Name": "name",
        "Members.1": "groupMembers.1.id",
        "Members.2": "groupMembers.2.id",
    }
    desired = read_desired_file("groups.csv", text.encode(), Layout(match_on="id", columns=columns))
    records, problems = checked(company, CUSTOMER_GROUP, desired)
    assert problems == [
        "line 2 ('G-1'): groupType is 'specifc'. Did you mean 'specific'? Allowed: all, specific",
        "line 3 ('G-2'): Members.1 is empty, but element 2 is not; fill the elements from the first on",
        "line 4 ('G-3'): isDimensionStructure is 'yes', but must be true or false",
        "line 5 ('g-1'): audit.createdBy (value 'me') is read-only; leave it out",
        "line 6: 8 cells under a header of 7; put a value that holds the separator in double quotes",
    ]
    assert records == [
        *[None] * 5,
        {
            "id": "G-6",
            "name": "Six",
            "groupType": "specific",
            "groupMembers": [{"id": "C-1"}],
            "isDimensionStructure": True,
        },
    ]


def test_rejected_records_can_be_corrected_and_fed_back(company):
    columns = {"Group": "id", "Members.1": "groupMembers.1.id", "Notes": None}
    reading = {"match_on": "id", "columns": columns, "constants": {"name": "A group"}, "null_marker": "-"}
    text = "Group,Members.1,description,isDimensionStructure,Notes\nG-1,C-1,-,true,a\nG-2,C-2,-,true,b\n"
    desired = read_desired_file(
        "groups.csv", text.replace("G-2,C-2,-,true", "G-2,C-2,-,on").encode(), Layout(**reading)
    )
    _, problems = convert_records(desired, company.model(CUSTOMER_GROUP), match_on="id")
    [line] = encode_rejected(desired, problems)
    assert json.loads(line) == {
        "id": "G-2",
        "name": "A group",
        "groupMembers": [{"id": "C-2"}],
        "description": None,
        "isDimensionStructure": "on",
        "_reject": {
            "place": "line 3",
            "match": "G-2",
            "problems": [
                {
                    "column": "isDimensionStructure",
                    "value": "'on'",
                    "problem": "is 'on', but must be true or false",
                }
            ],
        },
    }
    again = read_desired_file("rejects.jsonl", line.replace(b'"on"', b'"true"'), Layout(**reading))
    [record], problems = checked(company, CUSTOMER_GROUP, again)
    assert problems == []
    assert record["isDimensionStructure"] is True
    company.create(CUSTOMER_GROUP, {name: value for name, value in record.items() if value is not None})
    assert company.find(CUSTOMER_GROUP, "G-2")


def test_what_intacct_refused_can_be_fed_back_with_the_arguments_of_before(company):
    record = {"id": "G-9", "name": "Nine", "groupMembers": [{"id": "Nobody"}], "isDimensionStructure": True}
    [result] = company.create_many(CUSTOMER_GROUP, [record])
    lines = encode_rejects([Reject("create", "G-9", result.error, record)], "id")
    again = read_desired_file(
        "groups.plan.rejects.jsonl",
        b"".join(lines).replace(b"Nobody", b"C-1"),
        Layout(
            match_on="id", columns={"Group": "id", "Notes": None}, constants={"name": "Nine"}, null_marker="-"
        ),
    )
    assert checked(company, CUSTOMER_GROUP, again) == ([{**record, "groupMembers": [{"id": "C-1"}]}], [])


# --- members in one cell


@pytest.mark.parametrize("header", ["groupMembers", "groupMembers[].id"])
def test_members_are_joined_in_one_cell(company, header):
    text = f"id,name,groupType,{header}\nG-1,One,specific,C-00001 | C-00002\nG-2,Two,specific,C-00003\n"
    desired = read_desired_file("groups.csv", text.encode(), Layout(match_on="id"))
    records, problems = checked(company, CUSTOMER_GROUP, desired)
    assert problems == []
    assert [record["groupMembers"] for record in records] == [
        [{"id": "C-00001"}, {"id": "C-00002"}],
        [{"id": "C-00003"}],
    ]


@pytest.mark.parametrize(
    ("header", "cell", "hint"),
    [
        ("groupMembers", "C-00001,C-00002", "If these are several, separate them by |."),
        ("groupMembers[].id", "C-00001; C-00002", "If these are several, separate them by |."),
        ("groupMembers.1.id", "C-00001|C-00002", "give them in a column whose name ends in '[].id'"),
    ],
)
def test_members_with_another_separator_get_a_hint(company, header, cell, hint):
    text = f'id,name,groupType,{header}\nG-1,One,specific,"{cell}"\n'
    desired = read_desired_file("groups.csv", text.encode(), Layout(match_on="id"))
    with pytest.raises(IntacctDesiredStateError) as caught:
        build_plan(company, desired, SyncRequest(CUSTOMER_GROUP))
    assert hint in str(caught.value)
