"""What PostgreSQL, SQLite, DuckDB and MySQL share: any name can be quoted, and the same statements merge."""

from __future__ import annotations

from collections.abc import Sequence

from intacct_provider.exceptions import IntacctArgumentError
from intacct_provider.export.sql.dialect import Dialect


class QuotingDialect(Dialect):
    """Names are used as written, case included, with any characters."""

    undoes_ddl = True

    def quote(self, name: str) -> str:
        """Return a name in quotes, case included."""
        if not name or "\0" in name:
            raise IntacctArgumentError(f"{name!r} cannot be the name of a table or column.")
        return '"' + name.replace('"', '""') + '"'

    def merge(self, table: str, stage: str, key: str, names: Sequence[str]) -> list[tuple[str, str]]:
        """Return statements that update rows that exist and insert the others, each with what it counts."""
        # Neither ON CONFLICT, which needs a unique index, nor MERGE, which counts both as one and is new to PostgreSQL.
        changes = ", ".join(f"{n} = s.{n}" for n in names if n != key) or f"{key} = s.{key}"
        same = self.match(f"t.{key}", f"s.{key}")
        update = f"UPDATE {table} AS t SET {changes} FROM {stage} AS s WHERE {same}"  # noqa: S608
        values = ", ".join(f"s.{name}" for name in names)
        insert = (
            f"INSERT INTO {table} ({', '.join(names)}) SELECT {values} FROM {stage} AS s "  # noqa: S608
            f"LEFT JOIN {table} AS t ON {same} WHERE t.{key} IS NULL"
        )
        return [(update, "updated"), (insert, "inserted")]

    def delete_matching(self, table: str, stage: str, key: str) -> str:
        """Return the statement that deletes rows whose key is in another table."""
        return f"DELETE FROM {table} AS t WHERE {self._exists(stage, key)}"  # noqa: S608

    def delete_missing(self, table: str, stage: str, key: str) -> str:
        """Return the statement that deletes rows whose key is not in another table."""
        return f"DELETE FROM {table} AS t WHERE NOT {self._exists(stage, key)}"  # noqa: S608

    def _exists(self, stage: str, key: str) -> str:
        return f"EXISTS (SELECT 1 FROM {stage} AS s WHERE {self.match(f't.{key}', f's.{key}')})"  # noqa: S608
