"""A load is green only if the table has the rows as they were read; what its owner has to correct is not retried."""

import pytest
from sql_tables import KEY, LIMIT, MARIADB, NAME, POSTGRES, Database, database_servers, loaded, page

from intacct_provider.exceptions import IntacctArgumentError, IntacctColumnError
from intacct_provider.export.sql.load_log import Owner

ROWS = page(("1", "Ann", "10.50"), ("2", "Bob", None), ("3", "Cy", 7))
TABLE = 'CREATE TABLE customers (key varchar(20), name varchar(20), "limit" decimal(12, 2), note varchar(20))'
SQLITE = 'CREATE TABLE customers (key text, name text, "limit" text, note text)'
VIEW = "CREATE VIEW customers AS SELECT * FROM base"


def postgres_trigger(body, when="BEFORE INSERT", table="customers", each="FOR EACH ROW"):
    return (
        f"CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN {body} END'",
        f"CREATE TRIGGER t {when} ON {table} {each} EXECUTE FUNCTION f()",
    )


def base(table):
    return table.replace("customers", "base")


@pytest.fixture(scope="module")
def servers():
    with database_servers() as found:
        yield found


@pytest.fixture
def make(request, tmp_path, monkeypatch):
    """Make a database of a kind."""

    def run(kind, *statements):
        database = Database(kind, tmp_path, monkeypatch, request.getfixturevalue("servers"))
        database.run(*statements)
        return database

    return run


def lost(kind, name, *statements, modes=("append", "replace", "merge"), values=None):
    marks = pytest.mark.slow if kind in ("postgres", "mysql") else ()
    return pytest.param(kind, statements, modes, id=f"{kind}-{name}", marks=marks)


LOST = [
    lost("postgres", "drops all", TABLE, *postgres_trigger("RETURN NULL;")),
    lost("postgres", "drops one", TABLE, *postgres_trigger("IF NEW.key = ''2'' THEN RETURN NULL; END IF; RETURN NEW;")),
    lost("postgres", "rule", TABLE, "CREATE RULE r AS ON INSERT TO customers DO INSTEAD NOTHING"),
    lost("postgres", "cuts", TABLE, *postgres_trigger("NEW.name = left(NEW.name, 2); RETURN NEW;")),
    lost(
        "postgres", "view", base(TABLE), VIEW,
        *postgres_trigger("RETURN NULL;", "INSTEAD OF INSERT"), modes=("append",),
    ),
    lost(
        "postgres", "partition", TABLE + " PARTITION BY LIST (name)",
        "CREATE TABLE rest PARTITION OF customers DEFAULT", *postgres_trigger("RETURN NULL;", table="rest"),
    ),
    lost(
        "postgres", "keeps old rows", TABLE, "INSERT INTO customers (key, name) VALUES ('9', 'Old')",
        *postgres_trigger("RETURN NULL;", "BEFORE DELETE"), modes=("replace",),
    ),
    lost(
        "sqlite", "ignores all", SQLITE,
        "CREATE TRIGGER t BEFORE INSERT ON customers BEGIN SELECT RAISE(IGNORE); END",
    ),
    lost(
        "sqlite", "overwrites", SQLITE,
        "CREATE TRIGGER t AFTER INSERT ON customers BEGIN UPDATE customers SET name = 'x' WHERE key = NEW.key; END",
    ),
    lost(
        "sqlite", "replaces another", SQLITE.replace("note text", "note text DEFAULT 'n' UNIQUE ON CONFLICT REPLACE"),
    ),
    lost(
        "sqlite", "view", base(SQLITE), VIEW,
        "CREATE TRIGGER t INSTEAD OF INSERT ON customers BEGIN SELECT 1; END", modes=("append",),
    ),
    lost(
        "mysql", "cuts", TABLE,
        "CREATE TRIGGER t BEFORE INSERT ON customers FOR EACH ROW SET NEW.name = LOWER(NEW.name)",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "statements", "modes"), LOST)
def test_a_table_that_changes_what_is_written_to_it_is_refused(make, kind, statements, modes):
    database = make(kind, *statements)
    before = database.run("SELECT key, name FROM customers")
    for mode in modes:
        with pytest.raises(IntacctColumnError, match=r"does not keep what is written to it, so nothing was"):
            loaded(database.load(mode=mode), ROWS)
        assert database.run("SELECT key, name FROM customers") == before


@pytest.mark.parametrize("kind", ["sqlite", POSTGRES])
def test_a_row_that_is_dropped_is_missed_where_an_earlier_one_is_its_equal(make, kind):
    database = make(kind, SQLITE if kind == "sqlite" else TABLE)
    loaded(database.load(), ROWS)
    database.run(
        *("CREATE TRIGGER t BEFORE INSERT ON customers BEGIN SELECT RAISE(IGNORE); END",)
        if kind == "sqlite"
        else postgres_trigger("RETURN NULL;")
    )
    with pytest.raises(IntacctColumnError, match="it has other rows than it should have"):
        loaded(database.load(), ROWS)


@pytest.mark.slow
def test_rows_of_deleted_records_that_a_trigger_keeps_are_missed(make):
    database = make("postgres", TABLE, *postgres_trigger("RETURN NULL;", "BEFORE DELETE"))
    loaded(database.load(mode="merge"), ROWS)
    with pytest.raises(IntacctColumnError, match="it has other rows than it should have"):
        loaded(database.load(mode="merge", deletes=True), gone=["3"])


#: Triggers, views and partitions as people have them, which keep every row.
KEPT = [
    lost("postgres", "note", TABLE, *postgres_trigger("NEW.note = now()::text::varchar(20); RETURN NEW;")),
    lost("postgres", "view", base(TABLE), VIEW),
    lost(
        "postgres", "child", TABLE, "CREATE TABLE child () INHERITS (customers)",
        *postgres_trigger("INSERT INTO child SELECT NEW.*; RETURN NULL;"),
    ),
    lost(
        "sqlite", "view", base(SQLITE), VIEW,
        "CREATE TRIGGER t INSTEAD OF INSERT ON customers BEGIN "
        "INSERT INTO base VALUES (NEW.key, NEW.name, NEW.\"limit\", ''); END", modes=("append",),
    ),
    lost(
        "mysql", "note", TABLE,
        "CREATE TRIGGER t BEFORE INSERT ON customers FOR EACH ROW SET NEW.note = 'x'",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "statements", "modes"), KEPT)
def test_a_table_that_does_more_but_keeps_the_rows_is_fine(make, kind, statements, modes):
    database = make(kind, *statements)
    for mode in modes:
        database.run("DELETE FROM customers" if "VIEW" not in str(statements) else "DELETE FROM base")
        assert loaded(database.load(mode=mode), ROWS)["inserted"] == 3
        assert len(database.run("SELECT key FROM customers")) == 3


@pytest.mark.slow
def test_a_real_does_not_hold_amounts(make):
    database = make("postgres", 'CREATE TABLE customers (key text, "limit" real)')
    amounts = page(("1", "89731.04"), columns=(KEY, LIMIT))
    with pytest.raises(
        IntacctColumnError, match=r"'limit' \(real\) .*89731\.04.*would become '89731\.0390625'"
    ):
        loaded(database.load(), amounts, columns=(KEY, LIMIT))
    halves = page(("1", "0.5"), columns=(KEY, LIMIT))
    assert loaded(database.load(), halves, columns=(KEY, LIMIT))["inserted"] == 1


@pytest.mark.slow
def test_a_zero_is_not_a_number_that_mariadb_chooses(make):
    database = make("mysql", "CREATE TABLE customers (key int AUTO_INCREMENT PRIMARY KEY, name varchar(20))")
    loaded(database.load(), page(("0", "Ann"), columns=(KEY, NAME)), columns=(KEY, NAME))
    assert database.run("SELECT key FROM customers") == [(0,)]


GENERATED = "name varchar(20) GENERATED ALWAYS AS ('x') STORED"


@pytest.mark.parametrize("kind", ["sqlite", POSTGRES, MARIADB])
@pytest.mark.parametrize("add_columns", [False, True])
def test_a_generated_column_is_named_before_anything_is_read(make, kind, add_columns):
    database = make(kind, f"CREATE TABLE customers (key varchar(20), {GENERATED})")
    with database.load(add_columns=add_columns) as load, pytest.raises(IntacctArgumentError) as caught:
        load.begin((KEY, NAME))
    assert "Column 'name' of table 'customers' is generated by the database" in str(caught.value)


#: What only its owner can correct, with what a load says of it.
UNFIT = [
    ("duckdb", (f"CREATE TABLE customers (key varchar, {GENERATED.replace('STORED', '')})",), "enerated"),
    ("duckdb", ("CREATE VIEW customers AS SELECT '1' AS key, 'x' AS name",), "cannot be loaded as it is"),
    ("sqlite", ("CREATE VIEW customers AS SELECT '1' AS key, 'x' AS name",), "because it is a view"),
    (
        "sqlite",
        ("CREATE TABLE customers (key text, name text)", "CREATE TABLE intacct_exports (other text)"),
        "'intacct_exports' is not the log of loads: it has no column 'load_id'",
    ),
    *(
        pytest.param("postgres", statements, said, marks=pytest.mark.slow)
        for statements, said in (
            (("CREATE TABLE customers (key int GENERATED ALWAYS AS IDENTITY, name text)",), "is generated by"),
            (("CREATE VIEW customers AS SELECT '1' AS key, 'x' AS name",), "cannot insert into"),
            (("CREATE MATERIALIZED VIEW customers AS SELECT '1'::text AS key, 'x'::text AS name",), "materialized"),
        )
    ),
    pytest.param(
        "mysql", ("CREATE VIEW customers AS SELECT '1' AS key, 'x' AS name",), "customers", marks=pytest.mark.slow
    ),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "statements", "said"), UNFIT)
def test_what_no_retry_can_mend_is_an_error_of_arguments_before_anything_is_read(
    make, kind, statements, said
):

    database = make(kind, *statements)
    with pytest.raises(IntacctArgumentError) as caught, database.load(owner=Owner("d", "r", "t")) as load:
        load.begin((KEY, NAME))
    assert said in str(caught.value)


@pytest.mark.slow
def test_the_table_of_another_database_is_an_error_of_arguments(make):
    database = make("postgres")
    with (
        pytest.raises(IntacctArgumentError, match=r"x\.public\.customers"),
        database.load("x.public.customers"),
    ):
        pass


RAISES = "CREATE TRIGGER t BEFORE INSERT ON customers"
RAISING = [
    ("sqlite", (SQLITE, f"{RAISES} BEGIN SELECT RAISE(ABORT, 'closed'); END"), "closed"),
    *(
        pytest.param("postgres", statements, said, marks=pytest.mark.slow)
        for statements, said in (
            ((TABLE, *postgres_trigger("RAISE EXCEPTION ''closed'';")), "closed"),
            (
                (TABLE.replace("note", "CONSTRAINT one UNIQUE (note) DEFERRABLE INITIALLY DEFERRED, note")
                 .replace("note varchar(20)", "note varchar(20) DEFAULT 'n'"),),
                "one",
            ),
            ((base(TABLE), "CREATE VIEW customers AS SELECT * FROM base WHERE name = 'x' WITH CHECK OPTION"), "check"),
        )
    ),
    *(
        pytest.param("mysql", statements, said, marks=pytest.mark.slow)
        for statements, said in (
            (
                (TABLE, f"{RAISES} FOR EACH ROW SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'closed'"),
                "closed",
            ),
            ((TABLE + " PARTITION BY LIST COLUMNS (name) (PARTITION a VALUES IN ('Ann'))",), "partition"),
            ((base(TABLE), "CREATE VIEW customers AS SELECT * FROM base WHERE name = 'x' WITH CHECK OPTION"), "CHECK"),
        )
    ),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "statements", "said"), RAISING)
def test_rows_that_the_table_rejects_in_any_way_are_an_error_of_columns(make, kind, statements, said):
    database = make(kind, *statements)
    with pytest.raises(IntacctColumnError, match=r"rejected the rows, so none was kept: .*" + said):
        loaded(database.load(), ROWS)
    assert database.run("SELECT key FROM customers") == []


@pytest.mark.slow
def test_mysql_connector_says_which_constraint_it_was(make):
    database = make("connector", TABLE.replace("note", "CONSTRAINT few CHECK (name <> 'Bob'), note"))
    with pytest.raises(IntacctColumnError, match="few"):
        loaded(database.load(), ROWS)
