"""A filter that no record can match is an error over real HTTP, before anything is read."""

import json

import pytest
from contrary_server import contrary
from sandbox_client import calls, client_of, running
from small_world import OBJECT

from intacct_provider.client.query import Query, field
from intacct_provider.exceptions import IntacctArgumentError

CUSTOMER = "accounts-receivable/customer"
MODEL, QUERY = "/services/core/model", "/services/core/query"

status, due, limit, id_, key = map(field, ("status", "totalDue", "creditLimit", "id", "key"))
invoiced, modified = field("lastInvoiceCreatedDate"), field("audit.modifiedDateTime")


@pytest.fixture(scope="module")
def company():
    with running("demo") as sandbox:
        yield sandbox


@pytest.fixture
def client(company):
    with client_of(company) as client:
        yield client


def list_reads(client):
    """Return every way to read a query."""
    return (client.query, lambda query: list(client.iter_rows(query)), client.totals)


def count(sandbox, filters, client):
    """Return how many calls for models and for queries each way to read makes before it refuses."""
    made = []
    for number in range(3):
        before = len(calls(sandbox, MODEL)), len(calls(sandbox, QUERY))
        with pytest.raises(IntacctArgumentError, match="no record of accounts-receivable/customer can match"):
            list_reads(client)[number](Query.build(CUSTOMER, ["key"], filters=filters))
        made.append((len(calls(sandbox, MODEL)) - before[0], len(calls(sandbox, QUERY)) - before[1]))
    return made


@pytest.mark.parametrize(
    "filters",
    [
        due.between(500, 100),
        invoiced.between("2026-12-31", "2026-01-01"),
        modified.between("2026-12-31T00:00:00Z", "2026-01-01T00:00:00Z"),
        (status == "active") & (status == "inactive"),
        (due > 5) & (due < 3),
        (due >= 5) & (due < 5) & (id_ == "C-00001"),
        id_.startswith("A-") & id_.startswith("B-"),
        (due > 5) & ((due < 3) | due.is_null()),
        id_.between("C-9", "C-10"),
        id_.startswith("A") & id_.not_contains("A") & (status == "active"),
    ],
    ids=str,
)
def test_what_is_impossible_for_every_type_costs_no_call(company, client, filters):
    assert count(company, filters, client) == [(0, 0)] * 3


@pytest.mark.parametrize(
    ("filters", "models"),
    [
        (due.between(1000, 500), 1),
        (due.between("10", "9"), 1),
        ((due > 1000) & (due < 500), 1),
        (status > "z", 1),
        (field("isOnHold") > True, 1),
        (invoiced > "9999-12-31", 1),
        ((key > 1000) & (key < 9), 0),
        (id_.between("9", "10"), 0),
    ],
    ids=str,
)
def test_what_is_impossible_for_the_type_of_a_field_costs_its_model_and_one_count(
    company, client, filters, models
):
    assert count(company, filters, client) == [(models, 1), (0, 1), (0, 1)]


@pytest.mark.parametrize(
    ("filters", "said", "queries"),
    [
        (invoiced == "2026-02-30", "which is not a date such as .* Did you mean '2026-02-28'", 1),
        (invoiced >= "2026-13-01", "Did you mean '2026-12-01'", 1),
        (invoiced == "31.12.2025", "Did you mean '2025-12-31'", 2),
        (invoiced.between("2026-01-01", "2026-02-30"), "Did you mean '2026-02-28'", 1),
        (modified > "2026-06-31T10:00:00Z", "Did you mean '2026-06-30T10:00:00Z'", 1),
        (key.contains("C-"), "which is not a whole number", 2),
        (field("taxId") == True, "which is not text, and no record .* has it. Did you mean 'true'", 2),  # noqa: E712
    ],
    ids=str,
)
def test_values_of_another_type_are_refused_and_days_that_do_not_exist_before_the_query_is_sent(
    company, client, filters, said, queries
):
    before = len(calls(company, QUERY))
    with pytest.raises(IntacctArgumentError, match=said):
        client.query(CUSTOMER, ["key"], filters=filters)
    # One count looks whether a record has such a value all the same.
    assert len(calls(company, QUERY)) - before == queries


@pytest.mark.parametrize("day", ["2026-02-30", "2026-00-01"])
def test_a_day_that_does_not_exist_is_no_date_to_compare_with_either(client, day):
    with pytest.raises(
        IntacctArgumentError, match=r"asOfDate is .* that does not exist\. Did you mean '2026-0"
    ):
        client.query(CUSTOMER, ["key"], filter_parameters={"asOfDate": day})
    assert client.transactions == 0


@pytest.mark.parametrize("empty", [[], (), set(), iter(())], ids=["list", "tuple", "set", "iterator"])
def test_an_empty_list_is_refused_with_what_to_do(client, empty):
    with pytest.raises(IntacctArgumentError, match=r"takes a list of one value or more, not \[\]. Leave the"):
        client.query(CUSTOMER, ["key"], filters=status.in_(empty))
    assert client.transactions == 0


@pytest.mark.parametrize(
    "filters",
    [
        (status == "active") | (status == "inactive"),
        ((status == "active") & (status == "inactive")) | (id_ != "x"),
        ~((status == "active") & (status == "inactive")),
        (due >= 0) & (due < 10**9),
        due.not_between(500, 100),
        (invoiced >= "priorYear") | (invoiced <= "today"),
        (field("term.status") == "active") & (status != "inactive"),
        (key > 5) & (key < 9),
    ],
    ids=str,
)
def test_what_records_can_match_is_read(client, filters):
    assert client.query(CUSTOMER, ["key"], filters=filters).rows


def test_a_filter_that_matches_nothing_for_now_is_an_empty_result(client):
    for filters in ((due > 10**9) & (due < 10**10), id_.startswith("A") & id_.endswith("B"), key > 10**9):
        assert client.query(CUSTOMER, ["key"], filters=filters).rows == []


def test_keys_that_are_added_to_a_filter_may_leave_nothing(client):
    query = Query.build(CUSTOMER, ["key"], filters=key > 100)
    assert list(client.iter_rows(query.narrow(key.in_(["1", "2"])))) == []
    assert client.totals(query, upto="50").count == 0


def test_a_model_that_is_wrong_refuses_nothing_that_records_match():
    def bend(_method, path, status, body):
        if "/model" in path:
            body = json.loads(json.dumps(body))
            body["ia::result"]["fields"]["status"] = {"type": "string", "enum": ["a", "b"]}
        return status, body

    with contrary(4, inactive=2) as (server, client):
        server.bend = bend
        wanted = (status > "h") & (status < "j")
        assert len(client.query(OBJECT, ["key"], filters=wanted).rows) == 2
        with pytest.raises(IntacctArgumentError, match=r"no status is \$gt 'x': the model lists 'a', 'b'"):
            client.query(OBJECT, ["key"], filters=status > "x")
