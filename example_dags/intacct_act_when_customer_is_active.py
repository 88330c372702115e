"""Wait for a customer to become active, then raise its credit limit.

The sensor waits in the triggerer, so it holds no worker. It asks every five minutes, which is 288 billed transactions a
day, and after three days the task is skipped: then nobody has activated the customer. If the customer cannot be read at
all, the task fails.

Trigger the DAG with the customer's id as the parameter ``customer_id``. Needs a connection ``intacct_default`` of type
``intacct`` and a running triggerer.
"""

from __future__ import annotations

from datetime import timedelta

import pendulum
from airflow.sdk import DAG, Param

from intacct_provider.operators.records import IntacctUpdateRecordOperator
from intacct_provider.sensors.records import IntacctRecordSensor

CUSTOMER = "accounts-receivable/customer"

with DAG(
    dag_id="intacct_act_when_customer_is_active",
    schedule=None,
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    params={"customer_id": Param("C-00001", type="string")},
    doc_md=__doc__,
    tags=["intacct", "example"],
):
    wait = IntacctRecordSensor(
        task_id="wait_until_active",
        object_name=CUSTOMER,
        record_id="{{ params.customer_id }}",
        conditions={"status": "active"},
        poke_interval=timedelta(minutes=5),
        timeout=timedelta(days=3),
        soft_fail=True,
        deferrable=True,
    )
    IntacctUpdateRecordOperator(
        task_id="raise_limit",
        object_name=CUSTOMER,
        key=wait.output["key"],
        changes={"creditLimit": 10000},
    )
