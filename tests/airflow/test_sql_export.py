"""The example that keeps a table up to date, run by Airflow against the sandbox: on SQLite and on PostgreSQL."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest
from airflow_parts import asset_extra
from sandbox_client import client_of
from sql_tables import POSTGRES, Database, database_servers

DAG_ID = "intacct_incremental_customers_to_sql"
CUSTOMER = "accounts-receivable/customer"
COLUMNS = {"key": "intacct_key", "id": "customer_id", "name": "name", "term.id": "payment_term"}


@pytest.fixture(scope="module")
def servers():
    with database_servers() as found:
        yield found


@pytest.fixture(params=["sqlite", POSTGRES])
def warehouse(request, tmp_path, monkeypatch):
    return Database(request.param, tmp_path, monkeypatch, request.getfixturevalue("servers"))


@pytest.fixture
def load(run_dag, warehouse, tmp_path):
    """Run the DAG and return what its task returned; None if it failed."""

    def run(**conf):
        finished = run_dag(DAG_ID, folder=f"file://{tmp_path}/keys", **conf)
        [task] = finished.get_task_instances()
        assert str(task.state) in ("success", "failed")
        run.last = finished
        return task.xcom_pull(task_ids="load_customers") if str(task.state) == "success" else None

    return run


def live(sandbox):
    """Return the customers as Intacct has them."""
    with client_of(sandbox) as client:
        return sorted(tuple(row.values()) for row in client.iter_rows(CUSTOMER, [*COLUMNS]))


def held(warehouse, table="customers"):
    """Return the customers as the table has them."""
    return sorted(warehouse.run(f"SELECT {', '.join(COLUMNS.values())} FROM {table}"))  # noqa: S608


def counts(result):
    return tuple(result[name] for name in ("rows", "inserted", "updated", "deleted"))


def change(sandbox, gone):
    """Change a customer, add one and delete one."""
    with client_of(sandbox) as client:
        client.update(CUSTOMER, "7", {"name": "Renamed", "creditLimit": Decimal("1234.50")})
        client.create(CUSTOMER, {"id": "NEW", "name": "New"})
        client.delete(CUSTOMER, gone)


@pytest.fixture
def spare(sandbox):
    with client_of(sandbox) as client:
        return client.create(CUSTOMER, {"id": "SPARE", "name": "To be deleted"})["key"]


def test_the_table_follows_intacct_and_keeps_what_people_added_to_it(load, warehouse, sandbox, spare):
    first = load()
    everybody = len(live(sandbox))
    assert counts(first) == (everybody, everybody, 0, 0)
    assert held(warehouse) == live(sandbox)

    warehouse.run("ALTER TABLE customers ADD COLUMN owner text", "UPDATE customers SET owner = 'Ann'")
    change(sandbox, spare)
    second = load()
    assert (second["inserted"], second["deleted"]) == (1, 1)
    assert second["rows"] < 10, "only what changed is read, and what the look-back brings"
    assert second["watermark"] >= first["watermark"]
    assert held(warehouse) == live(sandbox)
    assert warehouse.run("SELECT owner, count(*) FROM customers GROUP BY owner ORDER BY owner") == [
        *([(None, 1), ("Ann", everybody - 1)] if warehouse.sqlite else [("Ann", everybody - 1), (None, 1)])
    ]
    [(limit,)] = warehouse.run("SELECT credit_limit FROM customers WHERE intacct_key = '7'")
    assert Decimal(limit) == Decimal("1234.50")


@pytest.mark.slow
def test_a_full_refresh_reads_everything_once_more(load, warehouse, sandbox):
    load()
    warehouse.run("UPDATE customers SET name = 'wrong'")
    assert load(full_refresh=True)["updated"] == len(live(sandbox))
    assert held(warehouse) == live(sandbox)


@pytest.mark.slow
def test_a_table_that_is_lost_or_put_back_from_a_backup_is_filled_anew(load, warehouse, sandbox):
    load()
    warehouse.run("DROP TABLE customers")
    assert load()["inserted"] == len(live(sandbox))
    assert held(warehouse) == live(sandbox)
    warehouse.run("DELETE FROM customers", "UPDATE intacct_exports SET watermark = '2020-01-01T00:00:00Z'")
    assert load()["inserted"] == len(live(sandbox))
    assert held(warehouse) == live(sandbox)


@pytest.mark.slow
def test_a_run_that_fails_changes_nothing_and_the_next_one_misses_nothing(load, warehouse, sandbox, spare):
    load()
    before = held(warehouse)
    change(sandbox, spare)
    sandbox.fail(status=403, path="/services/core/query", skip=1, times=0)
    assert load() is None
    assert held(warehouse) == before
    sandbox.clear_faults()
    result = load()
    assert (result["inserted"], result["deleted"]) == (1, 1)
    assert held(warehouse) == live(sandbox)


def test_what_was_loaded_is_told_to_the_asset_and_beside_the_table(load, warehouse, sandbox):
    if not warehouse.sqlite:
        warehouse.run("CREATE SCHEMA finance")
    table = "main.customers" if warehouse.sqlite else "finance.customers"
    result = load(table=table)
    assert held(warehouse, table) == live(sandbox)
    lines = table.replace("customers", "intacct_exports")
    [(*owner, rows, watermark, facts)] = warehouse.run(
        f"SELECT dag_id, run_id, task_id, map_index, table_name, row_count, watermark, facts FROM {lines}"  # noqa: S608
    )
    assert owner == [DAG_ID, load.last.run_id, "load_customers", -1, table]
    assert (rows, watermark) == (result["rows"], result["watermark"])
    assert json.loads(facts)["completeness"]["result"] == "equal"
    extra = asset_extra("intacct_customers_table")
    assert {name: extra[name] for name in ("table", "rows", "watermark")} == {
        name: result[name] for name in ("table", "rows", "watermark")
    }
    assert extra["schema"][0] == {"name": "intacct_key", "field": "key", "type": "string"}
