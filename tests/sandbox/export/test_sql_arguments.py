"""What the arguments of a load into a table mean, and what is refused before anything is paid for."""

import json
import sqlite3
from contextlib import closing, suppress

import psycopg
import pytest
from airflow.providers.common.compat.sdk import AirflowFailException
from postgres import cluster
from sql_tables import Database, database_servers

from intacct_provider.transfers.intacct_to_object_storage import IntacctToObjectStorageOperator
from intacct_provider.transfers.intacct_to_sql import IntacctToSqlOperator

CUSTOMER = "accounts-receivable/customer"
GROUP = "general-ledger/account-group"
VENDOR = "accounts-payable/vendor"


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


@pytest.fixture(scope="module")
def postgres_server():
    with cluster() as server:
        yield server


def load(**arguments):
    given = {"object_name": GROUP, "fields": "*", "table": "groups"} | arguments
    return IntacctToSqlOperator(task_id="load", sql_conn_id="warehouse", **given).execute({})


def query(path, sql):
    with closing(sqlite3.connect(path)) as conn:
        return conn.execute(sql).fetchall()


@pytest.mark.parametrize("mode", ["append", "merge", "replace"])
def test_fields_that_differ_by_case_have_columns_of_their_own(airflow, warehouse, capsys, mode):
    """The model of vendors has ``accountLabel`` and ``accountlabel``, as a recorded one has."""
    load(mode=mode, object_name=VENDOR, table="vendors")
    fields = ["key", "accountlabel.id", "accountLabel.id"]
    load(mode=mode, object_name=VENDOR, table="vendors", fields=fields)
    columns = [row[1] for row in query(warehouse, "PRAGMA table_info(vendors)")]
    assert {"accountLabel_id", "accountlabel_id_2"} <= {*columns}
    assert "field 'accountlabel.id' is column 'accountlabel_id_2'" in capsys.readouterr().out


def test_files_keep_such_names_and_say_so(airflow, tmp_path, capsys):
    IntacctToObjectStorageOperator(
        task_id="export", object_name=VENDOR, fields="*", destination=str(tmp_path / "v.csv")
    ).execute({})
    assert "'accountLabel.id' and 'accountlabel.id' differ by case only" in capsys.readouterr().out


@pytest.mark.parametrize("fields", ["*", ["key", "id"]])
def test_a_schema_that_does_not_exist_is_refused(unpaid, warehouse, fields):
    with pytest.raises(AirflowFailException, match=r"no schema 'mian', or .* Did you mean 'main'\?"):
        load(table="mian.groups", fields=fields)
    assert query(warehouse, "SELECT * FROM sqlite_master") == []


@pytest.mark.parametrize("create", [True, False])
@pytest.mark.parametrize("mode", ["append", "replace", "merge"])
def test_a_database_that_may_only_be_read_is_refused(unpaid, warehouse, monkeypatch, mode, create):
    if create:
        with closing(sqlite3.connect(warehouse)) as conn:
            conn.execute("CREATE TABLE groups (key text, id text)")
    else:
        warehouse.write_bytes(b"")
    connection = {"conn_type": "sqlite", "host": str(warehouse), "extra": {"mode": "ro"}}
    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", json.dumps(connection))
    with pytest.raises(AirflowFailException, match=r"user of the connection may not .* readonly database"):
        load(mode=mode)


def test_trying_leaves_nothing_behind(airflow, warehouse):
    with pytest.raises(AirflowFailException, match="nosuchfield"):
        load(fields=["key", "nosuchfield"])
    assert query(warehouse, "SELECT name FROM sqlite_master WHERE name LIKE 'intacct_try%'") == []


RIGHTS = {
    "create tables in its schema": ("customers", "append", "GRANT USAGE ON SCHEMA finance TO loader"),
    "insert rows": ("finance.known", "append", "GRANT SELECT, UPDATE, DELETE ON finance.known TO loader"),
    "update rows": ("finance.known", "merge", "GRANT SELECT, INSERT ON finance.known TO loader"),
    "delete rows": ("finance.known", "replace", "GRANT SELECT, INSERT, UPDATE ON finance.known TO loader"),
    "create temporary tables": ("finance.known", "append", "REVOKE TEMPORARY ON DATABASE {name} FROM PUBLIC"),
}


@pytest.mark.slow
@pytest.mark.parametrize("what", [*RIGHTS])
def test_rights_that_are_missing_in_postgresql(unpaid, tmp_path, monkeypatch, postgres_server, what):
    table, mode, grant = RIGHTS[what]
    database = Database("postgres", tmp_path, monkeypatch, postgres_server)
    connection = json.loads(database.connection)
    with suppress(psycopg.errors.DuplicateObject):
        database.run("CREATE ROLE loader LOGIN")
    database.run(
        "CREATE SCHEMA finance",
        "CREATE TABLE finance.known (key text, id text)",
        "GRANT USAGE, CREATE ON SCHEMA finance TO loader"
        if what != "create tables in its schema"
        else "SELECT 1",
        "REVOKE CREATE ON SCHEMA public FROM PUBLIC",
        grant.format(name=connection["schema"]),
    )
    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", json.dumps(connection | {"login": "loader"}))
    with pytest.raises(
        AirflowFailException, match=f"user of the connection may not {what} \\(permission denied"
    ):
        load(table=table, mode=mode, fields=["key", "id"])
    with pytest.raises(AirflowFailException, match=r"no schema 'finanse'.* Did you mean 'finance'\?"):
        load(table="finanse.customers")


@pytest.mark.slow
def test_a_right_to_some_columns_is_enough(airflow, tmp_path, monkeypatch, postgres_server):
    database = Database("postgres", tmp_path, monkeypatch, postgres_server)
    with suppress(psycopg.errors.DuplicateObject):
        database.run("CREATE ROLE loader LOGIN")
    database.run(
        "CREATE SCHEMA finance",
        "CREATE TABLE finance.known (n bigint GENERATED ALWAYS AS IDENTITY, key text, id text)",
        "GRANT USAGE, CREATE ON SCHEMA finance TO loader",
        "GRANT SELECT (key, id), INSERT (key, id) ON finance.known TO loader",
    )
    connection = json.loads(database.connection) | {"login": "loader"}
    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", json.dumps(connection))
    assert load(table="finance.known", fields=["key", "id"])["inserted"] == 60


#: Types that a hash does not fit, and one that it does.
HASHED = {
    "duckdb": ("integer", "decimal(10, 2)", "date", "boolean", "varchar"),
    "postgres": ("bigint", "numeric", "varchar(63)", "boolean", "varchar(64)"),
    "mysql": ("bigint", "decimal(38, 0)", "varchar(63)", "datetime", "varchar(64)"),
}


@pytest.fixture(scope="module")
def servers():
    with database_servers() as running:
        yield running


@pytest.mark.parametrize(
    "kind", ["duckdb", *(pytest.param(kind, marks=pytest.mark.slow) for kind in ("postgres", "mysql"))]
)
def test_a_column_that_cannot_hold_a_hash_is_refused_before_the_first_call(
    airflow, tmp_path, monkeypatch, servers, kind
):
    database = Database(kind, tmp_path, monkeypatch, servers)
    *wrong, right = HASHED[kind]
    for number, held in enumerate(wrong):
        database.run(
            f'CREATE TABLE customers_{number} (key varchar(20), tax_id {held}, "taxId" {held})'.replace(
                '"', "`" if kind == "mysql" else '"'
            )
        )
    before = len(airflow.requests)
    for table in (f"customers_{number}" for number in range(len(wrong))):
        for fields, column in (({"key": "key", "taxId": "tax_id"}, "tax_id"), ("*", "taxId")):
            message = f"mask hashes 'taxId', and column '{column}' of table '{table}' has type"
            with pytest.raises(AirflowFailException, match=message):
                load(
                    object_name=CUSTOMER,
                    table=table,
                    fields=fields,
                    mask={"taxId": "sha256"},
                    schema_drift="add",
                )
    assert len(airflow.requests) == before
    database.run(f"CREATE TABLE customers (key varchar(20), tax_id {right})")
    load(
        object_name=CUSTOMER,
        table="customers",
        fields={"key": "key", "taxId": "tax_id"},
        mask={"taxId": "sha256"},
    )
    assert {len(value) for (value,) in database.run("SELECT tax_id FROM customers") if value} <= {64}


def test_a_column_of_a_list_that_cannot_hold_a_hash_is_refused_before_anything_is_loaded(
    airflow, tmp_path, monkeypatch
):
    database = Database("duckdb", tmp_path, monkeypatch)
    database.run(
        'CREATE TABLE "groups_accountRanges" (parent_key varchar, position integer, "rangeFrom" integer)'
    )
    with pytest.raises(
        AirflowFailException, match=r"mask hashes 'rangeFrom', and column 'rangeFrom'.* INTEGER"
    ):
        load(
            detail=True,
            lists="tables",
            fields=["key", "accountRanges"],
            mask={"accountRanges.rangeFrom": "sha256"},
            schema_drift="add",
        )
    assert database.run('SELECT count(*) FROM "groups_accountRanges"') == [(0,)]


LIST_RIGHTS = {
    "insert rows": ("append", "SELECT, UPDATE, DELETE"),
    "delete rows": ("merge", "SELECT, INSERT, UPDATE"),
    "nothing": ("merge", "SELECT, INSERT, DELETE"),
}


@pytest.mark.slow
@pytest.mark.parametrize("fields", [None, ["key", "id", "accountRanges"]], ids=["all", "some"])
@pytest.mark.parametrize("what", [*LIST_RIGHTS])
def test_rights_on_the_tables_of_lists_that_are_missing(
    airflow, tmp_path, monkeypatch, postgres_server, what, fields
):
    database, (mode, rights) = Database("postgres", tmp_path, monkeypatch, postgres_server), LIST_RIGHTS[what]
    load(detail=True, lists="tables", fields=fields, mode=mode)
    with suppress(psycopg.errors.DuplicateObject):
        database.run("CREATE ROLE loader LOGIN")
    everything = "GRANT ALL ON ALL TABLES IN SCHEMA public TO loader"
    database.run(
        everything,
        'REVOKE ALL ON "groups_accountRanges" FROM loader',
        f'GRANT {rights} ON "groups_accountRanges" TO loader',
        # Has such a name, and is not the table of a list.
        "CREATE TABLE groups_archive (key text)",
    )
    connection = json.loads(database.connection) | {"login": "loader"}
    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", json.dumps(connection))
    before = len(airflow.requests)
    if what == "nothing":
        load(detail=True, lists="tables", fields=fields, mode=mode)
        return
    with pytest.raises(
        AirflowFailException, match=rf"groups_accountRanges': .* may not {what} \(permission denied"
    ):
        load(detail=True, lists="tables", fields=fields, mode=mode)
    assert len(airflow.requests) == before


@pytest.mark.slow
@pytest.mark.parametrize("name", ["ctid", "xmin", "tableoid"])
def test_a_column_that_every_table_of_postgresql_has_is_refused(
    unpaid, tmp_path, monkeypatch, postgres_server, name
):
    Database("postgres", tmp_path, monkeypatch, postgres_server)
    with pytest.raises(
        AirflowFailException, match=f"names the column of 'id' '{name}', which every table has"
    ):
        load(fields={"key": "key", "id": name})


@pytest.mark.usefixtures("unpaid")
@pytest.mark.parametrize("mode", ["append", "merge", "replace"])
def test_a_name_that_sqlite_treats_as_a_value_is_refused_before_any_call(warehouse, mode):
    with pytest.raises(AirflowFailException, match="'True' cannot be the name of a column in SQLite"):
        load(fields={"key": "key", "id": "True"}, mode=mode)
    assert query(warehouse, "SELECT name FROM sqlite_master") == []
