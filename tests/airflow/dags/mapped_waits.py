"""Sensors and bulk jobs that are mapped: each of their tasks waits for its own."""

from __future__ import annotations

import pendulum
from airflow.sdk import DAG

from intacct_provider.operators.jobs import IntacctBulkJobOperator
from intacct_provider.sensors.records import IntacctRecordSensor

CUSTOMER = "accounts-receivable/customer"
ONCE = {"schedule": None, "start_date": pendulum.datetime(2026, 1, 1, tz="UTC")}

for name, how in {"plain": {}, "deferrable": {"deferrable": True}}.items():
    with DAG(dag_id=f"mapped_sensor_{name}", **ONCE):
        IntacctRecordSensor.partial(
            task_id="wait", object_name=CUSTOMER, poke_interval=0.2, timeout=60, **how
        ).expand(record_id=["{{ params.first }}", "C-00002"])
    with DAG(dag_id=f"mapped_job_{name}", **ONCE):
        # The same records twice: two tasks are to create them, and Intacct numbers them.
        IntacctBulkJobOperator.partial(
            task_id="job", object_name=CUSTOMER, operation="create", poll_interval=1, **how
        ).expand(records=["{{ params.folder }}/one.csv", "{{ params.folder }}/one.csv"])
