"""SQLite under the sandbox: one table per object, one connection, one lock.

A single guarded connection makes every call see the whole effect of the calls before it, which is
what a test needs; requests of this size take well under a millisecond, so nobody waits long.
"""

from __future__ import annotations

import math
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation, Overflow
from typing import Any

from intacct_provider.sandbox.objects.audit_history import VIEW
from intacct_provider.sandbox.objects.catalog import OBJECTS
from intacct_provider.sandbox.objects.definitions import Field, ObjectType

CENTS = "decimal-precision-2"

# References whose target may be deleted over the API are looked up backwards, so they get an index.
INDEXED_TARGETS = (
    "company-config/entity",
    "accounts-receivable/customer",
    "general-ledger/account-group",
    "general-ledger/account-group-purpose",
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
"""


def utc_now() -> datetime:
    """Return the present moment in UTC."""
    return datetime.now(UTC)


def quote(name: str) -> str:
    """Return an SQL identifier, double-quoted."""
    return '"' + name.replace('"', '""') + '"'


def column(path: str) -> str:
    """Return the double-quoted column of a field, of a reference's key or of a list."""
    return quote(path)


class Store:
    """The company's records.

    :param path: a file, created when missing and kept; ``:memory:`` for a company that ends with it
    :param clock: returns the present moment with a time zone; stamps audits and dates macros
    """

    def __init__(self, path: str = ":memory:", clock: Callable[[], datetime] = utc_now) -> None:
        self.path = path
        self.clock = clock
        self._lock = threading.RLock()
        self._depth = 0
        self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._connection.row_factory = sqlite3.Row
        self._connection.create_function("FOLD", 1, _fold, deterministic=True)
        # A crash of the machine may cost the last writes of a sandbox; a crash of the process may not.
        self._connection.execute("PRAGMA journal_mode=WAL")
        self._connection.execute("PRAGMA synchronous=NORMAL")
        self._create_tables()

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Give the connection to one thread; commit at the end, roll back on any exception.

        An inner ``transaction()`` of the same thread joins the outer one.
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
        """Return the clock's moment in UTC."""
        return self.clock().astimezone(UTC)

    def close(self) -> None:
        """Close the file; the store cannot be used afterwards."""
        with self._lock:
            self._connection.close()

    def _create_tables(self) -> None:
        self._connection.executescript(OWN_TABLES)
        with self.transaction() as conn:
            for object_type in OBJECTS.values():
                for statement in table_statements(object_type):
                    conn.execute(statement)
                add_missing_columns(conn, object_type)
        self._connection.executescript(VIEW)


def table_statements(object_type: ObjectType) -> Sequence[str]:
    """Return the SQL that creates the table of an object and its indexes.

    ``key`` is the primary key; every other field, ``<reference>.key`` and list is one column.
    """
    columns = ['"key" INTEGER PRIMARY KEY AUTOINCREMENT', *column_definitions(object_type).values()]
    table = quote(object_type.name)
    statements = [f'CREATE TABLE IF NOT EXISTS {table} ({", ".join(columns)}, UNIQUE ("id"))']
    for ref in object_type.refs:
        if ref.target in INDEXED_TARGETS:
            index = quote(f"{object_type.name} by {ref.path}")
            statements.append(f"CREATE INDEX IF NOT EXISTS {index} ON {table} ({column(ref.path + '.key')})")
    return statements


def column_definitions(object_type: ObjectType) -> dict[str, str]:
    """Return the SQL of each column but the primary key, by the column's name."""
    types = {one.path: sql_type(one) for one in object_type.fields if one.path != "key"}
    types |= {f"{ref.path}.key": "INTEGER" for ref in object_type.refs}
    types |= {one.path: "TEXT" for one in object_type.lists}
    return {name: f"{column(name)} {kind}" for name, kind in types.items()}


def add_missing_columns(conn: sqlite3.Connection, object_type: ObjectType) -> None:
    """Bring the table of an older file up to date; what an object gained has its default there."""
    table = quote(object_type.name)
    present = {row["name"] for row in conn.execute(f"PRAGMA table_info({table})")}
    for name, definition in column_definitions(object_type).items():
        if name not in present:
            field = object_type.field(name)
            value = None if field is None or field.default is None else to_stored(field, field.default)
            literal = conn.execute("SELECT quote(?)", (value,)).fetchone()[0]
            conn.execute(f"ALTER TABLE {table} ADD COLUMN {definition} DEFAULT {literal}")


def sql_type(field: Field) -> str:
    """Return the column type: cents and booleans are integers, dates are text."""
    if field.format == CENTS or field.kind in ("integer", "boolean"):
        return "INTEGER"
    return "REAL" if field.kind == "number" else "TEXT"


def to_wire(field: Field, stored: object) -> object:
    """Return a stored value as JSON shows it: ``1`` as ``true``, cents as ``"170200.00"``, key as ``"24"``."""
    if stored is None:
        return None
    if field.path == "key" or field.path.endswith(".key"):
        return str(stored)
    if field.format == CENTS and isinstance(stored, int):
        return f"{'-' if stored < 0 else ''}{abs(stored) // 100}.{abs(stored) % 100:02d}"
    if field.kind == "boolean":
        return bool(stored)
    if field.kind == "number" and isinstance(stored, float) and stored.is_integer():
        return int(stored)  # recorded answers say 10, not 10.0
    return stored


def to_stored(field: Field, wire: object) -> object:
    """Return a JSON value as its column keeps it.

    :raises ValueError: when the value is not of the field's kind or format
    """
    if wire is None:
        return None
    if field.format == CENTS:
        return _cents(wire)
    if field.path == "key" or field.path.endswith(".key"):
        return int(str(wire))
    if field.kind == "boolean":
        return int(_typed(wire, bool, "a boolean"))
    if field.kind == "integer":
        return _integer(wire)
    if field.kind == "number":
        return _number(wire)
    text = _typed(wire, str, "a string")
    if field.format == "date":
        return datetime.strptime(text, "%Y-%m-%d").date().isoformat()  # noqa: DTZ007 - a date has no zone
    if field.format == "date-time":
        return stamp(datetime.fromisoformat(text))
    return text


def stamp(moment: datetime) -> str:
    """Return a moment as the API writes it: UTC, whole seconds, ``Z``."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _typed(wire: object, kind: type, name: str) -> Any:
    if not isinstance(wire, kind):
        raise ValueError(f"must be {name}")
    return wire


def _integer(wire: object) -> int:
    # A boolean is an int to Python, but never to JSON.
    if isinstance(wire, bool) or not isinstance(wire, int):
        raise ValueError("must be an integer")
    if not -(2**63) <= wire < 2**63:
        raise ValueError("is too large")
    return wire


def _number(wire: object) -> float:
    if isinstance(wire, bool) or not isinstance(wire, int | float):
        raise ValueError("must be a number")
    try:
        number = float(wire)
    except OverflowError:
        raise ValueError("is too large") from None
    if not math.isfinite(number):
        raise ValueError("must be a number")
    return number


def _cents(wire: object) -> int:
    try:
        cents = Decimal(_typed(wire, str, "a decimal string")) * 100
    except (InvalidOperation, Overflow):
        raise ValueError("must be a decimal string") from None
    if not cents.is_finite() or cents != cents.to_integral_value():
        raise ValueError("must have at most two decimal places")
    return int(cents)


def _fold(text: str | None) -> str | None:
    return None if text is None else str(text).casefold()
