"""The dialects of PostgreSQL and SQLite, and which one a connection uses."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, Sequence
from typing import Any

from intacct_provider.exceptions import IntacctArgumentError, IntacctColumnError
from intacct_provider.export.schema.values import to_json, to_text
from intacct_provider.export.sql.dialect import NESTED, Cursor, Dialect, Name, Slot, TableColumn

#: Characters that are escaped in COPY's format.
_COPY_SPECIAL = re.compile(r"[\\\t\n\r]")
_COPY_ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})
_JSON_NUL = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")
_LONGEST_NAME = 63
_LARGEST = 2**63


def find_dialect(hook: Any) -> Dialect:
    """Return the dialect of a hook's database."""
    kinds = {"postgres": Postgres, "postgresql": Postgres, "sqlite": Sqlite}
    name = getattr(hook, "conn_type", None)
    return kinds.get(name if name in kinds else getattr(hook, "dialect_name", ""), Dialect)(hook)


class _Quoting(Dialect):
    """Names are used as written, case included, with any characters."""

    undoes_ddl = True

    def quote(self, name: str) -> str:
        """Return a name in quotes, case included."""
        if not name or "\0" in name:
            raise IntacctArgumentError(f"{name!r} cannot be the name of a table or column.")
        return '"' + name.replace('"', '""') + '"'

    def merge(self, table: str, stage: str, key: str, names: Sequence[str]) -> list[tuple[str, str]]:
        """Return statements that update rows that exist and insert the others, each with what it counts."""
        # Neither ON CONFLICT, which needs a unique index, nor MERGE, which counts both as one and is new to PostgreSQL.
        changes = ", ".join(f"{n} = s.{n}" for n in names if n != key) or f"{key} = s.{key}"
        update = f"UPDATE {table} AS t SET {changes} FROM {stage} AS s WHERE t.{key} = s.{key}"  # noqa: S608
        values = ", ".join(f"s.{name}" for name in names)
        insert = (
            f"INSERT INTO {table} ({', '.join(names)}) SELECT {values} FROM {stage} AS s "  # noqa: S608
            f"LEFT JOIN {table} AS t ON t.{key} = s.{key} WHERE t.{key} IS NULL"
        )
        return [(update, "updated"), (insert, "inserted")]


class Postgres(_Quoting):
    """PostgreSQL, through psycopg 2 or 3."""

    title = "PostgreSQL"
    types: Mapping[str, str] = {
        "string": "text", "boolean": "boolean", "integer": "bigint", "date": "date", "timestamp": "timestamptz"
    }  # fmt: skip
    nested = "jsonb"

    def quote(self, name: str) -> str:
        """Return a name in quotes, case included."""
        if len(name.encode()) > _LONGEST_NAME:
            raise IntacctArgumentError(
                f"{name!r} is longer than the {_LONGEST_NAME} bytes that PostgreSQL allows for a name. Give the field "
                "a shorter name of a column: fields={'field': 'column'}."
            )
        return super().quote(name)

    def decimal(self, scale: int | None) -> str:
        """Return the type of exact numbers."""
        return "numeric" if scale is None else f"numeric(38, {scale})"

    def prepare(self, cursor: Cursor) -> None:
        """Make a new connection ready."""
        # A timestamp without a time zone is in UTC.
        cursor.execute("SET TIME ZONE 'UTC'")
        # So that the server soon notices that a worker has died, and releases its locks.
        for setting, seconds in (("idle", 60), ("interval", 10), ("count", 6)):
            cursor.execute(f"SET tcp_keepalives_{setting} = {seconds}")

    def read_columns(self, cursor: Cursor, table: Name) -> list[TableColumn] | None:
        """Return the columns of a table, or None if it does not exist."""
        cursor.execute("SELECT to_regclass(%s) IS NULL AS missing", [self.path(table)])
        if row_values(cursor.fetchone())[0]:
            return None
        cursor.execute(
            "SELECT attname AS name, format_type(atttypid, atttypmod) AS type, "
            "attnotnull AND NOT atthasdef AND attidentity = '' AS required FROM pg_attribute "
            "WHERE attrelid = to_regclass(%s) AND attnum > 0 AND NOT attisdropped ORDER BY attnum",
            [self.path(table)],
        )
        return [TableColumn(*row_values(row)) for row in cursor.fetchall()]

    def has_references(self, cursor: Cursor, table: Name) -> bool:
        """Whether foreign keys of other tables name rows of this one."""
        cursor.execute(
            "SELECT count(*) AS n FROM pg_constraint WHERE contype = 'f' AND confrelid = to_regclass(%s)",
            [self.path(table)],
        )
        return bool(row_values(cursor.fetchone())[0])

    def lock(self, cursor: Cursor, table: Name, *, rows: bool) -> None:
        """Begin a transaction that keeps other loads into the table waiting for its end."""
        # The advisory lock is for a table that does not exist yet.
        cursor.execute("SELECT pg_advisory_xact_lock(hashtext(%s))", ["intacct " + self.path(table)])
        if rows:
            cursor.execute(f"LOCK TABLE {self.path(table)} IN SHARE ROW EXCLUSIVE MODE")

    def analyze(self, cursor: Cursor, table: str) -> None:
        """Have the planner know how large a new table is."""
        cursor.execute(f"ANALYZE {table}")

    def fill(
        self, cursor: Cursor, stage: str, slots: Sequence[Slot], keys: Sequence[str], rows: Sequence[Any]
    ) -> None:
        """Add rows by COPY, if the driver supports it."""
        if not hasattr(cursor, "copy") and not hasattr(cursor, "copy_expert"):
            super().fill(cursor, stage, slots, keys, rows)
            return
        lines = map("\t".join, zip(*self.convert_rows(slots, keys, rows), strict=True))
        names = ", ".join(self.quote(slot.name) for slot in slots)
        _copy(cursor, f"COPY {stage} ({names}) FROM STDIN", "\n".join(lines) + "\n")

    def convert(self, slot: Slot, keys: Sequence[str], values: Sequence[Any]) -> list[Any]:
        """Return the values as COPY takes them: text, which PostgreSQL converts to the type of the column."""
        nested = slot.column.type in NESTED
        texts = list(map(to_json if nested else to_text, values))
        whole = "\n".join(filter(None, texts)) if nested else "".join(filter(None, texts))
        if "\0" in whole or (nested and _JSON_NUL.search(whole)):
            at = next(n for n, t in enumerate(texts) if t and ("\0" in t or (nested and _JSON_NUL.search(t))))
            raise IntacctColumnError(
                f"Column {slot.name!r} of the record with key {keys[at]} has a NUL character (U+0000), which text "
                "in PostgreSQL cannot hold. Correct the record in Intacct, or leave the field out."
            )
        if _COPY_SPECIAL.search(whole):
            texts = [text and text.translate(_COPY_ESCAPES) for text in texts]
        return [r"\N" if text is None else text for text in texts]


class Sqlite(_Quoting):
    """SQLite, which has no exact numbers: amounts are text, so that no digit is lost."""

    title = "SQLite"
    types: Mapping[str, str] = {
        "string": "TEXT", "boolean": "BOOLEAN", "integer": "INTEGER", "date": "TEXT", "timestamp": "TEXT"
    }  # fmt: skip

    def decimal(self, scale: int | None) -> str:  # noqa: ARG002
        """Return the type of exact numbers."""
        return "TEXT"

    def prepare(self, cursor: Cursor) -> None:
        """Make a new connection ready."""
        # A writer has to wait while others read.
        cursor.execute("PRAGMA busy_timeout = 60000")

    def read_columns(self, cursor: Cursor, table: Name) -> list[TableColumn] | None:
        """Return the columns of a table, or None if it does not exist."""
        schema = "".join(f"{self.quote(part)}." for part in table[:-1])
        cursor.execute(f"PRAGMA {schema}table_info({self.quote(table[-1])})")
        # A column INTEGER PRIMARY KEY numbers its rows itself.
        found = [
            TableColumn(
                name, kind, bool(required) and default is None and not (key and kind.upper() == "INTEGER")
            )
            for _, name, kind, required, default, key in cursor.fetchall()
        ]
        return found or None

    def lock(self, cursor: Cursor, table: Name, *, rows: bool) -> None:  # noqa: ARG002
        """Begin a transaction that keeps other loads into the table waiting for its end."""
        cursor.execute("BEGIN IMMEDIATE")

    def convert(self, slot: Slot, keys: Sequence[str], values: Sequence[Any]) -> list[Any]:
        """Return the values of a column as the driver takes them."""
        if slot.column.type == "integer":
            return [
                value
                if value is None or (isinstance(value, int) and -_LARGEST <= value < _LARGEST)
                else to_text(value)
                for value in values
            ]
        if slot.column.type == "boolean":
            return super().convert(slot, keys, values)
        return list(map(to_json if slot.column.type in NESTED else to_text, values))


def row_values(row: Any) -> tuple[Any, ...]:
    """Return a row's values, whatever kind of cursor the connection uses."""
    return tuple(row.values()) if isinstance(row, Mapping) else tuple(row)


def _copy(cursor: Cursor, sql: str, text: str) -> None:
    if hasattr(cursor, "copy"):
        with cursor.copy(sql) as copy:
            copy.write(text)
        return
    cursor.copy_expert(sql, io.StringIO(text))
