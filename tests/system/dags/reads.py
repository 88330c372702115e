"""Tasks that only need a token: in a row, and all at once."""

from __future__ import annotations

import time
from pathlib import Path

import pendulum
from airflow.sdk import DAG, chain, get_current_context, task

from intacct_provider.hooks.intacct import IntacctHook
from intacct_provider.operators.query import IntacctQueryOperator

TASKS = 20
PATIENCE = 200
START = pendulum.datetime(2026, 1, 1, tz="UTC")
USER = "company-config/user"

with DAG(dag_id="reads_in_a_row", schedule=None, start_date=START, params={"conn": ""}):
    chain(
        *(
            IntacctQueryOperator(
                task_id=f"read_{n:02}",
                intacct_conn_id="{{ params.conn }}",
                object_name=USER,
                fields=["key", "id"],
            )
            for n in range(TASKS)
        )
    )


def wait_for(folder: Path, pattern: str, count: int) -> None:
    """Wait until this many files are there."""
    end = time.monotonic() + PATIENCE
    while len(list(folder.glob(pattern))) < count:
        if time.monotonic() > end:
            raise TimeoutError(f"{count} files {pattern} were not there after {PATIENCE} s")
        time.sleep(0.05)


with DAG(dag_id="reads_at_once", schedule=None, start_date=START, params={"conn": "", "folder": ""}):

    @task
    def read_twice(n: int) -> list[int]:
        """Read once all tasks run, and again once the test says so; return how many rows there were."""
        params = get_current_context()["params"]
        folder = Path(params["folder"])
        hook = IntacctHook(params["conn"])
        rows = []
        for step in ("first", "second"):
            (folder / f"{step}-ready-{n}").touch()
            wait_for(folder, f"{step}-go", 1)
            rows.append(len(hook.client.query(USER, ["key", "id"]).rows))
        return rows

    read_twice.expand(n=list(range(TASKS)))

with DAG(dag_id="read_once", schedule=None, start_date=START, params={"conn": ""}):
    IntacctQueryOperator(
        task_id="read", intacct_conn_id="{{ params.conn }}", object_name=USER, fields=["key", "id"]
    )
