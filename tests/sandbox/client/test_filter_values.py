"""A filter that asks for a value no record has is an error over real HTTP, and a value that some record has is not."""

import datetime as dt
import json

import pytest
from contrary_server import contrary
from sandbox_client import calls, client_of, running
from small_world import OBJECT

from intacct_provider.client.query import Query, field
from intacct_provider.exceptions import IntacctArgumentError, IntacctServerError

CUSTOMER = "accounts-receivable/customer"
MODEL, QUERY = "/services/core/model", "/services/core/query"


@pytest.fixture(scope="module")
def company():
    """A demo company in which a customer has a status that the model does not list."""
    with running("demo") as sandbox:
        with sandbox.store.transaction() as connection:
            connection.execute(f'UPDATE "{CUSTOMER}" SET "status" = ? WHERE "key" = 3', ("onHold",))  # noqa: S608
        yield sandbox


@pytest.fixture
def client(company):
    with client_of(company) as client:
        yield client


def read_all(client, filters, **parts):
    return list(client.iter_rows(CUSTOMER, ["key"], filters=filters, **parts))


def count(sandbox, read):
    """Return how many calls for models and for queries a read makes."""
    before = len(calls(sandbox, MODEL)), len(calls(sandbox, QUERY))
    read()
    return len(calls(sandbox, MODEL)) - before[0], len(calls(sandbox, QUERY)) - before[1]


STATUS = "status has no value"
REFUSED = [
    (field("status") == "Active", [STATUS, "'Active'", "Did you mean 'active'?"]),
    (field("status") != "Active", [STATUS, "Did you mean 'active'?"]),
    (field("status").in_(["active", "Inactive"]), [f"{STATUS} 'Inactive'", "Did you mean 'inactive'?"]),
    (field("status").not_in(["gone", "inactve "]), [f"{STATUS} 'gone'", "Did you mean 'inactive'?"]),
    (field("status") == " active", [f"{STATUS} ' active'", "Did you mean 'active'?"]),
    (field("status") == "Active non-posting", ["Did you mean 'activeNonPosting'?"]),
    (field("status") == "", [f"{STATUS} ''"]),
    (field("status") == True, [f"{STATUS} True"]),  # noqa: E712
    (field("status").startswith("Act"), [f"{STATUS} that starts with 'Act'"]),
    (field("status").not_contains("ACT"), [f"{STATUS} that contains 'ACT'"]),
    ((field("id") == "C-00001") & (field("status") == "Active"), ["Did you mean 'active'?"]),
    ((field("id") == "C-00001") | ((field("totalDue") > "5") & (field("status") == "Active")), [STATUS]),
    ({"$eq": {"status": "Active"}}, ["Did you mean 'active'?"]),
    ([{"$gt": {"totalDue": 1}}, {"$in": {"status": ["Active"]}}], ["Did you mean 'active'?"]),
    (field("term.status") == "Active", ["term.status has no value 'Active'", "Did you mean 'active'?"]),
    (field("parent.term.status") == "Active", ["parent.term.status has no value"]),
    (field("isOnHold") == "T", ["isOnHold is compared with 'T', which is not true or false", "mean True?"]),
    (field("isOnHold").in_([True, "False"]), ["Did you mean False?"]),
    (field("isOnHold") == 1, ["which is not true or false", "Did you mean True?"]),
    (field("creditLimit") == "abc", ["creditLimit is compared with 'abc', which is not a number"]),
    (field("creditLimit") > "1,000.50", ["Did you mean '1000.50'?"]),
    (field("totalDue").between("1", "1 0"), ["compared with '1 0', which is not a number"]),
    (field("lastInvoiceCreatedDate") >= dt.datetime(2025, 1, 31, tzinfo=dt.UTC), ["mean '2025-01-31'?"]),
    (field("lastInvoiceCreatedDate") == "2025-02-30", ["which is not a date such as"]),
    (field("lastInvoiceCreatedDate") < "01/31/2025", ["which is not a date such as"]),
    (field("lastInvoiceCreatedDate").contains("2025"), ["is not text, and $contains only compares text"]),
    (field("audit.modifiedDateTime") > "Yesterday", ["which is not a time", "Did you mean 'yesterday'?"]),
    (field("audit.modifiedDateTime") < "last week", ["Did you mean 'lastWeek'?"]),
    (field("key") == "C-00001", ["which is not a whole number", "Did you mean the field 'id'?"]),
]


@pytest.mark.parametrize(("filters", "said"), REFUSED, ids=lambda one: str(one)[:60])
def test_a_value_that_no_record_can_have_is_an_error(client, filters, said):
    query = Query.build(CUSTOMER, ["key"], filters=filters)
    for read in (lambda: client.query(query), lambda: list(client.iter_rows(query))):
        with pytest.raises(IntacctArgumentError) as caught:
            read()
        assert all(part in str(caught.value) for part in ["filters: ", *said])


@pytest.mark.parametrize(
    "filters",
    [
        field("status") == "active",
        field("status") == "onHold",
        field("status") != "onHold",
        field("status").in_(["onHold", "active"]),
        field("status").is_not_null(),
        field("status").startswith("on"),
        field("isOnHold") == "true",
        field("audit.modifiedDateTime") <= "today",
        field("audit.modifiedDateTime") <= "2999-12-31",
        field("lastInvoiceCreatedDate").between("2000-01-01", "today"),
        field("creditLimit") >= "1e2",
        field("totalDue") >= 0.5,
        field("term.status") == "active",
        field("key").in_(["1", 2]),
    ],
    ids=str,
)
def test_values_that_records_can_have_pass(client, filters):
    assert read_all(client, filters)


def test_text_that_is_compared_without_regard_to_case_is_looked_up_so(client):
    folded = {"filter_parameters": {"caseSensitiveComparison": False}}
    assert read_all(client, field("status") == "ACTIVE", **folded)
    with pytest.raises(IntacctArgumentError, match="Did you mean 'active'"):
        read_all(client, field("status") == "activ", **folded)


def test_a_read_that_finds_rows_by_equality_costs_no_call_more(company, client):
    assert count(company, lambda: client.query(CUSTOMER, ["key"], filters=field("status") == "active")) == (
        0,
        1,
    )
    assert count(company, lambda: client.query(CUSTOMER, ["key"], filters=field("status") == "onHold")) == (
        0,
        1,
    )


def test_other_filters_cost_a_model_once_per_client_and_what_it_does_not_list_one_count(company, client):
    def ask(value):
        return lambda: client.query(CUSTOMER, ["key"], filters=field("status") != value)

    assert count(company, ask("active")) == (1, 1)
    assert count(company, ask("inactive")) == (0, 1)
    assert count(company, ask("onHold")) == (0, 2)
    assert count(company, ask("onHold")) == (0, 1)


def test_several_values_that_the_model_does_not_list_are_looked_up_by_one_call(company, client):
    unknown = ["onHold", *(f"no{n}" for n in range(20))]
    with pytest.raises(IntacctArgumentError, match=r"'no0'.* And 15 more") as caught:
        count(company, lambda: read_all(client, field("status").in_(unknown)))
    assert "'onHold'" not in str(caught.value)
    assert client.transactions == 2


def test_ids_names_and_keys_need_no_model(company, client):
    for filters in (
        field("id").in_(["C-1", "nobody"]),
        field("name") != "Acme",
        field("term.id") == "nothing",
    ):
        assert (
            count(company, lambda filters=filters: client.query(CUSTOMER, ["key"], filters=filters))[0] == 0
        )


def test_totals_and_aggregates_are_checked_too(client):
    wrong = field("status") == "Active"
    with pytest.raises(IntacctArgumentError, match="Did you mean 'active'"):
        client.totals(Query.build(CUSTOMER, ["key"], filters=wrong))
    with pytest.raises(IntacctArgumentError, match="Did you mean 'active'"):
        client.query(CUSTOMER, ["sum:totalDue"], filters=wrong)


def test_a_company_that_hides_its_models_answers_as_before(company, client, caplog):
    company.fail(path=MODEL, kind="status", status=403)
    assert client.query(CUSTOMER, ["key"], filters=field("status") == "Active").rows == []
    assert "the values of status in filters are not checked" in caplog.text


def describe(change):
    """Return what changes the fields in the answers of a model service."""

    def bend(_method, path, status, body):
        if "/model" in path and body["ia::result"]:
            body = json.loads(json.dumps(body))
            change(body["ia::result"]["fields"])
        return status, body

    return bend


def test_a_value_that_an_incomplete_model_leaves_out_is_looked_up_once():
    with contrary(4, inactive=2) as (server, client):
        server.bend = describe(lambda fields: fields["status"].update(enum=["active"]))
        for filters in (field("status") != "inactive", field("status").in_(["inactive", "active"])):
            assert client.query(OBJECT, ["key"], filters=filters).rows
        assert [path.partition("?")[0] for _, path in server.calls] == [MODEL, QUERY, QUERY, QUERY]
        with pytest.raises(IntacctArgumentError, match="status has no value 'Inactive'"):
            client.query(OBJECT, ["key"], filters=field("status") != "Inactive")


def test_a_model_without_fields_or_enumerations_rules_nothing_out():
    with contrary(4) as (server, client):
        server.bend = describe(lambda fields: fields.clear())
        assert client.query(OBJECT, ["key"], filters=field("status") == "Active").rows == []
    with contrary(4) as (server, client):
        server.bend = describe(lambda fields: fields["status"].pop("enum"))
        assert client.query(OBJECT, ["key"], filters=field("status") == "Active").rows == []


@pytest.mark.parametrize(
    "filters",
    [
        field("totalDue") == "abc",
        field("totalDue") < "abc",
        field("totalDue").not_in(["5", "five"]),
        field("audit.modifiedDateTime") < "last week",
        field("audit.modifiedDateTime") > "last week",
        ~(field("audit.modifiedDateTime") == "01/31/2025"),
    ],
    ids=str,
)
def test_a_server_that_compares_anything_as_text_makes_no_empty_or_full_result(filters):
    with contrary(4) as (_server, client), pytest.raises(IntacctArgumentError, match="is compared with '"):
        list(client.iter_rows(OBJECT, ["key"], filters=filters))


def test_a_model_that_cannot_be_read_for_now_is_an_error_that_a_retry_may_mend():
    with contrary(4) as (server, client):
        server.bend = lambda _method, path, status, body: (503, {}) if "/model" in path else (status, body)
        with pytest.raises(IntacctServerError) as caught:
            client.query(OBJECT, ["key"], filters=field("status") != "active")
        assert caught.value.retryable
