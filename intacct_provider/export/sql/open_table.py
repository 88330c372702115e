"""A table of a database as it is, over one connection: what it takes, and what the user may do to it."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import Any, Self

from intacct_provider.client.arguments import check_choice
from intacct_provider.client.spelling import did_you_mean
from intacct_provider.exceptions import IntacctArgumentError, IntacctColumnError
from intacct_provider.export.schema.columns import Column
from intacct_provider.export.schema.masks import EXAMPLE_HASH
from intacct_provider.export.sql.access import Rights, check_schema, find_list_tables
from intacct_provider.export.sql.databases import find_dialect
from intacct_provider.export.sql.dialect import Cursor, Name, Slot, TableColumn
from intacct_provider.export.sql.load_log import LoadLog, Owner
from intacct_provider.export.sql.names import find_column, name_for_sql, split_table_name
from intacct_provider.export.sql.stage import Stage, describe_error
from intacct_provider.export.sql.statements import TableSql

MODES = ("append", "replace", "merge")
_log = logging.getLogger(__name__)


class OpenTable:
    """A table, which need not exist; use it in a ``with`` statement.

    Opening it tries out what a load will do to it, with no rows, and takes it back.

    :param hook: an Airflow hook of a SQL database.
    :param table: name, with its schema if need be: ``finance.customers``. Taken as it is written, case included.
    :param mode: what a load does.
    :param key: field or column that identifies a row, for ``merge``.
    :param create: create the table if it does not exist; with ``merge`` its key is the primary key.
    :param add_columns: add columns that the table lacks; by default that is an error.
    :param deletes: whether rows of deleted records are removed.
    :param lists: whether lists of the records have tables of their own.
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
        lists: bool = False,
        owner: Owner | None = None,
    ) -> None:
        check_choice("mode", mode, MODES)
        self._dialect = find_dialect(hook)
        self.name = split_table_name(table)
        self.table = table
        self._hook = hook
        self.mode, self._key, self._create, self._add = mode, key, create, add_columns
        self._owner, self._deletes, self._with_lists = owner, deletes or mode == "replace", lists
        self._log = LoadLog(self._dialect, self.name)
        self._conn: Any = None
        #: Columns of the table; None if it does not exist.
        self._existing: list[TableColumn] | None = None
        self._columns: tuple[Column, ...] = ()
        self._matches_rows = mode == "merge"

    def __enter__(self) -> Self:
        self._conn = self._hook.get_conn()
        try:
            if getattr(self._hook, "supports_autocommit", False):
                self._hook.set_autocommit(self._conn, False)
            with self._explain_lasting():
                self._look()
        except BaseException:
            self._conn.close()
            raise
        return self

    @contextmanager
    def _explain_lasting(self) -> Iterator[None]:
        """Raise what the database says of the table as an error of arguments, where a retry would meet it again."""
        try:
            yield
        except Exception as err:
            if not self._dialect.is_lasting(err):
                raise
            raise IntacctArgumentError(
                f"table {self.table!r} cannot be loaded as it is: {describe_error(err)}. Correct the table, or name "
                "another one. Nothing was written."
            ) from err

    def _look(self) -> None:
        """Find out what there is, and whether the load may do there what it has to do."""
        with self._transaction() as cursor:
            self._dialect.prepare(cursor)
        check_schema(self._dialect, self._try, self.name)
        with self._transaction() as cursor:
            logged = self._log.exists(cursor) if self._owner else None
            self._existing = self._dialect.read_columns(cursor, self.name)
            if self.mode == "replace" and self._existing is not None:
                self._matches_rows = self._dialect.has_references(cursor, self.name)
        log = self._log.path if logged else None
        self._check_rights(
            self.name, self._existing, updates=self._matches_rows, creates=logged is False, log=log
        )
        if self._with_lists:
            for name, columns in find_list_tables(self._dialect, self._try, self.name):
                self._check_rights(name, columns)

    def _check_rights(
        self,
        table: Name,
        existing: Sequence[TableColumn] | None,
        *,
        updates: bool = False,
        creates: bool = False,
        log: str | None = None,
    ) -> None:
        """Try out what is done to this table, or to that of one of its lists.

        :raises IntacctArgumentError: naming what the user of the connection may not do.
        """
        Rights(
            dialect=self._dialect,
            table=table,
            existing=existing,
            updates=updates,
            # Rows of lists that are merged take the place of those of the same records.
            deletes=self._deletes or (table != self.name and self.mode == "merge"),
            creates=creates or (self._create and existing is None),
            log=log,
        ).check(self._try)

    def _try(self) -> AbstractContextManager[Cursor]:
        """Begin a transaction that is taken back."""
        return self._transaction(keep=False)

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
        generated = {column.name for column in self._existing if column.generated}
        for name in names:
            if find_column(name, existing) in generated:
                raise IntacctArgumentError(
                    f"Column {name!r} of table {self.table!r} is generated by the database, which takes no other "
                    "value. Name another column for the field with fields={'field': 'column'}, or leave the field out."
                )
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

    def check_hashes(self, columns: Sequence[Column]) -> None:
        """Try out a hash in each column that has hashes and exists, before anything is read.

        :raises IntacctArgumentError: naming a column whose type does not keep it, such as one of numbers.
        """
        for slot in [self._make_slot(column) for column in columns if column.mask]:
            if slot.name not in {one.name for one in self._existing or ()}:
                continue
            sql = TableSql(self._dialect, self.name, self._existing, [slot], None, primary=False)
            stage = Stage(self._dialect, sql.rows, sql.rows_page, [slot], self._transaction)
            with self._transaction() as cursor:
                for statement in sql.stage():
                    cursor.execute(statement)
                stage.create_page(cursor)
            try:
                stage.add(["any"], [(EXAMPLE_HASH,)])
            except IntacctColumnError as err:
                raise IntacctArgumentError(
                    f"mask hashes {slot.column.field!r}, and column {slot.name!r} of table {self.table!r} has type "
                    f"{slot.type}, which does not hold the 64 hexadecimal digits of a hash. Give the column a type of "
                    "text, give the field another column with fields={'field': 'column'}, or use 'drop'."
                ) from err

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

    def find_lacking(self, names: Sequence[str]) -> list[str]:
        """Return those of some names that no column of the table has."""
        existing = [column.name for column in self._existing or ()]
        return [name for name in names if find_column(name, existing) is None]

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

    @property
    def _key_column(self) -> Column | None:
        """The column of the key: that of the field of this name, or else the one that is named so."""
        by_field = [column for column in self._columns if column.field == self._key]
        by_name = [column for column in self._columns if column.name == self._key]
        return next(iter(by_field + by_name), None)

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
