"""The model service over real HTTP: its fields are what queries take, ``"*"`` is all, and records can be flat."""

import csv
import io
import json
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException
from sandbox_client import calls, client_of, running

from intacct_provider.client.query.expressions import field
from intacct_provider.exceptions import IntacctNotFoundError, IntacctValidationError
from intacct_provider.operators.query import IntacctQueryOperator
from intacct_provider.operators.records import IntacctGetRecordOperator
from intacct_provider.transfers.intacct_to_object_storage import IntacctToObjectStorageOperator

CUSTOMER = "accounts-receivable/customer"
CUSTOMER_GROUP = "accounts-receivable/customer-group"
TERM = "accounts-receivable/term"
MODEL = "/services/core/model"
QUERY = "/services/core/query"
#: Objects with records in the demo company, all fields of which its query service takes.
FILLED = [
    CUSTOMER, CUSTOMER_GROUP, TERM,
    "accounts-receivable/customer-type", "accounts-receivable/territory", "company-config/contact",
    "company-config/department", "company-config/employee", "company-config/entity", "company-config/location",
    "company-config/txn-currency", "company-config/user", "general-ledger/account", "general-ledger/account-group",
    "general-ledger/account-group-purpose",
]  # fmt: skip


@pytest.fixture
def fresh(demo):
    """Return a client of the demo company that has asked for nothing yet."""
    with client_of(demo) as ours:
        yield ours


@pytest.fixture
def airflow(demo, monkeypatch):
    """The demo company as Airflow's default connection."""
    monkeypatch.setenv("AIRFLOW_CONN_INTACCT_DEFAULT", demo.connection())
    return demo


def models_asked(sandbox, since):
    return [call for call in list(sandbox.requests)[since:] if call.path.startswith(MODEL)]


@pytest.mark.parametrize("object_name", FILLED)
def test_a_star_is_every_field_that_the_query_service_takes(demo, fresh, object_name):
    since = len(demo.requests)
    page = fresh.query(object_name, "*", order_by=[{"key": "asc"}])
    names = fresh.queryable_fields(object_name)
    assert names[0] == "key"
    assert names == ["key", *sorted(names[1:])]
    assert len(page.rows) == page.total_count > 0
    assert all(list(row) == names for row in page.rows)
    assert list(fresh.iter_rows(object_name, "*")) == page.rows
    assert fresh.query(object_name, names, order_by=[{"key": "asc"}]).rows == page.rows
    assert len(models_asked(demo, since)) == 1


@pytest.mark.parametrize("object_name", FILLED)
def test_what_is_left_out_of_a_star_is_what_the_query_service_refuses(fresh, object_name):
    left_out = [found for found in fresh.fields(object_name).values() if not found.queryable]
    assert all(found.kind == "list" for found in left_out)
    for found in left_out:
        with pytest.raises(IntacctValidationError, match=rf"'{found.name}' is a list; .* client\.get\(\)"):
            fresh.query(object_name, [found.name])


def test_fields_say_what_the_server_says_of_them(fresh):
    fields = fresh.fields(CUSTOMER)
    assert fields["id"].mutable is False
    assert (fields["totalDue"].format, fields["totalDue"].read_only) == ("decimal-precision-2", True)
    assert (fields["audit.modifiedDateTime"].format, fields["creditLimit"].type) == ("date-time", "number")
    assert {"active", "inactive"} <= set(fields["status"].enum)
    assert fields["resaleNumber"].deprecated
    assert not fields["customerResaleNumber"].deprecated
    assert fields["contactList"].kind == "list"
    assert fields["term.id"].kind == fields["contacts.default.mailingAddress.city"].kind == "field"


def test_a_field_of_a_star_that_the_server_refuses_fails_the_query_and_is_not_left_out(sandbox, client):
    error = {
        "message": f"The totalDue field in {CUSTOMER} object cannot be used in query in version 1",
        "errorId": "REST-1106",
        "additionalInfo": {"placeholders": {"FIELD": "totalDue", "OBJECT": CUSTOMER, "VERSION": "1"}},
    }
    sandbox.fail(status=400, path=QUERY, body={"ia::result": {"ia::error": error}})
    with pytest.raises(IntacctValidationError) as caught:
        list(client.iter_rows(CUSTOMER, "*"))
    assert "The model lists 'totalDue', but the query service does not take it there" in str(caught.value)
    assert len(calls(sandbox, QUERY)) == 1


def test_an_unknown_object_is_told_the_closest_and_no_query_is_sent(demo, fresh):
    since = len(calls(demo, QUERY))
    for ask in (fresh.fields, fresh.queryable_fields, lambda name: fresh.query(name, "*")):
        with pytest.raises(IntacctNotFoundError, match="Did you mean 'accounts-receivable/customer'"):
            ask("accounts-receivable/custmer")
    assert len(calls(demo, QUERY)) == since


@pytest.mark.parametrize("object_name", FILLED)
def test_a_flat_record_has_the_names_and_values_of_the_queried_row(fresh, object_name):
    rows = list(fresh.iter_rows(object_name, "*"))[:40]
    keys = [row["key"] for row in rows]
    records = list(fresh.get_many(object_name, keys, flatten=True))
    lists = {name for name, found in fresh.fields(object_name).items() if found.kind == "list"}
    for row, record in zip(rows, records, strict=True):
        assert set(record) - set(row) <= lists
        common = [name for name in row if name in record]
        assert len(common) > len(row) // 2
        assert {name: record[name] for name in common} == {name: row[name] for name in common}
    assert fresh.get(object_name, keys[0], flatten=True) == records[0]


def test_a_record_stays_as_it_was_sent_unless_it_is_asked_for_flat(fresh):
    reference = fresh.find(CUSTOMER, "C-00001")
    nested, flat = (fresh.get(CUSTOMER, reference["key"], flatten=flatten) for flatten in (False, True))
    assert nested["entity"] == {"key": None, "id": None, "name": None}
    assert (flat["entity.key"], flat["entity.id"], flat["entity.name"]) == (None, None, None)
    assert flat["term.id"] == nested["term"]["id"]
    assert flat["contactList"] == nested["contactList"]
    assert not any(isinstance(value, dict) for value in flat.values())


def test_a_task_queries_every_field_by_a_star(airflow):
    rows = IntacctQueryOperator(
        task_id="query", object_name=TERM, fields="*", filters=field("key") == "1"
    ).execute({})
    with client_of(airflow) as client:
        assert [list(row) for row in rows] == [client.queryable_fields(TERM)]


def test_a_task_gets_a_flat_record(airflow):
    record = IntacctGetRecordOperator(task_id="get", object_name=TERM, key="1", flatten=True).execute({})
    assert record["key"] == "1"
    assert "audit.createdDateTime" in record


@pytest.mark.parametrize("file_format", ["csv", "jsonl"])
def test_an_export_of_every_field_names_them_in_the_file_and_in_the_manifest(airflow, tmp_path, file_format):
    target = tmp_path / "terms"
    since = len(airflow.requests)
    done = IntacctToObjectStorageOperator(
        task_id="export", object_name=TERM, fields="*", destination=str(target), file_format=file_format
    ).execute({})
    with client_of(airflow) as client:
        assert len(models_asked(airflow, since)) == 1
        names = client.queryable_fields(TERM)
        rows = list(client.iter_rows(TERM, "*"))
    manifest = json.loads((tmp_path / "terms.manifest.json").read_text())
    assert manifest["query"]["fields"] == names
    assert done["transactions"] == 2
    if file_format == "jsonl":
        assert [json.loads(line) for line in target.read_text().splitlines()] == rows
    else:
        header, *lines = csv.reader(io.StringIO(target.read_text()))
        assert header == names
        assert [line[0] for line in lines] == [row["key"] for row in rows]


def test_an_export_that_cannot_be_right_asks_for_no_model(airflow, tmp_path):
    since = len(airflow.requests)
    operator = IntacctToObjectStorageOperator(
        task_id="export",
        object_name=TERM,
        fields="*",
        destination=str(tmp_path / "x"),
        filters={"eq": {"a": 1}},
    )
    with pytest.raises(AirflowFailException, match="unknown operator 'eq'"):
        operator.execute({})
    assert models_asked(airflow, since) == []


def test_threads_that_want_a_model_at_once_ask_for_it_once():
    with running("demo", faults={"latency": 0.2}) as sandbox, client_of(sandbox) as client:
        client.list(TERM)  # so that nobody waits for a token
        start = threading.Barrier(8)

        def ask(_):
            start.wait()
            return client.queryable_fields(TERM)

        with ThreadPoolExecutor(8) as threads:
            names = list(threads.map(ask, range(8)))
        assert names == [names[0]] * 8
        assert len(calls(sandbox, MODEL)) == 1


def test_a_model_is_asked_for_once_by_a_client_and_again_by_the_next():
    with running("demo") as sandbox:
        for _ in range(2):
            with client_of(sandbox) as client:
                for ask in (client.model, client.fields, client.queryable_fields):
                    ask(TERM)
                list(client.iter_rows(TERM, "*"))
                client.query(TERM, "*")
                client.fields(CUSTOMER)
        assert len(calls(sandbox, MODEL)) == 4
