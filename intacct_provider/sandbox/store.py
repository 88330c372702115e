"""The SQLite database of the company: one table per object, one connection, one lock.

With a single locked connection every call sees all effects of earlier calls, as tests need. Statements take
well under a millisecond, so waiting for the lock is short.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cache

from intacct_provider.sandbox.objects.audit_history import VIEW
from intacct_provider.sandbox.objects.catalog import BUILT_IN, Catalog
from intacct_provider.sandbox.objects.definitions import ListField, ObjectType
from intacct_provider.sandbox.objects.names import ACCOUNT_GROUP, ACCOUNT_GROUP_PURPOSE, CUSTOMER, ENTITY
from intacct_provider.sandbox.objects.owned import LIST, find_owner, list_ownerships, move_elements
from intacct_provider.sandbox.objects.values import sql_type, to_stored

MEMORY = ":memory:"

# Deleting a record of these looks for references to it, so the references have an index.
INDEXED_TARGETS = (
    ENTITY,
    CUSTOMER,
    ACCOUNT_GROUP,
    ACCOUNT_GROUP_PURPOSE,
)

# The sandbox's own tables; object tables are named like "accounts-receivable/customer".
OWN_TABLES = """
CREATE TABLE IF NOT EXISTS "ia::counter" (name TEXT PRIMARY KEY, value INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS "ia::token" (
    digest TEXT PRIMARY KEY, kind TEXT NOT NULL, user TEXT NOT NULL, entity TEXT, expires REAL NOT NULL
);
CREATE TABLE IF NOT EXISTS "ia::idempotency" (
    key TEXT PRIMARY KEY, request TEXT NOT NULL, status INTEGER NOT NULL, body BLOB NOT NULL,
    cached REAL NOT NULL
);
CREATE INDEX IF NOT EXISTS "ia::idempotency by age" ON "ia::idempotency" (cached);
CREATE TABLE IF NOT EXISTS "ia::history" (
    number INTEGER PRIMARY KEY, object TEXT NOT NULL, key INTEGER NOT NULL, moment TEXT NOT NULL,
    user INTEGER NOT NULL, action TEXT NOT NULL, changes BLOB NOT NULL
);
CREATE INDEX IF NOT EXISTS "ia::history by record" ON "ia::history" (object, key);
CREATE TABLE IF NOT EXISTS "ia::job" (
    number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, object TEXT NOT NULL, operation TEXT NOT NULL,
    caller TEXT NOT NULL, user INTEGER NOT NULL, entity INTEGER, status TEXT NOT NULL, since REAL NOT NULL,
    total INTEGER NOT NULL, done INTEGER NOT NULL, problem TEXT
);
CREATE INDEX IF NOT EXISTS "ia::job by status" ON "ia::job" (status, since);
CREATE TABLE IF NOT EXISTS "ia::job record" (
    job INTEGER NOT NULL, number INTEGER NOT NULL, content BLOB NOT NULL, PRIMARY KEY (job, number)
);
CREATE TABLE IF NOT EXISTS "ia::trigger" (
    object TEXT NOT NULL, action TEXT NOT NULL, PRIMARY KEY (object, action)
);
CREATE TABLE IF NOT EXISTS "ia::event" (
    number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, object TEXT NOT NULL, action TEXT NOT NULL, key TEXT,
    batch TEXT, content BLOB NOT NULL
);
CREATE INDEX IF NOT EXISTS "ia::event by batch" ON "ia::event" (batch);
"""


def utc_now() -> datetime:
    """Return the current time in UTC."""
    return datetime.now(UTC)


def quote(name: str) -> str:
    """Return a double-quoted SQL identifier: a table, or the column of a field, a list or a reference's key."""
    return '"' + name.replace('"', '""') + '"'


class Database(sqlite3.Connection):
    """A connection to the database of a company, which knows the objects of the company."""

    catalog: Catalog = BUILT_IN


class Store:
    """The company's records.

    :param path: a file, which is created if missing; ``:memory:`` keeps nothing.
    :param clock: returns the current time with a time zone, for audit stamps and relative dates.
    :param catalog: the company's objects.
    """

    def __init__(
        self,
        path: str = MEMORY,
        clock: Callable[[], datetime] = utc_now,
        catalog: Catalog = BUILT_IN,
    ) -> None:
        self.path = path
        self.clock = clock
        self.catalog = catalog
        self._lock = threading.RLock()
        self._depth = 0
        self._connection = _connect(path, catalog)
        if path == MEMORY and catalog is BUILT_IN:
            _built_in_tables().backup(self._connection)
        else:
            _create_tables(self._connection)

    @contextmanager
    def transaction(self) -> Iterator[Database]:
        """Lock the connection for this thread; commit at the end, roll back on any exception.

        A nested ``transaction()`` of the same thread is part of the outer one.
        """
        with self._lock:
            if self._depth:
                yield self._connection
                return
            self._connection.execute("BEGIN IMMEDIATE")
            self._depth += 1
            try:
                yield self._connection
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
            else:
                self._connection.execute("COMMIT")
            finally:
                self._depth -= 1

    def now(self) -> datetime:
        """Return the clock's time in UTC."""
        return self.clock().astimezone(UTC)

    @property
    def is_untouched(self) -> bool:
        """Whether the company is in memory, has the built-in objects, and nothing was ever written or copied."""
        if self.path != MEMORY or self.catalog is not BUILT_IN or self._connection.total_changes:
            return False
        return self._connection.execute("SELECT 1 FROM sqlite_sequence LIMIT 1").fetchone() is None

    def copy(self, other: Store) -> None:
        """Become what another store is."""
        with other._lock, self._lock:
            other._connection.backup(self._connection)

    def close(self) -> None:
        """Close the file; the store cannot be used afterwards."""
        with self._lock:
            self._connection.close()


def _connect(path: str, catalog: Catalog) -> Database:
    conn = sqlite3.connect(path, isolation_level=None, check_same_thread=False, factory=Database)
    conn.catalog = catalog
    conn.row_factory = sqlite3.Row
    conn.create_function("FOLD", 1, _fold, deterministic=True)
    # Writes may be lost if the machine crashes, but not if the process does.
    conn.execute("PRAGMA journal_mode=WAL")
    conn.execute("PRAGMA synchronous=NORMAL")
    return conn


@cache
def _built_in_tables() -> Database:
    """Return a company without records, which every company in memory begins as a copy of: tests make thousands."""
    conn = _connect(MEMORY, BUILT_IN)
    _create_tables(conn)
    return conn


def _create_tables(conn: Database) -> None:
    catalog = conn.catalog
    conn.executescript(OWN_TABLES)
    conn.execute("BEGIN IMMEDIATE")
    with conn:
        for name in catalog.owned:
            drop_view(conn, name)
        for object_type in catalog.tables.values():
            for statement in table_statements(object_type):
                conn.execute(statement)
            add_missing_columns(conn, object_type)
        for owner, kept in list_ownerships(catalog.objects.values()):
            prepare_elements(conn, owner, catalog.tables[kept.target or ""], kept)
    conn.executescript(VIEW)


def table_statements(object_type: ObjectType) -> Sequence[str]:
    """Return the SQL statements that create the table of an object and its indexes.

    ``key`` is the primary key; every other field, ``<reference>.key`` and list is one column.
    """
    columns = ['"key" INTEGER PRIMARY KEY AUTOINCREMENT', *column_definitions(object_type).values()]
    table = quote(object_type.name)
    statements = [f'CREATE TABLE IF NOT EXISTS {table} ({", ".join(columns)}, UNIQUE ("id"))']
    for ref in object_type.refs:
        if ref.target in INDEXED_TARGETS:
            index = quote(f"{object_type.name} by {ref.path}")
            statements.append(f"CREATE INDEX IF NOT EXISTS {index} ON {table} ({quote(ref.path + '.key')})")
    return statements


def column_definitions(object_type: ObjectType) -> dict[str, str]:
    """Return the SQL definition of each column except the primary key, by column."""
    types = {one.path: sql_type(one) for one in object_type.fields if one.path != "key"}
    types |= {f"{ref.path}.key": "INTEGER" for ref in object_type.refs}
    types |= {one.path: "TEXT" for one in object_type.lists if not one.owned}
    return {name: f"{quote(name)} {kind}" for name, kind in types.items()}


def add_missing_columns(conn: sqlite3.Connection, object_type: ObjectType) -> None:
    """Add the columns that the table of an older file does not have, with their defaults."""
    table = quote(object_type.name)
    present = {row["name"] for row in conn.execute(f"PRAGMA table_info({table})")}
    for name, definition in column_definitions(object_type).items():
        if name not in present:
            field = object_type.field(name)
            value = None if field is None or field.default is None else to_stored(field, field.default)
            literal = conn.execute("SELECT quote(?)", (value,)).fetchone()[0]
            conn.execute(f"ALTER TABLE {table} ADD COLUMN {definition} DEFAULT {literal}")


def prepare_elements(
    conn: sqlite3.Connection, owner: ObjectType, element: ObjectType, kept: ListField
) -> None:
    """Prepare the table of owned records for one list, and move what an older file has in a column of the owner."""
    table, column = quote(element.name), quote(f"{find_owner(element, owner.name).path}.key")
    present = {row["name"] for row in conn.execute(f"PRAGMA table_info({table})")}
    if LIST not in present:
        conn.execute(f"ALTER TABLE {table} ADD COLUMN {quote(LIST)} TEXT")
    conn.execute(
        f"CREATE INDEX IF NOT EXISTS {quote(f'{element.name} of {owner.name}')} ON {table} ({column})"
    )
    if kept.path in {row["name"] for row in conn.execute(f"PRAGMA table_info({quote(owner.name)})")}:
        conn.execute(move_elements(owner, element, kept))
        conn.execute(f"ALTER TABLE {quote(owner.name)} DROP COLUMN {quote(kept.path)}")


def drop_view(conn: sqlite3.Connection, name: str) -> None:
    """Drop the view that an older file has in place of the table of owned records."""
    if conn.execute("SELECT 1 FROM sqlite_master WHERE type = 'view' AND name = ?", (name,)).fetchone():
        conn.execute(f"DROP VIEW {quote(name)}")


def find_key(conn: sqlite3.Connection, object_name: str, leaf: str, value: object) -> int | None:
    """Return the key of the record with that key or id (the `leaf`); ``None`` if there is none."""
    sql = f'SELECT "key" FROM {quote(object_name)} WHERE {quote(leaf)} = ?'  # noqa: S608 - our names
    row = conn.execute(sql, (value,)).fetchone()
    return None if row is None else int(row["key"])


def add_stub(conn: Database, target: str, leaf: str, value: object) -> int:
    """Add a record with that key or id to an object of which nothing is known but that others refer to it."""
    key = value if leaf == "key" else reserve_key(conn, target)
    sql = f'INSERT INTO {quote(target)} ("key", "id") VALUES (?, ?)'  # noqa: S608 - our names
    conn.execute(sql, (key, str(value)))
    return int(str(key))


def reserve_key(conn: sqlite3.Connection, object_name: str) -> int:
    """Return the next key of an object, which no other record will get."""
    sql = "UPDATE sqlite_sequence SET seq = seq + 1 WHERE name = ? RETURNING seq"
    row = conn.execute(sql, (object_name,)).fetchone()
    if row is None:
        conn.execute("INSERT INTO sqlite_sequence (name, seq) VALUES (?, 1)", (object_name,))
    return 1 if row is None else int(row["seq"])


def next_number(conn: sqlite3.Connection, name: str) -> int:
    """Increment a counter and return its value."""
    sql = 'INSERT INTO "ia::counter" VALUES (?, 1) ON CONFLICT (name) DO UPDATE SET value = value + 1'
    conn.execute(sql, (name,))
    return int(conn.execute('SELECT value FROM "ia::counter" WHERE name = ?', (name,)).fetchone()["value"])


def _fold(text: str | None) -> str | None:
    return None if text is None else str(text).casefold()
