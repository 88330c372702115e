"""A big object, exported by mapped tasks that share a pool."""

from __future__ import annotations

from datetime import timedelta

import pendulum
from airflow.sdk import DAG

from intacct_provider.operators.export_ranges import IntacctCommitExportOperator, IntacctKeyRangesOperator
from intacct_provider.transfers.intacct_to_object_storage import IntacctToObjectStorageOperator

OBJECT = "accounts-receivable/customer"
DESTINATION = "file://{{ var.value.folder }}/customers.jsonl"

with DAG(
    dag_id="exports",
    schedule="@yearly",
    start_date=pendulum.datetime(2020, 1, 1, tz="UTC"),
    catchup=False,
    default_args={
        "intacct_conn_id": "exports",
        "pool": "intacct",
        "retries": 9,
        "retry_delay": timedelta(0),
    },
):
    plan = IntacctKeyRangesOperator(task_id="plan", object_name=OBJECT, ranges=8)
    # Up to 2 calls in flight each, which is what the connection says.
    export = IntacctToObjectStorageOperator.partial(
        task_id="export",
        object_name=OBJECT,
        fields=["key", "id", "name"],
        destination=DESTINATION,
        rows_per_part=1000,
        pool_slots=2,
    ).expand(key_range=plan.output)
    IntacctCommitExportOperator(task_id="commit", destination=DESTINATION, exports=export.output)
