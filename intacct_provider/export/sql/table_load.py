"""Loads rows into a table of a database: all of them at once, or none.

Rows first go to a temporary table, page by page as they are read. Its rows become part of the user's table in one
transaction, together with an entry in :mod:`~intacct_provider.export.sql.load_log`. The temporary table belongs to the
connection: when a worker dies, the database drops it, and the user's table was never touched.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from itertools import islice
from typing import Any, Literal, Protocol, Self

from msgspec import structs

from intacct_provider.client.arguments import check_choice
from intacct_provider.client.paging.pages import Page
from intacct_provider.client.spelling import did_you_mean
from intacct_provider.exceptions import IntacctArgumentError, IntacctColumnError
from intacct_provider.export.schema.columns import REST, Column
from intacct_provider.export.schema.values import read_values
from intacct_provider.export.sql.access import Rights, check_schema
from intacct_provider.export.sql.databases import find_dialect
from intacct_provider.export.sql.dialect import Cursor, Slot, TableColumn, row_values
from intacct_provider.export.sql.load_log import LoadEntry, LoadFacts, LoadLog, Owner
from intacct_provider.export.sql.names import find_column, name_for_sql, split_table_name
from intacct_provider.export.sql.stage import Stage, describe_error
from intacct_provider.export.sql.statements import TableSql

MODES = ("append", "replace", "merge")
Mode = Literal["append", "replace", "merge"]
#: Keys of deleted records that are sent at once.
_KEYS_AT_ONCE = 4000
_log = logging.getLogger(__name__)


class PartOfLoad(Protocol):
    """What is published in the transaction of a load."""

    def define(self, cursor: Cursor) -> None:
        """Create what is missing."""

    def put(self, cursor: Cursor) -> None:
        """Put everything into its table."""


class TableLoad:
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

    :param hook: an Airflow hook of a SQL database.
    :param table: name, with its schema if need be: ``finance.customers``. Taken as it is written, case included.
    :param key: field or column that identifies a row, for ``merge``.
    :param create: create the table if it does not exist; with ``merge`` its key is the primary key.
    :param add_columns: add columns that the table lacks; by default that is an error.
    :param deletes: whether rows of deleted records are removed.
    :param owner: who loads; None to keep no log.
    """

    def __init__(
        self,
        hook: Any,
        table: str,
        *,
        mode: str = "append",
        key: str = "key",
        create: bool = True,
        add_columns: bool = False,
        deletes: bool = False,
        owner: Owner | None = None,
    ) -> None:
        check_choice("mode", mode, MODES)
        self._dialect = find_dialect(hook)
        self.name = split_table_name(table)
        self.table = table
        self._hook = hook
        self.mode, self._key, self._create, self._add = mode, key, create, add_columns
        self._owner, self._deletes = owner, deletes or mode == "replace"
        self._log = LoadLog(self._dialect, self.name)
        self._digest, self._again = "", False
        self._conn: Any = None
        #: Columns of the table; None if it does not exist.
        self._existing: list[TableColumn] | None = None
        self._columns: tuple[Column, ...] = ()
        self._slots: tuple[Slot, ...] = ()
        self._matches_rows = mode == "merge"
        self._gone: Slot | None = None
        self._sql: TableSql
        self._stage: Stage
        self.rows = 0
        #: Loads of the lists of the records, which are published together with them.
        self.lists: Sequence[PartOfLoad] = ()

    def __enter__(self) -> Self:
        self._conn = self._hook.get_conn()
        try:
            if getattr(self._hook, "supports_autocommit", False):
                self._hook.set_autocommit(self._conn, False)
            self._look()
        except BaseException:
            self._conn.close()
            raise
        return self

    def _look(self) -> None:
        """Find out what there is, and whether the load may do there what it has to do."""
        trial = partial(self._transaction, keep=False)
        with self._transaction() as cursor:
            self._dialect.prepare(cursor)
        check_schema(self._dialect, trial, self.name)
        with self._transaction() as cursor:
            logged = self._log.exists(cursor) if self._owner else None
            self._existing = self._dialect.read_columns(cursor, self.name)
            if self.mode == "replace" and self._existing is not None:
                self._matches_rows = self._dialect.has_references(cursor, self.name)
        Rights(
            dialect=self._dialect,
            table=self.name,
            existing=self._existing,
            updates=self._matches_rows,
            deletes=self._deletes,
            creates=logged is False or (self._create and self._existing is None),
            log=self._log.path if logged else None,
        ).check(trial)

    def __exit__(self, *_: object) -> None:
        # Temporary tables go with the connection.
        self._conn.close()

    def check(self, names: Sequence[str]) -> None:
        """Check that the table has columns of these names and needs no others, before anything is read.

        :raises IntacctArgumentError: naming what is missing, and the nearest name.
        """
        if self._existing is None:
            if not self._create:
                raise IntacctArgumentError(
                    f"table {self.table!r} does not exist. Create it, or give create_table=True."
                )
            return
        existing = [column.name for column in self._existing]
        for name in names:
            if find_column(name, existing) is None and not self._add:
                raise IntacctArgumentError(
                    f"table {self.table!r} has no column {name!r}.{did_you_mean(name, existing)} Columns: "
                    f"{', '.join(existing)}. Name the column of a field with fields={{'field': 'column'}}, add it to "
                    "the table, or give schema_drift='add'."
                )
        given = {find_column(name, existing) for name in names}
        for column in self._existing:
            if column.required and column.name not in given:
                raise IntacctArgumentError(
                    f"Column {column.name!r} of table {self.table!r} must not be null and has no default, and the "
                    "export has no such column."
                )

    def name_columns(self, columns: Sequence[Column]) -> tuple[Column, ...]:
        """Return columns under the names that they have in the table, each one its own."""
        return name_for_sql(columns, self._dialect, [column.name for column in self._existing or ()])

    @property
    def log_table(self) -> str:
        """The table of the log, as SQL names it."""
        return self._log.path

    def find_missing(self, tables: Sequence[str]) -> list[str]:
        """Return those of some tables that do not exist."""
        with self._transaction() as cursor:
            return [
                name for name in tables if self._dialect.read_columns(cursor, split_table_name(name)) is None
            ]

    @property
    def exists(self) -> bool:
        """Whether the table exists already."""
        return self._existing is not None

    def reaches(self, watermark: str) -> bool:
        """Whether the table has what its task has loaded into it up to a watermark.

        A table that replaced the one that was loaded does not, nor does an older copy of it.
        """
        if self._existing is None or self._owner is None:
            return False
        with self._transaction() as cursor:
            latest = self._log.read_watermark(cursor, self._owner)
        return latest is not None and latest >= watermark

    def begin(self, columns: Sequence[Column], digest: str = "", *, again: bool = False) -> LoadEntry | None:
        """Prepare everything, and try out with no rows what will be done with them.

        :param columns: of the rows, in their order.
        :param digest: of what is read, to tell it from rows of another query.
        :param again: load even if an earlier attempt has loaded the rows; never with ``append``.
        :return: the log entry, if an earlier attempt has completed the load and it must not be done again.
        :raises IntacctArgumentError: if the table cannot take the rows.
        """
        self._columns, self._digest, self._again = tuple(columns), digest, again
        self.check([column.name for column in columns])
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
        with self._transaction() as cursor:
            self._dialect.lock(cursor, self.name, rows=self.mode != "append" and self._existing is not None)
            done = self._find_done(cursor)
            if done is not None:
                return done.facts
            for one in self.lists:
                one.define(cursor)
            counts = self._run(cursor, self._sql.publish(replaces=self.mode == "replace", gone=self._gone))
            self._check_counts(counts["inserted"] + counts["updated"])
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

    def _run(self, cursor: Cursor, statements: Iterable[tuple[str, str]]) -> dict[str, int]:
        """Execute statements that make the rows part of the table.

        :param statements: each with what it counts; empty if nothing.
        :return: how many rows were inserted, updated and deleted.
        :raises IntacctColumnError: if a constraint of the table rejects the rows.
        """
        counts = {"inserted": 0, "updated": 0, "deleted": 0}
        try:
            for sql, counted in statements:
                number = _execute(cursor, sql)
                if counted:
                    counts[counted] += number
        except Exception as err:
            if not self._dialect.rejects(err):
                raise
            raise IntacctColumnError(
                f"table {self.table!r} rejected the rows, so none was kept: {describe_error(err)}. Correct the "
                "records, or a constraint of the table."
            ) from err
        return counts

    def _make_slot(self, column: Column) -> Slot:
        """Return where the values of a column go, which the table has or will have."""
        existing = {one.name: one for one in self._existing or ()}
        found = existing.get(find_column(column.name, existing) or "")
        if found and found.rounds and column.type == "decimal":
            _log.warning(
                "Column %r of %s is %s: amounts in it are not exact, and one that it would change fails the task.",
                found.name, self.table, found.type,
            )  # fmt: skip
        if found is None:
            primary = self._existing is None and self.mode == "merge" and column == self._key_column
            kind = self._dialect.key_type(column) if primary else self._dialect.column_type(column)
            found = TableColumn(column.name, kind)
        return self._dialect.slot(column, found)

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

    @property
    def _key_column(self) -> Column | None:
        """The column of the key: that of the field of this name, or else the one that is named so."""
        by_field = [column for column in self._columns if column.field == self._key]
        by_name = [column for column in self._columns if column.name == self._key]
        return next(iter(by_field + by_name), None)

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
                _execute(cursor, sql)

    def _check_unique(self, cursor: Cursor) -> None:
        cursor.execute(self._sql.counts())
        rows, different = row_values(cursor.fetchone())
        if rows != different:
            raise IntacctColumnError(
                f"key {self._key!r} does not identify the rows: {rows} rows have {different} values of it. Merge on a "
                "field that no two records share, such as 'key'."
            )

    def _check_counts(self, taken: int) -> None:
        """Make sure that the database took each row once, where its driver reports that."""
        if taken not in (0, self.rows):
            what = (
                f"Several rows of it have the same {self._key!r}; remove all but one of them."
                if taken > self.rows and self._matches_rows
                else "A trigger or a rule may have changed what was inserted."
            )
            raise IntacctColumnError(
                f"table {self.table!r} took {taken} rows where {self.rows} were read, so none was kept. {what}"
            )

    @contextmanager
    def _transaction(self, *, keep: bool = True) -> Iterator[Cursor]:
        cursor = self._dialect.begin(self._conn)
        try:
            yield cursor
            (self._conn.commit if keep else self._conn.rollback)()
        except BaseException:
            # The first error is the one to report, even if the connection is gone.
            with suppress(Exception):
                self._conn.rollback()
            raise
        finally:
            with suppress(Exception):
                self._dialect.end(cursor)


def _execute(cursor: Cursor, sql: str) -> int:
    """Return the number that a statement selects, or else the number of rows that it changed."""
    cursor.execute(sql)
    rows = cursor.fetchall() if cursor.description else ()
    return int(row_values(rows[0])[0] if rows else max(cursor.rowcount, 0))
