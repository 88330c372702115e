"""An export of one partition of an asset, and the DAG of docs/warehouse.md that its event starts."""

from __future__ import annotations

import re
from pathlib import Path

import pendulum
from airflow import sdk
from airflow.sdk import DAG, Asset

from intacct_provider.transfers.intacct_to_object_storage import IntacctToObjectStorageOperator

PAGE = Path(__file__).resolve().parents[3] / "docs" / "warehouse.md"

with DAG(
    dag_id="export_partition",
    schedule=None,
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    params={"conn": "", "folder": "", "day": ""},
):
    IntacctToObjectStorageOperator(
        task_id="export",
        intacct_conn_id="{{ params.conn }}",
        object_name="accounts-receivable/customer",
        fields=["key"],
        destination="file://{{ params.folder }}/{{ params.day }}.jsonl",
        outlets=[Asset("intacct_customers")],
        partition_key="{{ params.day }}",
    )

if hasattr(sdk, "PartitionedAssetTimetable"):
    [shown] = re.findall(r"^```python\n(.*?PartitionedAssetTimetable.*?)^```$", PAGE.read_text(), re.M | re.S)
    exec(compile(shown, str(PAGE), "exec"))  # noqa: S102 - the documentation's own code
