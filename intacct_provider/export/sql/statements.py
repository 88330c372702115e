"""The statements of one load of one table."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from functools import cached_property

from intacct_provider.export.sql.dialect import Dialect, Name, Slot, TableColumn


class TableSql:
    """Makes SQL statements; it does not execute them.

    Every name goes through the dialect, which quotes or rejects it.

    :param existing: columns of the table; None if it does not exist yet.
    :param slots: where the columns of the rows go.
    :param key: the column that identifies a row, where rows are updated in place; else None.
    :param primary: whether it is the primary key of a table that is created.
    """

    def __init__(
        self,
        dialect: Dialect,
        table: Name,
        existing: Sequence[TableColumn] | None,
        slots: Sequence[Slot],
        key: Slot | None,
        *,
        primary: bool,
    ) -> None:
        self._dialect = dialect
        self._table = dialect.path(table)
        self._slots, self._primary = slots, primary
        self._exists = existing is not None
        names = {column.name for column in existing or ()}
        self._new = [slot for slot in slots if slot.name not in names]
        self._old = [slot for slot in slots if slot.name in names]
        self._key = dialect.quote(key.name) if key else ""
        suffix = uuid.uuid4().hex[:12]
        #: Temporary tables: of the rows, and of the keys of deleted records.
        self.rows, self.gone = (dialect.quote(f"intacct_{what}_{suffix}") for what in ("rows", "gone"))
        #: Temporary tables for a page that is read back, of rows and of keys.
        self.rows_page, self.gone_page = (
            dialect.quote(f"intacct_{what}_page_{suffix}") for what in ("rows", "gone")
        )

    @property
    def changes_table(self) -> bool:
        """Whether the table is created, or gets columns."""
        return bool(self._new)

    @cached_property
    def _names(self) -> list[str]:
        return [self._dialect.quote(slot.name) for slot in self._slots]

    def stage(self) -> Iterator[str]:
        """Create the temporary table, with the types of the table, so that every value fits later."""
        new, options = [self._define(slot) for slot in self._new], self._dialect.table_options
        if not self._old:
            yield f"CREATE TEMPORARY TABLE {self.rows} ({', '.join(new)}){options}"
            return
        old = ", ".join(self._dialect.quote(slot.name) for slot in self._old)
        yield f"CREATE TEMPORARY TABLE {self.rows}{options} AS SELECT {old} FROM {self._table} WHERE 1 = 0"  # noqa: S608
        for definition in new:
            yield f"ALTER TABLE {self.rows} ADD COLUMN {definition}"

    def stage_gone(self, slot: Slot) -> str:
        """Create the temporary table of deleted records."""
        name, options = self._dialect.quote(slot.name), self._dialect.table_options
        return f"CREATE TEMPORARY TABLE {self.gone}{options} AS SELECT {name} FROM {self.rows} WHERE 1 = 0"  # noqa: S608

    def counts(self) -> str:
        """Count rows and values of the key."""
        key = self._dialect.identify(self._key)
        return f"SELECT count(*) AS n, count(DISTINCT {key}) AS d FROM {self.rows}"  # noqa: S608

    def missing(self) -> str:
        """Select one of the rows that the table does not have exactly so."""
        names = ", ".join(map(self._dialect.identify, self._names))
        return f"SELECT {names} FROM {self.rows} EXCEPT SELECT {names} FROM {self._table} LIMIT 1"  # noqa: S608

    def count_table(self) -> str:
        """Count the rows of the table."""
        return f"SELECT count(*) AS n FROM {self._table}"  # noqa: S608

    def count_left(self, gone: Slot) -> str:
        """Count the rows of deleted records that the table still has."""
        key = self._dialect.quote(gone.name)
        same = self._dialect.match(f"t.{key}", f"s.{key}")
        return f"SELECT count(*) AS n FROM {self._table} t JOIN {self.gone} s ON {same}"  # noqa: S608

    def publish(
        self, *, replaces: bool, gone: Slot | None, rehearsal: bool = False
    ) -> Iterator[tuple[str, str]]:
        """Yield the statements that make the rows part of the table, each with what it counts.

        :param replaces: whether all other rows are deleted.
        :param gone: column of the keys of deleted records.
        :param rehearsal: delete nothing; there are no rows yet.
        """
        table, rows, key = self._table, self.rows, self._key
        if not self._exists:
            parts = [self._define(slot) for slot in self._slots]
            parts += [f"PRIMARY KEY ({key})"] if self._primary else []
            yield f"CREATE TABLE IF NOT EXISTS {table} ({', '.join(parts)}){self._dialect.table_options}", ""
        for slot in self._new if self._exists else ():
            yield f"ALTER TABLE {table} ADD COLUMN {self._define(slot)}", ""
        if replaces and rehearsal:
            yield f"DELETE FROM {table} WHERE 1 = 0", ""  # noqa: S608
        elif replaces and key:
            yield self._dialect.delete_missing(table, rows, key), "deleted"
        elif replaces:
            yield f"DELETE FROM {table}", "deleted"  # noqa: S608
        if key:
            yield from self._dialect.merge(table, rows, key, self._names)
        else:
            names = ", ".join(self._names)
            yield f"INSERT INTO {table} ({names}) SELECT {names} FROM {rows}", "inserted"  # noqa: S608
        if gone:
            yield self._dialect.delete_matching(table, self.gone, self._dialect.quote(gone.name)), "deleted"

    def _define(self, slot: Slot) -> str:
        return f"{self._dialect.quote(slot.name)} {slot.type}"
