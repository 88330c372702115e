"""Exports against the sandbox, as Airflow runs them: one operator, one execute."""

import csv
import hashlib
import io
import json
from decimal import Decimal

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException
from sandbox_client import calls, client_of, running

from intacct_provider.client.query.expressions import field
from intacct_provider.exceptions import IntacctError, IntacctServerError
from intacct_provider.transfers.intacct_to_object_storage import IntacctToObjectStorageOperator

CUSTOMER = "accounts-receivable/customer"
ACCOUNT_GROUP = "general-ledger/account-group"
QUERY = "/services/core/query"
TOTAL = 10_000


@pytest.fixture
def airflow(sandbox, monkeypatch):
    """The empty company as Airflow's default connection."""
    monkeypatch.setenv("AIRFLOW_CONN_INTACCT_DEFAULT", sandbox.connection())
    return sandbox


@pytest.fixture(scope="module")
def volume():
    """Ten thousand account groups and as many customers."""
    with running(f"{ACCOUNT_GROUP}={TOTAL},{CUSTOMER}={TOTAL}") as company:
        yield company


@pytest.fixture
def big(volume, monkeypatch):
    """The large company as Airflow's default connection, with pages of 1,000."""
    connection = json.loads(volume.connection())
    connection["extra"]["page_size"] = 1000
    monkeypatch.setenv("AIRFLOW_CONN_INTACCT_DEFAULT", json.dumps(connection))
    volume.clear_faults()
    return volume


def export(destination, object_name=ACCOUNT_GROUP, fields=("key", "id", "title"), **arguments):
    operator = IntacctToObjectStorageOperator(
        task_id="export",
        object_name=object_name,
        fields=list(fields),
        destination=str(destination),
        **arguments,
    )
    return operator.execute({})


def manifest_of(path):
    return json.loads(path.with_name(path.name + ".manifest.json").read_bytes())


def assert_manifest(path, result, *, rows, first, last, file_format):
    content = path.read_bytes()
    manifest = manifest_of(path)
    assert result["sha256"] == manifest["sha256"] == hashlib.sha256(content).hexdigest()
    assert result["bytes"] == manifest["bytes"] == len(content)
    assert result["rows"] == manifest["rows"] == rows
    assert (manifest["first_key"], manifest["last_key"]) == (first, last)
    assert (manifest["company_id"], manifest["file_format"]) == ("SANDBOX", file_format)
    assert result["transactions"] == manifest["run"]["transactions"]
    [part] = manifest["parts"]
    assert (part["name"], part["rows"], part["sha256"]) == (path.name, rows, manifest["sha256"])
    assert manifest["completeness"]["result"] == "equal"
    assert manifest["completeness"]["counted"] == rows
    assert {one.name for one in path.parent.iterdir()} == {path.name, f"{path.name}.manifest.json"}


def test_ten_thousand_rows_as_json_lines(big, tmp_path):
    path = tmp_path / "new folder" / "groups.jsonl"
    before = big.transactions
    fields = ["id", "title", "normalBalance", "isKPI", "accountGroupPurpose.id", "audit.modifiedDateTime"]
    result = export(path, fields=fields)
    assert result["transactions"] == big.transactions - before <= 1.25 * 10 + 2
    assert_manifest(path, result, rows=TOTAL, first="1", last=str(TOTAL), file_format="jsonl")
    assert manifest_of(path)["object"] == ACCOUNT_GROUP
    assert manifest_of(path)["query"] == {"fields": fields}
    rows = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    with client_of(big) as client:
        assert rows == [*client.iter_rows(ACCOUNT_GROUP, fields)]
    assert [list(row) for row in rows] == [fields] * TOTAL
    assert rows[41]["id"] == "Account group 00042"


def test_ten_thousand_rows_as_csv(big, tmp_path):
    path = tmp_path / "customers.csv"
    fields = [
        "key",
        "name",
        "creditLimit",
        "totalDue",
        "isOnHold",
        "parent.id",
        "contacts.default.mailingAddress.city",
    ]
    result = export(path, CUSTOMER, fields, file_format="csv")
    assert_manifest(path, result, rows=TOTAL, first="1", last=str(TOTAL), file_format="csv")
    content = path.read_bytes()
    assert content.count(b"\r\n") == content.count(b"\n") == TOTAL + 1
    header, *lines = csv.reader(io.StringIO(content.decode("utf-8"), newline=""))
    assert header == fields

    def cell(value):
        return "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)

    with client_of(big) as client:
        wanted = [[cell(row[name]) for name in fields] for row in client.iter_rows(CUSTOMER, fields)]
    assert lines == wanted
    assert {line[4] for line in lines} == {"true", "false"}
    assert any(line[6] == "Köln" for line in lines)


@pytest.mark.parametrize("file_format", ["jsonl", "csv"])
def test_text_that_a_format_could_trip_over(airflow, tmp_path, file_format):
    names = [
        'a "quoted" one',
        "a,b;c",
        "two\nlines",
        "tab\there",
        "  spaces  ",
        "Grüße 日本 😀",
        "=1+1",
        "a\u2028b",
    ]
    with client_of(airflow) as client:
        client.create_many(CUSTOMER, [{"name": name, "notes": ""} for name in names])
    path = tmp_path / f"names.{file_format}"
    export(path, CUSTOMER, ["name", "notes", "taxId"], file_format=file_format)
    if file_format == "csv":
        _, *lines = csv.reader(io.StringIO(path.read_bytes().decode(), newline=""))
        assert lines == [[name, "", ""] for name in names]
    else:
        rows = [json.loads(line) for line in path.read_bytes().decode().split("\n")[:-1]]
        assert rows == [{"name": name, "notes": "", "taxId": None} for name in names]


def test_numbers_are_exported_with_every_digit(airflow, tmp_path):
    limits = ["0.1", "12345678901.23", "99999999999.99", "1000"]
    with client_of(airflow) as client:
        client.create_many(CUSTOMER, [{"name": "x", "creditLimit": Decimal(one)} for one in limits])
    export(tmp_path / "x.jsonl", CUSTOMER, ["creditLimit"])
    lines = (tmp_path / "x.jsonl").read_text().splitlines()
    assert lines == [f'{{"creditLimit":{limit}}}' for limit in limits]
    export(tmp_path / "x.csv", CUSTOMER, ["creditLimit"], file_format="csv")
    assert (tmp_path / "x.csv").read_text().splitlines() == ["creditLimit", *limits]


def test_filters_are_kept_and_told_in_the_manifest(big, tmp_path):
    path = tmp_path / "some.jsonl"
    chosen = (field("normalBalance") == "debit") & field("key").lte("3000")
    result = export(path, fields=["key", "normalBalance"], filters=chosen)
    assert_manifest(path, result, rows=1500, first="2", last="3000", file_format="jsonl")
    assert manifest_of(path)["query"]["filters"] == [
        {"$eq": {"normalBalance": "debit"}},
        {"$lte": {"key": "3000"}},
    ]
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    assert {row["normalBalance"] for row in rows} == {"debit"}


@pytest.mark.parametrize(("file_format", "content"), [("jsonl", b""), ("csv", b"key,id,title\r\n")])
def test_no_rows_are_a_file_too(big, tmp_path, file_format, content):
    path = tmp_path / f"none.{file_format}"
    result = export(path, filters=field("id") == "nobody", file_format=file_format)
    assert_manifest(path, result, rows=0, first=None, last=None, file_format=file_format)
    assert path.read_bytes() == content


def test_running_again_replaces_both_files(airflow, tmp_path):
    path = tmp_path / "groups.jsonl"
    with client_of(airflow) as client:
        client.create_many(ACCOUNT_GROUP, [{"id": "A"}, {"id": "B"}])
        export(path)
        first = manifest_of(path)
        client.create_many(ACCOUNT_GROUP, [{"id": "C"}])
        client.delete(ACCOUNT_GROUP, "1")
    result = export(path)
    assert_manifest(path, result, rows=2, first="2", last="3", file_format="jsonl")
    assert [json.loads(line)["id"] for line in path.read_text().splitlines()] == ["B", "C"]
    assert manifest_of(path)["sha256"] != first["sha256"]
    assert manifest_of(path)["run"]["finished_at"] > first["run"]["finished_at"]
    again = export(path)
    assert again["sha256"] == result["sha256"]


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ({"status": 503, "headers": {"Retry-After": "3600"}}, IntacctServerError),
        ({"status": 403}, AirflowFailException),
    ],
)
def test_an_export_that_breaks_in_the_middle_leaves_what_was_there(big, tmp_path, fault, error):
    path = tmp_path / "groups.jsonl"
    export(path, filters=field("key").lte("10"))
    old, old_manifest = path.read_bytes(), manifest_of(path)
    answered = len(calls(big, QUERY))
    big.fail(**fault, path=QUERY, skip=3)
    with pytest.raises(error):
        export(path)
    asked = len(calls(big, QUERY)) - answered
    assert asked <= 4 + 2 * 4, "no more than were in flight, or queued"
    assert path.read_bytes() == old
    assert manifest_of(path) == old_manifest
    assert len([*tmp_path.iterdir()]) == 2


def test_an_export_that_breaks_leaves_no_file_where_there_was_none(big, tmp_path):
    big.fail(status=200, body={"ia::result": None}, path=QUERY, skip=2, times=0)
    with pytest.raises(IntacctError):
        export(tmp_path / "groups.jsonl")
    assert [*tmp_path.iterdir()] == []


def test_an_export_goes_on_after_a_short_break(big, tmp_path):
    big.fail(kind="status", headers={"Retry-After": "0"}, path=QUERY, skip=3)
    result = export(tmp_path / "groups.jsonl")
    assert_manifest(
        tmp_path / "groups.jsonl", result, rows=TOTAL, first="1", last="10000", file_format="jsonl"
    )


@pytest.mark.parametrize("file_format", ["jsonl", "csv"])
def test_a_destination_that_cannot_be_written_costs_no_call(airflow, tmp_path, file_format):
    blocker = tmp_path / "file"
    blocker.write_text("not a folder")
    path = blocker / f"groups.{file_format}"
    with pytest.raises(AirflowFailException, match="cannot be written") as caught:
        export(path, file_format=file_format)
    assert path.name in str(caught.value)
    assert airflow.requests == []
    assert blocker.read_text() == "not a folder"


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"destination": ""}, "destination must be"),
        ({"destination": "/folder/"}, "destination must be"),
        ({"destination": "nowhere://x/y.csv"}, "storage that Airflow does not know"),
        ({"file_format": "jsnol"}, "Did you mean 'jsonl'?"),
        ({"fields": []}, "fields must be"),
        ({"fields": ["count:key"]}, "aggregate"),
        ({"object_name": "account-group"}, f"Did you mean '{ACCOUNT_GROUP}'?"),
        ({"filters": [{"$eqq": {"id": "x"}}]}, "Did you mean '$eq'?"),
    ],
)
def test_export_arguments_that_are_refused_cost_no_call(airflow, tmp_path, arguments, text):
    with pytest.raises(AirflowFailException) as caught:
        export(**{"destination": tmp_path / "x.jsonl", **arguments})
    assert text in str(caught.value)
    assert airflow.requests == []
    assert [*tmp_path.iterdir()] == []


def test_a_mistyped_field_leaves_no_file(airflow, tmp_path):
    with pytest.raises(AirflowFailException, match="Did you mean 'title'"):
        export(tmp_path / "x.jsonl", fields=["id", "titel"])
    assert [*tmp_path.iterdir()] == []


def test_a_folder_in_the_place_of_the_file_costs_no_call(airflow, tmp_path):
    (tmp_path / "groups.jsonl").mkdir()
    with pytest.raises(AirflowFailException, match=r"groups\.jsonl.*cannot be written"):
        export(tmp_path / "groups.jsonl")
    assert airflow.requests == []
    assert [one.name for one in tmp_path.iterdir()] == ["groups.jsonl"]


def test_a_folder_that_may_not_be_written_costs_no_call(airflow):
    with pytest.raises(AirflowFailException, match="cannot be written"):
        export("/proc/self/groups.jsonl")
    assert airflow.requests == []
