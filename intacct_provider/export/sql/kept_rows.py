"""Whether a table that may change what is written to it has the rows as they were read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from intacct_provider.exceptions import IntacctColumnError
from intacct_provider.export.sql.dialect import Cursor, Slot, row_values
from intacct_provider.export.sql.statements import TableSql


@dataclass(frozen=True, slots=True)
class KeptRows:
    """What a table with a trigger, a rule or the like should have at the end of the transaction that writes to it.

    :param sql: of the load.
    :param slots: where the columns of the rows go.
    :param gone: column of the keys whose rows the table loses; None if it loses none.
    :param rows: how many rows it should have; None if that is not known.
    """

    sql: TableSql
    slots: Sequence[Slot]
    gone: Slot | None
    rows: int | None

    def check(self, cursor: Cursor, table: str) -> None:
        """Make sure that the table has each row exactly as it was read, and none that was to be deleted.

        :raises IntacctColumnError: naming the key of a row that it does not have.
        """
        cursor.execute(self.sql.missing())
        lost = cursor.fetchall()
        if lost:
            problem = f"rows are not in it as they were read{self._name(row_values(lost[0]))}"
        elif (self.gone and read_number(cursor, self.sql.count_left(self.gone))) or (
            self.rows is not None and read_number(cursor, self.sql.count_table()) != self.rows
        ):
            problem = "it has other rows than it should have"
        else:
            return
        raise IntacctColumnError(
            f"table {table!r} does not keep what is written to it, so nothing was: {problem}. A trigger, a rule, a "
            "constraint or the view itself changes rows. Remove it, or name another table."
        )

    def _name(self, row: Sequence[object]) -> str:
        keys = [value for slot, value in zip(self.slots, row, strict=True) if slot.column.field == "key"]
        texts = [value.decode() if isinstance(value, bytes | bytearray) else str(value) for value in keys]
        return f", such as that with key {texts[0]}" if texts else ""


def read_number(cursor: Cursor, sql: str) -> int:
    """Return the number that a statement selects, or else of rows that it changed; below 0 if that is not reported."""
    cursor.execute(sql)
    rows = cursor.fetchall() if cursor.description else ()
    return int(row_values(rows[0])[0] if rows else cursor.rowcount)
