"""Add the customer of a new contract, and keep Intacct's customer groups as a file says."""

from airflow.sdk import DAG, Param

from intacct_provider.operators.records import IntacctCreateRecordOperator
from intacct_provider.operators.sync import IntacctSyncOperator

with DAG(
    "customer_groups",
    schedule=None,
    params={"customer": Param(type="string"), "groups": Param(type="string")},
) as dag:
    create = IntacctCreateRecordOperator(
        task_id="create_customer",
        object_name="accounts-receivable/customer",
        record={"id": "{{ params.customer }}", "name": "Customer {{ params.customer }}"},
    )
    sync = IntacctSyncOperator(
        task_id="sync_groups",
        object_name="accounts-receivable/customer-group",
        desired="{{ params.groups }}",
    )
    create >> sync
