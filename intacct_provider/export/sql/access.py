"""Whether a table's schema exists and a load may do there what it has to do, before anything is paid for."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass

from intacct_provider.client.spelling import did_you_mean
from intacct_provider.exceptions import IntacctArgumentError
from intacct_provider.export.schema.lists import PARENT_KEY, POSITION
from intacct_provider.export.sql.dialect import Cursor, Dialect, Name, TableColumn, row_values
from intacct_provider.export.sql.names import find_column

#: What PostgreSQL calls a missing right, a missing schema and a transaction that may only read.
_REFUSALS = frozenset(("42501", "3F000", "25006"))
_REFUSED = re.compile(r"denied|permission|privilege|not authorized|read[- ]?only", re.IGNORECASE)

#: Gives the cursor of a transaction that leaves nothing behind.
Trial = Callable[[], AbstractContextManager[Cursor]]


def check_schema(dialect: Dialect, trial: Trial, table: Name) -> None:
    """Make sure that the schema that a table is named with exists, where the database can say so.

    :raises IntacctArgumentError: naming the nearest schema.
    """
    if len(table) == 1:
        return
    schemas: list[str] = []
    with suppress(Exception), trial() as cursor:
        schemas = list(_list_schemas(dialect, cursor))
    if schemas and find_column(table[-2], schemas) is None:
        raise IntacctArgumentError(
            f"table {'.'.join(table)!r}: the database has no schema {table[-2]!r}, or the user may not use it."
            f"{did_you_mean(table[-2], schemas)} Create it, or name another one."
        )


def find_list_tables(dialect: Dialect, trial: Trial, table: Name) -> list[tuple[Name, list[TableColumn]]]:
    """Return the tables of lists that exist beside the table of their records, with their columns.

    Before a model says which lists there are, the names and the first columns of tables show it. Where the
    database lists no tables, none is found.
    """
    found: list[tuple[Name, list[TableColumn]]] = []
    with suppress(Exception), trial() as cursor:
        for name in dialect.list_tables(cursor, table):
            if name.casefold().startswith(f"{table[-1]}_".casefold()):
                columns = dialect.read_columns(cursor, (*table[:-1], name)) or []
                if {PARENT_KEY, POSITION} <= {column.name.lower() for column in columns}:
                    found.append(((*table[:-1], name), columns))
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Rights:
    """What a load does, which its user must be allowed to do.

    :param existing: columns of the table; None if it does not exist.
    :param updates: whether rows are updated, and
    :param deletes: whether some are deleted.
    :param creates: whether a table is created, be it that of the log.
    :param log: the table of the log, if it exists already and an entry is written.
    """

    dialect: Dialect
    table: Name
    existing: Sequence[TableColumn] | None
    updates: bool
    deletes: bool
    creates: bool
    log: str | None

    def check(self, trial: Trial) -> None:
        """Try out everything with no rows, and take it back. Errors that are not about rights are for later.

        :raises IntacctArgumentError: naming what the user of the connection may not do.
        """
        for what, statements in self._list_trials():
            refused = None
            # One of several is enough: the right to a table may be one to some of its columns.
            for sql in statements:
                refused = self._try(trial, sql)
                if refused is None:
                    break
            if refused is not None:
                raise IntacctArgumentError(
                    f"table {'.'.join(self.table)!r}: the user of the connection may not {what} "
                    f"({str(refused).strip().splitlines()[0]}). Grant the right, or name another sql_conn_id."
                ) from refused

    def _try(self, trial: Trial, sql: str) -> Exception | None:
        try:
            with trial() as cursor:
                self.dialect.lock(cursor, self.table, rows=False)
                cursor.execute(sql)
        except Exception as err:  # drivers have no base class in common
            return err if is_refusal(err) else None
        return None

    def _list_trials(self) -> Iterator[tuple[str, list[str]]]:
        """Yield what the load does, each with statements of which one must be allowed."""
        quote, path = self.dialect.quote, self.dialect.path(self.table)
        name = f"intacct_try_{uuid.uuid4().hex[:12]}"
        if self.dialect.undoes_ddl:
            yield "create temporary tables", [f"CREATE TEMPORARY TABLE {quote(name)} (n INTEGER)"]
            if self.creates:
                own = self.dialect.path((*self.table[:-1], name))
                yield "create tables in its schema", [f"CREATE TABLE {own} (n INTEGER)"]
        if self.log:
            yield "write the log of loads", [_insert(self.log, quote("load_id"))]
            yield "replace entries of the log of loads", [f"DELETE FROM {self.log} WHERE 1 = 0"]  # noqa: S608
        columns = [quote(column.name) for column in self.existing or ()]
        if columns:
            yield "insert rows", [_insert(path, column) for column in columns]
        if columns and self.updates:
            yield "update rows", [f"UPDATE {path} SET {c} = {c} WHERE 1 = 0" for c in columns]  # noqa: S608
        if columns and self.deletes:
            yield "delete rows", [f"DELETE FROM {path} WHERE 1 = 0"]  # noqa: S608


def is_refusal(err: Exception) -> bool:
    """Whether a database says by an error that its user lacks a right, or that it may only be read."""
    code = getattr(err, "sqlstate", None) or getattr(err, "pgcode", None)
    return code in _REFUSALS if code else bool(_REFUSED.search(str(err)))


def _insert(path: str, column: str) -> str:
    return f"INSERT INTO {path} ({column}) SELECT {column} FROM {path} WHERE 1 = 0"  # noqa: S608


def _list_schemas(dialect: Dialect, cursor: Cursor) -> Iterator[str]:
    if dialect.title == "SQLite":
        cursor.execute("PRAGMA database_list")
        yield from (str(row_values(row)[1]) for row in cursor.fetchall())
        return
    cursor.execute("SELECT schema_name AS s, catalog_name AS c FROM information_schema.schemata")
    for row in cursor.fetchall():
        yield from map(str, row_values(row))
