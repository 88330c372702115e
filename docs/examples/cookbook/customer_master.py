"""Make customers match a spreadsheet every night, within limits, and leave those on hold alone."""

import pendulum
from airflow.sdk import DAG

from intacct_provider.client.query import field
from intacct_provider.operators.sync import IntacctSyncOperator

with DAG(
    dag_id="customer_master",
    schedule="0 2 * * *",
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    max_active_runs=1,
    default_args={"retries": 2},
    params={"folder": "s3://aws_default@finance"},
):
    IntacctSyncOperator(
        task_id="sync_customers",
        object_name="accounts-receivable/customer",
        desired="{{ params.folder }}/customers.xlsx",
        plan_path="{{ params.folder }}/plans/{{ dag_run.run_id | replace(':', '-') }}/customers.plan.json",
        columns={
            "Account": "id",
            "Customer name": "name",
            "Payment term": "term.id",
            "Credit limit": "creditLimit",
            "Owner": None,
        },
        trim=True,
        protect=field("isOnHold") == True,  # noqa: E712
        max_creates=50,
        max_updates=200,
    )
