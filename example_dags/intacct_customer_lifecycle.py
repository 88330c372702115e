"""Create a customer, wait for it, read, update, query and delete it.

Shows the operators for single records. They take a record's key or its id. Intacct's API accepts only keys, so using
the id costs one more read.

Each run uses its own customer id. The customer is deleted at the end, even if an earlier step failed.

Needs a connection ``intacct_default`` of type ``intacct``.
"""

from __future__ import annotations

import pendulum
from airflow.sdk import DAG

from intacct_provider.client.query import field
from intacct_provider.operators.query import IntacctQueryOperator
from intacct_provider.operators.records import (
    IntacctCreateRecordOperator,
    IntacctDeleteRecordOperator,
    IntacctGetRecordOperator,
    IntacctListRecordsOperator,
    IntacctUpdateRecordOperator,
)
from intacct_provider.sensors.records import IntacctRecordSensor

CUSTOMER = "accounts-receivable/customer"
CUSTOMER_ID = "TOUR-{{ dag_run.run_after | ts_nodash }}"

with DAG(
    dag_id="intacct_customer_lifecycle",
    schedule=None,
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    max_active_runs=1,
    doc_md=__doc__,
    tags=["intacct", "example"],
):
    create = IntacctCreateRecordOperator(
        task_id="create",
        object_name=CUSTOMER,
        record={"id": CUSTOMER_ID, "name": "Tour Stop Ltd", "creditLimit": 5000, "term": {"id": "Net 30"}},
    )
    wait = IntacctRecordSensor(
        task_id="wait_until_active",
        object_name=CUSTOMER,
        record_id=CUSTOMER_ID,
        conditions={"status": "active"},
        poke_interval=30,
        timeout=600,
        mode="reschedule",
    )
    read = IntacctGetRecordOperator(task_id="read", object_name=CUSTOMER, key=create.output["key"])
    update = IntacctUpdateRecordOperator(
        task_id="update",
        object_name=CUSTOMER,
        key=create.output["key"],
        changes={"creditLimit": 7500, "notes": "Raised by the tour"},
    )
    query = IntacctQueryOperator(
        task_id="query",
        object_name=CUSTOMER,
        fields=["key", "id", "name", "creditLimit", "term.id"],
        filters=(field("id") == CUSTOMER_ID) & field("creditLimit").gte(7500),
    )
    look = IntacctListRecordsOperator(task_id="list", object_name=CUSTOMER)
    delete = IntacctDeleteRecordOperator(
        task_id="delete", object_name=CUSTOMER, record_id=CUSTOMER_ID
    ).as_teardown(setups=create)

    create >> wait >> read >> update >> [query, look] >> delete
