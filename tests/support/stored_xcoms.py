"""The XComs in a metadata database of Airflow; it keeps them in another table since 3.4."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import NamedTuple

_TABLES = {
    "xcom": "SELECT dag_id, run_id, task_id, map_index, key, value FROM xcom",
    "xcom_v2": "SELECT dag_id, run_id, task_id, map_index, key, value FROM xcom_v2"
    " JOIN task_instance ON task_instance.id = task_instance_id",
}


class StoredXCom(NamedTuple):
    """What a task has pushed; the value is the text that is stored."""

    dag_id: str
    run_id: str
    task_id: str
    map_index: int
    key: str
    value: object


def read_xcoms(database: Path) -> list[StoredXCom]:
    """Return all XComs, from each of the tables that the database has."""
    with sqlite3.connect(f"file:{database}?mode=ro", uri=True) as conn:
        names = {
            name for (name,) in conn.execute("SELECT name FROM sqlite_master WHERE type IN ('table', 'view')")
        }
        tables = [query for table, query in _TABLES.items() if table in names]
        assert tables, f"{database} has none of the tables {', '.join(_TABLES)}: where are the XComs?"
        return [StoredXCom(*row) for query in tables for row in conn.execute(query)]
