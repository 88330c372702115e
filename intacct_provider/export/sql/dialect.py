"""What differs between databases: names, types, values, and how many rows are written at once.

A database without a dialect of its own gets what the SQL standard says, which many of them follow.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from intacct_provider.exceptions import IntacctArgumentError, IntacctColumnError
from intacct_provider.export.schema.columns import Column
from intacct_provider.export.schema.values import (
    check_values,
    convert_values,
    read_moment,
    show_value,
    to_json,
)

Cursor = Any
#: Parts of a name: database, schema and table, of which only the last is required.
Name = tuple[str, ...]

#: Types of columns that hold objects and lists, which become JSON.
NESTED = frozenset({"json", "struct", "list"})
_PLAIN_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_$]*")
_SCALE = re.compile(r"(?:numeric|decimal)\s*\(\s*\d+\s*(?:,\s*(\d+)\s*)?\)", re.IGNORECASE)
_BINARY = re.compile(r"real|double|float", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class TableColumn:
    """A column that a table has.

    :param type: in the database's own words; empty if unknown.
    :param required: whether a row without it is rejected.
    :param nullable: whether it may be null.
    :param generated: whether the database makes its values, and takes no others.
    """

    name: str
    type: str = ""
    required: bool = False
    nullable: bool = True
    generated: bool = False

    @property
    def scale(self) -> int | None:
        """Digits after the point of a decimal type, which rounds further digits; None for other types."""
        found = _SCALE.match(self.type)
        return int(found[1] or 0) if found else None

    @property
    def rounds(self) -> bool:
        """Whether it stores amounts as binary fractions."""
        return bool(_BINARY.search(self.type))


@dataclass(frozen=True, slots=True)
class Slot:
    """Where the values of a column go.

    :param name: of the column that the table has, or will have.
    :param type: of that column, in the database's own words; empty if unknown.
    :param scale: digits after the point that the column holds; None for any number.
    :param nullable: whether the column may be null.
    :param exact: whether it is known to keep each value, or to refuse it; else what it keeps is read back.
    """

    column: Column
    name: str
    type: str = ""
    scale: int | None = None
    nullable: bool = True
    exact: bool = False


class Dialect:
    """Standard SQL.

    :param hook: the Airflow hook of the database.
    """

    #: Its name in messages.
    title = "the database"
    types: Mapping[str, str] = {
        "string": "TEXT", "boolean": "BOOLEAN", "integer": "BIGINT", "date": "DATE", "timestamp": "TIMESTAMP"
    }  # fmt: skip
    nested = "TEXT"
    #: By the type of a column, the types that keep each value that passes the checks here, or refuse it.
    exact: Mapping[str, str] = {}
    #: Whether a rollback undoes the creation of a table.
    undoes_ddl = False
    #: What ends a statement that creates a table.
    table_options = ""

    def __init__(self, hook: Any) -> None:
        self._hook = hook
        self.placeholder = getattr(hook, "placeholder", None) or "%s"

    def quote(self, name: str) -> str:
        """Return the name of a column, or a part of a table's name.

        Databases fold unquoted names each in their own way, so only what is reserved is quoted.

        :raises IntacctArgumentError: for what is not made of letters, digits and underscores.
        """
        if not _PLAIN_NAME.fullmatch(name):
            raise IntacctArgumentError(
                f"{name!r} cannot be the name of a table or column: it must be letters, digits and underscores only."
            )
        return str(self._hook.dialect.escape_word(name)) if hasattr(self._hook, "dialect") else name

    def path(self, name: Name) -> str:
        """Return the name of a table, with its schema."""
        return ".".join(map(self.quote, name))

    def column_type(self, column: Column) -> str:
        """Return the type of a column that is created."""
        if column.type == "decimal":
            return self.decimal(column.scale)
        return self.types.get(column.type, self.nested)

    def key_type(self, column: Column) -> str:
        """Return the type of a column that is created as the primary key."""
        return self.column_type(column)

    def decimal(self, scale: int | None) -> str:
        """Return the type of exact numbers."""
        return "NUMERIC(38, 10)" if scale is None else f"NUMERIC(38, {scale})"

    def slot(self, column: Column, found: TableColumn) -> Slot:
        """Return where a column's values go.

        :param found: the column that the table has, or will have.
        """
        kind = "nested" if column.type in NESTED else column.type
        exact = re.fullmatch(self.exact.get(kind, ""), found.type, re.IGNORECASE) if found.type else None
        return Slot(column, found.name, found.type, found.scale, found.nullable, exact is not None)

    def begin(self, conn: Any) -> Cursor:
        """Begin a transaction."""
        return conn.cursor()

    def end(self, cursor: Cursor) -> None:
        """Clean up after a transaction."""
        cursor.close()

    def prepare(self, cursor: Cursor) -> None:
        """Make a new connection ready."""

    def read_columns(self, cursor: Cursor, table: Name) -> list[TableColumn] | None:
        """Return the columns of a table, or None if it does not exist."""
        try:
            cursor.execute(f"SELECT * FROM {self.path(table)} WHERE 1 = 0")  # noqa: S608
        except Exception:
            # Standard SQL has no query for this that every database answers; creating the table will show the error.
            cursor.connection.rollback()
            return None
        return [TableColumn(str(column[0])) for column in cursor.description]

    def list_tables(self, cursor: Cursor, table: Name) -> list[str]:  # noqa: ARG002
        """Return the names of tables, those beside a table among them, also of some that the user may not use."""
        cursor.execute("SELECT table_name AS n FROM information_schema.tables")
        return [str(row_values(row)[0]) for row in cursor.fetchall()]

    def has_references(self, cursor: Cursor, table: Name) -> bool:  # noqa: ARG002
        """Whether foreign keys of other tables name rows of this one."""
        return False

    def changes_rows(self, cursor: Cursor, table: Name) -> bool:  # noqa: ARG002
        """Whether a table may keep other rows than are written to it: by a trigger, or as a view."""
        return False

    def lock(self, cursor: Cursor, table: Name, *, rows: bool) -> None:
        """Keep other loads into a table from beginning their transactions before this one has ended.

        :param rows: whether nobody else may change rows meanwhile. Readers may always read.
        """

    def analyze(self, cursor: Cursor, table: str) -> None:
        """Let the query planner know how large a new table is."""

    def identify(self, column: str) -> str:
        """Return what two values of a column have in common only if they are the same to the last character."""
        return column

    def reveal(self, slot: Slot) -> str:
        """Return what shows the value of a column with every digit, to read it back."""
        return self.quote(slot.name)

    def match(self, one: str, other: str) -> str:
        """Return the condition that two columns have the same value."""
        exactly = f" AND {self.identify(one)} = {self.identify(other)}" if self.identify(one) != one else ""
        return f"{one} = {other}{exactly}"

    def merge(self, table: str, stage: str, key: str, names: Sequence[str]) -> list[tuple[str, str]]:
        """Return statements that update rows that exist and insert the others, each with what it counts.

        What is counted is the number that a statement selects, or else the number of rows that it changes.
        """
        changes = ", ".join(f"{n} = s.{n}" for n in names if n != key)
        update = f"WHEN MATCHED THEN UPDATE SET {changes} " if changes else ""
        merge = (
            f"MERGE INTO {table} t USING {stage} s ON (t.{key} = s.{key}) {update}"  # noqa: S608
            f"WHEN NOT MATCHED THEN INSERT ({', '.join(names)}) VALUES ({', '.join(f's.{n}' for n in names)})"
        )
        return [(merge, "updated")]

    def delete_matching(self, table: str, stage: str, key: str) -> str:
        """Return the statement that deletes rows whose key is in another table."""
        return f"DELETE FROM {table} WHERE {key} IN (SELECT {key} FROM {stage})"  # noqa: S608

    def delete_missing(self, table: str, stage: str, key: str) -> str:
        """Return the statement that deletes rows whose key is not in another table."""
        return f"DELETE FROM {table} WHERE {key} NOT IN (SELECT {key} FROM {stage})"  # noqa: S608

    def rejects(self, err: BaseException) -> bool:
        """Whether an error is about a value, so that a retry meets it again."""
        return not _name_kinds(err).isdisjoint(
            ("DataError", "IntegrityError", "UnicodeError", "OverflowError")
        )

    def is_lasting(self, err: BaseException) -> bool:
        """Whether an error of the database comes again until somebody changes the table."""
        return "DatabaseError" in _name_kinds(err) and not self.may_pass(err)

    def may_pass(self, err: BaseException) -> bool:  # noqa: ARG002
        """Whether an error of the database may be gone at the next attempt, as a lost connection or a lock may."""
        return True

    def fill(
        self, cursor: Cursor, stage: str, slots: Sequence[Slot], keys: Sequence[str], rows: Sequence[Any]
    ) -> None:
        """Add rows to a table.

        :param keys: of the rows, for errors.
        """
        values = self.convert_rows(slots, keys, rows)
        names = ", ".join(self.quote(slot.name) for slot in slots)
        if self.placeholder == "%s":
            names = names.replace("%", "%%")
        marks = ", ".join([self.placeholder] * len(slots))
        cursor.executemany(f"INSERT INTO {stage} ({names}) VALUES ({marks})", list(zip(*values, strict=True)))  # noqa: S608

    def convert_rows(
        self, slots: Sequence[Slot], keys: Sequence[str], rows: Sequence[Any]
    ) -> list[list[Any]]:
        """Return the values of rows, column by column, as the database takes them."""
        columns = []
        for slot, values in zip(slots, map(list, zip(*rows, strict=True)), strict=True):
            if slot.column.type != "string" and slot.column.type not in NESTED:
                values = [None if value == "" else value for value in values]
            check_values(slot.column, values, keys)
            if not slot.nullable and None in values:
                raise reject_value(slot, keys[values.index(None)], None, "must not be null")
            if slot.column.type == "decimal" and slot.scale is not None:
                _reject_rounding(slot, keys, values)
            columns.append(self.convert(slot, keys, values))
        return columns

    def convert(self, slot: Slot, keys: Sequence[str], values: Sequence[Any]) -> list[Any]:
        """Return the values of a column as the driver takes them."""
        if slot.column.type in NESTED:
            return [to_json(value) for value in values]
        return convert_values(slot.column, values, keys)


def _name_kinds(err: BaseException) -> set[str]:
    """Return the names of an error's classes: the drivers have none in common, but give them the same names."""
    return {kind.__name__ for kind in type(err).__mro__}


def reject_value(slot: Slot, key: str, value: Any, why: str) -> IntacctColumnError:
    """Return the error for a value that a column of the table cannot hold."""
    kind = f" ({slot.type})" if slot.type else ""
    return IntacctColumnError(
        f"Column {slot.name!r}{kind} of the table cannot hold {show_value(value)} of the record with key {key}: {why}. "
        "Give the column a type that holds it, or leave the field out."
    )


def to_utc(text: str | None) -> str | None:
    """Return a moment in UTC, since types without a time zone drop the offset."""
    return text if text is None or text.endswith("Z") else read_moment(text).isoformat()


def row_values(row: Any) -> tuple[Any, ...]:
    """Return a row's values, whatever kind of cursor the connection uses."""
    return tuple(row.values()) if isinstance(row, Mapping) else tuple(row)


def _reject_rounding(slot: Slot, keys: Sequence[str], values: Sequence[Any]) -> None:
    """Reject an amount that the database would silently round."""
    room = -(slot.scale or 0)
    for key, value in zip(keys, values, strict=True):
        with suppress(ArithmeticError):
            number = Decimal(str(value)) if value is not None else Decimal(0)
            digits, exponent = number.as_tuple().digits, number.as_tuple().exponent
            if isinstance(exponent, int) and exponent < room and any(digits[exponent - room :]):
                raise reject_value(slot, key, value, f"it has room for {slot.scale} digits after the point")
