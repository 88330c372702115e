"""Loads rows into a table of a database: all of them at once, or none.

Rows first go to a temporary table, page by page as they are read. Its rows become part of the user's table in one
transaction, together with an entry in :mod:`~intacct_provider.export.sql.load_log`. The temporary table belongs to the
connection: when a worker dies, the database drops it, and the user's table was never touched.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import Any, Literal, Protocol

from msgspec import structs

from intacct_provider.client.paging.pages import Page
from intacct_provider.client.spelling import did_you_mean
from intacct_provider.exceptions import IntacctArgumentError, IntacctColumnError
from intacct_provider.export.schema.columns import REST, Column
from intacct_provider.export.schema.values import read_values
from intacct_provider.export.sql.dialect import Cursor, Slot, row_values
from intacct_provider.export.sql.kept_rows import KeptRows, read_number
from intacct_provider.export.sql.load_log import LoadEntry, LoadFacts
from intacct_provider.export.sql.open_table import OpenTable
from intacct_provider.export.sql.stage import Stage, describe_error
from intacct_provider.export.sql.statements import TableSql

Mode = Literal["append", "replace", "merge"]
#: Keys of deleted records that are sent at once.
_KEYS_AT_ONCE = 4000


class PartOfLoad(Protocol):
    """What is published in the transaction of a load."""

    def define(self, cursor: Cursor) -> None:
        """Create what is missing."""

    def put(self, cursor: Cursor) -> None:
        """Put everything into its table."""


class TableLoad(OpenTable):
    """One load of one table, over one connection; use it in a ``with`` statement.

    Call :meth:`check` and :meth:`begin` before anything is read, :meth:`write` for each page, :meth:`remove` for
    records that were deleted, and :meth:`publish` when the rows are proven complete. Without :meth:`publish` the table
    stays as it was.

    ``append`` adds the rows. ``replace`` deletes what the table holds and inserts the rows, rather than giving a new
    table the old one's name: so the table keeps its grants, indexes, views, triggers and foreign keys, and readers of
    the database see the old rows until they see the new. Where other tables refer to this one by foreign keys,
    rows that stay are updated in place, since deleting them would fail or delete rows of those tables, too. ``merge``
    updates the rows whose key is in the table and inserts the others; it needs no unique index. Columns that the export
    does not have keep their values in rows that are updated.

    :param how: the parameters of :class:`OpenTable`.
    """

    def __init__(self, hook: Any, table: str, **how: Any) -> None:
        super().__init__(hook, table, **how)
        self._digest, self._again = "", False
        self._slots: tuple[Slot, ...] = ()
        self._gone: Slot | None = None
        self._sql: TableSql
        self._stage: Stage
        self.rows = 0
        #: Loads of the lists of the records, which are published together with them.
        self.lists: Sequence[PartOfLoad] = ()

    def begin(self, columns: Sequence[Column], digest: str = "", *, again: bool = False) -> LoadEntry | None:
        """Prepare everything, and try out with no rows what will be done with them.

        :param columns: of the rows, in their order.
        :param digest: of what is read, to tell it from rows of another query.
        :param again: load even if an earlier attempt has loaded the rows; never with ``append``.
        :return: the log entry, if an earlier attempt has completed the load and it must not be done again.
        :raises IntacctArgumentError: if the table cannot take the rows.
        """
        with self._explain_lasting():
            return self._prepare(tuple(columns), digest, again=again)

    def _prepare(self, columns: tuple[Column, ...], digest: str, *, again: bool) -> LoadEntry | None:
        self._columns, self._digest, self._again = columns, digest, again
        self.check([column.name for column in columns])
        self.check_hashes(columns)
        self._slots = tuple(map(self._make_slot, columns))
        key = self._key_slot
        self._check_key(key)
        self._sql = TableSql(
            self._dialect,
            self.name,
            self._existing,
            self._slots,
            key if self._matches_rows else None,
            primary=self.mode == "merge",
        )
        self._stage = Stage(
            self._dialect, self._sql.rows, self._sql.rows_page, self._slots, self._transaction
        )
        if self._owner:
            with self._transaction() as cursor:
                self._log.create(cursor)
        with self._transaction() as cursor:
            done = self._find_done(cursor)
            if done is not None:
                return done
            for sql in self._sql.stage():
                cursor.execute(sql)
            self._stage.create_page(cursor)
        self._rehearse()
        return None

    def write(self, page: Page) -> None:
        """Write rows."""
        if not page.rows:
            return
        rows = read_values(self._with_rest(page.rows), self._columns)
        self._stage.add(page.keys, rows)
        self.rows += len(page.rows)

    def discard(self) -> None:
        """Forget the rows so far, since they are read again."""
        with self._transaction() as cursor:
            self._stage.empty(cursor)
        self.rows = 0

    def remove(self, keys: Iterable[str]) -> None:
        """Note the keys of records that were deleted, for ``merge``; any number of them.

        :raises IntacctArgumentError: if the rows are not merged, or have no field ``key``.
        """
        slot = next((slot for slot in self._slots if slot.column.field == "key"), None)
        if self.mode != "merge" or slot is None:
            raise IntacctArgumentError(
                "Deleted records can only be removed from the table with mode='merge' and 'key' among the fields."
            )
        self._stage_keys(slot, keys)

    def publish(self, facts: LoadFacts) -> LoadFacts:
        """Put everything into the table, in one transaction.

        :param facts: about the rows, for the log.
        :return: the facts with ``rows`` (read), ``inserted``, ``updated`` and ``deleted``; if another attempt was
            faster, its facts, with nothing done.
        :raises IntacctColumnError: if rows have the same key, or rows were lost.
        """
        if self._matches_rows:
            with self._transaction() as cursor:
                self._check_unique(cursor)
                self._dialect.analyze(cursor, self._sql.rows)
        with self._name_rejection(), self._transaction() as cursor:
            self._dialect.lock(cursor, self.name, rows=self.mode != "append" and self._existing is not None)
            done = self._find_done(cursor)
            if done is not None:
                return done.facts
            for one in self.lists:
                one.define(cursor)
            counts = self._put_rows(
                cursor, self._sql.publish(replaces=self.mode == "replace", gone=self._gone)
            )
            for one in self.lists:
                one.put(cursor)
            facts = structs.replace(facts, rows=self.rows, **counts)
            if self._owner:
                self._log.write(cursor, self._owner, self._digest, facts)
        return facts

    def _stage_keys(self, slot: Slot, keys: Iterable[str]) -> None:
        """Note keys, any number of them, whose rows the table loses when it is published."""
        stage = Stage(self._dialect, self._sql.gone, self._sql.gone_page, [slot], self._transaction)
        with self._transaction() as cursor:
            cursor.execute(self._sql.stage_gone(slot))
            stage.create_page(cursor)
        keys = iter(keys)
        while some := list(islice(keys, _KEYS_AT_ONCE)):
            stage.add(some, [(key,) for key in some])
        self._gone = slot

    def _put_rows(self, cursor: Cursor, statements: Iterable[tuple[str, str]]) -> dict[str, int]:
        """Execute statements that make the rows part of the table.

        :param statements: each with what it counts; empty if nothing.
        :return: how many rows were inserted, updated and deleted.
        :raises IntacctColumnError: if a constraint of the table rejects the rows, or it does not have them then.
        """
        counts = {"inserted": 0, "updated": 0, "deleted": 0}
        kept = self._watch(cursor)
        reported = True
        with self._name_rejection():
            for sql, counted in statements:
                number = read_number(cursor, sql)
                reported &= number >= 0 or not counted
                if counted:
                    counts[counted] += max(number, 0)
        if kept:
            kept.check(cursor, self.table)
            counts["inserted"] = self.rows - counts["updated"]
        elif reported:
            self._check_counts(counts["inserted"] + counts["updated"])
        return counts

    def _watch(self, cursor: Cursor) -> KeptRows | None:
        """Return what to check once the rows are written; None if the table changes none."""
        if self._existing is None or not self._dialect.changes_rows(cursor, self.name):
            return None
        rows = self.rows if self.mode == "replace" else None
        if self.mode == "append" and not self._gone:
            rows = self.rows + read_number(cursor, self._sql.count_table())
        return KeptRows(self._sql, self._slots, self._gone, rows)

    @contextmanager
    def _name_rejection(self) -> Iterator[None]:
        """Raise that a constraint rejects the rows, at once or when the transaction ends, as an error of columns."""
        try:
            yield
        except Exception as err:
            if not self._dialect.rejects(err):
                raise
            raise IntacctColumnError(
                f"table {self.table!r} rejected the rows, so none was kept: {describe_error(err)}. Correct the "
                "records, or a constraint of the table."
            ) from err

    def _with_rest(self, rows: Sequence[Any]) -> Sequence[Any]:
        """Return whole records with what the model does not have in one more member, if that is a column."""
        fields = {column.field for column in self._columns}
        if REST not in fields or not isinstance(rows[0], Mapping):
            return rows
        rests = ({name: value for name, value in row.items() if name not in fields} for row in rows)
        return [{**row, REST: rest or None} for row, rest in zip(rows, rests, strict=True)]

    @property
    def _key_slot(self) -> Slot | None:
        return next((slot for slot in self._slots if slot.column == self._key_column), None)

    def _check_key(self, key: Slot | None) -> None:
        if self._matches_rows and key is None:
            names = [slot.column.field for slot in self._slots]
            why = (
                "mode='merge'"
                if self.mode == "merge"
                else "foreign keys of other tables refer to the table, so it"
            )
            raise IntacctArgumentError(
                f"key {self._key!r} is not among the fields, but {why} needs it.{did_you_mean(self._key, names)} "
                f"Fields: {', '.join(names)}."
            )

    def _find_done(self, cursor: Cursor) -> LoadEntry | None:
        """Return the log entry, if the load must not be done again.

        A retry by Airflow does not load again. Nor does ``append`` after somebody has cleared the task: its rows could
        not be distinguished from the first ones.
        """
        entry = self._log.find(cursor, self._owner) if self._owner else None
        if entry is None or self._owner is None:
            return None
        same = entry.query_digest == self._digest
        if self.mode == "append" and not same:
            raise IntacctArgumentError(
                f"This run has already appended {entry.row_count} rows of another query to {self.table!r}, at "
                f"{entry.finished_at}. To append the rows again, remove them and the entry of the run in "
                f"{self.log_table}."
            )
        retried = same and entry.clears == self._owner.clears and not self._again
        return entry if self.mode == "append" or retried else None

    def _rehearse(self) -> None:
        """Find out what the user may not do or the table does not allow, before anything is paid for."""
        if self._sql.changes_table and not self._dialect.undoes_ddl:
            return
        with self._transaction(keep=False) as cursor:
            self._dialect.lock(cursor, self.name, rows=False)
            for sql, _ in self._sql.publish(replaces=self.mode == "replace", gone=None, rehearsal=True):
                read_number(cursor, sql)

    def _check_unique(self, cursor: Cursor) -> None:
        cursor.execute(self._sql.counts())
        rows, different = row_values(cursor.fetchone())
        if rows != different:
            raise IntacctColumnError(
                f"key {self._key!r} does not identify the rows: {rows} rows have {different} values of it. Merge on a "
                "field that no two records share, such as 'key'."
            )

    def _check_counts(self, taken: int) -> None:
        """Make sure that the database took each row once."""
        if taken != self.rows:
            what = (
                f"Several rows of it have the same {self._key!r}; remove all but one of them."
                if taken > self.rows and self._matches_rows
                else "The database may have changed what was inserted."
            )
            raise IntacctColumnError(
                f"table {self.table!r} took {taken} rows where {self.rows} were read, so none was kept. {what}"
            )
