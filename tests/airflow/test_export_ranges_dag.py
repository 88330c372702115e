"""The example of a big object, run by Airflow against the sandbox: mapped ranges, and one export in the end."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path

import pyarrow.parquet
import pytest

CUSTOMER = "accounts-receivable/customer"
DAG = "intacct_export_big_object"
EXAMPLES = Path(__file__).resolve().parents[2] / "example_dags"


@pytest.fixture
def company(sandbox, monkeypatch):
    """The demo company with pages of 40 rows, so that its 240 customers are worth several ranges."""
    monkeypatch.setenv("AIRFLOW_CONN_INTACCT_DEFAULT", sandbox.connection(page_size=40, max_concurrency=2))
    return sandbox


def states(run):
    return sorted((task.task_id, task.map_index, str(task.state)) for task in run.get_task_instances())


def xcom(run, task_id):
    task = next(task for task in run.get_task_instances() if task.task_id == task_id)
    return task.xcom_pull(task_ids=task_id)


def test_ranges_are_exported_by_mapped_tasks_and_committed_as_one(run_dag, company, tmp_path):
    run = run_dag(DAG, folder=f"file://{tmp_path}")
    ranges = [("export", n, "success") for n in range(6)]
    assert states(run) == [("commit", -1, "success"), *ranges, ("plan", -1, "success")]
    assert [one["number"] for one in xcom(run, "plan")] == [1, 2, 3, 4, 5, 6]

    folder = tmp_path / str(run.run_after.date())
    names = [f"customers-r0000{n}-00001.parquet" for n in range(1, 7)]
    assert sorted(file.name for file in folder.iterdir()) == [*names, "customers.parquet.manifest.json"]
    rows = [row for name in names for row in pyarrow.parquet.read_table(folder / name).to_pylist()]
    kept = [one for one in company.records(CUSTOMER) if one["entity"]["id"] is None]
    assert [row["key"] for row in rows] == sorted((one["key"] for one in kept), key=int)
    result = xcom(run, "commit")
    assert (result["rows"], result["ranges"], result["parts"]) == (240, 6, 6)
    manifest = json.loads(Path(result["manifest"].removeprefix("file://")).read_bytes())
    assert Decimal(manifest["completeness"]["control_totals"]["totalDue"]) == sum(
        row["totalDue"] or 0 for row in rows
    )
    assert manifest["run"]["transactions"] + len(names) + 2 == company.transactions


def test_tasks_share_a_pool_in_the_example():
    from airflow_parts import open_dag_bag

    dag = open_dag_bag(str(EXAMPLES)).dags[DAG]
    assert {task.pool for task in dag.tasks} == {"intacct"}
