"""The loads that a schema's tables have had: one line each, written in the transaction that brought the rows.

The line is the table's manifest, and it is how a retry finds out that its rows are there already.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
import pendulum

from intacct_provider.exceptions import IntacctArgumentError
from intacct_provider.export.schema.columns import Column
from intacct_provider.export.sql.databases import tuple_of
from intacct_provider.export.sql.dialect import Cursor, Dialect, Name, Slot

#: The table of the lines, in the schema of the table that rows go to.
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
    """Whose a load is: one task of one run, whichever of its tries.

    :param clears: tells the tries that Airflow makes by itself from those after a person has cleared the task: the
        task's ``max_tries``, which clearing raises.
    """

    dag_id: str
    run_id: str
    task_id: str
    map_index: int = -1
    clears: int = 0

    @classmethod
    def of(cls, context: Mapping[str, Any]) -> Owner | None:
        """Return the owner for a task's context; None outside of a task, where nothing is tried again."""
        task = context.get("ti") or context.get("task_instance")
        if task is None:
            return None
        return cls(task.dag_id, task.run_id, task.task_id, task.map_index, getattr(task, "max_tries", 0) or 0)

    def load_id(self, table: str) -> str:
        """Return what names the load of a table, whichever try makes it."""
        parts = (self.dag_id, self.run_id, self.task_id, str(self.map_index), table)
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Line:
    """An earlier load of the same owner into the same table."""

    clears: int
    query_digest: str
    row_count: int
    finished_at: str
    facts: dict[str, Any]


class Lines:
    """The lines of a schema.

    :param table: that rows go to.
    """

    def __init__(self, dialect: Dialect, table: Name) -> None:
        if table[-1].lower() == TABLE:
            raise IntacctArgumentError(f"table {'.'.join(table)!r} is where loads are noted; name another.")
        self._dialect = dialect
        self._table = ".".join(table)
        self._name = (*table[:-1], TABLE)
        self.path = dialect.path(self._name)

    def ready(self, cursor: Cursor) -> None:
        """Create the table of the lines, unless it is there."""
        if self._dialect.held(cursor, self._name) is not None:
            return
        self._dialect.lock(cursor, self._name, rows=False)
        cursor.execute(self.ddl)

    @property
    def ddl(self) -> str:
        """The statement that creates the table of the lines, for those whose user must not."""
        quoted, type_of = self._dialect.quoted, self._dialect.type_of
        rest = ", ".join(f"{quoted(column.name)} {type_of(column)}" for column in _COLUMNS[1:])
        return f"CREATE TABLE IF NOT EXISTS {self.path} ({quoted('load_id')} VARCHAR(64) PRIMARY KEY, {rest})"

    def find(self, cursor: Cursor, owner: Owner) -> Line | None:
        """Return the line of an earlier load."""
        names = ", ".join(
            map(self._dialect.quoted, ("clears", "query_digest", "row_count", "finished_at", "facts"))
        )
        cursor.execute(
            f"SELECT {names} FROM {self.path} WHERE {self._dialect.quoted('load_id')} = {self._dialect.mark}",  # noqa: S608
            [owner.load_id(self._table)],
        )
        row = cursor.fetchone()
        if row is None:
            return None
        clears, digest, rows, finished, facts = tuple_of(row)
        return Line(int(clears), digest, int(rows), str(finished), msgspec.json.decode(facts))

    def watermark(self, cursor: Cursor, owner: Owner) -> str | None:
        """Return up to where a task has loaded changes into the table, in whichever of its runs; None if it has not."""
        if self._dialect.held(cursor, self._name) is None:
            return None
        quoted, mark = self._dialect.quoted, self._dialect.mark
        which = {
            "table_name": self._table,
            "dag_id": owner.dag_id,
            "task_id": owner.task_id,
            "map_index": owner.map_index,
        }
        cursor.execute(
            f"SELECT max({quoted('watermark')}) AS latest FROM {self.path} WHERE "  # noqa: S608
            + " AND ".join(f"{quoted(name)} = {mark}" for name in which),
            list(which.values()),
        )
        found: str | None = tuple_of(cursor.fetchone())[0]
        return found

    def write(self, cursor: Cursor, owner: Owner, mode: str, digest: str, facts: Mapping[str, Any]) -> None:
        """Write the line of a load, in the place of the one that it had before it was cleared.

        :param digest: of what was read.
        :param facts: ``object``, ``rows``, ``first_key``, ``last_key``, ``watermark`` and whatever else is to be known.
        """
        load_id = owner.load_id(self._table)
        line = {
            "load_id": load_id,
            "table_name": self._table,
            "mode": mode,
            "dag_id": owner.dag_id,
            "run_id": owner.run_id,
            "task_id": owner.task_id,
            "map_index": owner.map_index,
            "clears": owner.clears,
            "object_name": facts.get("object"),
            "query_digest": digest,
            "row_count": facts.get("rows"),
            "first_key": facts.get("first_key"),
            "last_key": facts.get("last_key"),
            "watermark": facts.get("watermark"),
            "facts": msgspec.json.encode(facts).decode(),
            "finished_at": self._dialect.adapted(_FINISHED, [""], [pendulum.now("UTC").to_iso8601_string()])[
                0
            ],
        }
        quoted, mark = self._dialect.quoted, self._dialect.mark
        cursor.execute(f"DELETE FROM {self.path} WHERE {quoted('load_id')} = {mark}", [load_id])  # noqa: S608
        cursor.execute(
            f"INSERT INTO {self.path} ({', '.join(map(quoted, line))}) VALUES ({', '.join([mark] * len(line))})",  # noqa: S608
            list(line.values()),
        )


def digest_of(query: Mapping[str, Any]) -> str:
    """Return the SHA-256 of what is read, as hexadecimal digits."""
    return hashlib.sha256(_canonical.encode(query)).hexdigest()
