"""The dialect of DuckDB."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from intacct_provider.export.schema.values import to_json, to_text
from intacct_provider.export.sql.dialect import (
    NESTED,
    Cursor,
    Name,
    Slot,
    TableColumn,
    to_utc,
)
from intacct_provider.export.sql.quoting import QuotingDialect

_PASSING = frozenset(
    (
        "ConnectionException",
        "InterruptException",
        "IOException",
        "OutOfMemoryException",
        "TransactionException",
    )
)


class DuckDb(QuotingDialect):
    """DuckDB, of which one process at a time has a file open."""

    title = "DuckDB"
    types: Mapping[str, str] = {
        "string": "VARCHAR", "boolean": "BOOLEAN", "integer": "BIGINT", "date": "DATE",
        "timestamp": "TIMESTAMP WITH TIME ZONE",
    }  # fmt: skip
    nested = "VARCHAR"
    exact: Mapping[str, str] = {
        "string": "varchar",
        "boolean": "boolean",
        "integer": "bigint|integer|hugeint",
        "decimal": r"decimal\(\d+,\s*\d+\)",
        "date": "date",
        "timestamp": "timestamp with time zone",
        "nested": "varchar",
    }

    def decimal(self, scale: int | None) -> str:
        """Return the type of exact numbers."""
        return f"DECIMAL(38, {10 if scale is None else scale})"

    def begin(self, conn: Any) -> Cursor:
        """Begin a transaction: DuckDB's cursors are connections of their own, without the temporary tables."""
        conn.begin()
        return conn

    def end(self, cursor: Cursor) -> None:
        """Leave the connection open."""

    def prepare(self, cursor: Cursor) -> None:
        """Make a new connection ready."""
        cursor.execute("SET TimeZone = 'UTC'")

    def read_columns(self, cursor: Cursor, table: Name) -> list[TableColumn] | None:
        """Return the columns of a table, or None if it does not exist."""
        schema, database = ([*reversed(table[:-1]), None, None])[:2]
        cursor.execute(
            "SELECT column_name, data_type, NOT is_nullable AND column_default IS NULL, is_nullable "
            "FROM duckdb_columns() WHERE lower(table_name) = lower(?) "
            "AND lower(schema_name) = lower(coalesce(?, current_schema())) "
            "AND lower(database_name) = lower(coalesce(?, current_database())) ORDER BY column_index",
            [table[-1], schema, database],
        )
        return [TableColumn(*row) for row in cursor.fetchall()] or None

    def has_references(self, cursor: Cursor, table: Name) -> bool:
        """Whether foreign keys of other tables name rows of this one."""
        cursor.execute(
            "SELECT count(*) FROM duckdb_constraints() WHERE constraint_type = 'FOREIGN KEY' "
            "AND lower(referenced_table) = lower(?)",
            [table[-1]],
        )
        return bool(cursor.fetchone()[0])

    def may_pass(self, err: BaseException) -> bool:
        """Whether an error of the database may be gone at the next attempt."""
        return type(err).__name__ in _PASSING

    def identify(self, column: str) -> str:
        """Return the bytes of a column, whose collation may ignore case and accents."""
        return f"encode(CAST({column} AS VARCHAR))"

    def fill(
        self, cursor: Cursor, stage: str, slots: Sequence[Slot], keys: Sequence[str], rows: Sequence[Any]
    ) -> None:
        """Add rows in one statement: DuckDB is slow at rows one by one."""
        names = ", ".join(self.quote(slot.name) for slot in slots)
        columns = ", ".join(["unnest(CAST(? AS VARCHAR[]))"] * len(slots))
        cursor.execute(
            f"INSERT INTO {stage} ({names}) SELECT {columns}", self.convert_rows(slots, keys, rows)
        )

    def convert(self, slot: Slot, keys: Sequence[str], values: Sequence[Any]) -> list[Any]:  # noqa: ARG002
        """Return the values as text, which DuckDB converts to the type of the column."""
        if slot.column.type in NESTED:
            return list(map(to_json, values))
        texts = map(to_text, values)
        return list(map(to_utc, texts)) if slot.column.type == "timestamp" else list(texts)
