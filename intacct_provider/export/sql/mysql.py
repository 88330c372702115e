"""The dialect of MySQL and MariaDB."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from intacct_provider.exceptions import IntacctArgumentError
from intacct_provider.export.schema.columns import Column
from intacct_provider.export.schema.values import converter, read_moment, to_json, to_text
from intacct_provider.export.sql.dialect import (
    NESTED,
    Cursor,
    Name,
    Slot,
    TableColumn,
    row_values,
)
from intacct_provider.export.sql.quoting import QuotingDialect

_LONGEST_NAME = 64
_MOST_SCALE = 30
#: A driver may send all of them in one packet.
_ROWS_AT_ONCE = 500
_HOUR = 3600
#: Values that a column does not take, which drivers report as errors of other kinds.
_REJECTED = frozenset({1264, 1265, 1292, 1366, 1367, 1369, 1406, 1526, 1644, 3140, 4025})
#: Errors that may pass: too many connections, a full disk, the end of the server, locks, interrupted statements; and
#: those of the driver itself.
_PASSING = frozenset(
    {1021, 1040, 1053, 1114, 1158, 1159, 1160, 1161, 1203, 1205, 1213, 1317, 3024, *range(2000, 3000)}
)
_TEXT = "LONGTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin"
_MODE = (
    "STRICT_ALL_TABLES,NO_ZERO_IN_DATE,NO_ZERO_DATE,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION,"
    "NO_AUTO_VALUE_ON_ZERO"
)


class MySql(QuotingDialect):
    """MySQL and MariaDB, through any driver of Airflow's hook. Each creation of a table commits."""

    title = "MySQL"
    types: Mapping[str, str] = {
        "string": _TEXT, "boolean": "BOOLEAN", "integer": "BIGINT", "date": "DATE", "timestamp": "DATETIME(6)"
    }  # fmt: skip
    # JSON would keep numbers as binary fractions.
    nested = _TEXT
    exact: Mapping[str, str] = {
        "string": r"longtext (character set )?utf8mb4.*",
        "boolean": r"boolean|tinyint\(1\)",
        "integer": r"bigint(\(\d+\))?",
        "decimal": r"decimal\(\d+,\s*\d+\)",
        "date": "date",
        "timestamp": r"datetime\(6\)",
        "nested": r"longtext (character set )?utf8mb4.*",
    }
    undoes_ddl = False
    table_options = " ENGINE=InnoDB"

    def quote(self, name: str) -> str:
        """Return a name in quotes, as it is written."""
        if not name or "\0" in name or len(name) > _LONGEST_NAME or name != name.rstrip():
            raise IntacctArgumentError(
                f"{name!r} cannot be the name of a table or column in MySQL, which allows {_LONGEST_NAME} characters "
                "and no blanks at the end. Give the field another name of a column: fields={'field': 'column'}."
            )
        return "`" + name.replace("`", "``") + "`"

    def decimal(self, scale: int | None) -> str:
        """Return the type of exact numbers."""
        if scale is not None and scale > _MOST_SCALE:
            return f"DECIMAL(65, {_MOST_SCALE})"
        return f"DECIMAL(38, {10 if scale is None else scale})"

    def key_type(self, column: Column) -> str:
        """Return the type of a primary key, which cannot be a text of any length."""
        if column.type == "string":
            return "VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin"
        return super().key_type(column)

    def prepare(self, cursor: Cursor) -> None:
        """Make a new connection ready."""
        # mysqlclient encodes texts as it believes the server wants them.
        set_character_set = getattr(getattr(cursor, "connection", None), "set_character_set", None)
        if set_character_set:
            set_character_set("utf8mb4")
        cursor.execute("SET NAMES utf8mb4")
        # Without the strict mode a text is cut, and an amount becomes the largest that the column holds.
        cursor.execute(f"SET SESSION sql_mode = '{_MODE}'")
        cursor.execute("SET SESSION time_zone = '+00:00'")

    def read_columns(self, cursor: Cursor, table: Name) -> list[TableColumn] | None:
        """Return the columns of a table, or None if it does not exist."""
        given = [table[-1], _schema(table)]
        cursor.execute(
            "SELECT column_name AS n, CONCAT_WS(' ', column_type, character_set_name) AS t, "
            "is_nullable = 'NO' AND column_default IS NULL AND extra NOT LIKE '%%auto_increment%%' AS r, "
            "is_nullable = 'YES' AS nullable, COALESCE(generation_expression, '') <> '' AS g "
            "FROM information_schema.columns "
            "WHERE table_name = %s AND table_schema = COALESCE(%s, DATABASE()) ORDER BY ordinal_position",
            given,
        )
        found = [
            TableColumn(_text(name), _text(kind), bool(required), bool(nullable), bool(generated))
            for name, kind, required, nullable, generated in map(row_values, cursor.fetchall())
        ]
        cursor.execute(
            "SELECT engine AS e FROM information_schema.tables "
            "WHERE table_name = %s AND table_schema = COALESCE(%s, DATABASE())",
            given,
        )
        engines = [_text(engine) for (engine,) in map(row_values, cursor.fetchall()) if engine]
        if engines and engines[0].lower() != "innodb":
            raise IntacctArgumentError(
                f"table {'.'.join(table)!r} is of the engine {engines[0]}, which has no transactions: a load that is "
                "killed would leave a part of the rows in it. Run ALTER TABLE ... ENGINE=InnoDB."
            )
        return found or None

    def has_references(self, cursor: Cursor, table: Name) -> bool:
        """Whether foreign keys of other tables name rows of this one."""
        cursor.execute(
            "SELECT COUNT(*) AS n FROM information_schema.key_column_usage "
            "WHERE referenced_table_name = %s AND referenced_table_schema = COALESCE(%s, DATABASE())",
            [table[-1], _schema(table)],
        )
        return bool(row_values(cursor.fetchone())[0])

    def changes_rows(self, cursor: Cursor, table: Name) -> bool:
        """Whether a table may keep other rows than are written to it: by a trigger, or as a view."""
        schema = _schema(table)
        cursor.execute(
            "SELECT (SELECT COUNT(*) FROM information_schema.triggers WHERE event_object_table = %s "
            "AND event_object_schema = COALESCE(%s, DATABASE())) + (SELECT COUNT(*) FROM information_schema.views "
            "WHERE table_name = %s AND table_schema = COALESCE(%s, DATABASE())) AS n",
            [table[-1], schema, table[-1], schema],
        )
        return bool(row_values(cursor.fetchone())[0])

    def lock(self, cursor: Cursor, table: Name, *, rows: bool) -> None:  # noqa: ARG002
        """Begin a transaction that keeps other loads into the table waiting for its end."""
        name = hashlib.sha256(self.path(table).encode()).hexdigest()[:40]
        cursor.execute(f"SELECT GET_LOCK('intacct {name}', {_HOUR}) AS got")
        if row_values(cursor.fetchone())[0] != 1:
            raise TimeoutError(f"Another load of table {'.'.join(table)!r} has not ended within an hour.")

    def end(self, cursor: Cursor) -> None:
        """Let other loads begin, after a transaction."""
        cursor.execute("SELECT RELEASE_ALL_LOCKS() AS released")
        cursor.fetchall()
        super().end(cursor)

    def identify(self, column: str) -> str:
        """Return the bytes of a column: most collations ignore case, accents and blanks at the end."""
        return f"CAST({column} AS BINARY)"

    def merge(self, table: str, stage: str, key: str, names: Sequence[str]) -> list[tuple[str, str]]:
        """Return statements that update rows that exist and insert the others, each with what it counts."""
        same = self.match(f"t.{key}", f"s.{key}")
        joined = f"{table} AS t JOIN {stage} AS s ON {same}"
        changes = ", ".join(f"t.{n} = s.{n}" for n in names if n != key) or f"t.{key} = s.{key}"
        # An update counts the rows that it changes, unless the connection says otherwise.
        count = f"SELECT COUNT(*) AS n FROM {joined} FOR UPDATE"  # noqa: S608
        update = f"UPDATE {joined} SET {changes}"  # noqa: S608
        (_, insert) = super().merge(table, stage, key, names)
        # The new rows are counted first, since the insertion makes them match.
        return [(count, "updated"), (update, ""), insert]

    def delete_matching(self, table: str, stage: str, key: str) -> str:
        """Return the statement that deletes rows whose key is in another table."""
        return f"DELETE t {super().delete_matching(table, stage, key).removeprefix('DELETE ')}"

    def delete_missing(self, table: str, stage: str, key: str) -> str:
        """Return the statement that deletes rows whose key is not in another table."""
        return f"DELETE t {super().delete_missing(table, stage, key).removeprefix('DELETE ')}"

    def rejects(self, err: BaseException) -> bool:
        """Whether an error is about a value, so that a retry meets it again."""
        return _get_code(err) in _REJECTED or super().rejects(err)

    def may_pass(self, err: BaseException) -> bool:
        """Whether an error of the database may be gone at the next attempt."""
        return _get_code(err) in _PASSING

    def fill(
        self, cursor: Cursor, stage: str, slots: Sequence[Slot], keys: Sequence[str], rows: Sequence[Any]
    ) -> None:
        """Add rows to a table."""
        for start in range(0, len(rows), _ROWS_AT_ONCE):
            some = slice(start, start + _ROWS_AT_ONCE)
            super().fill(cursor, stage, slots, keys[some], rows[some])

    def convert(self, slot: Slot, keys: Sequence[str], values: Sequence[Any]) -> list[Any]:  # noqa: ARG002
        """Return the values of a column as the driver takes them."""
        if slot.column.type in NESTED:
            return list(map(to_json, values))
        if slot.column.type == "boolean":
            return list(map(converter(slot.column), values))
        if slot.column.type == "timestamp":
            return [value and read_moment(value).replace(tzinfo=None).isoformat(" ") for value in values]
        return list(map(to_text, values))


def _get_code(err: BaseException) -> Any:
    return getattr(err, "errno", None) or (err.args[0] if err.args else None)


def _schema(table: Name) -> str | None:
    return table[-2] if len(table) > 1 else None


def _text(value: Any) -> str:
    """Return a name, which some drivers and servers return as bytes."""
    return value.decode() if isinstance(value, bytes | bytearray) else str(value)
