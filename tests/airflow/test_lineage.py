"""OpenLineage's real provider hears of an export, whatever else of lineage there is or is not."""

from __future__ import annotations

import builtins
import json
import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
from sandbox_client import running

from intacct_provider.export.schema.columns import Column
from intacct_provider.operators.lineage import ExportLineage, facets_on_complete, report_to_hooks, table_name

pytestmark = pytest.mark.slow

AIRFLOW = str(Path(sysconfig.get_path("scripts")) / "airflow")
GROUP = "general-ledger/account-group"
DAG = """
import pendulum
from airflow.providers.common.compat.sdk import BaseOperator
from airflow.sdk import DAG

from intacct_provider.export.schema.columns import Column
from intacct_provider.operators.lineage import ExportLineage, facets_on_complete
from intacct_provider.transfers.intacct_to_object_storage import IntacctToObjectStorageOperator

SOURCE = {"company_id": "SANDBOX", "object_name": "general-ledger/account-group"}


class Export(BaseOperator):
    def execute(self, context):
        pass

    def get_openlineage_facets_on_complete(self, task_instance):
        columns = [
            Column("key", "key", "string"),
            Column("amount", "totalDue", "decimal", 2),
            Column("purpose", "accountGroupPurpose", "struct", None, (Column("id", "id", "string"),)),
        ]
        found = ExportLineage(**SOURCE, columns=columns, rows=60, size=4096, files=2, path="FOLDER/groups.csv")
        return facets_on_complete(found)


with DAG("lineage", schedule=None, start_date=pendulum.datetime(2026, 1, 1, tz="UTC")):
    Export(task_id="export")

    class Silent(IntacctToObjectStorageOperator):
        get_openlineage_facets_on_complete = None

    Silent(
        task_id="hooks_only",
        object_name="general-ledger/account-group",
        fields=["key"],
        destination="file://FOLDER/groups.jsonl",
    )
    IntacctToObjectStorageOperator(
        task_id="customers",
        object_name="accounts-receivable/customer",
        fields={"id": "customer", "totalDue": "due", "audit.modifiedDateTime": "changed"},
        destination="file://FOLDER/customers.jsonl",
        rows_per_part=100,
    )
"""
COLUMNS = [Column("total", "totalDue", "decimal", 2)]
SOURCE = {"company_id": "ACME", "object_name": "accounts-receivable/customer"}


@pytest.fixture(scope="module")
def completed(tmp_path_factory):
    """Run the DAG with a file for OpenLineage's events; return the folder and the COMPLETE event of each task."""
    folder = tmp_path_factory.mktemp("lineage")
    (folder / "dags").mkdir()
    (folder / "dags" / "lineage.py").write_text(DAG.replace("FOLDER", str(folder)))
    env = {
        **os.environ,
        "AIRFLOW_HOME": str(folder),
        "AIRFLOW__CORE__DAGS_FOLDER": str(folder / "dags"),
        "AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST": json.dumps(
            [
                {
                    "name": "lineage",
                    "classpath": "airflow.dag_processing.bundles.local.LocalDagBundle",
                    "kwargs": {"path": str(folder / "dags")},
                }
            ]
        ),
        "AIRFLOW__OPENLINEAGE__NAMESPACE": "tests",
        "AIRFLOW__OPENLINEAGE__TRANSPORT": json.dumps(
            {"type": "file", "log_file_path": str(folder / "events.json"), "append": True}
        ),
    }
    with running("demo") as sandbox:
        env["AIRFLOW_CONN_INTACCT_DEFAULT"] = sandbox.connection()
        for command in (["db", "migrate"], ["dags", "test", "lineage"]):
            done = subprocess.run([AIRFLOW, *command], env=env, capture_output=True, text=True, timeout=200)
            assert done.returncode == 0, done.stdout + done.stderr
    events = [json.loads(line) for line in (folder / "events.json").read_text().splitlines()]
    return folder, {e["job"]["name"]: e for e in events if e["eventType"] == "COMPLETE"}


def test_the_event_names_object_and_file(completed):
    folder, events = completed
    event = events["lineage.export"]
    (source,), (output,) = event["inputs"], event["outputs"]
    assert (source["namespace"], source["name"]) == ("intacct://SANDBOX", GROUP)
    assert (output["namespace"], output["name"]) == ("file", f"{folder}/groups.csv")


def test_the_event_has_types_on_both_sides_and_where_each_column_comes_from(completed):
    _folder, events = completed
    (source,), (output,) = events["lineage.export"]["inputs"], events["lineage.export"]["outputs"]
    read = [(f["name"], f["type"]) for f in source["facets"]["schema"]["fields"]]
    assert read == [("key", "string"), ("totalDue", "decimal(38, 2)"), ("accountGroupPurpose", "struct")]
    written = {f["name"]: f for f in output["facets"]["schema"]["fields"]}
    assert list(written) == ["key", "amount", "purpose"]
    assert [(f["name"], f["type"]) for f in written["purpose"]["fields"]] == [("id", "string")]
    origins = output["facets"]["columnLineage"]["fields"]
    (origin,) = origins["amount"]["inputFields"]
    assert (origin["namespace"], origin["name"], origin["field"]) == ("intacct://SANDBOX", GROUP, "totalDue")
    assert (
        origin["transformations"][0] | {"type": "DIRECT", "subtype": "IDENTITY"}
        == origin["transformations"][0]
    )
    assert sorted(origins) == ["amount", "key", "purpose"]


def test_the_event_counts_rows_bytes_and_files(completed):
    _folder, events = completed
    (source,), (output,) = events["lineage.export"]["inputs"], events["lineage.export"]["outputs"]
    statistics = output["outputFacets"]["outputStatistics"]
    assert (statistics["rowCount"], statistics["size"], statistics["fileCount"]) == (60, 4096, 2)
    assert source["inputFacets"]["inputStatistics"]["rowCount"] == 60


def test_an_export_tells_of_itself_without_being_asked(completed):
    folder, events = completed
    (source,), (output,) = events["lineage.customers"]["inputs"], events["lineage.customers"]["outputs"]
    assert (source["namespace"], source["name"]) == ("intacct://SANDBOX", "accounts-receivable/customer")
    assert (output["namespace"], output["name"]) == ("file", f"{folder}/customers.jsonl")
    assert [(f["name"], f["type"]) for f in output["facets"]["schema"]["fields"]] == [
        ("customer", "string"),
        ("due", "decimal(38, 2)"),
        ("changed", "timestamp"),
    ]
    parts = list(folder.glob("customers-*.jsonl"))
    statistics = output["outputFacets"]["outputStatistics"]
    assert (statistics["rowCount"], statistics["fileCount"]) == (240, len(parts)) == (240, 3)
    assert statistics["size"] == sum(part.stat().st_size for part in parts)
    assert (
        output["facets"]["columnLineage"]["fields"]["changed"]["inputFields"][0]["field"]
        == "audit.modifiedDateTime"
    )


def test_other_readers_of_lineage_get_object_and_destination_and_no_hidden_file(completed):
    """OpenLineage takes what hooks collect when an operator reports nothing itself."""
    folder, events = completed
    event = events["lineage.hooks_only"]
    # Of a worker there is nothing else; here, other tasks may have run in the same process before.
    assert ("intacct://SANDBOX", GROUP) in [(d["namespace"], d["name"]) for d in event["inputs"]]
    outputs = [(d["namespace"], d["name"]) for d in event["outputs"]]
    assert ("file", f"{folder}/groups.jsonl") in outputs
    assert not [name for _, name in outputs if "/." in name]


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("s3://aws_default@finance/out/customers.jsonl", ("s3://finance", "out/customers.jsonl")),
        ("s3://finance/out/customers.jsonl", ("s3://finance", "out/customers.jsonl")),
        ("file:///data/customers.jsonl", ("file", "/data/customers.jsonl")),
        ("/data/customers.jsonl", ("file", "/data/customers.jsonl")),
        ("abfs://azure@box/customers.jsonl", ("abfs://box", "customers.jsonl")),
    ],
)
def test_a_file_has_the_name_that_others_give_it_without_the_connection(path, name):
    found = facets_on_complete(ExportLineage(**SOURCE, columns=COLUMNS, rows=1, path=path))
    assert [(d.namespace, d.name) for d in found.outputs] == [name]


def test_a_table_is_named_as_its_database_is(monkeypatch):
    from airflow.providers.postgres.hooks.postgres import PostgresHook
    from airflow.providers.sqlite.hooks.sqlite import SqliteHook

    monkeypatch.setenv("AIRFLOW_CONN_PG", "postgres://me:hunter2@db.example:5433/books")
    monkeypatch.setenv("AIRFLOW_CONN_LITE", "sqlite:///%2Fdata%2Fbooks.db")
    name = table_name(PostgresHook("pg"), "finance.customers")
    assert name == ("postgres://db.example:5433", "books.finance.customers")
    assert table_name(SqliteHook("lite"), "customers") == ("sqlite:///data/books.db", "customers")
    (output,) = facets_on_complete(ExportLineage(**SOURCE, columns=COLUMNS, rows=1, table=name)).outputs
    assert (output.namespace, output.name) == name


def test_a_table_of_a_database_that_openlineage_does_not_know_has_a_name(monkeypatch):
    from airflow.providers.common.sql.hooks.sql import DbApiHook

    class OddHook(DbApiHook):
        conn_name_attr = "odd_conn_id"

    monkeypatch.setenv("AIRFLOW_CONN_ODD", "odd://me:hunter2@db.example/books")
    assert table_name(OddHook("odd"), "customers") == ("odd://db.example", "customers")


def test_a_database_that_cannot_be_asked_breaks_nothing(monkeypatch, caplog):
    from airflow.providers.postgres.hooks.postgres import PostgresHook

    monkeypatch.setenv("AIRFLOW_CONN_PG", "postgres://me:hunter2@127.0.0.1:1/books")
    assert table_name(PostgresHook("pg"), "customers") is None
    assert "Lineage of the export was not given to OpenLineage" in caplog.text
    assert "hunter2" not in caplog.text


def test_lineage_that_cannot_be_made_breaks_nothing(caplog):
    assert (
        facets_on_complete(ExportLineage(company_id="", object_name="", columns=COLUMNS, rows=1, path="/x"))
        is None
    )
    report_to_hooks(object(), ExportLineage("ACME", "a/b", COLUMNS, 1, path=object()))
    assert "Lineage of the export was not given to OpenLineage (ValueError)." in caplog.text


def test_without_openlineage_there_are_no_facets(monkeypatch):
    """As where the provider is not installed."""
    absent = ("airflow.providers.openlineage", "openlineage")
    for name in [n for n in sys.modules if n.startswith(absent)]:
        monkeypatch.delitem(sys.modules, name)
    found = builtins.__import__

    def without(name, *args, **kwargs):
        if name.startswith(absent):
            raise ImportError(name)
        return found(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    assert facets_on_complete(ExportLineage(**SOURCE, columns=COLUMNS, rows=1, path="/x")) is None
    assert table_name(object(), "t") is None
