"""Bulk jobs in each mode, for the tests: their records come with the run."""

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
        params={"records": "", "folder": "", "operation": "create", "max_rejects": 0},
    ):
        IntacctBulkJobOperator(
            task_id="job",
            object_name="accounts-receivable/customer",
            operation="{{ params.operation }}",
            records="{{ params.records }}",
            rejects_path="{{ params.folder }}/r.jsonl",
            max_rejects="{{ params.max_rejects }}",
            poll_interval=1,
            retries=2,
            retry_delay=timedelta(0),
            **how,
        )
