"""Loads of tables: whole or nothing, nothing twice, every value as it was. On SQLite and on a real PostgreSQL."""

import datetime as dt
import json
import re
import threading
import time
from contextlib import closing
from dataclasses import replace
from decimal import Decimal

import pytest
from sql_tables import (
    COLUMNS,
    KEY,
    KINDS,
    KNOWN,
    LIMIT,
    NAME,
    Database,
    counts,
    database_servers,
    facts_of,
    loaded,
    page,
)

from intacct_provider.exceptions import IntacctArgumentError, IntacctColumnError
from intacct_provider.export.schema.columns import Column
from intacct_provider.export.sql.load_log import TABLE, LoadEntry, Owner
from intacct_provider.export.sql.open_table import MODES

OWNER = Owner("dag", "run", "task")
FIRST = page(("1", "Ann", "10.50"), ("2", "Bob", None))
SECOND = page(("3", "Cy", 7))
ALL = [("1", "Ann", Decimal("10.50")), ("2", "Bob", None), ("3", "Cy", Decimal(7))]
OLD = [("1", "Old", Decimal(1)), ("9", "Nine", Decimal(9))]
MAKE = "CREATE TABLE customers (key text, name text, \"limit\" {decimal}, note text DEFAULT 'none')"


@pytest.fixture(scope="module")
def servers():
    with database_servers() as found:
        yield found


def database_of(kind, request, tmp_path, monkeypatch):
    return Database(kind, tmp_path, monkeypatch, request.getfixturevalue("servers"))


@pytest.fixture(params=KINDS)
def database(request, tmp_path, monkeypatch):
    return database_of(request.param, request, tmp_path, monkeypatch)


@pytest.fixture(params=KNOWN)
def known(request, tmp_path, monkeypatch):
    """A database of which more than the standard is known."""
    return database_of(request.param, request, tmp_path, monkeypatch)


@pytest.fixture
def postgres(request, tmp_path, monkeypatch):
    return database_of("postgres", request, tmp_path, monkeypatch)


@pytest.fixture
def sqlite(request, tmp_path, monkeypatch):
    return database_of("sqlite", request, tmp_path, monkeypatch)


def made(database, *rows):
    """Make a table as a user has it, with a column that no export knows."""
    exact = "text" if database.sqlite else "numeric(20, 2)" if database.mysql else "numeric"
    statements = [MAKE.format(decimal=exact)]
    for key, name, limit, *note in rows or OLD:
        values = f"'{key}', '{name}', {limit}"
        names = 'key, name, "limit"' + (", note" if note else "")
        statements.append(
            f"INSERT INTO customers ({names}) VALUES ({values}{f', {note[0]!r}' if note else ''})"  # noqa: S608
        )
    database.run(*statements)


def rows_of(database, table="customers", names='key, name, "limit"'):
    rows = database.run(f"SELECT {names} FROM {table} ORDER BY 1, 2")  # noqa: S608
    if database.sqlite:
        return [
            tuple(Decimal(v) if n == 2 and v is not None else v for n, v in enumerate(row)) for row in rows
        ]
    return rows


# --- modes


def test_append_adds_all_pages(database):
    made(database)
    assert loaded(database.load(), FIRST, SECOND) == counts(rows=3, inserted=3)
    assert rows_of(database) == sorted(OLD + ALL)


def test_replace_leaves_the_new_rows_only(database):
    made(database)
    assert loaded(database.load(mode="replace"), FIRST, SECOND) == counts(rows=3, inserted=3, deleted=2)
    assert rows_of(database) == ALL


def test_replace_by_nothing_empties_the_table(database):
    made(database)
    assert loaded(database.load(mode="replace")) == counts(deleted=2)
    assert rows_of(database) == []


def test_merge_updates_and_inserts_and_lets_alone_what_it_does_not_know(database):
    made(database, ("1", "Old", 1, "mine"), ("9", "Nine", 9, "yours"))
    done = loaded(database.load(mode="merge"), FIRST, SECOND)
    # The standard's MERGE reports one number for both.
    expected = (
        counts(rows=3, updated=3) if database.kind == "standard" else counts(rows=3, inserted=2, updated=1)
    )
    assert done == expected
    assert rows_of(database) == [*ALL, ("9", "Nine", Decimal(9))]
    assert database.run("SELECT key, note FROM customers ORDER BY key") == [
        ("1", "mine"),
        ("2", "none"),
        ("3", "none"),
        ("9", "yours"),
    ]


def test_merge_removes_deleted_records_in_the_same_transaction(database):
    made(database)
    done = loaded(database.load(mode="merge"), FIRST, gone=["9", "7"])
    assert (done["rows"], done["deleted"]) == (2, 1)
    assert rows_of(database) == ALL[:2]


def test_thousands_of_deleted_records_are_removed(known):
    many = [(str(n), "x", n) for n in range(9001)]
    loaded(known.load(mode="merge"), page(*many))
    assert loaded(known.load(mode="merge"), gone=(str(n) for n in range(1, 9001)))["deleted"] == 9000
    assert known.run("SELECT key FROM customers") == [("0",)]


def test_merge_can_go_by_any_field_that_tells_records_apart(known):
    made(known)
    loaded(known.load(mode="merge", key="name"), page(("5", "Nine", 50)))
    assert rows_of(known) == [("1", "Old", Decimal(1)), ("5", "Nine", Decimal(50))]


def test_merge_of_keys_alone_inserts_those_that_are_missing(known):
    made(known)
    keys = page(("9",), ("10",), columns=(KEY,))
    assert loaded(known.load(mode="merge"), keys, columns=(KEY,)) == counts(rows=2, inserted=1, updated=1)
    assert known.run("SELECT key FROM customers ORDER BY key") == [("1",), ("10",), ("9",)]


@pytest.mark.parametrize("name", [None, "Ann"])
def test_merge_refuses_a_key_that_does_not_tell_rows_apart(known, name):
    made(known)
    twins = page(("1", "Ann", 1), ("2", name, 2))
    with pytest.raises(
        IntacctColumnError, match="key 'name' does not identify the rows: 2 rows have 1 values"
    ):
        loaded(known.load(mode="merge", key="name"), twins)
    assert rows_of(known) == OLD


def test_merge_refuses_a_table_that_has_a_key_twice(known):
    made(known, ("1", "Old", 1), ("1", "Older", 0))
    with pytest.raises(IntacctColumnError, match=r"took 4 rows where 3 were read.*the same 'key'"):
        loaded(known.load(mode="merge", owner=OWNER), FIRST, SECOND)
    assert rows_of(known) == [("1", "Old", Decimal(1)), ("1", "Older", Decimal(0))]
    assert known.run(f"SELECT * FROM {TABLE}") == []  # noqa: S608


def test_rows_that_a_trigger_swallows_are_missed(sqlite):
    made(sqlite)
    sqlite.run(
        "CREATE TRIGGER swallow BEFORE INSERT ON customers WHEN NEW.key = '2' BEGIN SELECT RAISE(IGNORE); END"
    )
    with pytest.raises(
        IntacctColumnError, match="rows are not in it as they were read, such as that with key 2"
    ):
        loaded(sqlite.load(), FIRST, SECOND)
    assert rows_of(sqlite) == OLD


@pytest.mark.slow
def test_what_hangs_on_a_replaced_table_survives(postgres):
    made(postgres)
    postgres.run(
        "CREATE ROLE reader",
        "GRANT SELECT ON customers TO reader",
        "CREATE INDEX by_name ON customers (name)",
        "CREATE VIEW names AS SELECT name FROM customers",
    )
    loaded(postgres.load(mode="replace"), FIRST, SECOND)
    assert postgres.run("SELECT name FROM names ORDER BY name") == [("Ann",), ("Bob",), ("Cy",)]
    assert postgres.run("SELECT has_table_privilege('reader', 'customers', 'SELECT')") == [(True,)]
    assert postgres.run("SELECT indexname FROM pg_indexes WHERE tablename = 'customers'") == [("by_name",)]
    postgres.run("DROP OWNED BY reader", "DROP ROLE reader")


@pytest.mark.slow
def test_replace_spares_rows_of_other_tables_that_refer_to_rows_that_stay(postgres):
    postgres.run(
        'CREATE TABLE customers (key text DEFAULT 0 PRIMARY KEY, name text, "limit" numeric)',
        "INSERT INTO customers VALUES ('1', 'Old', 1), ('9', 'Nine', 9)",
        "CREATE TABLE visits (customer text REFERENCES customers ON DELETE CASCADE)",
        "INSERT INTO visits VALUES ('1'), ('9')",
    )
    assert loaded(postgres.load(mode="replace"), FIRST, SECOND) == counts(3, inserted=2, updated=1, deleted=1)
    assert rows_of(postgres) == ALL
    assert postgres.run("SELECT * FROM visits") == [("1",)]
    with pytest.raises(IntacctArgumentError, match=r"foreign keys of other tables.*needs it"):
        loaded(postgres.load(mode="replace"), columns=(NAME,))


# --- whole or nothing


@pytest.mark.parametrize("mode", MODES)
def test_nothing_shows_before_it_is_published_and_nothing_is_left_without(database, mode):
    made(database)
    before = database.tables()
    with database.load(mode=mode) as load:
        load.begin(COLUMNS)
        load.write(FIRST)
        assert rows_of(database) == OLD
    assert rows_of(database) == OLD
    assert database.tables() == before


@pytest.mark.parametrize("mode", MODES)
def test_a_table_is_not_even_created_before_it_is_published(known, mode):
    with known.load(mode=mode) as load:
        load.begin(COLUMNS)
        load.write(FIRST)
        assert known.tables() == set()
        load.publish(facts_of())
    assert rows_of(known) == ALL[:2]


@pytest.mark.slow
@pytest.mark.parametrize("mode", MODES)
def test_readers_see_all_old_rows_until_they_see_all_new_ones(postgres, mode):
    made(postgres)
    # The load stops within its transaction, its rows in the table, until the test goes on.
    postgres.run(
        "CREATE FUNCTION wait() RETURNS trigger AS "
        "'BEGIN PERFORM pg_advisory_xact_lock_shared(77); RETURN NULL; END' LANGUAGE plpgsql",
        "CREATE TRIGGER wait AFTER INSERT ON customers EXECUTE FUNCTION wait()",
    )
    with closing(postgres.connect()) as holder, postgres.load(mode=mode) as load:
        load.begin(COLUMNS)
        load.write(FIRST)
        holder.execute("SELECT pg_advisory_lock(77)")
        writer = threading.Thread(target=load.publish, args=(facts_of(),))
        writer.start()
        waits = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = 77 AND NOT granted"
        while holder.execute(waits).fetchone() == (0,):
            assert writer.is_alive()
            time.sleep(0.01)
        assert rows_of(postgres) == OLD
        holder.execute("SELECT pg_advisory_unlock(77)")
        writer.join()
    assert ("2", "Bob", None) in rows_of(postgres)


def test_readers_of_sqlite_see_all_old_rows_while_new_ones_are_written(sqlite):
    made(sqlite)
    seen = []
    with sqlite.load(mode="replace") as load:
        load.begin(COLUMNS)
        load.write(FIRST)
        load._conn.set_trace_callback(
            lambda sql: seen.append(rows_of(sqlite)) if "customers" in sql else None
        )
        load.publish(facts_of())
    assert seen == [OLD] * len(seen)
    assert len(seen) >= 2
    assert rows_of(sqlite) == ALL[:2]


# --- nothing twice


@pytest.mark.parametrize("mode", MODES)
def test_a_retry_after_the_commit_reads_and_writes_nothing(database, mode):
    loaded(database.load(mode=mode, owner=OWNER), FIRST, SECOND, digest="q", object="o", last_key="3")
    line = loaded(database.load(mode=mode, owner=OWNER), FIRST, SECOND, digest="q")
    assert isinstance(line, LoadEntry)
    assert (line.row_count, line.facts.last_key, line.facts.object) == (3, "3", "o")
    assert rows_of(database) == ALL


def test_a_cleared_task_does_not_append_a_second_time(known):
    loaded(known.load(owner=OWNER), FIRST)
    assert isinstance(loaded(known.load(owner=replace(OWNER, clears=2)), SECOND), LoadEntry)
    assert rows_of(known) == ALL[:2]


@pytest.mark.parametrize("mode", ["replace", "merge"])
def test_a_cleared_task_replaces_and_merges_again(known, mode):
    loaded(known.load(mode=mode, owner=OWNER), FIRST)
    assert loaded(known.load(mode=mode, owner=replace(OWNER, clears=2)), FIRST, SECOND)["rows"] == 3
    assert rows_of(known) == ALL
    assert known.run(f"SELECT clears, row_count FROM {TABLE}") == [(2, 3)]  # noqa: S608


def test_rows_of_another_query_are_not_taken_for_those_of_the_run(known):
    loaded(known.load(owner=OWNER), FIRST, digest="one")
    with pytest.raises(IntacctArgumentError, match="already appended 2 rows of another query"):
        loaded(known.load(owner=OWNER), SECOND, digest="two")
    loaded(known.load("others", mode="replace", owner=OWNER), FIRST, digest="one")
    assert loaded(known.load("others", mode="replace", owner=OWNER), SECOND, digest="two")["rows"] == 1


@pytest.mark.parametrize(
    "other",
    [
        replace(OWNER, run_id="next"),
        replace(OWNER, dag_id="other"),
        replace(OWNER, task_id="other"),
        replace(OWNER, map_index=1),
        None,
    ],
)
def test_other_loads_append_their_own(sqlite, other):
    loaded(sqlite.load(owner=OWNER), FIRST)
    assert loaded(sqlite.load(owner=other), SECOND)["inserted"] == 1
    assert rows_of(sqlite) == ALL


def test_of_two_tries_at_once_one_appends(known):
    with known.load(owner=OWNER) as lost, known.load(owner=OWNER) as found:
        for load in (lost, found):
            assert load.begin(COLUMNS) is None
            load.write(FIRST)
        done = found.publish(facts_of(first_key="found"))
        assert (done.rows, done.inserted, done.first_key) == (2, 2, "found")
        assert lost.publish(facts_of(first_key="lost")).first_key == "found"
    assert rows_of(known) == ALL[:2]


@pytest.mark.slow
def test_loads_that_create_one_table_at_once_all_find_their_place(postgres):
    barrier, errors = threading.Barrier(4), []

    def one(number):
        try:
            with postgres.load(owner=replace(OWNER, map_index=number)) as load:
                barrier.wait()
                load.begin(COLUMNS)
                load.write(page((str(number), "x", 1)))
                barrier.wait()
                load.publish(facts_of())
        except Exception as err:
            errors.append(err)
            barrier.abort()

    threads = [threading.Thread(target=one, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert len(rows_of(postgres)) == 4
    assert postgres.run(f"SELECT count(*) FROM {TABLE}") == [(4,)]  # noqa: S608


def test_the_line_of_a_load_tells_what_it_was(known):
    facts = {"object": "ar/customer", "first_key": "1", "last_key": "3", "watermark": "2026"}
    loaded(known.load(mode="merge", owner=replace(OWNER, map_index=4)), FIRST, SECOND, digest="abc", **facts)
    names = "table_name, mode, dag_id, run_id, task_id, map_index, object_name, query_digest, row_count, first_key, "
    (line,) = known.run(f"SELECT {names} last_key, watermark, facts, finished_at FROM {TABLE}")  # noqa: S608
    written = ("customers", "merge", "dag", "run", "task", 4, "ar/customer", "abc", 3, "1", "3", "2026")
    assert line[:12] == written
    assert json.loads(line[12]).items() >= (facts | counts(3, inserted=3) | {"mode": "merge"}).items()
    finished = line[13] if isinstance(line[13], dt.datetime) else dt.datetime.fromisoformat(line[13])
    finished = finished if finished.tzinfo else finished.replace(tzinfo=dt.UTC)
    assert abs(dt.datetime.now(dt.UTC) - finished) < dt.timedelta(minutes=5)


# --- tables and names


def test_tables_are_created_with_the_types_of_the_model(known):
    kinds = ("string", "boolean", "integer", "decimal", "date", "timestamp", "json")
    columns = [Column(kind, kind, kind, 4 if kind == "decimal" else None) for kind in kinds]
    loaded(known.load(), columns=[KEY, *columns])
    information = "SELECT column_type FROM information_schema.columns WHERE table_schema = database()"
    asked, types = {
        "sqlite": (
            "SELECT type FROM pragma_table_info('customers')",
            "TEXT, TEXT, BOOLEAN, INTEGER, TEXT, TEXT, TEXT, TEXT",
        ),
        "duckdb": (
            "SELECT data_type FROM duckdb_columns() WHERE table_name = 'customers'",
            "VARCHAR, VARCHAR, BOOLEAN, BIGINT, DECIMAL(38,4), DATE, TIMESTAMP WITH TIME ZONE, VARCHAR",
        ),
        "postgres": (
            "SELECT format_type(atttypid, atttypmod) FROM pg_attribute WHERE attnum > 0 "  # noqa: ISC004
            "AND attrelid = to_regclass('customers') ORDER BY attnum",
            "text, text, boolean, bigint, numeric(38,4), date, timestamp with time zone, jsonb",
        ),
        "mysql": (
            f"{information} AND table_name = 'customers' ORDER BY ordinal_position",
            "longtext, longtext, tinyint(1), bigint(20), decimal(38,4), date, datetime(6), longtext",
        ),
    }[known.kind]
    assert ", ".join(kind for (kind,) in known.run(asked)) == types


def test_the_key_of_a_merged_table_that_is_created_is_its_primary_key(known):
    loaded(known.load(mode="merge"), FIRST)
    with pytest.raises(Exception, match=r"(?i)unique|duplicate"):
        known.run("INSERT INTO customers (key) VALUES ('1')")


def test_a_missing_column_is_named_with_the_nearest_one(known):
    made(known)
    with (
        known.load() as load,
        pytest.raises(IntacctArgumentError, match=r"has no column 'nam'. Did you mean 'name'"),
    ):
        load.check(["key", "nam"])


def test_a_missing_column_is_added_when_asked_for(known):
    made(known)
    since = Column("since", "startDate", "date")
    columns = (*COLUMNS, since)
    with pytest.raises(IntacctArgumentError, match="no column 'since'"):
        loaded(known.load(), columns=columns)
    loaded(known.load(add_columns=True), page(("3", "Cy", 1, "2026-01-31"), columns=columns), columns=columns)
    day = "2026-01-31" if known.sqlite else dt.date(2026, 1, 31)
    assert known.run("SELECT key, since FROM customers ORDER BY key") == [
        ("1", None),
        ("3", day),
        ("9", None),
    ]


def test_columns_are_found_whatever_their_case(database):
    made(database)
    loud = (KEY, Column("NAME", "name", "string"), LIMIT)
    loaded(database.load(), FIRST, columns=loud)
    assert ("2", "Bob", None) in rows_of(database)


def test_a_table_that_is_missing_is_an_error_unless_it_may_be_created(database):
    with (
        database.load(create=False) as load,
        pytest.raises(IntacctArgumentError, match="'customers' does not exist"),
    ):
        load.check(["key"])


def test_a_column_that_must_have_a_value_is_found_before_anything_is_read(known):
    known.run('CREATE TABLE customers (key text, name text, "limit" numeric, owner text NOT NULL)')
    with known.load() as load, pytest.raises(IntacctArgumentError, match=r"'owner'.*must not be null"):
        load.check(["key", "name", "limit"])


def test_columns_that_fill_themselves_need_no_value(known):
    serial = {
        "sqlite": "INTEGER PRIMARY KEY",
        "duckdb": "bigint DEFAULT nextval('ids')",
        "postgres": "bigint GENERATED ALWAYS AS IDENTITY",
        "mysql": "bigint AUTO_INCREMENT PRIMARY KEY",
    }[known.kind]
    known.run(
        *(["CREATE SEQUENCE ids"] if known.duckdb else []),
        f'CREATE TABLE customers (id {serial}, key text, name text, "limit" numeric(9, 2), '
        "since varchar(9) NOT NULL DEFAULT 'now')",
    )
    loaded(known.load(), FIRST)
    assert known.run("SELECT id, key, since FROM customers ORDER BY id") == [(1, "1", "now"), (2, "2", "now")]


@pytest.mark.slow
def test_what_the_user_must_not_do_is_found_before_anything_is_read(postgres):
    made(postgres)
    postgres.run(
        'CREATE TABLE calm (key text, name text, "limit" numeric, UNIQUE (key))',
        'CREATE VIEW customer_names AS SELECT DISTINCT key, name, "limit" FROM customers',
    )
    with postgres.load("customer_names") as load, pytest.raises(Exception, match="cannot insert into view"):
        load.begin(COLUMNS)
    with pytest.raises(IntacctArgumentError, match="no schema 'nowhere'"), postgres.load("nowhere.customers"):
        pass


@pytest.mark.slow
def test_tables_of_a_schema_are_found_and_created_in_it(postgres):
    postgres.run("CREATE SCHEMA finance")
    loaded(postgres.load("finance.customers", owner=OWNER), FIRST)
    assert loaded(postgres.load("finance.customers", mode="replace"), SECOND)["deleted"] == 2
    assert rows_of(postgres, "finance.customers") == ALL[2:]
    assert postgres.run(f"SELECT table_name FROM finance.{TABLE}") == [("finance.customers",)]  # noqa: S608


HOSTILE = 'a"; DROP TABLE customers; --'


def test_hostile_names_are_names_and_nothing_else(known):
    made(known)
    columns = (KEY, Column(HOSTILE, "name", "string"))
    loaded(known.load(HOSTILE, mode="merge"), page(("1", "x"), columns=columns), columns=columns)
    assert rows_of(known) == OLD
    assert known.tables() == {"customers", HOSTILE}


@pytest.mark.parametrize("column", [HOSTILE, "a b", "", "n\0"])
def test_hostile_names_are_refused_where_nothing_but_the_standard_is_known(
    request, tmp_path, monkeypatch, column
):
    database = database_of("standard", request, tmp_path, monkeypatch)
    with pytest.raises(IntacctArgumentError, match="cannot be the name"):
        loaded(database.load(), columns=(KEY, Column(column, "name", "string")))
    assert database.tables() == set()


@pytest.mark.parametrize("table", ["", "a..b", "a.b.c.d", ".a", None, 5])
def test_what_is_no_name_of_a_table_is_refused(sqlite, table):
    with pytest.raises(IntacctArgumentError, match="table must be a name"):
        sqlite.load(table)


@pytest.mark.slow
def test_a_name_too_long_for_postgresql_is_refused_rather_than_cut(postgres):
    with pytest.raises(IntacctArgumentError, match="longer than the 63 bytes"):
        loaded(postgres.load(), columns=(KEY, Column("ä" * 32, "name", "string")))


def test_the_table_of_the_lines_is_not_for_rows(sqlite):
    with pytest.raises(IntacctArgumentError, match="is the log of loads"):
        sqlite.load("main.Intacct_Exports")


def test_a_mode_that_there_is_not_is_refused(sqlite):
    with pytest.raises(IntacctArgumentError, match="Did you mean 'append'"):
        sqlite.load(mode="apend")


def test_merging_needs_its_key_among_the_fields(known):
    with pytest.raises(IntacctArgumentError, match=r"key 'nam' is not among the fields.*Did you mean 'name'"):
        loaded(known.load(mode="merge", key="nam"))


@pytest.mark.parametrize("how", [{"mode": "append"}, {"mode": "replace"}, {"mode": "merge", "key": "name"}])
def test_deleted_records_are_for_merging_by_key(sqlite, how):
    columns = (NAME, LIMIT) if how["mode"] == "merge" else COLUMNS
    with sqlite.load(**how) as load:
        load.begin(columns)
        with pytest.raises(IntacctArgumentError, match="mode='merge' and 'key'"):
            load.remove(["1"])


# --- values


def one(database, column, *values, **how):
    """Load values of one column and return what the table has."""
    columns = (KEY, column)
    rows = [(str(n), value) for n, value in enumerate(values)]
    loaded(database.load(**how), page(*rows, columns=columns), columns=columns)
    return [value for (value,) in database.run(f'SELECT "{column.name}" FROM customers ORDER BY key')]  # noqa: S608


TEXTS = [
    "", "tab\tand\nnewline\r\n", "\\N", "\\.", "back\\slash", "Grüße 漢字 🎉",
    '"quoted", \'text\'', "x" * 3_000_000, None
]  # fmt: skip


def test_text_is_kept_to_the_last_character(database):
    assert one(database, NAME, *TEXTS) == TEXTS


def test_amounts_are_exact(known):
    amounts = [Decimal("0.10"), "12345678901234567890123456789.12", Decimal("1E+3"), 5, "-7.25", None, ""]
    kept = one(known, LIMIT, *amounts)
    exact = ["0.10", "12345678901234567890123456789.12", "1000", "5", "-7.25", None, None]
    assert [value if value is None else Decimal(value) for value in kept] == [e and Decimal(e) for e in exact]


@pytest.mark.slow
def test_an_amount_that_would_be_rounded_is_an_error_that_names_it(postgres):
    postgres.run('CREATE TABLE customers (key text, "limit" numeric(9, 2))')
    assert one(postgres, LIMIT, "1.2300", "1E-2", "0.000", Decimal(5)) == [
        Decimal("1.23"), Decimal("0.01"), Decimal(0), Decimal(5)
    ]  # fmt: skip
    for amount in ("1.234", Decimal("0.001"), Decimal("1E-9")):
        with pytest.raises(
            IntacctColumnError, match=r"'limit' \(numeric\(9,2\)\) .* key 1: it has room for 2"
        ):
            one(postgres, LIMIT, "1.20", amount)


def test_amounts_in_binary_fractions_are_warned_of(known, caplog):
    known.run('CREATE TABLE customers (key text, "limit" double precision)')
    one(known, LIMIT, "1.5")
    assert re.search(
        r"'limit' of customers is (?i:double)( precision)?: amounts in it are not exact", caplog.text
    )


def test_truths_dates_moments_and_whole_numbers(database):
    columns = [KEY, *(Column(k[0], k, k) for k in ("boolean", "integer", "date", "timestamp"))]
    rows = [
        ("0", True, 9007199254740993, "2026-02-28", "2026-02-28T23:59:59Z"),
        ("1", "false", "12", "2024-02-29", "2026-02-28T23:59:59.5+02:00"),
        ("2", None, None, None, None),
        ("3", False, "", "", ""),
    ]
    loaded(database.load(), page(*rows, columns=columns), columns=columns)
    found = [row[1:] for row in database.run("SELECT * FROM customers ORDER BY key")]
    if database.sqlite:
        assert found[0] == (1, 9007199254740993, "2026-02-28", "2026-02-28T23:59:59Z")
        assert found[1] == (0, 12, "2024-02-29", "2026-02-28T23:59:59.5+02:00")
    else:
        zone = None if database.kind == "standard" or database.mysql else dt.UTC
        late = dt.datetime(2026, 2, 28, 23, 59, 59, tzinfo=zone)
        early = late.replace(hour=21, microsecond=500000)
        assert found[0] == (True, 9007199254740993, dt.date(2026, 2, 28), late)
        assert found[1] == (False, 12, dt.date(2024, 2, 29), early)
    assert found[2] == (None,) * 4
    assert found[3] == (0, None, None, None)


@pytest.mark.slow
def test_a_moment_without_a_zone_is_in_utc_wherever_the_server_is(postgres):
    postgres.run("ALTER ROLE warehouse SET timezone = 'Asia/Tokyo'")
    try:
        (kept,) = one(postgres, Column("at", "at", "timestamp"), "2026-01-31T10:00:00")
    finally:
        postgres.run("ALTER ROLE warehouse RESET timezone")
    assert kept == dt.datetime(2026, 1, 31, 10, tzinfo=dt.UTC)


@pytest.mark.parametrize("number", [2**63, -(2**63) - 1])
def test_whole_numbers_too_large_for_the_database_are_refused(known, number):
    column = Column("n", "n", "integer")
    assert one(known, column, 2**63 - 1, "12") == [2**63 - 1, 12]
    with pytest.raises(IntacctColumnError, match=f"Column 'n' .* cannot hold '{number}' .* with key 1: "):
        one(known, column, 1, number, mode="replace")
    assert known.run("SELECT n FROM customers ORDER BY key") == [(2**63 - 1,), (12,)]


def test_nested_values_are_json(known):
    value = {"id": "a", "lines": [{"amount": Decimal("0.30")}, "tab\t", None], "text": "\\u0000 is not a NUL"}
    (kept, none, text) = one(known, Column("more", "more", "struct"), value, None, "plain")
    assert none is None
    if known.kind != "postgres":
        assert json.loads(kept, parse_float=Decimal) == value
        assert json.loads(text) == "plain"
    else:
        assert known.run(
            "SELECT more->'lines'->0->>'amount', more->>'text' FROM customers WHERE key = '0'"
        ) == [("0.30", "\\u0000 is not a NUL")]
        assert text == "plain"


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["string", "list"])
def test_a_nul_character_is_an_error_in_postgresql_that_names_column_and_key(postgres, kind):
    column, value = Column("name", "name", kind), "a\0b"
    value = value if kind == "string" else [value]
    with pytest.raises(IntacctColumnError, match=r"'name' .* of the record with key 1: it has a NUL"):
        one(postgres, column, "fine", value)
    assert postgres.tables() == set()


def test_sqlite_keeps_a_nul_character(sqlite):
    assert one(sqlite, NAME, "a\0b") == ["a\0b"]


@pytest.mark.parametrize(
    ("kind", "value"), [("boolean", "maybe"), ("integer", "1.5x"), ("date", "31/01"), ("timestamp", "x")]
)
def test_a_value_that_is_not_of_its_type_is_an_error_that_names_it(
    request, tmp_path, monkeypatch, kind, value
):
    database = database_of("standard", request, tmp_path, monkeypatch)
    with pytest.raises(IntacctColumnError, match=f"'c' is {kind}, and record 0 has "):
        one(database, Column("c", "c", kind), value)


@pytest.mark.slow
@pytest.mark.parametrize("cursor", ["dictcursor", "namedtuplecursor"])
def test_cursors_of_the_connection_may_return_what_they_like(postgres, monkeypatch, cursor):
    connection = json.loads(postgres.connection) | {"extra": {"cursor": cursor}}
    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", json.dumps(connection))
    loaded(postgres.load(mode="merge", owner=OWNER), FIRST)
    assert isinstance(loaded(postgres.load(mode="merge", owner=OWNER), FIRST), LoadEntry)
    loaded(postgres.load(mode="replace"), SECOND)
    assert rows_of(postgres) == ALL[2:]


def test_a_field_asked_for_in_another_order_goes_into_its_own_column(sqlite):
    loaded(sqlite.load(), FIRST, columns=(LIMIT, KEY, NAME))
    assert rows_of(sqlite) == ALL[:2]
