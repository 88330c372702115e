"""What a destination's name and the arguments of its files mean; what cannot be right costs no call."""

import csv
import gzip
import json
import sys

import duckdb
import pyarrow.parquet as pq
import pytest
from airflow.providers.common.compat.sdk import AirflowFailException
from sandbox_client import client_of, running

from intacct_provider.transfers.intacct_to_object_storage import IntacctToObjectStorageOperator
from intacct_provider.transfers.intacct_to_sql import IntacctToSqlOperator

CUSTOMER = "accounts-receivable/customer"
FIELDS = ["key", "id", "name", "creditLimit"]


@pytest.fixture(scope="module")
def company():
    """Three customers; the tests only read."""
    with running() as sandbox, client_of(sandbox) as client:
        for number, name in enumerate(["Zoë; Söhne", '=1+1 "quoted", two\r\nlines', "tab\there"], 1):
            client.create(CUSTOMER, {"id": f"=C{number}", "name": name, "creditLimit": 12.5})
        yield sandbox


@pytest.fixture
def airflow(company, monkeypatch):
    """The company as Airflow's default connection."""
    monkeypatch.setenv("AIRFLOW_CONN_INTACCT_DEFAULT", company.connection())
    return company


@pytest.fixture
def unpaid(airflow):
    """Check that a test sends nothing."""
    before = len(airflow.requests)
    yield
    assert len(airflow.requests) == before


def operator_for(destination, **arguments):
    arguments = {"object_name": CUSTOMER, "fields": FIELDS} | arguments
    return IntacctToObjectStorageOperator(task_id="export", destination=str(destination), **arguments)


def export(destination, **arguments):
    return operator_for(destination, **arguments).execute({})


def manifest_of(path):
    return json.loads(path.with_name(path.name + ".manifest.json").read_bytes())


def read_rows(path):
    """Return the ids that a program finds that goes by the file's name."""
    name = path.name.lower()
    if name.endswith((".parquet", ".pq")):
        return pq.read_table(path)["id"].to_pylist()
    text = (
        duckdb.execute("SELECT content FROM read_text(?)", [str(path)]).fetchone()[0]
        if name[-3:] == "zst"
        else ""
    )
    text = (
        gzip.decompress(path.read_bytes()).decode()
        if name.endswith(".gz")
        else text or path.read_text("utf-8")
    )
    if "csv" in name or "tsv" in name:
        dialect = "excel-tab" if "tsv" in name else "excel"
        return [row["id"] for row in csv.DictReader(text.splitlines(keepends=True), dialect=dialect)]
    return [json.loads(line)["id"] for line in text.splitlines()]


@pytest.mark.parametrize(
    "name",
    ["c.jsonl", "c.ndjson.gz", "c.csv", "c.CSV", "c.tsv", "c.csv.gz", "c.parquet", "c.pq", "c", "c.jsonl.gz"],
)
def test_a_file_is_what_its_name_says(airflow, tmp_path, name):
    export(tmp_path / name)
    assert read_rows(tmp_path / name) == ["=C1", "=C2", "=C3"]


def test_the_manifest_says_what_the_name_said(airflow, tmp_path):
    export(tmp_path / "c.csv.gz")
    manifest = manifest_of(tmp_path / "c.csv.gz")
    assert (manifest["file_format"], manifest["compression"]) == ("csv", "gzip")


@pytest.mark.parametrize(
    ("name", "arguments", "text"),
    [
        ("c.csv", {"file_format": "jsonl"}, "named like a file of csv, and file_format is 'jsonl'"),
        ("c.jsonl", {"file_format": "parquet"}, "or name it like parquet"),
        ("c.csv", {"compression": "gzip"}, "or let it end in '.gz'"),
        ("c.csv.gz", {"compression": "zstd"}, "named like a file of gzip, and compression is 'zstd'"),
        ("c.parquet.gz", {}, "compressed inside"),
        ("c.xlsx", {}, r"\.csv with bom=True"),
        ("c.csv", {"delimiter": "x"}, "delimiter must be one of"),
        ("c.jsonl", {"bom": True}, "bom must be True or False"),
    ],
)
def test_what_contradicts_the_name_is_refused(unpaid, tmp_path, name, arguments, text):
    with pytest.raises(AirflowFailException, match=text):
        export(tmp_path / name, **arguments)
    assert [*tmp_path.iterdir()] == []


RELATIVE = [
    "out/c.csv",
    "c.csv",
    "./c.csv",
    "../c.csv",
    "~/c.csv",
    "file://out/c.csv",
    "file:c.csv",
    "local://o/c.csv",
]


@pytest.mark.parametrize("destination", RELATIVE)
def test_a_relative_path_is_refused(unpaid, tmp_path, monkeypatch, destination):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(AirflowFailException, match="is a relative path"):
        export(destination)
    assert [*tmp_path.iterdir()] == []


@pytest.mark.parametrize("name", ["c.csv\n", " c.csv", "c.csv ", "a\nb.csv", "a\tb.csv", "a\x00.csv"])
def test_blanks_and_control_characters_are_refused(unpaid, tmp_path, name):
    destination = f" {tmp_path}/c.csv" if name.startswith(" ") else f"{tmp_path}/{name}"
    with pytest.raises(
        AirflowFailException, match="begins or ends with a blank, or has a line break or another control"
    ):
        export(destination)


def test_a_template_is_judged_by_what_it_renders_to(airflow, tmp_path):
    for folder, good in ((str(tmp_path), True), ("out", False), ("", False)):
        operator = operator_for("{{ params.folder }}c.csv".replace("}c", "}/c" if folder else "}c"))
        operator.render_template_fields({"params": {"folder": folder}})
        if good:
            assert operator.execute({})["rows"] == 3
        else:
            with pytest.raises(AirflowFailException, match="is a relative path"):
                operator.execute({})


def test_the_place_of_keys_is_judged_before_anything_is_paid_for(unpaid, tmp_path, monkeypatch):
    monkeypatch.setenv(
        "AIRFLOW_CONN_LOCAL", json.dumps({"conn_type": "sqlite", "host": str(tmp_path / "x.db")})
    )
    for path, text in (("keys/c", "keys_path 'keys/c' is a relative path"), ("s3://b", "names a bucket")):
        operator = IntacctToSqlOperator(
            task_id="load", object_name=CUSTOMER, fields=FIELDS, sql_conn_id="local", table="c", mode="merge",
            detect_deletes="keys", keys_path=path,
        )  # fmt: skip
        with pytest.raises(AirflowFailException, match=text):
            operator.execute({})


@pytest.mark.parametrize(
    ("destination", "package"),
    [
        ("gs://bucket/c.csv", "pip install 'apache-airflow-providers-google'"),
        ("gcs://bucket/c.csv", "pip install 'apache-airflow-providers-google'"),
        ("abfs://container/c.csv", "pip install 'apache-airflow-providers-microsoft-azure'"),
        ("az://container/c.csv", "Write abfs://, .*pip install 'apache-airflow-providers-microsoft-azure'"),
        ("s3://bucket/c.csv", r"pip install 'apache-airflow-providers-amazon\[s3fs\]'"),
        ("hdfs://host/c.csv", "Storages that are known: a local path, s3://"),
    ],
)
def test_a_storage_whose_provider_is_missing_is_named(unpaid, monkeypatch, destination, package):
    monkeypatch.setattr("airflow.sdk.io.fs._register_filesystems", dict)
    monkeypatch.setattr("airflow.sdk.io.store._STORE_CACHE", {}, raising=False)
    with pytest.raises(AirflowFailException, match=package):
        export(destination.replace("://", "://missing@"))


def test_a_missing_s3fs_is_named(unpaid, monkeypatch):
    monkeypatch.setitem(sys.modules, "s3fs", None)
    with pytest.raises(
        AirflowFailException, match=r"s3fs.*On every worker: pip install 'apache-airflow-provide"
    ):
        export("s3://without_s3fs@bucket/c.csv")


def test_a_bucket_alone_is_no_destination(unpaid):
    with pytest.raises(AirflowFailException, match="names a bucket and no file in it"):
        export("s3://customers.csv")


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|", "^", "~"])
@pytest.mark.parametrize("bom", [True, False])
def test_csv_for_excel(airflow, tmp_path, delimiter, bom):
    path = tmp_path / "c.csv"
    export(path, delimiter=delimiter, bom=bom, csv_safe=True, rows_per_part=2)
    rows = []
    for part in (tmp_path / "c-00001.csv", tmp_path / "c-00002.csv"):
        content = part.read_bytes()
        assert content.startswith(b"\xef\xbb\xbf") is bom
        with open(part, newline="", encoding="utf-8-sig" if bom else "utf-8") as file:
            rows += csv.DictReader(file, delimiter=delimiter)
        found = duckdb.execute(
            "SELECT name FROM read_csv(?, delim=?, quote='\"', header=true, all_varchar=true)",
            [str(part), delimiter],
        ).fetchall()
        assert [name for (name,) in found] == [row["name"] for row in rows[-len(found) :]]
    assert [row["name"] for row in rows] == ["Zoë; Söhne", '\'=1+1 "quoted", two\r\nlines', "tab\there"]
    assert {row["creditLimit"] for row in rows} == {"12.5"}
    manifest = manifest_of(path)
    assert manifest.get("delimiter", ",") == delimiter
    assert manifest.get("bom", False) is bom


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"entities": ["us"], "detail": True}, "entities needs detail=False"),
        ({"entities": "all", "detail": True, "lists": "tables"}, "entities needs detail=False"),
        ({"entities": 5}, "entities must be 'all' or a list"),
        ({"entities": 5, "detail": True}, "entities must be 'all' or a list"),
        ({"entities": {"us": "x"}}, "entities must be 'all' or a list"),
        ({"entities": ""}, "entities must be 'all' or a list"),
    ],
    ids=str,
)
def test_entities_that_would_be_ignored_are_refused_before_any_call(airflow, tmp_path, arguments, message):
    fields = {} if "detail" in arguments else {"fields": ["key"]}
    billed = airflow.transactions
    operator = IntacctToObjectStorageOperator(
        task_id="export",
        object_name="accounts-receivable/customer",
        destination=f"{tmp_path}/c.jsonl",
        **fields,
        **arguments,
    )
    with pytest.raises(AirflowFailException, match=message):
        operator.execute({})
    assert airflow.transactions == billed
