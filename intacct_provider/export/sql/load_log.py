"""The log of the loads into a schema: one entry each, written in the transaction that loads the rows.

The entry is the table's manifest, and by it a retry finds that its rows are already loaded.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
import pendulum

from intacct_provider.exceptions import IntacctArgumentError
from intacct_provider.export.facts import Completeness, DeletionFacts, ListCompleteness, RunFacts
from intacct_provider.export.incremental.window import Window
from intacct_provider.export.schema.columns import Column
from intacct_provider.export.sql.dialect import Cursor, Dialect, Name, Slot, row_values

#: The table of the log, in the schema of the table that rows go to.
TABLE = "intacct_exports"
_TYPES = {
    "load_id": "string", "table_name": "string", "mode": "string", "dag_id": "string", "run_id": "string",
    "task_id": "string", "map_index": "integer", "clears": "integer", "object_name": "string",
    "query_digest": "string", "row_count": "integer", "first_key": "string", "last_key": "string",
    "watermark": "string", "facts": "string", "finished_at": "timestamp",
}  # fmt: skip
_COLUMNS = tuple(Column(name, name, kind) for name, kind in _TYPES.items())  # type: ignore[arg-type]
_FINISHED = Slot(_COLUMNS[-1], "finished_at")
_canonical = msgspec.json.Encoder(order="sorted", decimal_format="number")


@dataclass(frozen=True, slots=True)
class Owner:
    """Who loads: one task of one run, in whichever of its attempts.

    :param clears: the task's ``max_tries``, which clearing the task raises and Airflow's own retries leave alone.
    """

    dag_id: str
    run_id: str
    task_id: str
    map_index: int = -1
    clears: int = 0

    @classmethod
    def from_context(cls, context: Mapping[str, Any]) -> Owner | None:
        """Return the owner for a task's context; None outside of a task, where nothing is retried."""
        task = context.get("ti") or context.get("task_instance")
        if task is None:
            return None
        return cls(task.dag_id, task.run_id, task.task_id, task.map_index, getattr(task, "max_tries", 0) or 0)

    def load_id(self, table: str) -> str:
        """Return the id of the load of a table, the same for every attempt."""
        parts = (self.dag_id, self.run_id, self.task_id, str(self.map_index), table)
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()


class LoadedList(msgspec.Struct, frozen=True, kw_only=True):
    """What a load has put into the table of a list of its records."""

    name: str
    table: str
    columns: tuple[Column, ...]
    rows: int
    completeness: ListCompleteness


class LoadFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What a load has read and done, as its log entry has it.

    :param query: what Intacct was asked, in its own terms.
    :param rows: read.
    """

    object: str
    query: dict[str, Any]
    detail: bool
    columns: tuple[Column, ...]
    company_id: str
    entity_id: str
    table: str
    mode: str
    first_key: str | None
    last_key: str | None
    completeness: Completeness
    window: Window | None = None
    watermark: str | None = None
    deletions: DeletionFacts | None = None
    lists: tuple[LoadedList, ...] = ()
    provider_version: str
    run: RunFacts
    rows: int = 0
    inserted: int = 0
    updated: int = 0
    deleted: int = 0


@dataclass(frozen=True, slots=True)
class LoadEntry:
    """An earlier load of the same owner into the same table."""

    clears: int
    query_digest: str
    row_count: int
    finished_at: str
    facts: LoadFacts


class LoadLog:
    """The log of the loads into a schema.

    :param table: that rows go to.
    """

    def __init__(self, dialect: Dialect, table: Name) -> None:
        if table[-1].lower() == TABLE:
            raise IntacctArgumentError(f"table {'.'.join(table)!r} is the log of loads; name another table.")
        self._dialect = dialect
        self._table = ".".join(table)
        self._name = (*table[:-1], TABLE)
        self.path = dialect.path(self._name)

    def create(self, cursor: Cursor) -> None:
        """Create the table of the log, unless it exists."""
        if self.exists(cursor):
            return
        self._dialect.lock(cursor, self._name, rows=False)
        cursor.execute(self.ddl)

    def exists(self, cursor: Cursor) -> bool:
        """Whether the table of the log exists.

        :raises IntacctArgumentError: if a table of something else has its name.
        """
        found = self._dialect.read_columns(cursor, self._name)
        names = {column.name.lower() for column in found or ()}
        lacking = [column.name for column in _COLUMNS if column.name not in names] if found else []
        if lacking:
            raise IntacctArgumentError(
                f"table {'.'.join(self._name)!r} is not the log of loads: it has no column {lacking[0]!r}. Rename it, "
                "or load into another schema."
            )
        return found is not None

    @property
    def ddl(self) -> str:
        """The statement that creates the table of the log, for users who may not create tables."""
        quote, column_type = self._dialect.quote, self._dialect.column_type
        rest = ", ".join(f"{quote(column.name)} {column_type(column)}" for column in _COLUMNS[1:])
        key = f"{quote('load_id')} VARCHAR(64) PRIMARY KEY"
        return f"CREATE TABLE IF NOT EXISTS {self.path} ({key}, {rest}){self._dialect.table_options}"

    def find(self, cursor: Cursor, owner: Owner) -> LoadEntry | None:
        """Return the entry of an earlier load."""
        names = ", ".join(
            map(self._dialect.quote, ("clears", "query_digest", "row_count", "finished_at", "facts"))
        )
        cursor.execute(
            f"SELECT {names} FROM {self.path} WHERE {self._dialect.quote('load_id')} = {self._dialect.placeholder}",  # noqa: S608
            [owner.load_id(self._table)],
        )
        row = cursor.fetchone()
        if row is None:
            return None
        clears, digest, rows, finished, facts = row_values(row)
        found = msgspec.json.decode(facts, type=LoadFacts)
        return LoadEntry(int(clears), digest, int(rows), str(finished), found)

    def read_watermark(self, cursor: Cursor, owner: Owner) -> str | None:
        """Return up to where a task has loaded changes into the table, in any of its runs; None if there is none."""
        if self._dialect.read_columns(cursor, self._name) is None:
            return None
        quote, mark = self._dialect.quote, self._dialect.placeholder
        which = {
            "table_name": self._table,
            "dag_id": owner.dag_id,
            "task_id": owner.task_id,
            "map_index": owner.map_index,
        }
        cursor.execute(
            f"SELECT max({quote('watermark')}) AS latest FROM {self.path} WHERE "  # noqa: S608
            + " AND ".join(f"{quote(name)} = {mark}" for name in which),
            list(which.values()),
        )
        found: str | None = row_values(cursor.fetchone())[0]
        return found

    def write(self, cursor: Cursor, owner: Owner, digest: str, facts: LoadFacts) -> None:
        """Write the entry of a load, replacing the one from before the task was cleared.

        :param digest: of what was read.
        """
        load_id = owner.load_id(self._table)
        entry = {
            "load_id": load_id,
            "table_name": self._table,
            "mode": facts.mode,
            "dag_id": owner.dag_id,
            "run_id": owner.run_id,
            "task_id": owner.task_id,
            "map_index": owner.map_index,
            "clears": owner.clears,
            "object_name": facts.object,
            "query_digest": digest,
            "row_count": facts.rows,
            "first_key": facts.first_key,
            "last_key": facts.last_key,
            "watermark": facts.watermark,
            "facts": msgspec.json.encode(facts).decode(),
            "finished_at": self._dialect.convert(_FINISHED, [""], [pendulum.now("UTC").to_iso8601_string()])[
                0
            ],
        }
        quote, mark = self._dialect.quote, self._dialect.placeholder
        cursor.execute(f"DELETE FROM {self.path} WHERE {quote('load_id')} = {mark}", [load_id])  # noqa: S608
        cursor.execute(
            f"INSERT INTO {self.path} ({', '.join(map(quote, entry))}) VALUES ({', '.join([mark] * len(entry))})",  # noqa: S608
            list(entry.values()),
        )


def digest_query(query: Mapping[str, Any]) -> str:
    """Return the SHA-256 of what is read, as hexadecimal digits."""
    return hashlib.sha256(_canonical.encode(query)).hexdigest()
