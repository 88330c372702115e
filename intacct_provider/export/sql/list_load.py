"""The tables of the lists of records: loaded in the transaction that loads the records."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain

from intacct_provider.client.paging.pages import Page
from intacct_provider.exceptions import IntacctArgumentError
from intacct_provider.export.facts import ListCompleteness
from intacct_provider.export.schema.lists import PARENT_KEY, ListTable, split_page
from intacct_provider.export.sql.dialect import Cursor
from intacct_provider.export.sql.load_log import LoadedList
from intacct_provider.export.sql.table_load import TableLoad


class ListLoad(TableLoad):
    """The load of one list, over the connection of the load of its records; it is not entered itself.

    :param records: the load of the records, opened.
    """

    def __init__(self, records: TableLoad, one: ListTable) -> None:
        super().__init__(
            records._hook,
            list_table(records.table, one.name),
            # The rows of a merge are inserted, after those of the same records were deleted.
            mode="replace" if records.mode == "replace" else "append",
            create=records._create,
            add_columns=records._add,
        )
        self.list = one
        self._conn = records._conn
        with self._transaction() as cursor:
            self._existing = self._dialect.read_columns(cursor, self.name)
        # Of a table that exists, this was tried when that of the records was opened, where it was known to be one.
        records._check_rights(self.name, self._existing)

    def stage_parents(self, keys: Iterable[str]) -> None:
        """Note the records whose rows in the table are replaced, or deleted with them."""
        self._stage_keys(next(slot for slot in self._slots if slot.column.field == PARENT_KEY), keys)

    def define(self, cursor: Cursor) -> None:
        """Create the table, or what it lacks: first, since some databases commit then."""
        for sql, counted in self._sql.publish(replaces=False, gone=None):
            if not counted:
                cursor.execute(sql)

    def put(self, cursor: Cursor) -> None:
        """Make the rows part of the table, in place of those that it has of the same records.

        :raises IntacctColumnError: if rows were lost.
        """
        table = self._dialect.path(self.name)
        statements = [one for one in self._sql.publish(replaces=False, gone=None) if one[1]]
        if self.mode == "replace":
            statements.insert(0, (f"DELETE FROM {table}", "deleted"))  # noqa: S608
        elif self._gone:
            name = self._dialect.quote(self._gone.name)
            statements.insert(0, (self._dialect.delete_matching(table, self._sql.gone, name), "deleted"))
        self._put_rows(cursor, statements)


class ListLoads:
    """The loads of all lists of the records of one load.

    :param records: the load of the records, opened.
    """

    def __init__(self, records: TableLoad, lists: Sequence[ListTable]) -> None:
        self._records, self._lists = records, lists
        self._merges = records.mode == "merge"
        self._loads: list[ListLoad] = []
        #: Keys of the records, compressed, page by page, where their rows are replaced.
        self._keys: list[bytes] = []

    def begin(self) -> None:
        """Prepare the tables, before anything is read.

        :raises IntacctArgumentError: if a table cannot take the rows.
        """
        _check_tables(self._records.table, self._lists)
        self._loads = [ListLoad(self._records, one) for one in self._lists]
        for load in self._loads:
            load.begin(load.name_columns(load.list.columns))
        self._records.lists = self._loads

    def write(self, page: Page) -> Page:
        """Write the rows of lists; return the records without them."""
        if not self._lists:
            return page
        records, rows = split_page(page, self._lists)
        for load, some in zip(self._loads, rows, strict=True):
            load.write(some)
        if self._merges and page.keys:
            self._keys.append(zlib.compress("\n".join(page.keys).encode(), 1))
        return records

    def discard(self) -> None:
        """Forget the rows so far, since they are read again."""
        self._keys.clear()
        for load in self._loads:
            load.discard()

    def finish(self, deleted: Iterable[str]) -> None:
        """Note of which records the rows are replaced, before the load of the records is published.

        :param deleted: keys of records that were deleted; read for each list.
        """
        if self._merges:
            deleted = list(deleted)
            for load in self._loads:
                load.stage_parents(chain(self._list_keys(), deleted))

    def describe(self, completeness: Mapping[str, ListCompleteness]) -> tuple[LoadedList, ...]:
        """Return the facts for the log."""
        return tuple(
            LoadedList(
                name=load.list.name,
                table=load.table,
                columns=load.list.columns,
                rows=load.rows,
                completeness=completeness[load.list.name],
            )
            for load in self._loads
        )

    def _list_keys(self) -> Iterator[str]:
        for packed in self._keys:
            yield from zlib.decompress(packed).decode().split("\n")


def list_table(table: str, name: str) -> str:
    """Return the name of the table of a list: ``finance.groups_accountRanges`` beside ``finance.groups``."""
    return f"{table}_{name.replace('.', '_')}"


def _check_tables(table: str, lists: Sequence[ListTable]) -> None:
    """Reject two lists whose tables would have one name, case apart."""
    taken: dict[str, str] = {}
    for one in lists:
        name = list_table(table, one.name)
        other = taken.setdefault(name.casefold(), one.name)
        if other != one.name:
            raise IntacctArgumentError(
                f"fields: the lists {other!r} and {one.name!r} would both be table {name!r}. Give one of them another "
                "name: fields={'list': 'name'}."
            )
