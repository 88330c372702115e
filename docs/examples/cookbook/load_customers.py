"""Load customers into a table of the warehouse every night: what changed is merged, deleted ones go."""

import pendulum
from airflow.sdk import DAG

from intacct_provider.transfers.intacct_to_sql import IntacctToSqlOperator

with DAG(
    dag_id="load_customers",
    schedule="0 3 * * *",
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    max_active_runs=1,
    default_args={"retries": 2},
    params={"folder": "s3://aws_default@finance"},
):
    IntacctToSqlOperator(
        task_id="load",
        object_name="accounts-receivable/customer",
        fields=["key", "id", "name", "status", "term.id", "creditLimit", "audit.modifiedDateTime"],
        incremental="audit.modifiedDateTime",
        detect_deletes="keys",
        keys_path="{{ params.folder }}/keys/customers",
        sql_conn_id="warehouse",
        table="intacct_customers",
        mode="merge",
    )
