"""A partition that an export reports starts the DAG that docs/warehouse.md shows, once for each."""

from __future__ import annotations

import pytest
from airflow import sdk

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.skipif(
        not hasattr(sdk, "PartitionedAssetTimetable"), reason="Airflow before 3.3 has no partitions of assets"
    ),
]

CONSUMER = "load_customers_of_a_day"


def test_each_partition_starts_the_consumer_once(airflow, sandbox, tmp_path):
    conn = airflow.connect("partitions", sandbox)
    days = ["2026-11-29", "2026-11-30"]
    for day in days:
        airflow.run("export_partition", conn=conn, folder=str(tmp_path), day=day).succeed()

    def ended():
        runs = airflow.read(f"/dags/{CONSUMER}/dagRuns")["dag_runs"]
        return len(runs) == len(days) and all(run["state"] == "success" for run in runs) and runs

    runs = airflow.until("the consumer has run for each partition", ended)
    assert sorted(run["partition_key"] for run in runs) == days
