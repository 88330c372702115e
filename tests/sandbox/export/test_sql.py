"""Exports of a sandbox into SQLite and into a real PostgreSQL, as Airflow runs them: one operator, one execute."""

import datetime as dt
import json
from decimal import Decimal

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException
from sandbox_client import calls, client_of, running
from sql_deaths import KILLED, mortal_loads, task
from sql_tables import ENVIRONMENT, KNOWN, Database, database_servers

from intacct_provider.client.query.expressions import field
from intacct_provider.exceptions import IntacctError
from intacct_provider.export.sql.load_log import TABLE
from intacct_provider.transfers.intacct_to_sql import IntacctToSqlOperator

CUSTOMER = "accounts-receivable/customer"
QUERY = "/services/core/query"
FIELDS = ["key", "id", "name", "creditLimit", "isOnHold", "term.id", "audit.modifiedDateTime"]
SMALL = ["key", "id", "name"]
TOTAL = 10_000
FEW = 100


@pytest.fixture(scope="module")
def servers():
    with database_servers() as found:
        yield found


@pytest.fixture(params=KNOWN)
def database(request, tmp_path, monkeypatch):
    return Database(request.param, tmp_path, monkeypatch, request.getfixturevalue("servers"))


@pytest.fixture
def sqlite(tmp_path, monkeypatch):
    return Database("sqlite", tmp_path, monkeypatch)


@pytest.fixture(scope="module")
def volume():
    """Ten thousand customers."""
    with running(f"{CUSTOMER}={TOTAL}") as company:
        yield company


@pytest.fixture(scope="module")
def few():
    """Some customers: three pages."""
    with running(f"{CUSTOMER}={FEW}") as company:
        yield company


def connected(company, monkeypatch, **extra):
    connection = json.loads(company.connection())
    connection["extra"] |= extra
    monkeypatch.setenv("AIRFLOW_CONN_INTACCT_DEFAULT", json.dumps(connection))
    company.clear_faults()
    return company


@pytest.fixture
def big(volume, monkeypatch):
    """The large company as Airflow's default connection, with pages of 1,000."""
    return connected(volume, monkeypatch, page_size=1000)


@pytest.fixture
def airflow(sandbox, monkeypatch):
    """The empty company as Airflow's default connection."""
    return connected(sandbox, monkeypatch)


def load(context=None, **arguments):
    arguments = {"object_name": CUSTOMER, "fields": SMALL, "table": "customers"} | arguments
    return IntacctToSqlOperator(task_id="load", sql_conn_id="warehouse", **arguments).execute(context or {})


def rows_of(database, names="key, id, name", table="customers"):
    return database.run(f"SELECT {names} FROM {table} ORDER BY CAST(key AS int)")  # noqa: S608


def in_utc(moment):
    """Return a moment of a database; MySQL has no time zones."""
    return moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)


def live(company, fields=SMALL):
    """Return all customers as Intacct has them now."""
    with client_of(company) as client:
        return [tuple(row.values()) for row in client.iter_rows(CUSTOMER, fields)]


def customers(company, *ids, **changes):
    with client_of(company) as client:
        made = client.create_many(CUSTOMER, [{"id": one, "name": f"Name of {one}"} | changes for one in ids])
    assert not any(result.error for result in made)


# --- every row, every value


def test_ten_thousand_rows_with_every_kind_of_value(big, database):
    before = big.transactions
    result = load(fields=FIELDS, mode="replace")
    assert result["transactions"] == big.transactions - before <= 1.25 * 10 + 2
    assert result | {"transactions": 0} == {
        "table": "customers",
        "mode": "replace",
        "rows": TOTAL,
        "inserted": TOTAL,
        "updated": 0,
        "deleted": 0,
        "watermark": None,
        "transactions": 0,
    }
    found = rows_of(database, 'key, id, name, "creditLimit", "isOnHold", term_id, "audit_modifiedDateTime"')
    assert len(found) == TOTAL
    for row, (key, number, name, limit, hold, term, moment) in zip(found, live(big, FIELDS), strict=True):
        assert row[:3] == (key, number, name)
        assert (row[3] is None) == (limit is None)
        assert limit is None or Decimal(row[3]) == limit
        assert (row[4], row[5]) == (hold, term)
        assert row[6] == moment if database.sqlite else in_utc(row[6]) == dt.datetime.fromisoformat(moment)


def test_whole_records_keep_their_lists_as_json(demo, monkeypatch, database):
    connected(demo, monkeypatch)
    load(fields=None, detail=True, filters=field("id").startswith("C"), mode="merge")
    path = "contacts->'primary'->>'id'"
    path = {
        "sqlite": "json_extract(contacts, '$.primary.id')",
        "mysql": "json_value(contacts, '$.primary.id')",
    }.get(database.kind, path)
    found = dict(rows_of(database, f"key, {path}"))
    with client_of(demo) as client:
        records = {record["key"]: record for record in client.get_many(CUSTOMER, [*found])}
    assert len(found) > 5
    assert found == {key: record["contacts"]["primary"]["id"] for key, record in records.items()}


def test_columns_are_named_as_fields_says(airflow, database):
    customers(airflow, "A")
    load(fields={"key": "intacct_key", "id": "number", "audit.createdDateTime": "since"}, mode="merge")
    assert database.run("SELECT intacct_key, number, since IS NOT NULL FROM customers") in (
        [("1", "A", True)],
        [("1", "A", 1)],
    )


def test_an_existing_table_keeps_what_is_its_own_when_rows_are_merged(airflow, database):
    customers(airflow, "A", "B")
    database.run(
        "CREATE TABLE crm (no text, customer text, owner text DEFAULT 'nobody')",
        "INSERT INTO crm VALUES ('1', 'Old', 'Ann'), ('77', 'Own', 'Bob')",
    )
    result = load(table="crm", fields={"key": "no", "name": "customer"}, mode="merge")
    assert (result["inserted"], result["updated"]) == (1, 1)
    assert database.run("SELECT * FROM crm ORDER BY no") == [
        ("1", "Name of A", "Ann"),
        ("2", "Name of B", "nobody"),
        ("77", "Own", "Bob"),
    ]


def test_control_totals_and_everything_else_is_told_in_the_line_of_the_load(airflow, database):
    customers(airflow, "A", "B", creditLimit=Decimal("10.25"))
    load(task(), fields=[*SMALL, "creditLimit"], control_totals=["creditLimit"], mode="merge")
    ((facts,),) = database.run(f"SELECT facts FROM {TABLE}")  # noqa: S608
    facts = json.loads(facts)
    assert facts["completeness"]["control_totals"] == {"creditLimit": "20.5"}
    assert (facts["object"], facts["company_id"], facts["rows"]) == (CUSTOMER, "SANDBOX", 2)
    assert (facts["first_key"], facts["last_key"], facts["inserted"]) == ("1", "2", 2)
    assert [column["name"] for column in facts["columns"]] == [*SMALL, "creditLimit"]


def test_ranges_of_keys_go_into_one_table(big, database):
    marks = [None, "2500", "7500", None]
    for number in range(3):
        load(
            task(map_index=number),
            mode="append",
            key_range={"number": number + 1, "of": 3, "above": marks[number], "upto": marks[number + 1]},
        )
    assert rows_of(database) == live(big)


# --- whole or nothing


@pytest.mark.parametrize("mode", ["append", "replace", "merge"])
def test_a_read_that_fails_in_the_middle_leaves_the_table_as_it_was(big, sqlite, mode):
    sqlite.run(
        "CREATE TABLE customers (key text, id text, name text)",
        "INSERT INTO customers VALUES ('1', 'x', 'y')",
    )
    big.fail(path=QUERY, skip=4, status=400, times=0)
    with pytest.raises((AirflowFailException, IntacctError)):
        load(mode=mode)
    assert rows_of(sqlite) == [("1", "x", "y")]
    big.clear_faults()
    load(mode="replace")
    assert rows_of(sqlite) == live(big)


def test_rows_that_cannot_be_proven_complete_are_not_kept(big, sqlite):
    with pytest.raises((AirflowFailException, IntacctError), match="max_transactions"):
        load(max_transactions=4)
    assert "customers" not in sqlite.tables()


@pytest.mark.slow
@pytest.mark.parametrize(("mode", "step"), [("append", 4), ("replace", 4), ("merge", 1)])
def test_whenever_a_load_is_killed_the_table_is_as_it_was_or_as_it_shall_be(few, database, mode, step):
    """Every n-th operation on the database is once the one that the process does not live to see."""
    if database.kind in ("duckdb", "mysql"):
        step *= 5  # starting again takes longer, and there are more operations
    old = [("1", "x", "y"), ("999999", "gone", "soon")]
    new = live(few)
    end = {"append": [*old, *new], "replace": new, "merge": [*new, old[1]]}[mode]
    connection = json.loads(few.connection())
    connection["extra"]["page_size"] = 40
    environment = {"AIRFLOW_CONN_INTACCT_DEFAULT": json.dumps(connection), ENVIRONMENT: database.connection}
    arguments = {
        "object_name": CUSTOMER, "fields": SMALL, "table": "customers", "sql_conn_id": "warehouse", "mode": mode
    }  # fmt: skip
    fill = [f"INSERT INTO customers VALUES {row}" for row in old]  # noqa: S608
    database.run("CREATE TABLE customers (key text, id text, name text)", *fill)
    before, after, moment, result = 0, 0, 1 - step, KILLED
    with mortal_loads() as run:
        while result == KILLED:
            moment += step
            owner = {"run_id": f"run {moment}"}
            result = run(environment, arguments, moment, **owner)
            found = sorted(rows_of(database))
            assert found in (sorted(old), sorted(end)), f"operation {moment}"
            before, after = before + (found == sorted(old)), after + (found == sorted(end))
            assert run(environment, arguments, try_number=2, **owner)["rows"] == FEW
            assert sorted(rows_of(database)) == sorted(end), f"operation {moment}"
            database.run("DELETE FROM customers", *fill)
    # It died before and after the commit, and lived in the end.
    assert before > 20 / step
    assert after > 2 / step
    assert database.tables() == {"customers", TABLE}


def test_a_retry_after_the_commit_costs_no_read(big, database):
    first = load(task())
    before = len(calls(big, QUERY))
    assert load(task(try_number=2)) | {"transactions": 0} == first | {"transactions": 0}
    assert calls(big, QUERY)[before:] == []
    assert len(rows_of(database)) == TOTAL


# --- before the first call


def test_a_column_that_the_table_lacks_is_found_before_the_first_call(airflow, database):
    database.run("CREATE TABLE customers (key text, id text, nam text)")
    with pytest.raises(AirflowFailException, match=r"no column 'name'. Did you mean 'nam'"):
        load()
    assert calls(airflow) == []


def test_a_missing_column_is_added_with_schema_drift_add(airflow, database):
    customers(airflow, "A")
    database.run("CREATE TABLE customers (key text, id text)")
    load(schema_drift="add")
    assert rows_of(database) == [("1", "A", "Name of A")]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"mode": "upsert"}, "mode must be one of append, replace, merge, not 'upsert'"),
        (
            {"mode": "replace", "incremental": "audit.modifiedDateTime"},
            "replace' and incremental do not go together",
        ),
        (
            {"mode": "replace", "key_range": {"above": None, "upto": "5"}},
            "replace' and key_range do not go together",
        ),
        ({"detect_deletes": "keys", "keys_path": "/k"}, "detect_deletes needs mode='merge'"),
        ({"detect_deletes": "keys", "mode": "merge"}, "detect_deletes needs mode='merge', and keys_path"),
        ({"fields": {"id": "term", "term.id": "Term"}}, "'id' and 'term.id' would both be column 'Term'"),
        ({"create_table": False}, "'customers' does not exist"),
        ({"table": "a.b.c.d"}, "table must be a name"),
    ],
)
def test_arguments_that_cannot_be_right_are_refused_before_the_first_call(
    airflow, sqlite, arguments, message
):
    with pytest.raises(AirflowFailException, match=message):
        load(**arguments)
    assert calls(airflow) == []
    assert sqlite.tables() == set()


def test_a_connection_of_no_sql_database_is_refused(airflow, monkeypatch):
    for kind, message in (
        ("intacct", "is not a SQL connection .its hook is IntacctHook"),
        ("oracle", "'oracle', whose provider"),
    ):
        monkeypatch.setenv(ENVIRONMENT, json.dumps({"conn_type": kind}))
        with pytest.raises(AirflowFailException, match=message):
            load()
    assert calls(airflow) == []
