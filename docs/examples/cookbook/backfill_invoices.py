"""Write the invoices of the last month to a file; a backfill writes those of many months."""

import pendulum
from airflow.sdk import DAG

from intacct_provider.client.query import field
from intacct_provider.transfers.intacct_to_object_storage import IntacctToObjectStorageOperator

# A run is due when its month is over: that of February 1 exports January.
FIRST_DAY = "{{ logical_date.subtract(months=1).start_of('month') | ds }}"
LAST_DAY = "{{ logical_date.subtract(months=1).end_of('month') | ds }}"

with DAG(
    dag_id="backfill_invoices",
    schedule="@monthly",
    start_date=pendulum.datetime(2024, 1, 1, tz="UTC"),
    catchup=False,
    default_args={"retries": 2, "pool": "intacct", "pool_slots": 2},
    params={"folder": "s3://aws_default@finance"},
):
    IntacctToObjectStorageOperator(
        task_id="export_month",
        object_name="accounts-receivable/invoice",
        fields=["key", "invoiceNumber", "invoiceDate", "customer.id", "state", "totalBaseAmount"],
        filters=field("invoiceDate").between(FIRST_DAY, LAST_DAY),
        control_totals=["totalBaseAmount"],
        destination="{{ params.folder }}/invoices/{{ logical_date.subtract(months=1).format('YYYY-MM') }}.parquet",
        max_transactions=500,
    )
