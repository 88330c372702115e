"""How many rows each record has in its lists: as exported, and as queries count them; on disk when there are many."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from typing import Any, NamedTuple

_TABLES = """
CREATE TABLE record (key TEXT PRIMARY KEY, stamp TEXT) WITHOUT ROWID;
CREATE TABLE shown (object TEXT, key TEXT, rows INTEGER, PRIMARY KEY (object, key)) WITHOUT ROWID;
CREATE TABLE counted (object TEXT, key TEXT, rows INTEGER, PRIMARY KEY (object, key)) WITHOUT ROWID;
"""


class Difference(NamedTuple):
    """A record whose exported rows are not as many as a query counts.

    :param stamp: when it last changed, as the exported record says; None if it does not.
    """

    key: str
    stamp: str | None
    shown: int


class RowCounts:
    """Counts of exported records; close it at the end."""

    def __init__(self) -> None:
        # A database without a name: SQLite writes it to a file only when there is much, and removes it.
        self._db = sqlite3.connect("")
        self._db.executescript(_TABLES)

    def close(self) -> None:
        """Remove everything."""
        self._db.close()

    def clear(self) -> None:
        """Forget all records, since they are read again."""
        self._db.executescript("DELETE FROM record; DELETE FROM shown; DELETE FROM counted;")

    def add_records(self, stamps: Mapping[str, str | None]) -> None:
        """Add records, with the time at which each last changed."""
        self._db.executemany("INSERT OR REPLACE INTO record VALUES (?, ?)", stamps.items())

    def add_shown(self, name: str, rows: Mapping[str, int]) -> None:
        """Add how many records of an object the lists of records have, by the key of their owner."""
        self._db.executemany(
            "INSERT OR REPLACE INTO shown VALUES (?, ?, ?)", ((name, *one) for one in rows.items())
        )

    def add_counted(self, name: str, rows: Mapping[str, int]) -> None:
        """Add how many records of an object a query counts, by the key of their owner."""
        self._db.executemany(
            "INSERT OR REPLACE INTO counted VALUES (?, ?, ?)", ((name, *one) for one in rows.items())
        )

    def count_records(self) -> int:
        """Return how many records were exported."""
        return int(self._one("SELECT count(*) FROM record"))

    def key_span(self) -> tuple[str, str] | None:
        """Return the lowest and the highest key; None if there are no records, or if not all keys are numbers."""
        if self._one("SELECT count(*) FROM record WHERE key GLOB '*[^0-9]*'"):
            return None
        low = self._one("SELECT min(CAST(key AS INTEGER)) FROM record")
        high = self._one("SELECT max(CAST(key AS INTEGER)) FROM record")
        return None if low is None else (str(low), str(high))

    def keys(self) -> list[str]:
        """Return the keys of all records."""
        return [key for (key,) in self._db.execute("SELECT key FROM record ORDER BY length(key), key")]

    def total_counted(self, name: str) -> int:
        """Return how many records of an object the query counts for the exported records."""
        sql = "SELECT coalesce(sum(rows), 0) FROM counted JOIN record USING (key) WHERE object = ?"
        return int(self._one(sql, name))

    def differences(self, name: str) -> list[Difference]:
        """Return the records whose lists do not have as many records of an object as a query counts."""
        found = self._db.execute(
            "SELECT r.key, r.stamp, coalesce(s.rows, 0) FROM record r "
            "LEFT JOIN shown s ON s.key = r.key AND s.object = :name "
            "LEFT JOIN counted c ON c.key = r.key AND c.object = :name "
            "WHERE coalesce(s.rows, 0) <> coalesce(c.rows, 0) ORDER BY length(r.key), r.key",
            {"name": name},
        )
        return [Difference(*row) for row in found]

    def _one(self, sql: str, *values: Any) -> Any:
        return self._db.execute(sql, values).fetchone()[0]
