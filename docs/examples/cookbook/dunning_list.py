"""Write a list of overdue invoices for Excel every Monday."""

import pendulum
from airflow.sdk import DAG

from intacct_provider.client.query import TODAY, field
from intacct_provider.transfers.intacct_to_object_storage import IntacctToObjectStorageOperator

with DAG(
    dag_id="dunning_list",
    schedule="0 7 * * MON",
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    default_args={"retries": 2},
    params={"folder": "s3://aws_default@finance"},
):
    IntacctToObjectStorageOperator(
        task_id="export_overdue_invoices",
        object_name="accounts-receivable/invoice",
        fields={
            "key": "key",
            "customer.id": "customer",
            "customer.name": "name",
            "invoiceNumber": "invoice",
            "dueDate": "due",
            "currency.txnCurrency": "currency",
            "totalTxnAmountDue": "amount_due",
            "dunningCount": "reminders",
        },
        filters=field("state").in_(["posted", "partiallyPaid", "selected"])
        & (field("dueDate") < TODAY)
        & field("totalTxnAmountDue").gt("0"),
        as_of="{{ dag_run.run_after | ds }}",
        control_totals=["totalTxnAmountDue"],
        destination="{{ params.folder }}/dunning_{{ dag_run.run_after | ds }}.csv",
        csv_safe=True,
        bom=True,
    )
