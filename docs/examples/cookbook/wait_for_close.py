"""Export balances as soon as the books of all entities are closed for the month."""

from datetime import timedelta

import pendulum
from airflow.sdk import DAG

from intacct_provider.client.query import field
from intacct_provider.sensors.query import IntacctQuerySensor
from intacct_provider.transfers.intacct_to_object_storage import IntacctToObjectStorageOperator

MONTH_END = "{{ params.month_end or (dag_run.run_after.replace(day=1) - macros.timedelta(days=1)) | ds }}"

with DAG(
    dag_id="wait_for_close",
    schedule="0 6 1 * *",
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    default_args={"retries": 2},
    params={"folder": "s3://aws_default@finance", "month_end": None},
):
    closed = IntacctQuerySensor(
        task_id="wait_until_all_entities_are_closed",
        object_name="company-config/entity",
        filters=(field("status") == "active")
        & ((field("openBooksStartDate") <= MONTH_END) | field("openBooksStartDate").is_null()),
        exactly=0,
        poke_interval=timedelta(hours=1),
        timeout=timedelta(days=20),
        deferrable=True,
    )
    export = IntacctToObjectStorageOperator(
        task_id="export_balances",
        object_name="accounts-receivable/customer",
        fields=["key", "id", "name", "totalDue"],
        control_totals=["totalDue"],
        destination=f"{{{{ params.folder }}}}/closed_{MONTH_END}.csv",
    )
    closed >> export
