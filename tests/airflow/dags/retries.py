"""A task that Airflow tries again, for the tests of what that may do to a ledger."""

from __future__ import annotations

from datetime import timedelta

import pendulum
from airflow.sdk import DAG

from intacct_provider.operators.records import IntacctCreateRecordOperator, IntacctUpdateRecordOperator

with DAG(
    dag_id="writes_with_retries",
    schedule=None,
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    default_args={"retries": 3, "retry_delay": timedelta(0)},
):
    create = IntacctCreateRecordOperator(
        task_id="create", object_name="accounts-receivable/customer", record={"name": "Numbered by Intacct"}
    )
    update = IntacctUpdateRecordOperator(
        task_id="update",
        object_name="accounts-receivable/customer",
        key=create.output["key"],
        changes={"contactList": [{"categoryName": "billing", "contact": {"id": "{{ params.contact }}"}}]},
        params={"contact": ""},
    )
