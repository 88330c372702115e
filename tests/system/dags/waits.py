"""Every sensor in each mode, for what happens while their triggerer is killed."""

from __future__ import annotations

import pendulum
from airflow.sdk import DAG

from intacct_provider.sensors.jobs import IntacctBulkJobSensor
from intacct_provider.sensors.query import IntacctQuerySensor
from intacct_provider.sensors.records import IntacctRecordSensor

CUSTOMER = "accounts-receivable/customer"
MODES = {
    "poke": {"mode": "poke"},
    "reschedule": {"mode": "reschedule"},
    "deferrable": {"deferrable": True},
}


def make_dag(name: str) -> DAG:
    return DAG(
        dag_id=f"wait_{name}",
        schedule=None,
        start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
        params={"conn": "", "id": "", "job_id": ""},
        default_args={"intacct_conn_id": "{{ params.conn }}", "poke_interval": 4, "timeout": 600},
    )


for mode, how in MODES.items():
    with make_dag(mode):
        IntacctRecordSensor(
            task_id="record",
            object_name=CUSTOMER,
            record_id="{{ params.id }}",
            conditions={"status": "active"},
            **how,
        )
        IntacctQuerySensor(
            task_id="query",
            object_name=CUSTOMER,
            filters=[{"$eq": {"id": "{{ params.id }}"}}, {"$eq": {"status": "active"}}],
            **how,
        )
        IntacctBulkJobSensor(task_id="job", job_id="{{ params.job_id }}", **how)
    with make_dag(f"softly_{mode}"):
        IntacctQuerySensor(
            task_id="query",
            object_name=CUSTOMER,
            filters=[{"$eq": {"id": "NEVER"}}],
            soft_fail=True,
            retries=2,
            **how,
        )
