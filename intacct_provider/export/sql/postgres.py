"""The dialect of PostgreSQL."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, Sequence
from typing import Any

from intacct_provider.exceptions import IntacctArgumentError
from intacct_provider.export.schema.values import to_json, to_text
from intacct_provider.export.sql.dialect import (
    NESTED,
    Cursor,
    Name,
    Slot,
    TableColumn,
    reject_value,
    row_values,
    to_utc,
)
from intacct_provider.export.sql.quoting import QuotingDialect

#: Characters that are escaped in COPY's format.
_COPY_SPECIAL = re.compile(r"[\\\t\n\r]")
_COPY_ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})
_JSON_NUL = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")
_LONGEST_NAME = 63
#: Classes of errors about values: of data, of constraints, of the condition of a view, and raised by a trigger.
_REJECTED = frozenset(("22", "23", "44", "P0"))
#: Classes of errors that may pass: connections, conflicts of transactions, resources, operators, the system.
_PASSING = frozenset(("08", "40", "53", "57", "58", "XX"))
_LOCKED = "55P03"


class Postgres(QuotingDialect):
    """PostgreSQL, through psycopg 2 or 3."""

    title = "PostgreSQL"
    types: Mapping[str, str] = {
        "string": "text", "boolean": "boolean", "integer": "bigint", "date": "date", "timestamp": "timestamptz"
    }  # fmt: skip
    nested = "jsonb"
    exact: Mapping[str, str] = {
        "string": "text|character varying",
        "boolean": "boolean",
        "integer": "bigint|integer|smallint|numeric",
        "decimal": r"numeric|numeric\(\d+,\s*\d+\)",
        "date": "date",
        "timestamp": "timestamptz|timestamp with time zone",
        "nested": "jsonb|json|text",
    }

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
            "attnotnull AND NOT atthasdef AND attidentity = '' AS required, NOT attnotnull AS nullable, "
            "attgenerated <> '' OR attidentity = 'a' AS generated "
            "FROM pg_attribute WHERE attrelid = to_regclass(%s) AND attnum > 0 AND NOT attisdropped ORDER BY attnum",
            [self.path(table)],
        )
        return [TableColumn(*row_values(row)) for row in cursor.fetchall()]

    def list_tables(self, cursor: Cursor, table: Name) -> list[str]:  # noqa: ARG002
        """Return the names of tables; the information schema has only those that the user may use."""
        cursor.execute("SELECT tablename AS n FROM pg_catalog.pg_tables")
        return [str(row_values(row)[0]) for row in cursor.fetchall()]

    def has_references(self, cursor: Cursor, table: Name) -> bool:
        """Whether foreign keys of other tables name rows of this one."""
        cursor.execute(
            "SELECT count(*) AS n FROM pg_constraint WHERE contype = 'f' AND confrelid = to_regclass(%s)",
            [self.path(table)],
        )
        return bool(row_values(cursor.fetchone())[0])

    def changes_rows(self, cursor: Cursor, table: Name) -> bool:
        """Whether a table may keep other rows than are written to it: by a trigger or a rule, or as a view."""
        cursor.execute(
            "WITH parts AS (SELECT to_regclass(%s)::oid AS id "
            "UNION SELECT relid FROM pg_partition_tree(to_regclass(%s))) "
            "SELECT EXISTS (SELECT 1 FROM parts JOIN pg_trigger ON tgrelid = id WHERE NOT tgisinternal) "
            "OR EXISTS (SELECT 1 FROM parts JOIN pg_rewrite ON ev_class = id) AS changes",
            [self.path(table), self.path(table)],
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

    def identify(self, column: str) -> str:
        """Return the text of a column, whose own type or collation may ignore case and accents."""
        return f'CAST({column} AS text) COLLATE "C"'

    def reveal(self, slot: Slot) -> str:
        """Return what shows the value of a column with every digit, which the text of a real does not."""
        name = self.quote(slot.name)
        return f"CAST({name} AS double precision)" if slot.type == "real" else name

    def rejects(self, err: BaseException) -> bool:
        """Whether an error is about a value: also one that a trigger raises, or the condition of a view."""
        return _get_code(err)[:2] in _REJECTED or super().rejects(err)

    def may_pass(self, err: BaseException) -> bool:
        """Whether an error of the database may be gone at the next attempt."""
        code = _get_code(err)
        return not code or code[:2] in _PASSING or code == _LOCKED

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
        if slot.column.type == "timestamp":
            texts = list(map(to_utc, texts))
        whole = "\n".join(filter(None, texts)) if nested else "".join(filter(None, texts))
        if "\0" in whole or (nested and _JSON_NUL.search(whole)):
            at = next(n for n, t in enumerate(texts) if t and ("\0" in t or (nested and _JSON_NUL.search(t))))
            raise reject_value(
                slot, keys[at], values[at], "it has a NUL character (U+0000), which PostgreSQL cannot hold"
            )
        if _COPY_SPECIAL.search(whole):
            texts = [text and text.translate(_COPY_ESCAPES) for text in texts]
        return [r"\N" if text is None else text for text in texts]


def _get_code(err: BaseException) -> str:
    """Return PostgreSQL's code for an error; empty if it has none."""
    return str(getattr(err, "sqlstate", None) or getattr(err, "pgcode", None) or "")


def _copy(cursor: Cursor, sql: str, text: str) -> None:
    if hasattr(cursor, "copy"):
        with cursor.copy(sql) as copy:
            copy.write(text)
        return
    cursor.copy_expert(sql, io.StringIO(text))
