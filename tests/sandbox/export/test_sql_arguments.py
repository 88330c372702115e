"""What the arguments of a load into a table mean, and what is refused before anything is paid for."""

import json
import sqlite3
from contextlib import closing

import pytest

from intacct_provider.transfers.intacct_to_object_storage import IntacctToObjectStorageOperator
from intacct_provider.transfers.intacct_to_sql import IntacctToSqlOperator

CUSTOMER = "accounts-receivable/customer"
GROUP = "general-ledger/account-group"


@pytest.fixture
def airflow(demo, monkeypatch):
    """The demo company as Airflow's default connection."""
    monkeypatch.setenv("AIRFLOW_CONN_INTACCT_DEFAULT", demo.connection())
    return demo


@pytest.fixture
def unpaid(airflow):
    """Check that a test sends nothing."""
    before = len(airflow.requests)
    yield
    assert len(airflow.requests) == before


@pytest.fixture
def warehouse(tmp_path, monkeypatch):
    """A SQLite database as an Airflow connection; return its path."""
    path = tmp_path / "warehouse.db"
    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", json.dumps({"conn_type": "sqlite", "host": str(path)}))
    return path


def load(**arguments):
    given = {"object_name": GROUP, "fields": "*", "table": "groups"} | arguments
    return IntacctToSqlOperator(task_id="load", sql_conn_id="warehouse", **given).execute({})


def query(path, sql):
    with closing(sqlite3.connect(path)) as conn:
        return conn.execute(sql).fetchall()


@pytest.mark.parametrize("mode", ["append", "merge", "replace"])
def test_fields_that_differ_by_case_have_columns_of_their_own(airflow, warehouse, capsys, mode):
    """The model of account groups has ``costType`` and ``costtype``, as real models have such pairs."""
    load(mode=mode)
    load(mode=mode, fields=["key", "reportFilters.costtype", "reportFilters.costType"])
    columns = [row[1] for row in query(warehouse, "PRAGMA table_info(groups)")]
    assert {"reportFilters_costType", "reportFilters_costtype_2"} <= {*columns}
    assert "field 'reportFilters.costtype' is column 'reportFilters_costtype_2'" in capsys.readouterr().out


def test_files_keep_such_names_and_say_so(airflow, tmp_path, capsys):
    IntacctToObjectStorageOperator(
        task_id="export", object_name=GROUP, fields="*", destination=str(tmp_path / "g.csv")
    ).execute({})
    assert (
        "'reportFilters.costType' and 'reportFilters.costtype' differ by case only" in capsys.readouterr().out
    )
