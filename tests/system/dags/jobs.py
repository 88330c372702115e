"""A bulk job on the worker and deferred, in a task that is killed and tried again."""

from __future__ import annotations

from datetime import timedelta

import pendulum
from airflow.sdk import DAG

from intacct_provider.operators.jobs import IntacctBulkJobOperator

for name, how in {"plain": {"deferrable": False}, "deferrable": {"deferrable": True}}.items():
    with DAG(
        dag_id=f"bulk_job_{name}",
        schedule=None,
        start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
        params={"conn": "", "records": "", "folder": ""},
    ):
        IntacctBulkJobOperator(
            task_id="write",
            intacct_conn_id="{{ params.conn }}",
            object_name="accounts-receivable/customer",
            operation="create",
            records="{{ params.records }}",
            rejects_path="{{ params.folder }}/r.jsonl",
            max_rejects=1,
            poll_interval=1,
            max_poll_interval=2,
            retries=3,
            retry_delay=timedelta(0),
            **how,
        )
