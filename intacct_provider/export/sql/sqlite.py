"""The dialect of SQLite."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from intacct_provider.exceptions import IntacctArgumentError
from intacct_provider.export.schema.values import to_json, to_text
from intacct_provider.export.sql.dialect import NESTED, Cursor, Name, Slot, TableColumn
from intacct_provider.export.sql.quoting import QuotingDialect

_LARGEST = 2**63
_BOOLEANS = ("true", "false")
#: What ``table_xinfo`` says of columns whose values are generated, virtual or stored.
_GENERATED = (2, 3)
_PASSING = re.compile("locked|busy|disk|i/o|unable to open|full", re.IGNORECASE)


class Sqlite(QuotingDialect):
    """SQLite, which has no exact numbers: amounts are text, so that no digit is lost."""

    title = "SQLite"
    types: Mapping[str, str] = {
        "string": "TEXT", "boolean": "BOOLEAN", "integer": "INTEGER", "date": "TEXT", "timestamp": "TEXT"
    }  # fmt: skip

    # Any other type may make numbers of texts, and binary fractions of amounts.
    exact: Mapping[str, str] = dict.fromkeys(("string", "decimal", "date", "timestamp", "nested"), "TEXT")

    def quote(self, name: str) -> str:
        """Return a name in quotes, case included."""
        if name.lower() in _BOOLEANS:  # even in quotes
            raise IntacctArgumentError(
                f"{name!r} cannot be the name of a column in SQLite, which treats it as a value. Give the field "
                "another name of a column: fields={'field': 'column'}."
            )
        return super().quote(name)

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
        cursor.execute(f"PRAGMA {schema}table_xinfo({self.quote(table[-1])})")
        # A column INTEGER PRIMARY KEY numbers its rows itself.
        found = [
            TableColumn(
                name,
                kind,
                bool(required) and default is None and not hidden and not (key and kind.upper() == "INTEGER"),
                not required,
                hidden in _GENERATED,
            )
            for _, name, kind, required, default, key, hidden in cursor.fetchall()
        ]
        return found or None

    def list_tables(self, cursor: Cursor, table: Name) -> list[str]:
        """Return the names of the tables of a database."""
        schema = "".join(f"{self.quote(part)}." for part in table[:-1])
        cursor.execute(f"SELECT name FROM {schema}sqlite_master WHERE type = 'table'")  # noqa: S608
        return [name for (name,) in cursor.fetchall()]

    def identify(self, column: str) -> str:
        """Return a column whose own collation may ignore case, without it."""
        return f"{column} COLLATE BINARY"

    def changes_rows(self, cursor: Cursor, table: Name) -> bool:
        """Whether a table may keep other rows than are written to it: by a trigger or a constraint, or as a view."""
        schema = "".join(f"{self.quote(part)}." for part in table[:-1])
        cursor.execute(
            f"SELECT count(*) FROM {schema}sqlite_master WHERE lower(tbl_name) = lower(?) "  # noqa: S608
            "AND (type IN ('trigger', 'view') OR upper(sql) LIKE '%ON CONFLICT%')",
            [table[-1]],
        )
        return bool(cursor.fetchone()[0])

    def may_pass(self, err: BaseException) -> bool:
        """Whether an error of the database may be gone at the next attempt."""
        return bool(_PASSING.search(str(err)))

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
