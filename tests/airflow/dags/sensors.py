"""Sensors in each of their modes, for the tests: which one, and what it waits for, comes with the run."""

from __future__ import annotations

import pendulum
from airflow.sdk import DAG

from intacct_provider.client.query.expressions import field
from intacct_provider.sensors.query import IntacctQuerySensor
from intacct_provider.sensors.records import IntacctRecordSensor

MODES = {
    "poke": {"mode": "poke"},
    "reschedule": {"mode": "reschedule"},
    "deferrable": {"deferrable": True},
}

for name, how in MODES.items():
    with DAG(
        dag_id=f"query_sensor_{name}", schedule=None, start_date=pendulum.datetime(2026, 1, 1, tz="UTC")
    ):
        IntacctQuerySensor(
            task_id="wait",
            object_name="accounts-receivable/customer",
            filters=(field("name") == "{{ params.name }}") & (field("status") == "active"),
            at_least=2,
            poke_interval=0.2,
            timeout=20,
            params={"name": "Waited For"},
            **how,
        )
    with DAG(
        dag_id=f"record_sensor_{name}", schedule=None, start_date=pendulum.datetime(2026, 1, 1, tz="UTC")
    ):
        IntacctRecordSensor(
            task_id="wait",
            object_name="accounts-receivable/customer",
            record_id="WAIT-1",
            conditions={"status": ["active", "activeNonPosting"], "isOnHold": False},
            poke_interval=0.2,
            timeout=20,
            **how,
        )
    with DAG(dag_id=f"soft_sensor_{name}", schedule=None, start_date=pendulum.datetime(2026, 1, 1, tz="UTC")):
        IntacctRecordSensor(
            task_id="wait",
            object_name="accounts-receivable/customer",
            record_id="NEVER",
            poke_interval=0.2,
            timeout=1,
            soft_fail=True,
            **how,
        )
    with DAG(dag_id=f"bad_sensor_{name}", schedule=None, start_date=pendulum.datetime(2026, 1, 1, tz="UTC")):
        IntacctQuerySensor(
            task_id="wait",
            object_name="accounts-receivable/customer",
            filters=[{"$eq": {"statsu": "active"}}],
            poke_interval=0.2,
            timeout=20,
            retries=3,
            **how,
        )
