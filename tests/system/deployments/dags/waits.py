"""A bulk job and a record that deferred tasks wait for at once, after one that reads."""

from __future__ import annotations

from datetime import timedelta

import pendulum
from airflow.sdk import DAG

from intacct_provider.operators.jobs import IntacctBulkJobOperator
from intacct_provider.operators.query import IntacctQueryOperator
from intacct_provider.sensors.records import IntacctRecordSensor

CUSTOMER = "accounts-receivable/customer"

with DAG(
    dag_id="waits",
    schedule="@yearly",
    start_date=pendulum.datetime(2020, 1, 1, tz="UTC"),
    catchup=False,
    default_args={
        "intacct_conn_id": "waits",
        "object_name": CUSTOMER,
        "retries": 9,
        "retry_delay": timedelta(0),
    },
):
    read = IntacctQueryOperator(task_id="read", fields=["key", "id"])
    job = IntacctBulkJobOperator(
        task_id="job",
        operation="create",
        records="file://{{ var.value.folder }}/records.json",
        poll_interval=1,
        max_poll_interval=2,
        deferrable=True,
    )
    wait = IntacctRecordSensor(
        task_id="wait",
        record_id="LATE",
        conditions={"status": "active"},
        poke_interval=2,
        timeout=3600,
        deferrable=True,
    )
    read >> [job, wait]
