"""A missing schema or right is found before anything is read, and fields have columns of their own."""

import json
from contextlib import suppress

import duckdb
import psycopg
import pytest
from sql_tables import ENVIRONMENT, KEY, KINDS, Database, database_servers, loaded, page

from intacct_provider.exceptions import IntacctArgumentError
from intacct_provider.export.schema.columns import Column
from intacct_provider.export.sql.access import is_refusal
from intacct_provider.export.sql.load_log import Owner
from intacct_provider.export.sql.table_load import TableLoad

OWNER = Owner("sales", "run 1", "load")


@pytest.fixture(scope="module")
def servers():
    with database_servers() as running:
        yield running


@pytest.fixture(params=KINDS)
def database(request, tmp_path, monkeypatch, servers):
    return Database(request.param, tmp_path, monkeypatch, servers)


def test_a_schema_that_does_not_exist_is_refused(database):
    refused = pytest.raises(IntacctArgumentError, match="no schema 'nowhere', or the user may not use it")
    with refused, database.load("nowhere.customers"):
        pytest.fail("the load began")


@pytest.mark.parametrize("mode", ["append", "replace", "merge"])
def test_looking_changes_nothing(database, mode):
    if database.kind == "standard" and mode == "merge":
        pytest.skip("what the standard calls MERGE is not what is tried")
    with database.load(mode=mode, owner=OWNER):
        assert database.kind == "duckdb" or database.tables() == set()
    assert database.tables() == set()
    loaded(database.load(mode=mode, owner=OWNER), page(("1", "a", "1.00")))
    with database.load(mode=mode, owner=OWNER):
        pass
    assert database.tables() == {"customers", "intacct_exports"}
    assert [name for (name,) in database.run("SELECT name FROM customers")] == ["a"]


def test_fields_that_databases_take_for_one_have_columns_of_their_own(database):
    fields = ("accountLabel", "accountlabel", "a.b", "a_b")
    columns = (KEY, *(Column(name, name, "string") for name in fields))
    for mode in ("append", "replace"):
        with database.load(mode=mode) as load:
            named = load.name_columns(columns)
            load.begin(named)
            load.write(page(("1", *fields), columns=columns))
    assert [column.name for column in named] == ["key", "accountLabel", "accountlabel_2", "a_b", "a_b_2"]


@pytest.mark.parametrize(
    ("message", "refused"),
    [
        ("(1142, \"INSERT command denied to user 'reader'@'localhost' for table 'customers'\")", True),
        ("(1044, \"Access denied for user 'reader'@'localhost' to database 'finance'\")", True),
        ("SQL access control error: Insufficient privileges to operate on schema 'FINANCE'", True),
        (
            "The INSERT permission was denied on the object 'customers', database 'finance', schema 'dbo'.",
            True,
        ),
        ("403 Access Denied: Table finance.customers: User does not have permission", True),
        (
            'Cannot execute statement of type "CREATE" on database "x" which is attached in read-only mode!',
            True,
        ),
        ("attempt to write a readonly database", True),
        ("database is locked", False),
        ("server closed the connection unexpectedly", False),
        ("cannot insert a non-DEFAULT value into column", False),
        ("(2013, 'Lost connection to MySQL server during query')", False),
    ],
)
def test_what_databases_say_of_rights(message, refused):
    assert is_refusal(RuntimeError(message)) is refused


def test_a_file_that_may_only_be_read(tmp_path, monkeypatch):
    database = Database("duckdb", tmp_path, monkeypatch)
    loaded(database.load(owner=OWNER), page(("1", "a", "1.00")))
    path = json.loads(database.connection)["host"]
    hook = database.hook()
    hook.get_conn = lambda: duckdb.connect(path, read_only=True)
    load = TableLoad(hook, "customers", owner=OWNER)
    refused = pytest.raises(IntacctArgumentError, match=r"may not .*read-only")
    with refused, load:
        pytest.fail("the load began")


def test_the_key_of_merge_is_a_field_before_it_is_a_column(tmp_path, monkeypatch):
    """``a.b`` has the column ``a_b``, and the key is the field ``a_b``, whose column is ``a_b_2``."""
    database = Database("sqlite", tmp_path, monkeypatch)
    columns = (KEY, Column("a.b", "a.b", "string"), Column("a_b", "a_b", "string"))
    with database.load() as load:
        named = load.name_columns(columns)
    for value in ("first", "second"):
        rows = page(("1", value, "id 1"), ("2", value, "id 2"), columns=columns)
        loaded(database.load(mode="merge", key="a_b"), rows, columns=named)
    assert [*database.run("SELECT a_b, a_b_2 FROM customers ORDER BY key")] == [
        ("second", "id 1"),
        ("second", "id 2"),
    ]


@pytest.mark.slow
def test_the_right_to_delete_is_needed_where_deleted_records_are_found(tmp_path, monkeypatch, servers):
    database = Database("postgres", tmp_path, monkeypatch, servers)
    with suppress(psycopg.errors.DuplicateObject):
        database.run("CREATE ROLE keeper LOGIN")
    database.run("CREATE TABLE customers (key text)", "GRANT SELECT, INSERT, UPDATE ON customers TO keeper")
    monkeypatch.setenv(ENVIRONMENT, json.dumps(json.loads(database.connection) | {"login": "keeper"}))
    with database.load(mode="merge"):
        pass
    refused = pytest.raises(IntacctArgumentError, match="may not delete rows")
    with refused, database.load(mode="merge", deletes=True):
        pytest.fail("the load began")
