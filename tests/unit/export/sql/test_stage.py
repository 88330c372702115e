"""A table keeps what Intacct sent, or the load is refused with column and key: for values and columns of every kind."""

import datetime as dt
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sql_tables import KEY, KNOWN, MARIADB, POSTGRES, Database, database_servers, loaded, page

from intacct_provider.exceptions import IntacctColumnError
from intacct_provider.export.schema.columns import Column
from intacct_provider.export.sql.readback import is_kept

#: A value, and a column that would change it, in the words of each database that has one.
ANY = ("sqlite", "duckdb", "postgres", "mysql")
CHANGED = [
    ("decimal", "1.234", "numeric(6,2)", ANY),
    ("decimal", "12345.67", "numeric(6,2)", ("duckdb", "postgres", "mysql")),
    ("decimal", "12345678901234567890.12", "double precision", ANY),
    ("decimal", "12345678901234567890.12", "numeric", ("sqlite",)),
    ("decimal", "9" * 39, "numeric(38,0)", ("duckdb", "postgres", "mysql")),
    ("decimal", "NaN", "numeric(38,2)", ANY),
    ("decimal", "Infinity", "double precision", ANY),
    ("decimal", "9" * 61, "text", ANY),
    ("decimal", Decimal("1E+999999999"), "text", ANY),
    ("decimal", "1.5", "integer", ("duckdb", "postgres", "mysql")),
    ("integer", "70000", "smallint", ("duckdb", "postgres", "mysql")),
    ("string", "abcdef", "varchar(4)", ("postgres", "mysql")),
    ("string", "abcd  ", "varchar(4)", ("postgres", "mysql")),
    ("string", "ab  ", "char(4)", ("mysql",)),
    ("string", "ab", "char(4)", ("postgres",)),
    ("string", "007", "integer", ANY),
    ("string", "1e3", "double precision", ANY),
    ("string", "Grüße 漢字", "varchar(30) CHARACTER SET latin1", ("mysql",)),
    ("string", "🎉", "varchar(30) CHARACTER SET utf8mb3", ("mysql",)),
    ("string", "a\ud800", "text", ANY),
    ("timestamp", "2026-01-31T10:00:00Z", "date", ("duckdb", "postgres", "mysql")),
    ("timestamp", "2026-01-31T10:00:00.123456Z", "timestamp(0)", ("postgres", "mysql")),
    ("timestamp", "2026-01-31T10:00:00.1234567Z", "timestamp", ANY),
    ("timestamp", "9999-12-31T23:59:59-05:00", "timestamp", ANY),
    ("timestamp", "infinity", "timestamp", ANY),
    ("timestamp", "now", "text", ANY),
    ("date", "10000-01-01", "date", ANY),
    ("date", "infinity", "date", ANY),
    ("date", "2026-02-30", "date", ANY),
    ("date", "01/02/2026", "date", ANY),
    ("boolean", "yes", "boolean", ANY),
    ("boolean", True, "text", ("sqlite", "mysql")),
    ("json", {"a": Decimal("0.30")}, "varchar(4)", ("postgres", "mysql")),
]
#: The same of a type that keeps it.
KEPT = [
    ("decimal", "1.230", "numeric(6,2)", ANY),
    ("decimal", "0.1", "double precision", ANY),
    ("decimal", "1.5", "varchar(9)", ANY),
    ("string", "abcd", "varchar(4)", ANY),
    ("string", "abcd", "char(4)", ANY),
    ("string", "70", "integer", ANY),
    ("string", "2026-01-31", "date", ANY),
    ("timestamp", "2026-01-31T10:00:00.5+02:00", "timestamp(6)", ("postgres", "mysql")),
    ("timestamp", "2026-01-31T10:00:00.5+02:00", "timestamp", ("duckdb", "postgres")),
    ("date", "2026-01-31", "timestamp", ("duckdb", "postgres")),
    ("boolean", True, "integer", ("sqlite", "mysql")),
    ("json", {"a": [Decimal("0.30"), None]}, "text", ANY),
    ("string", None, "numeric(6,2)", ANY),
]


def cases(listed):
    """Return parameters: those of databases on servers are slow."""
    marks = {"sqlite": (), "duckdb": (), "postgres": pytest.mark.slow, "mysql": pytest.mark.slow}
    return [
        pytest.param(database, kind, value, column, marks=marks[database])
        for kind, value, column, databases in listed
        for database in databases
    ]


@pytest.fixture(scope="module")
def servers():
    with database_servers() as found:
        yield found


@pytest.fixture
def database(request, tmp_path, monkeypatch, servers):
    return Database(request.param, tmp_path, monkeypatch, servers)


def load_one(database, kind, value):
    """Load two rows, the second with a value; return what its column has."""
    column = Column("c", "c", kind, 2 if kind == "decimal" else None)
    rows = page(("1", None), ("2", value), columns=(KEY, column))
    loaded(database.load(), rows, columns=(KEY, column))
    return database.run("SELECT c FROM customers WHERE key = '2'")[0][0]


@pytest.mark.parametrize(("database", "kind", "value", "column"), cases(CHANGED), indirect=["database"])
def test_a_value_that_a_column_would_change_is_refused_with_column_and_key(database, kind, value, column):
    database.run(f"CREATE TABLE customers (key varchar(20), c {column})")
    with pytest.raises(IntacctColumnError, match=r"(?s)Column 'c' .*(key 2:|record 2 has)") as refused:
        load_one(database, kind, value)
    assert not refused.value.retryable
    assert database.run("SELECT * FROM customers") == []


@pytest.mark.parametrize(("database", "kind", "value", "column"), cases(KEPT), indirect=["database"])
def test_a_value_that_a_column_keeps_is_loaded(database, kind, value, column):
    database.run(f"CREATE TABLE customers (key varchar(20), c {column})")
    assert is_kept(Column("c", "c", kind), value, load_one(database, kind, value))


@pytest.mark.slow
@pytest.mark.parametrize("database", ["postgres"], indirect=True)
@pytest.mark.parametrize("value", ["1.234", "12345.67", "-1"])
def test_a_domain_is_read_back(database, value):
    database.run(
        "CREATE DOMAIN money2 AS numeric(6,2) CHECK (VALUE >= 0)",
        "CREATE TABLE customers (key text, c money2)",
    )
    with pytest.raises(IntacctColumnError, match=r"Column 'c' \(money2\) .* key 2: "):
        load_one(database, "decimal", value)
    assert load_one(database, "decimal", "1.23") == Decimal("1.23")


@pytest.mark.parametrize("database", KNOWN, indirect=True)
def test_the_first_of_thousands_of_rows_is_named(database):
    database.run("CREATE TABLE customers (key varchar(20), c integer NOT NULL)")
    column = Column("c", "c", "string")
    rows = [(str(n), "007" if n in (3001, 3002) else str(n)) for n in range(4000)]
    with pytest.raises(IntacctColumnError, match=r"Column 'c' .*'007' of the record with key 3001: "):
        loaded(database.load(), page(*rows, columns=(KEY, column)), columns=(KEY, column))
    rows[2000] = ("2000", None)
    with pytest.raises(IntacctColumnError, match=r"Column 'c' .* key 2000: must not be null"):
        loaded(database.load(), page(*rows[:3000], columns=(KEY, column)), columns=(KEY, column))


@pytest.mark.parametrize("database", KNOWN, indirect=True)
def test_what_a_constraint_of_the_table_rejects_is_refused(database):
    database.run("CREATE TABLE customers (key varchar(20), c varchar(9), CHECK (c <> 'bad'))")
    with pytest.raises(IntacctColumnError, match=r"table 'customers' rejected the rows.*(?i:constraint)"):
        load_one(database, "string", "bad")
    assert database.run("SELECT * FROM customers") == []


IGNORES_CASE = {
    "sqlite": "varchar(20) COLLATE NOCASE",
    "duckdb": "varchar COLLATE NOCASE.NOACCENT",
    "postgres": "varchar(20) COLLATE loose",
    "mysql": "varchar(20) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci",
}


@pytest.mark.parametrize("database", KNOWN, indirect=True)
@pytest.mark.parametrize("other", ["A1", "a1 ", "ä1"])
def test_a_collation_takes_no_two_records_for_one(database, other):
    if database.kind == "postgres":
        database.run(
            "CREATE COLLATION loose (provider = icu, locale = 'und-u-ks-level1', deterministic = false)"
        )
    database.run(
        f"CREATE TABLE customers (key {IGNORES_CASE[database.kind]}, c varchar(9))",
        "INSERT INTO customers VALUES ('a1', 'old')",
    )
    columns = (KEY, Column("c", "c", "string"))
    merged = page(("a1", "new"), (other, "other"), columns=columns)
    loaded(database.load(mode="merge"), merged, columns=columns)
    assert sorted(database.run("SELECT key, c FROM customers")) == sorted([("a1", "new"), (other, "other")])
    loaded(database.load(mode="merge"), columns=columns, gone=["a1"])
    assert database.run("SELECT key, c FROM customers") == [(other, "other")]


VALUES = {
    "string": st.text(max_size=6) | st.from_regex(r"0?[0-9]{1,3}( {0,2}|\.50)", fullmatch=True),
    "decimal": st.decimals(allow_nan=False, allow_infinity=False, places=4).map(str) | st.integers(),
    "integer": st.integers(-(2**66), 2**66),
    "date": st.dates().map(str),
    "timestamp": st.builds(
        "{}{}".format, st.datetimes().map(dt.datetime.isoformat), st.sampled_from(["Z", "+05:30", ""])
    ),
    "boolean": st.booleans() | st.sampled_from(["true", "false", ""]),
}
TYPES = (
    "varchar(4)", "char(5)", "text", "integer", "bigint", "numeric(6,2)", "numeric(38,4)", "real",
    "double precision", "date", "timestamp", "boolean",
)  # fmt: skip


@pytest.mark.parametrize(
    "database", ["sqlite", pytest.param("duckdb", marks=pytest.mark.slow), POSTGRES, MARIADB], indirect=True
)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_what_is_read_back_is_what_was_sent_or_nothing_is_loaded(database, data):
    kind = data.draw(st.sampled_from(sorted(VALUES)))
    value = data.draw(VALUES[kind] | st.none())
    column = data.draw(st.sampled_from(TYPES))
    database.run(
        "DROP TABLE IF EXISTS customers",
        f"CREATE TABLE customers (key varchar(20), c {column})",
    )
    try:
        kept = load_one(database, kind, value)
    except IntacctColumnError as err:
        assert "Column 'c'" in str(err), err  # noqa: PT017 -- what it says is the other half of the property
        assert database.run("SELECT * FROM customers") == []
    else:
        assert is_kept(Column("c", "c", kind), value, kept)
        assert_plainly_same(kind, value, kept)


def assert_plainly_same(kind, sent, kept):
    """Compare without the code that is tested."""
    if sent is None or (sent == "" and kind != "string"):
        assert kept is None
    elif kind in ("decimal", "integer"):
        assert Decimal(str(kept)) == Decimal(str(sent))
    elif kind == "boolean":
        truth = sent in (True, "true")
        assert kept in (truth, str(truth).lower())
    elif kind == "string" and isinstance(kept, str):
        assert kept == sent
    elif kind == "date":
        assert str(kept)[:10] == sent
