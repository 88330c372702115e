"""Objects that nothing in the provider was made for: exports, merges, syncs and sensors by their models alone."""

from __future__ import annotations

import json

import pyarrow.parquet as pq
import pytest
from companies import MACHINE, PART, machines, recorded
from sandbox_client import client_of, running
from sql_tables import Database

from intacct_provider.client.query.expressions import field
from intacct_provider.operators.sync import IntacctPlanSyncOperator, IntacctSyncOperator
from intacct_provider.sensors.query import IntacctQuerySensor
from intacct_provider.sensors.records import IntacctRecordSensor
from intacct_provider.transfers.intacct_to_object_storage import IntacctToObjectStorageOperator
from intacct_provider.transfers.intacct_to_sql import IntacctToSqlOperator

ROWS = 40
RECORDED = sorted(recorded()["objects"])
#: A text that each of them can be asked to change.
TEXTS = dict.fromkeys(RECORDED, "name") | {
    "accounts-receivable/invoice": "referenceNumber",
    MACHINE: "name",
}


@pytest.fixture(scope="module")
def replayed():
    """The recorded models as a company, with records of each."""
    seed = ",".join(f"{name}={ROWS}" for name in RECORDED)
    with running(seed, company=recorded()) as sandbox:
        yield sandbox


@pytest.fixture(scope="module")
def plant():
    """Machines, which no line of the provider knows."""
    with running(f"{MACHINE}={ROWS}", company=machines()) as sandbox:
        yield sandbox


@pytest.fixture(params=[*RECORDED, MACHINE])
def source(request, monkeypatch):
    """An object and the company that has it, which is Airflow's default connection."""
    company = request.getfixturevalue("plant" if request.param == MACHINE else "replayed")
    monkeypatch.setenv("AIRFLOW_CONN_INTACCT_DEFAULT", company.connection())
    return company, request.param


def test_every_field_is_exported_to_parquet(source, tmp_path):
    company, name = source
    operator = IntacctToObjectStorageOperator(
        task_id="export",
        object_name=name,
        fields="*",
        destination=str(tmp_path / "rows.parquet"),
        file_format="parquet",
    )
    result = operator.execute({})
    table = pq.read_table(tmp_path / "rows.parquet")
    with client_of(company) as client:
        rows = {row["key"]: row for row in client.iter_rows(name, "*")}
    assert result["rows"] == len(table) == len(rows) >= ROWS
    assert table.num_columns == len(next(iter(rows.values())))
    keys = table["key"].to_pylist()
    assert [rows[key]["id"] for key in keys] == table["id"].to_pylist()
    used = [column for column in table.column_names if table[column].null_count < len(table)]
    assert len(used) > 0.9 * table.num_columns, "generated records fill nearly every column"


def test_every_field_is_merged_into_sql(source, tmp_path, monkeypatch):
    company, name = source
    database = Database("sqlite", tmp_path, monkeypatch)
    load = IntacctToSqlOperator(
        task_id="load", sql_conn_id="warehouse", object_name=name, fields="*", table="loaded", mode="merge"
    )
    load.execute({})
    load.execute({})
    with client_of(company) as client:
        wanted = sorted((row["key"], row["id"]) for row in client.iter_rows(name, ["key", "id"]))
    assert sorted(database.run('SELECT "key", "id" FROM loaded')) == wanted


def test_a_sync_plans_what_differs(source, tmp_path):
    company, name = source
    text = TEXTS[name]
    with client_of(company) as client:
        [first, second, *_] = client.iter_rows(name, ["key", text], order_by=[{"key": "asc"}])
    desired = [{"key": first["key"], text: "changed"}, {"key": second["key"], text: second[text]}]
    plan = IntacctPlanSyncOperator(
        task_id="plan",
        object_name=name,
        desired=desired,
        plan_path=str(tmp_path / "plan.json"),
        match_on="key",
        mode="update",
    )
    counts = plan.execute({})
    assert (counts["to_update"], counts["unchanged"]) == (1, 1)


def test_sensors_see_records_and_conditions(source):
    company, name = source
    with client_of(company) as client:
        [first, *_] = client.iter_rows(name, ["key", "id"], order_by=[{"key": "asc"}])
    query = IntacctQuerySensor(task_id="q", object_name=name, filters=field("key") == first["key"])
    assert query.poke({})
    record = IntacctRecordSensor(
        task_id="r", object_name=name, key=first["key"], conditions={"id": first["id"]}
    )
    assert record.poke({})
    assert not IntacctQuerySensor(task_id="n", object_name=name, filters=field("id") == "nothing").poke({})


def test_machines_are_synced_with_their_references_and_parts(monkeypatch):
    with running(company=machines()) as company, client_of(company) as client:
        monkeypatch.setenv("AIRFLOW_CONN_INTACCT_DEFAULT", company.connection())
        client.create("accounts-receivable/customer", {"id": "C-1", "name": "Acme"})
        desired = [
            {"name": "Press", "price": "10.00", "customer.id": "C-1", "warranty.until": "2030-01-01"},
            {"name": "Drill", "price": "5.00", "state": "used", "customer.id": None},
        ]
        sync = IntacctSyncOperator(task_id="sync", object_name=MACHINE, desired=desired, match_on="name")
        counts = sync.execute({})
        assert (counts["created"], counts["rejected"]) == (2, 0)
        assert sync.execute({})["unchanged"] == 2
        rows = client.query(MACHINE, ["name", "price", "customer.id", "warranty.until"]).rows
        assert sorted(map(json.dumps, rows)) == sorted(
            json.dumps(
                {
                    "name": one["name"],
                    "price": one["price"],
                    "customer.id": one["customer.id"],
                    "warranty.until": one.get("warranty.until"),
                }
            )
            for one in desired
        )


def test_lists_of_machines_become_tables(plant, tmp_path, monkeypatch):
    monkeypatch.setenv("AIRFLOW_CONN_INTACCT_DEFAULT", plant.connection())
    operator = IntacctToObjectStorageOperator(
        task_id="export",
        object_name=PART,
        fields=["key", "name", "machine.key", "supplier.name"],
        destination=str(tmp_path / "parts.parquet"),
        file_format="parquet",
    )
    assert operator.execute({})["rows"] == 2 * ROWS
