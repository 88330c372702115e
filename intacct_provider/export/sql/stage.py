"""A temporary table that takes rows page by page, and no value that it would change."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any

from intacct_provider.exceptions import IntacctColumnError
from intacct_provider.export.schema.columns import Column
from intacct_provider.export.sql.dialect import Cursor, Dialect, Slot, reject_value, row_values
from intacct_provider.export.sql.readback import is_kept

#: ``transaction(keep=False)`` is rolled back.
Transaction = Callable[..., AbstractContextManager[Cursor]]
_ORDER = Slot(Column("intacct_row", "intacct_row", "integer"), "intacct_row", "BIGINT", exact=True)


class Stage:
    """Takes rows whose values the table keeps.

    A page with columns that may change values, such as a domain or ``varchar(4)``, first goes to a table of its own and
    is read back: what differs from what Intacct sent is refused. The others keep each value or refuse it themselves.

    :param name: of the temporary table, quoted; it has the types of the table that rows go to.
    :param page: name of the table for pages that are read back, quoted.
    :param slots: where the values go.
    :param transaction: begins a transaction.
    """

    def __init__(
        self, dialect: Dialect, name: str, page: str, slots: Sequence[Slot], transaction: Transaction
    ) -> None:
        self._dialect, self._slots, self._transaction = dialect, slots, transaction
        self._name, self._page = name, page
        self._inexact = [slot for slot in slots if not slot.exact]

    def create_page(self, cursor: Cursor) -> None:
        """Create the table for pages that are read back, if any are."""
        if not self._inexact:
            return
        order, options = self._dialect.quote(_ORDER.name), self._dialect.table_options
        empty = f"SELECT * FROM {self._name} WHERE 1 = 0"  # noqa: S608
        cursor.execute(f"CREATE TEMPORARY TABLE {self._page}{options} AS {empty}")
        cursor.execute(f"ALTER TABLE {self._page} ADD COLUMN {order} BIGINT")

    def add(self, keys: Sequence[str], rows: Sequence[Any]) -> None:
        """Add rows.

        :raises IntacctColumnError: naming column and key of the first value that the table does not keep.
        """
        try:
            with self._transaction() as cursor:
                self._fill(cursor, self._slots, keys, rows)
        except Exception as err:
            if self._dialect.rejects(err):
                self._name_rejected(keys, rows)
            raise

    def empty(self, cursor: Cursor) -> None:
        """Delete the rows so far."""
        cursor.execute(f"DELETE FROM {self._name}")  # noqa: S608

    def _fill(self, cursor: Cursor, slots: Sequence[Slot], keys: Sequence[str], rows: Sequence[Any]) -> None:
        if not self._inexact:
            self._dialect.fill(cursor, self._name, slots, keys, rows)
            return
        numbered = [(*row, number) for number, row in enumerate(rows)]
        self._dialect.fill(cursor, self._page, [*slots, _ORDER], keys, numbered)
        for slot in slots:
            if not slot.exact:
                self._read_back(cursor, slot, keys, [row[slots.index(slot)] for row in rows])
        names = ", ".join(self._dialect.quote(slot.name) for slot in slots)
        cursor.execute(f"INSERT INTO {self._name} ({names}) SELECT {names} FROM {self._page}")  # noqa: S608
        cursor.execute(f"DELETE FROM {self._page}")  # noqa: S608

    def _read_back(self, cursor: Cursor, slot: Slot, keys: Sequence[str], values: Sequence[Any]) -> None:
        value_of, order = self._dialect.reveal(slot), self._dialect.quote(_ORDER.name)
        cursor.execute(f"SELECT {value_of} AS kept FROM {self._page} ORDER BY {order}")  # noqa: S608
        for key, value, row in zip(keys, values, cursor.fetchall(), strict=True):
            (kept,) = row_values(row)
            if not is_kept(slot.column, value, kept):
                raise reject_value(slot, key, value, f"it would become {str(kept)!r}")

    def _name_rejected(self, keys: Sequence[str], rows: Sequence[Any]) -> None:
        """Find the first value that the database rejects, halving the rows; return if no single one is."""
        low, high = 0, len(rows)
        while high - low > 1:
            middle = (low + high) // 2
            if self._try(self._slots, keys[low:middle], rows[low:middle]):
                high = middle
            else:
                low = middle
        key, row = keys[low], rows[low]
        for number, slot in enumerate(self._slots):
            why = self._try([slot], [key], [(row[number],)])
            if why:
                raise reject_value(slot, key, row[number], why)

    def _try(self, slots: Sequence[Slot], keys: Sequence[str], rows: Sequence[Any]) -> str:
        """Return why the database rejects a value of some rows; empty if it takes them."""
        try:
            with self._transaction(keep=False) as cursor:
                self._fill(cursor, slots, keys, rows)
        except IntacctColumnError:
            raise
        except Exception as err:
            if self._dialect.rejects(err):
                return describe_error(err)
            raise
        return ""


def describe_error(err: BaseException) -> str:
    """Return the first line of a database's message."""
    text = str(getattr(err, "msg", None) or (err.args[-1] if err.args else err)).strip() or type(err).__name__
    return text.splitlines()[0]
